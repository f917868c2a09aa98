"""Which values a sheet may carry: bands and groups, and the check that k people share each."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.protocol.manifest import Group
from services.survey.core.bands import band as band
from services.survey.core.bands import make_bands as make_bands
from services.survey.core.bands import merge_bands as merge_bands

MAX_NAME = 120
MAX_PART = 36
COMPANY = "company"
Team = tuple[str, str]
"""Region and name of a team; two regions may each have a team of the same name."""


class TooFewShare(ValueError):
    """A value would be shared by fewer than k invited people."""


def check_shared(counts: Sequence[int], k: int) -> None:
    """Raise TooFewShare unless every value is shared by at least k invited people.

    Parameters
    ----------
    counts : sequence of int
        Invited people per public value [reps]; emptied bands are left out by the caller.
    k : int
        Smallest number of people who may share a value [reps].

    Raises
    ------
    TooFewShare
        If a count is below ``k``. The message names neither count nor value.

    Notes
    -----
    Privacy: exact; this is promise P3, checked again by aggregate and by the phone.
    Source: system.md, section 4.

    Examples
    --------
    >>> check_shared([12, 10], 10)
    >>> check_shared([12, 9], 10)
    Traceback (most recent call last):
    services.survey.core.classes.TooFewShare: A value is shared by fewer than 10 invited people.
    """
    if any(count < k for count in counts):
        raise TooFewShare(f"A value is shared by fewer than {k} invited people.")


@dataclass(frozen=True)
class GroupTree:
    """The company and its reporting groups, and the group (from 0) that each team belongs to."""

    groups: tuple[Group, ...]
    group_of_team: dict[Team, int]


def merge_groups(
    roster_groups: Sequence[tuple[str, str, int]],
    *,
    company: str,
    k: int,
    useful: Callable[[int], bool],
) -> GroupTree:
    """Return the reporting groups of a roster: as fine as is useful, every one with at least k people.

    In a region, teams too small to be useful are joined in the order of their names until they are; what
    is left joins the region's smallest group. A region in which nothing becomes useful is one piece, and
    such regions are joined in the same way; the last one joins a group of whole regions if there is one.
    If nothing is useful, the one group is the company.

    Parameters
    ----------
    roster_groups : sequence of (region, team, invited)
        Each team once, with its people on the roster [reps]. The order doesn't matter.
    company : str
        Name of the company, which is also the name of a group that holds everybody.
    k : int
        Smallest number of people in a group [reps].
    useful : callable
        Whether a group of this many invited [reps] is worth a column (``plan.is_useful``).

    Returns
    -------
    GroupTree
        The company first, then groups ``g0``, ``g1``, ... in the order of the value a sheet carries.
        Every team is in exactly one.

    Raises
    ------
    TooFewShare
        If the whole roster has fewer than ``k`` people.

    Notes
    -----
    Privacy: exact; the roster's own counts, fixed and public before the first invitation.
    Source: statistics.md, section 3, R0.

    Examples
    --------
    >>> teams = [("North", "A", 40), ("North", "B", 9), ("North", "C", 35), ("South", "D", 50)]
    >>> tree = merge_groups(teams, company="Acme", k=10, useful=lambda invited: invited >= 30)
    >>> [(group.id, group.name, group.invited) for group in tree.groups]
    [('company', 'Acme', 134), ('g0', 'North: A', 40), ('g1', 'North: B + C', 44), ('g2', 'South: D', 50)]
    """
    invited: Counter[Team] = Counter()
    for region, team, count in roster_groups:
        invited[region, team] += count
    total = sum(invited.values())
    if total < k:
        raise TooFewShare(f"The roster has fewer than {k} people.")

    def size(teams: Sequence[Team]) -> int:
        return sum(invited[team] for team in teams)

    def stands(teams: Sequence[Team]) -> bool:
        return size(teams) >= k and useful(size(teams))

    def covers_regions(teams: Sequence[Team]) -> bool:
        regions = {region for region, _ in teams}
        return len(teams) == sum(region in regions for region, _ in invited)

    whole: list[list[Team]] = []
    blocks: list[list[Team]] = []
    for region in sorted({region for region, _ in invited}):
        teams = [[team] for team in sorted(invited) if team[0] == region]
        joined = _joined_up(teams, stands, size)
        if joined:
            blocks += joined
        else:
            whole.append([team for block in teams for team in block])
    # A region that can't stand alone joins other whole regions if it can: such a name reads well.
    blocks = _joined_up(whole, stands, size, beside=blocks, prefer=covers_regions) or [sorted(invited)]
    return _tree(sorted(sorted(block) for block in blocks), invited, company)


def _joined_up(
    pieces: Sequence[list[Team]],
    stands: Callable[[list[Team]], bool],
    size: Callable[[list[Team]], int],
    beside: Sequence[list[Team]] = (),
    prefer: Callable[[list[Team]], bool] = lambda block: True,
) -> list[list[Team]]:
    """Return pieces joined in order until each stands, after those already standing ``beside``.

    What is left over joins the smallest that is preferred, else the smallest of all (the first on a
    tie). Empty if none stands.
    """
    standing, small = list(beside), list[Team]()
    for piece in pieces:
        if stands(piece):
            standing.append(piece)
        else:
            small = small + piece
            if stands(small):
                standing.append(small)
                small = []
    if small and standing:
        smallest = min(
            range(len(standing)), key=lambda place: (not prefer(standing[place]), size(standing[place]))
        )
        standing[smallest] = standing[smallest] + small
    return standing


def _tree(blocks: Sequence[list[Team]], invited: Mapping[Team, int], company: str) -> GroupTree:
    groups = [Group(id=COMPANY, parent=None, name=company, level="company", invited=sum(invited.values()))]
    for index, block in enumerate(blocks):
        name = company if len(blocks) == 1 else _block_name(block, invited)
        count = sum(invited[team] for team in block)
        groups.append(Group(id=f"g{index}", parent=COMPANY, name=name, level="group", invited=count))
    group_of_team = {team: index for index, block in enumerate(blocks) for team in block}
    return GroupTree(tuple(groups), group_of_team)


def _block_name(block: Sequence[Team], everyone: Collection[Team]) -> str:
    """Return what a group holds, in at most 120 characters: ``North: A + B`` or ``North: A + 4 more``."""
    parts = []
    for region in dict.fromkeys(region for region, _ in block):
        teams = [team for name, team in block if name == region]
        entire = len(teams) == sum(name == region for name, _ in everyone)
        parts.append((region, [] if entire and (len(teams) > 1 or teams == [region]) else teams))
    return next(name for shorten in (False, True) for name in _names(parts, shorten) if len(name) <= MAX_NAME)


def _names(parts: Sequence[tuple[str, list[str]]], shorten: bool) -> Iterator[str]:
    """Yield names for a group, the fullest first: fewer regions, then fewer teams of the first."""
    between = "; " if any(teams for _, teams in parts) else " + "
    for count in range(len(parts), 0, -1):
        shown = between.join(_part(region, teams, len(teams), shorten) for region, teams in parts[:count])
        yield shown + _more(len(parts) - count)
    region, teams = parts[0]
    for named in range(len(teams) - 1, 0, -1):
        yield _part(region, teams, named, shorten) + _more(len(parts) - 1)


def _more(regions: int) -> str:
    return f" and {regions} more region{'s' * (regions > 1)}" if regions else ""


def _part(region: str, teams: Sequence[str], named: int, shorten: bool) -> str:
    short = [
        name[: MAX_PART - 1] + "…" if shorten and len(name) > MAX_PART else name for name in (region, *teams)
    ]
    if not teams:
        return short[0]
    rest = f" + {len(teams) - named} more" if named < len(teams) else ""
    return f"{short[0]}: {' + '.join(short[1 : named + 1])}{rest}"
