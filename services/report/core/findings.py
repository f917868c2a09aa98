"""Everything a report says about one release; no number enters from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.protocol.manifest import Manifest
from services.protocol.plan import (
    ALIGNMENT_RESULT,
    CAPABILITY_RESULT,
    MOTIVATION_RESULT,
    SUPPORT_GROUP,
    SUPPORT_RESULT,
)
from services.protocol.release import Release
from services.report.core.drivers import Correlation
from services.report.core.evidence import DRIVERS, Evidence
from services.report.core.explanations import Verdict, decide
from services.report.core.gathering import Counts, gather, released, weigh
from services.report.core.groups import Reading, lowest, read_company, read_groups

RESULT_SHEETS: Final = {
    "support": SUPPORT_RESULT,
    "capability": CAPABILITY_RESULT,
    "alignment": ALIGNMENT_RESULT,
    "motivation": MOTIVATION_RESULT,
}


@dataclass(frozen=True)
class Findings:
    """What a report shows: verdict, drivers, their frame-weighted version, groups and company.

    ``drivers`` are those of the verdict; ``weighted`` are the released ones again, weighted to the frame
    and widened for shared teams. ``groups`` is keyed by group id, ``company`` by condition.
    """

    verdict: Verdict
    evidence: Evidence
    drivers: Mapping[str, Correlation]
    weighted: Mapping[str, Correlation]
    groups: Mapping[str, Reading]
    company: Mapping[str, Reading]
    lowest: str | None


def find(release: Release, manifest: Manifest) -> Findings:
    """Return everything the report says about a release.

    Parameters
    ----------
    release : Release
        A release whose signature and manifest hash were checked.
    manifest : Manifest
        The manifest of its cycle.

    Returns
    -------
    Findings
        Complete for every release; what it does not hold is ``not_released`` or ``not_measured``.

    Raises
    ------
    InvalidTable
        If a table does not have the shape of its plan.

    Notes
    -----
    Privacy: post-processing; company records are exact.
    Source: statistics.md, sections 4 and 5.

    Examples
    --------
    >>> from services.protocol.frame import Frame, Records
    >>> nothing = dict(hit_share=None, attainment=None, activity_by_attainment=None, indicators=())
    >>> records = Records.model_construct(frame=0, groups=(), **nothing)
    >>> frame = Frame.model_construct(records=records)
    >>> release = Release.model_construct(tables=(), groups=(), frame=frame)
    >>> found = find(release, Manifest.model_construct(groups=(), bands={}, k=10))
    >>> found.verdict.form, found.company["support"].state
    ('cant_tell', 'not_released')
    """
    tables = {name: released(release, manifest, sheet) for name, sheet in RESULT_SHEETS.items()}
    evidence = gather(release, manifest, tables)
    company = read_conditions(release, manifest, tables)
    return Findings(
        verdict=decide(evidence),
        evidence=evidence,
        drivers={name: evidence.drivers[name] for name in DRIVERS if name in evidence.drivers},
        weighted=weigh(release, manifest, tables),
        groups=read_reporting_groups(release, manifest),
        company=company,
        lowest=lowest(company),
    )


def read_conditions(
    release: Release, manifest: Manifest, tables: Mapping[str, Counts | None]
) -> dict[str, Reading]:
    """Return the company's reading of the four conditions.

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
    dict of str to Reading
        Support from table B, or from H where B is absent and every group is shown.

    Raises
    ------
    InvalidTable
        If a table does not have three rows.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 4 (company margins).

    Examples
    --------
    >>> release = Release.model_construct(tables=())
    >>> read_conditions(release, Manifest.model_construct(k=10), {})["alignment"].state
    'not_released'
    """
    readings: dict[str, Reading] = {}
    for name in RESULT_SHEETS:
        table = tables.get(name)
        if table is None and name == "support":
            by_group = released(release, manifest, SUPPORT_GROUP)
            table = by_group if by_group is not None and by_group.live.all() else None
        readings[name] = (
            read_company(None, epsilon=1.0, k=manifest.k)
            if table is None
            else read_company(table.live_counts, epsilon=table.epsilon, k=manifest.k)
        )
    return readings


def read_reporting_groups(release: Release, manifest: Manifest) -> dict[str, Reading]:
    """Return the reading of every reporting group, by group id.

    Parameters
    ----------
    release : Release
        A checked release.
    manifest : Manifest
        The manifest of its cycle; its reporting groups are the columns of table H.

    Returns
    -------
    dict of str to Reading
        ``not_released`` for all where the plan has no table H; ``held`` for all where it is held.

    Raises
    ------
    InvalidTable
        If a column is absent in some rows only.

    Notes
    -----
    Privacy: post-processing; a held group looks the same whatever the cause.
    Source: statistics.md, sections 3 and 4.

    Examples
    --------
    >>> read_reporting_groups(Release.model_construct(tables=()), Manifest.model_construct(groups=()))
    {}
    """
    names = [group.id for group in manifest.reporting_groups()]
    if release.table(SUPPORT_GROUP) is None:
        return dict.fromkeys(names, Reading("not_released"))
    table = released(release, manifest, SUPPORT_GROUP)
    if table is None:
        return dict.fromkeys(names, Reading("held"))
    shown = {group.id for group in release.groups if group.state == "shown"}
    columns = {
        name: table.noisy[:, place] if table.live[place] and name in shown else None
        for place, name in enumerate(names)
    }
    return read_groups(columns, epsilon=table.epsilon, k=manifest.k)
