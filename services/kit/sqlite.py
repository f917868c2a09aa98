"""The embedded database: a file with safe pragmas, and one writer that takes its lock at once."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, event

from services.protocol.problems import Problem

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "temp_store=MEMORY",
)


class Sqlite:
    """SQLite behind ``Database``."""

    name = "sqlite"

    def __init__(self, address: URL) -> None:
        _make_private(address.database)

    def arguments(self) -> dict[str, object]:
        """Return what ``create_engine`` needs."""
        return {}

    def prepare(self, engine: Engine) -> None:
        """Set the pragmas on every connection and begin as a writer."""
        event.listen(engine, "connect", _apply_pragmas)
        event.listen(engine, "begin", _begin)

    def reading(self, engine: Engine) -> Engine:
        """Return the engine for transactions that see one state and take no lock."""
        return engine.execution_options(deferred=True)

    def rewrite(self, connection: Connection, table: Table) -> None:
        """Do nothing yet: compacting writes every table and index anew in the order of its key."""

    def compact(self, engine: Engine) -> None:
        """Rewrite the file and cut its write-ahead log, so that no older page image is left.

        Afterwards each byte of the file follows from the rows alone, not from how they came.
        """
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
            # SQLite doesn't fail when it can't cut the log: it says so in the first column.
            blocked = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if blocked:
            raise Problem("busy")

    def complaints(self, connection: Connection, *, mixing: bool) -> list[str]:
        """Return nothing: the pragmas are set on every connection."""
        connection.exec_driver_sql("SELECT 1")
        return []


def _make_private(database: str | None) -> None:
    # SQLite gives its log and shared memory the mode of the file itself.
    if database and database != ":memory:" and not database.startswith("file:"):
        Path(database).touch(mode=0o600)


def _apply_pragmas(connection: Any, _record: Any) -> None:
    # pysqlite must not open transactions by itself: see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    # A writer takes its lock at once, so that a check and the write behind it see one state.
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN" if options.get("deferred") else "BEGIN IMMEDIATE")
