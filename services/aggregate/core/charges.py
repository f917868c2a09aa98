"""Charges: what a cycle asks of which budget account and year, and under which unique name."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.aggregate.core.gate import coin_is_needed
from services.aggregate.core.ledger import AccountName
from services.protocol.encoding import canonical, sha256
from services.protocol.manifest import Group, instant
from services.protocol.plan import Plan


@dataclass(frozen=True)
class Charge:
    """What one cycle asks of one account."""

    account: AccountName
    epsilon_micro: int
    delta: float


def ledger_year(opens: str) -> int:
    """Return the year a cycle is charged to.

    Parameters
    ----------
    opens : str
        Opening time of the manifest, as the wire writes it (UTC).

    Returns
    -------
    int
        Its calendar year, whenever the cycle closes.

    Raises
    ------
    InvalidManifest
        If the time is not written as ``2026-01-31T12:00:00Z``.

    Notes
    -----
    Privacy: exact and public.
    Source: statistics.md, section 2 (ledger).

    Examples
    --------
    >>> ledger_year("2026-12-31T23:59:59Z")
    2026
    """
    return instant(opens).year


def charges(plan: Plan, groups: Sequence[Group], *, invited: int) -> tuple[Charge, ...]:
    """Return what a cycle asks of each account.

    Parameters
    ----------
    plan : Plan
        The release plan.
    groups : sequence of Group
        Its reporting groups.
    invited : int
        All invited [reps].

    Returns
    -------
    tuple of Charge
        Accounts that are asked for nothing are left out.

    Raises
    ------
    InvalidGroups
        If the groups hold more reps than were invited.

    Notes
    -----
    Privacy: exact and public. Where the only group is the whole company no coin is tossed
    (``gate.coin_is_needed``), so no participation is charged.
    Source: statistics.md, section 2 (ledger).

    Examples
    --------
    >>> from services.protocol.plan import make_plan
    >>> plan = make_plan("balanced", frame=400, contexts=["attainment", "activity", "group", "hit"])
    >>> teams = [Group(id=f"t{i}", parent="all", name="T", level="group", invited=200) for i in (1, 2)]
    >>> [(charge.account, charge.epsilon_micro) for charge in charges(plan, teams, invited=400)]
    [('answers', 2000000), ('participation', 1000000)]
    """
    asked = [Charge("answers", plan.answers_micro, 0.0)]
    if coin_is_needed(groups, invited):
        asked.append(Charge("participation", plan.participation_micro, plan.delta))
    return tuple(charge for charge in asked if charge.epsilon_micro > 0)


def line_key(company: str, cycle: str, groups: Sequence[Group], plan: Plan) -> str:
    """Return the name under which a cycle's lines are unique, one per account.

    Parameters
    ----------
    company, cycle : str
        Whose budget, and which cycle.
    groups : sequence of Group
        The frozen tree, in any order.
    plan : Plan
        The release plan; it names the sheets, the epsilons and the mechanism version.

    Returns
    -------
    str
        SHA-256 in hex over the canonical JSON of all of it.

    Raises
    ------
    rfc8785.CanonicalizationError
        If a name cannot be written as JSON.

    Notes
    -----
    Privacy: exact and public. The same question has the same key, so it can't be charged, and its
    noise can't be drawn, a second time.
    Source: statistics.md, section 2 (ledger); RFC 8785.

    Examples
    --------
    >>> from services.protocol.plan import make_plan
    >>> plan = make_plan("stronger", frame=400, contexts=["attainment"])
    >>> line_key("Acme", "2026-q1", [], plan) == line_key("Acme", "2026-q2", [], plan)
    False
    """
    question = {
        "company": company,
        "cycle": cycle,
        "sheets": sorted(plan.sheets),
        "tree": sorted(([g.id, g.parent or "", g.level, g.invited] for g in groups), key=str),
        "plan": plan.model_dump(mode="json"),
        "mechanism": plan.mechanism_version,
    }
    return sha256(b"fairpatch ledger v1", canonical(question)).hex()
