"""A frame's records: counts are those of the manifest, and nothing is said about fewer than k reps."""

from typing import Any

import pytest

from services.aggregate.core.records import InvalidRecords, check_records
from services.protocol.frame import GroupRecords, Indicator, Records
from services.survey.core.draft import make_manifest
from tests.unit.aggregate.factory import made_manifest
from tests.unit.survey.drafts import small_draft, stand_in_keys

MANIFEST = made_manifest(groups=(60, 60))
"""120 reps with results: 30 in each attainment band, 40 in each third of activity; k is 10."""

MERGED = made_manifest(groups=(60, 60), merged=True)
CROSSED = ((10, 10, 10, 10),) * 3
MERGED_CROSSED = ((14, 13, 13, 0), (13, 14, 13, 0), (13, 13, 14, 0))
FEW = MANIFEST.model_copy(update={"k": 60, "frame": 59})


def group(name: str = "g0", **changes: Any) -> GroupRecords:
    """Return the panel of one group."""
    panel = {"with_results": 60, "hit_share": 0.5, "median_attainment": 0.9, "territory_index": 1.0}
    return GroupRecords.model_validate({"id": name, **panel, **changes})


def silent(name: str = "g0", *, with_results: int = 60, **said: float) -> GroupRecords:
    """Return the panel of a group about which nothing is said, or only this."""
    nothing = {"hit_share": None, "median_attainment": None, "territory_index": None}
    return group(name, with_results=with_results, **{**nothing, **said})


def indicator(n: int) -> Indicator:
    """Return an indicator over this many reps."""
    return Indicator(name="calls", n=n, r=0.1, low=-0.1, high=0.3, lower=-0.05, patch=False)


def records(**changes: Any) -> Records:
    """Return records that keep every rule, changed."""
    fields: dict[str, Any] = {
        "frame": 120,
        "hit_share": 0.5,
        "attainment": (30, 30, 30, 30),
        "activity_by_attainment": CROSSED,
        "icc_attainment": 0.1,
        "mean_team_size": 8.0,
        "indicators": (indicator(120), indicator(10)),
        "groups": (group("all", with_results=120), group("g0"), group("g1")),
        "notes": (),
    }
    return Records.model_validate({**fields, **changes})


NOTHING: dict[str, Any] = {
    "hit_share": None,
    "attainment": None,
    "activity_by_attainment": None,
    "icc_attainment": None,
    "mean_team_size": None,
    "indicators": (),
    "groups": (),
}


def test_records_that_fit_are_taken() -> None:
    check_records(records(), MANIFEST)
    check_records(records(**NOTHING), MANIFEST)
    check_records(records(**NOTHING, frame=59), FEW)
    check_records(records(attainment=(40, 40, 40, 0), activity_by_attainment=MERGED_CROSSED), MERGED)
    rows = ((13, 9, 8, 10), (10, 10, 10, 10), (7, 11, 12, 10))
    check_records(records(activity_by_attainment=rows), MANIFEST)


def test_what_survey_makes_is_taken() -> None:
    draft = small_draft()
    assert draft.records.attainment is not None
    assert draft.records.activity_by_attainment is not None
    check_records(draft.records, make_manifest(draft, cycle="spring-2026", **stand_in_keys(draft)))


BROKEN: dict[str, list[dict[str, Any]]] = {
    "reps with results": [{"frame": 119}, {"frame": 121}],
    "hit share": [{"hit_share": -0.1}, {"hit_share": 1.1}],
    "reps of an indicator": [{"indicators": (indicator(9),)}, {"indicators": (indicator(121),)}],
    "width of attainment": [{"attainment": (60, 60, 0)}],
    "reps with attainment": [{"attainment": (30, 30, 30, 31)}, {"attainment": (30, 30, 30, 20)}],
    "attainment band under k": [{"attainment": (30, 30, 51, 9)}, {"attainment": (30, 30, 70, -10)}],
    "reps per attainment band": [{"attainment": (31, 29, 30, 30)}, {"attainment": (40, 40, 40, 0)}],
    "shape of activity by attainment": [
        {"activity_by_attainment": CROSSED[:2]},
        {"activity_by_attainment": ((10, 10, 10),) * 3},
    ],
    "counts of activity by attainment": [{"activity_by_attainment": ((-1, 10, 10, 10), *CROSSED[1:])}],
    "reps of activity by attainment": [
        {"activity_by_attainment": ((3, 0, 0, 0),) * 3},
        {"activity_by_attainment": ((10, 10, 10, 11), *CROSSED[1:])},
    ],
    "activity in activity by attainment": [
        {"activity_by_attainment": ((12, 10, 10, 9), (8, 10, 10, 10), (10, 10, 10, 10))}
    ],
    "attainment in activity by attainment": [
        {"activity_by_attainment": ((11, 9, 10, 10), (10, 10, 10, 10), (10, 10, 10, 10))}
    ],
    "known groups, each once": [{"groups": (group("g2"),)}, {"groups": (group("g0"), group("g0"))}],
    "reps with results of a group": [
        {"groups": (group(with_results=61),)},
        {"groups": (group(with_results=-1),)},
    ],
    "group under k": [
        {"groups": (silent(with_results=9, hit_share=0.5),)},
        {"groups": (silent(with_results=9, median_attainment=0.5),)},
        {"groups": (silent(with_results=9, territory_index=0.5),)},
    ],
    "hit share of a group": [{"groups": (group(hit_share=1.01),)}],
    "reps with results of the company": [{"groups": (group("all", with_results=119),)}],
    "hit shares that leave fewer than k": [
        {"groups": (group("g0"), group("g1", with_results=51))},
        {"groups": (group("g0", with_results=60), group("g1", with_results=55, hit_share=0.2))},
    ],
}


@pytest.mark.parametrize(
    ("rule", "changes"), [(rule, one) for rule, several in BROKEN.items() for one in several]
)
def test_records_that_break_a_rule_are_refused(rule: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecords) as refused:
        check_records(records(**changes), MANIFEST)
    assert str(refused.value) == rule


def test_all_groups_together_hold_no_more_than_the_frame() -> None:
    smaller = MANIFEST.model_copy(update={"frame": 110})
    groups = (silent("g0", with_results=55), silent("g1", with_results=55))
    check_records(records(**NOTHING | {"groups": groups}, frame=110), smaller)
    with pytest.raises(InvalidRecords, match="results of all groups"):
        check_records(records(**NOTHING | {"groups": (*groups[:1], silent("g1"))}, frame=110), smaller)


@pytest.mark.parametrize("rest", [0, 10, 50])
def test_hit_shares_may_leave_nobody_or_k(rest: int) -> None:
    check_records(records(groups=(group("g0"), group("g1", with_results=60 - rest))), MANIFEST)
    check_records(records(groups=(group("g0"), silent("g1", with_results=60 - rest))), MANIFEST)
    check_records(records(groups=(silent("g0", with_results=9), silent("g1"))), MANIFEST)


@pytest.mark.parametrize("name", ["hit_share", "attainment", "icc_attainment", "mean_team_size"])
def test_nothing_is_said_about_a_frame_under_k(name: str) -> None:
    said = {"hit_share": 0.5, "attainment": (59, 0, 0, 0), "icc_attainment": 0.1, "mean_team_size": 8.0}
    with pytest.raises(InvalidRecords, match="company under k"):
        check_records(records(**NOTHING | {name: said[name]}, frame=59), FEW)
    for changes in ({"indicators": (indicator(59),)}, {"groups": (group("all", with_results=59),)}):
        with pytest.raises(InvalidRecords):
            check_records(records(**NOTHING | changes, frame=59), FEW)


def test_an_emptied_band_has_nobody() -> None:
    for changes in (
        {"attainment": (30, 30, 30, 30), "activity_by_attainment": None},
        {"attainment": None, "activity_by_attainment": CROSSED},
    ):
        with pytest.raises(InvalidRecords, match="attainment"):
            check_records(records(**changes), MERGED)


def test_bands_that_no_sheet_carries_are_compared_with_the_bands_alone() -> None:
    small = MERGED.model_copy(update={"sheets": ()})
    check_records(
        records(attainment=(50, 35, 35, 0), activity_by_attainment=((25, 5, 5, 0),) * 2 + ((0,) * 4,)), small
    )
    for changes in (
        {"attainment": (50, 35, 25, 10), "activity_by_attainment": None},
        {"attainment": (50, 35, 35, 0), "activity_by_attainment": ((50, 0, 0, 0), (1, 0, 0, 0), (0,) * 4)},
    ):
        with pytest.raises(InvalidRecords, match="attainment"):
            check_records(records(**changes), small)


def test_records_of_what_no_band_is_for_are_refused() -> None:
    for name, changes in (
        ("attainment", {"activity_by_attainment": None}),
        ("activity", {"attainment": None}),
    ):
        bands = {context: made for context, made in MANIFEST.bands.items() if context != name}
        with pytest.raises(InvalidRecords, match=name):
            check_records(records(**changes), MANIFEST.model_copy(update={"bands": bands}))
