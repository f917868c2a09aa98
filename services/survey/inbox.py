"""The one writer of the box: what waits is committed together, and acknowledged after the commit."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.protocol.problems import Problem

T = TypeVar("T")
BATCH = 512


@dataclass(frozen=True)
class Arrival:
    """A checked envelope on its way into the box."""

    cycle: str
    sheet: str
    nonce: bytes
    counter: int
    envelope_hash: bytes
    envelope: bytes


Commit = Callable[[list[Arrival]], list[str]]
"""Stores a batch in one transaction; per arrival: stored, again, stale, conflict or closed."""


class Inbox:
    """Group commit without a timer: while one batch is being written, the next one gathers."""

    def __init__(self, commit: Commit, *, capacity: int) -> None:
        self._commit, self._capacity = commit, capacity
        self._waiting: list[tuple[Arrival, asyncio.Future[str]]] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._stopping = False
        self.unmixed: Counter[tuple[str, str]] = Counter()
        """Envelopes stored since the last mixing, by cycle and sheet."""

    @property
    def waiting(self) -> int:
        """How many envelopes wait to be written."""
        return len(self._waiting)

    async def put(self, arrival: Arrival) -> str:
        """Return what became of an envelope, once that is durable.

        Raises
        ------
        Problem
            ``busy`` when the queue is full or the service stops: nothing was stored, send it again.
        """
        if self._stopping or len(self._waiting) >= self._capacity:
            raise Problem("busy")
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        self._wake.set()
        return await done

    async def exclusively(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread while nothing is written to the box."""
        async with self._writing:
            return await asyncio.to_thread(work)

    async def run(self) -> None:
        """Write until ``stop``; then write what still waits and return."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                async with self._writing:
                    batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                    await self._write(batch)
            if self._stopping:
                return

    def stop(self) -> None:
        """Take nothing more; ``run`` returns when all that waits is written."""
        self._stopping = True
        self._wake.set()

    async def _write(self, batch: list[tuple[Arrival, asyncio.Future[str]]]) -> None:
        try:
            outcomes = await asyncio.to_thread(self._commit, [arrival for arrival, _ in batch])
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
