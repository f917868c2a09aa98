"""Database plumbing: engines with safe pragmas, one transaction per call, tables by registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, event
from sqlalchemy.engine import make_url
from sqlmodel import Session, create_engine

from services.protocol.problems import Problem

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "temp_store=MEMORY",
)


class Database:
    """One service's database."""

    def __init__(self, url: str) -> None:
        # Parameters stay out of error texts: they could be a code hash or a token.
        self.engine = create_engine(url, hide_parameters=True)
        address = make_url(url)
        self.is_sqlite = address.get_backend_name() == "sqlite"
        self._readers = self.engine.execution_options(deferred=True)
        if self.is_sqlite:
            _make_private(address.database)
            event.listen(self.engine, "connect", _apply_pragmas)
            event.listen(self.engine, "begin", _begin_immediate)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session whose work is committed at the end, or not at all."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that only reads: it sees one state and waits for no writer."""
        with Session(self._readers, expire_on_commit=False) as session, session.begin():
            yield session

    def create(self, metadata: MetaData) -> None:
        """Create the tables of one service's registry where they are missing."""
        metadata.create_all(self.engine)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def compact(engine: Engine) -> None:
    """Rewrite a SQLite file and cut its write-ahead log, so that no older page image is left.

    Raises
    ------
    Problem
        ``busy``, if a reader kept older pages in the log; repeat it.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
        # SQLite doesn't fail when it can't cut the log: it says so in the first column.
        blocked = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if blocked:
        raise Problem("busy")


def _make_private(database: str | None) -> None:
    # SQLite gives its log and shared memory the mode of the file itself.
    if database and database != ":memory:" and not database.startswith("file:"):
        Path(database).touch(mode=0o600)


def _apply_pragmas(connection: Any, _record: Any) -> None:
    # pysqlite must not open transactions by itself: see _begin_immediate.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A writer takes its lock at once, so that a check and the write behind it see one state.
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN" if options.get("deferred") else "BEGIN IMMEDIATE")
