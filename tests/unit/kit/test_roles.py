"""A service's role can do what its service does, and nothing else; tried on a real server."""

import importlib
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import MetaData

from services.kit.database import Database
from services.kit.migrations import VERSIONS, upgrade
from services.protocol.signed import Service
from tests.stores import LENDER, migrations, prepare, role

THREE: tuple[Service, ...] = ("survey", "aggregate", "report")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
ADDED_ONLY = {
    "survey": ("audit",),
    "aggregate": ("ledger_line", "release", "receipt_bucket", "audit"),
    "report": ("manifest", "release"),
}


@dataclass(frozen=True)
class Room:
    """A service's database, and the service's role in it."""

    service: Service
    owner: str

    @property
    def base(self) -> str:
        """The database's name."""
        return self.owner.split("@/")[1].split("?")[0]

    @property
    def tables(self) -> MetaData:
        """The service's tables."""
        found = importlib.import_module(f"services.{self.service}.tables").METADATA
        assert isinstance(found, MetaData)
        return found

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """What its role is meant to be able to do."""
        return {**importlib.import_module(f"services.{self.service}.tables").GRANTS, VERSIONS: ("SELECT",)}

    def ask(self, question: str) -> Any:
        """Return the one answer to a question, with all rights."""
        ((answer,),) = LENDER.server.execute(question, self.owner)
        return answer

    def try_to(self, statement: str) -> None:
        """Run a statement as the service's role."""
        LENDER.server.execute(statement, LENDER.server.url(self.base, role(self.service)))

    def upgrade(self) -> None:
        """Give the rights anew."""
        database = Database(self.owner)
        try:
            upgrade(database, migrations(self.service), grants=self.grants, role=role(self.service))
        finally:
            database.close()


@pytest.fixture(scope="module")
def rooms() -> dict[Service, Room]:
    """The databases of the three services on one server."""
    made = {service: Room(service, LENDER.server.make_database()) for service in THREE}
    for service, room in made.items():
        prepare(LENDER.server, room.owner, service)
    return made


@pytest.fixture(params=THREE)
def room(rooms: dict[Service, Room], request: pytest.FixtureRequest) -> Room:
    """One of the three."""
    return rooms[request.param]


def allowed(room: Room) -> dict[str, set[str]]:
    """Return what the role may do, by table, as the server sees it."""
    name, found = role(room.service), dict[str, set[str]]()
    for table in [*room.tables.tables, VERSIONS]:
        question = "SELECT has_table_privilege('{}', '{}', '{}')"
        found[table] = {right for right in RIGHTS if room.ask(question.format(name, table, right))}
    return found


def test_a_role_may_do_exactly_what_is_granted(room: Room) -> None:
    assert allowed(room) == {table: set(rights) for table, rights in room.grants.items()}
    assert set(room.grants) == {*room.tables.tables, VERSIONS}


def test_rights_that_somebody_gave_are_taken_back(room: Room) -> None:
    name = role(room.service)
    for gift in (
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC",
        # As every database has it that was made before version 15.
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        f"GRANT CREATE ON DATABASE {room.base} TO {name}",
    ):
        LENDER.server.execute(gift, room.owner)
    room.upgrade()
    test_a_role_may_do_exactly_what_is_granted(room)
    test_a_role_can_not_change_what_tables_there_are(room, "CREATE TABLE public.mine (n integer)")
    test_a_role_can_not_change_what_tables_there_are(room, "CREATE SCHEMA mine")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE EXTENSION plperl",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        f"ALTER TABLE {VERSIONS} ADD COLUMN mine integer",
        f"ALTER TABLE {VERSIONS} RENAME TO mine",
        f"DROP TABLE {VERSIONS}",
        f"UPDATE {VERSIONS} SET version_num = '0001'",
        f"CREATE INDEX mine ON {VERSIONS} (version_num)",
        "ALTER SYSTEM SET fsync = off",
        "SET log_statement = 'all'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT * FROM pg_authid",
    ],
)
def test_a_role_can_not_change_what_tables_there_are(room: Room, statement: str) -> None:
    with pytest.raises((InsufficientPrivilege, psycopg.errors.FeatureNotSupported)):
        room.try_to(statement)


def test_own_tables_can_not_be_changed_either(room: Room) -> None:
    for table in room.tables.tables:
        for change in (
            "DROP TABLE {}",
            "ALTER TABLE {} ADD COLUMN mine integer",
            "CREATE INDEX ON {} (ctid)",
        ):
            with pytest.raises(InsufficientPrivilege):
                room.try_to(change.format(table))


def test_what_was_added_can_not_be_changed(room: Room) -> None:
    for table in ADDED_ONLY[room.service]:
        first = next(iter(room.tables.tables[table].columns.keys()))
        for change in (f"UPDATE {table} SET {first} = {first}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(InsufficientPrivilege):
                room.try_to(change)
        room.try_to(f"SELECT {first} FROM {table}")


def test_no_other_database_of_the_server_opens(rooms: dict[Service, Room], room: Room) -> None:
    for other in rooms.values():
        url = LENDER.server.url(other.base, role(room.service))
        if other is room:
            LENDER.server.execute("SELECT 1", url)
            continue
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            LENDER.server.execute("SELECT 1", url)


def test_strangers_can_do_nothing(room: Room) -> None:
    """``PUBLIC`` is everybody who has any role on the server."""
    assert not room.ask(
        f"SELECT has_database_privilege('public', '{room.base}', 'CONNECT, TEMPORARY, CREATE')"
    )
    assert not room.ask("SELECT has_schema_privilege('public', 'public', 'USAGE, CREATE')")
    query = "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC'"
    assert room.ask(f"{query} AND table_schema = 'public'") == 0


def test_only_the_role_that_mixes_may_make_temporary_tables(room: Room) -> None:
    question = f"SELECT has_database_privilege('{role(room.service)}', '{room.base}', 'TEMPORARY')"
    assert room.ask(question) is (room.service == "survey")


def test_roles_are_nothing_special(room: Room) -> None:
    special = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert room.ask(f"SELECT {special} FROM pg_roles WHERE rolname = '{role(room.service)}'") is False
