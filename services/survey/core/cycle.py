"""The states of a cycle, and the only ways from one to the next (system.md, section 5)."""

from enum import StrEnum


class State(StrEnum):
    """How far a cycle is."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    RELEASED = "released"
    ERASED = "erased"
    CANCELLED = "cancelled"
    VOID = "void"


class Event(StrEnum):
    """What may happen to a cycle."""

    OPEN = "open"
    EXTEND = "extend"
    CLOSE = "close"
    RELEASE = "release"
    ERASE = "erase"
    CANCEL = "cancel"
    VOID = "void"


class InvalidTransition(ValueError):
    """The cycle is not in a state in which this may happen."""


# A cycle with answers in its box is cancelled by destroying them, so that is possible until the
# release and never after it. Void means that an opening key is lost: nothing can be counted.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.DRAFT: {Event.OPEN: State.OPEN, Event.CANCEL: State.CANCELLED},
    State.OPEN: {
        Event.EXTEND: State.OPEN,
        Event.CLOSE: State.CLOSED,
        Event.CANCEL: State.CANCELLED,
        Event.VOID: State.VOID,
    },
    State.CLOSED: {
        Event.RELEASE: State.RELEASED,
        Event.CANCEL: State.CANCELLED,
        Event.VOID: State.VOID,
    },
    State.RELEASED: {Event.ERASE: State.ERASED},
    State.ERASED: {},
    State.CANCELLED: {Event.ERASE: State.ERASED},
    State.VOID: {Event.ERASE: State.ERASED},
}


def advance(state: State, event: Event) -> State:
    """Return the state that follows ``event``.

    Parameters
    ----------
    state : State
        Where the cycle is.
    event : Event
        What happens to it.

    Returns
    -------
    State
        Where the cycle is afterwards.

    Raises
    ------
    InvalidTransition
        If the event can't happen in this state; the sentence may be shown.

    Notes
    -----
    Privacy: exact; no way leads back, so what was promised at opening can't be changed.
    Source: system.md, section 5.

    Examples
    --------
    >>> advance(State.DRAFT, Event.OPEN)
    <State.OPEN: 'open'>
    >>> advance(State.RELEASED, Event.OPEN)
    Traceback (most recent call last):
    services.survey.core.cycle.InvalidTransition: A released cycle doesn't allow 'open'.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise InvalidTransition(f"A {state.value} cycle doesn't allow '{event.value}'.") from None


def allowed(state: State) -> tuple[Event, ...]:
    """Return what may happen to a cycle in this state.

    Parameters
    ----------
    state : State
        Where the cycle is.

    Returns
    -------
    tuple of Event
        In the order pages offer it.

    Notes
    -----
    Privacy: exact; says nothing of anybody.
    Source: system.md, section 5.

    Examples
    --------
    >>> allowed(State.DRAFT)
    (<Event.OPEN: 'open'>, <Event.CANCEL: 'cancel'>)
    """
    return tuple(TRANSITIONS[state])
