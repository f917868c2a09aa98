"""One reader for every CSV file: what is wrong is said once, with file, line and column."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.survey.core.cells import NUMBER, Row, quoted, shortened
from services.survey.core.cells import FileWarning as FileWarning
from services.survey.core.cells import InputError as InputError

MAX_CELL = 200
DELIMITERS = (",", ";", "\t")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# Characters that turn the direction of the text around them, so that a name can pose as another.
DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
EXTRA = re.compile(r"x_\w{1,60}")


@dataclass(frozen=True)
class Column:
    """A column a file may have, its other headings, and whether its cells are never quoted."""

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    private: bool = False


@dataclass(frozen=True)
class Table:
    """A file that was read: the known columns it has, its rows, and what to warn about."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    warnings: tuple[FileWarning, ...]


def read_table(data: bytes, *, file: str, columns: Sequence[Column], extras: bool = False) -> Table:
    r"""Return the rows of a CSV file.

    Parameters
    ----------
    data : bytes
        The file: UTF-8 with or without byte-order mark, or UTF-16 with one.
    file : str
        Name to show in messages; no path.
    columns : sequence of Column
        What the file may hold; anything else is left unread, with a warning.
    extras : bool
        Whether columns named ``x_...`` are read too.

    Returns
    -------
    Table
        Cells stripped and in Unicode normal form C; blank lines left out; at least one row.

    Raises
    ------
    InputError
        For the first thing that is wrong, with file, line and column.

    Notes
    -----
    Privacy: exact; what is read stays in survey, columns that are not used are dropped here.
    Source: RFC 4180, with ``,``, ``;`` or tab between cells, whichever fits the first line best.

    Examples
    --------
    >>> table = read_table(b"Team;Size\nNorth;12\n", file="t.csv", columns=[Column("team", required=True)])
    >>> [row.text("team") for row in table.rows], table.warnings[0].message
    (['North'], "The column 'Size' is not used.")
    >>> read_table(b"team,team\n", file="t.csv", columns=[Column("team")])
    Traceback (most recent call last):
    services.survey.core.cells.InputError: t.csv, line 1, team: The column stands in the file twice.
    """
    known = _headings(columns)
    first = next((column.name for column in columns if column.required), columns[0].name)
    text = _decoded(data, file, known)
    lines = _split(text, _delimiter(text, known), file)
    start, heading = next(lines, (1, []))
    if not any(cell.strip() for cell in heading):
        raise InputError("The file is empty.", file=file, line=1, column=first)
    layout = _Layout(file, start, tuple(heading), tuple(columns), extras)
    warnings = layout.check()
    rows = [
        Row(file, line, layout.read(line, cells, warnings))
        for line, cells in lines
        if any(cell.strip() for cell in cells)
    ]
    if not rows:
        raise InputError("There is no row below the headings.", file=file, line=start + 1, column=first)
    return Table(file, tuple(place for place in layout.places if place), tuple(rows), tuple(warnings))


@dataclass(frozen=True)
class _Layout:
    """What the first line says about where the columns stand."""

    file: str
    line: int
    heading: tuple[str, ...]
    columns: tuple[Column, ...]
    extras: bool

    @cached_property
    def places(self) -> tuple[str | None, ...]:
        """The column that each position holds; None if it is not read."""
        known = _headings(self.columns)
        names = [_normal(cell) for cell in self.heading]
        return tuple(
            known.get(name) or (name if self.extras and EXTRA.fullmatch(name) else None) for name in names
        )

    @cached_property
    def private(self) -> frozenset[str]:
        """The columns whose cells no message quotes."""
        return frozenset(column.name for column in self.columns if column.private)

    def check(self) -> list[FileWarning]:
        """Refuse missing, unnamed and doubled columns; return warnings about those that are not read."""
        # Missing columns come first: without a heading line, cells must not be quoted as headings.
        for column in self.columns:
            if column.required and column.name not in self.places:
                raise self._error(self.line, column.name, "The column is missing.")
        seen: set[str] = set()
        warnings = []
        for position, (place, cell) in enumerate(zip(self.places, self.heading, strict=True), start=1):
            name = place or _normal(cell)
            if not name:
                raise self._error(self.line, f"column {position}", "The column has no heading.")
            if name in seen:
                raise self._error(self.line, shortened(name), "The column stands in the file twice.")
            seen.add(name)
            if place is None:
                words = f"The column {quoted(cell.strip())} is not used."
                warnings.append(FileWarning(self.file, self.line, shortened(name), words))
        return warnings

    def read(self, line: int, cells: list[str], warnings: list[FileWarning]) -> dict[str, str]:
        """Return the cleaned cells of one line by column; append to ``warnings``."""
        expected = len(self.places)
        if len(cells) < expected:
            column = self.places[len(cells)] or f"column {len(cells) + 1}"
            raise self._error(line, column, f"The line has {len(cells)} of {expected} cells.")
        if len(cells) > expected:
            words = f"The line has {len(cells)} cells for {expected} headings. Is there a decimal comma?"
            raise self._error(line, f"column {expected + 1}", words)
        read = {}
        for place, cell in zip(self.places, cells, strict=True):
            if place is not None:
                read[place] = self._clean(line, place, cell, warnings)
        return read

    def _clean(self, line: int, place: str, cell: str, warnings: list[FileWarning]) -> str:
        value = " ".join(unicodedata.normalize("NFC", cell).split())
        shown = "The cell" if place in self.private else quoted(value)
        if len(value) > MAX_CELL:
            raise self._error(line, place, f"{shown} is longer than {MAX_CELL} characters.")
        if any(unicodedata.category(c) == "Cc" or c in DIRECTION_OVERRIDES for c in value):
            raise self._error(line, place, f"{shown} holds a control character.")
        formula = cell.startswith(FORMULA_STARTS) or value.startswith(FORMULA_STARTS)
        if formula and value and not NUMBER.fullmatch(value):
            words = f"{shown} looks like a formula. It is kept as text."
            warnings.append(FileWarning(self.file, line, place, words))
        return value

    def _error(self, line: int, column: str, message: str) -> InputError:
        return InputError(message, file=self.file, line=line, column=column)


def _headings(columns: Sequence[Column]) -> dict[str, str]:
    """Return which column each accepted heading means."""
    return {_normal(name): column.name for column in columns for name in (column.name, *column.aliases)}


def _normal(heading: str) -> str:
    """Return the form headings are compared in: ``Employee ID`` is ``employee_id``."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", heading).casefold()).strip("_")


def _decoded(data: bytes, file: str, known: Mapping[str, str]) -> str:
    """Return the text of a file; refuse bytes that are no text in an accepted encoding."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    codec = "utf-16" if wide else "utf-8-sig"
    binary = "This is not a text file. Save it as CSV UTF-8."
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        readable = error.object[: error.start].decode(codec, errors="ignore")
        words = "From here on the text is not UTF-8. Save the file as CSV UTF-8."
        # "from None": the cause would carry the whole file.
        raise _located(binary if b"\0" in data and not wide else words, readable, file, known) from None
    if "\0" in text:
        raise _located(binary, text[: text.index("\0")], file, known)
    return text


def _located(words: str, readable: str, file: str, known: Mapping[str, str]) -> InputError:
    """Return a finding about the place where the readable part of a file ends."""
    line = len(re.findall(r"\r\n|\r|\n", readable)) + 1
    mark = _delimiter(readable, known)
    try:
        rows = list(csv.reader(io.StringIO(readable + "\ufffd", newline=""), delimiter=mark))
    except csv.Error:
        rows = [[""]]
    place = len(rows[-1]) - 1
    heading = rows[0][place] if place < len(rows[0]) else ""
    column = known.get(_normal(heading), f"column {place + 1}")
    return InputError(words, file=file, line=line, column=column)


def _delimiter(text: str, known: Mapping[str, str]) -> str:
    """Return the delimiter under which the first line holds the most known columns."""
    heading = next(iter(text.lstrip().splitlines()), "")

    def fit(mark: str) -> tuple[int, int]:
        cells = heading.replace('"', "").split(mark)
        return sum(_normal(cell) in known for cell in cells), len(cells)

    return max(DELIMITERS, key=fit)


def _split(text: str, mark: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not blank, each with the number of its first physical line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        words = "The quotation marks of this line do not close, or a cell is far too long."
        raise InputError(words, file=file, line=line) from None
