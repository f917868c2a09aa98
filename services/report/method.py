"""The method panel: what was asked and how, what it cost, and the rule, with its exact parameters."""

from dataclasses import dataclass
from typing import Final

from services.protocol.arithmetic import CLAIM_AT, MICRO, odds_in_100
from services.protocol.manifest import Manifest
from services.protocol.plan import SUPPORT_GROUP, Plan, answer_costs, useful_size
from services.protocol.release import FIRST, Release
from services.report.cells import RangeRow, percent, range_rows
from services.report.core.findings import Findings
from services.report.core.five import ACCEPTABLE_HIT_SHARE, NEGLIGIBLE
from services.report.core.rules import SEPARATED, SMALLEST_LEVER
from services.report.core.wording import driver_name

SHEETS: Final = {
    "support-result": "Support beside quota attainment",
    "support-activity": "Support beside recorded activity",
    "capability-result": "Skills and know-how beside quota attainment",
    "alignment-result": "Direction beside quota attainment",
    "motivation-result": "Drive beside quota attainment",
    "support-group": "Support by group",
    "flag-result": "What holds reps back most, beside hit or missed quota",
}
ACCOUNTS: Final = {"answers": "Answers", "participation": "Taking part"}
RULE: Final = (
    "Can't tell yet: the table that sets Support beside results is not in the release.",
    f"Fix the patch first: Support is at least {SMALLEST_LEVER:.2f} and clearly ahead of activity. "
    f"It is ahead of the three other conditions by {SEPARATED} standard errors. "
    "The quota is not the better explanation, and company records of the patch agree.",
    "Activity or skill explains more than the patch: one of the two is clearly ahead.",
    "Direction or Drive is what holds results back: one of the two is clearly ahead of everything else.",
    f"Look at the quota first: clearly fewer than {percent(ACCEPTABLE_HIT_SHARE)} hit it, even where "
    "conditions are best.",
    "More activity is not the lever: Support is clearly ahead of activity, and something else is still open.",
    f"Support and activity both matter: both are clearly above 0 and at least {SMALLEST_LEVER:.2f}.",
    f"No driver stands out: nothing that was measured could be {NEGLIGIBLE:.2f} or more.",
    "Can't tell yet: everything else.",
)
"""What the verdict is decided by, in order; the first line that holds counts."""


@dataclass(frozen=True)
class Condition:
    """The items of one condition, as they were asked."""

    name: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class PlanLine:
    """One table of the plan: what it holds, its part of the budget and its exact parameters."""

    sheet: str
    words: str
    share: str
    epsilon: str
    scale: str


@dataclass(frozen=True)
class TotalsLine:
    """What became of the sheets of one table, company-wide and exact."""

    words: str
    issued: str
    received: int
    counted: int
    withdrawn: int
    rejected: int


@dataclass(frozen=True)
class BudgetLine:
    """One budget account of the year, after this release."""

    account: str
    year: int
    used: str
    spent: str
    cap: str


@dataclass(frozen=True)
class Odds:
    """How sure, in 100, somebody undecided could at worst become, and the chance of an exception."""

    one: str
    all: str
    shown: str
    exception: str


@dataclass(frozen=True)
class Method:
    """How the report was made: questions, totals, rule, budget and the exact parameters."""

    conditions: tuple[Condition, ...]
    reasons: tuple[str, ...]
    low: str
    high: str
    answered: str
    is_sealed: bool
    restored: bool
    totals: tuple[TotalsLine, ...]
    rule: tuple[str, ...]
    clearly: str
    plan: tuple[PlanLine, ...]
    budget: tuple[BudgetLine, ...]
    odds: Odds
    notes: tuple[str, ...]
    useful_size: int | None
    ranges: tuple[RangeRow, ...]
    parameters: tuple[tuple[str, str], ...]


def method(release: Release, manifest: Manifest, findings: Findings) -> Method:
    """Return the method panel of a release."""
    instrument, has_groups = manifest.instrument, SUPPORT_GROUP in manifest.plan.sheets
    return Method(
        conditions=_conditions(manifest),
        reasons=instrument.flags,
        low=number(instrument.low_at_most),
        high=number(instrument.high_at_least),
        answered=percent(instrument.answered_share),
        is_sealed=manifest.mode == "sealed",
        restored=release.frame.restored,
        totals=totals_lines(release, manifest),
        rule=RULE,
        clearly=number(CLAIM_AT),
        plan=plan_lines(manifest.plan),
        budget=budget_lines(release),
        odds=odds(release),
        notes=release.frame.records.notes,
        useful_size=useful_size(manifest.plan, k=manifest.k) if has_groups else None,
        ranges=range_rows(manifest, findings),
        parameters=_parameters(release, manifest),
    )


def _conditions(manifest: Manifest) -> tuple[Condition, ...]:
    items = manifest.instrument.items
    asked = dict.fromkeys(item.dimension for item in items)
    return tuple(
        Condition(driver_name(name), tuple(item.text for item in items if item.dimension == name))
        for name in asked
    )


def plan_lines(plan: Plan) -> tuple[PlanLine, ...]:
    """Return what a plan publishes, table by table."""
    return tuple(
        PlanLine(
            sheet=table.sheet,
            words=SHEETS[table.sheet],
            share=percent(table.epsilon_micro / plan.answers_micro),
            epsilon=number(table.epsilon),
            scale=number(MICRO / table.epsilon_micro),
        )
        for table in plan.tables
    )


def totals_lines(release: Release, manifest: Manifest) -> tuple[TotalsLine, ...]:
    """Return the exact totals of every sheet, in the order of the plan."""
    found = ((name, release.sheets[name]) for name in manifest.plan.sheets)
    return tuple(
        TotalsLine(
            words=SHEETS[name],
            issued=f"at most {totals.issued}" if release.frame.restored else str(totals.issued),
            received=totals.received,
            counted=totals.counted,
            withdrawn=totals.withdrawn,
            rejected=sum(totals.rejected.values()),
        )
        for name, totals in found
    )


def budget_lines(release: Release) -> tuple[BudgetLine, ...]:
    """Return the budget accounts after this release."""
    return tuple(
        BudgetLine(
            account=ACCOUNTS[line.account],
            year=line.year,
            used=number(line.epsilon_micro / MICRO),
            spent=number(line.spent_micro / MICRO),
            cap=number(line.cap_micro / MICRO),
        )
        for line in release.ledger
    )


def odds(release: Release) -> Odds:
    """Return the odds printed for reps and executives, from what this release spent.

    ``shown`` and ``exception`` are empty where no coin was tossed: then no group is hidden by chance.
    """
    spent = {
        name: sum(one.epsilon_micro for one in release.ledger if one.account == name) for name in ACCOUNTS
    }
    chances = odds_in_100(
        answer_costs((table.sheet, table.epsilon_micro) for table in release.tables),
        answers_micro=spent["answers"],
        participation_micro=spent["participation"],
    )
    delta = sum(line.delta for line in release.ledger)
    return Odds(
        one=_odds(chances["one"]),
        all=_odds(chances["all"]),
        shown=_odds(chances["shown"]) if spent["participation"] else "",
        exception=f"1 in {round(1 / delta):,}" if delta else "",
    )


def _odds(chance_in_100: int) -> str:
    """Return odds in 100; certainty is never printed, because rounding alone could make it."""
    return "more than 99" if chance_in_100 > 99 else str(chance_in_100)


def number(value: float) -> str:
    """Return a budget or scale without needless zeros."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _parameters(release: Release, manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """Return the exact parameters for specialists."""
    plan = manifest.plan
    return (
        ("Plan", plan.name),
        ("Mechanism", plan.mechanism_version),
        ("Epsilon on answers", number(plan.answers_micro / MICRO)),
        ("Epsilon of the group coins", number(plan.participation_micro / MICRO)),
        ("Delta of the group coins", f"{plan.delta:g}"),
        ("Smallest group (k)", str(manifest.k)),
        ("Instrument", f"{manifest.instrument.version}, {manifest.instrument_hash}"),
        ("Manifest (SHA-256)", release.manifest_hash),
        ("Release (SHA-256)", release.hash().hex()),
        ("Release before it (SHA-256)", "none" if release.previous == FIRST else release.previous),
    )
