"""The roster file: who is invited, and in which team and region."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from services.survey.core.cells import FileWarning, Row
from services.survey.core.csvfile import Column, read_table

EMPLOYEE_ID = Column(
    "employee_id",
    ("id", "employee", "employee number", "employee no", "emp id", "rep id", "user id", "worker id"),
    private=True,
)
EMAIL = Column("email", ("e-mail", "mail", "email address", "e-mail address", "work email"), private=True)

COLUMNS = (
    Column("employee_id", EMPLOYEE_ID.aliases, required=True, private=True),
    Column("email", EMAIL.aliases, required=True, private=True),
    Column("team", ("team name",), required=True),
    Column("region", ("region name", "area"), required=True),
    Column("manager_email", ("manager e-mail", "manager mail", "manager email address"), private=True),
    Column("segment", ("customer segment",)),
    Column("role", ("job title", "position", "job")),
    Column("start_date", ("hire date", "hired", "start", "date of hire")),
    Column("language", ("lang", "locale")),
    Column("leave_from", ("leave start", "on leave from")),
    Column("leave_to", ("leave end", "on leave to", "leave until")),
)


@dataclass(frozen=True)
class Rep:
    """One invited rep; empty text and None where the file says nothing."""

    employee_id: str
    email: str
    team: str
    region: str
    manager_email: str = ""
    segment: str = ""
    role: str = ""
    start_date: date | None = None
    language: str = ""
    leave_from: date | None = None
    leave_to: date | None = None


@dataclass(frozen=True)
class Roster:
    """Everybody invited, in the order of the file."""

    reps: tuple[Rep, ...]
    warnings: tuple[FileWarning, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Rep]:
        """Reps by employee id, which is compared to the letter (some systems tell cases apart)."""
        return {rep.employee_id: rep for rep in self.reps}

    @cached_property
    def by_email(self) -> dict[str, Rep]:
        """Reps by address in the form addresses are compared in."""
        return {rep.email.casefold(): rep for rep in self.reps}


def parse_roster(data: bytes, *, file: str) -> Roster:
    r"""Return the reps in a roster file.

    Parameters
    ----------
    data : bytes
        CSV with ``employee_id, email, team, region`` and the optional columns of ``COLUMNS``.
    file : str
        Name to show in messages; no path.

    Returns
    -------
    Roster
        At least one rep; employee ids and addresses differ.

    Raises
    ------
    InputError
        For the first thing that is wrong, with file, line and column. Ids and addresses are not quoted.

    Notes
    -----
    Privacy: exact; the roster stays in survey and is never sent to another service.
    Source: system.md, section 7 (columns).

    Examples
    --------
    >>> roster = parse_roster(b"Employee ID,E-Mail,Team,Region\n7,Ann@x.org,A,North\n", file="r.csv")
    >>> roster.reps[0].team, roster.by_email["ann@x.org"].employee_id
    ('A', '7')
    """
    table = read_table(data, file=file, columns=COLUMNS)
    reps = [_rep(row) for row in table.rows]
    _refuse_doubles(table.rows, "employee_id", [rep.employee_id for rep in reps], "employee id")
    _refuse_doubles(table.rows, "email", [rep.email.casefold() for rep in reps], "address")
    return Roster(tuple(reps), table.warnings)


def _rep(row: Row) -> Rep:
    leave_from, leave_to = row.day("leave_from"), row.day("leave_to")
    if leave_to and not leave_from:
        raise row.error("leave_from", "The leave has an end and no start.")
    if leave_from and leave_to and leave_to < leave_from:
        raise row.error("leave_to", "The leave ends before it starts.")
    row.filled("email")
    return Rep(
        employee_id=row.filled("employee_id"),
        email=row.mail("email"),
        team=row.filled("team"),
        region=row.filled("region"),
        manager_email=row.mail("manager_email"),
        segment=row.text("segment"),
        role=row.text("role"),
        start_date=row.day("start_date"),
        language=_language(row),
        leave_from=leave_from,
        leave_to=leave_to,
    )


def _language(row: Row) -> str:
    value = row.text("language").replace("_", "-").lower()
    parts = value.split("-")
    if value and not (
        value.isascii() and parts[0].isalpha() and 2 <= len(parts[0]) <= 3 and all(p.isalnum() for p in parts)
    ):
        raise row.error("language", "The cell is not a language code. Use en, de or pt-br.")
    return value


def _refuse_doubles(rows: Iterable[Row], column: str, keys: Iterable[str], what: str) -> None:
    first: dict[str, int] = {}
    for row, key in zip(rows, keys, strict=True):
        if key in first:
            raise row.error(column, f"The {what} stands in line {first[key]} already.")
        first[key] = row.line
