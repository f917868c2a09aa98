"""Handing releases on to report until it acknowledges them, and asking report for the chain it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
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

    @property
    def cycle(self) -> str:
        """Which cycle it is of."""

    @property
    def manifest(self) -> str:
        """The signed JSON of that cycle's manifest."""


class Deliveries(Protocol):
    """What the outbox needs of the store."""

    def undelivered(self) -> Sequence[Delivery]:
        """Return the releases not acknowledged yet, in the order of their chains."""

    def mark_delivered(self, release: str) -> None:
        """Record that report acknowledged a release."""

    def send_again(self, company: str, head: str | None) -> int:
        """Have all releases behind ``head`` delivered anew."""


class Outbox:
    """Releases on their way to report."""

    def __init__(self, store: Deliveries, client: httpx.Client) -> None:
        self._store, self._client, self._lock = store, client, Lock()
        self.waiting = 0
        """How many releases waited for report when it was last tried."""

    def push(self) -> bool:
        """Deliver what waits, each chain in its order; return whether nothing waits any more."""
        stuck: set[str] = set()
        with self._lock:
            undelivered = self._store.undelivered()
            self.waiting = len(undelivered)
            for waiting in undelivered:
                if waiting.company in stuck:
                    continue
                if self._deliver(waiting):
                    self.waiting -= 1
                else:
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
            self._hand_over(waiting)
        except Problem as problem:
            log.warning("release not delivered yet", reason=problem.kind)
            if problem.kind == "conflict":
                self._look_back(waiting.company)
            return False
        self._store.mark_delivered(waiting.release)
        return True

    def _hand_over(self, waiting: Delivery) -> None:
        release = waiting.document.encode("utf-8")
        try:
            call(self._client, "POST", "/internal/releases", json=release)
        except Problem as problem:
            if problem.kind != "cycle-state":
                raise
            # A report that was restored may not know this cycle; its manifest carries both signatures.
            target = f"/internal/cycles/{waiting.cycle}/manifest"
            call(self._client, "PUT", target, json=waiting.manifest.encode("utf-8"))
            call(self._client, "POST", "/internal/releases", json=release)

    def _look_back(self, company: str) -> None:
        """Start from where report is: it may have been restored from a backup older than this chain."""
        with suppress(Problem):
            self._store.send_again(company, self.chain(company).head)

    def chain(self, company: str) -> ChainReply:
        """Return the newest release report holds for a company."""
        target = str(httpx.URL("/internal/chain", params={"company": company}))
        try:
            return ChainReply.model_validate_json(call(self._client, "GET", target).content)
        except ValidationError:
            raise Problem("not-ready", "Report's answer about its chain could not be read.") from None
