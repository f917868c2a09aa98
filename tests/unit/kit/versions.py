"""Databases of any version, what they hold, and in what they differ from the program's tables."""

import importlib
import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, MetaData, Table, inspect, select

from services.kit import migrations as kit
from services.kit.database import Database
from services.kit.migrations import VERSIONS, version_of
from services.protocol.signed import Service
from tests.stores import migrations
from tests.unit.kit.first_version import ROWS, STATEMENTS

Rows = dict[str, list[dict[str, Any]]]


def metadata(service: Service) -> MetaData:
    """Return the tables a service's program works with."""
    found = importlib.import_module(f"services.{service}.tables").METADATA
    assert isinstance(found, MetaData)
    return found


def reflected(database: Database) -> MetaData:
    """Return the tables that are there."""
    found = MetaData()
    found.reflect(database.engine)
    return found


def fill(database: Database, service: Service) -> None:
    """Put in the rows of a service's first version."""
    tables = reflected(database).tables
    with database.changing() as connection:
        for name, rows in ROWS[service].items():
            connection.execute(tables[name].insert(), [{**dict.fromkeys(rows[0]), **row} for row in rows])


def rows(database: Database) -> Rows:
    """Return all rows of all tables, apart from the version."""
    with database.reading() as session:
        return {
            table.name: [
                dict(row)
                for row in session.connection().execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in reflected(database).sorted_tables
            if table.name != VERSIONS
        }


def first_version(service: Service, folder: Path) -> Database:
    """Return a file as the first version left it, with rows and without a version."""
    path = folder / f"{service}.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(STATEMENTS[service])
    connection.close()
    database = Database(f"sqlite:///{path}")
    fill(database, service)
    return database


def stepped(database: Database, service: Service, version: str) -> None:
    """Bring a database to some version."""
    with database.changing() as connection:
        command.upgrade(kit._config(migrations(service), connection), version)


def state(database: Database) -> tuple[object, ...]:
    """Return all there is: rows, version, and what the tables are made of."""
    with database.reading() as session:
        connection = session.connection()
        version = version_of(connection)
        looked = inspect(connection)
        columns = {
            name: [str(column) for column in looked.get_columns(name)] for name in looked.get_table_names()
        }
        indexes = {name: str(looked.get_indexes(name)) for name in looked.get_table_names()}
    return version, columns, indexes, rows(database)


def differences(database: Database, service: Service) -> list[object]:
    """Return in what a database differs from the tables, as far as the tool compares, and beyond."""
    with database.reading() as session:
        connection = session.connection()
        found = list(compare_metadata(MigrationContext.configure(connection), metadata(service)))
        looked = inspect(connection)
        for name, table in metadata(service).tables.items():
            if name not in looked.get_table_names():
                continue
            wanted = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
            there = {str(check["name"]) for check in looked.get_check_constraints(name)}
            found += [(name, wanted ^ there)] if wanted != there else []
            if database.is_sqlite:
                query = "SELECT sql FROM sqlite_schema WHERE name = ?"
                has_ids = "WITHOUT ROWID" not in connection.exec_driver_sql(query, (name,)).scalar_one()
                found += [(name, "row ids")] if has_ids is not _means_ids(table) else []
    return found


def _means_ids(table: Table) -> bool:
    return table.dialect_options["sqlite"]["with_rowid"] is not False


def check_kept(before: Rows, after: Rows) -> None:
    """Check that every row is still there, with all it held."""
    for table, held in before.items():
        if table == "receipt_list":
            lines = b"".join(bucket["lines"] for bucket in after["receipt_bucket"])
            assert all(row["hash"] in lines for row in held)
        else:
            assert [{name: row[name] for name in held[0]} for row in after[table]] == held
