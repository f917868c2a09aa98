"""The verdict in words: its heading, its reasons with their numbers, and how sure it is."""

from collections.abc import Mapping, Sequence

from services.report.core import catalogue
from services.report.core.evidence import ACTIVITY
from services.report.core.explanations import Verdict
from services.report.core.wording import driver_name, figure


def verdict_title(verdict: Verdict) -> str:
    """Return the verdict's heading, one of eight.

    Parameters
    ----------
    verdict : Verdict
        From ``decide``.

    Returns
    -------
    str
        The heading; a named condition is filled in.

    Raises
    ------
    KeyError
        If the form is not one of the eight.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E1.

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> verdict_title(decide(Evidence({}, None, None, {}, (), 0)))
    "Can't tell yet"
    """
    return catalogue.VERDICTS[verdict.form].format(condition=driver_name(verdict.named))


def verdict_reasons(verdict: Verdict) -> tuple[str, ...]:
    """Return why the verdict is what it is, in sentences that carry the numbers.

    Parameters
    ----------
    verdict : Verdict
        From ``decide``.

    Returns
    -------
    tuple of str
        The finding, the difference with its range where it was measured, and what is still open.

    Raises
    ------
    KeyError
        If the form is not one of the eight.

    Notes
    -----
    Privacy: post-processing; the range beside the difference includes privacy noise and says so.
    Source: pages.md, E1; statistics.md, section 5.

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> verdict_reasons(decide(Evidence({}, None, None, {}, (), 0)))
    ('The tables that set answers beside results are not in this release.',)
    """
    first = catalogue.REASONS[finding(verdict)].format(
        condition=driver_name(verdict.named), drivers=_listed(verdict.measured)
    )
    return (first, *_difference(verdict), *_open(verdict))


def sureness(verdict: Verdict) -> str:
    """Return how sure the verdict is, and why.

    Parameters
    ----------
    verdict : Verdict
        From ``decide``.

    Returns
    -------
    str
        "How sure: ..." with one reason.

    Raises
    ------
    KeyError
        If the record check has no outcome of the three.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 5 (how sure).

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> sureness(decide(Evidence({}, None, None, {}, (), 0)))
    'How sure: low. Support and activity could not be compared.'
    """
    if verdict.sureness == "low" and verdict.difference is None:
        return catalogue.SURENESS["low_not_compared"]
    if verdict.sureness != "medium":
        texts: Mapping[str, str] = catalogue.SURENESS
        return texts.get(f"{verdict.sureness}_{verdict.form}", texts[verdict.sureness])
    if verdict.form == "quota":
        return catalogue.SURENESS["medium_quota"]
    if verdict.form in ("people", "other_condition"):
        return catalogue.SURENESS["medium_people"]
    why = "small" if verdict.record_check == "passed" else f"records_{verdict.record_check}"
    return catalogue.SURENESS[f"medium_{why}"]


def drivers_title(verdict: Verdict) -> str:
    """Return the heading of the driver chart: the finding, not the topic.

    Parameters
    ----------
    verdict : Verdict
        From ``decide``.

    Returns
    -------
    str
        The heading.

    Raises
    ------
    Nothing
        Forms without finding of their own say that it can't be told.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E3.

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> drivers_title(decide(Evidence({}, None, None, {}, (), 0)))
    "It can't be told which driver goes with results more"
    """
    titles: Mapping[str, str] = catalogue.DRIVER_TITLES
    title = titles.get(finding(verdict), titles["open"])
    return title.format(condition=driver_name(verdict.named))


def finding(verdict: Verdict) -> str:
    """Return the key of the sentences that state the finding.

    Parameters
    ----------
    verdict : Verdict
        From ``decide``.

    Returns
    -------
    str
        The form; where one form covers several findings, a name of its own for each.

    Raises
    ------
    Nothing
        Every verdict has a finding.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E1.

    Examples
    --------
    >>> from services.report.core.evidence import Evidence
    >>> from services.report.core.explanations import decide
    >>> finding(decide(Evidence({}, None, None, {}, (), 0)))
    'cant_tell_answers'
    """
    if verdict.form == "people":
        return "people_activity" if verdict.reverse else "people_skill"
    if verdict.form == "cant_tell" and "support" not in verdict.measured:
        return "cant_tell_answers"
    if verdict.form == "cant_tell" and ACTIVITY not in verdict.measured:
        return "cant_tell_activity"
    return verdict.form


def _difference(verdict: Verdict) -> tuple[str, ...]:
    """Return the sentence with the difference, where it was measured."""
    if verdict.difference is None or verdict.interval is None:
        return ()
    low, high = verdict.interval
    sentence = catalogue.REASONS["difference"]
    return (sentence.format(value=figure(verdict.difference), low=figure(low), high=figure(high)),)


def _open(verdict: Verdict) -> tuple[str, ...]:
    """Return what keeps a verdict from saying more."""
    if verdict.form == "cant_tell" and verdict.difference is not None:
        key = "more_answers" if verdict.more_answers else "more_answers_no"
        return (catalogue.REASONS[key].format(answers=verdict.more_answers),)
    if verdict.form == "fix_patch":
        return (catalogue.RECORD_CHECK["passed"],)
    if verdict.form != "support_over_activity":
        return ()
    keys = {"not_measured": "record_territory", "failed": "records_disagree"}
    found = []
    if verdict.not_separated:
        found.append(catalogue.REASONS["not_separated"].format(conditions=_listed(verdict.not_separated)))
    if verdict.record_check in keys:
        found.append(catalogue.REASONS[keys[verdict.record_check]])
    return tuple(found) or (catalogue.REASONS["small_support"],)


def _listed(names: Sequence[str]) -> str:
    """Return drivers as a list in words."""
    return ", ".join(driver_name(name) for name in names)
