"""Copies of a service's tables as one SQLite file: written afresh in key order, whatever the database.

Knows tables and rows, not what they mean. A copy holds one state of all tables and no order but that of
the keys; it moves between the two databases.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, Table, create_engine, func, select, text
from sqlalchemy.exc import OperationalError

from services.kit.database import Database
from services.kit.migrations import upgrade
from services.protocol.problems import Problem

ROWS = 1000
"""So many rows are in memory at a time."""
TELL_EVERY = 50_000
Say = Callable[[str], None]
Counts = dict[str, int]
NO_SPACE = "The copy could not be written. Is there room on the disk, and may you write there?"


@contextmanager
def snapshot(database: Database, tables: Sequence[Table]) -> Iterator[Connection]:
    """Yield a connection that sees one state of all ``tables``, whatever is written meanwhile."""
    if database.is_sqlite:
        reading = database.engine.execution_options(deferred=True)
    else:
        reading = database.engine.execution_options(
            deferred=True, isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    with reading.begin() as connection:
        if not database.is_sqlite:
            # Before the first read: to an older snapshot, a table that mixing emptied and filled looks empty.
            names = ", ".join(table.name for table in tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        # The state is that of the first read, not that of the beginning.
        count_rows(connection, tables[:1])
        yield connection


def write_archive(
    source: Connection, tables: Sequence[Table], path: Path, migrations: Path, say: Say
) -> Counts:
    """Write all rows that ``source`` sees into a new file at ``path``, and return how many there are.

    The file is whole and on disk afterwards; a crash before that leaves one that is good for nothing.
    """
    try:
        _make_tables(path, migrations)
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path), poolclass=NullPool)
        with engine.connect() as target:
            # No log and no sync while it is filled: nobody uses a file that isn't whole.
            for pragma in ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF"):
                target.exec_driver_sql(f"PRAGMA {pragma}")
            target.commit()
            counts = copy_rows(source, target, tables, say)
            target.commit()
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    except (sqlite3.OperationalError, OSError):
        raise Problem("internal", NO_SPACE) from None
    return counts


@contextmanager
def open_archive(path: Path) -> Iterator[Connection]:
    """Yield a connection that can only read the file, and leaves nothing beside it."""
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True),
        poolclass=NullPool,
        hide_parameters=True,
    )
    with engine.connect() as connection:
        yield connection


def load_archive(source: Connection, target: Connection, tables: Sequence[Table], say: Say) -> Counts:
    """Write the rows of an archive into empty tables, inside the caller's transaction."""
    counts = copy_rows(source, target, tables, say)
    if target.dialect.name == "postgresql":
        for table in tables:
            _go_on_counting(target, table)
    return counts


def copy_rows(source: Connection, target: Connection, tables: Sequence[Table], say: Say) -> Counts:
    """Copy all rows of ``tables``, which name what they refer to first, each in the order of its key."""
    counts = {}
    for table in tables:
        counts[table.name] = copied = 0
        query = select(table).order_by(*table.primary_key)
        found = source.execute(query, execution_options={"yield_per": ROWS}).mappings()
        for rows in found.partitions():
            _insert(target, table, [dict(row) for row in rows])
            counts[table.name] += len(rows)
            if counts[table.name] - copied >= TELL_EVERY:
                copied = counts[table.name]
                say(f"{table.name}: {copied:,} rows so far")
        say(f"{table.name}: {counts[table.name]:,} rows")
    return counts


def count_rows(connection: Connection, tables: Sequence[Table]) -> Counts:
    """Return how many rows each table has."""
    counted = {table.name: select(func.count()).select_from(table) for table in tables}
    return {name: connection.execute(query).scalar_one() for name, query in counted.items()}


def _make_tables(path: Path, migrations: Path) -> None:
    made = Database(f"sqlite:///{path}")
    try:
        upgrade(made, migrations)
    finally:
        made.close()


def _insert(target: Connection, table: Table, rows: list[dict[str, object]]) -> None:
    try:
        target.execute(table.insert(), rows)
    except OperationalError:
        # Not to be taken for a fault of the database that is read.
        raise Problem("internal", NO_SPACE) from None


def _go_on_counting(target: Connection, table: Table) -> None:
    """Have a numbered table go on after the highest number that was copied into it."""
    for column in table.primary_key:
        named = {"table": table.name, "column": column.name}
        sequence = target.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), named).scalar_one()
        if sequence is not None:
            highest = target.execute(select(func.max(column))).scalar_one()
            following = {"sequence": sequence, "next": (highest or 0) + 1}
            target.execute(text("SELECT setval(:sequence, :next, false)"), following)
