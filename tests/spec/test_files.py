"""Given files and what is said of them: one sentence with file, line and column, or a warning.

The tables read as documentation: on the left what stands in the file, on the right what its owner reads.
"""

import pytest

from services.survey.core.csvfile import InputError
from services.survey.core.results import parse_results
from services.survey.core.roster import Rep, Roster, parse_roster

ROSTER = "employee_id,email,team,region,start_date,leave_from,leave_to,language"
GOOD_ROSTER = f"{ROSTER}\nE1,ann@x.org,A,North,2024-03-01,,,en\n"
RESULTS = "employee_id,period_start,period_end,quota,credited,currency,calls,active_days,ramp_percent"
GOOD_RESULTS = f"{RESULTS}\nE1,2026-01-01,2026-03-31,100,90,EUR,12,,\n"
PEOPLE = Roster((Rep("E1", "ann@x.org", "A", "North"), Rep("E2", "bo@x.org", "A", "North")))

# The line stands below the good one, as line 3.
BAD_ROSTER_LINES = {
    "short row": (
        "E2,bo@x.org,A",
        "r.csv, line 3, region: The line has 3 of 8 cells.",
    ),
    "long row": (
        "E2,bo@x.org,A,North,,,,en,more",
        "r.csv, line 3, column 9: The line has 9 cells for 8 headings. Is there a decimal comma?",
    ),
    "duplicate id": (
        "E1,bo@x.org,A,North,,,,",
        "r.csv, line 3, employee_id: The employee id stands in line 2 already.",
    ),
    "duplicate mail, other capitals": (
        "E2,ANN@X.ORG,A,North,,,,",
        "r.csv, line 3, email: The address stands in line 2 already.",
    ),
    "no mail": ("E2,,A,North,,,,", "r.csv, line 3, email: The cell is empty."),
    "half a mail": (
        "E2,bo.x.org,A,North,,,,",
        "r.csv, line 3, email: The cell is not an e-mail address. Use name@example.com.",
    ),
    "no team": ("E2,bo@x.org, ,North,,,,", "r.csv, line 3, team: The cell is empty."),
    "bad date": (
        "E2,bo@x.org,A,North,31/02/2026,,,",
        "r.csv, line 3, start_date: '31/02/2026' is not a date. Use 2026-02-28.",
    ),
    "a day that does not exist": (
        "E2,bo@x.org,A,North,2026-02-30,,,",
        "r.csv, line 3, start_date: '2026-02-30' is not a date. Use 2026-02-28.",
    ),
    "a date without dashes": (
        "E2,bo@x.org,A,North,20260228,,,",
        "r.csv, line 3, start_date: '20260228' is not a date. Use 2026-02-28.",
    ),
    "end before start": (
        "E2,bo@x.org,A,North,,2026-03-02,2026-03-01,",
        "r.csv, line 3, leave_to: The leave ends before it starts.",
    ),
    "end without start": (
        "E2,bo@x.org,A,North,,,2026-03-01,",
        "r.csv, line 3, leave_from: The leave has an end and no start.",
    ),
    "no language": (
        "E2,bo@x.org,A,North,,,,Klingon!",
        "r.csv, line 3, language: The cell is not a language code. Use en, de or pt-br.",
    ),
    "a team name of 10,000 characters": (
        f"E2,bo@x.org,{'A' * 10_000},North,,,,",
        f"r.csv, line 3, team: '{'A' * 40}...' is longer than 200 characters.",
    ),
    "a control character": (
        "E2,bo@x.org,A\x1b[31m,North,,,,",
        "r.csv, line 3, team: 'A\\u001b[31m' holds a control character.",
    ),
    "a name that turns its direction": (
        "E2,bo@x.org,A\u202eB,North,,,,",
        "r.csv, line 3, team: 'A\\u202eB' holds a control character.",
    ),
    "quotes that do not close": (
        'E2,bo@x.org,"A,North,,,,',
        "r.csv, line 3: The quotation marks of this line do not close, or a cell is far too long.",
    ),
}

BAD_RESULT_LINES = {
    "quota 0": ("E2,2026-01-01,2026-03-31,0,90,EUR,,,", "q.csv, line 3, quota: '0' is not above 0."),
    "negative quota": (
        "E2,2026-01-01,2026-03-31,-5,90,EUR,,,",
        "q.csv, line 3, quota: '-5' is not above 0.",
    ),
    "minus nothing": (
        "E2,2026-01-01,2026-03-31,-0.0,90,EUR,,,",
        "q.csv, line 3, quota: '-0.0' is not above 0.",
    ),
    "empty quota": ("E2,2026-01-01,2026-03-31,,90,EUR,,,", "q.csv, line 3, quota: The cell is empty."),
    "NaN": (
        "E2,2026-01-01,2026-03-31,NaN,90,EUR,,,",
        "q.csv, line 3, quota: 'NaN' is not a number. Write it like 1050.5.",
    ),
    "infinity": (
        "E2,2026-01-01,2026-03-31,100,inf,EUR,,,",
        "q.csv, line 3, credited: 'inf' is not a number. Write it like 1050.5.",
    ),
    "infinity by exponent": (
        "E2,2026-01-01,2026-03-31,100,1e999,EUR,,,",
        "q.csv, line 3, credited: '1e999' is not a number of ordinary size.",
    ),
    "decimal comma": (
        'E2,2026-01-01,2026-03-31,"100,5",90,EUR,,,',
        "q.csv, line 3, quota: '100,5' has a decimal comma or thousands mark. Write it like 1050.5.",
    ),
    "thousands mark": (
        'E2,2026-01-01,2026-03-31,"1,000,000",90,EUR,,,',
        "q.csv, line 3, quota: '1,000,000' has a decimal comma or thousands mark. Write it like 1050.5.",
    ),
    "digits of another script": (
        "E2,2026-01-01,2026-03-31,١٠٠,90,EUR,,,",
        "q.csv, line 3, quota: '١٠٠' is not a number. Write it like 1050.5.",
    ),
    "a number as Python writes it": (
        "E2,2026-01-01,2026-03-31,1_000,90,EUR,,,",
        "q.csv, line 3, quota: '1_000' is not a number. Write it like 1050.5.",
    ),
    "a formula for a number": (
        "E2,2026-01-01,2026-03-31,=10*10,90,EUR,,,",
        "q.csv, line 3, quota: '=10*10' is not a number. Write it like 1050.5.",
    ),
    "bad date": (
        "E2,Q1 2026,2026-03-31,100,90,EUR,,,",
        "q.csv, line 3, period_start: 'Q1 2026' is not a date. Use 2026-02-28.",
    ),
    "end before start": (
        "E2,2026-03-31,2026-01-01,100,90,EUR,,,",
        "q.csv, line 3, period_end: The period ends before it starts.",
    ),
    "unknown employee": (
        "E9,2026-01-01,2026-03-31,100,90,EUR,,,",
        "q.csv, line 3, employee_id: This employee is not on the roster.",
    ),
    "nobody": (
        ",2026-01-01,2026-03-31,100,90,EUR,,,",
        "q.csv, line 3, employee_id: The cell is empty.",
    ),
    "another currency": (
        "E2,2026-01-01,2026-03-31,100,90,usd,,,",
        "q.csv, line 3, currency: 'USD' here and 'EUR' above. One file holds one currency.",
    ),
    "negative calls": (
        "E2,2026-01-01,2026-03-31,100,90,EUR,-1,,",
        "q.csv, line 3, calls: '-1' is not 0 or more.",
    ),
    "more days than the period has": (
        "E2,2026-01-01,2026-03-31,100,90,EUR,,91,",
        "q.csv, line 3, active_days: There are more active days than days in the period.",
    ),
    "a ramp above 100": (
        "E2,2026-01-01,2026-03-31,100,90,EUR,,,101",
        "q.csv, line 3, ramp_percent: '101' is not from 0 to 100.",
    ),
}

BAD_ROSTER_FILES = {
    "empty": (b"", "r.csv, line 1, employee_id: The file is empty."),
    "only a byte-order mark": (b"\xef\xbb\xbf", "r.csv, line 1, employee_id: The file is empty."),
    "only blank lines": (b"\n ,, \n", "r.csv, line 1, employee_id: The file is empty."),
    "only headings": (
        b"employee_id,email,team,region\n\n",
        "r.csv, line 2, employee_id: There is no row below the headings.",
    ),
    "missing column": (
        b"employee_id,email,region\nE1,ann@x.org,North\n",
        "r.csv, line 1, team: The column is missing.",
    ),
    "no headings": (b"E1,ann@x.org,A,North\n", "r.csv, line 1, employee_id: The column is missing."),
    "the same heading twice": (
        b"employee_id,Employee ID,email,team,region\n1,1,a@x.org,A,N\n",
        "r.csv, line 1, employee_id: The column stands in the file twice.",
    ),
    "a foreign heading twice": (
        b"employee_id,email,team,region,shoe,Shoe\n1,a@x.org,A,N,,\n",
        "r.csv, line 1, shoe: The column stands in the file twice.",
    ),
    "a heading without a name": (
        b"employee_id,email,team,region,\n1,a@x.org,A,N,\n",
        "r.csv, line 1, column 5: The column has no heading.",
    ),
    "Latin-1": (
        "employee_id,email,team,region\n1,a@x.org,A,North\n2,b@x.org,A,Zürich\n".encode("latin-1"),
        "r.csv, line 3, region: From here on the text is not UTF-8. Save the file as CSV UTF-8.",
    ),
    "Latin-1 behind a quoted comma": (
        'employee_id,email,team,region\n1,a@x.org,"A, B",Köln\n'.encode("latin-1"),
        "r.csv, line 2, region: From here on the text is not UTF-8. Save the file as CSV UTF-8.",
    ),
    "broken UTF-8 after a byte-order mark": (
        b"\xef\xbb\xbfemployee_id,email,team,region\n1,a@x.org,\xff,N\n",
        "r.csv, line 2, team: From here on the text is not UTF-8. Save the file as CSV UTF-8.",
    ),
    "half a UTF-16 character": (
        "employee_id;email;team;region\n1;a@x.org;A;N\n".encode("utf-16") + b"\x00",
        "r.csv, line 3, employee_id: From here on the text is not UTF-8. Save the file as CSV UTF-8.",
    ),
    "UTF-16 without its mark": (
        "employee_id,email,team,region\n".encode("utf-16-le"),
        "r.csv, line 1, column 1: This is not a text file. Save it as CSV UTF-8.",
    ),
    "an archive": (
        b"PK\x03\x04\x14\x00\x08\x00\x9c\xff\xfe",
        "r.csv, line 1, column 1: This is not a text file. Save it as CSV UTF-8.",
    ),
    "a zero byte": (
        b"employee_id,email,team,region\n1,a@x.org,A\x00,N\n",
        "r.csv, line 2, team: This is not a text file. Save it as CSV UTF-8.",
    ),
}

BAD_RESULT_FILES = {
    "nobody to match": (
        b"period_start,period_end,quota,credited\n2026-01-01,2026-03-31,1,1\n",
        "q.csv, line 1, employee_id: The column is missing, and so is email.",
    ),
    "no quota": (
        b"email,period_start,period_end,credited\na@x.org,2026-01-01,2026-03-31,1\n",
        "q.csv, line 1, quota: The column is missing.",
    ),
    "the address of somebody else": (
        b"employee_id,email,period_start,period_end,quota,credited\nE1,bo@x.org,2026-01-01,2026-03-31,1,1\n",
        "q.csv, line 2, email: The roster has another address for this employee.",
    ),
    "an unknown address": (
        b"email,period_start,period_end,quota,credited\nzoe@x.org,2026-01-01,2026-03-31,1,1\n",
        "q.csv, line 2, email: This employee is not on the roster.",
    ),
    "an own column that is no number": (
        b"email,period_start,period_end,quota,credited,x_mood\nann@x.org,2026-01-01,2026-03-31,1,1,good\n",
        "q.csv, line 2, x_mood: 'good' is not a number. Write it like 1050.5.",
    ),
}


def refusal_of_roster(data: bytes) -> InputError:
    """Return what is said of a roster file that can't be used."""
    with pytest.raises(InputError) as caught:
        parse_roster(data, file="r.csv")
    return caught.value


def refusal_of_results(data: bytes) -> InputError:
    """Return what is said of a results file that can't be used."""
    with pytest.raises(InputError) as caught:
        parse_results(data, file="q.csv", roster=PEOPLE)
    return caught.value


def test_the_good_lines_are_good() -> None:
    assert parse_roster(GOOD_ROSTER.encode(), file="r.csv").reps[0].language == "en"
    assert parse_results(GOOD_RESULTS.encode(), file="q.csv", roster=PEOPLE).rows[0].calls == 12


@pytest.mark.parametrize("case", BAD_ROSTER_LINES)
def test_bad_roster_lines(case: str) -> None:
    line, sentence = BAD_ROSTER_LINES[case]
    assert str(refusal_of_roster(f"{GOOD_ROSTER}{line}\n".encode())) == sentence


@pytest.mark.parametrize("case", BAD_RESULT_LINES)
def test_bad_result_lines(case: str) -> None:
    line, sentence = BAD_RESULT_LINES[case]
    assert str(refusal_of_results(f"{GOOD_RESULTS}{line}\n".encode())) == sentence


@pytest.mark.parametrize("case", BAD_ROSTER_FILES)
def test_bad_roster_files(case: str) -> None:
    data, sentence = BAD_ROSTER_FILES[case]
    assert str(refusal_of_roster(data)) == sentence


@pytest.mark.parametrize("case", BAD_RESULT_FILES)
def test_bad_result_files(case: str) -> None:
    data, sentence = BAD_RESULT_FILES[case]
    assert str(refusal_of_results(data)) == sentence


@pytest.mark.parametrize("line", [line for line, _ in BAD_ROSTER_LINES.values()], ids=list(BAD_ROSTER_LINES))
def test_a_refusal_names_the_place_and_no_person(line: str) -> None:
    error = refusal_of_roster(f"{GOOD_ROSTER}{line}\n".encode())
    assert (error.file, error.line) == ("r.csv", 3)
    for personal in ("bo@x.org", "ann@x.org", "ANN@X.ORG", "bo.x.org", "E1", "E2"):
        assert personal not in str(error)
    assert error.__cause__ is None
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("cell", "warned"),
    [
        ("=SUM(A1:A9)", True),
        ("+North", True),
        ("-North", True),
        ("@North", True),
        ('"\tNorth"', True),
        (" =1+1", True),
        ("-7", False),
        ("+7.5", False),
        ("North-West", False),
        ("a=b", False),
    ],
)
def test_formula_like_cells_stay_text_with_a_warning(cell: str, warned: bool) -> None:
    roster = parse_roster(f"employee_id,email,team,region\nE1,ann@x.org,{cell},N\n".encode(), file="r.csv")
    assert roster.reps[0].team == cell.strip('"\t ')
    shown = [(warning.line, warning.column, warning.message) for warning in roster.warnings]
    words = f"'{roster.reps[0].team}' looks like a formula. It is kept as text."
    assert shown == ([(2, "team", words)] if warned else [])


def test_formula_like_addresses_are_not_quoted() -> None:
    roster = parse_roster(b"employee_id,email,team,region\n=1+1,+ann@x.org,A,N\n", file="r.csv")
    assert [warning.message for warning in roster.warnings] == [
        "The cell looks like a formula. It is kept as text."
    ] * 2
    assert (roster.reps[0].employee_id, roster.reps[0].email) == ("=1+1", "+ann@x.org")
