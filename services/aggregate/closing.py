"""From the box to the release: open, count, draw once, write. Nothing is written in between."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from services.aggregate.accounts import Line
from services.aggregate.checks import check_frame, check_tally, rules
from services.aggregate.core.publish import Laplace, draw
from services.aggregate.core.receiptlist import root
from services.aggregate.core.tally import Tally
from services.aggregate.keyring import KeyLost, Keyring
from services.aggregate.store import AlreadyRecorded, Cycle, Finished
from services.aggregate.workers import count_sheet
from services.kit.clock import Clock
from services.kit.keys import Identity
from services.protocol import release as releases
from services.protocol.frame import Frame
from services.protocol.manifest import Manifest
from services.protocol.messages import LedgerAccount
from services.protocol.problems import Problem
from services.protocol.receipts import list_digits
from services.protocol.release import GroupState, LedgerLine, NoisyTable, Release, SheetTotals
from services.protocol.signed import SignedDocument

Say = Callable[[str], None]
Tallies = Mapping[str, Tally]
Drawn = tuple[tuple[NoisyTable, ...], tuple[GroupState, ...]]


class Box(Protocol):
    """Survey's side of the close."""

    def frame(self, cycle: str) -> SignedDocument:
        """Return the signed frame."""

    def chunks(self, cycle: str, sheet: str, *, envelope_bytes: int, envelopes: int) -> Iterator[bytes]:
        """Yield the box of a sheet."""


class ClosingStore(Protocol):
    """What a close needs of the store."""

    def lines(self, cycle_id: str) -> tuple[Line, ...]:
        """Return what a cycle reserved."""

    def accounts(self, company: str, year: int) -> tuple[LedgerAccount, ...]:
        """Return the accounts of a company and year."""

    def head(self, company: str) -> str:
        """Return the hash of a company's newest release."""

    def publish(self, finished: Finished) -> None:
        """Write a release in one transaction."""


@dataclass(frozen=True)
class Noise:
    """Where randomness comes from: the mechanism and the coins."""

    laplace: Laplace
    uniform: Callable[[], float]


@dataclass(frozen=True)
class Pool:
    """How worker processes are started, and how many."""

    start: Callable[[int], AbstractContextManager[Executor]]
    workers: int


class Closing:
    """The close of one cycle at a time; whoever calls sees to it that no other one runs."""

    def __init__(
        self,
        store: ClosingStore,
        keyring: Keyring,
        box: Box,
        pool: Pool,
        noise: Noise,
        identity: Identity,
        survey_key: bytes,
        clock: Clock,
    ) -> None:
        self._store, self._keyring, self._box, self._pool = store, keyring, box, pool
        self._noise, self._identity, self._survey_key, self._clock = noise, identity, survey_key, clock

    def run(self, cycle: Cycle, say: Say) -> Release:
        """Make, write and return the release of a closed cycle; ``say`` hears how far it is.

        Raises Problem if the release has to be held, if survey is away or a key is lost. Then nothing was
        written, and the next attempt starts from the box again.
        """
        if cycle.manifest is None:
            raise Problem("cycle-state", "The cycle has no manifest yet.")
        manifest = Manifest.model_validate(cycle.manifest.document)
        say("Asking survey for the records of the close.")
        signed = self._box.frame(manifest.cycle)
        frame = check_frame(signed, manifest, self._survey_key, self._clock())
        exact_tallies = self._count(cycle, manifest, frame, say)
        say("Adding noise, once.")
        drawn = draw(exact_tallies, manifest, laplace=self._noise.laplace, uniform=self._noise.uniform)
        release = self._release(manifest, frame, exact_tallies, drawn)
        self._write(release, exact_tallies)
        return release

    def _count(self, cycle: Cycle, manifest: Manifest, frame: Frame, say: Say) -> dict[str, Tally]:
        sheet_rules = rules(manifest, cycle.commitments)
        total = sum(counts.received for counts in frame.sheets.values())
        progress = Progress(total, manifest.envelope_length, say)
        exact_tallies = {}
        with self._pool.start(self._pool.workers) as executor:
            for name, counts in frame.sheets.items():
                read = partial(
                    self._box.chunks,
                    manifest.cycle,
                    name,
                    envelope_bytes=manifest.envelope_length,
                    envelopes=counts.received,
                )
                key = self._key(manifest.cycle, name)
                exact_tallies[name] = count_sheet(
                    read, sheet_rules[name], key, executor, progress, in_flight=2 * self._pool.workers
                )
                check_tally(exact_tallies[name], counts)
        return exact_tallies

    def _key(self, cycle_id: str, sheet: str) -> bytes:
        try:
            return self._keyring.read(cycle_id, sheet)
        except KeyLost:
            raise Problem("cycle-state", "An opening key is lost. The cycle can only be made void.") from None

    def _release(self, manifest: Manifest, frame: Frame, exact_tallies: Tallies, drawn: Drawn) -> Release:
        tables, groups = drawn
        release = Release(
            kind="release",
            cycle=manifest.cycle,
            company=manifest.company,
            manifest_hash=manifest.hash().hex(),
            previous=self._store.head(manifest.company),
            released_on=self._clock().date().isoformat(),
            sheets={name: totals(exact_tallies[name], frame, name) for name in manifest.plan.sheets},
            tables=tables,
            groups=groups,
            ledger=tuple(self._spent(line) for line in self._store.lines(manifest.cycle)),
            frame=frame,
        )
        # What a reader would refuse must not be signed.
        return releases.parse(release.model_dump(mode="json"))

    def _spent(self, line: Line) -> LedgerLine:
        accounts = {account.account: account for account in self._store.accounts(line.company, line.year)}
        account = accounts[line.charge.account]
        return LedgerLine(
            account=line.charge.account,
            year=line.year,
            key=line.key,
            epsilon_micro=line.charge.epsilon_micro,
            delta=line.charge.delta,
            spent_micro=account.committed_micro + line.charge.epsilon_micro,
            cap_micro=account.cap_micro,
        )

    def _write(self, release: Release, exact_tallies: Tallies) -> None:
        signed = SignedDocument(
            document=release.model_dump(mode="json"),
            signatures={"aggregate": self._identity.sign("release", release.encode())},
        )
        finished = Finished(
            cycle=release.cycle,
            hash=release.hash().hex(),
            previous=release.previous,
            document=signed.model_dump_json(),
            receipts={name: tally.outcomes for name, tally in exact_tallies.items()},
            digits=digits_of(release.frame),
        )
        try:
            self._store.publish(finished)
        except AlreadyRecorded:
            raise Problem("conflict", "The cycle moved on while its release was made.") from None


class Progress:
    """Says how many sheets were opened so far."""

    def __init__(self, total: int, envelope_bytes: int, say: Say) -> None:
        self._total, self._envelope_bytes, self._say = total, envelope_bytes, say
        self._opened = 0
        self(0)

    def __call__(self, counted_bytes: int) -> None:
        """Add what was counted, and say it."""
        self._opened += counted_bytes // self._envelope_bytes
        self._say(f"Opening sheets: {self._opened:,} of {self._total:,}")


def totals(exact_tally: Tally, frame: Frame, sheet: str) -> SheetTotals:
    """Return one sheet's exact totals as they are published."""
    return SheetTotals(
        issued=frame.sheets[sheet].issued,
        received=exact_tally.received,
        counted=exact_tally.counted,
        withdrawn=exact_tally.withdrawn,
        rejected=exact_tally.rejected,
        receipts_root=root(exact_tally.outcomes, digits_of(frame)).hex(),
    )


def digits_of(frame: Frame) -> int:
    """Return how many hex digits name a bucket in the lists of a cycle whose boxes are as announced."""
    return list_digits(counts.received for counts in frame.sheets.values())
