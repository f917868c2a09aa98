"""The one writer of the box: what waits is committed together, and acknowledged after the commit."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from services.protocol.problems import Problem

T = TypeVar("T")
BATCH = 512
ENOUGH = 32
"""So many are written at once: their one sync is shared by enough of them."""
TURNS = 4
"""Fewer are written after so many turns of the event loop without a new one.

That is what it takes to read, begin, check and put a sheet that has reached the process.
"""


class Arrival(NamedTuple):
    """A checked envelope on its way into the box: a row of it."""

    cycle: str
    sheet: str
    nonce: bytes
    counter: int
    envelope_hash: bytes
    envelope: bytes


Batch = list[tuple[Arrival, "asyncio.Future[str]"]]
Commit = Callable[[list[Arrival]], list[str]]
"""Stores a batch in one transaction; per arrival: stored, again, stale, conflict or closed."""


class Inbox:
    """Group commit without a timer: while one batch is being written, the next one gathers."""

    def __init__(
        self, commit: Commit, *, capacity: int, on_full: Callable[[], object] = lambda: None
    ) -> None:
        self._commit, self._on_full = commit, on_full
        self.capacity = capacity
        self._waiting: Batch = []
        self._wake = asyncio.Event()
        # One thread of its own: writing neither waits for other work nor runs beside it.
        self._thread = ThreadPoolExecutor(1, "inbox")
        self._writing = self._stopping = False
        self.unmixed: Counter[tuple[str, str]] = Counter()
        """Envelopes stored since the last mixing, by cycle and sheet."""

    @property
    def waiting(self) -> int:
        """How many envelopes wait to be written."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the queue takes no more."""
        return len(self._waiting) >= self.capacity

    async def put(self, arrival: Arrival) -> str:
        """Return what became of an envelope, once that is durable.

        Who stops waiting doesn't take it back: it is stored, and sending it again says so.

        Raises
        ------
        Problem
            ``busy`` when the queue is full or the service stops: nothing was stored, send it again.
        """
        if self.full:
            self._on_full()
        if self._stopping or self.full:
            raise Problem("busy")
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        if not self._writing:
            self._wake.set()
            if len(self._waiting) >= ENOUGH:
                # Now, not in a later turn: what else came in this one is checked while these are written.
                self._write()
        return await done

    async def exclusively(self, work: Callable[[], T]) -> T:
        """Run ``work`` while nothing is written to the box; once begun, it ends even if the caller leaves."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def run(self) -> None:
        """Write until ``stop``; then write what still waits and return."""
        while not self._stopping or self._waiting or self._writing:
            await self._wake.wait()
            self._wake.clear()
            await self._gather()
            self._write()

    def stop(self) -> None:
        """Take nothing more; ``run`` returns when all that waits is written."""
        self._stopping = True
        self._wake.set()

    async def _gather(self) -> None:
        """Let the loop take in what has reached the process by now; wait for nothing that has not."""
        quiet = 0
        while quiet < TURNS and len(self._waiting) < ENOUGH:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = 0 if len(self._waiting) > before else quiet + 1

    def _write(self) -> None:
        """Hand what waits to the writer, unless it is at work."""
        if self._writing or not self._waiting:
            return
        self._writing = True
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        arrivals = [arrival for arrival, _ in batch]
        written = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, arrivals)
        written.add_done_callback(lambda outcomes: self._answer(batch, outcomes))

    def _answer(self, batch: Batch, written: "asyncio.Future[list[str]]") -> None:
        """Tell all of a batch what became of them."""
        self._writing = False
        self._wake.set()
        try:
            outcomes = written.result()
        except Exception:
            # Not one of them was stored: the phones keep the sealed bytes and send them again.
            for _, done in batch:
                if not done.done():
                    done.set_exception(Problem("busy"))
            return
        for (arrival, done), outcome in zip(batch, outcomes, strict=True):
            if outcome == "stored":
                self.unmixed[arrival.cycle, arrival.sheet] += 1
            if not done.done():
                done.set_result(outcome)
