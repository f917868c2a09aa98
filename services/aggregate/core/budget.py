"""What may be a budget: the one check that epsilon, delta and noise scales pass before any use."""

import math
from decimal import ROUND_CEILING, Decimal

PICO = 10**12
"""Deltas are kept in integer units of 1e-12, so that sums do not drift."""

_SMALLEST_NORMAL = 2.0**-1022


class InvalidBudget(ValueError):
    """A budget or noise scale is not a positive, finite, normal number."""


def positive(value: object, name: str) -> float:
    """Return ``value`` as a float that noise can be calibrated with.

    Parameters
    ----------
    value : object
        A candidate for an epsilon, a delta or a noise scale.
    name : str
        What it is called in the refusal.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    InvalidBudget
        For 0, -0.0, negative, NaN, infinite and subnormal numbers, booleans, and all that is
        neither an int nor a float (a string in particular).

    Notes
    -----
    Privacy: exact; sees no answers. A scale of 0 makes OpenDP 0.16 add no noise without a word, and a
    subnormal one costs an infinite epsilon, so neither may come as far as the library.
    Source: decision of this project (statistics.md, section 2).

    Examples
    --------
    >>> positive(0.5, "epsilon")
    0.5
    >>> positive("0.5", "epsilon")
    Traceback (most recent call last):
    services.aggregate.core.budget.InvalidBudget: epsilon is not a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidBudget(f"{name} is not a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise InvalidBudget(f"{name} is too large") from error
    if not (math.isfinite(number) and number >= _SMALLEST_NORMAL):
        raise InvalidBudget(f"{name} is not a positive finite number")
    return number


def pico(delta: float) -> int:
    """Return a delta in integer units of 1e-12, rounded up.

    Parameters
    ----------
    delta : float
        0, or a positive number below 1.

    Returns
    -------
    int
        Of the decimal that is printed, not of its binary fraction, which may lie just above it.

    Raises
    ------
    InvalidBudget
        If delta is -0.0, negative, not finite, subnormal, not a number, or 1 and more.

    Notes
    -----
    Privacy: exact and public; rounding goes against the spender.
    Source: decision of this project.

    Examples
    --------
    >>> pico(1e-6), pico(5e-6), pico(1.5e-12), pico(0.0)
    (1000000, 5000000, 2, 0)
    """
    if type(delta) in (int, float) and delta == 0 and math.copysign(1.0, delta) > 0:
        return 0
    if positive(delta, "delta") >= 1.0:
        raise InvalidBudget("delta is not below 1")
    return int((Decimal(str(delta)) * PICO).to_integral_value(ROUND_CEILING))
