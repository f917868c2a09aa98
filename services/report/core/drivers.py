"""Drivers: how strongly a condition, or recorded activity, goes with attainment; closed form throughout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy.typing as npt

from services.protocol.arithmetic import CLAIM_AT
from services.report.core.arrays import checked
from services.report.core.influence import (
    FEWEST_ANSWERS,
    TINY,
    live_cells,
    mean_square,
    noise_sum,
    r_and_influence,
)

ATTAINMENT_SCORES: Final = (-1.0, -1.0 / 3.0, 1.0 / 3.0, 1.0)
BAND_SCORES: Final = (-1.0, 0.0, 1.0)

NORMAL_95: Final = 1.96
LARGEST_DRIVER_R: Final = 0.6


@dataclass(frozen=True)
class Correlation:
    """One driver against one outcome: r, its variance by source, and its 95 % interval."""

    r: float
    sampling_variance: float
    noise_variance: float
    n: float

    @property
    def variance(self) -> float:
        """Variance of r from sampling and privacy noise."""
        return self.sampling_variance + self.noise_variance

    @property
    def standard_error(self) -> float:
        """Standard error of r."""
        return math.sqrt(self.variance)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return max(self.r - NORMAL_95 * self.standard_error, -1.0)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return min(self.r + NORMAL_95 * self.standard_error, 1.0)


@dataclass(frozen=True)
class Comparison:
    """Support against activity; ``claim`` needs the difference and the sum above 2.1 standard errors."""

    r_support: float
    r_activity: float
    difference: float
    standard_error: float
    interval: tuple[float, float]
    claim: bool
    reverse: bool
    r_support_activity: float
    standard_error_of_sum: float
    support: Correlation
    activity: Correlation


def correlation(
    table: npt.ArrayLike,
    *,
    epsilon: float | None,
    row_scores: Sequence[float] = BAND_SCORES,
    column_scores: Sequence[float] = ATTAINMENT_SCORES,
    live_rows: npt.ArrayLike | None = None,
    live_columns: npt.ArrayLike | None = None,
) -> Correlation:
    """Return the correlation of rows with columns in one table, with its variance.

    Parameters
    ----------
    table : array_like
        Counts [sheets, or reps in an exact table], shape (r, c), slowest in the driver.
    epsilon : float or None
        Budget of the table's discrete Laplace noise; None for an exact table of the records.
    row_scores, column_scores : sequence of float
        Scores of the bands, lengths r and c.
    live_rows, live_columns : array_like of bool, optional
        Bands that can hold a count. An emptied one is zero without noise, and adds no variance.

    Returns
    -------
    Correlation
        r within +-.98 and the variance from sampling and from noise.

    Raises
    ------
    InvalidTable
        If shapes differ, a count is not finite.

    Notes
    -----
    Privacy: post-processing; exact where ``epsilon`` is None.
    Source: statistics.md, section 5. The variance is that of the influence function of r: each sheet
    moves r by IF/n, and so does each unit of noise in a cell.

    Examples
    --------
    >>> found = correlation([[30, 10, 5, 5], [10, 20, 20, 10], [5, 5, 10, 30]], epsilon=None)
    >>> round(found.r, 3), found.noise_variance
    (0.539, 0.0)
    """
    counts = checked(table, shape=(len(row_scores), len(column_scores)))
    live = live_cells(counts, live_rows, live_columns)
    n = max(float(counts.sum()), FEWEST_ANSWERS)
    r, influence = r_and_influence(counts / n, row_scores, column_scores)
    sampling = mean_square(influence, counts, live) / n
    noise = noise_sum(influence, live, epsilon) / n**2
    return Correlation(r, sampling, noise, n)


def compare(
    support_by_attainment: npt.ArrayLike,
    support_by_activity: npt.ArrayLike,
    activity_by_attainment: npt.ArrayLike,
    *,
    epsilon_attainment: float,
    epsilon_activity: float,
    attainment_scores: Sequence[float] = ATTAINMENT_SCORES,
    activity_scores: Sequence[float] = BAND_SCORES,
) -> Comparison:
    """Return whether Support goes with attainment more than activity does, or the other way round.

    Parameters
    ----------
    support_by_attainment : array_like
        Noisy counts of table B [sheets], shape (3, 4).
    support_by_activity : array_like
        Noisy counts of table C [sheets], shape (3, 3).
    activity_by_attainment : array_like
        Exact counts of the frame [reps], shape (3, 4). A band that is empty here and in a noisy
        table is taken as merged away: masked, and free of noise.
    epsilon_attainment, epsilon_activity : float
        Budgets of the noise of tables B and C.
    attainment_scores, activity_scores : sequence of float
        Scores of the bands, lengths 4 and 3; merged bands share a frame-weighted mean.

    Returns
    -------
    Comparison
        ``difference`` is r_support - r_activity with its interval at 1.96 standard errors. ``claim``
        needs difference and sum above 2.1 of their standard errors, so that a negative r of activity
        is no evidence for Support; ``reverse`` is the mirrored claim for activity.

    Raises
    ------
    InvalidTable
        If a table does not have its shape, or holds a count that is not finite.

    Notes
    -----
    Privacy: post-processing; activity by attainment is exact.
    Source: statistics.md, section 5. Unstratified and without design effect. The covariance of the two
    correlations is taken one standard error of r(Support, activity) to the cautious side.

    Examples
    --------
    >>> support = [[60, 25, 10, 5], [20, 40, 40, 20], [5, 10, 25, 60]]
    >>> flat = [[36, 36, 36], [36, 36, 36], [36, 36, 36]]
    >>> activity = [[40, 40, 30, 30], [40, 30, 40, 30], [30, 40, 30, 40]]
    >>> found = compare(support, flat, activity, epsilon_attainment=0.5, epsilon_activity=0.1)
    >>> round(found.r_support, 2), round(found.r_activity, 2), found.claim, found.reverse
    (0.62, 0.08, True, False)
    """
    exact = checked(activity_by_attainment, shape=(3, 4))
    noisy, shared_counts = (
        checked(support_by_attainment, shape=(3, 4)),
        checked(support_by_activity, shape=(3, 3)),
    )
    bands = exact.any(axis=0) | noisy.any(axis=0)
    terciles = exact.any(axis=1) | shared_counts.any(axis=0)
    support = correlation(
        noisy,
        epsilon=epsilon_attainment,
        column_scores=attainment_scores,
        live_columns=bands,
    )
    activity = correlation(
        exact,
        epsilon=None,
        row_scores=activity_scores,
        column_scores=attainment_scores,
        live_rows=terciles,
        live_columns=bands,
    )
    shared = correlation(
        shared_counts, epsilon=epsilon_activity, column_scores=activity_scores, live_columns=terciles
    )
    return _compared(support, activity, shared)


def _compared(support: Correlation, activity: Correlation, shared: Correlation) -> Comparison:
    """Return the comparison of two drivers whose own correlation is ``shared``."""
    difference, total = support.r - activity.r, support.r + activity.r
    variance = support.variance + activity.variance
    doubt = shared.standard_error
    error = _root(variance - 2.0 * covariance(support.r, activity.r, shared.r - doubt, activity.n))
    error_of_sum = _root(variance + 2.0 * covariance(support.r, activity.r, shared.r + doubt, activity.n))
    return Comparison(
        r_support=support.r,
        r_activity=activity.r,
        difference=difference,
        standard_error=error,
        interval=(difference - NORMAL_95 * error, difference + NORMAL_95 * error),
        claim=difference > CLAIM_AT * error and total > CLAIM_AT * error_of_sum,
        reverse=-difference > CLAIM_AT * error and total > CLAIM_AT * error_of_sum,
        r_support_activity=shared.r,
        standard_error_of_sum=error_of_sum,
        support=support,
        activity=activity,
    )


def covariance(first: float, second: float, shared: float, n: float) -> float:
    """Return the sampling covariance of two correlations with one outcome.

    Parameters
    ----------
    first, second : float
        The two correlations with the outcome.
    shared : float
        The correlation of the two drivers; taken within +-.6.
    n : float
        Reps [reps] from whom both come, or the larger number where one set holds the other.

    Returns
    -------
    float
        The large-sample covariance.

    Raises
    ------
    ZeroDivisionError
        If ``n`` is 0.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (large-sample covariance of two correlations that share a variable).

    Examples
    --------
    >>> covariance(0.0, 0.0, 0.5, 100.0)
    0.005
    """
    c = min(max(shared, -LARGEST_DRIVER_R), LARGEST_DRIVER_R)
    rest = 1.0 - first**2 - second**2
    return (c * rest - first * second / 2.0 * (rest - c**2)) / n


def _root(variance: float) -> float:
    """Return the root of a variance; r at its bounds can leave a difference of variances below zero."""
    return math.sqrt(max(variance, TINY))
