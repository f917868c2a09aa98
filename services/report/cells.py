"""Cells of the tables: a released number, a company record, or the state that stands in its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from services.protocol.frame import GroupRecords
from services.protocol.manifest import Group, Manifest
from services.protocol.release import Release
from services.report.core import catalogue, wording
from services.report.core.chart import TINTS, strip, tint
from services.report.core.findings import Findings
from services.report.core.groups import Reading as GroupReading

LOOKS: Final = {
    "no_separate_reading": "–",
    "held": "hidden",
    "not_released": "not released",
    "not_asked": "not asked",
    "no_data": "no data",
}
TOO_FEW: Final = "Not recorded, or for too few people to show."


POINTS: Final = 100.0
LARGE_INDEX: Final = 10.0
LONG_NAME: Final = 40
NOT_DRAWN: Final = Markup("")


@dataclass(frozen=True)
class Cell:
    """One cell: its state, what stands in it and as a strip, and the whole sentence behind it."""

    state: str
    value: str
    range: str = ""
    words: str = ""
    tint: str = ""
    strip: Markup = NOT_DRAWN


@dataclass(frozen=True)
class GroupRow:
    """A group: its reading of Support, and exact company records of at least k people."""

    id: str
    name: str
    level: str
    invited: int
    support: Cell
    hit_share: Cell
    median_attainment: Cell
    territory_index: Cell

    @property
    def is_long(self) -> bool:
        """Whether the name would be a heading of several lines."""
        return len(self.name) > LONG_NAME


@dataclass(frozen=True)
class RangeRow:
    """How exact a group's value is, for specialists: half-widths [points] and its weight."""

    name: str
    half_width: str
    noise_half_width: str
    weight: str


@dataclass(frozen=True)
class ConditionRow:
    """One of the four conditions, company-wide."""

    name: str
    cell: Cell


def day(text: str) -> str:
    """Return the date of an instant or date of the wire, such as "2 March 2026"."""
    moment = date.fromisoformat(text[:10])
    return f"{moment.day} {moment:%B %Y}"


def days(first: str, last: str) -> str:
    """Return the days from one instant to another, such as "16 February to 2 March 2026"."""
    start, end = date.fromisoformat(first[:10]), date.fromisoformat(last[:10])
    if start == end:
        return day(last)
    if start.year != end.year:
        return f"{day(first)} to {day(last)}"
    return (
        f"{start.day} {start:%B} to {day(last)}"
        if start.month != end.month
        else f"{start.day} to {day(last)}"
    )


def percent(share: float) -> str:
    """Return a share in whole per cent."""
    return f"{round(100 * share)} %"


def index(value: float) -> str:
    """Return a territory index: in whole points on a scale around 100, else to two decimals."""
    return str(round(value)) if abs(value) >= LARGE_INDEX else f"{value:.2f}"


def reading_cell(reading: GroupReading, *, k: int) -> Cell:
    """Return the cell of a group's or the company's reading."""
    words = wording.state_words(reading, k=k)
    if reading.value is None:
        return Cell(reading.state, LOOKS[reading.state], words=words)
    low, high = reading.value.interval
    value, bounds = str(round(reading.value.mean)), f"{round(low)}-{round(high)}"
    drawn = strip(reading.value.mean, low, high, most=POINTS)
    if reading.state == "wide":
        return Cell("wide", f"About {value}", bounds, words, strip=drawn)
    return Cell(reading.state, value, bounds, words, tint(reading.value.mean), drawn)


def condition_rows(manifest: Manifest, findings: Findings) -> tuple[ConditionRow, ...]:
    """Return the four conditions of the company."""
    return tuple(
        ConditionRow(wording.driver_name(name), reading_cell(reading, k=manifest.k))
        for name, reading in findings.company.items()
    )


def group_rows(release: Release, manifest: Manifest, findings: Findings) -> tuple[GroupRow, ...]:
    """Return the company's row and then every group's, in manifest order."""
    records = {found.id: found for found in release.frame.records.groups}
    readings = {manifest.groups[0].id: findings.company["support"], **findings.groups}
    shown = (manifest.groups[0], *manifest.separate_groups())
    return tuple(_group_row(group, readings[group.id], records, manifest.k) for group in shown)


def range_rows(manifest: Manifest, findings: Findings) -> tuple[RangeRow, ...]:
    """Return the exactness of every value that is shown, the company's first."""
    company, groups = manifest.groups[0], manifest.separate_groups()
    readings = ((company, findings.company["support"]), *((g, findings.groups[g.id]) for g in groups))
    return tuple(
        RangeRow(
            name=group.name,
            half_width=f"{reading.value.half_width:.1f}",
            noise_half_width=f"{reading.value.noise_half_width:.1f}",
            weight="" if reading.weight is None else wording.figure(reading.weight),
        )
        for group, reading in readings
        if reading.value is not None
    )


def key_cells(k: int) -> tuple[Cell, ...]:
    """Return one cell of every state that has no value, for the key."""
    return tuple(
        Cell(state, looks, words=catalogue.STATES[state].format(k=k)) for state, looks in LOOKS.items()
    )


def tint_key() -> tuple[tuple[str, str], ...]:
    """Return the five tints with the scores [points of 100] they stand for."""
    edges = [round(edge) for edge in TINTS]
    middle = [f"{low} to {high}" for low, high in pairwise(edges)]
    labels = [f"under {edges[0]}", *middle, f"{edges[-1]} and more"]
    return tuple((f"tint-{place}", label) for place, label in enumerate(labels, start=1))


def _group_row(group: Group, reading: GroupReading, records: Mapping[str, GroupRecords], k: int) -> GroupRow:
    of = records.get(group.id)
    return GroupRow(
        id=group.id,
        name=group.name,
        level=group.level,
        invited=group.invited,
        support=reading_cell(reading, k=k),
        hit_share=_record_cell(of, of.hit_share if of else None, percent, k),
        median_attainment=_record_cell(of, of.median_attainment if of else None, percent, k),
        territory_index=_record_cell(of, of.territory_index if of else None, index, k),
    )


def _record_cell(of: GroupRecords | None, value: float | None, write: Callable[[float], str], k: int) -> Cell:
    """Return a cell of the company's records; one of fewer than k people says so and nothing else."""
    if of is None or of.with_results == 0:
        return Cell("no_data", LOOKS["no_data"], words=catalogue.STATES["no_data"])
    if value is None or of.with_results < k:
        return Cell("no_data", "not shown", words=TOO_FEW)
    return Cell("shown", write(value))
