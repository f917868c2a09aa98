"""The company's records in a frame, checked before they are signed into a release for good."""

from collections.abc import Sequence
from typing import Literal

from services.protocol.frame import GroupRecords, Records
from services.protocol.manifest import Manifest
from services.protocol.plan import CONTEXT_WIDTH

Band = Literal["attainment", "activity"]


class InvalidRecords(ValueError):
    """The records contradict their manifest, or say something about fewer than k reps."""


def check_records(records: Records, manifest: Manifest) -> None:
    """Raise InvalidRecords unless the records fit what the manifest says of the same reps.

    Parameters
    ----------
    records : Records
        The statistics in a frame.
    manifest : Manifest
        What reps were promised: k, the frame, bands and groups with their invited counts.

    Raises
    ------
    InvalidRecords
        If a count contradicts a public one, a statistic is about fewer than k reps, or a subtraction
        tells how many of fewer than k reps made quota. It names the rule and no number.

    Notes
    -----
    Privacy: exact company records, no survey answer among them. Survey makes them; this is the second
    pair of eyes, as nothing that was released can be taken back.
    Source: statistics.md, sections 5 and 6; system.md, section 4 (frame).

    Examples
    --------
    >>> from tests.unit.aggregate.factory import made_manifest
    >>> empty = dict.fromkeys(Records.model_fields) | {"indicators": (), "groups": (), "notes": ()}
    >>> check_records(Records(**empty | {"frame": 125}), made_manifest())
    >>> check_records(Records(**empty | {"frame": 126}), made_manifest())
    Traceback (most recent call last):
    services.aggregate.core.records.InvalidRecords: reps with results
    """
    _require(records.frame == manifest.frame, "reps with results")
    if records.frame < manifest.k:
        about_few = (records.hit_share, records.attainment, records.icc_attainment, records.mean_team_size)
        _require(all(value is None for value in about_few), "company under k")
    _require(_is_share(records.hit_share), "hit share")
    _require(all(manifest.k <= one.n <= records.frame for one in records.indicators), "reps of an indicator")
    if records.attainment is not None:
        _check_attainment(records.attainment, manifest)
    if records.activity_by_attainment is not None:
        _check_crossed(records.activity_by_attainment, records.attainment, manifest)
    _check_groups(records, manifest)


def _check_attainment(margin: Sequence[int], manifest: Manifest) -> None:
    """Check the reps per attainment band: those the manifest names, in bands of at least k."""
    _require(len(margin) == CONTEXT_WIDTH["attainment"], "width of attainment")
    _require(sum(margin) == manifest.frame, "reps with attainment")
    _require(all(count == 0 or count >= manifest.k for count in margin), "attainment band under k")
    _require(_fits(margin, manifest, "attainment", exactly=True), "reps per attainment band")


def _check_crossed(table: Sequence[Sequence[int]], margin: Sequence[int] | None, manifest: Manifest) -> None:
    """Check activity by attainment: of at least k reps, and in no band more than have it."""
    widths = [CONTEXT_WIDTH["attainment"]] * CONTEXT_WIDTH["activity"]
    _require([len(row) for row in table] == widths, "shape of activity by attainment")
    _require(all(count >= 0 for row in table for count in row), "counts of activity by attainment")
    rows, columns = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
    _require(manifest.k <= sum(rows) <= manifest.frame, "reps of activity by attainment")
    _require(_fits(rows, manifest, "activity"), "activity in activity by attainment")
    _require(_fits(columns, manifest, "attainment"), "attainment in activity by attainment")
    within = margin is None or all(here <= of for here, of in zip(columns, margin, strict=True))
    _require(within, "attainment in activity by attainment")


def _fits(counts: Sequence[int], manifest: Manifest, context: Band, *, exactly: bool = False) -> bool:
    """Return whether no band has more reps than were invited with it; emptied bands have none.

    The invited counts stand at the sheets that carry the band. Without such a sheet only the bands count.
    """
    bands = manifest.bands.get(context)
    if bands is None or any(counts[column] for column in set(range(len(counts))) - set(bands.live)):
        return False
    of = next((spec for spec in manifest.sheets if spec.context == context), None)
    if of is None:
        return True
    pairs = [(counts[value], invited) for value, invited in zip(of.values, of.invited, strict=True)]
    return all(count == invited if exactly else count <= invited for count, invited in pairs)


def _check_groups(records: Records, manifest: Manifest) -> None:
    invited = {group.id: group.invited for group in manifest.groups}
    ids = [group.id for group in records.groups]
    _require(len(set(ids)) == len(ids) and set(ids) <= invited.keys(), "known groups, each once")
    for group in records.groups:
        _require(0 <= group.with_results <= invited[group.id], "reps with results of a group")
        _require(group.with_results >= manifest.k or not _says_something(group), "group under k")
        _require(_is_share(group.hit_share), "hit share of a group")
    company, *_ = manifest.groups
    of_company = [group.with_results for group in records.groups if group.id == company.id]
    _require(of_company in ([], [manifest.frame]), "reps with results of the company")
    _check_rest([group for group in records.groups if group.id != company.id], manifest)


def _check_rest(groups: Sequence[GroupRecords], manifest: Manifest) -> None:
    """Check that hit shares, taken from the company's, leave nobody or at least k."""
    _require(sum(group.with_results for group in groups) <= manifest.frame, "reps with results of all groups")
    told = [group.with_results for group in groups if group.hit_share is not None]
    rest = manifest.frame - sum(told)
    _require(not told or rest == 0 or rest >= manifest.k, "hit shares that leave fewer than k")


def _says_something(group: GroupRecords) -> bool:
    about = (group.hit_share, group.median_attainment, group.territory_index)
    return any(value is not None for value in about)


def _is_share(value: float | None) -> bool:
    return value is None or 0.0 <= value <= 1.0


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise InvalidRecords(what)
