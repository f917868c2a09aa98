"""Worlds: what results depend on in a composite workforce, known because it was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from services.rehearsal.answers import Floats

TWO_HUMPS = (NormalDist(0.60, 0.15), NormalDist(1.20, 0.18))
LEAST_ATTAINMENT = 0.02
VARIABLES = (
    "result", "capability", "alignment", "motivation", "support",
    "activity", "index", "contrast", "previous",
)  # fmt: skip
RESULT, CAPABILITY, ALIGNMENT, MOTIVATION, SUPPORT, ACTIVITY, INDEX, CONTRAST, PREVIOUS = range(9)
PERSON = (CAPABILITY, ALIGNMENT, MOTIVATION, ACTIVITY)

BETWEEN_CONDITIONS, MOTIVATION_ACTIVITY = 0.25, 0.15
# What luck and character leave from one period to the next, beside conditions and activity.
UNEXPLAINED_PERSISTENCE = 0.3
# Where Support only echoes results: how closely last period's result goes with this one.
ECHO_PERSISTENCE = 0.7
# How much of each variable is shared by a region and by a team; the rest is the rep's own.
REGION_SHARE = np.array([0.02, 0.01, 0.01, 0.01, 0.05, 0.01, 0.05, 0.01, 0.02])
TEAM_SHARE = np.array([0.04, 0.03, 0.03, 0.03, 0.05, 0.03, 0.05, 0.03, 0.04])
# Correlation of the two sides of Support where only one of them matters.
SIDES = 0.3


@dataclass(frozen=True)
class World:
    """What results depend on: latent correlations, and how attainment is spread (two humps if None)."""

    capability: float
    alignment: float
    motivation: float
    support: float
    activity: float
    index_result: float
    index_support: float
    spread: NormalDist | None = None
    echo: bool = False
    one_sided: bool = False


WORLDS: Mapping[str, World] = {
    "seeds": World(0.15, 0.13, 0.13, 0.47, 0.05, 0.40, 0.60),
    "null": World(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "skill": World(0.47, 0.13, 0.10, 0.15, 0.05, 0.10, 0.30),
    "effort": World(0.10, 0.08, 0.15, 0.05, 0.47, 0.05, 0.30),
    "process": World(0.13, 0.47, 0.13, 0.15, 0.05, 0.10, 0.30),
    "quota": World(0.10, 0.08, 0.06, 0.10, 0.08, 0.08, 0.30, spread=NormalDist(0.82, 0.20)),
    "healthy": World(0.10, 0.08, 0.06, 0.10, 0.08, 0.08, 0.30, spread=NormalDist(1.04, 0.17)),
    "reverse": World(0.15, 0.13, 0.13, 0.47, 0.05, 0.02, 0.02, echo=True),
    "enablement": World(0.15, 0.13, 0.13, 0.47, 0.05, 0.08, 0.15, one_sided=True),
    "tie": World(0.36, 0.13, 0.10, 0.36, 0.05, 0.30, 0.50),
    "both": World(0.12, 0.12, 0.15, 0.36, 0.36, 0.30, 0.50),
}


def correlations(world: World) -> Floats:
    """Return the latent correlations (9, 9) of a world, in the order of ``VARIABLES``."""
    matrix = np.eye(len(VARIABLES))

    def put(a: int, b: int, r: float) -> None:
        matrix[a, b] = matrix[b, a] = r

    conditions = {
        CAPABILITY: world.capability,
        ALIGNMENT: world.alignment,
        MOTIVATION: world.motivation,
        SUPPORT: world.support,
    }
    for a, r in conditions.items():
        put(RESULT, a, r)
        for b in conditions:
            if a < b:
                put(a, b, BETWEEN_CONDITIONS)
    put(RESULT, ACTIVITY, world.activity)
    put(MOTIVATION, ACTIVITY, MOTIVATION_ACTIVITY)
    put(RESULT, INDEX, world.index_result)
    put(SUPPORT, INDEX, world.index_support)
    if world.one_sided:
        # With this, S1 to S3 are unrelated to results and all of Support's relation is in S4 to S6.
        put(RESULT, CONTRAST, world.support * ((1 + SIDES) / (1 - SIDES)) ** 0.5)
    for variable, r in enumerate(last_period(matrix, echo=world.echo)):
        put(PREVIOUS, variable, r)
    return matrix


def last_period(matrix: Floats, *, echo: bool) -> list[float]:
    """Return how last period's result goes with each variable but itself.

    It is made of the rep's conditions, activity and a part of what nothing explains. Where Support is
    an echo, it echoes last period's result, so that result explains all of Support's relation.
    """
    others = matrix[:PREVIOUS, :PREVIOUS]
    if echo:
        related = others[RESULT] * ECHO_PERSISTENCE
        related[SUPPORT] = others[RESULT, SUPPORT] / ECHO_PERSISTENCE
    else:
        person = list(PERSON)
        weights = np.linalg.solve(others[np.ix_(person, person)], others[person, RESULT])
        related = others[:, person] @ weights
        explained = np.linalg.solve(others[1:, 1:], others[1:, RESULT]) @ others[1:, RESULT]
        related[RESULT] += UNEXPLAINED_PERSISTENCE * np.sqrt(1.0 - explained)
    return [float(r) for r in related]


def draw_latents(
    rng: np.random.Generator, world: World, *, region: NDArray[np.intp], team: NDArray[np.intp]
) -> Floats:
    """Return latents (n, 9) with unit variance and the world's correlations, shared in part by groups.

    ``region`` and ``team`` (n,) number each rep's groups from 0.
    """
    matrix = correlations(world)
    by_region = matrix * np.sqrt(np.outer(REGION_SHARE, REGION_SHARE))
    by_team = matrix * np.sqrt(np.outer(TEAM_SHARE, TEAM_SHARE))

    def draw(count: int, covariance: Floats) -> Floats:
        drawn: Floats = rng.standard_normal((count, len(VARIABLES))) @ np.linalg.cholesky(covariance).T
        return drawn

    return (
        draw(region.max() + 1, by_region)[region]
        + draw(team.max() + 1, by_team)[team]
        + draw(len(team), matrix - by_region - by_team)
    )


def heard_latents(latents: Floats, world: World) -> Floats:
    """Return what the items are heard from (n, 5): three conditions and the two sides of Support."""
    support, apart = latents[:, SUPPORT], np.zeros(len(latents))
    if world.one_sided:
        support, apart = support * ((1 + SIDES) / 2) ** 0.5, latents[:, CONTRAST] * ((1 - SIDES) / 2) ** 0.5
    return np.column_stack([latents[:, CAPABILITY:SUPPORT], support - apart, support + apart])


def attainment(latent: Floats, spread: NormalDist | None) -> Floats:
    """Return attainment (ratio) with the given spread, or two humps, in the order of a normal latent."""
    if spread is not None:
        spread_out = spread.mean + spread.stdev * latent
    else:
        grid = np.linspace(-0.4, 2.4, 2801)
        below = np.array([sum(hump.cdf(x) for hump in TWO_HUMPS) / 2 for x in grid])
        normal = [NormalDist().inv_cdf(min(max(p, 1e-12), 1 - 1e-12)) for p in below]
        spread_out = np.interp(latent, normal, grid)
    return np.maximum(spread_out, LEAST_ATTAINMENT)
