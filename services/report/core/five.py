"""Five explanations of missed quota, each held to a test of its own and always shown."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from services.report.core.evidence import ACTIVITY, CONDITIONS, DRIVERS, Evidence
from services.report.core.rules import Check, leader

Name = Literal["quota", "territory", "skill", "effort", "process"]
State = Literal["supported", "evidence_against", "not_enough_evidence", "not_measured"]

EXPLAINED_BY: Final[dict[str, str]] = {
    "territory": "support",
    "skill": "capability",
    "effort": ACTIVITY,
    "process": "alignment",
}
"""The driver behind each explanation but quota."""

ACCEPTABLE_HIT_SHARE: Final = 0.55
NEGLIGIBLE: Final = 0.20
NORMAL_90: Final = 1.645
FEWEST_FOR_EFFORT: Final = 100


@dataclass(frozen=True)
class Explanation:
    """One explanation: its state, and the figure behind it (an r or a share) with its 95 % interval."""

    name: Name
    state: State
    value: float | None
    low: float | None
    high: float | None
    best_third_high: float | None = None


def explain(evidence: Evidence, check: Check) -> tuple[Explanation, ...]:
    """Return the five explanations in their fixed order, each with its state.

    Parameters
    ----------
    evidence : Evidence
        Drivers, shares and records.
    check : str
        Outcome of the record check. A failed one keeps ``territory`` from being supported: then only
        the reps' own ratings say that the patch is broken.

    Returns
    -------
    tuple of Explanation
        quota, territory, skill, effort, process.

    Raises
    ------
    Nothing
        Absent inputs give ``not_measured``.

    Notes
    -----
    Privacy: post-processing of released tables and company records.
    Source: statistics.md, section 5 (five explanations).

    Examples
    --------
    >>> [found.state for found in explain(Evidence({}, None, None, {}, (), 0), "not_measured")]
    ['not_measured', 'not_measured', 'not_measured', 'not_measured', 'not_measured']
    """
    named = leader(evidence)
    territory = _condition(evidence, "territory", named)
    if territory.state == "supported" and check == "failed":
        territory = replace(territory, state="not_enough_evidence")
    return (
        _quota(evidence),
        territory,
        _condition(evidence, "skill", named),
        _effort(evidence, named),
        _condition(evidence, "process", named),
    )


def _quota(evidence: Evidence) -> Explanation:
    """Return whether few reps hit quota, even among the best third of every condition."""
    overall = evidence.hit_share
    if overall is None:
        return Explanation("quota", "not_measured", None, None, None)
    best = [evidence.best_thirds[name] for name in DRIVERS if name in evidence.best_thirds]
    highest = max((share.high for share in best), default=None)
    state: State = "not_enough_evidence"
    if overall.share >= ACCEPTABLE_HIT_SHARE or any(
        share.strict_low > ACCEPTABLE_HIT_SHARE for share in best
    ):
        state = "evidence_against"
    elif not best or any(name not in evidence.drivers for name in CONDITIONS):
        state = "not_measured"
    elif all(name in evidence.best_thirds for name in CONDITIONS) and (
        max(overall.high, *(share.high for share in best)) < ACCEPTABLE_HIT_SHARE
    ):
        state = "supported"
    return Explanation("quota", state, overall.share, overall.low, overall.high, highest)


def _condition(
    evidence: Evidence, name: Literal["territory", "skill", "process"], named: str | None
) -> Explanation:
    """Return the explanation that rests on one condition."""
    driver = evidence.drivers.get(EXPLAINED_BY[name])
    if driver is None:
        return Explanation(name, "not_measured", None, None, None)
    state: State = "not_enough_evidence"
    if named == EXPLAINED_BY[name]:
        state = "supported"
    elif driver.high < NEGLIGIBLE:
        state = "evidence_against"
    return Explanation(name, state, driver.r, driver.low, driver.high)


def _effort(evidence: Evidence, named: str | None) -> Explanation:
    """Return whether recorded activity explains attainment; against it counts an r close to 0."""
    driver = evidence.drivers.get(ACTIVITY)
    if driver is None:
        return Explanation("effort", "not_measured", None, None, None)
    state: State = "not_enough_evidence"
    reach = abs(driver.r) + NORMAL_90 * driver.standard_error
    if named == ACTIVITY:
        state = "supported"
    elif reach < NEGLIGIBLE and driver.n >= FEWEST_FOR_EFFORT:
        state = "evidence_against"
    return Explanation("effort", state, driver.r, driver.low, driver.high)
