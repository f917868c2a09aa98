"""The release plan: which tables, at what budget, and the public arithmetic of what they can show.

The named plans are data; a manifest stores their numbers, not their names alone.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from services.protocol.arithmetic import MICRO as MICRO
from services.protocol.arithmetic import driver_power as driver_power
from services.protocol.arithmetic import driver_standard_error as driver_standard_error
from services.protocol.arithmetic import laplace_scale as laplace_scale
from services.protocol.arithmetic import noise_variance as noise_variance
from services.protocol.arithmetic import odds_in_100
from services.protocol.arithmetic import predicted_half_width as predicted_half_width
from services.protocol.arithmetic import publish_chance as publish_chance
from services.protocol.arithmetic import surety as surety
from services.protocol.problems import Problem

MECHANISM_VERSION = "discrete-laplace/opendp-0.16.0/1"
LARGE_FRAME = 1000
SMALL_FRAME = 60
CAP_ANSWERS_MICRO = 8 * MICRO
CAP_PARTICIPATION_MICRO = 8 * MICRO
CAP_DELTA = 1e-5
COIN_EPSILON_MICRO = 1 * MICRO
COIN_DELTA = 1e-6
DEFAULT_RESPONSE = 0.7
USEFUL_SD = 0.20
USEFUL_CHANCE = 0.95
WIDE_HALF_WIDTH = 10.0

SUPPORT_RESULT = "support-result"
SUPPORT_ACTIVITY = "support-activity"
CAPABILITY_RESULT = "capability-result"
ALIGNMENT_RESULT = "alignment-result"
MOTIVATION_RESULT = "motivation-result"
SUPPORT_GROUP = "support-group"
FLAG_RESULT = "flag-result"

Context = Literal["attainment", "activity", "group", "hit"]
StrictFloat = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number; a text that looks like one is refused."""


class SheetKind(BaseModel):
    """What a sheet of the catalogue asks for: its answer field, how many values, its context."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    table: Literal["B", "C", "D", "H", "F"]
    field: str
    field_values: int
    context: Context


CATALOGUE: dict[str, SheetKind] = {
    kind.name: kind
    for kind in (
        SheetKind(name=SUPPORT_RESULT, table="B", field="support_band", field_values=3, context="attainment"),
        SheetKind(name=SUPPORT_ACTIVITY, table="C", field="support_band", field_values=3, context="activity"),
        SheetKind(
            name=CAPABILITY_RESULT, table="D", field="capability_band", field_values=3, context="attainment"
        ),
        SheetKind(
            name=ALIGNMENT_RESULT, table="D", field="alignment_band", field_values=3, context="attainment"
        ),
        SheetKind(
            name=MOTIVATION_RESULT, table="D", field="motivation_band", field_values=3, context="attainment"
        ),
        SheetKind(name=SUPPORT_GROUP, table="H", field="support_band", field_values=3, context="group"),
        SheetKind(name=FLAG_RESULT, table="F", field="flag", field_values=11, context="hit"),
    )
}

CONTEXT_WIDTH: dict[str, int] = {"attainment": 4, "activity": 3, "hit": 2}
"""Columns of a table by its context; tables by group have one column per reporting group."""

NAMED_PLANS: dict[str, dict[str, str]] = {
    "stronger": {"B": "0.40", "C": "0.10", "H": "0.35", "F": "0.15"},
    "balanced": {"B": "0.50", "C": "0.10", "D": "0.35", "H": "0.20", "F": "0.15"},
    "finer": {"B": "0.80", "C": "0.20", "D": "0.60", "H": "0.80", "F": "0.40"},
}
DRIVER_TABLES = ("B", "C", "D")


class PlanTable(BaseModel):
    """One released table: its sheet, its budget [micro-epsilon] and how it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sheet: str
    table: Literal["B", "C", "D", "H", "F"]
    epsilon_micro: StrictInt = Field(gt=0, le=CAP_ANSWERS_MICRO)
    mechanism: Literal["discrete_laplace"] = "discrete_laplace"
    l1_sensitivity: Literal[1] = 1

    @property
    def epsilon(self) -> float:
        """The budget of this table."""
        return self.epsilon_micro / MICRO


class Plan(BaseModel):
    """All that will be published from answers, fixed before the first invitation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tables: tuple[PlanTable, ...]
    coin_epsilon_micro: StrictInt = Field(default=COIN_EPSILON_MICRO, gt=0, le=CAP_PARTICIPATION_MICRO)
    coin_delta: StrictFloat = Field(default=COIN_DELTA, ge=1e-12, le=CAP_DELTA)
    expected_response: StrictFloat = Field(default=DEFAULT_RESPONSE, gt=0.0, le=1.0)
    low_power: Literal["pool", "drop"] = "pool"
    mechanism_version: str = MECHANISM_VERSION

    @property
    def sheets(self) -> tuple[str, ...]:
        """The sheets every phone sends, in manifest order."""
        return tuple(table.sheet for table in self.tables)

    @property
    def answers_micro(self) -> int:
        """What a release spends on answers [micro-epsilon]: one rep feeds every table once."""
        return sum(table.epsilon_micro for table in self.tables)

    @property
    def participation_micro(self) -> int:
        """What the coins spend on taking part [micro-epsilon]: one gated level."""
        return self.coin_epsilon_micro if SUPPORT_GROUP in self.sheets else 0

    @property
    def delta(self) -> float:
        """The chance with which the participation guarantee may fail."""
        return self.coin_delta if self.participation_micro else 0.0

    def table(self, sheet: str) -> PlanTable:
        """Return the table that ``sheet`` feeds."""
        return next(table for table in self.tables if table.sheet == sheet)


def make_plan(
    name: str,
    *,
    frame: int,
    contexts: Sequence[str],
    expected_response: float = DEFAULT_RESPONSE,
    low_power: Literal["pool", "drop"] = "pool",
) -> Plan:
    """Return the named plan for a frame of ``frame`` invited reps with results.

    ``contexts`` says what the records offer (attainment, activity, hit, group). A table whose context
    is missing is left out, and so are the driver tables below 60 reps or, if asked, at low power.
    """
    if name not in NAMED_PLANS:
        raise Problem("input", f"Unknown plan '{name[:40]}'. Use stronger, balanced or finer.")
    epsilons = NAMED_PLANS[name]
    dropped = frame < SMALL_FRAME or (
        low_power == "drop" and driver_power(frame * expected_response, frame, float(epsilons["B"])) < 0.5
    )
    tables = tuple(
        PlanTable(sheet=kind.name, table=kind.table, epsilon_micro=micro(epsilons[kind.table]))
        for kind in CATALOGUE.values()
        if kind.table in epsilons
        and kind.context in contexts
        and not (dropped and kind.table in DRIVER_TABLES)
    )
    return Plan(name=name, tables=tables, expected_response=expected_response, low_power=low_power)


def micro(epsilon: str) -> int:
    """Return a decimal epsilon in integer millionths; refuse what is not exactly one.

    Parameters
    ----------
    epsilon : str
        Digits, then at most one point with one to six digits; no sign, exponent or blank.

    Returns
    -------
    int
        The budget [micro-epsilon], above 0 and at most the yearly cap.

    Raises
    ------
    Problem
        ``budget``, with a sentence that doesn't repeat the text.

    Notes
    -----
    Privacy: exact; a budget is never rounded, so the ledger adds up.
    Source: statistics.md, section 2 (integer micro-epsilon; what is refused).

    Examples
    --------
    >>> micro("0.35")
    350000
    """
    matched = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?", epsilon)
    if matched is None:
        raise Problem("budget", "An epsilon is a plain decimal number with at most six decimals.")
    value = int(matched[1]) * MICRO + int((matched[2] or "").ljust(6, "0"))
    if not 0 < value <= CAP_ANSWERS_MICRO:
        raise Problem("budget", "An epsilon is above 0 and at most the yearly cap.")
    return value


def printed_odds(plan: Plan) -> dict[str, int]:
    """Return the odds that are printed for reps and executives.

    Parameters
    ----------
    plan : Plan
        What a release will spend.

    Returns
    -------
    dict of str to int
        In 100. ``one``: about one answer, x = twice the epsilons of the tables that the costliest
        answer feeds. ``all``: about all answers together, x = twice the budget. ``shown``: about
        taking part, from one group's shown-or-hidden state alone, x = the coin's epsilon.

    Raises
    ------
    OverflowError
        Never for a plan within the caps.

    Notes
    -----
    Privacy: post-processing; a reading of the ledger, true except with chance ``plan.delta``.
    Source: statistics.md, unit of protection.

    Examples
    --------
    >>> contexts = ("attainment", "activity", "hit", "group")
    >>> printed_odds(make_plan("balanced", frame=400, contexts=contexts))
    {'one': 83, 'all': 98, 'shown': 73}
    """
    return odds_in_100(
        answer_costs((table.sheet, table.epsilon_micro) for table in plan.tables),
        answers_micro=plan.answers_micro,
        participation_micro=plan.participation_micro,
    )


def answer_costs(spent: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return what the tables cost together that each answer of a rep feeds.

    Parameters
    ----------
    spent : iterable of (str, int)
        Sheet of a table, and its budget [micro-epsilon].

    Returns
    -------
    dict of str to int
        By what the phone makes of the answers: one band per condition, one reason [micro-epsilon].

    Raises
    ------
    KeyError
        If a sheet is not in the catalogue.

    Notes
    -----
    Privacy: post-processing; a reading of plan or ledger.
    Source: statistics.md, unit of protection ("the tables that answer feeds").

    Examples
    --------
    >>> answer_costs([(SUPPORT_RESULT, 500_000), (SUPPORT_GROUP, 200_000), (FLAG_RESULT, 150_000)])
    {'support_band': 700000, 'flag': 150000}
    """
    costs: dict[str, int] = {}
    for sheet, epsilon_micro in spent:
        answer = CATALOGUE[sheet].field
        costs[answer] = costs.get(answer, 0) + epsilon_micro
    return costs


def is_useful(invited: int, plan: Plan, *, k: int) -> bool:
    """Return whether a group of ``invited`` reps would be shown, and with a readable score.

    Parameters
    ----------
    invited : int
        Roster of the group [reps].
    plan : Plan
        Its table H, coin and expected response are used.
    k : int
        Hard minimum [sheets].

    Returns
    -------
    bool
        Shown with chance .95 or more, and the noise SD of the score at most .20.

    Raises
    ------
    OverflowError
        Never for a plan within the caps.

    Notes
    -----
    Privacy: post-processing; uses public sizes only.
    Source: statistics.md, section 3 (R0).

    Examples
    --------
    >>> is_useful(71, make_plan("balanced", frame=400, contexts=("group",)), k=10)
    False
    """
    if SUPPORT_GROUP not in plan.sheets:
        return False
    n = invited * plan.expected_response
    deviation = math.sqrt(2.0 * noise_variance(plan.table(SUPPORT_GROUP).epsilon)) / max(n, 1e-9)
    chance = publish_chance(round(n), k, epsilon=plan.coin_epsilon_micro / MICRO, delta=plan.coin_delta)
    return chance >= USEFUL_CHANCE and deviation <= USEFUL_SD


def useful_size(plan: Plan, *, k: int) -> int:
    """Return the smallest roster at which a group is useful.

    Parameters
    ----------
    plan : Plan
        Its table H, coin and expected response are used.
    k : int
        Hard minimum [sheets].

    Returns
    -------
    int
        At least ``k`` [reps].

    Raises
    ------
    Problem
        ``budget``, if no size up to a million is.

    Notes
    -----
    Privacy: post-processing; uses public sizes only.
    Source: statistics.md, section 3 (R0: 72, 41 and 36 at k = 10).

    Examples
    --------
    >>> useful_size(make_plan("balanced", frame=400, contexts=("group",)), k=10)
    72
    """
    if SUPPORT_GROUP not in plan.sheets:
        raise Problem("budget", "This plan has no table by group.")
    size = k
    while not is_useful(size, plan, k=k):
        size += 1
        if size > 1_000_000:
            raise Problem("budget", "No group size is useful under this plan.")
    return size
