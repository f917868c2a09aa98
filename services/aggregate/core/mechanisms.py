"""The mechanisms: calibrated integer noise from OpenDP, drawn from the operating system's randomness.

This is the only importer of opendp; ``opendp.prelude`` would cost 4.5 s and is not used.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace
from opendp.metrics import l1_distance, l2_distance
from opendp.mod import enable_features

from services.aggregate.core.budget import InvalidBudget, positive

enable_features("contrib")

Counts = npt.NDArray[np.int64]


class InvalidCounts(TypeError):
    """What should get noise is not an array of integers that fit 64 bits."""


def discrete_laplace(counts: npt.ArrayLike, *, epsilon: float) -> Counts:
    """Return ``counts`` with discrete Laplace noise for unit L1 sensitivity.

    Parameters
    ----------
    counts : array of int, any shape
        Exact counts [sheets]; one rep changes them by at most 1 in L1 against a blank response.
    epsilon : float
        What the call spends; above 0.

    Returns
    -------
    ndarray of int64
        Noisy counts in the same shape; the input is left as it is. The noise has
        ``P(z) = (1 - q)/(1 + q) q^|z|`` with ``q = exp(-epsilon)``.

    Raises
    ------
    InvalidBudget
        If epsilon is not a positive finite number, or OpenDP does not certify it.
    InvalidCounts
        If counts are not integers.

    Notes
    -----
    Privacy: spends epsilon, checked against OpenDP's own privacy map before anything is drawn.
    Source: arXiv 2004.00010 (exact integer sampling); OpenDP 0.16 ``make_laplace``.

    Examples
    --------
    >>> discrete_laplace(np.array([[4, 0], [7, 2]]), epsilon=0.5).shape
    (2, 2)
    """
    exact = _integers(counts)
    return _apply(_laplace_within(positive(epsilon, "epsilon")), exact)


def discrete_gaussian(sums: npt.ArrayLike, *, scale: float) -> Counts:
    """Return ``sums`` with discrete Gaussian noise.

    Parameters
    ----------
    sums : array of int, any shape
        Exact integer feature sums.
    scale : float
        The sigma of the noise, in units of ``sums``; above 0.

    Returns
    -------
    ndarray of int64
        Noisy sums in the same shape; the input is left as it is.

    Raises
    ------
    InvalidBudget
        If scale is not a positive finite number, or is so small that the cost is infinite.
    InvalidCounts
        If sums are not integers.

    Notes
    -----
    Privacy: spends ``rho = d^2 / (2 scale^2)`` of zCDP for sums that one rep changes by d in L2.
    Source: arXiv 2004.00010; OpenDP 0.16 ``make_gaussian``.

    Examples
    --------
    >>> discrete_gaussian(np.zeros(3, dtype=np.int64), scale=900.0).dtype
    dtype('int64')
    """
    exact = _integers(sums)
    measurement: Any = make_gaussian(_vectors(), l2_distance(T="f64"), scale=positive(scale, "scale"))
    if not math.isfinite(measurement.map(1.0)):
        raise InvalidBudget("scale is too small to protect anything")
    return _apply(measurement, exact)


@lru_cache(maxsize=32)
def _laplace_within(epsilon: float) -> Any:
    """Return OpenDP's integer Laplace whose own privacy map costs at most ``epsilon``.

    Kept, because building and certifying it takes longer than drawing a table; it holds no randomness.
    """
    scale = positive(1.0 / epsilon, "scale")
    if _cost(_laplace(scale)) > epsilon:
        # 1/epsilon was rounded down by half a unit in the last place: .35 would cost .35 + 6e-17.
        scale = math.nextafter(scale, math.inf)
    return _certified(_laplace(scale), epsilon)


def _laplace(scale: float) -> Any:
    return make_laplace(_vectors(), l1_distance(T="i64"), scale=scale)


def _cost(measurement: Any) -> float:
    """Return the epsilon of a change by 1, as the noise library proves it."""
    return float(measurement.map(1))


def _certified(measurement: Any, epsilon: float) -> Any:
    if _cost(measurement) > epsilon:
        raise InvalidBudget("epsilon is not certified by the noise library")
    return measurement


def _vectors() -> Any:
    return vector_domain(atom_domain(T="i64"))


def _integers(values: npt.ArrayLike) -> Counts:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or not np.can_cast(array.dtype, np.int64):
        raise InvalidCounts("noise is added to integers of at most 64 bits only")
    return array.astype(np.int64)


def _apply(measurement: Any, exact: Counts) -> Counts:
    noisy = np.array(measurement(exact.ravel()), dtype=np.int64)
    return noisy.reshape(exact.shape)
