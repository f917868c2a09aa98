"""Giving up a cycle on both sides: aggregate destroys its keys and returns its budget, survey ends it."""

from pathlib import Path

import httpx
from pydantic import TypeAdapter, ValidationError

from services.kit.clock import Clock
from services.kit.http import call, peer_client
from services.kit.migrations import require_current
from services.operation.rooms import Room, open_room
from services.protocol.encoding import canonical
from services.protocol.parts import Identifier
from services.protocol.problems import Problem
from services.survey.core.cycle import State
from services.survey.keeping import Keeping

MOST_LETTERS = 400
PUBLISHED = "This cycle was released. What is published stays, and a second release would cost budget again."
UNKNOWN_THERE = "Aggregate doesn't know it: no budget was reserved there, or a restored ledger forgot it."
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def make_void(
    folder: Path, cycle: str, reason: str, *, clock: Clock, transport: httpx.BaseTransport | None = None
) -> list[str]:
    """Make a cycle void at aggregate and at survey, and say what became of it. Safe to repeat.

    Aggregate has to run: it decides whether there is a release.
    """
    _check(cycle, reason)
    room = open_room(folder, "survey")
    with room.database() as database:
        require_current(database, room.migrations)
        keeping = Keeping(database)
        state = keeping.state(cycle)
        if state in (State.RELEASED, State.ERASED):
            raise Problem("cycle-state", PUBLISHED)
        known = _tell_aggregate(room, cycle, reason, clock, transport)
        if state is None and not known:
            raise Problem("input", "Neither survey nor aggregate knows a cycle of this id.")
        there = "Aggregate destroyed its opening keys and gave its budget back." if known else UNKNOWN_THERE
        if state is None:
            return [there, "Survey doesn't know the cycle; it was restored from an older backup."]
        after = keeping.give_up(cycle, clock().date().isoformat(), reason)
    return [there, f"Survey has it as {after.value}: no passes, no sheets, nothing counted."]


def _check(cycle: str, reason: str) -> None:
    try:
        _IDENTIFIER.validate_python(cycle)
    except ValidationError:
        raise Problem("input", "This is not the id of a cycle.") from None
    if not reason.strip() or len(reason) > MOST_LETTERS or not reason.isprintable():
        raise Problem("input", f"Give a reason of at most {MOST_LETTERS} letters on one line.")


def _tell_aggregate(
    room: Room, cycle: str, reason: str, clock: Clock, transport: httpx.BaseTransport | None
) -> bool:
    """Have aggregate give a cycle up; return whether it knows it."""
    client = peer_client(room.settings, room.identity, "aggregate", clock, transport)
    with client:
        try:
            call(client, "POST", f"/internal/cycles/{cycle}/void", json=canonical({"reason": reason}))
        except Problem as problem:
            if problem.kind == "not-found":
                return False
            if problem.kind == "not-ready":
                raise Problem(
                    "not-ready", "Aggregate does not answer. Start it and repeat; nothing was changed."
                ) from None
            if problem.kind == "unauthorized":
                raise Problem(
                    "unauthorized",
                    "Aggregate does not take calls with this survey's identity. Check its peers.",
                ) from None
            raise
    return True
