"""Record statistics against published figures, hand arithmetic and the standard library."""

import csv
import math
import statistics
import sys
from pathlib import Path
from subprocess import run

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.protocol.frame import GroupRecords, Indicator, Records
from services.survey.core.records import RepRecord, record_statistics
from services.survey.core.roster import Rep, Roster

TERRITORIES = Path(__file__).parents[2] / "data" / "sales_territory.csv"
NORMAL = statistics.NormalDist()


def statistics_of(
    records: list[RepRecord],
    *,
    k: int = 5,
    teams: list[str] | None = None,
    groups: list[str] | None = None,
    attainment: dict[str, int] | None = None,
    activity: dict[str, int] | None = None,
) -> Records:
    """Return the statistics of records whose reps have these teams and groups."""
    names = [record.employee_id for record in records]
    homes = teams or ["A"] * len(records)
    reps = tuple(Rep(name, f"{name}@x.org", team, "North") for name, team in zip(names, homes, strict=True))
    return record_statistics(
        Roster(reps),
        records,
        k=k,
        group_of=dict(zip(names, groups or ["g0"] * len(records), strict=True)),
        attainment_columns=attainment or {},
        activity_columns=activity or {},
    )


def people(values: list[float]) -> list[RepRecord]:
    """Return a record for every attainment."""
    return [RepRecord(f"r{i}", attainment=value) for i, value in enumerate(values)]


def territories() -> list[dict[str, float]]:
    """Return the 25 sales territories of Cravens, Woodruff and Stamper (Journal of Marketing, 1972)."""
    with TERRITORIES.open(newline="", encoding="utf-8") as lines:
        return [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(lines)]


def territory_statistics() -> dict[str, Indicator]:
    """Return the indicators of the 25 territories; sales stand for attainment."""
    records = [
        RepRecord(
            f"r{i}",
            attainment=row["Sales"] / 10_000,
            territory_index=row["Poten"],
            leads_assigned=row["Accounts"],
            first_response_hours=row["Work"],
            extras={"x_share": row["Share"], "x_rating": row["Rating"]},
        )
        for i, row in enumerate(territories())
    ]
    return {indicator.name: indicator for indicator in statistics_of(records).indicators}


def test_correlations_of_the_25_territories() -> None:
    rows, found = territories(), territory_statistics()
    assert round(found["x_share"].r, 3) == 0.484  # as published in lectures on these data
    sales = [row["Sales"] for row in rows]
    for name, column, sign in (
        ("territory_index", "Poten", 1),
        ("leads_assigned", "Accounts", 1),
        ("first_response_hours", "Work", -1),
        ("x_share", "Share", 1),
        ("x_rating", "Rating", 1),
    ):
        r = sign * statistics.correlation(sales, [row[column] for row in rows])
        assert found[name].r == pytest.approx(r, abs=1e-12)
        assert found[name].n == 25


def test_intervals_are_fisher_z() -> None:
    for indicator in territory_statistics().values():
        z, error = math.atanh(indicator.r), 1 / math.sqrt(22)
        low, high = (math.tanh(z + sign * NORMAL.inv_cdf(0.975) * error) for sign in (-1, 1))
        assert (indicator.low, indicator.high) == pytest.approx((low, high), abs=1e-9)


def test_the_lower_bound_pays_for_the_number_of_patch_indicators() -> None:
    found = territory_statistics()
    assert [name for name, indicator in found.items() if indicator.patch] == [
        "territory_index",
        "leads_assigned",
        "first_response_hours",
    ]
    for indicator in found.values():
        bound = math.tanh(math.atanh(indicator.r) - NORMAL.inv_cdf(1 - 0.05 / 3) / math.sqrt(22))
        assert indicator.lower == pytest.approx(bound, abs=1e-9)


def test_one_patch_indicator_has_the_plain_5_percent() -> None:
    records = [
        RepRecord(f"r{i}", attainment=row["Sales"] / 10_000, territory_index=row["Poten"])
        for i, row in enumerate(territories())
    ]
    (indicator,) = statistics_of(records).indicators
    bound = math.tanh(math.atanh(indicator.r) - NORMAL.inv_cdf(0.95) / math.sqrt(22))
    assert indicator.lower == pytest.approx(bound, abs=1e-9)


def test_quick_response_and_short_stages_are_favourable() -> None:
    records = [
        RepRecord(
            f"r{i}",
            attainment=i / 10,
            first_response_hours=20.0 - i + i % 2,
            extras={"median_days_in_stage": 9.0 - i},
        )
        for i in range(12)
    ]
    assert all(indicator.r > 0.9 for indicator in statistics_of(records).indicators)


def test_a_perfect_relation_has_no_width() -> None:
    records = [RepRecord(f"r{i}", attainment=i / 10, territory_index=float(i)) for i in range(12)]
    (indicator,) = statistics_of(records).indicators
    assert (indicator.low, indicator.high, indicator.lower) == pytest.approx((1.0, 1.0, 1.0))


def test_indicators_need_k_people_and_some_variation() -> None:
    few = [RepRecord(f"r{i}", attainment=i / 10, calls=float(i) if i < 4 else None) for i in range(12)]
    flat = [RepRecord(f"r{i}", attainment=i / 10, demos=100 / 3) for i in range(12)]
    level = [RepRecord(f"r{i}", attainment=0.7, calls=float(i)) for i in range(12)]
    for records in (few, flat, level):
        assert statistics_of(records).indicators == ()


def test_people_who_lack_one_of_two_values_are_left_out_of_that_pair_only() -> None:
    records = [
        RepRecord(
            f"r{i}", attainment=(i * 7 % 12) / 10, calls=float(i), demos=None if i < 3 else float(i % 5)
        )
        for i in range(12)
    ]
    calls, demos = statistics_of(records).indicators
    assert (calls.n, demos.n) == (12, 9)
    both = [(record.demos or 0.0, record.attainment or 0.0) for record in records[3:]]
    assert demos.r == pytest.approx(statistics.correlation(*zip(*both, strict=True)))


def test_icc_by_hand_for_equal_teams() -> None:
    # Means 1.5 and 3.5 around 2.5: between 4.0 (1 df), within 1.0 (2 df) -> (4 - .5) / (4 + .5).
    found = statistics_of(people([1.0, 2.0, 3.0, 4.0]), k=4, teams=["A", "A", "B", "B"])
    assert found.icc_attainment == pytest.approx(3.5 / 4.5)
    assert found.mean_team_size == 2.0


def test_icc_by_hand_for_unequal_teams() -> None:
    # Teams (0, 2), (4, 5, 6), (7): means 1, 5, 7, all 4. Between 2*9 + 3*1 + 9 = 30 (2 df), within
    # 2 + 2 = 4 (3 df), adjusted size (6 - 14/6) / 2 = 11/6.
    values, teams = [0.0, 2.0, 4.0, 5.0, 6.0, 7.0], ["A", "A", "B", "B", "B", "C"]
    between, within, size = 15.0, 4 / 3, 11 / 6
    found = statistics_of(people(values), teams=teams)
    assert found.icc_attainment == pytest.approx((between - within) / (between + (size - 1) * within))
    assert found.mean_team_size == 2.0


def test_icc_is_never_negative_and_needs_two_teams() -> None:
    alike = statistics_of(people([0.0, 2.0, 0.0, 2.0, 0.0, 2.0]), teams=["A", "A", "B", "B", "C", "C"])
    assert alike.icc_attainment == 0.0
    assert statistics_of(people([0.1, 0.2, 0.3, 0.4, 0.5])).icc_attainment is None
    assert statistics_of(people([0.1, 0.2, 0.3, 0.4, 0.5]), teams=list("ABCDE")).icc_attainment is None
    assert statistics_of(people([0.3] * 6), teams=list("AABBCC")).icc_attainment is None
    assert statistics_of(people([0.3] * 4 + [0.6] * 4), teams=list("AAAABBBB")).icc_attainment == 1.0


def test_teams_of_the_same_name_in_two_regions_are_two_teams() -> None:
    reps = tuple(Rep(f"r{i}", f"{i}@x.org", "Sales", "North" if i < 4 else "South") for i in range(8))
    found = record_statistics(
        Roster(reps),
        people([i / 10 for i in range(8)]),
        k=5,
        group_of={},
        attainment_columns={},
        activity_columns={},
    )
    assert found.mean_team_size == 4.0


def test_the_exact_table_counts_reps_who_have_both() -> None:
    records = people([i / 10 for i in range(12)])
    attainment = {f"r{i}": i % 4 for i in range(12)}
    activity = {f"r{i}": i % 3 for i in range(1, 12)}
    found = statistics_of(records, attainment=attainment, activity=activity)
    assert found.attainment == (3, 3, 3, 3)
    assert found.activity_by_attainment == ((0, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1))


def test_tables_are_absent_where_bands_were_dropped_or_too_few_have_both() -> None:
    records = people([i / 10 for i in range(12)])
    columns = {f"r{i}": i % 3 for i in range(12)}
    assert statistics_of(records, attainment=columns).activity_by_attainment is None
    assert statistics_of(records, activity=columns).attainment is None
    few = {f"r{i}": 0 for i in range(4)}
    assert statistics_of(records, attainment=columns, activity=few).activity_by_attainment is None


def test_nothing_is_said_of_a_frame_below_k() -> None:
    found = statistics_of(people([0.5, 1.5, 0.7, 1.2]), k=5, attainment={"r0": 0}, teams=list("AABB"))
    assert found == Records(
        frame=4,
        hit_share=None,
        attainment=None,
        activity_by_attainment=None,
        icc_attainment=None,
        mean_team_size=None,
        indicators=(),
        groups=tuple(
            GroupRecords(
                id=name, with_results=4, hit_share=None, median_attainment=None, territory_index=None
            )
            for name in ("company", "g0")
        ),
        notes=found.notes,
    )


def panel(found: Records, name: str) -> GroupRecords:
    """Return the panel of one group."""
    return next(group for group in found.groups if group.id == name)


def test_group_panels() -> None:
    values = [0.5, 0.6, 1.1, 1.3, 0.9, 0.2, 1.4, 1.5, 1.0, 0.4]
    records = [
        RepRecord(f"r{i}", attainment=v, territory_index=float(i) if i < 7 else None)
        for i, v in enumerate(values)
    ]
    found = statistics_of(records, groups=["g0"] * 5 + ["g1"] * 5)
    assert [group.id for group in found.groups] == ["company", "g0", "g1"]
    assert panel(found, "company").hit_share == 0.5
    assert panel(found, "company").median_attainment == pytest.approx(0.95)
    assert panel(found, "company").territory_index == 3.0
    assert panel(found, "g0").hit_share == 0.4
    assert panel(found, "g0").median_attainment == 0.9
    # Only 2 of g1 have an index: with g0's mean beside the company's, theirs could be worked out.
    assert panel(found, "g0").territory_index is None
    assert panel(found, "g1").territory_index is None


def test_no_subtraction_leaves_the_index_of_fewer_than_k() -> None:
    records = [
        RepRecord(f"r{i}", attainment=i / 50, territory_index=float(i) if i < 23 else None) for i in range(40)
    ]
    found = statistics_of(records, groups=["g0"] * 20 + ["g1"] * 20)
    assert panel(found, "company").territory_index == 11.0
    assert [panel(found, group).territory_index for group in ("g0", "g1")] == [None, None]
    assert [panel(found, group).hit_share for group in ("g0", "g1")] != [None, None]
    enough = [RepRecord(f"r{i}", attainment=i / 50, territory_index=float(i)) for i in range(40)]
    both = statistics_of(enough, groups=["g0"] * 20 + ["g1"] * 20)
    assert [panel(both, group).territory_index for group in ("g0", "g1")] == [9.5, 29.5]


def test_a_small_group_is_withheld_and_can_not_be_subtracted() -> None:
    records = people([i / 20 for i in range(30)])
    found = statistics_of(records, groups=["g0"] * 14 + ["g1"] * 13 + ["g2"] * 3)
    assert panel(found, "g2").hit_share is None
    assert panel(found, "g1").hit_share is None
    assert panel(found, "g0").hit_share is not None


def test_nothing_more_is_withheld_once_k_people_are() -> None:
    found = statistics_of(people([i / 20 for i in range(19)]), groups=["g0"] * 14 + ["g1"] * 3 + ["g2"] * 2)
    assert panel(found, "g0").hit_share is not None


@given(st.lists(st.integers(0, 14), min_size=1, max_size=6))
def test_what_is_withheld_adds_up_to_none_or_k(sizes: list[int]) -> None:
    groups = [f"g{index}" for index, size in enumerate(sizes) for _ in range(size)]
    if not groups:
        return
    found = statistics_of(people([i / 90 for i in range(len(groups))]), groups=groups)
    given_panels = [group for group in found.groups[1:] if group.hit_share is not None]
    withheld = sum(group.with_results for group in found.groups[1:] if group.hit_share is None)
    assert all(group.with_results >= 5 for group in given_panels)
    assert withheld == 0 or withheld >= 5 or not given_panels


def test_groups_are_listed_by_number() -> None:
    found = statistics_of(people([0.5] * 24), groups=[f"g{i}" for i in range(12)] * 2)
    assert [group.id for group in found.groups] == ["company", *(f"g{i}" for i in range(12))]


def test_notes_say_what_is_missing_without_naming_anyone() -> None:
    records = [*people([0.5, 0.8, 1.2, 1.5, 2.0, 0.1]), RepRecord("zoe")]
    assert statistics_of(records).notes == (
        "1 of 7 invited reps have no results.",
        "Attainment above 200 % counts as 200 %.",
        "Calls and demos are not recorded, so activity can't be compared.",
        "No record of the patch itself (territory index, leads, first response) could be used.",
    )


def test_the_service_starts_without_the_slow_imports() -> None:
    program = (
        "import sys, services.survey.core.records; print(sorted({'pandas', 'pingouin'} & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
