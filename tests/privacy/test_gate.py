"""The gate tells little about who took part: both outcomes, all group sizes, all groups together."""

import itertools
import math
import random
from collections import defaultdict

import pytest

from services.aggregate.core.gate import decide, publish_probability
from tests.privacy.checks import check_gate_inequality, check_no_group_held_alone, check_none_under_k

OS_RANDOM = random.SystemRandom().random
JUST_BELOW_ONE = math.nextafter(1.0, 0.0)


@pytest.mark.parametrize("k", [5, 10, 30])
@pytest.mark.parametrize("epsilon", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("delta", [1e-6, 1e-9])
def test_the_coin_keeps_its_inequality_both_ways(k: int, epsilon: float, delta: float) -> None:
    check_gate_inequality(publish_probability, k=k, epsilon=epsilon, delta=delta)


def test_none_under_k_in_100000_draws() -> None:
    check_none_under_k(decide, OS_RANDOM)


def test_no_group_is_held_alone() -> None:
    check_no_group_held_alone(decide, OS_RANDOM)


def states_law(counts: list[int], epsilon: float, delta: float) -> dict[tuple[bool, ...], float]:
    """Return the exact chance of every list of states, by letting the coins fall in every way."""
    law: dict[tuple[bool, ...], float] = defaultdict(float)
    chances = [publish_probability(n, 10, epsilon=epsilon, delta=delta) for n in counts]
    for falls in itertools.product((True, False), repeat=len(counts)):
        weight = math.prod(p if up else 1 - p for p, up in zip(chances, falls, strict=True))
        if weight == 0.0:
            continue
        coins = iter([0.0 if up else JUST_BELOW_ONE for up in falls])
        shown = decide(
            counts,
            [90, 60, 60, 40],
            k=10,
            epsilon=epsilon,
            delta=delta,
            uniform=lambda coins=coins: next(coins),  # type: ignore[misc]
        )
        law[shown] += weight
    assert math.isclose(sum(law.values()), 1.0)
    return law


@pytest.mark.parametrize("epsilon", [0.5, 1.0])
@pytest.mark.parametrize("counts", [[22, 24, 19, 30], [10, 9, 10, 50], [23, 23, 23, 23], [40, 12, 10, 26]])
def test_all_states_together_cost_one_coin(counts: list[int], epsilon: float) -> None:
    delta = 1e-6
    here = states_law(counts, epsilon, delta)
    for group in range(len(counts)):
        for step in (-1, 1):
            near = list(counts)
            near[group] += step
            there = states_law(near, epsilon, delta)
            excess = sum(max(0.0, p - math.exp(epsilon) * there.get(s, 0.0)) for s, p in here.items())
            assert excess <= delta * (1 + 1e-6) + 1e-14
