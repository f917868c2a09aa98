"""The public arithmetic of noise, gate and power: what a plan can show, from public sizes alone."""

import math
from collections.abc import Mapping
from statistics import NormalDist

MICRO = 1_000_000
"""Budgets are kept in integer millionths of an epsilon."""

CLAIM_AT = 2.1
"""A claim needs a difference of this many standard errors."""

# Sampling variance of one rep's Support band score (-1, 0, 1) used for planning only.
PLANNING_SCORE_VARIANCE = 0.56


def noise_variance(epsilon: float) -> float:
    """Return the variance of discrete Laplace noise for unit L1 sensitivity.

    Parameters
    ----------
    epsilon : float
        Budget of the table [epsilon], above 0.

    Returns
    -------
    float
        ``V = 2 q / (1 - q)^2`` with ``q = exp(-epsilon)`` [counts^2].

    Raises
    ------
    ZeroDivisionError
        If epsilon is 0: no budget, no finite noise.

    Notes
    -----
    Privacy: post-processing; a public constant of the plan.
    Source: statistics.md, section 2; the two-sided geometric distribution of arXiv 0811.2841.

    Examples
    --------
    >>> round(noise_variance(0.5), 3)
    7.835
    """
    q = math.exp(-epsilon)
    return 2.0 * q / math.expm1(-epsilon) ** 2


def laplace_scale(epsilon_micro: int) -> float:
    """Return the scale of the integer Laplace mechanism for unit L1 sensitivity.

    Parameters
    ----------
    epsilon_micro : int
        Budget of the table [micro-epsilon], above 0.

    Returns
    -------
    float
        ``1 / epsilon`` [counts].

    Raises
    ------
    ZeroDivisionError
        If the budget is 0.

    Notes
    -----
    Privacy: post-processing; a public constant of the plan.
    Source: arXiv 2004.00010, section 5 (discrete Laplace); statistics.md, section 2.

    Examples
    --------
    >>> laplace_scale(500_000)
    2.0
    """
    return MICRO / epsilon_micro


def surety(epsilon: float) -> int:
    """Return how sure, in 100, somebody undecided could become.

    Parameters
    ----------
    epsilon : float
        Privacy loss [epsilon].

    Returns
    -------
    int
        ``100 e^x / (1 + e^x)``, rounded; 50 says that nothing was learnt.

    Raises
    ------
    OverflowError
        If epsilon is below about -709; a loss is never negative.

    Notes
    -----
    Privacy: post-processing; a reading of the ledger.
    Source: statistics.md, unit of protection (Bayes' rule from even odds).

    Examples
    --------
    >>> surety(0.0), surety(4.0)
    (50, 98)
    """
    return round(100.0 / (1.0 + math.exp(-epsilon)))


def odds_in_100(costs: Mapping[str, int], *, answers_micro: int, participation_micro: int) -> dict[str, int]:
    """Return the three odds that are printed for reps and executives.

    Parameters
    ----------
    costs : mapping of str to int
        What the tables cost together that an answer feeds, by answer [micro-epsilon].
    answers_micro : int
        What all tables cost together [micro-epsilon].
    participation_micro : int
        What the groups' coins cost; 0 where none was tossed [micro-epsilon].

    Returns
    -------
    dict of str to int
        In 100. ``one``: about one answer, the costliest, x = twice its cost. ``all``: about all answers
        together, x = twice the budget. ``shown``: about taking part, from a group's shown-or-hidden
        state alone, x = the coin's epsilon; 50 where no coin was tossed.

    Raises
    ------
    OverflowError
        Never for costs within the caps.

    Notes
    -----
    Privacy: post-processing; a reading of plan or ledger, true except with chance sum of the deltas.
    Source: statistics.md, unit of protection.

    Examples
    --------
    >>> odds_in_100({"support": 850_000, "flag": 150_000}, answers_micro=10**6, participation_micro=10**6)
    {'one': 85, 'all': 88, 'shown': 73}
    """
    return {
        "one": surety(2 * max(costs.values(), default=0) / MICRO),
        "all": surety(2 * answers_micro / MICRO),
        "shown": surety(participation_micro / MICRO),
    }


def driver_standard_error(
    answers: float, frame: float, epsilon: float, *, design_effect: float = 1.0
) -> float:
    """Return the planned standard error of ``r_S - r_A`` before anyone is asked.

    Parameters
    ----------
    answers : float
        Expected responses n [reps].
    frame : float
        Invited reps with results N [reps].
    epsilon : float
        Budget of table B [epsilon].
    design_effect : float
        Factor on the sampling variance for teams that are alike, at least 1.

    Returns
    -------
    float
        ``sqrt(.85 d/n + .95/N + 15.6 V/n^2)``; falls as answers, frame or budget grow.

    Raises
    ------
    ZeroDivisionError
        If epsilon is 0.

    Notes
    -----
    Privacy: post-processing; uses public sizes only.
    Source: statistics.md, section 2 (within 4 % of simulation from N = 150).

    Examples
    --------
    >>> round(driver_standard_error(280, 400, 0.5), 4)
    0.0835
    """
    n = max(answers, 1.0)
    variance = noise_variance(epsilon)
    return math.sqrt(0.85 * design_effect / n + 0.95 / max(frame, 1.0) + 15.6 * variance / n**2)


def driver_power(
    answers: float, frame: float, epsilon: float, *, gap: float = 0.30, design_effect: float = 1.0
) -> float:
    """Return the chance that a true gap between the two drivers is claimed.

    Parameters
    ----------
    answers, frame : float
        Expected responses and invited reps with results [reps].
    epsilon : float
        Budget of table B [epsilon].
    gap : float
        True ``r_S - r_A`` [correlation].
    design_effect : float
        Factor on the sampling variance, at least 1.

    Returns
    -------
    float
        Between 0 and 1; non-decreasing in every size.

    Raises
    ------
    ZeroDivisionError
        If epsilon is 0.

    Notes
    -----
    Privacy: post-processing; uses public sizes only.
    Source: statistics.md, sections 2 and 5 (a claim needs 2.1 standard errors).

    Examples
    --------
    >>> round(driver_power(280, 400, 0.5), 2)
    0.93
    """
    error = driver_standard_error(answers, frame, epsilon, design_effect=design_effect)
    return NormalDist().cdf(gap / error - CLAIM_AT)


def publish_chance(n: int, k: int, *, epsilon: float, delta: float) -> float:
    """Return the chance that a group is shown (the gate's public arithmetic).

    Parameters
    ----------
    n : int
        True answers in the group [sheets].
    k : int
        Hard minimum [sheets].
    epsilon, delta : float
        Cost of the coin, per group and cycle; both above 0.

    Returns
    -------
    float
        ``pi(n - k + 1)``: non-decreasing in ``n``, 0 below ``k``.

    Raises
    ------
    OverflowError
        If epsilon is beyond the range of ``exp``.

    Notes
    -----
    Privacy: post-processing; tells what a coin would do, spends nothing.
    Source: arXiv 2006.03684; statistics.md, section 3.

    Examples
    --------
    >>> publish_chance(9, 10, epsilon=1.0, delta=1e-6)
    0.0
    >>> publish_chance(10, 10, epsilon=1.0, delta=1e-6)
    1e-06
    """
    chance = 0.0
    for _ in range(n - k + 1):
        up = math.exp(epsilon) * chance + delta
        chance = min(up, 1.0 - math.exp(-epsilon) * (1.0 - chance - delta), 1.0)
        if chance >= 1.0:
            break
    return chance


def predicted_half_width(invited: int, epsilon: float, *, response: float) -> float:
    """Return the planned half-width of a group's Support, from sampling and noise.

    Parameters
    ----------
    invited : int
        Roster of the group [reps].
    epsilon : float
        Budget of table H [epsilon].
    response : float
        Expected share of answers, above 0 and at most 1.

    Returns
    -------
    float
        Half of the 95 % interval [points of 100]; over 10 the group's state is ``wide``.

    Raises
    ------
    ZeroDivisionError
        If epsilon is 0.

    Notes
    -----
    Privacy: post-processing; uses public sizes only.
    Source: statistics.md, sections 3 (R0) and 4 (score SD ``sqrt(2 V) / n``).

    Examples
    --------
    >>> round(predicted_half_width(200, 0.8, response=0.7), 1)
    6.4
    """
    n = max(invited * response, 1.0)
    variance = PLANNING_SCORE_VARIANCE / n + 2.0 * noise_variance(epsilon) / n**2
    return 50.0 * 1.96 * math.sqrt(variance)
