"""The two databases that every store test runs on: a SQLite file, or a database on a real PostgreSQL.

On PostgreSQL a service connects as its own role with exactly the rights that ``fairpatch upgrade`` gives it,
so a missing right, or a need for more, shows in any test.
"""

import importlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from services.kit.database import Database
from services.kit.migrations import upgrade
from services.protocol.signed import Service
from tests.postgres import Server, running_server

KINDS = ("sqlite", "postgresql")
ROOT = Path(__file__).parents[1]
MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 1 << 30


def migrations(service: str) -> Path:
    """Return the folder of a service's migrations."""
    return ROOT / "services" / service / "migrations"


@dataclass
class Lender:
    """Hands out empty, current databases of one kind; a server is started when it is first needed."""

    kind: str = "sqlite"
    _stack: ExitStack = field(default_factory=ExitStack)
    _server: Server | None = None
    _free: dict[str, list[str]] = field(default_factory=dict)
    _lent: dict[tuple[Path, str], str] = field(default_factory=dict)
    _opened: list[tuple[Path, Database]] = field(default_factory=list)

    @property
    def server(self) -> Server:
        """The PostgreSQL server of this test process."""
        if self._server is None:
            self._server = self._stack.enter_context(running_server(data_in=memory()))
        return self._server

    def url(self, folder: Path, service: Service) -> str:
        """Return a service's database URL, as its role; the same one for the same folder."""
        if self.kind == "sqlite":
            folder.mkdir(parents=True, exist_ok=True)
            return f"sqlite:///{folder.resolve() / (service + '.db')}"
        key = (folder.resolve(), service)
        if key not in self._lent:
            waiting = self._free.setdefault(service, [])
            self._lent[key] = waiting.pop() if waiting else self._make(service)
        return self.server.url(self._lent[key], role(service))

    def owner_url(self, folder: Path, service: Service) -> str:
        """Return the same database's URL with all rights."""
        url = self.url(folder, service)
        return url if self.kind == "sqlite" else self.server.url(self._lent[folder.resolve(), service])

    def open(self, folder: Path, service: Service) -> Database:
        """Return a service's database with its tables; it is closed when it is taken back."""
        database = Database(self.url(folder, service))
        self._opened.append((folder.resolve(), database))
        if database.is_sqlite:
            upgrade(database, migrations(service))
        return database

    def query(
        self, folder: Path, service: Service, statement: str, **values: object
    ) -> list[tuple[object, ...]]:
        """Return what a statement finds, as an operator with all rights would see it."""
        database = Database(self.owner_url(folder, service))
        try:
            with database.reading() as session:
                return [tuple(row) for row in session.connection().execute(text(statement), values)]
        finally:
            database.close()

    def take_back(self, folder: Path | None = None) -> None:
        """Close and empty the databases that were lent below ``folder`` (or all), for the next test."""
        for opened in [each for each in self._opened if _is_below(each[0], folder)]:
            self._opened.remove(opened)
            opened[1].close()
        for key in [key for key in self._lent if _is_below(key[0], folder)]:
            name = self._lent.pop(key)
            self._empty(name, key[1])
            self._free[key[1]].append(name)

    def stop(self) -> None:
        """Stop the server, if one was started."""
        self._stack.close()

    def _make(self, service: Service) -> str:
        server = self.server
        owner_url = server.make_database()
        prepare(server, owner_url, service)
        return owner_url.split("@/")[1].split("?")[0]

    def _empty(self, name: str, service: str) -> None:
        tables = importlib.import_module(f"services.{service}.tables").METADATA.tables
        with self.server.connect(self.server.url(name)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY".encode())


def memory() -> Path | None:
    """Return a folder in memory for a server's files, if there is room: tests need not wait for a disk."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
        return MEMORY
    return None


def _is_below(folder: Path, other: Path | None) -> bool:
    return other is None or folder.is_relative_to(other.resolve())


def role(service: str) -> str:
    """Return the role a service connects as."""
    return f"fairpatch_{service}"


def prepare(server: Server, owner_url: str, service: Service) -> None:
    """Give a new database what the installation gives it: a role, its tables, its rights."""
    make_role(server, owner_url, service)
    grants = importlib.import_module(f"services.{service}.tables").GRANTS
    database = Database(owner_url)
    try:
        upgrade(database, migrations(service), grants=grants, role=role(service))
    finally:
        database.close()


def make_role(server: Server, owner_url: str, service: Service) -> None:
    """Make a service's role, where it is missing, with the rights that belong to no table."""
    name = role(service)
    if not server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):
        server.execute(f"CREATE ROLE {name} LOGIN")
        if service == "survey":
            server.execute(f"GRANT pg_checkpoint TO {name}")
    if service == "survey":
        server.execute(f"GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {name}", owner_url)


LENDER = Lender()
"""The lender of this test process; tests/flow sets its kind."""


@contextmanager
def kind(name: str) -> Iterator[None]:
    """Lend databases of one kind for a while."""
    before, LENDER.kind = LENDER.kind, name
    try:
        yield
    finally:
        LENDER.take_back()
        LENDER.kind = before
