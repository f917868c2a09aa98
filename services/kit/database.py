"""Database plumbing: SQLite or PostgreSQL, one transaction per call, one writer at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import Connection, Engine, ExceptionContext, MetaData, Table, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session, create_engine

from services.kit.postgres import Postgres
from services.kit.sqlite import Sqlite
from services.protocol.problems import Problem

GIVE_BACK_SECONDS = 2.0
AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver says when a database is away, full, or held by another writer for too long."""


class Backend(Protocol):
    """What differs between the two databases."""

    name: str

    def arguments(self) -> dict[str, object]:
        """Return what ``create_engine`` needs."""

    def prepare(self, engine: Engine) -> None:
        """Make every connection safe, and every writing transaction the only one."""

    def reading(self, engine: Engine) -> Engine:
        """Return the engine for transactions that only read."""

    def rewrite(self, connection: Connection, table: Table) -> None:
        """Write a table's rows anew in the order of its key."""

    def compact(self, engine: Engine) -> None:
        """Leave no older page and no older log behind."""

    def complaints(self, connection: Connection, *, mixing: bool) -> list[str]:
        """Name the settings that would break a promise."""


class Database:
    """One service's database."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        self._backend: Backend
        self._backend = Sqlite(address) if address.get_backend_name() == "sqlite" else Postgres()
        # Parameters stay out of error texts: they could be a code hash or a token.
        self.engine = create_engine(url, hide_parameters=True, **self._backend.arguments())
        event.listen(self.engine, "handle_error", _shorten)
        self._backend.prepare(self.engine)
        self._readers = self._backend.reading(self.engine)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database, a file that belongs to the service alone."""
        return self._backend.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session whose work is committed at the end, or not at all.

        No other writer runs beside it, so a check and the write behind it see one state.
        Raises Problem (``busy``) if the database is away or another writer holds it too long. If it went
        away during the commit nobody knows whether that was done, so every verb may be repeated.
        """
        with _translated(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Yield the connection of a writing transaction that may change tables. Raises Problem (``busy``)."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that only reads and waits for no writer. Raises Problem (``busy``)."""
        with _translated(), Session(self._readers, expire_on_commit=False) as session, session.begin():
            yield session

    def create(self, metadata: MetaData) -> None:
        """Create the tables of one service's registry where they are missing (tests; see migrations)."""
        metadata.create_all(self.engine)

    def rewrite(self, session: Session, table: Table) -> None:
        """Write a table's rows anew in key order, so that nothing stored tells when each one came."""
        self._backend.rewrite(session.connection(), table)

    def compact(self) -> None:
        """Leave no older page and no older log behind.

        Raises Problem (``busy``) if a reader kept older pages; repeat it.
        """
        with _translated():
            self._backend.compact(self.engine)

    def complaints(self, *, mixing: bool = False) -> list[str]:
        """Name settings of the server that would break durability, or what ``mixing`` relies on."""
        with _translated(), self._readers.connect() as connection:
            return self._backend.complaints(connection, mixing=mixing)

    def close(self) -> None:
        """Close every connection; a thread that still uses one gets a moment to give it back."""
        out = getattr(self.engine.pool, "checkedout", lambda: 0)
        until = time.monotonic() + GIVE_BACK_SECONDS
        while out() and time.monotonic() < until:
            time.sleep(0.01)
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's faults into problems whose words say nothing of what was sent."""
    try:
        yield
    except AWAY:
        raise Problem("busy") from None
    except DataError as error:
        # Without a state the driver itself refused: PostgreSQL's text can't hold a zero byte.
        if getattr(error.orig, "sqlstate", None) is None:
            raise Problem("malformed") from None
        raise


def _shorten(context: ExceptionContext) -> None:
    """Cut what follows the first line of the driver's words: it repeats keys and whole rows."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (_first_line(context, str(error.args[0])), *error.args[1:])


def _first_line(context: ExceptionContext, words: str) -> str:
    state = getattr(context.original_exception, "sqlstate", None) or ""
    # A data exception (class 22) repeats the value in its first line already.
    return f"data exception {state}" if state.startswith("22") else words.split("\n", 1)[0]
