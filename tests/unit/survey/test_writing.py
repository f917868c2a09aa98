"""The rule of a batch: however arrivals are cut into batches, it is as if they had come one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.inbox import Arrival
from services.survey.writing import Held, Key, judge
from tests.unit.survey.arrivals import CLOSED, CYCLE, OneByOne, arrival

ARRIVALS = st.builds(
    arrival,
    token=st.integers(0, 3),
    counter=st.integers(1, 4),
    content=st.integers(0, 1),
    cycle=st.sampled_from([CYCLE, CYCLE, CYCLE, CLOSED]),
)


@given(st.lists(st.lists(ARRIVALS, max_size=12), max_size=5))
def test_batches_are_judged_as_if_each_had_come_alone(batches: list[list[Arrival]]) -> None:
    alone, held, rows = OneByOne(), dict[Key, Held](), dict[Key, Arrival]()
    for batch in batches:
        outcomes, written = judge(batch, held, {CYCLE})
        assert outcomes == [alone.put(each) for each in batch]
        held |= {key: (each.counter, each.envelope_hash) for key, each in written.items()}
        rows |= written
    assert rows == alone.rows


@given(st.lists(ARRIVALS, max_size=12), st.lists(ARRIVALS, max_size=12), ARRIVALS)
def test_one_arrival_changes_nothing_for_other_tokens(
    before: list[Arrival], after: list[Arrival], one: Arrival
) -> None:
    others = [each for each in (*before, *after) if each[:3] != one[:3]]
    kept = len([each for each in before if each[:3] != one[:3]])
    without, _ = judge(others, {}, {CYCLE})
    beside, _ = judge([*others[:kept], one, *others[kept:]], {}, {CYCLE})
    assert beside[:kept] + beside[kept + 1 :] == without


@pytest.mark.parametrize(
    ("coming", "outcome"),
    [
        (arrival(counter=5), "again"),
        (arrival(counter=5, content=1), "conflict"),
        (arrival(counter=4), "stale"),
        (arrival(counter=6), "stored"),
        (arrival(token=1), "stored"),
        (arrival(counter=6, cycle=CLOSED), "closed"),
        (arrival(counter=5, cycle=CLOSED), "closed"),
    ],
)
def test_what_becomes_of_an_arrival(coming: Arrival, outcome: str) -> None:
    there = arrival(counter=5)
    held = {there[:3]: (there.counter, there.envelope_hash)}
    outcomes, written = judge([coming], held, {CYCLE})
    assert outcomes == [outcome]
    assert written == ({coming[:3]: coming} if outcome == "stored" else {})
