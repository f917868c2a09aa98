"""Readiness: why a service can't work, in plain words, and never later than two seconds."""

import asyncio
from collections.abc import Callable
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from services.kit.database import Database
from services.kit.logs import log_fault
from services.kit.migrations import version_of
from services.protocol.problems import Problem

LIMIT_SECONDS = 1.5
STOPPING = "The service is stopping."
SILENT = "The database does not answer."
SLOW = "The database has not answered in time."
Reasons = Callable[[], list[str]]


class Readiness:
    """Asks what is missing: first what is known in memory, then what may block.

    What blocks is asked in one thread at a time. A database that hangs holds that one thread, and neither
    the event loop nor the end of the process waits for it.
    """

    def __init__(
        self, known: Reasons, blocking: Reasons, stopping: Event, *, limit_seconds: float = LIMIT_SECONDS
    ) -> None:
        self._known, self._blocking, self._stopping = known, blocking, stopping
        self._limit_seconds = limit_seconds
        self._asking: asyncio.Future[list[str]] | None = None

    async def reasons(self) -> list[str]:
        """Return what is missing; nothing if the service is ready."""
        if self._asking is None or self._asking.done():
            self._asking = _in_thread(self._blocking)
        known = ([STOPPING] if self._stopping.is_set() else []) + self._known()
        try:
            return known + await asyncio.wait_for(asyncio.shield(self._asking), self._limit_seconds)
        except TimeoutError:
            return [*known, SLOW]


def database_reasons(
    database: Database, wanted: str, *, mixing: bool = False, then: Reasons = list
) -> list[str]:
    """Say what is wrong with a service's database: away, of another version, or set up unsafely.

    ``then`` asks it for more, once it is known to answer.
    """
    try:
        with database.reading() as session:
            found = version_of(session.connection())
        if found != wanted:
            return [f"The database is at version {found or 'none'}, this program needs {wanted}."]
        return database.complaints(mixing=mixing) + then()
    except (Problem, SQLAlchemyError):
        return [SILENT]


def _in_thread(work: Reasons) -> "asyncio.Future[list[str]]":
    """Run ``work`` in a thread that no stop waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str]) -> None:
        if not done.done():
            done.set_result(found)

    def run() -> None:
        try:
            found = work()
        except Exception as error:
            log_fault("readiness could not be found out", error)
            found = [f"A check of this service failed ({type(error).__name__})."]
        try:
            loop.call_soon_threadsafe(settle, found)
        except RuntimeError:
            # The loop ended meanwhile; nobody waits for an answer.
            return

    Thread(target=run, name="readiness", daemon=True).start()
    return done
