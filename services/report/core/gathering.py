"""From one release and its manifest to what a verdict may look at."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.protocol.manifest import Bands, Manifest
from services.protocol.plan import MICRO, SUPPORT_ACTIVITY
from services.protocol.release import NoisyTable, Release
from services.report.core.arrays import Array, Mask, counts
from services.report.core.drivers import Correlation, compare, correlation
from services.report.core.evidence import ACTIVITY, Evidence, Share, hit_share_of_best
from services.report.core.stratified import design_effect, stratified_correlation

QUOTA_MET: Final = 1.0


@dataclass(frozen=True)
class Counts:
    """A released table as numbers: noisy counts [sheets], live columns and budget."""

    noisy: Array
    live: Mask
    epsilon: float

    @property
    def live_counts(self) -> Array:
        """The live columns alone."""
        columns: Array = self.noisy[:, self.live]
        return columns


def released(release: Release, manifest: Manifest, sheet: str) -> Counts | None:
    """Return the shown table made from ``sheet`` as numbers, or None.

    Parameters
    ----------
    release : Release
        A checked release.
    manifest : Manifest
        The manifest of its cycle; it says which bands were emptied by merging.
    sheet : str
        Name of a sheet.

    Returns
    -------
    Counts or None
        None where the plan has no such table, or all of it is held.

    Raises
    ------
    InvalidTable
        If a column is absent in some rows only, or does not fit the manifest.

    Notes
    -----
    Privacy: post-processing.
    Source: system.md, section 4 (release).

    Examples
    --------
    >>> released(Release.model_construct(tables=()), Manifest.model_construct(), "support-result") is None
    True
    """
    table: NoisyTable | None = release.table(sheet)
    if table is None or table.state != "shown" or table.noisy_counts is None:
        return None
    noisy, present = counts(table.noisy_counts)
    live = present & np.isin(np.arange(present.size), manifest.sheet(sheet).values)
    return Counts(noisy, live, table.epsilon_micro / MICRO) if live.any() else None


def gather(release: Release, manifest: Manifest, tables: Mapping[str, Counts | None]) -> Evidence:
    """Return what the verdict may look at.

    Parameters
    ----------
    release : Release
        A checked release; its frame holds the company's records.
    manifest : Manifest
        The manifest of its cycle, for band scores and edges.
    tables : mapping of str to Counts or None
        Released condition by attainment tables, by condition.

    Returns
    -------
    Evidence
        What is absent from the release is absent here.

    Raises
    ------
    InvalidTable
        If a table does not have its shape.

    Notes
    -----
    Privacy: post-processing; records are exact.
    Source: statistics.md, section 5.

    Examples
    --------
    >>> from services.protocol.frame import Frame, Records
    >>> nothing = dict(hit_share=None, attainment=None, activity_by_attainment=None, indicators=())
    >>> frame = Frame.model_construct(records=Records.model_construct(frame=40, groups=(), **nothing))
    >>> release = Release.model_construct(tables=(), groups=(), frame=frame)
    >>> gather(release, Manifest.model_construct(groups=(), bands={}, k=10), {}).frame
    40
    """
    records = release.frame.records
    present = {name: table for name, table in tables.items() if table is not None}
    bands, terciles = manifest.bands.get("attainment"), manifest.bands.get("activity")
    drivers: dict[str, Correlation] = {}
    best: dict[str, Share] = {}
    if bands is not None:
        for name, table in present.items():
            drivers[name] = correlation(
                table.noisy, epsilon=table.epsilon, column_scores=bands.scores, live_columns=table.live
            )
            _keep(best, name, _best_of(table.noisy, table.epsilon, table.live, bands))
    activity, comparison = _recorded(records.activity_by_attainment), None
    if bands is not None and terciles is not None and activity is not None:
        drivers[ACTIVITY] = _activity(activity, bands, terciles)
        _keep(best, ACTIVITY, _best_of(activity, None, activity.sum(axis=0) > 0, bands))
        support, shared = present.get("support"), released(release, manifest, SUPPORT_ACTIVITY)
        if support is not None and shared is not None:
            comparison = compare(
                support.noisy,
                shared.noisy,
                activity,
                epsilon_attainment=support.epsilon,
                epsilon_activity=shared.epsilon,
                attainment_scores=bands.scores,
                activity_scores=terciles.scores,
            )
    share = _frame_share(records.hit_share, records.frame)
    return Evidence(drivers, comparison, share, best, records.indicators, records.frame)


def weigh(
    release: Release, manifest: Manifest, tables: Mapping[str, Counts | None]
) -> dict[str, Correlation]:
    """Return the released drivers weighted to the frame's attainment and widened for shared teams.

    Parameters
    ----------
    release : Release
        A checked release.
    manifest : Manifest
        The manifest of its cycle.
    tables : mapping of str to Counts or None
        Released condition by attainment tables, by condition.

    Returns
    -------
    dict of str to Correlation
        Empty where the records hold no activity by attainment table, whose columns are the frame.

    Raises
    ------
    InvalidTable
        If a table does not have its shape.

    Notes
    -----
    Privacy: post-processing; records are exact.
    Source: statistics.md, section 5 (post-stratified version, design effect).

    Examples
    --------
    >>> from services.protocol.frame import Frame, Records
    >>> records = Records.model_construct(frame=40, activity_by_attainment=None)
    >>> release = Release.model_construct(tables=(), frame=Frame.model_construct(records=records))
    >>> weigh(release, Manifest.model_construct(bands={}), {})
    {}
    """
    records, bands = release.frame.records, manifest.bands.get("attainment")
    activity = _recorded(records.activity_by_attainment)
    if bands is None or activity is None or records.frame == 0:
        return {}
    found: dict[str, Correlation] = {}
    for name, table in tables.items():
        if table is not None:
            response = min(float(table.noisy.sum()) / records.frame, 1.0)
            found[name] = stratified_correlation(
                table.noisy,
                epsilon=table.epsilon,
                frame_columns=activity.sum(axis=0),
                column_scores=bands.scores,
                live_columns=table.live,
                design_effect=design_effect(
                    (records.mean_team_size or 1.0) * response, icc_attainment=records.icc_attainment
                ),
            )
    return found


def _recorded(exact: Sequence[Sequence[int]] | None) -> Array | None:
    """Return the frame's activity by attainment [reps], or None where nobody has both."""
    table = np.zeros((3, 4)) if exact is None else np.asarray(exact, dtype=np.float64)
    return table if table.any() else None


def _activity(exact: Array, bands: Bands, terciles: Bands) -> Correlation:
    """Return the exact r of recorded activity with attainment over the frame."""
    return correlation(
        exact,
        epsilon=None,
        row_scores=terciles.scores,
        column_scores=bands.scores,
        live_rows=exact.sum(axis=1) > 0,
        live_columns=exact.sum(axis=0) > 0,
    )


def _best_of(noisy: Array, epsilon: float | None, live: Mask, bands: Bands) -> Share | None:
    """Return the hit share of a driver's highest band, where the bands can tell who hit."""
    lower_edges = (-math.inf, *bands.edges)
    hit = [edge >= QUOTA_MET for edge in lower_edges]
    mixed = any(hit[column] != hit[into] for column, into in enumerate(bands.merged_into))
    if QUOTA_MET not in bands.edges or mixed:
        return None
    return hit_share_of_best(noisy, epsilon=epsilon, hit_columns=hit, live_columns=live)


def _frame_share(hit_share: float | None, frame: int) -> Share | None:
    """Return the frame's own hit share, with the error it has as a sample of such periods."""
    if hit_share is None or frame == 0:
        return None
    return Share(hit_share, math.sqrt(hit_share * (1.0 - hit_share) / frame))


def _keep(shares: dict[str, Share], name: str, share: Share | None) -> None:
    """Store a share that could be told."""
    if share is not None:
        shares[name] = share
