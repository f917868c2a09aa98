"""What one cell of a file may hold, and how a refusal says where it stands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

MAX_QUOTED = 40
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
COMMA_NUMBER = re.compile(r"[+-]?[\d.,' ]*,\d+", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class InputError(ValueError):
    """A given file cannot be used; the text is one finding with file, line and column."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: str | None = None
    ) -> None:
        place = ", ".join(part for part in (file, line and f"line {line}", column) if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.file, self.line, self.column, self.message = file, line, column, message


@dataclass(frozen=True)
class FileWarning:
    """Something in a file that is worth a look and does not stop the import."""

    file: str
    line: int | None
    column: str | None
    message: str


@dataclass(frozen=True)
class Range:
    """The numbers a cell may hold, and how to say so."""

    words: str
    least: float
    most: float = 1e15
    least_excluded: bool = False

    def holds(self, number: float) -> bool:
        """Return whether ``number`` is finite and inside."""
        return self.least <= number <= self.most and not (self.least_excluded and number == self.least)


ANY = Range("a number of ordinary size", -1e15)
NOT_NEGATIVE = Range("0 or more", 0.0)
POSITIVE = Range("above 0", 0.0, least_excluded=True)
PERCENT = Range("from 0 to 100", 0.0, 100.0)


@dataclass(frozen=True)
class Row:
    """One line of a file: cleaned cells by column name; an absent column reads as empty."""

    file: str
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, message: str) -> InputError:
        """Return the finding ``message`` about one cell."""
        return InputError(message, file=self.file, line=self.line, column=column)

    def text(self, column: str) -> str:
        """Return a cell as text, perhaps empty."""
        return self.cells.get(column, "")

    def filled(self, column: str) -> str:
        """Return a cell that may not be empty."""
        if not self.text(column):
            raise self.error(column, "The cell is empty.")
        return self.text(column)

    def number(self, column: str, within: Range = ANY) -> float | None:
        """Return a cell as a finite number, or None if it is empty."""
        value = self.text(column)
        if not value:
            return None
        if COMMA_NUMBER.fullmatch(value):
            message = f"{quoted(value)} has a decimal comma or thousands mark. Write it like 1050.5."
            raise self.error(column, message)
        if not NUMBER.fullmatch(value):
            raise self.error(column, f"{quoted(value)} is not a number. Write it like 1050.5.")
        if not within.holds(float(value)):
            raise self.error(column, f"{quoted(value)} is not {within.words}.")
        return float(value) + 0.0  # -0.0 becomes 0.0

    def day(self, column: str) -> date | None:
        """Return a cell as a date, or None if it is empty."""
        value = self.text(column)
        if not value:
            return None
        try:
            if not DAY.fullmatch(value):  # fromisoformat also takes 20260228 and 2026-W09-6
                raise ValueError
            return date.fromisoformat(value)
        except ValueError:
            raise self.error(column, f"{quoted(value)} is not a date. Use 2026-02-28.") from None

    def needed_number(self, column: str, within: Range = ANY) -> float:
        """Return a cell that may not be empty as a number."""
        self.filled(column)
        number = self.number(column, within)
        assert number is not None
        return number

    def needed_day(self, column: str) -> date:
        """Return a cell that may not be empty as a date."""
        self.filled(column)
        day = self.day(column)
        assert day is not None
        return day

    def mail(self, column: str) -> str:
        """Return a cell as an e-mail address, perhaps empty; it is personal and never quoted."""
        value = self.text(column)
        if value and not MAIL.fullmatch(value):
            raise self.error(column, "The cell is not an e-mail address. Use name@example.com.")
        return value

    def choice(self, column: str, choices: Sequence[str], *, sentence: str) -> int | None:
        """Return which of ``choices`` a cell holds, or None if it is empty.

        Made for answers: a refusal is the fixed ``sentence``, and the cell is never quoted.
        """
        value = self.text(column)
        if value and value not in choices:
            raise self.error(column, sentence)
        return choices.index(value) if value else None


def shortened(value: str) -> str:
    r"""Return the start of a value in a form that is safe to show.

    Parameters
    ----------
    value : str
        A cell or heading of a file.

    Returns
    -------
    str
        At most 40 characters, control characters escaped, then dots if something was cut off.

    Notes
    -----
    Privacy: exact; callers leave out ids, addresses and answers.
    Source: style page, habits.

    Examples
    --------
    >>> shortened("a\tb")
    'a\\u0009b'
    """
    shown = value if len(value) <= MAX_QUOTED else value[:MAX_QUOTED] + "..."
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)


def quoted(value: str) -> str:
    """Return a value as a message quotes it.

    Parameters
    ----------
    value : str
        A cell or heading of a file.

    Returns
    -------
    str
        Its start in single quotes.

    Notes
    -----
    Privacy: exact; callers leave out ids, addresses and answers.
    Source: style page, habits.

    Examples
    --------
    >>> quoted("31/02/2026")
    "'31/02/2026'"
    """
    return f"'{shortened(value)}'"
