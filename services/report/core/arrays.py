"""Released tables as arrays: counts with a mask of the columns that can hold one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class InvalidTable(ValueError):
    """A table does not have the shape, or the numbers, that its formula needs."""


def counts(rows: Sequence[Sequence[int | None]]) -> tuple[Array, Mask]:
    """Return released counts as an array, and which columns hold one.

    Parameters
    ----------
    rows : sequence of sequences of int or None
        ``noisy_counts`` of a released table [sheets], shape (r, c); a held or emptied cell is None.

    Returns
    -------
    tuple of arrays
        Counts with None as 0, shape (r, c), and the live columns, shape (c,).

    Raises
    ------
    InvalidTable
        If the rows differ in length, or a column is absent in some rows only.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 1 (an emptied column keeps its place, masked and free of noise).

    Examples
    --------
    >>> values, live = counts([[3, None], [4, None]])
    >>> values.tolist(), live.tolist()
    ([[3.0, 0.0], [4.0, 0.0]], [True, False])
    """
    if not rows or len({len(row) for row in rows}) != 1:
        raise InvalidTable("every row of a table has the same number of columns")
    present = np.array([[cell is not None for cell in row] for row in rows], dtype=bool)
    live: Mask = np.asarray(present.all(axis=0))
    if not np.array_equal(live, present.any(axis=0)):
        raise InvalidTable("a column is absent in some rows only")
    values = np.array([[0 if cell is None else cell for cell in row] for row in rows], dtype=np.float64)
    return values, live


def checked(table: npt.ArrayLike, *, shape: tuple[int, int] | None = None) -> Array:
    """Return ``table`` as a float array; refuse a wrong shape and anything that is not finite.

    Parameters
    ----------
    table : array_like
        Counts [sheets or reps], two-dimensional.
    shape : tuple of int, optional
        The shape it must have.

    Returns
    -------
    ndarray
        The same numbers, shape (r, c).

    Raises
    ------
    InvalidTable
        If the shape is another one, or a count is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (tables of three by four and three by three).

    Examples
    --------
    >>> checked([[1, 2], [3, 4]], shape=(2, 2)).sum()
    np.float64(10.0)
    """
    array = np.asarray(table, dtype=np.float64)
    if array.ndim != 2 or (shape is not None and array.shape != shape):
        raise InvalidTable("a table does not have its shape")
    if not np.isfinite(array).all():
        raise InvalidTable("a count is not a finite number")
    return array
