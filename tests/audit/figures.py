"""Everything a reader may add and subtract: the published figures, and whom each of them is about.

A figure is about the people of some parts (teams) or record cells. Figures of one attribute can be added and
subtracted: company minus the groups that are shown is the rest. Another table of the plan is more figures.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.protocol.arithmetic import noise_variance
from services.protocol.frame import GroupRecords, Records
from services.protocol.manifest import Bands, Manifest
from services.protocol.plan import MICRO, SUPPORT_GROUP
from services.protocol.release import Release

Part = str
Statistic = Callable[[GroupRecords], float | None]
STATISTICS: dict[str, Statistic] = {
    "hit share": lambda group: group.hit_share,
    "median attainment": lambda group: group.median_attainment,
    "territory index": lambda group: group.territory_index,
}
"""Of the record panels; a median can't be subtracted, but is treated as if it could."""

SUPPORT = "Support (noisy)"
RECORD_CELLS = "people by result"


@dataclass(frozen=True)
class Figure:
    """A published number: of which attribute, and about the people of which parts."""

    attribute: str
    about: frozenset[Part]
    words: str


def published(release: Release, manifest: Manifest, parts: Mapping[str, Iterable[Part]]) -> list[Figure]:
    """Return the figures of a release; ``parts`` are those of each reporting group, known to everybody."""
    of_group = {group: frozenset(inside) for group, inside in parts.items()}
    everybody = frozenset().union(*of_group.values())
    of_group[manifest.groups[0].id] = everybody
    return [
        *_of_records(release.frame.records, of_group),
        *_of_sheets(release, everybody),
        *_of_support(release, manifest, of_group, everybody),
        *_of_cells(manifest),
    ]


def _of_records(records: Records, of_group: Mapping[str, frozenset[Part]]) -> Iterator[Figure]:
    """Yield the statistics of company and groups; the signed release has them all, pages leave some out."""
    everybody = next(iter(sorted(of_group.values(), key=len, reverse=True)))
    if records.hit_share is not None:
        yield Figure("hit share", everybody, "hit share of the company")
    for group in records.groups:
        for name, of in STATISTICS.items():
            if of(group) is not None:
                yield Figure(name, of_group[group.id], f"{name} of {group.id}")


def _of_sheets(release: Release, everybody: frozenset[Part]) -> Iterator[Figure]:
    for name, totals in release.sheets.items():
        for kind in ("issued", "received", "counted", "withdrawn"):
            if getattr(totals, kind):
                yield Figure(f"sheets {name} {kind}", everybody, f"{kind}, company-wide")


def _of_support(
    release: Release, manifest: Manifest, of_group: Mapping[str, frozenset[Part]], everybody: frozenset[Part]
) -> Iterator[Figure]:
    """Yield the company's Support and every shown group's: noisy, and all the same not to be subtracted."""
    fields = {spec.name: spec.field for spec in manifest.sheets}
    if any(t.state == "shown" and fields[t.sheet] == "support_band" for t in release.tables):
        yield Figure(SUPPORT, everybody, "Support of the company")
    for state in release.groups:
        if state.state == "shown":
            yield Figure(SUPPORT, of_group[state.id], f"Support of {state.id}")


def _of_cells(manifest: Manifest) -> Iterator[Figure]:
    """Yield counts of people by result: the raw bands of attainment are the parts."""
    bands, hit = manifest.bands.get("attainment"), manifest.bands.get("hit")
    if bands is None or hit is None:
        return
    cells = raw_cells(bands)
    made_quota = [int(edge >= 1) for edge in (-1.0, *bands.edges)]
    for value in bands.live:
        about = frozenset(cell for cell, into in zip(cells, bands.merged_into, strict=True) if into == value)
        yield Figure(RECORD_CELLS, about, f"people, attainment {bands.labels[value]}")
    for value in hit.live:
        about = frozenset(
            cell for cell, made in zip(cells, made_quota, strict=True) if hit.merged_into[made] == value
        )
        yield Figure(RECORD_CELLS, about, f"people, {hit.labels[value]}")


def raw_cells(bands: Bands) -> tuple[Part, ...]:
    """Return the names of the bands before merging."""
    return tuple(f"band {number}" for number in range(len(bands.merged_into)))


def noise_of_the_rest(release: Release, manifest: Manifest) -> float:
    """Return the noise [SD of one band's count] of the company's Support less that of all shown groups."""
    support = [
        t for t in release.tables if manifest.sheet(t.sheet).field == "support_band" and t.noisy_counts
    ]
    company = [
        noise_variance(t.epsilon_micro / MICRO) * len(manifest.sheet(t.sheet).values)
        for t in support
        if t.sheet != SUPPORT_GROUP
    ]
    by_group = [noise_variance(t.epsilon_micro / MICRO) for t in support if t.sheet == SUPPORT_GROUP]
    shown = sum(state.state == "shown" for state in release.groups)
    return math.sqrt(min(company, default=0.0) + shown * sum(by_group))


def small_exact_cells(records: Records, k: int) -> int:
    """Return how many cells under k the exact table of activity by attainment has: the declared exception."""
    return sum(0 < cell < k for row in records.activity_by_attainment or () for cell in row)
