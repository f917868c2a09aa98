"""One rep moves each table by at most 1 against a blank, and features by exactly the claimed bound."""

import itertools
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregate.core.tally import count_chunk
from services.aggregate.core.tree import features, sensitivity_squared
from services.protocol.plan import MICRO
from tests.privacy.checks import (
    VALUES,
    check_feature_norm,
    check_no_other_answer_has_features,
    check_one_token_moves_one_count,
    l1,
)
from tests.unit.aggregate.factory import Cycle

REPS = 5
BLANK = 2


@cache
def cycle() -> Cycle:
    """Return the cycle whose sheets are varied."""
    return Cycle()


@cache
def sheets_of(rep: int, name: str) -> tuple[bytes, bytes, bytes]:
    """Return three responses of a rep on one sheet: an answer, another one, and a blank."""
    spec = cycle().of.sheet(name)
    column = spec.values[rep % len(spec.values)]
    other = spec.values[(rep + 1) % len(spec.values)]
    cells = ((rep % spec.field_values, column), ((rep + 1) % spec.field_values, other), None)
    one, two, three = (cycle().answer(name, cell) for cell in cells)
    return one, two, three


@settings(max_examples=25, deadline=None)
@given(
    responses=st.lists(st.integers(0, 2), min_size=REPS, max_size=REPS),
    rep=st.integers(0, REPS - 1),
    instead=st.integers(0, 2),
)
def test_one_rep_moves_each_table_by_one_against_a_blank_and_by_two_against_another_answer(
    responses: list[int], rep: int, instead: int
) -> None:
    changed = [*responses[:rep], instead, *responses[rep + 1 :]]
    spent = 0.0
    for table in cycle().of.plan.tables:
        name = table.sheet
        rules, key = cycle().rules(name), cycle().opening_key(name)
        one, other = (
            count_chunk(b"".join(sheets_of(r, name)[what] for r, what in enumerate(world)), rules, key)
            for world in (responses, changed)
        )
        against_blank = BLANK in (responses[rep], instead)
        assert l1(one, other) <= (1 if against_blank else 2)
        assert one.counted == other.counted == REPS
        spent += table.epsilon * l1(one, other)
    budget = cycle().of.plan.answers_micro / MICRO
    assert spent <= budget * (1 if BLANK in (responses[rep], instead) else 2) + 1e-9


def test_one_token_moves_one_count() -> None:
    check_one_token_moves_one_count(count_chunk)


def test_the_claimed_sensitivity_is_the_largest_norm() -> None:
    check_feature_norm(features, sensitivity_squared)


def test_no_other_byte_has_features() -> None:
    check_no_other_answer_has_features(features)


def test_two_different_responses_are_apart_by_at_most_160000_per_item() -> None:
    one_item = features(VALUES.reshape(-1, 1))
    apart = [int(((a - b) ** 2).sum()) for a, b in itertools.product(one_item, one_item)]
    assert max(apart) == 160_000
    for items in (12, 18, 24):
        # All items from 1 to 5: the head count cancels, so the change is below twice the bound.
        low, high = features(np.array([[1] * items, [5] * items], dtype=np.uint8))
        assert int(((low - high) ** 2).sum()) == 160_000 * items < 4 * sensitivity_squared(items)
