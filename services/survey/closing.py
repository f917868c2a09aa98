"""What HR may ask once a cycle is open: how it stands, its close, its release."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from services.kit.clock import Clock
from services.kit.keys import Identity
from services.protocol.encoding import canonical
from services.protocol.frame import Frame, SheetCounts
from services.protocol.manifest import instant, written
from services.protocol.messages import ReleaseState
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.survey.core.cycle import State
from services.survey.core.draft import Draft
from services.survey.flow import PhoneFlow
from services.survey.inbox import Inbox
from services.survey.peers import Peers
from services.survey.tables import Cycle

ROUNDED_TO = 5
Counts = dict[str, int | None]


class ClosingStore(Protocol):
    """What this flow needs of the store."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def counts(self, cycle_id: str) -> tuple[int, dict[str, int]]:
        """Return passes taken and envelopes per sheet."""

    def close_cycle(self, cycle_id: str, closed: str) -> bool:
        """Close an open cycle."""

    def finish_close(self, cycle_id: str, make_frame: Callable[[int, dict[str, int]], str]) -> None:
        """Count, keep the frame and erase who took passes, once."""

    def mix(self) -> None:
        """Remove traces of order."""

    def mark_mixed(self, cycle_id: str) -> None:
        """Note the last mixing of a closed cycle."""

    def mark_released(self, cycle_id: str) -> None:
        """Note the release."""


class ClosingFlow:
    """From an open cycle to a released one."""

    def __init__(
        self,
        store: ClosingStore,
        inbox: Inbox,
        phones: PhoneFlow,
        peers: Peers,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._store, self._inbox, self._phones = store, inbox, phones
        self._peers, self._identity, self._clock = peers, identity, clock
        self._live: dict[str, tuple[str, Counts]] = {}

    def state(self, cycle_id: str) -> str:
        """Return the state of a cycle."""
        return self._cycle(cycle_id, *State).state

    def live(self, cycle_id: str) -> Counts:
        """Return passes and sheets company-wide: one figure an hour, rounded down, hidden below k."""
        cycle = self._cycle(cycle_id, *State)
        hour = self._clock().strftime("%Y-%m-%dT%H")
        if self._live.get(cycle_id, ("", {}))[0] != hour:
            k = Draft.model_validate_json(cycle.draft).options.k
            issued, received = self._store.counts(cycle_id)
            # Of a restored cycle nobody knows how many passes there are.
            exact = {"passes": 0 if cycle.restored else issued, **received}
            rounded = {name: n // ROUNDED_TO * ROUNDED_TO if n >= k else None for name, n in exact.items()}
            self._live[cycle_id] = (hour, rounded)
        return self._live[cycle_id][1]

    async def close(self, cycle_id: str) -> None:
        """Close a cycle, freeze its frame and mix its box. Safe to repeat."""
        await asyncio.to_thread(self._begin, cycle_id)
        await self._inbox.exclusively(lambda: self._finish(cycle_id))

    def frame(self, cycle_id: str) -> SignedDocument:
        """Return the signed frame of a closed cycle."""
        return SignedDocument.model_validate_json(self._finished(cycle_id).frame or "")

    def release(self, cycle_id: str) -> ReleaseState:
        """Have a closed cycle released, or say how far that is."""
        self._finished(cycle_id)
        return self._note(cycle_id, self._peers.release(cycle_id))

    def release_state(self, cycle_id: str) -> ReleaseState:
        """Say how far the release of a cycle is."""
        self._cycle(cycle_id, State.OPEN, State.CLOSED, State.RELEASED)
        return self._note(cycle_id, self._peers.release_state(cycle_id))

    def _cycle(self, cycle_id: str, *states: State) -> Cycle:
        cycle = self._store.cycle(cycle_id)
        if cycle is None:
            raise Problem("not-found")
        if cycle.state not in states:
            raise Problem("cycle-state", f"The cycle is {cycle.state}.")
        return cycle

    def _finished(self, cycle_id: str) -> Cycle:
        cycle = self._cycle(cycle_id, State.CLOSED, State.RELEASED)
        if cycle.frame is None or not cycle.mixed:
            raise Problem("cycle-state", "The close has not finished yet. Close it again.")
        return cycle

    def _begin(self, cycle_id: str) -> None:
        cycle = self._cycle(cycle_id, State.OPEN, State.CLOSED)
        manifest, now = cycle.opened(), self._clock()
        if cycle.state == State.OPEN and not manifest.rehearsal and now < instant(manifest.closes):
            # Reps may replace and withdraw until then; nobody may cut that short.
            raise Problem("cycle-state", f"Reps were promised that it stays open until {manifest.closes}.")
        # Nothing was taken after the latest close, however late HR comes.
        self._store.close_cycle(cycle_id, written(min(now, instant(manifest.latest_close))))
        self._phones.forget(cycle_id)

    def _finish(self, cycle_id: str) -> None:
        cycle = self._cycle(cycle_id, State.CLOSED)
        self._store.finish_close(cycle_id, lambda issued, received: self._frame(cycle, issued, received))
        self._store.mix()
        self._store.mark_mixed(cycle_id)

    def _frame(self, cycle: Cycle, issued: int, received: dict[str, int]) -> str:
        assert cycle.closed is not None
        manifest = cycle.opened()
        if cycle.restored:
            # Who took passes is in no backup; nobody took more than one.
            issued = manifest.invited
        frame = Frame(
            cycle=cycle.id,
            manifest_hash=manifest.hash().hex(),
            closed=cycle.closed,
            sheets={
                spec.name: SheetCounts(issued=issued, received=received.get(spec.name, 0))
                for spec in manifest.sheets
            },
            records=Draft.model_validate_json(cycle.draft).records,
            restored=cycle.restored,
        )
        document = frame.model_dump(mode="json")
        signature = self._identity.sign("frame", canonical(document))
        return SignedDocument(document=document, signatures={"survey": signature}).model_dump_json()

    def _note(self, cycle_id: str, state: ReleaseState) -> ReleaseState:
        if state.state == "released":
            self._store.mark_released(cycle_id)
        return state
