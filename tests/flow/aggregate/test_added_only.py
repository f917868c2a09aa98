"""Ledger, releases, receipts and audit are only ever added to, whoever tries to change them."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from services.aggregate.store import Noted
from services.aggregate.tables import GRANTS, METADATA
from tests.flow.aggregate.world import World

ADDED_ONLY = ("ledger_line", "release", "audit")


def test_the_audit_says_who_did_what_in_order(world: World) -> None:
    store = world.parts().store
    assert store.audit() == []
    store.note("void", "spring-2026", "The key is lost.", "2026-03-02")
    store.note("backup", None, None, "2026-03-03")
    assert store.audit() == [
        Noted("2026-03-02", "void", "spring-2026", "The key is lost."),
        Noted("2026-03-03", "backup", None, None),
    ]


@pytest.mark.parametrize("table", ADDED_ONLY)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET cycle = cycle"])
def test_the_database_refuses_to_change_or_remove_a_row(world: World, table: str, statement: str) -> None:
    flow = world.flow()
    flow.release(world.closed(flow).cycle)
    store = world.parts().store
    store.note("backup", None, None, "2026-03-03")
    with pytest.raises((IntegrityError, ProgrammingError)), store._database.transaction() as session:
        session.connection().execute(text(statement.format(table)))
    with store._database.reading() as session:
        assert session.connection().execute(text(f"SELECT count(*) FROM {table}")).scalar_one() >= 1


def test_every_table_is_granted_and_those_that_stay_are_not_changed() -> None:
    assert set(GRANTS) == set(METADATA.tables)
    for table in (*ADDED_ONLY, "receipt_bucket"):
        assert GRANTS[table] == ("SELECT", "INSERT")
    assert all(set(rights) <= {"SELECT", "INSERT", "UPDATE"} for rights in GRANTS.values())
