"""A service as its operator finds it: folder, settings, database, tables and the rights of its role."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services.aggregate import tables as aggregate
from services.folder import KINDS
from services.kit.archive import snapshot
from services.kit.database import Database
from services.kit.keys import Identity, load_identity
from services.kit.migrations import Grants, require_current
from services.kit.settings import PASSWORD_IN_URL, ServiceSettings, holds_password, load_settings, read_url
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.report import tables as report
from services.survey import tables as survey

METADATA: Mapping[Service, MetaData] = {
    "survey": survey.METADATA,
    "aggregate": aggregate.METADATA,
    "report": report.METADATA,
}
GRANTS = {"survey": survey.GRANTS, "aggregate": aggregate.GRANTS, "report": report.GRANTS}
NOT_COPIED: Mapping[Service, frozenset[str]] = {
    # Who took passes: a restored survey gives out none anyway, and two backups beside each other would tell
    # who took part in between.
    "survey": frozenset(["issuance"]),
    "aggregate": frozenset(),
    "report": frozenset(),
}
DAMAGED = (
    "The database file of {} can't be used as one. Run 'fairpatch verify'; if it is damaged, restore the "
    "newest backup."
)
UNREACHABLE = (
    "The database of {} can't be reached as the role in {}, or that role may not do this. "
    "Check that the server runs, the URL, and the password file."
)


def migrations_of(service: Service) -> Path:
    """Return the folder of a service's migrations."""
    return Path(__file__).parents[1] / service / "migrations"


def tables_of(service: Service) -> tuple[Table, ...]:
    """Return a service's tables; each comes after those it refers to."""
    return tuple(METADATA[service].sorted_tables)


def copied_tables(service: Service) -> tuple[Table, ...]:
    """Return the tables of a service that a backup holds."""
    return tuple(table for table in tables_of(service) if table.name not in NOT_COPIED[service])


@dataclass(frozen=True)
class Room:
    """One service in its folder."""

    service: Service
    settings: ServiceSettings

    @property
    def folder(self) -> Path:
        """Where the service keeps its files."""
        return self.settings.folder

    @property
    def migrations(self) -> Path:
        """The folder of its migrations."""
        return migrations_of(self.service)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables; each comes after those it refers to."""
        return tables_of(self.service)

    @property
    def copied(self) -> tuple[Table, ...]:
        """The tables that a backup holds."""
        return copied_tables(self.service)

    @property
    def grants(self) -> Grants:
        """What its role may do."""
        return GRANTS[self.service]

    @property
    def role(self) -> str:
        """The role it connects as; none on SQLite."""
        return make_url(self.settings.database_url).username or ""

    @property
    def is_sqlite(self) -> bool:
        """Whether its database is a file."""
        return make_url(self.settings.database_url).get_backend_name() == "sqlite"

    @property
    def database_file(self) -> Path | None:
        """The file of a SQLite database."""
        name = make_url(self.settings.database_url).database if self.is_sqlite else None
        return None if name is None else Path(name)

    @cached_property
    def identity(self) -> Identity:
        """The key it signs with."""
        try:
            return load_identity(self.settings.identity_file)
        except (OSError, ValueError):
            raise Problem(
                "input", f"{self.settings.identity_file} can't be read as an identity key."
            ) from None

    def owner_url(self, owner: str) -> str:
        """Return the URL of its database as its owner: what is not named in ``owner`` is as in settings."""
        if self.is_sqlite:
            if owner:
                raise Problem("input", f"The database of {self.service} is a file; leave --owner out.")
            return self.settings.database_url
        given, usual = read_url(owner), make_url(self.settings.database_url)
        if holds_password(owner):
            raise Problem("input", f"--owner holds a password. {PASSWORD_IN_URL}")
        if given is None or given.get_backend_name() != "postgresql" or not given.username:
            raise Problem(
                "input",
                f"The tables of {self.service} belong to another role than the service's. Name it with "
                "--owner postgresql+psycopg://OWNER@HOST/DATABASE (password by passfile= or PGPASSFILE).",
            )
        if given.database not in (None, "", usual.database):
            raise Problem("input", f"--owner names another database than the settings of {self.service}.")
        if not given.database:
            given = given.set(database=usual.database)
        if not given.host and "host" not in given.query:
            given = given.set(host=usual.host, port=usual.port)
            where = {name: usual.query[name] for name in ("host", "port") if name in usual.query}
            given = given.update_query_dict(where)
        return given.render_as_string(hide_password=False)

    def database(self) -> AbstractContextManager[Database]:
        """Yield its database, as the service's role; a server that is away is a problem."""
        return self._opened(self.settings.database_url, "its settings")

    def as_owner(self, owner: str) -> AbstractContextManager[Database]:
        """Yield its database, as the owner of its tables."""
        return self._opened(self.owner_url(owner), "--owner")

    @contextmanager
    def _opened(self, url: str, where: str) -> Iterator[Database]:
        try:
            database = Database(url)
            try:
                yield database
            finally:
                database.close()
        except DBAPIError:
            sentence = DAMAGED if self.is_sqlite else UNREACHABLE
            raise Problem(
                "conflict" if self.is_sqlite else "not-ready", sentence.format(self.service, where)
            ) from None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of its database; that has to be of this version."""
        with self.database() as database:
            require_current(database, self.migrations)
            with snapshot(database, self.tables) as connection:
                yield connection


def room_of(folder: Path, service: Service) -> Room:
    """Return a service in the folder of an installation, whether or not it has a database yet."""
    return Room(service, load_settings(KINDS[service], folder / service))


def open_room(folder: Path, service: Service) -> Room:
    """Return a service with its database. Raises Problem if one of the two isn't there."""
    room = room_of(folder, service)
    file = room.database_file
    if file is not None and not file.exists():
        raise Problem("input", f"{file} is missing: {service} has no database yet.")
    return room
