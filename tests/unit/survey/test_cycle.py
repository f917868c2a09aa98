"""Every pair of state and event, against the life of a cycle as it is written down."""

from itertools import product

import pytest

from services.survey.core.cycle import Event, InvalidTransition, State, advance, allowed

LIFE = {
    ("draft", "open"): "open",
    ("draft", "cancel"): "cancelled",
    ("open", "extend"): "open",
    ("open", "close"): "closed",
    ("open", "cancel"): "cancelled",
    ("open", "void"): "void",
    ("closed", "release"): "released",
    ("closed", "cancel"): "cancelled",
    ("closed", "void"): "void",
    ("released", "erase"): "erased",
    ("cancelled", "erase"): "erased",
    ("void", "erase"): "erased",
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_step(state: State, event: Event) -> None:
    expected = LIFE.get((state.value, event.value))
    if expected is None:
        with pytest.raises(InvalidTransition) as caught:
            advance(state, event)
        assert str(caught.value) == f"A {state.value} cycle doesn't allow '{event.value}'."
    else:
        assert advance(state, event) == State(expected)


@pytest.mark.parametrize("state", State)
def test_what_is_offered_is_what_works(state: State) -> None:
    assert {advance(state, event) for event in allowed(state)} == {
        State(after) for (before, _), after in LIFE.items() if before == state.value
    }


def test_no_way_leads_back_to_an_earlier_state() -> None:
    order = ["draft", "open", "closed", "released", "erased"]
    for (before, _), after in LIFE.items():
        if {before, after} <= set(order):
            assert order.index(after) >= order.index(before)


def test_after_the_end_a_cycle_is_only_erased() -> None:
    assert allowed(State.ERASED) == ()
    for state in (State.CANCELLED, State.VOID):
        assert allowed(state) == (Event.ERASE,)
