"""The gate: which groups are shown at all, decided from true answers before any noise is drawn.

R1 hard minimum, R2 one coin per group, R3 no group held alone. All three lead to the same word: held.
"""

from collections.abc import Callable, Sequence

from services.aggregate.core.budget import InvalidBudget, positive
from services.protocol.manifest import Group
from services.protocol.plan import publish_chance

_LARGEST_EXPONENT = 700.0


class InvalidGroups(ValueError):
    """The groups given to the gate do not fit each other."""


def publish_probability(n: int, k: int, *, epsilon: float, delta: float) -> float:
    """Return the chance that a group with ``n`` true answers is shown.

    Parameters
    ----------
    n : int
        True answers in the group [sheets], at least 0.
    k : int
        Hard minimum [sheets], at least 1; below it the chance is exactly 0.
    epsilon, delta : float
        Cost of the coin, per group and cycle; both above 0, delta below 1.

    Returns
    -------
    float
        Non-decreasing in ``n``; 0 for ``n < k``, delta at ``k``.

    Raises
    ------
    InvalidBudget
        If epsilon or delta is not a positive finite number, or delta is 1 or more.
    InvalidGroups
        If k is below 1 or n below 0.

    Notes
    -----
    Privacy: spends (epsilon, delta) on participation, nothing on answers.
    Source: arXiv 2006.03684 (optimal partition selection), shifted by the hard minimum k.

    Examples
    --------
    >>> publish_probability(9, 10, epsilon=1.0, delta=1e-6)
    0.0
    >>> round(publish_probability(23, 10, epsilon=1.0, delta=1e-6), 2)
    0.7
    """
    cost, chance_of_failure = positive(epsilon, "epsilon"), positive(delta, "delta")
    if chance_of_failure >= 1.0:
        raise InvalidBudget("delta is not below 1")
    if k < 1 or n < 0:
        raise InvalidGroups("k is at least 1 and n at least 0")
    # Above this, exp overflows; a smaller epsilon only shows less.
    return publish_chance(n, k, epsilon=min(cost, _LARGEST_EXPONENT), delta=chance_of_failure)


def decide(
    exact_counts: Sequence[int],
    invited: Sequence[int],
    *,
    k: int,
    epsilon: float,
    delta: float,
    uniform: Callable[[], float],
) -> tuple[bool, ...]:
    """Return, for each child group of a shown company, whether it is shown.

    Parameters
    ----------
    exact_counts : sequence of int
        True answers (non-blank sheets) of each group [sheets].
    invited : sequence of int
        Public rosters in the same order [reps].
    k : int
        Hard minimum [sheets].
    epsilon, delta : float
        Cost of each coin.
    uniform : callable
        Draws uniformly from [0, 1); called once per group, in order, whatever the counts are.

    Returns
    -------
    tuple of bool
        True = shown. Never exactly one False when there are two groups or more.

    Raises
    ------
    InvalidGroups
        If the two sequences differ in length.
    InvalidBudget
        If epsilon or delta cannot be a budget.

    Notes
    -----
    Privacy: spends (epsilon, delta) on participation; a rep is in one group, so the coins compose in
    parallel. R3 reads public rosters and the coins' results only (post-processing).
    Source: statistics.md, section 3.

    Examples
    --------
    >>> decide([80, 9, 60], [90, 40, 70], k=10, epsilon=1.0, delta=1e-6, uniform=lambda: 0.5)
    (True, False, False)
    """
    if len(exact_counts) != len(invited):
        raise InvalidGroups("one roster count per group")
    shown = []
    for count in exact_counts:
        coin = uniform()
        shown.append(count >= k and coin < publish_probability(count, k, epsilon=epsilon, delta=delta))
    return _with_sibling_held(shown, invited)


def coin_is_needed(groups: Sequence[Group], invited: int) -> bool:
    """Return whether reporting groups need coins: not where the only one is the whole company.

    Parameters
    ----------
    groups : sequence of Group
        The reporting groups of the frozen tree.
    invited : int
        All invited of the company [reps].

    Returns
    -------
    bool
        False if there is no group, or the one group holds everybody.

    Raises
    ------
    InvalidGroups
        If the groups hold more reps than the company.

    Notes
    -----
    Privacy: exact and public. A group that is the company has a public total, so nothing is gated
    by a coin and no participation budget is spent on it.
    Source: statistics.md, section 3 (R1, company: exact total).

    Examples
    --------
    >>> team = Group(id="all", parent=None, name="All", level="group", invited=40)
    >>> coin_is_needed([team], 40), coin_is_needed([team], 50)
    (False, True)
    """
    if sum(group.invited for group in groups) > invited:
        raise InvalidGroups("groups hold more reps than were invited")
    return len(groups) > 0 and not (len(groups) == 1 and groups[0].invited == invited)


def _with_sibling_held(shown: Sequence[bool], invited: Sequence[int]) -> tuple[bool, ...]:
    """Apply R3: one held group alone could be had by subtraction, so its smallest sibling goes too."""
    if len(shown) < 2 or sum(shown) != len(shown) - 1:
        return tuple(shown)
    # Ties go to the first in manifest order; both keys are public.
    smallest = min((i for i, is_shown in enumerate(shown) if is_shown), key=lambda i: (invited[i], i))
    return tuple(is_shown and i != smallest for i, is_shown in enumerate(shown))
