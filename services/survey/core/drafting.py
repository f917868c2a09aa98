"""Draws up a draft from checked files: bands with at least k people, groups, plan, record statistics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from services.protocol.manifest import Bands
from services.protocol.plan import (
    SMALL_FRAME,
    SUPPORT_GROUP,
    SUPPORT_RESULT,
    Plan,
    is_useful,
    make_plan,
)
from services.survey.core.bands import SCORES, BandContext, band, make_bands
from services.survey.core.cells import InputError
from services.survey.core.classes import GroupTree, TooFewShare, check_shared, merge_groups
from services.survey.core.draft import Draft, Options, Values
from services.survey.core.instrument import FULL
from services.survey.core.performance import RepRecord, activity_terciles, rep_records
from services.survey.core.records import record_statistics
from services.survey.core.results import Results
from services.survey.core.roster import Roster

Columns = dict[str, int]
"""Column of a context by employee id; reps for whom the records say nothing are absent."""


def draft_cycle(roster: Roster, results: Results, options: Options) -> tuple[Draft, list[Values]]:
    """Return the draft of a cycle and, in roster order, the values each rep's sheets may carry.

    Parameters
    ----------
    roster : Roster
        Everybody invited.
    results : Results
        Results of people on the roster.
    options : Options
        What HR chose.

    Returns
    -------
    tuple of (Draft, list of Values)
        Every value is shared by at least ``options.k`` invited reps. Tables whose context is missing, or
        whose bands can't be kept apart, are not in the plan, and a warning says so.

    Raises
    ------
    InputError
        If the roster has fewer than ``options.k`` people.

    Notes
    -----
    Privacy: exact, from company records only; costs no budget.
    Source: system.md, sections 4 and 5; statistics.md, sections 1 to 3.

    Examples
    --------
    >>> from tests.unit.survey.drafts import small_files
    >>> draft, values = draft_cycle(*small_files())
    >>> draft.invited, len(values), draft.groups[0].level
    (80, 80, 'company')
    """
    records = rep_records(roster, results)
    bands: dict[str, Bands] = {}
    columns: dict[str, Columns] = {}
    for context, raw in _raw_columns(records).items():
        made = make_bands(context, _tally(raw.values(), len(SCORES[context])), options.k)
        if made is not None:
            bands[context] = made
            columns[context] = {rep: made.merged_into[column] for rep, column in raw.items()}
    frame = sum(record.attainment is not None for record in records)
    plan = make_plan(
        options.plan,
        frame=frame,
        contexts=(*bands, "group"),
        expected_response=options.response,
    )
    plan, tree = _without_lone_group(plan, _groups(roster, options, plan))
    columns["group"] = {
        rep.employee_id: tree.group_of_team[rep.region, rep.team] for rep in roster.reps if tree.group_of_team
    }
    reporting = tree.groups[1:]
    statistics = record_statistics(
        roster,
        records,
        k=options.k,
        group_of={rep: reporting[group].id for rep, group in columns["group"].items()},
        attainment_columns=columns.get("attainment", {}),
        activity_columns=columns.get("activity", {}),
    )
    counts = {
        **{name: _tally(columns[name].values(), len(made.scores)) for name, made in bands.items()},
        "group": tuple(group.invited for group in reporting),
    }
    for name, made in bands.items():
        check_shared([counts[name][column] for column in made.live], options.k)
    check_shared(counts["group"], options.k)
    draft = Draft(
        options=options,
        instrument=FULL,
        invited=len(roster.reps),
        frame=frame,
        groups=tree.groups,
        bands=bands,
        plan=plan,
        records=statistics,
        value_counts=counts,
        warnings=tuple(_warnings(options, plan, frame, bands, groups=len(reporting))),
    )
    return draft, [_values(columns, rep.employee_id) for rep in roster.reps]


def _raw_columns(records: Sequence[RepRecord]) -> dict[BandContext, Columns]:
    known = {record.employee_id: record.attainment for record in records if record.attainment is not None}
    return {
        "attainment": {rep: band("attainment", value) for rep, value in known.items()},
        "activity": activity_terciles(records),
        "hit": {rep: band("hit", value) for rep, value in known.items()},
    }


def _tally(held: Iterable[int], width: int) -> tuple[int, ...]:
    counts = Counter(held)
    return tuple(counts[column] for column in range(width))


def _groups(roster: Roster, options: Options, plan: Plan) -> GroupTree:
    teams = Counter((rep.region, rep.team) for rep in roster.reps)
    try:
        return merge_groups(
            [(region, team, count) for (region, team), count in teams.items()],
            company=options.company,
            k=options.k,
            useful=partial(is_useful, plan=plan, k=options.k),
        )
    except TooFewShare:
        raise InputError(
            f"The roster has fewer than {options.k} people. Invite more, or choose a smaller --k.",
            file="roster",
            line=None,
            column=None,
        ) from None


def _without_lone_group(plan: Plan, tree: GroupTree) -> tuple[Plan, GroupTree]:
    """Leave table H out where its one group is the whole company: table B tells the same for less."""
    if len(tree.groups) > 2 or SUPPORT_RESULT not in plan.sheets:
        return plan, tree
    tables = tuple(table for table in plan.tables if table.sheet != SUPPORT_GROUP)
    return plan.model_copy(update={"tables": tables}), GroupTree(tree.groups[:1], {})


def _values(columns: Mapping[str, Columns], rep: str) -> Values:
    return Values(
        **{name: columns.get(name, {}).get(rep) for name in ("group", "attainment", "activity", "hit")}
    )


def _warnings(
    options: Options, plan: Plan, frame: int, bands: Mapping[str, Bands], *, groups: int
) -> list[str]:
    said = []
    if groups <= 1:
        said.append("No group is large enough to be read apart. Only company-wide results can be shown.")
    if frame < SMALL_FRAME:
        said.append(
            f"Too small to compare Support with activity: {frame} invited reps have results, "
            f"{SMALL_FRAME} are needed. Nothing is spent on drivers."
        )
    elif "attainment" not in bands:
        said.append("Results fall into one band, so nothing can be compared with them.")
    elif "activity" not in bands:
        said.append("Calls and demos are missing or all alike, so Support can't be compared with activity.")
    if any(len(made.live) < len(made.scores) for made in bands.values()):
        said.append(f"Bands shared by fewer than {options.k} people were merged with their neighbours.")
    return said
