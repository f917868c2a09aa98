"""The overview of a report: verdict, three cards and the box to read before a decision, in words."""

from dataclasses import dataclass
from typing import Final

from services.protocol.manifest import Manifest
from services.protocol.plan import DRIVER_TABLES, SMALL_FRAME, SUPPORT_GROUP, useful_size
from services.report.cells import LONG_NAME
from services.report.core import catalogue, verdict_words
from services.report.core.drivers import Correlation
from services.report.core.evidence import ACTIVITY, Evidence
from services.report.core.explanations import Sureness, Verdict
from services.report.core.findings import Findings
from services.report.core.rules import RECORDED_LEAST
from services.report.core.wording import (
    basis_words,
    driver_name,
    explanation_words,
    figure,
    indicator_name,
)

SUPPORTED: Final = "supported"
OPEN_FORMS: Final = ("none", "cant_tell")
RATED_FORMS: Final = ("people_skill", "other_condition")
"""Findings that rest on ratings alone."""

CHECKED_FORMS: Final = ("fix_patch", "support_over_activity", "both")
"""Findings on Support, which the record check is about."""

COMPARED: Final = {
    "support_over_activity": ("support", ACTIVITY),
    "both": ("support", ACTIVITY),
    "people_activity": (ACTIVITY, "support"),
    "fix_patch": ("support",),
}
"""The drivers a finding compares, where none of the five explanations need be supported."""

LEVELS: Final[dict[Sureness, int]] = {"low": 1, "medium": 2, "high": 3}
MOST_NAMES: Final = 3
"""As many groups are named on a card; of more, the number."""


@dataclass(frozen=True)
class VerdictPanel:
    """The verdict in words; ``level`` of three says how sure, ``is_open`` that nothing was found."""

    title: str
    reasons: tuple[str, ...]
    sureness: str
    level: int
    is_open: bool
    difference: str
    decision: str
    supports: tuple[str, ...]
    doubts: tuple[str, ...]
    check_question: str
    check_result: str
    caution: str


@dataclass(frozen=True)
class Card:
    """One of three cards: a heading, a word or two on lines of their own, and what is behind them."""

    title: str
    figures: tuple[str, ...]
    words: str

    @property
    def is_long(self) -> bool:
        """Whether one of the lines is too long to be set large."""
        return any(len(line) > LONG_NAME for line in self.figures)


@dataclass(frozen=True)
class ExplanationRow:
    """One of the five explanations; ``code`` is its state by name."""

    code: str
    name: str
    would_see: str
    seen: str
    state: str
    next_step: str


def verdict_panel(findings: Findings, manifest: Manifest) -> VerdictPanel:
    """Return the verdict in words."""
    verdict = findings.verdict
    finding = verdict_words.finding(verdict)
    return VerdictPanel(
        title=verdict_words.verdict_title(verdict),
        reasons=(*verdict_words.verdict_reasons(verdict), *_too_small(manifest)),
        sureness=verdict_words.sureness(verdict),
        level=LEVELS[verdict.sureness],
        is_open=verdict.form in OPEN_FORMS,
        difference=difference_words(verdict),
        decision=_decision(verdict, finding),
        supports=_supports(findings, finding),
        doubts=_doubts(verdict, finding),
        check_question=catalogue.RECORD_CHECK["question"],
        check_result=catalogue.RECORD_CHECK[verdict.record_check],
        caution=catalogue.NOTES["link"],
    )


def _too_small(manifest: Manifest) -> tuple[str, ...]:
    """Return how many reps with results the tables of drivers would have needed."""
    if manifest.frame >= SMALL_FRAME or any(table.table in DRIVER_TABLES for table in manifest.plan.tables):
        return ()
    words = catalogue.REASONS["too_few_results"]
    return (words.format(frame=manifest.frame, needed=SMALL_FRAME),)


def _decision(verdict: Verdict, finding: str) -> str:
    key = finding if finding in catalogue.DECISIONS else verdict.form
    return catalogue.DECISIONS[key].format(condition=driver_name(verdict.named))


def _supports(findings: Findings, finding: str) -> tuple[str, ...]:
    """Return what a decision rests on: supported explanations, or the drivers that were compared."""
    verdict = findings.verdict
    if finding in COMPARED:
        compared = (_driver_basis(name, findings.drivers[name]) for name in COMPARED[finding])
        return (*compared, *_record_basis(findings.evidence, verdict))
    if verdict.form == "other_condition" and verdict.named is not None:
        return (_driver_basis(verdict.named, findings.drivers[verdict.named]),)
    supported = (found for found in verdict.explanations if found.state == SUPPORTED)
    seen = tuple(explanation_words(found, verdict).seen for found in supported)
    return seen or (catalogue.BASIS["nothing"],)


def _driver_basis(name: str, driver: Correlation) -> str:
    return basis_words(driver_name(name), (driver.r, driver.low, driver.high), exact=name == ACTIVITY)


def _record_basis(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Return the recorded patch indicator that agrees most clearly, if the record check passed."""
    if verdict.form not in CHECKED_FORMS or verdict.record_check != "passed":
        return ()
    patch = (found for found in evidence.indicators if found.patch and found.lower >= RECORDED_LEAST)
    found = max(patch, key=lambda indicator: indicator.r)
    return (basis_words(indicator_name(found.name), (found.r, found.low, found.high), exact=True),)


def _doubts(verdict: Verdict, finding: str) -> tuple[str, ...]:
    """Return what could make the verdict wrong."""
    if finding in RATED_FORMS:
        return catalogue.DOUBTS["condition"], catalogue.NOTES["link"]
    if verdict.form in CHECKED_FORMS:
        check = catalogue.RECORD_CHECK
        return f"{check['question']} {check[verdict.record_check]}", catalogue.NOTES["link"]
    if verdict.form in OPEN_FORMS:
        return (catalogue.DOUBTS["hidden"],)
    if verdict.form == "quota":
        return (catalogue.DOUBTS["quota"],)
    return (catalogue.NOTES["link"],)


def difference_words(verdict: Verdict) -> str:
    """Return Support minus activity with its range, or nothing where it was not measured."""
    if verdict.difference is None or verdict.interval is None:
        return ""
    low, high = verdict.interval
    return catalogue.NOTES["released"].format(
        value=figure(verdict.difference), low=figure(low), high=figure(high)
    )


def cards(findings: Findings, manifest: Manifest) -> tuple[Card, ...]:
    """Return the three cards of the overview."""
    return _strongest(findings), _where(findings, manifest), _not_yet(findings)


def _strongest(findings: Findings) -> Card:
    verdict, words = findings.verdict, catalogue.CARDS
    ahead = verdict.named or ("support" if verdict.claim else ACTIVITY if verdict.reverse else None)
    if ahead is None:
        return Card(words["strongest"], (words["strongest_none"],), words["strongest_none_words"])
    driver, source = findings.drivers[ahead], "records" if ahead == ACTIVITY else "released"
    behind = "all" if verdict.named else "activity" if verdict.claim else "support"
    sentence = dict(words)[f"{source}_{behind}"]
    figures = {"value": figure(driver.r), "low": figure(driver.low), "high": figure(driver.high)}
    return Card(words["strongest"], (driver_name(ahead),), sentence.format(**figures))


def _where(findings: Findings, manifest: Manifest) -> Card:
    words, below = catalogue.CARDS, below_company(findings, manifest)
    if below:
        more = len(below) - MOST_NAMES
        rest = (words["where_more"].format(count=more),) if more > 0 else ()
        return Card(words["where"], (*below[:MOST_NAMES], *rest), words["where_words"])
    if findings.lowest is not None:
        lowest = driver_name(findings.lowest)
        return Card(words["where"], (lowest,), catalogue.NOTES["lowest"].format(condition=lowest))
    if not _read(findings, manifest):
        return Card(words["where"], (words["where_unread"],), words["where_unread_words"])
    return Card(words["where"], (words["where_level"],), words["where_level_words"])


def _not_yet(findings: Findings) -> Card:
    words = catalogue.CARDS
    against = [found for found in findings.verdict.explanations if found.state == "evidence_against"]
    if not against:
        return Card(words["not_yet"], (words["not_yet_none"],), words["not_yet_none_words"])
    remedies = tuple(catalogue.REMEDIES[found.name] for found in against)
    return Card(words["not_yet"], remedies, words["not_yet_words"])


def explanation_rows(verdict: Verdict) -> tuple[ExplanationRow, ...]:
    """Return all five explanations, whatever they say."""
    return tuple(
        ExplanationRow(code=found.state, **vars(explanation_words(found, verdict)))
        for found in verdict.explanations
    )


def below_company(findings: Findings, manifest: Manifest) -> tuple[str, ...]:
    """Return the names of groups whose range of Support lies wholly below the company's."""
    company = findings.company["support"].value
    if company is None:
        return ()
    values = ((group, findings.groups[group.id].value) for group in manifest.separate_groups())
    return tuple(
        group.name for group, value in values if value is not None and value.interval[1] < company.interval[0]
    )


def teams_title(findings: Findings, manifest: Manifest) -> str:
    """Return the heading of the table of groups: the finding, not the topic."""
    words, below = catalogue.TEAMS, below_company(findings, manifest)
    groups = len(manifest.separate_groups())
    if groups and SUPPORT_GROUP not in manifest.plan.sheets:
        return words["not_released"]
    if not _read(findings, manifest):
        return words["company_only"]
    if len(below) == 1:
        return words["below_one"].format(group=below[0])
    return words["below"].format(count=len(below), groups=groups) if below else words["level"]


def group_notes(findings: Findings, manifest: Manifest) -> tuple[str, ...]:
    """Return the sentences above the table of groups."""
    words, groups = catalogue.TEAMS, manifest.separate_groups()
    if not groups:
        return (words["too_small"],)
    if SUPPORT_GROUP not in manifest.plan.sheets:
        return (catalogue.STATES["not_released"],)
    read, below = _read(findings, manifest), below_company(findings, manifest)
    counted = "read_none" if not read else "read_one" if read == 1 else "read"
    notes = [words[counted].format(read=read, groups=len(groups))]
    if len(below) > 1:
        notes.append(words["below_names"].format(groups="; ".join(below)))
    if 2 * sum(reading.state == "wide" for reading in findings.groups.values()) > len(groups):
        notes.append(words["wide"])
    notes.append(words["size"].format(size=useful_size(manifest.plan, k=manifest.k)))
    return tuple(notes)


def _read(findings: Findings, manifest: Manifest) -> int:
    """Return how many groups have a reading of their own."""
    return sum(findings.groups[group.id].value is not None for group in manifest.separate_groups())
