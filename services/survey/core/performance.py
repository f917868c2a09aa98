"""What the results say of each rep: attainment, and activity relative to peers.

pandas is imported where it is used: the service that issues tokens must not wait for it at start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING

from services.survey.core.bands import HIT_FROM, band
from services.survey.core.results import ResultRow, Results
from services.survey.core.roster import Rep, Roster

if TYPE_CHECKING:
    import pandas as pd

ATTAINMENT_CAP = 2.0
ROLE_AT_LEAST = 10
"""Activity is compared within a role of at least this many reps, else within the company."""

RATE_DAYS = 30
COUNTED = ("calls", "demos", "leads_assigned", "one_on_ones")
"""Counts over a period; they become rates per 30 active days, as attainment is prorated too."""

AVERAGED = ("territory_index", "first_response_hours", "stage_conversion", "median_days_in_stage")
"""Levels; several lines of a person are averaged by active days."""

ACTIVITY = ("calls", "demos")
FIELDS = ("calls", "demos", "territory_index", "leads_assigned", "first_response_hours")


@dataclass(frozen=True)
class RepRecord:
    """What the records say of one rep; None where they say nothing.

    ``attainment`` is a ratio (1.0 = quota met, at most 2.0), ``activity`` a sum of z-scores relative to
    ``peers`` (a role, or empty for the whole company); counts are rates per 30 active days.
    """

    employee_id: str
    attainment: float | None = None
    activity: float | None = None
    peers: str = ""
    calls: float | None = None
    demos: float | None = None
    territory_index: float | None = None
    leads_assigned: float | None = None
    first_response_hours: float | None = None
    extras: Mapping[str, float] = field(default_factory=dict)

    @property
    def hit(self) -> bool | None:
        """Whether the rep made quota."""
        return None if self.attainment is None else self.attainment >= HIT_FROM


def rep_records(roster: Roster, results: Results) -> list[RepRecord]:
    """Return what the results say of every rep on the roster, in the roster's order.

    Parameters
    ----------
    roster : Roster
        Everybody invited; roles and leaves are used.
    results : Results
        One or more lines per person, for people on the roster.

    Returns
    -------
    list of RepRecord
        One per rep. Attainment is credited over quota in force, both summed over the person's lines;
        the quota of a line is prorated by ``active_days`` (without them, by leave inside the period) and
        ``ramp_percent``. Activity adds the z-scores of calls and demos among reps of the same role if
        there are at least 10, else among all. A rep without every recorded activity measure has none.

    Notes
    -----
    Privacy: exact, about named people; it stays in survey.
    Source: statistics.md, section 1.

    Examples
    --------
    >>> from datetime import date
    >>> roster = Roster((Rep("7", "ann@x.org", "A", "North"), Rep("8", "bo@x.org", "A", "North")))
    >>> line = ResultRow(2, "7", date(2026, 1, 1), date(2026, 3, 31), 100.0, 45.0, active_days=45.0)
    >>> [record.attainment for record in rep_records(roster, Results((line,), ()))]
    [0.9, None]
    """
    reps = {rep.employee_id: rep for rep in roster.reps}
    table = _per_person(_lines(results.rows, reps)).reindex(list(reps))
    table["role"] = [rep.role for rep in roster.reps]
    activity, peers = _activity(table)
    extras = [name for name in table.columns if name not in (*FIELDS, "attainment", "role")]
    rows = table.drop(columns="role").to_dict("index")
    return [
        RepRecord(
            employee_id=employee_id,
            attainment=_known(rows[employee_id]["attainment"]),
            activity=_known(activity[employee_id]),
            peers=peers[employee_id],
            extras={name: value for name in extras if (value := _known(rows[employee_id][name])) is not None},
            **{name: _known(rows[employee_id][name]) for name in FIELDS},
        )
        for employee_id in reps
    ]


def activity_terciles(records: Sequence[RepRecord]) -> dict[str, int]:
    """Return which third of their peers' activity reps are in: 0 lower, 1 middle, 2 upper.

    Parameters
    ----------
    records : sequence of RepRecord
        Of everybody invited.

    Returns
    -------
    dict of str to int
        By employee id, for reps with recorded activity. Reps are placed by the share of peers below
        them, half of their equals included. So equals share a third, and neither names nor the order of
        the file decide. Reps of small roles are placed among everybody.

    Notes
    -----
    Privacy: exact; the third is coarse enough to be sealed in once k people share it.
    Source: statistics.md, section 1.

    Examples
    --------
    >>> activity_terciles([RepRecord(name, activity=z) for name, z in (("a", 0.4), ("b", -1.2), ("c", 2.0))])
    {'a': 1, 'b': 0, 'c': 2}
    """
    import pandas as pd

    known = [record for record in records if record.activity is not None]
    table = pd.DataFrame(
        {"activity": [record.activity for record in known], "peers": [record.peers for record in known]},
        index=pd.Index([record.employee_id for record in known]),
    )
    among_all = _mid_share(table["activity"])
    among_peers = table.groupby("peers")["activity"].transform(_mid_share)
    share = among_peers.where(table["peers"] != "", among_all)
    return {str(employee_id): band("activity", value) for employee_id, value in share.items()}


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _active_days(row: ResultRow, rep: Rep) -> float:
    """Days of the period that count: as given, else all but the rep's leave [days]."""
    if row.active_days is not None:
        return row.active_days
    if rep.leave_from is None:
        return float(row.period_days)
    first = max(rep.leave_from, row.period_start)
    last = min(rep.leave_to or row.period_end, row.period_end)
    return float(row.period_days - max(0, (last - first).days + 1))


def _lines(rows: Iterable[ResultRow], reps: Mapping[str, Rep]) -> pd.DataFrame:
    """Return one line per result row with the quota in force."""
    import pandas as pd

    lines = []
    for row in rows:
        active = _active_days(row, reps[row.employee_id])
        ramp = 1.0 if row.ramp_percent is None else row.ramp_percent / 100.0
        lines.append(
            {
                "employee_id": row.employee_id,
                "period": (row.period_start, row.period_end),
                "period_days": row.period_days,
                "active_days": active,
                "quota_in_force": row.quota * active / row.period_days * ramp,
                "credited": row.credited,
                **{name: getattr(row, name) for name in (*COUNTED, *AVERAGED)},
                **row.extras,
            }
        )
    table = pd.DataFrame(lines)
    indicators = [name for name in table.columns if name not in ("employee_id", "period")]
    return table.astype(dict.fromkeys(indicators, float))


def _per_person(lines: pd.DataFrame) -> pd.DataFrame:
    """Return attainment and every indicator by employee id."""
    import pandas as pd

    person = lines.groupby("employee_id")
    quota = person["quota_in_force"].sum()
    attainment = person["credited"].sum() / quota.where(quota > 0)
    # Several territories in one period are several lines, and still one period.
    days = lines.drop_duplicates(["employee_id", "period"]).groupby("employee_id")["period_days"].sum()
    active = person["active_days"].sum().clip(upper=days)
    # Rounded, so that 84 credited of 120 prorated to 119.99999999999999 stays on its side of an edge.
    table = pd.DataFrame({"attainment": attainment.clip(upper=ATTAINMENT_CAP).round(9)})
    for name in COUNTED:
        table[name] = person[name].sum(min_count=1) / active.where(active > 0) * RATE_DAYS
    for name in (*AVERAGED, *(column for column in lines.columns if column.startswith("x_"))):
        weight = lines["active_days"].where(lines[name].notna())
        weighted = (lines[name] * weight).groupby(lines["employee_id"]).sum(min_count=1)
        total = weight.groupby(lines["employee_id"]).sum()
        table[name] = weighted / total.where(total > 0)
    return table


def _activity(table: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[str]]:
    """Return activity and the peers it is relative to, by employee id."""
    import pandas as pd

    measures = [name for name in ACTIVITY if table[name].notna().any()]
    known = table[table[measures].notna().all(axis=1)]
    size = known.groupby("role")["role"].transform("size")
    peers = known["role"].where(size >= ROLE_AT_LEAST, "")
    scores = pd.DataFrame(index=known.index)
    for name in measures:
        among_peers = known.groupby(peers)[name].transform(_z)
        scores[name] = among_peers.where(peers != "", _z(known[name]))
    activity = scores.sum(axis=1, min_count=1).round(9)
    return activity.reindex(table.index), peers.reindex(table.index, fill_value="")


def _z(values: pd.Series[float]) -> pd.Series[float]:
    """Return z-scores; missing where the values don't differ beyond rounding."""
    mean, spread = float(values.mean()), float(values.std(ddof=0))
    return (values - mean) / (spread if spread > 1e-9 * max(1.0, abs(mean)) else float("nan"))


def _mid_share(values: pd.Series[float]) -> pd.Series[float]:
    """Return for each value the share below it, half of its equals (and itself) included."""
    return (values.rank() - 0.5) / len(values)
