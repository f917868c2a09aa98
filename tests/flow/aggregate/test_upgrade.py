"""An older database keeps its receipt lists, line for line, when they are put into buckets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, text

from services.aggregate.app import MIGRATIONS
from services.aggregate.published import Published
from services.aggregate.store import Store
from services.kit import migrations
from services.kit.database import Database
from services.protocol.encoding import sha256
from services.protocol.receipts import Outcome, check_bucket, prefixes
from services.protocol.release import Release
from tests.flow.aggregate.factories import FLAG_SHEET, GROUP_SHEET
from tests.flow.aggregate.test_receipts import LongLists
from tests.stores import LENDER

CYCLE = "long"


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Database]:
    """Return a database with the tables of the first version."""
    path = tmp_path / "old.db"
    database = Database(f"sqlite:///{path}" if LENDER.kind == "sqlite" else LENDER.server.make_database())
    with database.engine.begin() as connection:
        command.upgrade(migrations._config(MIGRATIONS, connection), "0001")
    yield database
    database.close()


def fill(database: Database, lists: LongLists, **changes: str) -> None:
    """Write a released cycle with its receipt lists as the first version did."""
    hashed, document = lists.release(CYCLE)
    release = {"cycle": CYCLE, "hash": hashed, "document": document, **changes}
    rows = [
        {"cycle": CYCLE, "sheet": sheet, "leaf": leaf, "hash": envelope_hash, "outcome": outcome}
        for sheet, lines in lists.lines.items()
        for leaf, (envelope_hash, outcome) in enumerate(sorted(lines))
    ]
    with database.transaction() as session:
        run = session.connection().execute
        run(text(f"INSERT INTO cycle VALUES ('{CYCLE}', 'c', 'released', '{{}}', '{{}}', NULL, NULL, NULL)"))
        run(text("INSERT INTO release VALUES (:cycle, 'c', 1, :hash, 'none', :document)"), release)
        run(text("INSERT INTO receipt_list VALUES (:cycle, :sheet, :leaf, :hash, :outcome)"), rows)


def check(database: Database, lists: LongLists, digits: int) -> None:
    """See that every bucket answers as before, and leads to the root in the release."""
    migrations.upgrade(database, MIGRATIONS)
    converted, before = Published(Store(database)), Published(lists)
    totals = Release.model_validate(converted.release(CYCLE).document).sheets
    for prefix in prefixes(digits):
        answer = converted.receipts(CYCLE, prefix)
        assert answer == before.receipts(CYCLE, prefix)
        for sheet, lines in answer.sheets.items():
            check_bucket(
                [(bytes.fromhex(digest), outcome) for digest, outcome in lines],
                prefix=prefix,
                bucket_roots=[bytes.fromhex(root) for root in answer.bucket_roots[sheet]],
                root=bytes.fromhex(totals[sheet].receipts_root),
            )


def test_long_lists_are_put_into_their_buckets(old: Database) -> None:
    lists = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 4500})
    fill(old, lists)
    check(old, lists, 1)
    with old.reading() as session:
        rows = session.connection().execute(text("SELECT count(*) FROM receipt_bucket")).scalar_one()
    assert rows == 2 * 16
    assert "receipt_list" not in inspect(old.engine).get_table_names()


def test_an_empty_list_decides_that_all_are_whole(old: Database) -> None:
    lists = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 0})
    fill(old, lists)
    check(old, lists, 0)


def test_one_hash_may_stand_twice(old: Database) -> None:
    lists = LongLists({GROUP_SHEET: 3, FLAG_SHEET: 1})
    both: list[Outcome] = ["withdrawn", "rejected"]
    lists.lines[GROUP_SHEET] += [(sha256(b"twice"), outcome) for outcome in both]
    fill(old, lists)
    check(old, lists, 0)


def test_a_failure_leaves_the_older_version_whole(old: Database) -> None:
    fill(old, LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 4500}), document="no JSON")
    with pytest.raises(ValueError):
        migrations.upgrade(old, MIGRATIONS)
    with old.reading() as session:
        connection = session.connection()
        assert migrations.version_of(connection) == "0001"
        assert connection.execute(text("SELECT count(*) FROM receipt_list")).scalar_one() == 9500
    assert "receipt_bucket" not in inspect(old.engine).get_table_names()
