"""``upgrade`` on PostgreSQL: the service's role gets its exact rights, and has to exist."""

from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import ProgrammingError

from services.kit.database import Database
from services.operation.rooms import GRANTS, room_of
from services.operation.upgrade import upgrade_room
from services.protocol.problems import Problem
from tests.flow.operation.test_upgrade import empty_database, installed
from tests.stores import LENDER, role

STORES = ("postgresql",)


def test_the_role_gets_what_it_needs_and_no_more(tmp_path: Path) -> None:
    database, owner = empty_database()
    upgrade_room(room_of(installed(tmp_path, database), "aggregate"), owner)
    query = (
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        f"WHERE grantee = '{role('aggregate')}'"
    )
    granted: dict[object, set[object]] = {}
    for table, right in LENDER.server.execute(query, owner):
        granted.setdefault(table, set()).add(right)
    wanted = {table: set(rights) for table, rights in GRANTS["aggregate"].items()}
    assert granted == {**wanted, "alembic_version": {"SELECT"}}
    service = Database(database)
    with pytest.raises(ProgrammingError), service.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM ledger_line")
    service.close()


def test_a_role_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    _, owner = empty_database()
    missing = owner.replace("//postgres@", "//nobody_at_all@")
    with pytest.raises(Problem, match="The role nobody_at_all doesn't exist"):
        upgrade_room(room_of(installed(tmp_path, missing), "aggregate"), owner)
    database = Database(owner)
    assert inspect(database.engine).get_table_names() == []
    database.close()
