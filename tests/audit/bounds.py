"""What frequencies prove about epsilon: Clopper-Pearson bounds over a fixed family of events.

A release that costs (epsilon, delta) gives every event E: P(E) <= e^epsilon Q(E) + delta, for neighbours P
and Q in both orders. So a frequency that is surely high under P and surely low under Q proves that epsilon
is at least ln((P(E) - delta) / Q(E)), whatever the release does inside.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

Draws = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float64]
Statistic = Callable[[Draws], Scores]
Maker = Callable[[Draws, Draws], Statistic]
"""Makes a statistic from held-out draws of both worlds; it may learn from them, or ignore them."""

MOST_THRESHOLDS = 200


@dataclass(frozen=True)
class Bound:
    """The event that a statistic was judged by, how often it was seen, and the epsilon it proves."""

    statistic: str
    order: Literal["first", "second"]
    side: Literal["at least", "at most"]
    threshold: float
    seen: tuple[int, int]
    draws: tuple[int, int]
    epsilon: float


def at_least(seen: npt.ArrayLike, draws: int, error: float) -> Scores:
    """Return the Clopper-Pearson lower bound of a chance; it is too high with chance ``error`` at most."""
    counts = np.asarray(seen, dtype=float)
    low = beta.ppf(error, np.maximum(counts, 1e-9), draws - counts + 1)
    return np.asarray(np.where(counts > 0, low, 0.0), dtype=np.float64)


def at_most(seen: npt.ArrayLike, draws: int, error: float) -> Scores:
    """Return the Clopper-Pearson upper bound of a chance; it is too low with chance ``error`` at most."""
    counts = np.asarray(seen, dtype=float)
    high = beta.isf(error, counts + 1, np.maximum(draws - counts, 1e-9))
    return np.asarray(np.where(counts < draws, high, 1.0), dtype=np.float64)


def epsilon_proved(
    likely: npt.ArrayLike, rare: npt.ArrayLike, draws: tuple[int, int], *, delta: float, error: float
) -> Scores:
    """Return the epsilon that counts of an event in two worlds prove, wrong with chance ``error`` at most."""
    low = at_least(likely, draws[0], error / 2) - delta
    high = at_most(rare, draws[1], error / 2)
    proved = np.log(np.maximum(low, 1e-300) / high)
    return np.asarray(np.maximum(proved, 0.0), dtype=np.float64)


def judge(
    family: Mapping[str, Maker],
    held_out: tuple[Draws, Draws],
    fresh: tuple[Draws, Draws],
    *,
    delta: float,
    error: float,
) -> list[Bound]:
    """Return what every statistic proves in both orders; all together are wrong with ``error`` at most.

    Statistics and thresholds are made from ``held_out``; ``fresh`` is looked at once.
    """
    each = error / (2 * len(family))
    found = []
    for name, make in family.items():
        statistic = make(*held_out)
        chosen, judged = ([statistic(draws) for draws in pair] for pair in (held_out, fresh))
        for order in ("first", "second"):
            turn = slice(None) if order == "first" else slice(None, None, -1)
            found.append(_bound(name, order, chosen[turn], judged[turn], delta=delta, error=each))
    return found


def best(bounds: list[Bound]) -> Bound:
    """Return the bound that proves most."""
    return max(bounds, key=lambda bound: bound.epsilon)


def _bound(
    name: str,
    order: Literal["first", "second"],
    chosen: list[Scores],
    judged: list[Scores],
    *,
    delta: float,
    error: float,
) -> Bound:
    draws = (judged[0].size, judged[1].size)
    side, threshold = _choose(chosen, draws, delta=delta, error=error)
    likely, rare = (int(_within(scores, side, threshold).sum()) for scores in judged)
    proved = epsilon_proved(likely, rare, draws, delta=delta, error=error)
    return Bound(name, order, side, threshold, (likely, rare), draws, float(proved))


def _choose(
    chosen: list[Scores], draws: tuple[int, int], *, delta: float, error: float
) -> tuple[Literal["at least", "at most"], float]:
    """Return the event that would prove most, were the held-out frequencies those of the fresh draws."""
    values = np.unique(np.concatenate(chosen))
    if values.size > MOST_THRESHOLDS:
        values = np.unique(np.quantile(values, np.linspace(0, 1, MOST_THRESHOLDS), method="nearest"))
    proved: dict[tuple[Literal["at least", "at most"], float], float] = {}
    ordered = [np.sort(scores) for scores in chosen]
    for side in SIDES:
        below = [
            np.searchsorted(scores, values, "left" if side == "at least" else "right") for scores in ordered
        ]
        counts = [s.size - b if side == "at least" else b for s, b in zip(ordered, below, strict=True)]
        # Half a hit more in the rare world: none among few held-out draws is not none among many.
        likely = counts[0] * (draws[0] / chosen[0].size)
        rare = np.minimum(counts[1] + 0.5, chosen[1].size) * (draws[1] / chosen[1].size)
        epsilons = epsilon_proved(likely, rare, draws, delta=delta, error=error)
        proved |= {(side, float(value)): float(e) for value, e in zip(values, epsilons, strict=True)}
    return max(proved, key=lambda event: proved[event])


SIDES: tuple[Literal["at least", "at most"], ...] = ("at least", "at most")


def _within(scores: Scores, side: str, threshold: float) -> npt.NDArray[np.bool_]:
    return scores >= threshold if side == "at least" else scores <= threshold


def margin_seen(draws: int, error: float) -> float:
    """Return how far, at most, a frequency over so many draws lies from its chance (Hoeffding)."""
    return math.sqrt(math.log(2 / error) / (2 * draws))
