"""Charges: what a cycle asks of which budget account and year, and under which unique name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from unicodedata import category, normalize

from services.aggregate.core.gate import coin_is_needed
from services.aggregate.core.ledger import AccountName
from services.protocol.encoding import canonical, sha256
from services.protocol.manifest import Group
from services.protocol.plan import Plan
from services.protocol.problems import Problem

_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Joiners, fillers and variation selectors: letters and marks by category that show nothing."""


@dataclass(frozen=True)
class Charge:
    """What one cycle asks of one account."""

    account: AccountName
    epsilon_micro: int
    delta: float


class NamelessCompany(Problem):
    """A company has no name that could be read, so it can't have an account."""

    def __init__(self) -> None:
        super().__init__("input", "The company needs a name that can be read.")


def company_key(name: str) -> str:
    """Return the name under which a company's accounts are kept; spellings that look alike share it.

    Parameters
    ----------
    name : str
        The company's name as it is printed.

    Returns
    -------
    str
        In compatibility form (NFKC) and folded case, without control, format and other invisible
        characters, every run of white space as one space. Its own key is itself.

    Raises
    ------
    NamelessCompany
        If nothing is left.

    Notes
    -----
    Privacy: exact and public; a second spelling is not a second budget. Another name still is.
    Source: decision record 0016; Unicode Standard Annex 15 (NFKC).

    Examples
    --------
    >>> company_key("Acme GmbH") == company_key("  ACME\u200b\tgmbh ") == "acme gmbh"
    True
    """
    # Composed again at the end: folding takes letters apart, and what is taken out kept marks apart.
    folded = normalize("NFKC", name).casefold()
    seen = "".join(" " if one.isspace() else one for one in folded if one.isspace() or _is_visible(one))
    key = " ".join(normalize("NFKC", seen).split())
    if not key:
        raise NamelessCompany
    return key


def _is_visible(character: str) -> bool:
    return category(character) not in ("Cc", "Cf") and character not in _INVISIBLE


def ledger_year(now: datetime) -> int:
    """Return the year that a cycle proposed now is charged to.

    Parameters
    ----------
    now : datetime
        The time of aggregate's own clock at the proposal, with its time zone.

    Returns
    -------
    int
        The calendar year in UTC, whenever the cycle opens or closes.

    Raises
    ------
    ValueError
        If the time has no time zone: the year would depend on the machine.

    Notes
    -----
    Privacy: exact and public. Who proposes can't choose the year, and with it an untouched account.
    Source: statistics.md, section 2 (ledger); decision record 0016.

    Examples
    --------
    >>> ledger_year(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    2026
    """
    if now.tzinfo is None:
        raise ValueError("a time needs its time zone")
    return now.astimezone(UTC).year


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
        Whose budget, in any spelling of the name, and which cycle.
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
    NamelessCompany
        If the company's name cannot be read.
    InvalidEncoding
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
        "company": company_key(company),
        "cycle": cycle,
        "sheets": sorted(plan.sheets),
        "tree": sorted(([g.id, g.parent or "", g.level, g.invited] for g in groups), key=str),
        "plan": plan.model_dump(mode="json"),
        "mechanism": plan.mechanism_version,
    }
    return sha256(b"fairpatch ledger v1", canonical(question)).hex()
