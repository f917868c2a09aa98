"""What the pages are made of: frozen data that names its template."""

from dataclasses import dataclass
from typing import ClassVar, Final

from services.protocol.manifest import Manifest
from services.report.cells import GroupRow, day
from services.report.core.catalogue import STATES
from services.report.flow import CycleLine
from services.report.method import PlanLine, plan_lines
from services.report.reading import Reading, banners, period

TABS: Final = {
    "": "Overview",
    "teams": "Teams",
    "drivers": "Drivers",
    "explanations": "Five explanations",
    "method": "Method",
}


@dataclass(frozen=True)
class ListLine:
    """One cycle in the list of reports."""

    href: str
    title: str
    company: str
    period: str
    notes: tuple[str, ...]
    state: str
    words: str


@dataclass(frozen=True)
class ListPage:
    """Every report there is."""

    template: ClassVar[str] = "report/list.html"

    cycles: tuple[ListLine, ...]
    title: str = "Reports - Fairpatch"
    banners: tuple[str, ...] = ()


@dataclass(frozen=True)
class MissingPage:
    """There is nothing at this address."""

    template: ClassVar[str] = "report/missing.html"

    title: str = "No report here - Fairpatch"
    banners: tuple[str, ...] = ()


@dataclass(frozen=True)
class WaitingPage:
    """A cycle before its release: what will be published, and when."""

    template: ClassVar[str] = "report/waiting.html"

    title: str
    banners: tuple[str, ...]
    company: str
    name: str
    closes: str
    invited: int
    fingerprint: str
    plan: tuple[PlanLine, ...]


@dataclass(frozen=True)
class Tab:
    """One tab of a report."""

    id: str
    label: str
    href: str
    current: bool


@dataclass(frozen=True)
class ReportPage:
    """What every tab has: the reading, the tabs, and the level of its first heading."""

    template: ClassVar[str]

    title: str
    banners: tuple[str, ...]
    reading: Reading
    tabs: tuple[Tab, ...]
    base: str
    top: int = 1
    linked: bool = True


@dataclass(frozen=True)
class OverviewPage(ReportPage):
    """Verdict, how sure, three cards, and what to read before a decision."""

    template: ClassVar[str] = "report/overview.html"


@dataclass(frozen=True)
class TeamsPage(ReportPage):
    """Groups with their states, beside the recorded patch."""

    template: ClassVar[str] = "report/teams.html"


@dataclass(frozen=True)
class DriversPage(ReportPage):
    """Support or activity?"""

    template: ClassVar[str] = "report/drivers.html"


@dataclass(frozen=True)
class ExplanationsPage(ReportPage):
    """The five explanations, all of them."""

    template: ClassVar[str] = "report/explanations.html"


@dataclass(frozen=True)
class MethodPage(ReportPage):
    """How the report was made, and what it can't say."""

    template: ClassVar[str] = "report/method.html"


@dataclass(frozen=True)
class GroupPage(ReportPage):
    """One group; without a row it is hidden, and the page is the same for every hidden group."""

    template: ClassVar[str] = "report/group.html"

    row: GroupRow | None = None
    hidden_words: str = ""


TAB_PAGES: Final[dict[str, type[ReportPage]]] = {
    "": OverviewPage,
    "teams": TeamsPage,
    "drivers": DriversPage,
    "explanations": ExplanationsPage,
    "method": MethodPage,
}


def base(cycle: str) -> str:
    """Return where a report's pages lie."""
    return f"/reports/{cycle}/"


def tabs(cycle: str, current: str) -> tuple[Tab, ...]:
    """Return the tabs of a report."""
    return tuple(
        Tab(f"tab-{name or 'overview'}", label, base(cycle) + name, name == current)
        for name, label in TABS.items()
    )


def list_line(line: CycleLine) -> ListLine:
    """Return a cycle's line in the list of reports."""
    manifest = line.manifest
    return ListLine(
        href=base(manifest.cycle),
        title=manifest.title,
        company=manifest.company,
        period=f"from {day(manifest.opens)}" if line.released else period(manifest),
        notes=banners(manifest),
        state="released" if line.released else "collecting",
        words="Released" if line.released else f"Collecting until {day(manifest.closes)}",
    )


def waiting_page(manifest: Manifest) -> WaitingPage:
    """Return the page of a cycle that is not released yet."""
    return WaitingPage(
        title=f"Collecting: {manifest.title} - Fairpatch",
        banners=banners(manifest),
        company=manifest.company,
        name=manifest.title,
        closes=day(manifest.closes),
        invited=manifest.invited,
        fingerprint=manifest.fingerprint(),
        plan=plan_lines(manifest.plan),
    )


def tab_page(reading: Reading, name: str) -> ReportPage:
    """Return one tab of a report."""
    title = f"{TABS[name]}: {reading.heading.title} - Fairpatch"
    return TAB_PAGES[name](title, reading.banners, reading, tabs(reading.cycle, name), base(reading.cycle))


def group_page(reading: Reading, name: str) -> GroupPage:
    """Return the page of one group; a held one and one that does not exist get the same."""
    row = reading.group(name)
    return GroupPage(
        title=f"{row.name if row else 'Hidden group'}: {reading.heading.title} - Fairpatch",
        banners=reading.banners,
        reading=reading,
        tabs=tabs(reading.cycle, "teams"),
        base=base(reading.cycle),
        row=row,
        hidden_words=STATES["held"].format(k=reading.k),
    )
