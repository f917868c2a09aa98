"""Worlds for the verdict: reps drawn by a Gaussian copula, their exact tables, and a double of the noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.protocol.plan import noise_variance

Array = npt.NDArray[np.float64]
Bands = npt.NDArray[np.int64]

CONDITIONS: Final = ("capability", "alignment", "motivation", "support")
ITEMS: Final = {"capability": 4, "alignment": 4, "motivation": 4, "support": 6}
ITEM_MEAN: Final = 3.3
ITEM_SPREAD: Final = 0.85

ITEM_NOISE: Final = 0.64
"""SD of one item's own noise: four items, rounded to 1..5, then have an alpha of .85."""

EDGES: Final = np.array([0.70, 1.00, 1.20])


@dataclass(frozen=True)
class World:
    """Latent r of capability, alignment, motivation, support and activity with attainment.

    ``patch`` holds the latent r of the territory index with attainment and with Support. ``spread`` is
    mean and SD of a one-humped attainment; absent, attainment has two humps. ``enablement``: Support
    differs in S4 to S6 only; its other three items are drawn apart from everything.
    """

    capability: float
    alignment: float
    motivation: float
    support: float
    activity: float
    patch: tuple[float, float]
    spread: tuple[float, float] | None = None
    enablement: bool = False


WORLDS: Final[Mapping[str, World]] = {
    "seeds": World(0.15, 0.13, 0.13, 0.47, 0.05, (0.40, 0.60)),
    "skill": World(0.47, 0.13, 0.10, 0.15, 0.05, (0.10, 0.30)),
    "process": World(0.13, 0.47, 0.13, 0.15, 0.05, (0.10, 0.30)),
    "effort": World(0.10, 0.08, 0.15, 0.05, 0.47, (0.05, 0.30)),
    "tie": World(0.36, 0.13, 0.10, 0.36, 0.05, (0.30, 0.50)),
    "both": World(0.12, 0.12, 0.15, 0.36, 0.36, (0.30, 0.50)),
    "null": World(0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0)),
    "quota": World(0.10, 0.08, 0.06, 0.10, 0.08, (0.08, 0.30), (0.82, 0.20)),
    "healthy": World(0.10, 0.08, 0.06, 0.10, 0.08, (0.08, 0.30), (1.04, 0.17)),
    "reverse": World(0.15, 0.13, 0.13, 0.47, 0.05, (0.02, 0.02)),
    "enablement": World(0.15, 0.13, 0.13, 0.47, 0.05, (0.08, 0.15), enablement=True),
}


@dataclass(frozen=True)
class Frame:
    """All invited reps of one drawn company: bands, raw attainment and territory index, shape (N,)."""

    attainment: Array
    attainment_bands: Bands
    activity_bands: Bands
    territory_index: Array
    condition_bands: Mapping[str, Bands]


def draw(world: World, n: int, rng: np.random.Generator) -> Frame:
    """Return ``n`` reps of ``world``; bands of answers are those the phone would seal in."""
    z = rng.standard_normal((n, 7)) @ np.linalg.cholesky(latent_correlations(world)).T
    attainment = attainments(world, z[:, 5], rng)
    answers = {name: condition_bands(world, name, z[:, place], rng) for place, name in enumerate(CONDITIONS)}
    terciles = np.argsort(np.argsort(z[:, 4])) * 3 // n
    return Frame(attainment, np.searchsorted(EDGES, attainment, side="right"), terciles, z[:, 6], answers)


def latent_correlations(world: World) -> Array:
    """Return the matrix over C, A, M, S, activity, attainment and territory index."""
    matrix = np.full((7, 7), 0.0)
    matrix[:4, :4] = 0.25
    matrix[2, 4] = 0.15
    matrix[:5, 5] = (world.capability, world.alignment, world.motivation, world.support, world.activity)
    matrix[5, 6], matrix[3, 6] = world.patch
    upper = np.triu(matrix, 1)
    return upper + upper.T + np.eye(7)


def attainments(world: World, z: Array, rng: np.random.Generator) -> Array:
    """Return attainment (1.0 = quota met, at most 2) with the latent order of ``z``."""
    if world.spread is not None:
        return np.clip(world.spread[0] + world.spread[1] * z, 0.0, 2.0)
    hump = rng.random(z.size) < 0.5
    values = np.where(hump, rng.normal(0.6, 0.15, z.size), rng.normal(1.2, 0.18, z.size))
    ranked: Array = np.sort(np.clip(values, 0.0, 2.0))[np.argsort(np.argsort(z))]
    return ranked


def condition_bands(world: World, name: str, z: Array, rng: np.random.Generator) -> Bands:
    """Return the band (0, 1, 2) of a condition's mean over items rounded to 1..5."""
    count = ITEMS[name]
    common = np.repeat(z[:, None], count, axis=1)
    if name == "support" and world.enablement:
        common[:, :3] = rng.standard_normal((z.size, 1))
    raw = ITEM_MEAN + ITEM_SPREAD * common + ITEM_NOISE * rng.standard_normal((z.size, count))
    means = np.clip(np.rint(raw), 1.0, 5.0).mean(axis=1)
    return np.where(means <= 2.75, 0, np.where(means >= 3.75, 2, 1))


def table(rows: Bands, columns: Bands, shape: tuple[int, int]) -> Array:
    """Return the exact counts of two bands, shape ``shape``."""
    exact = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return exact.reshape(shape).astype(np.float64)


def noisy(exact: Array, epsilon: float, rng: np.random.Generator) -> Array:
    """Return counts with two-sided geometric noise: a repeatable double of the release's mechanism."""
    p = 1.0 - np.exp(-epsilon)
    noise: Array = (rng.geometric(p, exact.shape) - rng.geometric(p, exact.shape)).astype(np.float64)
    return exact + noise


def noise_is_as_published(epsilon: float, rng: np.random.Generator, *, draws: int = 200_000) -> bool:
    """Return whether the double's variance agrees with the published one within 3 %."""
    seen = float(noisy(np.zeros(draws), epsilon, rng).var())
    return abs(seen / noise_variance(epsilon) - 1.0) < 0.03
