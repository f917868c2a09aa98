"""The page's version of a driver: weighted to the frame, and widened for reps who share a team."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.report.core.arrays import InvalidTable, checked
from services.report.core.drivers import ATTAINMENT_SCORES, BAND_SCORES, Correlation
from services.report.core.influence import (
    FEWEST_ANSWERS,
    TINY,
    live_cells,
    mean_square,
    noise_sum,
    r_and_influence,
)

ICC_SUPPORT: Final = 0.3
"""Assumed share of Support's variance between teams; the release can't estimate it."""

WEIGHT_RANGE: Final = (0.2, 5.0)
COLUMN_FLOOR: Final = 8.0


def stratified_correlation(
    table: npt.ArrayLike,
    *,
    epsilon: float,
    frame_columns: npt.ArrayLike,
    row_scores: Sequence[float] = BAND_SCORES,
    column_scores: Sequence[float] = ATTAINMENT_SCORES,
    live_columns: npt.ArrayLike | None = None,
    design_effect: float = 1.0,
) -> Correlation:
    """Return the correlation in one released table after weighting its columns to the frame.

    Parameters
    ----------
    table : array_like
        Noisy counts [sheets], shape (r, c), slowest in the driver.
    epsilon : float
        Budget of the table's discrete Laplace noise.
    frame_columns : array_like
        Exact counts of all invited by column [reps], shape (c,).
    row_scores, column_scores : sequence of float
        Scores of the bands, lengths r and c.
    live_columns : array_like of bool, optional
        Columns that can hold a count, shape (c,).
    design_effect : float
        Factor on the sampling variance for reps who share a team, at least 1.

    Returns
    -------
    Correlation
        r within +-.98; its variance includes that of the frame itself.

    Raises
    ------
    InvalidTable
        If shapes differ, the frame is empty, or the design effect is under 1.

    Notes
    -----
    Privacy: post-processing; the frame's counts are exact and public.
    Source: statistics.md, section 5 (post-stratified version). Weighting takes out non-response that
    depends on attainment; within a column who answers is taken to be chance.

    Examples
    --------
    >>> table = [[60, 20, 5, 5], [20, 40, 20, 10], [10, 10, 10, 30]]
    >>> round(stratified_correlation(table, epsilon=0.5, frame_columns=[90, 70, 90, 110]).r, 3)
    0.536
    """
    counts = checked(table, shape=(len(row_scores), len(column_scores)))
    live = live_cells(counts, None, live_columns)
    n = max(float(counts.sum()), FEWEST_ANSWERS)
    frame = checked(np.reshape(frame_columns, (1, -1)), shape=(1, counts.shape[1]))[0]
    if frame.sum() <= 0.0 or frame.min() < 0.0:
        raise InvalidTable("a frame holds at least one rep, and no negative count")
    frame_shares = frame / frame.sum()
    weights = np.clip(frame_shares * n / np.maximum(counts.sum(axis=0), COLUMN_FLOOR), *WEIGHT_RANGE)
    shares = counts * weights / max(float((counts * weights).sum()), FEWEST_ANSWERS)
    r, influence = r_and_influence(shares, row_scores, column_scores)
    within = np.maximum(counts, 0.0) + TINY
    column_means = (within * influence).sum(axis=0) / within.sum(axis=0)
    moved = (influence - column_means) * weights
    between = float(frame_shares @ column_means**2 - (frame_shares @ column_means) ** 2)
    sampling = mean_square(moved, counts, live) / n + between / float(frame.sum())
    noise = noise_sum(moved, live, epsilon) / n**2
    return Correlation(r, _checked_effect(design_effect) * sampling, noise, n)


def design_effect(respondents_per_team: float, *, icc_attainment: float | None) -> float:
    """Return the factor by which shared teams widen the sampling variance of a driver.

    Parameters
    ----------
    respondents_per_team : float
        Expected answers per team [sheets].
    icc_attainment : float or None
        Intraclass correlation of attainment by team, from the records; below 0 or None counts as 0.

    Returns
    -------
    float
        At least 1.

    Raises
    ------
    InvalidTable
        If an input is not a finite number, or the correlation is above 1.

    Notes
    -----
    Privacy: exact (records and public sizes only).
    Source: statistics.md, section 5; the ICC of Support is assumed to be .3.

    Examples
    --------
    >>> round(design_effect(8.0, icc_attainment=0.1), 2)
    1.21
    >>> design_effect(8.0, icc_attainment=None)
    1.0
    """
    icc = 0.0 if icc_attainment is None else icc_attainment
    if not (math.isfinite(respondents_per_team) and math.isfinite(icc) and icc <= 1.0):
        raise InvalidTable("team size and intraclass correlation are finite, the latter at most 1")
    return 1.0 + max(respondents_per_team - 1.0, 0.0) * ICC_SUPPORT * max(icc, 0.0)


def _checked_effect(effect: float) -> float:
    """Return the design effect; refuse one that would narrow an interval."""
    if not 1.0 <= effect < math.inf:
        raise InvalidTable("a design effect is a finite number of at least 1")
    return effect
