"""A reading: all that the pages and the file say of a release, and nothing else of it.

Every number in it comes from the released tables and the company's records, through ``core``. Pages get
a reading only, so what is not in here can't end up on one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from services.protocol.manifest import Manifest
from services.protocol.release import Release
from services.report.cells import (
    Cell,
    ConditionRow,
    GroupRow,
    condition_rows,
    day,
    days,
    group_rows,
    key_cells,
    percent,
    tint_key,
)
from services.report.core import catalogue
from services.report.core.chart import NARROW, WIDE, Row, driver_chart
from services.report.core.findings import find
from services.report.core.verdict_words import drivers_title
from services.report.method import Method, method
from services.report.overview import (
    Card,
    ExplanationRow,
    VerdictPanel,
    cards,
    explanation_rows,
    group_notes,
    teams_title,
    verdict_panel,
)
from services.report.panels import DriverRow, ShareRow, chart_rows, driver_rows, share_rows, shares_missing

SAMPLE: Final = "Sample data. Composite, not a real company."
CHART: Final = "How strongly each driver goes with quota attainment. The same numbers are in the table."
MADE_UP: Final = "Rehearsal: answers are made up, no conclusion about this company"


@dataclass(frozen=True)
class Heading:
    """What stands under every heading: whose cycle it is, and how many took part."""

    company: str
    title: str
    asked: str
    released_on: str
    invited: int
    answers: int
    response: str
    fingerprint: str


@dataclass(frozen=True)
class Reading:
    """Everything a report shows of one released cycle."""

    cycle: str
    k: int
    heading: Heading
    banners: tuple[str, ...]
    verdict: VerdictPanel
    cards: tuple[Card, ...]
    conditions: tuple[ConditionRow, ...]
    groups: tuple[GroupRow, ...]
    teams_title: str
    group_notes: tuple[str, ...]
    key: tuple[Cell, ...]
    tints: tuple[tuple[str, str], ...]
    drivers_title: str
    chart: Markup
    drivers: tuple[DriverRow, ...]
    shares: tuple[ShareRow, ...]
    shares_missing: str
    explanations: tuple[ExplanationRow, ...]
    method: Method

    def group(self, name: str) -> GroupRow | None:
        """Return a group's row, unless it is held: then it is as if there were none."""
        row = next((row for row in self.groups if row.id == name), None)
        return None if row is None or row.support.state == "held" else row


def read(release: Release, manifest: Manifest) -> Reading:
    """Return the reading of a release; a pure function of the two documents."""
    findings = find(release, manifest)
    lines = chart_rows(findings, release.frame.records, manifest.k)
    title = drivers_title(findings.verdict)
    return Reading(
        cycle=manifest.cycle,
        k=manifest.k,
        heading=heading(release, manifest),
        banners=banners(manifest),
        verdict=verdict_panel(findings, manifest),
        cards=cards(findings, manifest),
        conditions=condition_rows(manifest, findings),
        groups=group_rows(release, manifest, findings),
        teams_title=teams_title(findings, manifest),
        group_notes=group_notes(findings, manifest),
        key=key_cells(manifest.k),
        tints=tint_key(),
        drivers_title=title,
        chart=_chart(lines, title),
        drivers=driver_rows(lines, findings),
        shares=share_rows(release, manifest),
        shares_missing=shares_missing(release, manifest),
        explanations=explanation_rows(findings.verdict),
        method=method(release, manifest, findings),
    )


def heading(release: Release, manifest: Manifest) -> Heading:
    """Return what stands under every heading; answers are the fullest sheet's exact count."""
    answers = max((totals.counted for totals in release.sheets.values()), default=0)
    return Heading(
        company=manifest.company,
        title=manifest.title,
        asked=days(manifest.opens, release.frame.closed),
        released_on=day(release.released_on),
        invited=manifest.invited,
        answers=answers,
        response=percent(answers / manifest.invited),
        fingerprint=manifest.fingerprint(),
    )


def period(manifest: Manifest) -> str:
    """Return when the survey is planned to be open."""
    return days(manifest.opens, manifest.closes)


def banners(manifest: Manifest) -> tuple[str, ...]:
    """Return the fixed notices that every page and export of a cycle carries."""
    notices = ((manifest.sample, SAMPLE), (manifest.made_up, MADE_UP))
    return tuple(words for applies, words in notices if applies)


def _chart(lines: Sequence[Row], title: str) -> Markup:
    """Return the chart twice, for wide and for narrow screens; the stylesheet shows one of them."""
    layouts = (("drivers", WIDE), ("drivers-narrow", NARROW))
    return Markup("").join(
        driver_chart(
            lines,
            key=key,
            title=title,
            description=CHART,
            band=catalogue.NOTES["small_band"],
            layout=layout,
        )
        for key, layout in layouts
    )
