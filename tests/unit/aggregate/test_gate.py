"""The gate's arithmetic and rules, on named cases; its guarantees are in tests/privacy/test_gate.py."""

import math
from collections.abc import Callable, Iterator

import pytest

from services.aggregate.core.budget import InvalidBudget
from services.aggregate.core.gate import (
    InvalidGroups,
    coin_is_needed,
    decide,
    publish_probability,
)
from services.protocol.manifest import Group


def coins(*values: float) -> Callable[[], float]:
    """Return coins that fall as given."""
    falling: Iterator[float] = iter(values)
    return lambda: next(falling)


def groups(*invited: int) -> list[Group]:
    """Return reporting groups with these rosters."""
    return [
        Group(id=f"g{i}", parent="all", name="G", level="group", invited=n) for i, n in enumerate(invited)
    ]


def test_chance_starts_at_delta_and_reaches_one() -> None:
    chances = [publish_probability(n, 10, epsilon=1.0, delta=1e-6) for n in range(60)]
    assert chances[:10] == [0.0] * 10
    assert chances[10] == 1e-6
    assert chances[-1] == 1.0
    assert chances == sorted(chances)


def test_half_of_the_coins_show_a_group_of_k_plus_13() -> None:
    below, above = (publish_probability(10 + extra, 10, epsilon=1.0, delta=1e-6) for extra in (12, 13))
    assert below < 0.5 < above


@pytest.mark.parametrize("bad", [0.0, -0.0, -1.0, math.nan, math.inf, 5e-324, "1", True])
def test_bad_budgets_are_refused(bad: float) -> None:
    with pytest.raises(InvalidBudget):
        publish_probability(20, 10, epsilon=bad, delta=1e-6)
    with pytest.raises(InvalidBudget):
        publish_probability(20, 10, epsilon=1.0, delta=bad)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidBudget):
        publish_probability(20, 10, epsilon=1.0, delta=1.0)
    for n, k in ((-1, 10), (5, 0)):
        with pytest.raises(InvalidGroups):
            publish_probability(n, k, epsilon=1.0, delta=1e-6)
    with pytest.raises(InvalidGroups):
        decide([50], [60, 60], k=10, epsilon=1.0, delta=1e-6, uniform=lambda: 0.5)


def test_huge_epsilon_neither_overflows_nor_shows_a_group_below_k() -> None:
    assert publish_probability(9, 10, epsilon=1e300, delta=1e-6) == 0.0
    assert publish_probability(12, 10, epsilon=1e300, delta=1e-6) == 1.0


def test_r1_holds_a_group_below_k_whatever_the_coin() -> None:
    shown = decide([200, 200, 9, 8], [250] * 4, k=10, epsilon=1.0, delta=1e-6, uniform=lambda: 0.0)
    assert shown == (True, True, False, False)


def test_r2_is_one_coin_per_group_in_order() -> None:
    chance = publish_probability(22, 10, epsilon=1.0, delta=1e-6)
    fall = coins(chance, math.nextafter(chance, 0.0), 0.999, 0.999)
    shown = decide([22, 22, 22, 200], [30] * 4, k=10, epsilon=1.0, delta=1e-6, uniform=fall)
    assert shown == (False, True, False, True)


def test_every_group_has_its_coin_even_below_k() -> None:
    tossed: list[float] = []

    def uniform() -> float:
        tossed.append(0.5)
        return 0.5

    decide([0, 3, 200], [250] * 3, k=10, epsilon=1.0, delta=1e-6, uniform=uniform)
    assert len(tossed) == 3


@pytest.mark.parametrize(
    ("counts", "invited", "expected"),
    [
        ([9, 200, 200], [40, 90, 70], (False, True, False)),
        ([9, 200, 200], [40, 70, 70], (False, False, True)),
        ([200, 9], [90, 40], (False, False)),
        ([9, 9, 200], [40, 40, 70], (False, False, True)),
        ([200, 200], [250, 250], (True, True)),
        ([9], [40], (False,)),
        ([200], [250], (True,)),
        ([], [], ()),
    ],
)
def test_r3_holds_the_smallest_sibling_of_a_group_held_alone(
    counts: list[int], invited: list[int], expected: tuple[bool, ...]
) -> None:
    assert decide(counts, invited, k=10, epsilon=1.0, delta=1e-6, uniform=lambda: 0.5) == expected


def test_no_coin_where_the_one_group_is_the_company() -> None:
    assert not coin_is_needed(groups(60), 60)
    assert not coin_is_needed([], 60)
    assert coin_is_needed(groups(60), 61)
    assert coin_is_needed(groups(30, 30), 60)
    with pytest.raises(InvalidGroups):
        coin_is_needed(groups(30, 31), 60)
