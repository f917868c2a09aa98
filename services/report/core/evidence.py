"""What a verdict rests on: drivers with their variances, shares of reps who hit, and recorded indicators."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.protocol.arithmetic import CLAIM_AT
from services.protocol.frame import Indicator
from services.report.core.arrays import InvalidTable, checked
from services.report.core.drivers import (
    LARGEST_DRIVER_R,
    NORMAL_95,
    Comparison,
    Correlation,
    covariance,
)
from services.report.core.influence import cell_variance

CONDITIONS: Final = ("capability", "alignment", "motivation", "support")
ACTIVITY: Final = "activity"
DRIVERS: Final = (*CONDITIONS, ACTIVITY)
HIGH: Final = 2


@dataclass(frozen=True)
class Share:
    """A share of reps who hit quota, 0..1, with its standard error."""

    share: float
    standard_error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return max(self.share - NORMAL_95 * self.standard_error, 0.0)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return min(self.share + NORMAL_95 * self.standard_error, 1.0)

    @property
    def strict_low(self) -> float:
        """Lower bound at 2.1 standard errors, for a claim that some share is high."""
        return self.share - CLAIM_AT * self.standard_error


@dataclass(frozen=True)
class Evidence:
    """All that the rule may look at; what is absent was not measured.

    ``drivers`` maps names of DRIVERS to their r with attainment, ``best_thirds`` to the share that hit
    among reps in the highest band. ``frame`` counts invited reps with results [reps].
    """

    drivers: Mapping[str, Correlation]
    comparison: Comparison | None
    hit_share: Share | None
    best_thirds: Mapping[str, Share]
    indicators: tuple[Indicator, ...]
    frame: int


def separation(evidence: Evidence, first: str, second: str) -> float:
    """Return by how many standard errors the r of one driver exceeds that of another.

    Parameters
    ----------
    evidence : Evidence
        Must hold both drivers.
    first, second : str
        Names of DRIVERS.

    Returns
    -------
    float
        (r_first - r_second) / standard error.

    Raises
    ------
    KeyError
        If one of the two was not measured.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5. Support against activity has a released table of its own; for any
    other pair no table holds both, so their correlation is taken as 0: cautious for conditions that go
    together, which then share sampling error.

    Examples
    --------
    >>> strong, weak = Correlation(0.4, 0.003, 0.001, 300.0), Correlation(0.1, 0.003, 0.002, 300.0)
    >>> drivers = {"support": strong, "capability": weak}
    >>> evidence = Evidence(drivers, None, None, {}, (), 400)
    >>> round(separation(evidence, "support", "capability"), 2)
    3.16
    """
    a, b = evidence.drivers[first], evidence.drivers[second]
    if evidence.comparison is not None and {first, second} == {"support", ACTIVITY}:
        return (a.r - b.r) / evidence.comparison.standard_error
    return (a.r - b.r) / math.sqrt(a.variance + b.variance)


def exceeds(evidence: Evidence, first: str, second: str) -> bool:
    """Return whether the r of one driver exceeds the absolute r of another, beyond chance and noise.

    Parameters
    ----------
    evidence : Evidence
        Must hold both drivers.
    first, second : str
        Names of DRIVERS.

    Returns
    -------
    bool
        Whether r_first - r_second and r_first + r_second both clear 2.1 standard errors.

    Raises
    ------
    KeyError
        If one of the two was not measured.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5. For the sum, the correlation of two drivers without a common table
    is taken as .6, the cautious side.

    Examples
    --------
    >>> strong, opposed = Correlation(0.3, 0.003, 0.001, 300.0), Correlation(-0.3, 0.003, 0.001, 300.0)
    >>> evidence = Evidence({"support": strong, "alignment": opposed}, None, None, {}, (), 400)
    >>> exceeds(evidence, "support", "alignment")
    False
    """
    a, b = evidence.drivers[first], evidence.drivers[second]
    if evidence.comparison is not None and {first, second} == {"support", ACTIVITY}:
        error_of_sum = evidence.comparison.standard_error_of_sum
    else:
        shared = covariance(a.r, b.r, LARGEST_DRIVER_R, max(a.n, b.n))
        error_of_sum = math.sqrt(a.variance + b.variance + 2.0 * max(shared, 0.0))
    return separation(evidence, first, second) > CLAIM_AT and a.r + b.r > CLAIM_AT * error_of_sum


def hit_share_of_best(
    table: npt.ArrayLike, *, epsilon: float | None, hit_columns: npt.ArrayLike, live_columns: npt.ArrayLike
) -> Share | None:
    """Return the share that hit quota among reps in the highest band of a driver.

    Parameters
    ----------
    table : array_like
        Counts [sheets, or reps in an exact table], shape (3, c).
    epsilon : float or None
        Budget of the table's discrete Laplace noise; None for an exact table.
    hit_columns, live_columns : array_like of bool
        Attainment bands of 1.0 and more, and bands that can hold a count, shape (c,).

    Returns
    -------
    Share or None
        None where the highest band holds too few to tell: under 2 noise SD of its total, or nobody.

    Raises
    ------
    InvalidTable
        If shapes differ or a count is not finite.

    Notes
    -----
    Privacy: post-processing; exact where ``epsilon`` is None.
    Source: statistics.md, section 5 (quota unrealistic) and section 3 (a row's noisy total).

    Examples
    --------
    >>> rows = [[9, 9, 9, 9], [9, 9, 9, 9], [20, 20, 30, 30]]
    >>> found = hit_share_of_best(rows, epsilon=None, hit_columns=[0, 0, 1, 1], live_columns=[1, 1, 1, 1])
    >>> found.share, round(found.standard_error, 3)
    (0.6, 0.049)
    """
    hit, live = np.asarray(hit_columns, dtype=bool), np.asarray(live_columns, dtype=bool)
    best = checked(table)[HIGH]
    if hit.shape != best.shape or live.shape != best.shape:
        raise InvalidTable("a mask does not have the length of its side")
    total = float(best[live].sum())
    noise = cell_variance(epsilon)
    if total < max(1.0, 2.0 * math.sqrt(noise * int(live.sum()))):
        return None
    share = min(max(float(best[live & hit].sum()) / total, 0.0), 1.0)
    moved = float((np.where(hit, 1.0 - share, -share)[live] ** 2).sum())
    return Share(share, math.sqrt(max(share * (1.0 - share), 0.05) / total + noise * moved / total**2))
