"""Upgrades that end in the middle: at a statement, around the commit, or whenever somebody pulls the plug.

The upgrade is the services' own (``services.kit.migrations.upgrade``), in a process that kills itself at a
given point or is killed from outside.
"""

import hashlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import BigInteger, Connection, Integer, MetaData, Table, event, insert, select, text

from services.kit.database import Database
from services.kit.migrations import newest, upgrade, version_of
from services.protocol.receipts import OUTCOMES
from services.protocol.signed import Service
from tests.postgres import Server
from tests.stores import migrations, role

FIRST = "0001"
HEAVY = Path(__file__).with_name("heavy")
ENDED_SECONDS = 120.0
HASH_BYTES, LINE_BYTES = 32, 33
Point = Literal["statement", "commit", "committed", "never"]


@dataclass(frozen=True)
class Cut:
    """Where an upgrade kills itself: before its nth statement, before its commit, or right behind it."""

    point: Point = "never"
    number: int = 0


@dataclass(frozen=True)
class Place:
    """Where databases are made: in a folder, or on a server."""

    folder: Path
    server: Server | None = None

    @property
    def store(self) -> str:
        """Which of the two."""
        return "sqlite" if self.server is None else "postgresql"

    def empty(self) -> str:
        """Return the URL of an empty database, as its owner."""
        if self.server is not None:
            return self.server.make_database()
        return f"sqlite:///{self.folder / (uuid.uuid4().hex + '.db')}"

    def copy(self, url: str) -> str:
        """Return a database with the same contents."""
        if self.server is not None:
            name, template = f"t{uuid.uuid4().hex[:12]}", url.split("@/")[1].split("?")[0]
            self.server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            return self.server.url(name)
        fresh = self.empty()
        shutil.copyfile(url.removeprefix("sqlite:///"), fresh.removeprefix("sqlite:///"))
        return fresh


@dataclass(frozen=True)
class Seen:
    """A database as it was found: its version, the rows of each table of the first version, and a digest."""

    version: str | None
    counts: Mapping[str, int]
    digest: str


@dataclass(frozen=True)
class Specimen:
    """A database of an older version, and what it is to become."""

    service: Service
    place: Place
    url: str
    migrations: Path
    rights: bool = True

    @property
    def newest(self) -> str:
        """The version it is to get."""
        return newest(self.migrations)

    def upgrade(
        self, url: str, cut: Cut, *, after_seconds: float | None = None, with_server: bool = False
    ) -> "Ended":
        """Upgrade a copy until the cut, or kill it (or the server) some time after it has begun."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.e2e.upgrading"])
        ours, theirs = context.Pipe(duplex=False)
        named = role(self.service) if self.place.server is not None and self.rights else ""
        child = context.Process(
            target=upgrade_until, args=(url, str(self.migrations), self.service, named, cut, theirs)
        )
        child.start()
        theirs.close()
        with closing(ours):
            ours.recv()
            if after_seconds is not None:
                time.sleep(after_seconds)
                self._kill(child, with_server)
            child.join(ENDED_SECONDS)
            assert child.exitcode is not None, "the upgrade does not end"
            told = ours.recv() if child.exitcode == 0 else (0, 0.0)
        return Ended(child.exitcode, *told)

    def _kill(self, child: BaseProcess, with_server: bool) -> None:
        if self.place.server is not None and with_server:
            self.place.server.kill()
            self.place.server.start()
        else:
            child.kill()

    def see(self, url: str) -> Seen:
        """Return what a database holds, in terms of the first version."""
        with closing(Database(url)) as database, database.reading() as session:
            connection, digest = session.connection(), hashlib.sha256()
            version = version_of(connection)
            counts = dict.fromkeys(first_tables(self.service), 0)
            for table, row in first_rows(connection, self.service, version):
                counts[table] += 1
                digest.update(flat(table, row))
        return Seen(version, counts, digest.hexdigest())


@dataclass(frozen=True)
class Ended:
    """How an upgrade ended; what it counted and how long it took if it came to its end."""

    exitcode: int
    statements: int = 0
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.exitcode == -signal.SIGKILL


def upgrade_until(url: str, folder: str, service: Service, named: str, cut: Cut, told: Pipe) -> None:
    """Upgrade a database in this process, and end it at the cut without any more work."""
    database, numbers = Database(url), count(1)
    seen = 0

    @event.listens_for(database.engine, "before_cursor_execute")
    def before_statement(*_given: object) -> None:
        nonlocal seen
        seen = next(numbers)
        if cut == Cut("statement", seen):
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(database.engine, "commit")
    def before_commit(_connection: object) -> None:
        if cut.point == "commit":
            os.kill(os.getpid(), signal.SIGKILL)

    told.send("begins")
    start = time.monotonic()
    grants = import_module(f"services.{service}.tables").GRANTS if named else None
    upgrade(database, Path(folder), grants=grants, role=named)
    if cut.point == "committed":
        os.kill(os.getpid(), signal.SIGKILL)
    told.send((seen, time.monotonic() - start))
    database.close()


def steps_until(service: Service, last: str, folder: Path) -> Path:
    """Return a folder with a service's migrations up to a version: all that an older program knows."""
    target = folder / f"{service}-{last}" / "migrations"
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(migrations(service).glob("0*.py")):
        if path.name[:4] <= last:
            shutil.copyfile(path, target / path.name)
    return target


def heavy_steps(folder: Path) -> Path:
    """Return the first two of survey's migrations, and the heavy one behind them."""
    target = folder / "survey-heavy" / "migrations"
    shutil.copytree(steps_until("survey", "0002", folder), target)
    for path in HEAVY.glob("*.py"):
        shutil.copyfile(path, target / path.name)
    return target


@cache
def first_tables(service: Service) -> dict[str, Table]:
    """Return the tables of a service's first version, in an order in which they can be filled."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/first.db")
        upgrade(database, steps_until(service, FIRST, Path(folder)))
        metadata = MetaData()
        metadata.reflect(database.engine)
        database.close()
    for column in (column for table in metadata.tables.values() for column in table.columns):
        # SQLite has one kind of integer; a server's driver names the kind with each value.
        if isinstance(column.type, Integer):
            column.type = BigInteger()
    return {table.name: table for table in metadata.sorted_tables if table.name != "alembic_version"}


def fill(url: str, service: Service, rows: Mapping[str, list[dict[str, Any]]], folder: Path) -> None:
    """Make a database of the first version and put rows into it."""
    with closing(Database(url)) as database:
        upgrade(database, steps_until(service, FIRST, folder))
        with database.transaction() as session:
            for name, table in first_tables(service).items():
                if rows.get(name):
                    session.connection().execute(insert(table), rows[name])


def first_rows(
    connection: Connection, service: Service, version: str | None
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the rows of all tables of the first version, in order, from whichever version is there."""
    for name, table in first_tables(service).items():
        if name == "receipt_list" and version != FIRST:
            yield from ((name, line) for line in unpacked_lines(connection))
            continue
        wanted = [column for column in table.columns if column.name != "leaf"]
        order = wanted if name == "receipt_list" else [column for column in wanted if column.primary_key]
        statement = select(*wanted).order_by(*order).compile(connection.engine)
        # The driver's own cursor: a hundred thousand rows are read again after every cut.
        cursor: Any = connection.connection.cursor()
        cursor.execute(str(statement))
        yield from ((name, tuple(row)) for row in cursor)
        cursor.close()


def unpacked_lines(connection: Connection) -> list[tuple[str, str, bytes, str]]:
    """Return the lines of all receipt lists, sorted, from buckets of packed lines."""
    found = []
    for cycle, sheet, packed in connection.execute(text("SELECT cycle, sheet, lines FROM receipt_bucket")):
        lines = bytes(packed)
        for at in range(0, len(lines), LINE_BYTES):
            outcome = OUTCOMES[lines[at + HASH_BYTES]]
            found.append((cycle, sheet, lines[at : at + HASH_BYTES], outcome))
    return sorted(found)


def flat(table: str, row: tuple[object, ...]) -> bytes:
    """Return a row as bytes that no other row has, the same from either driver."""
    parts = [table.encode()]
    for value in row:
        written = value if isinstance(value, bytes) else plain(value)
        parts += [len(written).to_bytes(4, "big"), written]
    return b"".join(parts)


def plain(value: object) -> bytes:
    """Return a value that is no bytes as text; one database has truth values, the other one numbers."""
    return repr(int(value) if isinstance(value, bool) else value).encode()
