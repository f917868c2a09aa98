"""The verdict: the first of eight forms that holds, how sure it is, and the five explanations beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.report.core.evidence import ACTIVITY, DRIVERS, Evidence
from services.report.core.five import NEGLIGIBLE, Explanation, State, explain
from services.report.core.rules import (
    SMALLEST_LEVER,
    Check,
    leader,
    matters,
    more_answers,
    not_separated,
    record_check,
)

Form = Literal[
    "fix_patch",
    "people",
    "other_condition",
    "quota",
    "support_over_activity",
    "both",
    "none",
    "cant_tell",
]
Sureness = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Verdict:
    """The verdict with all that its sentences need.

    ``named`` is the one driver that stands out by the strict rule. ``not_separated`` are conditions that
    Support does not clearly exceed or that were not measured. ``more_answers`` is filled for
    ``cant_tell``: about how many more would help, or None if more from this frame would not.
    """

    form: Form
    difference: float | None
    interval: tuple[float, float] | None
    claim: bool
    reverse: bool
    record_check: Check
    sureness: Sureness
    named: str | None
    not_separated: tuple[str, ...]
    measured: tuple[str, ...]
    more_answers: int | None
    explanations: tuple[Explanation, ...]

    def explanation(self, name: str) -> Explanation:
        """Return the explanation called ``name``."""
        return next(found for found in self.explanations if found.name == name)


def decide(evidence: Evidence) -> Verdict:
    """Return the verdict on a cycle: first form that holds, how sure, and the five explanations.

    Parameters
    ----------
    evidence : Evidence
        Drivers, comparison, shares that hit and recorded indicators; what is absent is not measured.

    Returns
    -------
    Verdict
        Always complete: every explanation has a state, and a form is always found.

    Raises
    ------
    KeyError
        If the comparison is given without the drivers it compares.

    Notes
    -----
    Privacy: post-processing of released tables and company records.
    Source: statistics.md, section 5 (verdict form, how sure, five explanations).

    Examples
    --------
    >>> verdict = decide(Evidence({}, None, None, {}, (), 0))
    >>> verdict.form, verdict.sureness, verdict.record_check
    ('cant_tell', 'low', 'not_measured')
    """
    check = record_check(evidence)
    explanations = explain(evidence, check)
    named = leader(evidence)
    weak = not_separated(evidence)
    states: dict[str, State] = {found.name: found.state for found in explanations}
    form = _form(evidence, check, states, named, weak)
    comparison = evidence.comparison
    return Verdict(
        form=form,
        difference=comparison.difference if comparison else None,
        interval=comparison.interval if comparison else None,
        claim=comparison.claim if comparison else False,
        reverse=comparison.reverse if comparison else False,
        record_check=check,
        sureness=_sureness(evidence, form, check),
        named=named,
        not_separated=weak,
        measured=tuple(name for name in DRIVERS if name in evidence.drivers),
        more_answers=more_answers(evidence) if form == "cant_tell" else None,
        explanations=explanations,
    )


def _form(
    evidence: Evidence, check: Check, states: Mapping[str, State], named: str | None, weak: tuple[str, ...]
) -> Form:
    """Return the first of the eight forms that holds."""
    if "support" not in evidence.drivers:
        return "cant_tell"
    comparison, quota = evidence.comparison, states["quota"] == "supported"
    claim = comparison is not None and comparison.claim
    strong = evidence.drivers["support"].r >= SMALLEST_LEVER
    if claim and strong and not weak and not quota and check == "passed":
        return "fix_patch"
    if (comparison is not None and comparison.reverse) or states["skill"] == "supported":
        return "people"
    if named in ("alignment", "motivation"):
        return "other_condition"
    if quota:
        return "quota"
    if claim:
        return "support_over_activity"
    return _undecided(evidence)


def _undecided(evidence: Evidence) -> Form:
    """Return the form where neither Support nor activity is ahead."""
    if ACTIVITY not in evidence.drivers:
        return "cant_tell"
    if matters(evidence, "support") and matters(evidence, ACTIVITY):
        return "both"
    if all(driver.high < NEGLIGIBLE for driver in evidence.drivers.values()):
        return "none"
    return "cant_tell"


def _sureness(evidence: Evidence, form: Form, check: Check) -> Sureness:
    """Return how sure a verdict is; forms that rest on no test at 2.1 standard errors are ``low``."""
    comparison = evidence.comparison
    if form in ("fix_patch", "support_over_activity") and comparison is not None:
        return "high" if comparison.interval[0] >= SMALLEST_LEVER and check == "passed" else "medium"
    return "medium" if form in ("people", "other_condition", "quota") else "low"
