"""What is said of groups and of the company: a state, and a score where the state allows one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from services.protocol.plan import WIDE_HALF_WIDTH
from services.report.core.influence import cell_variance
from services.report.core.scores import BANDS, POINTS, Value, score

State = Literal["shown", "wide", "no_separate_reading", "held", "not_released", "not_asked", "no_data"]

SMALLEST_WEIGHT: Final = 0.3
SMALLEST_SPREAD: Final = 0.05**2


@dataclass(frozen=True)
class Reading:
    """What is said of one group: a state, and a value where the state allows one.

    ``weight`` is the share of the group's own value in a mixture with the company's, ``shrunken`` that
    mixture. They decide ``no_separate_reading``; the value itself is not shrunken.
    """

    state: State
    value: Value | None = None
    weight: float | None = None
    shrunken: float | None = None


def read_groups(columns: Mapping[str, npt.ArrayLike | None], *, epsilon: float, k: int) -> dict[str, Reading]:
    """Return the reading of every group of table H.

    Parameters
    ----------
    columns : mapping of str to array_like or None
        Noisy band counts [sheets] of each group, shape (3,); None where the group is held.
    epsilon : float
        Budget of table H.
    k : int
        Hard minimum [sheets]: under it a noisy total is not read.

    Returns
    -------
    dict of str to Reading
        In the same order. ``no_separate_reading`` where noise hides most of what sets the group apart
        (weight under .3) or its total is lost in noise; ``wide`` above 10 points of half-width.

    Raises
    ------
    InvalidTable
        If a group does not have three finite counts.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, sections 3 and 4. The printed value is not shrunken, so that its noise range
    keeps its coverage for the exact score; the weight is published beside it.

    Examples
    --------
    >>> north, south = [20, 30, 50], [60, 30, 10]
    >>> found = read_groups({"north": north, "south": south, "east": None}, epsilon=0.8, k=10)
    >>> [reading.state for reading in found.values()]
    ['shown', 'shown', 'held']
    """
    values = {name: _readable(column, epsilon, k) for name, column in columns.items()}
    weights = _weights([value for value in values.values() if value is not None], epsilon)
    centre = _centre([value for value in values.values() if value is not None])
    readings: dict[str, Reading] = {}
    for name, value in values.items():
        if columns[name] is None:
            readings[name] = Reading("held")
        elif value is None:
            readings[name] = Reading("no_separate_reading")
        else:
            weight = weights.pop(0)
            readings[name] = _reading(value, weight, centre + weight * (value.mean - centre))
    return readings


def read_company(table: npt.ArrayLike | None, *, epsilon: float, k: int) -> Reading:
    """Return the company's reading of one condition from all live columns of a table.

    Parameters
    ----------
    table : array_like or None
        Noisy counts [sheets], shape (3, c), live columns only: table B or D, or H with every group
        shown. None where the release holds no such table.
    epsilon : float
        Budget of the table.
    k : int
        Hard minimum [sheets].

    Returns
    -------
    Reading
        ``shown`` or ``wide`` with a value; ``not_released`` without table; ``no_separate_reading``
        where the total is lost in noise.

    Raises
    ------
    InvalidTable
        If there are not three rows, or a count is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 4 (the company's conditions come from the margins of B and D; those
    count the sheets that also hold a result).

    Examples
    --------
    >>> read_company([[20, 10], [30, 30], [30, 50]], epsilon=0.5, k=10).state
    'shown'
    >>> read_company(None, epsilon=0.5, k=10).state
    'not_released'
    """
    if table is None:
        return Reading("not_released")
    value = score(table, epsilon=epsilon)
    if value is None or value.noisy_n < k:
        return Reading("no_separate_reading")
    return Reading("wide" if value.half_width > WIDE_HALF_WIDTH else "shown", value)


def lowest(readings: Mapping[str, Reading]) -> str | None:
    """Return the condition that is lowest company-wide, if its range lies below all others.

    Parameters
    ----------
    readings : mapping of str to Reading
        Company readings by condition.

    Returns
    -------
    str or None
        A name, or None if ranges overlap or fewer than two conditions were read.

    Raises
    ------
    Nothing
        Readings without value are passed over.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E1 (the lowest condition is named if its range allows).

    Examples
    --------
    >>> low = Reading("shown", Value(40.0, 4.0, 2.0, 300.0))
    >>> high = Reading("shown", Value(60.0, 4.0, 2.0, 300.0))
    >>> lowest({"support": low, "capability": high, "alignment": high})
    'support'
    """
    values = {name: reading.value for name, reading in readings.items() if reading.value is not None}
    if len(values) < 2:
        return None
    name = min(values, key=lambda key: values[key].mean)
    others = (value.interval[0] for key, value in values.items() if key != name)
    return name if values[name].interval[1] < min(others) else None


def _readable(column: npt.ArrayLike | None, epsilon: float, k: int) -> Value | None:
    """Return a group's value, or None if it is held or its noisy total is too small to read."""
    if column is None:
        return None
    value = score(np.reshape(np.asarray(column, dtype=np.float64), (-1, 1)), epsilon=epsilon)
    return value if value is not None and value.noisy_n >= k else None


def _reading(value: Value, weight: float, shrunken: float) -> Reading:
    """Return a shown group's reading."""
    if weight < SMALLEST_WEIGHT:
        return Reading("no_separate_reading", None, weight, shrunken)
    return Reading("wide" if value.half_width > WIDE_HALF_WIDTH else "shown", value, weight, shrunken)


def _centre(values: Sequence[Value]) -> float:
    """Return the mean of all groups together [points of 100]."""
    total = sum(value.noisy_n for value in values)
    return sum(value.mean * value.noisy_n for value in values) / total if values else POINTS


def _weights(values: Sequence[Value], epsilon: float) -> list[float]:
    """Return each group's weight: the share of what is seen of it that is not noise."""
    if not values:
        return []
    noise = np.array([_noise_about(_centre(values), value.noisy_n, epsilon) for value in values])
    means = np.array([value.mean / POINTS - 1.0 for value in values])
    spread = float(means.var(ddof=1) - noise.mean()) if len(values) > 1 else 0.0
    between = max(spread, SMALLEST_SPREAD)
    return [float(between / (between + each)) for each in noise]


def _noise_about(centre: float, n: float, epsilon: float) -> float:
    """Return the noise variance of a group's band score around the company's."""
    mean = centre / POINTS - 1.0
    return cell_variance(epsilon) * float(((BANDS - mean) ** 2).sum()) / n**2
