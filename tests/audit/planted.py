"""Releases with a fault planted, each of which costs more than it says: an audit must see them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.aggregate.core import publish
from services.aggregate.core.publish import Counts
from services.protocol.plan import SUPPORT_GROUP, publish_chance

Drawing = Callable[..., Any]


@dataclass(frozen=True)
class Fault:
    """A release function with a fault, and what is wrong with it."""

    words: str
    draw: Drawing
    draws: int = 1_000
    """Releases per neighbour by which it must be found; a fault that shows every time needs few."""


def half_noise(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Draw noise of half the scale that is charged for."""

    def halved(counts: Counts, *, epsilon: float) -> Counts:
        drawn: Counts = laplace(counts, epsilon=2 * epsilon)
        return drawn

    return publish.draw(tallies, manifest, laplace=halved, uniform=uniform)


def without_coin(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Show every group of at least k answers."""
    return publish.draw(tallies, manifest, laplace=laplace, uniform=lambda: 0.0)


def costlier_coin(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Toss a coin of three times the epsilon that is charged."""
    exact = tallies[SUPPORT_GROUP].exact_counts.sum(axis=0)
    charged, asked = (
        [publish_chance(int(n), manifest.k, epsilon=e, delta=1e-6) for n in exact] for e in (1.0, 3.0)
    )
    # The gate compares its coin with the chance that is charged for: the coin is bent to the other chance.
    coins = [
        0.0 if uniform() < new else max(old, np.nextafter(1.0, 0.0))
        for old, new in zip(charged, asked, strict=True)
    ]
    return publish.draw(tallies, manifest, laplace=laplace, uniform=iter(coins).__next__)


def parity_of_the_count(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Draw even noise only, so that each published count is even if the exact one is."""

    def even(counts: Counts, *, epsilon: float) -> Counts:
        noise: Counts = laplace(np.zeros_like(counts), epsilon=epsilon)
        return counts + 2 * (noise // 2)

    return publish.draw(tallies, manifest, laplace=even, uniform=uniform)


def only_where_someone_answered(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Leave empty cells without noise."""

    def sparse(counts: Counts, *, epsilon: float) -> Counts:
        noisy: Counts = laplace(counts, epsilon=epsilon)
        return np.where(counts > 0, noisy, 0)

    return publish.draw(tallies, manifest, laplace=sparse, uniform=uniform)


def exact_totals(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Correct the last cell, so that each table adds up to its exact number of answers."""

    def adding_up(counts: Counts, *, epsilon: float) -> Counts:
        noisy: Counts = laplace(counts, epsilon=epsilon)
        noisy[-1, -1] += counts.sum() - noisy.sum()
        return noisy

    return publish.draw(tallies, manifest, laplace=adding_up, uniform=uniform)


def noise_seeded_by_the_counts(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Draw "repeatable" noise, from a generator that starts from the counts and a few secret bits."""
    salt = secrets.randbelow(8)

    def seeded(counts: Counts, *, epsilon: float) -> Counts:
        generator = np.random.default_rng([salt, *counts.ravel().tolist()])
        q = -np.expm1(-epsilon)
        return counts + generator.geometric(q, counts.shape) - generator.geometric(q, counts.shape)

    return publish.draw(tallies, manifest, laplace=seeded, uniform=uniform)


PLANTED: dict[str, Fault] = {
    "half noise": Fault("noise of half the scale", half_noise, draws=8_000),
    "no coin": Fault("groups shown from k answers on, without a coin", without_coin),
    "costlier coin": Fault("a coin of epsilon 3 that is charged as 1", costlier_coin, draws=8_000),
    "parity": Fault("noise that keeps the exact count's parity", parity_of_the_count),
    "sparse": Fault("no noise in empty cells", only_where_someone_answered),
    "totals": Fault("tables corrected to their exact total", exact_totals),
    "seeded": Fault("noise from a generator seeded by the counts", noise_seeded_by_the_counts),
}
