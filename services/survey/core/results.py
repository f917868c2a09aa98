"""The results file: quota, credited sales and activity per person, period and territory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from services.survey.core.cells import ANY, NOT_NEGATIVE, PERCENT, POSITIVE, FileWarning, Range, Row, quoted
from services.survey.core.csvfile import Column, read_table
from services.survey.core.roster import EMAIL, EMPLOYEE_ID, Rep, Roster

WORKING_DAYS_SHARE = 0.8
"""If nobody reaches this share of a period, ``active_days`` may count working days (about .7)."""

NUMBERS: dict[str, Range] = {
    "calls": NOT_NEGATIVE,
    "demos": NOT_NEGATIVE,
    "territory_index": ANY,
    "leads_assigned": NOT_NEGATIVE,
    "first_response_hours": NOT_NEGATIVE,
    "stage_conversion": NOT_NEGATIVE,
    "median_days_in_stage": NOT_NEGATIVE,
    "ramp_percent": PERCENT,
    "active_days": NOT_NEGATIVE,
    "payout_percent": NOT_NEGATIVE,
    "one_on_ones": NOT_NEGATIVE,
}
"""Optional numeric columns and what their cells may hold."""

COLUMNS = (
    EMPLOYEE_ID,
    EMAIL,
    Column("period_start", ("start", "from", "period from"), required=True),
    Column("period_end", ("end", "to", "period to"), required=True),
    Column("quota", ("quota amount", "target", "quota target", "target amount"), required=True),
    Column("credited", ("credited amount", "closed won", "achieved", "actual", "bookings"), required=True),
    Column("currency", ("currency code", "currency iso code")),
    Column("territory", ("territory name", "patch")),
    Column("calls", ("calls made", "dials")),
    Column("demos", ("demos held", "demos given")),
    Column("territory_index", ("patch index", "territory potential")),
    Column("leads_assigned", ("leads", "assigned leads")),
    Column("first_response_hours", ("first response", "hours to first response")),
    Column("stage_conversion", ("conversion",)),
    Column("median_days_in_stage", ("days in stage",)),
    Column("ramp_percent", ("ramp", "ramp %")),
    Column("active_days", ("days active",)),
    Column("payout_percent", ("payout", "payout %")),
    Column("one_on_ones", ("1:1s", "one to ones")),
    Column("coaching_plan_date", ("coaching plan",)),
)


@dataclass(frozen=True)
class ResultRow:
    """One line of results; ``credited / quota`` is attainment before any proration."""

    line: int
    employee_id: str
    period_start: date
    period_end: date
    quota: float
    credited: float
    currency: str = ""
    territory: str = ""
    calls: float | None = None
    demos: float | None = None
    territory_index: float | None = None
    leads_assigned: float | None = None
    first_response_hours: float | None = None
    stage_conversion: float | None = None
    median_days_in_stage: float | None = None
    ramp_percent: float | None = None
    active_days: float | None = None
    payout_percent: float | None = None
    one_on_ones: float | None = None
    coaching_plan_date: date | None = None
    extras: Mapping[str, float] = field(default_factory=dict)

    @property
    def period_days(self) -> int:
        """Length of the period, both ends included [days]."""
        return (self.period_end - self.period_start).days + 1


@dataclass(frozen=True)
class Results:
    """The lines of a results file; ``columns`` are the known columns it has."""

    rows: tuple[ResultRow, ...]
    columns: tuple[str, ...]
    warnings: tuple[FileWarning, ...] = ()


def parse_results(data: bytes, *, file: str, roster: Roster) -> Results:
    r"""Return the lines of a results file, for people on the roster only.

    Parameters
    ----------
    data : bytes
        CSV with ``employee_id`` or ``email``, ``period_start, period_end, quota, credited``, and the
        optional columns of ``COLUMNS`` and ``x_...``. One line per person, period and territory.
    file : str
        Name to show in messages; no path.
    roster : Roster
        Who may appear.

    Returns
    -------
    Results
        Quotas above 0, periods that end after they start, one currency.

    Raises
    ------
    InputError
        For the first thing that is wrong, with file, line and column. Ids and addresses are not quoted.

    Notes
    -----
    Privacy: exact; results stay in survey, only coarse bands of them reach a rep's own phone.
    Source: system.md, section 7 (columns).

    Examples
    --------
    >>> roster = Roster((Rep("7", "ann@x.org", "A", "North"),))
    >>> data = b"e-mail;from;to;target;closed_won\nAnn@x.org;2026-01-01;2026-03-31;100;90\n"
    >>> results = parse_results(data, file="q.csv", roster=roster)
    >>> results.rows[0].employee_id, results.rows[0].credited, results.rows[0].period_days
    ('7', 90.0, 90)
    """
    table = read_table(data, file=file, columns=COLUMNS, extras=True)
    if not {"employee_id", "email"} & set(table.columns):
        raise Row(file, 1, {}).error("employee_id", "The column is missing, and so is email.")
    extras = tuple(name for name in table.columns if name.startswith("x_"))
    rows = [_result(row, roster, extras) for row in table.rows]
    for row, result in zip(table.rows, rows, strict=True):
        if result.currency != rows[0].currency:
            words = f"{quoted(result.currency)} here and {quoted(rows[0].currency)} above."
            raise row.error("currency", words + " One file holds one currency.")
    return Results(tuple(rows), table.columns, (*table.warnings, *_remarks(file, rows, roster)))


def _result(row: Row, roster: Roster, extras: tuple[str, ...]) -> ResultRow:
    start, end = _period(row)
    values = {name: row.number(name, within) for name, within in NUMBERS.items()}
    if (values["active_days"] or 0) > (end - start).days + 1:
        raise row.error("active_days", "There are more active days than days in the period.")
    return ResultRow(
        line=row.line,
        employee_id=_person(row, roster).employee_id,
        period_start=start,
        period_end=end,
        quota=row.needed_number("quota", POSITIVE),
        credited=row.needed_number("credited"),
        currency=row.text("currency").upper(),
        territory=row.text("territory"),
        coaching_plan_date=row.day("coaching_plan_date"),
        extras={name: value for name in extras if (value := row.number(name)) is not None},
        **values,
    )


def _period(row: Row) -> tuple[date, date]:
    start, end = row.needed_day("period_start"), row.needed_day("period_end")
    if end < start:
        raise row.error("period_end", "The period ends before it starts.")
    return start, end


def _person(row: Row, roster: Roster) -> Rep:
    employee_id, email = row.text("employee_id"), row.text("email")
    column = "employee_id" if employee_id else "email"
    rep = roster.by_id.get(employee_id) if employee_id else roster.by_email.get(email.casefold())
    if rep is None:
        row.filled(column if "email" in row.cells else "employee_id")
        raise row.error(column, "This employee is not on the roster.")
    if employee_id and email and rep.email.casefold() != email.casefold():
        raise row.error("email", "The roster has another address for this employee.")
    return rep


def _remarks(file: str, rows: list[ResultRow], roster: Roster) -> list[FileWarning]:
    remarks: list[FileWarning] = []
    first: dict[tuple[str, date, date, str], int] = {}
    for row in rows:
        key = (row.employee_id, row.period_start, row.period_end, row.territory)
        if first.setdefault(key, row.line) != row.line:
            words = f"The same person, period and territory stand in line {first[key]}; both are added up."
            remarks.append(FileWarning(file, row.line, None, words))
    without = len(roster.reps) - len({row.employee_id for row in rows})
    if without:
        words = f"{without} of {len(roster.reps)} people on the roster have no results."
        remarks.append(FileWarning(file, None, None, words))
    shares = [row.active_days / row.period_days for row in rows if row.active_days is not None]
    if shares and max(shares) < WORKING_DAYS_SHARE:
        words = "Nobody was active all days of a period. Are these working days? Calendar days are needed."
        remarks.append(FileWarning(file, None, "active_days", words))
    return remarks
