"""Handing releases on to report until it acknowledges them, and asking report for the chain it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock
from typing import Protocol

import httpx
import structlog
from pydantic import ValidationError

from services.kit.http import call, log_fault
from services.protocol.messages import ChainReply
from services.protocol.problems import Problem

IDLE_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0

log = structlog.get_logger("fairpatch")


class Delivery(Protocol):
    """A signed release that report has not acknowledged."""

    @property
    def company(self) -> str:
        """Whose chain it belongs to."""

    @property
    def release(self) -> str:
        """Its hash."""

    @property
    def document(self) -> str:
        """The signed JSON."""


class Deliveries(Protocol):
    """What the outbox needs of the store."""

    def undelivered(self) -> Sequence[Delivery]:
        """Return the releases not acknowledged yet, in the order of their chains."""

    def mark_delivered(self, release: str) -> None:
        """Record that report acknowledged a release."""


class Outbox:
    """Releases on their way to report."""

    def __init__(self, store: Deliveries, client: httpx.Client) -> None:
        self._store, self._client, self._lock = store, client, Lock()

    def push(self) -> bool:
        """Deliver what waits, each chain in its order; return whether nothing waits any more."""
        stuck: set[str] = set()
        with self._lock:
            for waiting in self._store.undelivered():
                if waiting.company not in stuck and not self._deliver(waiting):
                    stuck.add(waiting.company)
        return not stuck

    async def keep_pushing(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Deliver for as long as the service runs, with growing pauses while report doesn't take it."""
        failures = 0
        while True:
            try:
                delivered = await asyncio.to_thread(self.push)
            except Exception as error:
                log_fault("outbox", error)
                delivered = False
            failures = 0 if delivered else failures + 1
            await pause(min(2.0**failures, LONGEST_PAUSE_SECONDS) if failures else IDLE_PAUSE_SECONDS)

    def _deliver(self, waiting: Delivery) -> bool:
        try:
            call(self._client, "POST", "/internal/releases", json=waiting.document.encode("utf-8"))
        except Problem as problem:
            log.warning("release not delivered yet", reason=problem.kind)
            return False
        self._store.mark_delivered(waiting.release)
        return True

    def chain(self, company: str) -> ChainReply:
        """Return the newest release report holds for a company."""
        target = str(httpx.URL("/internal/chain", params={"company": company}))
        try:
            return ChainReply.model_validate_json(call(self._client, "GET", target).content)
        except ValidationError:
            raise Problem("not-ready", "Report's answer about its chain could not be read.") from None
