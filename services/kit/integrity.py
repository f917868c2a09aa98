"""Whether a database keeps its own rules: every row is read, every constraint asked again.

Says what is broken by table and rule, never by content.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Select,
    Table,
    UniqueConstraint,
    and_,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

ROWS = 1000


class Unreadable(Exception):
    """A database is damaged so far that it can't be read to its end; the sentence says where."""


def faults(connection: Connection, tables: Sequence[Table]) -> list[str]:
    """Name the rules that a database breaks, by table; nothing if it is whole. Raises Unreadable."""
    where = "The database file"
    try:
        said = list(_faults_of_file(connection)) if connection.dialect.name == "sqlite" else []
        for table in tables:
            where = table.name
            said += [] if _reads_whole(connection, table) else [f"{where}: rows are missing or twice."]
            said += [f"{where}: {rule} is broken." for rule in _broken_rules(connection, table)]
    except DBAPIError:
        raise Unreadable(f"{where} can't be read to its end.") from None
    return said


def _faults_of_file(connection: Connection) -> Iterator[str]:
    found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    if found != ["ok"]:
        yield f"SQLite's own check finds faults in the file: {len(found)}."


def _reads_whole(connection: Connection, table: Table) -> bool:
    """Read every row with all it holds, and return whether they are as many as there should be."""
    rows = connection.execute(select(table), execution_options={"yield_per": ROWS})
    seen = sum(len(part) for part in rows.partitions())
    return seen == connection.execute(select(func.count()).select_from(table)).scalar_one()


def _broken_rules(connection: Connection, table: Table) -> Iterator[str]:
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, CheckConstraint):
            breaches = select(func.count()).select_from(table).where(text(f"NOT ({constraint.sqltext})"))
        elif isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
            breaches = _twice(constraint)
        elif isinstance(constraint, ForeignKeyConstraint):
            breaches = _leading_nowhere(constraint)
        else:
            continue
        if connection.execute(breaches).scalar_one():
            yield f"the rule {constraint.name or type(constraint).__name__}"


def _twice(constraint: UniqueConstraint | PrimaryKeyConstraint) -> Select[Any]:
    columns = list(constraint.columns)
    # Absent values are never the same.
    present = and_(*(column.is_not(None) for column in columns))
    groups = select(func.count()).where(present).group_by(*columns).having(func.count() > 1)
    return select(func.count()).select_from(groups.subquery())


def _leading_nowhere(constraint: ForeignKeyConstraint) -> Select[Any]:
    child, parent = constraint.parent, constraint.referred_table
    same = and_(*(each.parent == each.column for each in constraint.elements))
    joined = child.outerjoin(parent, same)
    given = and_(*(each.parent.is_not(None) for each in constraint.elements))
    missing = and_(*(each.column.is_(None) for each in constraint.elements))
    return select(func.count()).select_from(joined).where(given, missing)
