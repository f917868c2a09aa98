"""Roster files that can be used, and how people are found in them."""

from datetime import date

import pytest

from services.survey.core.csvfile import InputError
from services.survey.core.roster import COLUMNS, Rep, parse_roster

FULL = (
    "Employee ID;E-Mail Address;Team Name;Region;Manager E-Mail;Customer Segment;Job Title;Hire Date;Locale;"
    "Leave start;Leave end\n"
    "007;Ann@X.org;A;North;boss@x.org;Mid;AE;2024-03-01;pt_BR;2026-01-05;2026-01-09\n"
    "008;bo@x.org;B;North;;;;;;2026-02-01;\n"
)


def test_reads_every_column_under_its_other_headings() -> None:
    first, second = parse_roster(FULL.encode(), file="r.csv").reps
    assert first == Rep(
        employee_id="007",
        email="Ann@X.org",
        team="A",
        region="North",
        manager_email="boss@x.org",
        segment="Mid",
        role="AE",
        start_date=date(2024, 3, 1),
        language="pt-br",
        leave_from=date(2026, 1, 5),
        leave_to=date(2026, 1, 9),
    )
    assert second == Rep("008", "bo@x.org", "B", "North", leave_from=date(2026, 2, 1))


def test_people_are_found_by_id_to_the_letter_and_by_address_without_case() -> None:
    roster = parse_roster(b"id,mail,team,region\nab,Ann@X.org,A,N\naB,bo@x.org,A,N\n", file="r.csv")
    assert roster.by_id["ab"].email == "Ann@X.org"
    assert roster.by_id["aB"].email == "bo@x.org"
    assert roster.by_email["ann@x.org"].employee_id == "ab"


def test_a_leave_may_last_one_day() -> None:
    data = b"id,mail,team,region,leave_from,leave_to\n1,a@x.org,A,N,2026-02-02,2026-02-02\n"
    (rep,) = parse_roster(data, file="r.csv").reps
    assert rep.leave_from == rep.leave_to == date(2026, 2, 2)


def test_order_of_the_file_is_kept() -> None:
    lines = "".join(f"E{i},e{i}@x.org,A,N\n" for i in (3, 1, 2))
    roster = parse_roster(f"employee_id,email,team,region\n{lines}".encode(), file="r.csv")
    assert [rep.employee_id for rep in roster.reps] == ["E3", "E1", "E2"]


def test_only_four_columns_are_required() -> None:
    assert [column.name for column in COLUMNS if column.required] == [
        "employee_id",
        "email",
        "team",
        "region",
    ]


@pytest.mark.parametrize("column", ["employee_id", "email", "team", "region"])
def test_a_missing_required_column_is_named(column: str) -> None:
    names = [name for name in ("employee_id", "email", "team", "region") if name != column]
    with pytest.raises(InputError) as caught:
        parse_roster(f"{','.join(names)}\na,b,c\n".encode(), file="r.csv")
    assert (caught.value.line, caught.value.column) == (1, column)


def test_the_second_of_two_equal_addresses_is_pointed_at_whatever_is_between() -> None:
    data = b"employee_id,email,team,region\n1,a@x.org,A,N\n\n2,b@x.org,A,N\n3,A@x.ORG,A,N\n"
    with pytest.raises(InputError) as caught:
        parse_roster(data, file="r.csv")
    assert str(caught.value) == "r.csv, line 5, email: The address stands in line 2 already."
