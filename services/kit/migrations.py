"""Versions of a database: brought up to this program's in one transaction, or refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from services.kit.database import Database
from services.protocol.problems import Problem

BASELINE = "0001"
VERSIONS = "alembic_version"
Grants = Mapping[str, tuple[str, ...]]


def open_database(url: str, migrations: Path) -> Database:
    """Return a service's database, ready for this program.

    The embedded one is brought up to date; a server's has to be already (``fairpatch upgrade``), because
    the service's role may not change tables. Raises Problem, with what to do.
    """
    database = Database(url)
    try:
        if database.is_sqlite:
            upgrade(database, migrations)
        else:
            require_current(database, migrations)
    except BaseException:
        database.close()
        raise
    return database


def upgrade(database: Database, migrations: Path, *, grants: Grants | None = None, role: str = "") -> str:
    """Bring a database up to this program's version, all in one transaction, and return that version.

    ``grants`` are given to ``role`` (PostgreSQL). Raises Problem if the database is of an unknown version,
    another service's, or away.
    """
    with _answering(migrations), database.changing() as connection:
        config = _config(migrations, connection)
        found = _known_version(connection, migrations)
        if found is None and _tables(connection):
            command.stamp(config, BASELINE)
        command.upgrade(config, "head")
        if role:
            _grant(connection, grants or {}, role)
        return newest(migrations)


def require_current(database: Database, migrations: Path) -> None:
    """Refuse a database that is older or newer than this program, another service's, or away."""
    with _answering(migrations), database.reading() as session:
        found, wanted = _known_version(session.connection(), migrations), newest(migrations)
    if found != wanted:
        raise Problem(
            "conflict",
            f"The database of {migrations.parent.name} is at version {found or 'none'}, this program needs "
            f"{wanted}. Run 'fairpatch upgrade {migrations.parent.name}' with the owner's role first.",
        )


def version_of(connection: Connection) -> str | None:
    """Return the version a database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def newest(migrations: Path) -> str:
    """Return the version this program needs."""
    head = ScriptDirectory.from_config(_config(migrations, None)).get_current_head()
    assert head is not None
    return head


def _config(migrations: Path, connection: Connection | None) -> Config:
    config = Config()
    # Alembic reads percent signs in a path as variables.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrating").replace("%", "%%"))
    config.set_main_option("version_locations", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _answering(migrations: Path) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        if problem.kind != "busy":
            raise
        said = f"The database of {migrations.parent.name} does not answer, or something else holds it."
        raise Problem("not-ready", said) from None


def _known_version(connection: Connection, migrations: Path) -> str | None:
    """Return the version a database is at, None if it has none yet; refuse one that isn't this service's."""
    found, service = version_of(connection), migrations.parent.name
    scripts = ScriptDirectory.from_config(_config(migrations, None))
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise Problem(
            "conflict",
            f"The database of {service} is at version {found}, which this program does not know. "
            "Use the program that wrote it, or a newer one. Nothing was changed.",
        )
    tables = _tables(connection)
    # Databases of the first version have tables and no version.
    if (found or tables) and not tables >= _tables_at(migrations, found or BASELINE):
        raise Problem(
            "conflict", f"This database holds tables that are not those of {service}. Nothing was changed."
        )
    return found


def _tables(connection: Connection) -> frozenset[str]:
    return frozenset(inspect(connection).get_table_names()) - {VERSIONS}


@cache
def _tables_at(migrations: Path, version: str) -> frozenset[str]:
    """Return the tables of a version, as its steps make them."""
    scratch = Database("sqlite://")
    try:
        with scratch.changing() as connection:
            command.upgrade(_config(migrations, connection), version)
            return _tables(connection)
    finally:
        scratch.close()


def _grant(connection: Connection, grants: Grants, role: str) -> None:
    """Give a role the rights of ``grants`` and no other, and take from everybody what nobody needs."""
    quoted = connection.dialect.identifier_preparer.quote
    name, schema = quoted(role), quoted(connection.scalar(text("SELECT current_schema()")) or "")
    base = quoted(connection.scalar(text("SELECT current_database()")) or "")
    # Mixing keeps its copy in a temporary table; it is the one thing that needs to empty tables.
    mixes = any("TRUNCATE" in rights for rights in grants.values())
    wanted = {
        f"DATABASE {base}": ("CONNECT", "TEMPORARY") if mixes else ("CONNECT",),
        f"SCHEMA {schema}": ("USAGE",),
        **{f"TABLE {quoted(table)}": rights for table, rights in {**grants, VERSIONS: ("SELECT",)}.items()},
        **{f"SEQUENCE {quoted(each)}": ("USAGE",) for each in inspect(connection).get_sequence_names()},
    }
    for thing, rights in wanted.items():
        connection.execute(text(f"REVOKE ALL ON {thing} FROM PUBLIC, {name}"))
        connection.execute(text(f"GRANT {', '.join(rights)} ON {thing} TO {name}"))
