"""Rows of the driver panel: released numbers and company records as a page prints them."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from services.protocol.frame import Indicator, Records
from services.protocol.manifest import Bands, Manifest
from services.protocol.plan import SUPPORT_RESULT
from services.protocol.release import Release
from services.report.cells import percent
from services.report.core import catalogue
from services.report.core.chart import Row, strip
from services.report.core.drivers import Correlation
from services.report.core.evidence import ACTIVITY, DRIVERS, HIGH, Share, hit_share_of_best
from services.report.core.findings import Findings
from services.report.core.gathering import QUOTA_MET, released
from services.report.core.wording import driver_name, driver_words, figure, indicator_name

BANDS: Final = ("Low", "Middle", "High")
ANSWERS: Final = "Answers; includes privacy noise"
RECORDS: Final = "Company records, exact"
TOO_FEW: Final = "too few answers to tell"
MISSING: Final = {"no_data": catalogue.NOTES["no_data"], "not_released": "not released"}


@dataclass(frozen=True)
class DriverRow:
    """A driver: its r with its range, where it comes from, and the same weighted to all invited."""

    name: str
    value: str
    range: str
    source: str
    weighted: str


@dataclass(frozen=True)
class ShareRow:
    """The share that hit quota among the reps of one band of Support."""

    band: str
    value: str
    range: str
    strip: Markup


def chart_rows(findings: Findings, records: Records, k: int) -> tuple[Row, ...]:
    """Return the lines of the driver chart: conditions, activity, and every recorded indicator."""
    names = ("support", *(name for name in DRIVERS if name != "support"))
    return (
        *(_driver_line(findings, name) for name in names),
        *(_indicator_line(found) for found in records.indicators if found.n >= k),
    )


def _driver_line(findings: Findings, name: str) -> Row:
    driver, label, exact = findings.drivers.get(name), driver_name(name), name == ACTIVITY
    if driver is None:
        missing = "no_data" if exact else "not_released"
        return Row(label, None, None, None, MISSING[missing], exact)
    return Row(label, driver.r, driver.low, driver.high, driver_words(driver, exact=exact), exact)


def _indicator_line(found: Indicator) -> Row:
    words = catalogue.NOTES["records"].format(
        value=figure(found.r), low=figure(found.low), high=figure(found.high)
    )
    return Row(indicator_name(found.name), found.r, found.low, found.high, words, exact=True)


def driver_rows(rows: tuple[Row, ...], findings: Findings) -> tuple[DriverRow, ...]:
    """Return the table under the driver chart."""
    weighted = {driver_name(name): found for name, found in findings.weighted.items()}
    return tuple(
        DriverRow(
            name=row.label,
            value=row.words if row.value is None else figure(row.value),
            range=_range(row.low, row.high),
            source="" if row.value is None else RECORDS if row.exact else ANSWERS,
            weighted=_weighted(weighted.get(row.label)),
        )
        for row in rows
    )


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{figure(low)} to {figure(high)}"


def _weighted(found: Correlation | None) -> str:
    return "" if found is None else f"{figure(found.r)} ({_range(found.low, found.high)})"


def share_rows(release: Release, manifest: Manifest) -> tuple[ShareRow, ...]:
    """Return the share of reps who hit quota by band of Support, where the bands can tell who hit."""
    table, bands = released(release, manifest, SUPPORT_RESULT), manifest.bands.get("attainment")
    hit = None if bands is None else _hit_columns(bands)
    if table is None or hit is None:
        return ()
    rows = []
    for band, name in enumerate(BANDS):
        # The core reads the highest band; turning the rows puts each band in its place.
        turned = np.roll(table.noisy, HIGH - band, axis=0)
        share = hit_share_of_best(turned, epsilon=table.epsilon, hit_columns=hit, live_columns=table.live)
        rows.append(_share_row(name, share))
    return tuple(rows)


def shares_missing(release: Release, manifest: Manifest) -> str:
    """Return why there are no shares by band of Support."""
    if SUPPORT_RESULT not in manifest.plan.sheets:
        return catalogue.NOTES["shares_not_released"]
    if released(release, manifest, SUPPORT_RESULT) is None:
        return catalogue.STATES["held"].format(k=manifest.k)
    return catalogue.NOTES["shares_mixed"]


def _hit_columns(bands: Bands) -> list[bool] | None:
    """Return which attainment bands hold reps who hit; None if merging mixed them with others."""
    hit = [edge >= QUOTA_MET for edge in (-math.inf, *bands.edges)]
    mixed = any(hit[column] != hit[into] for column, into in enumerate(bands.merged_into))
    return None if mixed or QUOTA_MET not in bands.edges else hit


def _share_row(band: str, share: Share | None) -> ShareRow:
    if share is None:
        return ShareRow(band, TOO_FEW, "", Markup(""))
    bounds = f"{round(100 * share.low)} to {percent(share.high)}"
    return ShareRow(band, percent(share.share), bounds, strip(share.share, share.low, share.high, most=1.0))
