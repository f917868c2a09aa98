"""The one reader of CSV files: encodings, delimiters, line numbers, and nothing but findings on junk."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.survey.core.cells import ANY, MAX_QUOTED, PERCENT, POSITIVE, Range, Row, quoted
from services.survey.core.csvfile import Column, InputError, Table, read_table

COLUMNS = (
    Column("name", ("full name", "Náme"), required=True),
    Column("size"),
    Column("answer", private=True),
)


def read(text: str, codec: str = "utf-8", **options: bool) -> Table:
    """Read a text as a file."""
    return read_table(text.encode(codec), file="f.csv", columns=COLUMNS, **options)


def names(table: Table) -> list[str]:
    """Return the name cells of a table."""
    return [row.text("name") for row in table.rows]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_reads_every_accepted_encoding_and_line_ending(codec: str, ending: str) -> None:
    table = read(ending.join(["name,size", "Zoë,3", "李,4", ""]), codec)
    assert names(table) == ["Zoë", "李"]
    assert [row.line for row in table.rows] == [2, 3]


@pytest.mark.parametrize("big", [True, False])
def test_reads_utf_16_of_either_byte_order(big: bool) -> None:
    mark, codec = (b"\xfe\xff", "utf-16-be") if big else (b"\xff\xfe", "utf-16-le")
    data = mark + "name;size\nØ;1\n".encode(codec)
    assert names(read_table(data, file="f.csv", columns=COLUMNS)) == ["Ø"]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_finds_the_delimiter_by_the_headings_it_gives(mark: str) -> None:
    table = read(f'"size"{mark}Full  Name\n1{mark}"North{mark} South"\n')
    assert table.columns == ("size", "name")
    assert names(table) == [" ".join(f"North{mark} South".split())]


@pytest.mark.parametrize("heading", ["name", "NAME", " Name ", "full_name", "Full-Name", "FULL NAME", "náme"])
def test_headings_are_compared_without_case_spaces_and_dashes(heading: str) -> None:
    assert names(read(f"{heading},size\nA,1\n")) == ["A"]


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert names(read("name\nCafe\u0301\n")) == names(read("name\nCafé\n"))


def test_blank_lines_are_skipped_and_counted() -> None:
    table = read('\nname,size\n\nA,1\n,\n"B\nC",2\nD,3\n')
    assert [(row.line, row.text("name")) for row in table.rows] == [(4, "A"), (6, "B C"), (8, "D")]


def test_unknown_columns_are_dropped_with_a_warning() -> None:
    table = read("name,Shoe Size,x_reach\nA,44,1\n")
    assert table.columns == ("name",)
    assert dict(table.rows[0].cells) == {"name": "A"}
    assert [warning.message for warning in table.warnings] == [
        "The column 'Shoe Size' is not used.",
        "The column 'x_reach' is not used.",
    ]


def test_own_columns_are_read_where_they_are_allowed() -> None:
    table = read("name,X_Reach\nA,1.5\n", extras=True)
    assert table.rows[0].number("x_reach") == 1.5


def test_an_error_in_a_later_line_of_a_quoted_cell_is_reported_where_the_line_starts() -> None:
    with pytest.raises(InputError) as caught:
        read('name,size\n"A\nB\nC"\n')
    assert (caught.value.line, caught.value.column) == (2, "size")


@pytest.mark.parametrize("value", ["7", "=3", "5" * 300, "3\x00", "4\x07", "\u202e2"])
def test_an_answer_is_never_quoted(value: str) -> None:
    sentence = "An answer is 1, 2, 3, 4, 5 or empty."

    def answer() -> int | None:
        table = read(f"name,answer\nA,{value}\n")
        assert not any(value in warning.message for warning in table.warnings)
        return table.rows[0].choice("answer", "12345", sentence=sentence)

    with pytest.raises(InputError) as caught:
        answer()
    assert value[:2] not in caught.value.message.replace(sentence, "")
    assert (caught.value.line, caught.value.column) == (2, "answer")


def test_an_answer_without_headings_is_not_quoted_as_a_heading() -> None:
    with pytest.raises(InputError) as caught:
        read("7,7\n7,7\n")
    assert "7" not in str(caught.value)


@pytest.mark.parametrize(("cell", "index"), [("1", 0), ("5", 4), ("", None), (" 3 ", 2)])
def test_an_answer_in_range_is_read(cell: str, index: int | None) -> None:
    row = read(f"name,answer\nA,{cell}\n").rows[0]
    assert row.choice("answer", "12345", sentence="no") == index


@pytest.mark.parametrize(
    ("cell", "number"),
    [("12", 12.0), ("-0", 0.0), ("+.5", 0.5), ("3.", 3.0), ("1e3", 1000.0), ("", None), ("0.1", 0.1)],
)
def test_plain_numbers_are_read(cell: str, number: float | None) -> None:
    got = Row("f.csv", 2, {"size": cell}).number("size")
    assert got == number
    assert str(got) == str(number)


@pytest.mark.parametrize("cell", ["nan", "-inf", "0x10", "1 000", "12%", "€5", "1e", "--1", "1.2.3", "²"])
def test_other_spellings_are_refused(cell: str) -> None:
    with pytest.raises(InputError, match="is not a number"):
        Row("f.csv", 2, {"size": cell}).number("size")


@pytest.mark.parametrize(
    ("cell", "within", "fits"),
    [("0", POSITIVE, False), ("1e-9", POSITIVE, True), ("100", PERCENT, True), ("100.1", PERCENT, False)],
)
def test_ranges(cell: str, within: Range, fits: bool) -> None:
    row = Row("f.csv", 2, {"size": cell})
    if fits:
        assert row.number("size", within) == float(cell)
    else:
        with pytest.raises(InputError, match=f"'{cell}' is not {within.words}"):
            row.number("size", within)


def test_a_number_beyond_any_size_is_refused() -> None:
    assert not ANY.holds(float("inf"))
    assert not ANY.holds(float("nan"))
    assert ANY.holds(-1e15)


@given(st.text(max_size=300))
def test_a_quote_is_short_and_on_one_line(value: str) -> None:
    shown = quoted(value)
    assert shown.isprintable()
    assert len(shown) <= 8 * MAX_QUOTED + 5
    assert value[MAX_QUOTED:] == "" or shown.endswith("...'")


def check_junk(data: bytes) -> None:
    """Whatever the bytes, there is a table or one finding with a place; nothing else escapes."""
    finding: InputError | None = None
    try:
        table = read_table(data, file="f.csv", columns=COLUMNS)
        assert table.rows
    except InputError as error:
        finding = error
    if finding is not None:
        assert finding.file == "f.csv"
        assert finding.line is not None
        assert finding.line >= 1
        assert str(finding).isprintable()
        assert finding.__cause__ is None


@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"\xfe\xff\xd8")
@example(b"\xef\xbb\xbfname\n\x80")
@example(b'name\n"')
@example(b"name\n" + b"x" * 200_000)
@example(b"\x80" + b"x" * 200_000)
@example(b"name\n" + b"x" * 200_000 + b"\x80")
@example(b"name\r\r\r\n\rA")
def test_junk_gives_a_table_or_one_finding(data: bytes) -> None:
    check_junk(data)


@given(st.text(alphabet='name,;\t"\r\n\u2028\x85\x0c A=é', max_size=60))
def test_junk_below_good_headings_gives_a_table_or_one_finding(text: str) -> None:
    check_junk(f"name,size\n{text}".encode())


@given(st.lists(st.text(alphabet="ab,;\t\"' é", max_size=8), min_size=1, max_size=5))
def test_line_numbers_and_cells_survive_quoting(cells: list[str]) -> None:
    lines = [f'"{cell.replace(chr(34), chr(34) * 2)}",1' for cell in cells]
    table = read("name,size\n" + "\n".join(lines) + "\n")
    assert [row.line for row in table.rows] == list(range(2, len(cells) + 2))
    assert names(table) == [" ".join(cell.split()) for cell in cells]
