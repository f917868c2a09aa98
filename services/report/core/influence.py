"""The influence function of a correlation in a table: what one sheet, or one unit of noise, moves."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.protocol.arithmetic import MICRO, noise_variance
from services.report.core.arrays import Array, InvalidTable, Mask

FEWEST_ANSWERS: Final = 8.0
SMALLEST_VARIANCE: Final = 0.2
LARGEST_R: Final = 0.98
SMALLEST_INFLUENCE: Final = 0.05
TINY: Final = 1e-9


def live_cells(counts: Array, rows: npt.ArrayLike | None, columns: npt.ArrayLike | None) -> Mask:
    """Return which cells of a table can hold a count.

    Parameters
    ----------
    counts : ndarray
        Counts [sheets or reps], shape (r, c).
    rows, columns : array_like of bool or None
        Live bands, shapes (r,) and (c,); None where all are live.

    Returns
    -------
    ndarray of bool
        Shape (r, c).

    Raises
    ------
    InvalidTable
        If a mask has another length, nothing is live, or an emptied band holds a count.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 1 (an emptied column is zero, masked and free of noise).

    Examples
    --------
    >>> live_cells(np.array([[3.0, 0.0], [1.0, 0.0]]), None, [True, False]).tolist()
    [[True, False], [True, False]]
    """
    by_row = np.ones(counts.shape[0], dtype=bool) if rows is None else np.asarray(rows, dtype=bool)
    by_column = np.ones(counts.shape[1], dtype=bool) if columns is None else np.asarray(columns, dtype=bool)
    if (by_row.size, by_column.size) != counts.shape:
        raise InvalidTable("a mask does not have the length of its side")
    live: Mask = np.outer(by_row, by_column)
    if not live.any() or counts[~live].any():
        raise InvalidTable("no band is live, or an emptied band holds a count")
    return live


def r_and_influence(
    shares: Array, row_scores: Sequence[float], column_scores: Sequence[float]
) -> tuple[float, Array]:
    """Return the correlation in a table of shares, and its influence function.

    Parameters
    ----------
    shares : ndarray
        Shares of a table, shape (r, c), as they are: noise can leave some below 0.
    row_scores, column_scores : sequence of float
        Scores of the bands, lengths r and c.

    Returns
    -------
    tuple of float and ndarray
        r within +-.98; by cell ``z_x z_y - r/2 (z_x^2 + z_y^2)``, shape (r, c).

    Raises
    ------
    InvalidTable
        If a score is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5; variances are floored at .2.

    Examples
    --------
    >>> r, influence = r_and_influence(np.eye(3) / 3, (-1, 0, 1), (-1, 0, 1))
    >>> r, influence.shape
    (0.98, (3, 3))
    """
    x, y = np.asarray(row_scores, dtype=np.float64), np.asarray(column_scores, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidTable("a score is not a finite number")
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    mean_x, mean_y = float(rows @ x), float(columns @ y)
    spread_x = math.sqrt(max(float(rows @ x**2) - mean_x**2, SMALLEST_VARIANCE))
    spread_y = math.sqrt(max(float(columns @ y**2) - mean_y**2, SMALLEST_VARIANCE))
    r = (float(x @ shares @ y) - mean_x * mean_y) / (spread_x * spread_y)
    r = min(max(r, -LARGEST_R), LARGEST_R)
    z_x, z_y = (x - mean_x)[:, None] / spread_x, (y - mean_y)[None, :] / spread_y
    return r, z_x * z_y - r / 2.0 * (z_x**2 + z_y**2)


def mean_square(influence: Array, counts: Array, live: Mask) -> float:
    """Return the mean squared influence of one sheet: n times the sampling variance of r.

    Parameters
    ----------
    influence, counts : ndarray
        Influence and counts [sheets or reps] by cell, shape (r, c).
    live : ndarray of bool
        Cells that can hold a count, shape (r, c).

    Returns
    -------
    float
        Over the positive part of the shares, at least .05.

    Raises
    ------
    ZeroDivisionError
        Never for a mask from ``live_cells``.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5.

    Examples
    --------
    >>> mean_square(np.array([[1.0, 2.0]]), np.array([[10.0, 0.0]]), np.array([[True, False]]))
    1.0
    """
    n = max(float(counts.sum()), FEWEST_ANSWERS)
    positive = np.where(live, np.maximum(counts / n, 0.0) + TINY, 0.0)
    return max(float((positive * influence**2).sum() / positive.sum()), SMALLEST_INFLUENCE)


def noise_sum(influence: Array, live: Mask, epsilon: float | None) -> float:
    """Return what privacy noise adds to the variance of r, times n squared.

    Parameters
    ----------
    influence : ndarray
        Influence by cell, shape (r, c).
    live : ndarray of bool
        Cells that carry noise, shape (r, c).
    epsilon : float or None
        Budget of the table; None for an exact one.

    Returns
    -------
    float
        Noise variance of a cell times the squared influence summed over live cells.

    Raises
    ------
    InvalidTable
        If epsilon is under one millionth or not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5.

    Examples
    --------
    >>> noise_sum(np.array([[1.0, 2.0]]), np.array([[True, True]]), None)
    0.0
    """
    return cell_variance(epsilon) * float((influence[live] ** 2).sum())


def cell_variance(epsilon: float | None) -> float:
    """Return the noise variance of one released cell.

    Parameters
    ----------
    epsilon : float or None
        Budget of the table; None for an exact one.

    Returns
    -------
    float
        Variance [sheets^2] of the discrete Laplace noise; 0 for an exact table.

    Raises
    ------
    InvalidTable
        If epsilon is under one millionth or not finite.

    Notes
    -----
    Privacy: post-processing; the budget is public.
    Source: statistics.md, section 2.

    Examples
    --------
    >>> cell_variance(None), round(cell_variance(0.5), 2)
    (0.0, 7.84)
    """
    if epsilon is None:
        return 0.0
    if not 1.0 / MICRO <= epsilon < math.inf:
        raise InvalidTable("a budget is a finite number of at least one millionth")
    return noise_variance(epsilon)
