"""What is published of a cycle: asked once, in an order that tells nothing, and not to be subtracted."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregate.core.mechanisms import discrete_laplace
from services.aggregate.core.publish import draw
from services.protocol.release import NoisyTable
from tests.privacy.checks import (
    Recorder,
    check_every_number_is_noisy,
    check_replay,
    check_states_ignore_noise,
)
from tests.unit.aggregate.factory import made_manifest, made_tallies, made_tally

MANIFEST = made_manifest(groups=(120, 90, 60, 40))


def test_neighbours_ask_for_the_same_noise_in_the_same_order() -> None:
    check_replay(draw)


def test_states_are_decided_without_noise() -> None:
    check_states_ignore_noise(draw)


def test_every_published_number_is_noisy() -> None:
    check_every_number_is_noisy(draw)


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    coins=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
    blanks=st.integers(0, 30),
)
def test_no_subtraction_isolates_a_held_group(counts: list[int], coins: list[float], blanks: int) -> None:
    """Totals minus the shown groups leave two held groups or more, and held columns carry no number."""
    tallies = made_tallies(MANIFEST, counted=sum(counts) + blanks)
    tallies["support-group"] = made_tally([counts, [0] * 4, [0] * 4], blanks=blanks)
    fall = iter(coins)
    recorder = Recorder(noise=3, coin=0.0)
    tables, states = draw(tallies, MANIFEST, laplace=recorder.laplace, uniform=lambda: next(fall))
    held = [i for i, state in enumerate(states) if state.state == "held"]
    assert len(held) != 1
    assert all(i in held for i, count in enumerate(counts) if count < MANIFEST.k)
    table = next(table for table in tables if table.sheet == "support-group")
    if table.noisy_counts is not None:
        assert all((cell is None) == (i in held) for row in table.noisy_counts for i, cell in enumerate(row))
    else:
        assert sum(counts) + blanks < MANIFEST.k
        assert held == [0, 1, 2, 3]


def test_held_columns_look_alike_whatever_the_cause() -> None:
    """R1, the coin and the sibling rule publish the same bytes for their groups."""

    def published(counts: list[int], coins: list[float]) -> list[Any]:
        tallies = made_tallies(MANIFEST, counted=200)
        tallies["support-group"] = made_tally([counts, [0] * 4, [0] * 4], blanks=200 - sum(counts))
        fall = iter(coins)
        tables, states = draw(tallies, MANIFEST, laplace=discrete_laplace, uniform=lambda: next(fall))
        table: NoisyTable = next(t for t in tables if t.sheet == "support-group")
        held = np.array(table.noisy_counts, dtype=object)[:, 2:].tolist()
        return [[state.model_dump_json() for state in states[2:]], held]

    too_few = published([60, 60, 3, 2], [0.5] * 4)
    coin = published([60, 60, 22, 22], [0.5, 0.5, 0.99, 0.99])
    sibling = published([60, 60, 60, 3], [0.5] * 4)
    assert too_few == coin == sibling
