"""The tests a verdict is made of: the record check, the one driver that leads, what is not separated."""

import math
from typing import Final, Literal

from services.protocol.arithmetic import CLAIM_AT
from services.report.core.evidence import ACTIVITY, CONDITIONS, DRIVERS, Evidence, exceeds, separation

Check = Literal["passed", "failed", "not_measured"]

SMALLEST_LEVER: Final = 0.15
"""The smallest r worth acting on."""

RECORDED_LEAST: Final = 0.10
SEPARATED: Final = 1.3
OTHER_CONDITIONS: Final = tuple(name for name in CONDITIONS if name != "support")


def record_check(evidence: Evidence) -> Check:
    """Return whether the company's own records of the patch agree that richer patches do better.

    Parameters
    ----------
    evidence : Evidence
        Recorded indicators and the r of activity.

    Returns
    -------
    str
        ``passed`` if some patch indicator has a lower bound of at least .10 (one-sided, shared over all
        patch indicators) and an r above that of activity; ``not_measured`` without patch indicator or
        activity; else ``failed``.

    Raises
    ------
    Nothing
        Every evidence has an outcome.

    Notes
    -----
    Privacy: exact (company records only).
    Source: statistics.md, section 5 (record check). It keeps reps who missed, and therefore rate their
    patch low, from deciding the verdict.

    Examples
    --------
    >>> record_check(Evidence({}, None, None, {}, (), 0))
    'not_measured'
    """
    patch = [indicator for indicator in evidence.indicators if indicator.patch]
    if not patch or ACTIVITY not in evidence.drivers:
        return "not_measured"
    activity = abs(evidence.drivers[ACTIVITY].r)
    agrees = any(found.lower >= RECORDED_LEAST and found.r > activity for found in patch)
    return "passed" if agrees else "failed"


def leader(evidence: Evidence) -> str | None:
    """Return the one driver that exceeds all others beyond chance and noise, if there is one.

    Parameters
    ----------
    evidence : Evidence
        A driver is named only if all four conditions and activity were measured.

    Returns
    -------
    str or None
        A name of DRIVERS whose r is at least .15, above 0 and above the absolute r of every other
        driver, each at 2.1 standard errors.

    Raises
    ------
    Nothing
        Absent drivers give None.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (five explanations, strict rule).

    Examples
    --------
    >>> from services.report.core.drivers import Correlation
    >>> drivers = {name: Correlation(0.05, 0.002, 0.001, 400.0) for name in DRIVERS}
    >>> drivers["capability"] = Correlation(0.45, 0.002, 0.001, 400.0)
    >>> leader(Evidence(drivers, None, None, {}, (), 500))
    'capability'
    """
    if any(name not in evidence.drivers for name in DRIVERS):
        return None
    for name in DRIVERS:
        others = (other for other in DRIVERS if other != name)
        if matters(evidence, name) and all(exceeds(evidence, name, other) for other in others):
            return name
    return None


def not_separated(evidence: Evidence) -> tuple[str, ...]:
    """Return the other conditions that Support does not clearly exceed, or that were not measured.

    Parameters
    ----------
    evidence : Evidence
        Drivers of the cycle.

    Returns
    -------
    tuple of str
        Of capability, alignment and motivation those with (r_S - r_k)/se of at most 1.3.

    Raises
    ------
    Nothing
        Absent drivers count as not separated.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (verdict form 2).

    Examples
    --------
    >>> not_separated(Evidence({}, None, None, {}, (), 0))
    ('capability', 'alignment', 'motivation')
    """
    if "support" not in evidence.drivers:
        return OTHER_CONDITIONS
    return tuple(
        name
        for name in OTHER_CONDITIONS
        if name not in evidence.drivers or separation(evidence, "support", name) <= SEPARATED
    )


def more_answers(evidence: Evidence) -> int | None:
    """Return about how many more answers would let the difference seen be claimed as often as not.

    Parameters
    ----------
    evidence : Evidence
        Needs the comparison and the frame.

    Returns
    -------
    int or None
        More answers [sheets] in tens; None where even the whole frame would not do, or where answers
        were not what was missing.

    Raises
    ------
    Nothing
        Absent inputs give None.

    Notes
    -----
    Privacy: post-processing and public sizes.
    Source: statistics.md, section 5 (verdict form 9). Of the variance seen, Support's sampling part
    falls with n and its noise part with n squared; the rest belongs to the frame and stays.

    Examples
    --------
    >>> more_answers(Evidence({}, None, None, {}, (), 400)) is None
    True
    """
    comparison = evidence.comparison
    if comparison is None or comparison.claim or comparison.reverse:
        return None
    support, gap = comparison.support, abs(comparison.difference)
    fixed = max(comparison.standard_error**2 - support.variance, 0.0)
    for more in range(10, evidence.frame - int(support.n) + 1, 10):
        left = support.n / (support.n + more)
        variance = fixed + support.sampling_variance * left + support.noise_variance * left**2
        if gap > CLAIM_AT * math.sqrt(variance):
            return more
    return None


def matters(evidence: Evidence, name: str) -> bool:
    """Return whether a driver is above 0 beyond chance and noise, and large enough to act on.

    Parameters
    ----------
    evidence : Evidence
        Must hold the driver.
    name : str
        One of DRIVERS.

    Returns
    -------
    bool
        Whether r is above 2.1 standard errors and at least .15.

    Raises
    ------
    KeyError
        If the driver was not measured.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5.

    Examples
    --------
    >>> from services.report.core.drivers import Correlation
    >>> small = {"support": Correlation(0.1, 0.0001, 0.0001, 5000.0)}
    >>> matters(Evidence(small, None, None, {}, (), 6000), "support")
    False
    """
    driver = evidence.drivers[name]
    return driver.r > CLAIM_AT * driver.standard_error and driver.r >= SMALLEST_LEVER
