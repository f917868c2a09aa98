"""What the company's own records say: exact statistics of the frame, with no survey answer in them.

pandas and pingouin are imported where they are used: pingouin alone takes seconds to load.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from services.protocol.frame import GroupRecords, Indicator, Records
from services.survey.core.classes import COMPANY
from services.survey.core.performance import ATTAINMENT_CAP, AVERAGED, COUNTED, FIELDS
from services.survey.core.performance import RepRecord as RepRecord
from services.survey.core.performance import activity_terciles as activity_terciles
from services.survey.core.performance import rep_records as rep_records
from services.survey.core.roster import Roster

if TYPE_CHECKING:
    import pandas as pd

PATCH = ("territory_index", "leads_assigned", "first_response_hours")
"""Indicators of the patch: only these can confirm ``fix_patch`` (record check)."""

FEWER_IS_BETTER = ("first_response_hours", "median_days_in_stage")
ERROR_RATE = 0.05
SMALLEST_PAIR = 5
# Nearer to 1 than this a relation is perfect up to rounding, and Fisher's z has no finite value.
ALMOST_ONE = 1 - 1e-9


def record_statistics(
    roster: Roster,
    records: Sequence[RepRecord],
    *,
    k: int,
    group_of: Mapping[str, str],
    attainment_columns: Mapping[str, int],
    activity_columns: Mapping[str, int],
) -> Records:
    """Return the exact record statistics of the frame, as they go to aggregate and report.

    Parameters
    ----------
    roster : Roster
        Everybody invited.
    records : sequence of RepRecord
        Of everybody on the roster.
    k : int
        Smallest number of people a statistic may be about [reps].
    group_of : mapping of str to str
        Reporting group id by employee id.
    attainment_columns, activity_columns : mapping of str to int
        Column (0..3 and 0..2, after merging) by employee id; empty where the bands were dropped.

    Returns
    -------
    Records
        Group lines start with ``company``. Statistics over fewer than ``k`` people are absent.

    Notes
    -----
    Privacy: exact company records, no survey answer among them; a group is also withheld if it would
    let fewer than k people be worked out by subtraction from the company.
    Source: statistics.md, sections 5 and 6; intervals of r by Fisher's z.

    Examples
    --------
    >>> from services.survey.core.bands import band
    >>> from services.survey.core.roster import Rep
    >>> roster = Roster(tuple(Rep(str(i), f"{i}@x.org", "A", "North") for i in range(12)))
    >>> records = [RepRecord(str(i), attainment=i / 8) for i in range(12)]
    >>> columns = {str(i): band("attainment", i / 8) for i in range(12)}
    >>> of = record_statistics(roster, records, k=5, group_of={str(i): "g0" for i in range(12)},
    ...     attainment_columns=columns, activity_columns={})
    >>> of.frame, round(of.hit_share, 3), of.attainment, of.groups[0].median_attainment
    (12, 0.333, (6, 2, 2, 2), 0.6875)
    """
    table = _statistics_table(roster, records, group_of)
    known = table[table["attainment"].notna()]
    enough = len(known) >= k
    indicators = _indicators(known, k)
    return Records(
        frame=len(known),
        hit_share=float(known["hit"].mean()) if enough else None,
        attainment=_margin(attainment_columns, 4) if enough and attainment_columns else None,
        activity_by_attainment=_crossed(activity_columns, attainment_columns, k),
        icc_attainment=_icc(known) if enough else None,
        mean_team_size=float(known.groupby("team").size().mean()) if enough else None,
        indicators=indicators,
        groups=_group_records(table, k),
        notes=tuple(_notes(table, indicators)),
    )


def _statistics_table(
    roster: Roster, records: Sequence[RepRecord], group_of: Mapping[str, str]
) -> pd.DataFrame:
    """Return one line per rep: team, group, attainment, hit and every indicator."""
    import pandas as pd

    team_of = {rep.employee_id: (rep.region, rep.team) for rep in roster.reps}
    lines = [
        {
            "team": team_of[record.employee_id],
            "group": group_of.get(record.employee_id),
            "attainment": record.attainment,
            "hit": record.hit,
            "activity": record.activity,
            **{name: getattr(record, name) for name in FIELDS},
            **record.extras,
        }
        for record in records
    ]
    table = pd.DataFrame(lines)
    table["team"] = table.groupby("team").ngroup()
    return table.astype({name: float for name in table.columns if name not in ("team", "group")})


def _indicators(known: pd.DataFrame, k: int) -> tuple[Indicator, ...]:
    """Return r with attainment of every recorded indicator that varies over at least k reps."""
    extras = sorted(name for name in known.columns if name.startswith("x_"))
    pairs = {}
    for name in dict.fromkeys((*PATCH, *COUNTED, *AVERAGED, *extras)):
        if name in known.columns:
            pair = known[[name, "attainment"]].dropna()
            if len(pair) >= max(k, SMALLEST_PAIR) and all(_varies(pair[column]) for column in pair.columns):
                pairs[name] = pair
    level = 1 - ERROR_RATE / max(1, sum(name in PATCH for name in pairs))
    return tuple(_indicator(name, pair, level) for name, pair in pairs.items())


def _varies(values: pd.Series[float]) -> bool:
    return float(values.std()) > 1e-9 * max(1.0, abs(float(values.mean())))


def _indicator(name: str, pair: pd.DataFrame, level: float) -> Indicator:
    import pingouin

    sign = -1.0 if name in FEWER_IS_BETTER else 1.0
    r = float(pingouin.corr(sign * pair[name], pair["attainment"])["r"].iloc[0])
    low, high = _fisher(r, len(pair), 0.95, "two-sided")
    lower, _ = _fisher(r, len(pair), level, "greater")
    return Indicator(name=name, n=len(pair), r=r, low=low, high=high, lower=lower, patch=name in PATCH)


def _fisher(r: float, n: int, confidence: float, alternative: str) -> tuple[float, float]:
    """Return the bounds of r by Fisher's z at full precision (``pingouin.corr`` rounds its own)."""
    import pingouin

    if abs(r) > ALMOST_ONE:
        return r, r
    low, high = pingouin.compute_esci(
        stat=r, nx=n, ny=n, eftype="r", confidence=confidence, decimals=12, alternative=alternative
    )
    return float(low), float(high)


def _icc(known: pd.DataFrame) -> float | None:
    """Return ICC(1) of attainment by team from a one-way analysis of variance, at least 0.

    Teams differ in size, so the usual adjusted mean size stands for it.
    """
    import pingouin

    sizes = known.groupby("team").size()
    if len(sizes) < 2 or len(known) == len(sizes) or not _varies(known["attainment"]):
        return None
    if not (known["attainment"] - known.groupby("team")["attainment"].transform("mean")).abs().gt(1e-9).any():
        return 1.0
    with warnings.catch_warnings():
        # pingouin 0.7 calls a keyword that pandas 3.1 is about to drop.
        warnings.filterwarnings("ignore", "The inplace keyword in DataFrame.dropna", DeprecationWarning)
        between, within = pingouin.anova(known, dv="attainment", between="team", detailed=True)["MS"]
    size = (len(known) - float((sizes**2).sum()) / len(known)) / (len(sizes) - 1)
    return max(0.0, float((between - within) / (between + (size - 1) * within)))


def _margin(columns: Mapping[str, int], width: int) -> tuple[int, ...]:
    held = list(columns.values())
    return tuple(held.count(column) for column in range(width))


def _crossed(
    activity: Mapping[str, int], attainment: Mapping[str, int], k: int
) -> tuple[tuple[int, ...], ...] | None:
    """Return the exact activity x attainment table (3, 4) of the reps who have both."""
    both = activity.keys() & attainment.keys()
    if len(both) < k:
        return None
    return tuple(
        _margin({rep: attainment[rep] for rep in both if activity[rep] == row}, 4) for row in range(3)
    )


def _group_records(table: pd.DataFrame, k: int) -> tuple[GroupRecords, ...]:
    """Return the record panel of the company and of every reporting group."""
    known = table[table["attainment"].notna()]
    indexed = known[known["territory_index"].notna()]
    names = sorted(table["group"].dropna().unique(), key=lambda name: (len(name), name))
    # Each statistic has reps of its own behind it, so each is withheld by its own counts.
    with_results, with_index = (_open(_sizes(part, names), k) for part in (known, indexed))
    company = _panel(COMPANY, known, results=len(known) >= k, index=len(indexed) >= k)
    return (
        company,
        *(
            _panel(
                name, known[known["group"] == name], results=name in with_results, index=name in with_index
            )
            for name in names
        ),
    )


def _sizes(table: pd.DataFrame, names: Sequence[str]) -> dict[str, int]:
    return {name: int((table["group"] == name).sum()) for name in names}


def _open(counts: Mapping[str, int], k: int) -> set[str]:
    """Return the groups whose panel is given: k people there, and none or k in all that are withheld."""
    given = {group for group, count in counts.items() if count >= k}
    withheld = sum(count for group, count in counts.items() if group not in given)
    if 0 < withheld < k and given:
        given.remove(min(given, key=lambda group: (counts[group], group)))
    return given


def _panel(group: str, here: pd.DataFrame, *, results: bool, index: bool) -> GroupRecords:
    return GroupRecords(
        id=group,
        with_results=len(here),
        hit_share=float(here["hit"].mean()) if results else None,
        median_attainment=float(here["attainment"].median()) if results else None,
        territory_index=float(here["territory_index"].mean()) if index else None,
    )


def _notes(table: pd.DataFrame, indicators: Sequence[Indicator]) -> Iterator[str]:
    missing = int(table["attainment"].isna().sum())
    if missing:
        yield f"{missing} of {len(table)} invited reps have no results."
    if (table["attainment"] >= ATTAINMENT_CAP).any():
        yield f"Attainment above {ATTAINMENT_CAP:.0%} counts as {ATTAINMENT_CAP:.0%}.".replace("%", " %")
    if table["activity"].isna().all():
        yield "Calls and demos are not recorded, so activity can't be compared."
    if not any(indicator.patch for indicator in indicators):
        yield "No record of the patch itself (territory index, leads, first response) could be used."
