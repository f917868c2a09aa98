"""From results to words: rounded numbers put into sentences of the catalogue."""

from dataclasses import dataclass

from services.report.core import catalogue
from services.report.core.drivers import Correlation
from services.report.core.evidence import ACTIVITY
from services.report.core.explanations import Verdict
from services.report.core.five import EXPLAINED_BY, Explanation
from services.report.core.groups import Reading


@dataclass(frozen=True)
class ExplanationWords:
    """One row of the five explanations, in words."""

    name: str
    would_see: str
    seen: str
    state: str
    next_step: str


def figure(value: float) -> str:
    """Return a correlation or difference with at most two significant digits.

    Parameters
    ----------
    value : float
        Between -2 and 2.

    Returns
    -------
    str
        Two decimals under 1, one from there on; never a negative zero.

    Raises
    ------
    ValueError
        If the value is not a finite number.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (at most two significant digits).

    Examples
    --------
    >>> figure(0.3349), figure(-0.004), figure(1.234), figure(0.996)
    ('0.33', '0.00', '1.2', '1.0')
    """
    if not abs(value) < float("inf"):
        raise ValueError("a figure is a finite number")
    text = f"{value:.2f}" if abs(round(value, 2)) < 1.0 else f"{value:.1f}"
    return "0.00" if text == "-0.00" else text


def explanation_words(explanation: Explanation, verdict: Verdict) -> ExplanationWords:
    """Return one row of the five explanations in words.

    Parameters
    ----------
    explanation : Explanation
        One of the verdict's five.
    verdict : Verdict
        For the outcome of the record check.

    Returns
    -------
    ExplanationWords
        What we would see if it were true, what we see, its state and a next step.

    Raises
    ------
    KeyError
        If the explanation is not one of the five.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E4.

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> verdict = decide(Evidence({}, None, None, {}, (), 0))
    >>> row = explanation_words(verdict.explanation("effort"), verdict)
    >>> row.name, row.state
    ('Effort is missing', 'Not measured')
    """
    special = explanation.state in ("not_measured", "evidence_against")
    return ExplanationWords(
        name=catalogue.EXPLANATIONS[explanation.name],
        would_see=catalogue.WOULD_SEE[explanation.name],
        seen=" ".join(_seen(explanation, verdict)),
        state=catalogue.EXPLANATION_STATES[explanation.state],
        next_step=catalogue.NEXT_STEPS[explanation.state if special else explanation.name],
    )


def state_words(reading: Reading, *, k: int) -> str:
    """Return what a cell of the group table says.

    Parameters
    ----------
    reading : Reading
        A group's or the company's reading.
    k : int
        Hard minimum [sheets], named beside hidden groups.

    Returns
    -------
    str
        Value and range in whole points where the state allows one; else the state's own words.

    Raises
    ------
    KeyError
        If the state is not one of the seven.

    Notes
    -----
    Privacy: post-processing; a hidden group has one text whatever the cause.
    Source: pages.md, states of a result.

    Examples
    --------
    >>> from services.report.core.scores import Value
    >>> state_words(Reading("shown", Value(62.3, 6.0, 2.0, 120.0)), k=10)
    '62 (56-68)'
    """
    words = catalogue.STATES[reading.state]
    if reading.value is None:
        return words.format(k=k)
    low, high = reading.value.interval
    return words.format(value=round(reading.value.mean), low=round(low), high=round(high))


def driver_words(driver: Correlation, *, exact: bool) -> str:
    """Return a driver's r with its range, and where it comes from.

    Parameters
    ----------
    driver : Correlation
        r with its variance.
    exact : bool
        Whether it comes from company records, which carry no noise.

    Returns
    -------
    str
        Such as "0.37 (0.25 to 0.49, includes privacy noise)".

    Raises
    ------
    ValueError
        If a bound is not a finite number.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E3.

    Examples
    --------
    >>> driver_words(Correlation(0.37, 0.003, 0.001, 280.0), exact=False)
    '0.37 (0.25 to 0.49, includes privacy noise)'
    """
    return catalogue.NOTES["records" if exact else "released"].format(
        value=figure(driver.r), low=figure(driver.low), high=figure(driver.high)
    )


def driver_name(name: str | None) -> str:
    """Return a driver's name on pages.

    Parameters
    ----------
    name : str or None
        One of DRIVERS; None where a sentence names no driver.

    Returns
    -------
    str
        The name, or nothing for None.

    Raises
    ------
    KeyError
        If there is no such driver.

    Notes
    -----
    Privacy: exact (a public word).
    Source: pages.md, R2 and E3.

    Examples
    --------
    >>> driver_name("alignment")
    'Direction'
    """
    return catalogue.DRIVERS[name] if name is not None else ""


def indicator_name(name: str) -> str:
    """Return a recorded indicator as pages call it.

    Parameters
    ----------
    name : str
        A column of the results file; further numeric ones begin with ``x_``.

    Returns
    -------
    str
        Named so that a favourable r is positive: a short time is good, so it is "fast" or "short".

    Raises
    ------
    Nothing
        Columns the catalogue does not know are named after themselves.

    Notes
    -----
    Privacy: exact (a public word).
    Source: system.md, section 7 (results file).

    Examples
    --------
    >>> indicator_name("first_response_hours"), indicator_name("x_site_visits")
    ('Fast first response', 'Site visits')
    """
    return catalogue.INDICATORS.get(name, name.removeprefix("x_").replace("_", " ").capitalize())


def basis_words(name: str, found: tuple[float, float, float], *, exact: bool) -> str:
    """Return what a driver or recorded indicator was found to be, as a sentence.

    Parameters
    ----------
    name : str
        What pages call it.
    found : tuple of float
        r and the ends of its interval.
    exact : bool
        Whether it comes from company records, which carry no noise.

    Returns
    -------
    str
        One sentence with the three figures.

    Raises
    ------
    ValueError
        If one of them is not a finite number.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E1 and E4.

    Examples
    --------
    >>> basis_words("Support", (0.37, 0.25, 0.49), exact=False)
    'Support goes with results at 0.37 (0.25 to 0.49, includes privacy noise).'
    """
    value, low, high = (figure(number) for number in found)
    sentence = catalogue.BASIS["records" if exact else "released"]
    return sentence.format(driver=name, value=value, low=low, high=high)


def _seen(explanation: Explanation, verdict: Verdict) -> tuple[str, ...]:
    """Return what is seen of an explanation, with its figures."""
    if explanation.value is None or explanation.low is None or explanation.high is None:
        return (catalogue.SEEN["not_measured"],)
    if explanation.name == "quota":
        return _seen_quota(explanation, explanation.value, explanation.low, explanation.high)
    driver = EXPLAINED_BY[explanation.name]
    sentence = basis_words(
        driver_name(driver),
        (explanation.value, explanation.low, explanation.high),
        exact=driver == ACTIVITY,
    )
    if explanation.name == "territory" and verdict.named == driver and verdict.record_check == "failed":
        return sentence, catalogue.SEEN["territory_unconfirmed"]
    if explanation.name == "territory" and verdict.form == "fix_patch" and verdict.named != driver:
        return sentence, catalogue.SEEN["territory_stricter"]
    return (sentence,)


def _seen_quota(explanation: Explanation, value: float, low: float, high: float) -> tuple[str, ...]:
    """Return what is seen of the share that hit quota, in whole per cent."""
    percent = {"value": round(100 * value), "low": round(100 * low), "high": round(100 * high)}
    if explanation.state == "not_measured":
        return (catalogue.SEEN["quota_not_measured"].format(**percent),)
    found = [catalogue.SEEN["quota"].format(**percent)]
    if explanation.best_third_high is not None:
        found.append(catalogue.SEEN["quota_best"].format(high=round(100 * explanation.best_third_high)))
    return tuple(found)
