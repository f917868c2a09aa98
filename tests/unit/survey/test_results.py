"""Results files that can be used, matched to the roster."""

from datetime import date

import pytest

from services.survey.core.csvfile import InputError
from services.survey.core.results import NUMBERS, Results, parse_results
from services.survey.core.roster import Rep, Roster

PEOPLE = Roster(
    (
        Rep("E1", "ann@x.org", "A", "North"),
        Rep("E2", "bo@x.org", "A", "North"),
        Rep("E3", "cy@x.org", "B", "North"),
    )
)
HEAD = "employee_id,period_start,period_end,quota,credited"


def parse(text: str) -> Results:
    """Read a text as a results file."""
    return parse_results(text.encode(), file="q.csv", roster=PEOPLE)


def messages(results: Results) -> list[str]:
    """Return the warnings of a file."""
    return [warning.message for warning in results.warnings]


def test_reads_every_column() -> None:
    names = list(NUMBERS)
    heading = ",".join([HEAD, "currency", "territory", "coaching_plan_date", *names, "x_reach", "X Share"])
    values = ",".join(str(number) for number in range(1, len(names) + 1))
    row = parse(f"{heading}\nE1,2026-01-01,2026-03-31,100,-5,eur,T1,2026-01-20,{values},0.5,\n").rows[0]
    assert (row.employee_id, row.line, row.period_days) == ("E1", 2, 90)
    assert (row.quota, row.credited, row.currency, row.territory) == (100.0, -5.0, "EUR", "T1")
    assert row.coaching_plan_date == date(2026, 1, 20)
    assert [getattr(row, name) for name in names] == [float(i) for i in range(1, len(names) + 1)]
    assert dict(row.extras) == {"x_reach": 0.5}


def test_empty_optional_cells_say_nothing() -> None:
    row = parse(f"{HEAD},calls,territory_index,x_reach\nE1,2026-01-01,2026-03-31,100,90,,,\n").rows[0]
    assert (row.calls, row.territory_index, dict(row.extras)) == (None, None, {})


def test_people_are_matched_by_address_where_there_is_no_id() -> None:
    heading = "Quota Amount,Closed Won,E-Mail,Employee Number,Start,End"
    lines = "10,9,BO@X.ORG,,2026-01-01,2026-01-31\n10,9,,E3,2026-01-01,2026-01-31\n"
    assert [row.employee_id for row in parse(f"{heading}\n{lines}").rows] == ["E2", "E3"]


def test_several_lines_of_one_person_are_kept_apart() -> None:
    results = parse(
        f"{HEAD},territory\nE1,2026-01-01,2026-01-31,10,9,T1\nE1,2026-01-01,2026-01-31,20,9,T2\n"
        "E2,2026-01-01,2026-01-31,5,5,T1\nE3,2026-01-01,2026-01-31,5,5,T1\n"
    )
    assert [row.quota for row in results.rows] == [10.0, 20.0, 5.0, 5.0]
    assert messages(results) == []


def test_warns_about_a_line_that_stands_there_twice_and_about_people_without_results() -> None:
    results = parse(f"{HEAD}\nE1,2026-01-01,2026-01-31,10,9\nE1,2026-01-01,2026-01-31,10,9\n")
    assert messages(results) == [
        "The same person, period and territory stand in line 2; both are added up.",
        "2 of 3 people on the roster have no results.",
    ]


def test_warns_if_active_days_look_like_working_days() -> None:
    lines = "".join(f"E{i},2026-01-01,2026-03-31,10,9,{days}\n" for i, days in ((1, 63), (2, 40), (3, 63)))
    assert messages(parse(f"{HEAD},active_days\n{lines}")) == [
        "Nobody was active all days of a period. Are these working days? Calendar days are needed."
    ]
    assert messages(parse(f"{HEAD},active_days\n{lines.replace(',63', ',90')}")) == []


def test_a_currency_may_be_missing_everywhere_but_not_here_and_there() -> None:
    heading = f"{HEAD},currency\n"
    line = "E1,2026-01-01,2026-01-31,10,9,"
    assert parse(f"{heading}{line}\n{line}\n").rows[0].currency == ""
    with pytest.raises(InputError, match="'' here and 'EUR' above"):
        parse(f"{heading}{line}EUR\n{line}\n")


def test_both_ends_belong_to_the_period() -> None:
    row = parse(f"{HEAD},active_days\nE1,2026-02-01,2026-02-01,10,9,1\n").rows[0]
    assert row.period_days == 1


def test_refusals_quote_no_person() -> None:
    for line in ("zoe@x.org,2026-01-01,2026-01-31,10,9", "E9,2026-01-01,2026-01-31,10,9"):
        with pytest.raises(InputError) as caught:
            parse(f"{HEAD}\n{line}\n")
        assert line.split(",")[0] not in str(caught.value)
