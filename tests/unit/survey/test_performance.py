"""Attainment and activity of named reps, against arithmetic done by hand."""

from collections import Counter
from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.core.performance import RepRecord, activity_terciles, rep_records
from services.survey.core.results import ResultRow, Results
from services.survey.core.roster import Rep, Roster

START, END = date(2026, 1, 1), date(2026, 3, 31)  # 90 days


def rep(name: str, role: str = "AE", away_from: date | None = None, away_to: date | None = None) -> Rep:
    """Return somebody on the roster, perhaps on leave."""
    return Rep(name, f"{name}@x.org", "A", "North", role=role, leave_from=away_from, leave_to=away_to)


def line(name: str, quota: float = 100.0, credited: float = 90.0) -> ResultRow:
    """Return a line of results."""
    return ResultRow(2, name, START, END, quota, credited)


def records_of(people: list[Rep], lines: list[ResultRow]) -> list[RepRecord]:
    """Return the records of a small roster."""
    return rep_records(Roster(tuple(people)), Results(tuple(lines), ()))


def only(lines: list[ResultRow], person: Rep | None = None) -> RepRecord:
    """Return the record of one rep."""
    (record,) = records_of([person or rep("a")], lines)
    return record


@pytest.mark.parametrize(
    ("changes", "attainment"),
    [
        ({}, 0.9),
        ({"active_days": 45.0}, 1.8),
        ({"ramp_percent": 50.0}, 1.8),
        ({"active_days": 81.0, "ramp_percent": 80.0}, 1.25),
        ({"credited": 450.0}, 2.0),
        ({"credited": -20.0}, -0.2),
        ({"credited": 0.0}, 0.0),
        ({"active_days": 0.0}, None),
        ({"ramp_percent": 0.0}, None),
        ({"active_days": 90.0, "ramp_percent": 100.0}, 0.9),
    ],
)
def test_attainment_is_credited_over_quota_in_force(
    changes: dict[str, float], attainment: float | None
) -> None:
    record = only([replace(line("a"), **changes)])  # type: ignore[arg-type]
    assert record.attainment == attainment
    assert record.hit == (None if attainment is None else attainment >= 1.0)


@pytest.mark.parametrize(
    ("leave_from", "leave_to", "days"),
    [
        (date(2026, 1, 1), date(2026, 1, 9), 81),
        (date(2025, 12, 1), date(2026, 1, 9), 81),
        (date(2026, 3, 23), None, 81),
        (date(2026, 3, 23), date(2026, 12, 31), 81),
        (date(2026, 2, 1), date(2026, 2, 9), 81),
        (date(2025, 1, 1), date(2025, 2, 1), 90),
        (date(2026, 4, 1), None, 90),
        (date(2025, 1, 1), None, 0),
    ],
)
def test_leave_inside_the_period_prorates_the_quota(
    leave_from: date, leave_to: date | None, days: int
) -> None:
    person = rep("a", away_from=leave_from, away_to=leave_to)
    expected = round(90 / (100 * days / 90), 9) if days else None
    assert only([line("a")], person).attainment == expected


def test_given_active_days_count_and_not_the_leave() -> None:
    person = rep("a", away_from=START, away_to=END)
    assert only([replace(line("a"), active_days=45.0)], person).attainment == 1.8


def test_the_lines_of_a_person_are_summed_before_dividing() -> None:
    # 10 of 20 and 90 of 80: 100 of 100, and not the mean of 0.5 and 1.125.
    assert only([line("a", 20, 10), line("a", 80, 90)]).attainment == 1.0


def test_a_move_in_mid_period_counts_each_part_for_its_days() -> None:
    first = replace(line("a", 100, 40), active_days=30.0, calls=30.0, territory_index=0.9)
    second = replace(line("a", 130, 60), active_days=60.0, calls=150.0, territory_index=1.2)
    record = only([first, second])
    assert record.attainment == pytest.approx(100 / (100 / 3 + 130 * 2 / 3), abs=1e-9)
    assert record.calls == pytest.approx(180 / 90 * 30)
    assert record.territory_index == pytest.approx((30 * 0.9 + 60 * 1.2) / 90)


def test_a_line_without_a_level_does_not_pull_it_down() -> None:
    record = only([replace(line("a"), territory_index=1.2), line("a")])
    assert record.territory_index == pytest.approx(1.2)


def test_two_territories_at_once_are_one_period_of_work() -> None:
    record = only([replace(line("a"), calls=60.0), replace(line("a"), calls=30.0)])
    assert record.calls == pytest.approx(90 / 90 * 30)


def test_counts_are_rates_so_that_leave_is_not_idleness() -> None:
    away = rep("b", away_from=START, away_to=date(2026, 2, 14))  # 45 of 90 days
    people = records_of([rep("a"), away], [replace(line("a"), calls=90.0), replace(line("b"), calls=45.0)])
    assert people[0].calls == people[1].calls == 30.0


@pytest.mark.parametrize(("quota", "credited"), [(120, 84), (30, 21), (1.1, 0.77), (0.3, 0.21), (7e9, 4.9e9)])
@pytest.mark.parametrize("active_days", [None, 30.0, 63.0, 77.0])
def test_exactly_70_percent_stays_on_its_edge_after_proration(
    quota: float, credited: float, active_days: float | None
) -> None:
    share = 1.0 if active_days is None else active_days / 90
    given = replace(line("a", quota, credited * share), active_days=active_days)
    assert only([given]).attainment == 0.7


def test_people_without_results_are_kept_and_say_nothing() -> None:
    records = records_of([rep("a"), rep("b")], [line("b")])
    assert [record.employee_id for record in records] == ["a", "b"]
    assert records[0] == RepRecord("a")


def test_other_indicators_are_kept_by_name() -> None:
    given = replace(line("a"), stage_conversion=0.2, one_on_ones=6.0, extras={"x_reach": 3.0})
    assert dict(only([given]).extras) == {"stage_conversion": 0.2, "one_on_ones": 2.0, "x_reach": 3.0}


def busy(name: str, calls: float | None, demos: float | None) -> ResultRow:
    """Return a line with activity."""
    return replace(line(name), calls=calls, demos=demos)


def test_activity_adds_the_z_scores_of_calls_and_demos() -> None:
    given = {"a": (10.0, 1.0), "b": (20.0, 1.0), "c": (30.0, 4.0)}
    records = records_of([rep(name) for name in given], [busy(name, *pair) for name, pair in given.items()])
    spread = (200 / 3) ** 0.5
    assert [record.activity for record in records] == pytest.approx(
        [-10 / spread - 1 / 2**0.5, 0 - 1 / 2**0.5, 10 / spread + 2 / 2**0.5], abs=1e-8
    )


def test_activity_is_relative_to_a_role_of_ten_or_more() -> None:
    people = [rep(f"a{i}", "AE") for i in range(10)] + [rep(f"s{i}", "SDR") for i in range(9)]
    lines = [busy(f"a{i}", 10.0 + i, None) for i in range(10)] + [
        busy(f"s{i}", 200.0 + i, None) for i in range(9)
    ]
    records = {record.employee_id: record for record in records_of(people, lines)}
    assert records["a9"].peers == "AE"
    assert records["s0"].peers == ""
    # Within their role the account executives average zero; against everybody, nine busy SDRs are high.
    assert sum(records[f"a{i}"].activity or 0.0 for i in range(10)) == pytest.approx(0.0, abs=1e-8)
    assert all((records[f"s{i}"].activity or 0.0) > 0.5 for i in range(9))


def test_a_rep_without_one_of_the_recorded_measures_has_no_activity() -> None:
    records = records_of(
        [rep(n) for n in "abc"], [busy("a", 1.0, 2.0), busy("b", 2.0, None), busy("c", 3.0, 5.0)]
    )
    assert [record.activity is None for record in records] == [False, True, False]


def test_a_measure_that_never_varies_says_nothing() -> None:
    lines = [busy(name, 1000 / 3, None) for name in "abc"]
    assert [record.activity for record in records_of([rep(n) for n in "abc"], lines)] == [None] * 3
    assert activity_terciles(records_of([rep(n) for n in "abc"], lines)) == {}


def test_rates_that_differ_by_rounding_only_are_equal() -> None:
    days = {"a": 90.0, "b": 70.0, "c": 44.0, "d": 22.0}
    lines = [replace(busy(name, 100 * held / 90, None), active_days=held) for name, held in days.items()]
    records = records_of([rep(name) for name in days], lines)
    assert len({record.calls for record in records}) > 1  # the case is not trivial
    assert [record.activity for record in records] == [None] * 4


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_equals_share_a_third_and_the_more_active_are_never_lower(values: list[int]) -> None:
    records = [RepRecord(f"r{i}", activity=float(value)) for i, value in enumerate(values)]
    thirds = activity_terciles(records)
    pairs = sorted((value, thirds[f"r{i}"]) for i, value in enumerate(values))
    assert [third for _, third in pairs] == sorted(third for _, third in pairs)
    assert len(set(pairs)) == len(set(values))


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_without_ties_thirds_are_even_and_neither_order_nor_names_matter(size: int, shuffler: Random) -> None:
    records = [RepRecord(f"r{i}", activity=float(i)) for i in range(size)]
    thirds = activity_terciles(records)
    counts = Counter(thirds.values())
    assert max(counts[third] for third in range(3)) - min(counts[third] for third in range(3)) <= 1
    renamed = [replace(record, employee_id=f"z{size - i}") for i, record in enumerate(records)]
    shuffler.shuffle(renamed)
    assert sorted(activity_terciles(renamed).values()) == sorted(thirds.values())


def test_thirds_are_counted_within_each_role() -> None:
    records = [
        RepRecord(f"{role}{i}", activity=float(i + shift), peers=role)
        for role, shift in (("AE", 0), ("SDR", 100))
        for i in range(12)
    ]
    thirds = activity_terciles(records)
    for role in ("AE", "SDR"):
        assert [thirds[f"{role}{i}"] for i in range(12)] == [0] * 4 + [1] * 4 + [2] * 4


def test_small_roles_are_placed_among_everybody() -> None:
    records = [RepRecord(f"a{i}", activity=float(i), peers="AE") for i in range(12)]
    thirds = activity_terciles([*records, RepRecord("s", activity=50.0), RepRecord("t", activity=-50.0)])
    assert (thirds["s"], thirds["t"]) == (2, 0)
