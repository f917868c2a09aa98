"""The overview of a report: verdict, three cards and the box to read before a decision, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.protocol.manifest import Manifest
from services.protocol.plan import SUPPORT_GROUP, useful_size
from services.report.core import catalogue, verdict_words
from services.report.core.evidence import ACTIVITY
from services.report.core.explanations import Sureness, Verdict
from services.report.core.findings import Findings
from services.report.core.wording import driver_name, driver_words, explanation_words, figure

SUPPORTED: Final = "supported"
OPEN_FORMS: Final = ("none", "cant_tell")
LEVELS: Final[dict[Sureness, int]] = {"low": 1, "medium": 2, "high": 3}
AGAINST: Final = "The evidence speaks against this. What a remedy would pay back was not worked out."
DECISIONS: Final = {
    "fix_patch": "Look at the patches with few good prospects before you buy training or open plans.",
    "people": "Activity or skill is the place to look first. Find out which before you spend.",
    "other_condition": "Ask reps what is missing in the condition named above before you spend.",
    "quota": "Compare quotas with what patches of this size have yielded before you judge anybody by them.",
    "support_over_activity": "Leave call targets as they are. Find out which part of Support is missing.",
    "both": "Do not raise activity alone: it goes with results only beside Support.",
    "none": "Nothing measured here supports training, call targets or performance plans.",
    "cant_tell": "Wait, or decide on other grounds: this release supports no decision either way.",
}


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
    check_question: str
    check_result: str
    caution: str


@dataclass(frozen=True)
class Card:
    """One of three cards: a heading, a word or two, and what is behind them."""

    title: str
    figure: str
    words: str


@dataclass(frozen=True)
class ExplanationRow:
    """One of the five explanations; ``code`` is its state by name."""

    code: str
    name: str
    would_see: str
    seen: str
    state: str
    next_step: str


def verdict_panel(verdict: Verdict) -> VerdictPanel:
    """Return the verdict in words."""
    return VerdictPanel(
        title=verdict_words.verdict_title(verdict),
        reasons=verdict_words.verdict_reasons(verdict),
        sureness=verdict_words.sureness(verdict),
        level=LEVELS[verdict.sureness],
        is_open=verdict.form in OPEN_FORMS,
        difference=difference_words(verdict),
        decision=DECISIONS[verdict.form],
        supports=_supports(verdict),
        check_question=catalogue.RECORD_CHECK["question"],
        check_result=catalogue.RECORD_CHECK[verdict.record_check],
        caution=catalogue.NOTES["link"],
    )


def _supports(verdict: Verdict) -> tuple[str, ...]:
    """Return what is seen of every explanation that is supported."""
    seen = (
        explanation_words(found, verdict).seen for found in verdict.explanations if found.state == SUPPORTED
    )
    return tuple(seen) or ("None of the five explanations is supported by this release.",)


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
    verdict, title = findings.verdict, "Strongest driver"
    ahead = verdict.named or ("support" if verdict.claim else ACTIVITY if verdict.reverse else None)
    if ahead is None:
        return Card(title, "None stands out", "No driver is ahead of the others beyond chance and noise.")
    words = driver_words(findings.drivers[ahead], exact=ahead == ACTIVITY)
    ahead_of = "everything else measured" if verdict.named else "activity" if verdict.claim else "Support"
    return Card(title, driver_name(ahead), f"{words}. Clearly ahead of {ahead_of}.")


def _where(findings: Findings, manifest: Manifest) -> Card:
    title, below = "Where it bites", below_company(findings, manifest)
    if below:
        return Card(
            title, ", ".join(below), "Support is lower here: the whole range lies below the company's."
        )
    if findings.lowest is not None:
        words = catalogue.NOTES["lowest"].format(condition=driver_name(findings.lowest))
        return Card(title, driver_name(findings.lowest), words)
    return Card(title, "No group stands apart", "No group's range lies wholly below the company's.")


def _not_yet(findings: Findings) -> Card:
    against = [found for found in findings.verdict.explanations if found.state == "evidence_against"]
    title = "What not to spend on yet"
    if not against:
        return Card(title, "Nothing ruled out", "Not enough evidence is not the same as evidence against.")
    names = "; ".join(catalogue.REMEDIES[found.name] for found in against)
    return Card(title, names, AGAINST)


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


def group_notes(findings: Findings, manifest: Manifest) -> tuple[str, ...]:
    """Return the sentences above the table of groups."""
    if not manifest.separate_groups():
        return ("No group is large enough to be read apart: only the whole company is shown.",)
    if SUPPORT_GROUP not in manifest.plan.sheets:
        return (catalogue.STATES["not_released"],)
    readings = findings.groups
    read = [group.name for group in manifest.separate_groups() if readings[group.id].value is not None]
    size = useful_size(manifest.plan, k=manifest.k)
    notes = [f"Answers can be read for {_listed(manifest.company, read)}; groups under about {size} can't."]
    if 2 * sum(reading.state == "wide" for reading in readings.values()) > len(readings):
        notes.append("Most ranges are wide. Lead with the company's row and the recorded columns.")
    below = below_company(findings, manifest)
    if below:
        notes.append(f"Support is lowest in {', '.join(below)}: the whole range lies below the company's.")
    return tuple(notes)


def _listed(company: str, groups: Sequence[str]) -> str:
    return ", ".join((company, *groups))
