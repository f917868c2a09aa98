"""What survey may ask of aggregate: reserve, countersign, release, void."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Protocol

import structlog

from services.aggregate.accounts import Line
from services.aggregate.checks import check_upload, price
from services.aggregate.closing import Closing, ClosingStore
from services.aggregate.keyring import Destruction, Keyring
from services.aggregate.store import AlreadyRecorded, Cycle, State
from services.kit.clock import Clock
from services.kit.http import log_fault
from services.kit.keys import Identity
from services.protocol.encoding import b64
from services.protocol.messages import (
    ChainReply,
    LedgerReply,
    ManifestUpload,
    Proposal,
    ProposalReply,
    ReleaseState,
)
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument

VOID = "This cycle was made void. Nothing was counted."
KEYS_LEFT = " Its opening keys are not destroyed yet; that is tried again every minute."

log = structlog.get_logger("fairpatch")


class FlowStore(ClosingStore, Protocol):
    """What this flow needs of the store."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def states(self) -> dict[str, State]:
        """Return the state of every cycle."""

    def add_cycle(
        self, proposal: Proposal, lines: Sequence[Line], make_keys: Callable[[], Mapping[str, str]]
    ) -> None:
        """Reserve a cycle's budget, have its keys made and record it, or nothing of that."""

    def accept_manifest(
        self, cycle_id: str, signed: SignedDocument, commitments: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Record the one manifest of an open cycle."""

    def void(self, cycle_id: str, reason: str, day: str) -> None:
        """Give the reserved budget of an open cycle back, and note why."""

    def note(self, action: str, cycle: str | None, reason: str | None, day: str) -> None:
        """Record what an operator did."""

    def send_again(self, company: str, head: str | None) -> int:
        """Have all releases behind ``head`` delivered anew."""

    def companies(self) -> set[str]:
        """Return the companies with cycles."""

    def has_release(self, company: str, release_hash: str) -> bool:
        """Return whether a company's chain holds this release."""

    def release(self, cycle_id: str) -> tuple[str, str] | None:
        """Return hash and signed document of a cycle's release."""


class Report(Protocol):
    """Report, as aggregate needs it."""

    def chain(self, company: str) -> ChainReply:
        """Return the newest release report holds for a company."""

    def push(self) -> bool:
        """Deliver what waits."""


class Flow:
    """The calls of survey."""

    def __init__(
        self,
        store: FlowStore,
        keyring: Keyring,
        closing: Closing,
        report: Report,
        identity: Identity,
        survey_key: bytes,
        clock: Clock,
        background: Callable[[Callable[[], None]], object],
    ) -> None:
        self._store, self._keyring, self._closing, self._report = store, keyring, closing, report
        self._identity, self._survey_key, self._clock = identity, survey_key, clock
        self._background, self._destruction = background, Destruction(keyring)
        self._proposing, self._releasing, self._guard = Lock(), Lock(), Lock()
        self._compared: set[str] = set()
        self._all_compared = False
        self._progress: dict[str, ReleaseState] = {}

    def propose(self, proposal: Proposal) -> ProposalReply:
        """Reserve a cycle's budget and make its opening keys.

        The same proposal gets the same answer, however late it is repeated.
        """
        with self._proposing:
            known = self._store.cycle(proposal.cycle)
            if known is None:
                lines = price(proposal, self._clock())
                self.compare_chains(proposal.company)
                known = self._add(proposal, lines)
        if known.proposal != proposal:
            raise Problem("conflict", "Another proposal is recorded for this cycle.")
        if known.state == "void":
            raise Problem("cycle-state", VOID)
        return ProposalReply(opening_keys=known.opening_keys)

    def accept_manifest(self, cycle_id: str, upload: ManifestUpload) -> SignedDocument:
        """Check and countersign the one manifest of a cycle; the same one gets the same answer."""
        cycle = self._known(cycle_id)
        if cycle.manifest is None and cycle.state == "open":
            signed = self._countersign(upload, cycle)
            with suppress(AlreadyRecorded):
                self._store.accept_manifest(cycle_id, signed, upload.commitments)
            cycle = self._known(cycle_id)
        if cycle.manifest is None or cycle.state == "void":
            raise Problem("cycle-state", VOID)
        if cycle.manifest.document != upload.signed.document:
            raise Problem("conflict", "Another manifest was accepted for this cycle.")
        return cycle.manifest

    def ask_release(self, cycle_id: str) -> ReleaseState:
        """Start a release in the background, unless it runs or is done, and say how far it is."""
        if self._known(cycle_id).state != "open":
            self._destruction.attempt(cycle_id)
        cycle = self._releasable(cycle_id)
        if cycle.state == "open":
            with self._guard:
                waiting = cycle_id not in self._progress or self._progress[cycle_id].state == "failed"
                if waiting:
                    self._say(cycle_id, "Waiting for its turn.")
            if waiting:
                self._background(partial(self._release_aside, cycle_id))
        return self.state(cycle_id)

    def release(self, cycle_id: str) -> ReleaseState:
        """Make the release of a closed cycle, or finish what a crash left; there is only ever one."""
        try:
            self._release(cycle_id)
        except Problem as problem:
            self._fail(cycle_id, problem)
            raise
        except Exception:
            self._fail(cycle_id, Problem("internal"))
            raise
        self._progress.pop(cycle_id, None)
        return self.state(cycle_id)

    def state(self, cycle_id: str) -> ReleaseState:
        """Say how far the release of a cycle is; it runs until report was told and the keys are gone."""
        if self._known(cycle_id).state == "void":
            return ReleaseState(state="void", words=VOID + self._keys_left(cycle_id))
        progress = self._progress.get(cycle_id)
        if progress is not None and progress.state == "running":
            return progress
        released = self._store.release(cycle_id)
        if released is None:
            return progress or ReleaseState(state="open", words="Nothing was opened yet.")
        left = self._keys_left(cycle_id)
        return ReleaseState(
            state="running" if left else "released", words=f"Released.{left}", release=released[0]
        )

    def void(self, cycle_id: str, reason: str) -> ReleaseState:
        """Give up a cycle that was not released: its budget returns, its sheets can't be opened any more.

        Of a cycle that a restored ledger doesn't know, keys may be left; they are destroyed as well.
        """
        day = self._clock().date().isoformat()
        with self._proposing:
            if self._store.cycle(cycle_id) is None and cycle_id in self._keyring.cycles():
                self._store.note("keys destroyed", cycle_id, reason, day)
                self._destruction.attempt(cycle_id)
        if self._known(cycle_id).state != "void":
            try:
                self._store.void(cycle_id, reason, day)
            except AlreadyRecorded:
                raise Problem("cycle-state", "A released cycle can't be made void.") from None
        self._destruction.attempt(cycle_id)
        return self.state(cycle_id)

    def ledger(self, company: str, year: int) -> LedgerReply:
        """Say what a company spent and reserved in a year."""
        return LedgerReply(accounts=self._store.accounts(company, year))

    def finish_destruction(self) -> None:
        """Destroy the keys of all cycles that are over: a crash or a fault may have left some."""
        self._destruction.sweep(self._store.states())

    def compare_chains(self, *newcomers: str) -> None:
        """Compare every company's chain, and that of newcomers, with the one report holds.

        Raises Problem. An older database is older for everybody: no company spends before all were looked
        at, and no other spelling of a name gets around that.
        """
        for company in sorted({*newcomers, *self._store.companies()} - self._compared):
            self._compare_chain(company)
        self._all_compared = True

    def keys_left(self) -> int:
        """Return how many cycles are over and still have opening keys."""
        return self._destruction.left

    def unready(self) -> list[str]:
        """Name what has to happen before budget may be spent, or a promise is kept."""
        waiting = [] if self._all_compared else ["The chain of releases is not compared with report's yet."]
        return waiting + self._destruction.unfinished()

    def _known(self, cycle_id: str) -> Cycle:
        cycle = self._store.cycle(cycle_id)
        if cycle is None:
            raise Problem("not-found")
        return cycle

    def _add(self, proposal: Proposal, lines: Sequence[Line]) -> Cycle:
        def make_keys() -> dict[str, str]:
            points = self._keyring.make(proposal.cycle, proposal.plan.sheets)
            return {sheet: b64(point) for sheet, point in points.items()}

        with suppress(AlreadyRecorded):
            self._store.add_cycle(proposal, lines, make_keys)
        return self._known(proposal.cycle)

    def _keys_left(self, cycle_id: str) -> str:
        return KEYS_LEFT if self._keyring.holds(cycle_id) else ""

    def _countersign(self, upload: ManifestUpload, cycle: Cycle) -> SignedDocument:
        manifest = check_upload(upload, cycle, self._survey_key)
        return SignedDocument(
            document=upload.signed.document,
            signatures={
                "survey": upload.signed.signatures["survey"],
                "aggregate": self._identity.sign("manifest", manifest.encode()),
            },
        )

    def _releasable(self, cycle_id: str) -> Cycle:
        cycle = self._known(cycle_id)
        if cycle.state == "void":
            raise Problem("cycle-state", VOID)
        if cycle.manifest is None:
            raise Problem("cycle-state", "The cycle has no manifest yet.")
        if cycle.state == "open":
            self.compare_chains()
        return cycle

    def _compare_chain(self, company: str) -> None:
        """Refuse to go on if report knows a release that this database doesn't; once per start is enough."""
        head = self._report.chain(company).head
        if head is not None and not self._store.has_release(company, head):
            raise Problem(
                "conflict",
                "Report holds a newer release than this database: an older copy was restored. "
                "Nothing is reserved or released until the newer one is back.",
            )
        if behind := self._store.send_again(company, head):
            log.info("report is behind, releases are delivered again", releases=behind)
        self._compared.add(company)

    def _release(self, cycle_id: str) -> None:
        with self._releasing:
            cycle = self._releasable(cycle_id)
            if cycle.state == "open":
                self._draw(cycle)
            else:
                self._destruction.attempt(cycle_id)
        self._report.push()

    def _draw(self, cycle: Cycle) -> None:
        """Make and write the release, and end its keys; whoever waits behind finds it done."""
        cycle_id = cycle.proposal.cycle
        release = self._closing.run(cycle, partial(self._say, cycle_id))
        received = {name: totals.received for name, totals in release.sheets.items()}
        log.info("released", cycle=cycle_id, sheets=received)
        self._say(cycle_id, "Destroying the opening keys.")
        self._destruction.attempt(cycle_id)
        self._say(cycle_id, "Handing the release to report.")

    def _release_aside(self, cycle_id: str) -> None:
        try:
            self.release(cycle_id)
        except Problem as problem:
            log.warning("release failed", cycle=cycle_id, reason=problem.kind)
        except Exception as error:
            log_fault("release failed", error)

    def _say(self, cycle_id: str, words: str) -> None:
        self._progress[cycle_id] = ReleaseState(state="running", words=words)

    def _fail(self, cycle_id: str, problem: Problem) -> None:
        self._progress[cycle_id] = ReleaseState(state="failed", words=str(problem)[:400])
