"""Copies of tables: one state, key order, bounded memory, and the same file from either database."""

import random
import sqlite3
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from services.kit.archive import ROWS, count_rows, load_archive, open_archive, snapshot, write_archive
from services.kit.database import Database
from services.kit.migrations import newest, upgrade
from services.operation.rooms import METADATA, tables_of
from services.protocol.problems import Problem
from tests import stores
from tests.stores import LENDER, migrations

TABLES = tables_of("survey")
BOX, CYCLE, AUDIT = (METADATA["survey"].tables[name] for name in ("box", "cycle", "audit"))
MANY = 3 * ROWS + 7


def silent(_words: str) -> None:
    """Hear nothing."""


@pytest.fixture(params=stores.KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Lend databases of one kind."""
    with stores.kind(request.param):
        yield request.param


def sheets(count: int) -> list[dict[str, object]]:
    """Return rows of the box, the same ones every time."""
    made = random.Random(5)
    return [
        {
            "cycle": "c" * 8,
            "sheet": f"sheet-{number % 3}",
            "nonce": made.randbytes(32),
            "counter": made.randrange(2**32),
            "envelope_hash": made.randbytes(32),
            "envelope": made.randbytes(620),
        }
        for number in range(count)
    ]


def filled(folder: Path, rows: list[dict[str, object]], *, seed: int) -> Database:
    """Return survey's database with rows that came in an order of their own, in many transactions."""
    database = LENDER.open(folder, "survey")
    arriving = list(rows)
    random.Random(seed).shuffle(arriving)
    with database.transaction() as session:
        session.connection().execute(
            insert(CYCLE), {"id": "c" * 8, "state": "open", "draft": "{}", "mixed": False}
        )
    for start in range(0, len(arriving), 97):
        with database.transaction() as session:
            session.connection().execute(insert(BOX), arriving[start : start + 97])
    return database


def archived(database: Database, path: Path) -> dict[str, int]:
    """Write an archive of survey's database."""
    with snapshot(database, TABLES) as source:
        return write_archive(source, TABLES, path, migrations("survey"), silent)


def test_a_copy_holds_every_row_and_value(kind: str, tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(MANY), seed=1)
    counts = archived(database, tmp_path / "rows.db")
    assert counts == {**dict.fromkeys(counts, 0), "box": MANY, "cycle": 1}
    with open_archive(tmp_path / "rows.db") as copy:
        found = copy.execute(select(BOX)).mappings().all()
        assert count_rows(copy, TABLES) == counts
    key = "nonce"
    assert sorted(map(dict, found), key=lambda row: row[key]) == sorted(
        sheets(MANY), key=lambda row: row[key]
    )
    database.close()


def test_the_file_tells_nothing_of_the_order_in_which_rows_came(kind: str, tmp_path: Path) -> None:
    files = []
    for seed in (1, 2):
        database = filled(tmp_path / str(seed), sheets(MANY), seed=seed)
        archived(database, tmp_path / f"{seed}.db")
        files.append((tmp_path / f"{seed}.db").read_bytes())
        database.close()
    # Byte for byte: neither pages nor row numbers nor anything else follows the order of arrival.
    assert files[0] == files[1]


def test_both_databases_give_the_same_file(tmp_path: Path) -> None:
    files = []
    for name in stores.KINDS:
        with stores.kind(name):
            database = filled(tmp_path / name, sheets(MANY), seed=3)
            archived(database, tmp_path / f"{name}.db")
            database.close()
        files.append((tmp_path / f"{name}.db").read_bytes())
    assert files[0] == files[1]


def test_a_plain_copy_of_the_file_would_tell_the_order(tmp_path: Path) -> None:
    files = []
    for seed in (1, 2):
        database = filled(tmp_path / str(seed), sheets(MANY), seed=seed)
        database.close()
        files.append((tmp_path / str(seed) / "survey.db").read_bytes())
    assert files[0] != files[1]


def test_it_is_one_file_that_nobody_writes_to(tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(3), seed=1)
    folder = tmp_path / "backup"
    folder.mkdir()
    archived(database, folder / "rows.db")
    before = (folder / "rows.db").read_bytes()
    with open_archive(folder / "rows.db") as copy, pytest.raises(Exception, match="readonly"):
        copy.execute(insert(AUDIT), {"day": "2026-03-02", "action": "planted"})
    assert [path.name for path in folder.iterdir()] == ["rows.db"]
    assert (folder / "rows.db").stat().st_mode & 0o077 == 0
    assert (folder / "rows.db").read_bytes() == before
    database.close()


def test_a_snapshot_is_one_state_while_rows_are_written(kind: str, tmp_path: Path) -> None:
    rows = sheets(MANY + 5)
    database = filled(tmp_path / "one", rows[:MANY], seed=1)
    with snapshot(database, TABLES) as source:
        with database.transaction() as session:
            session.connection().execute(insert(BOX), rows[MANY:])
            session.connection().execute(insert(AUDIT), {"day": "2026-03-02", "action": "late"})
        counts = write_archive(source, TABLES, tmp_path / "rows.db", migrations("survey"), silent)
    assert (counts["box"], counts["audit"]) == (MANY, 0)
    database.close()


def test_a_snapshot_waits_for_a_mixing_that_has_begun(kind: str, tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(MANY), seed=1)
    begun, finish = threading.Event(), threading.Event()

    def mix() -> None:
        with database.transaction() as session:
            database.rewrite(session, BOX)
            begun.set()
            assert finish.wait(30)

    mixing = threading.Thread(target=mix)
    mixing.start()
    assert begun.wait(30)
    threading.Timer(0.3, finish.set).start()
    # On PostgreSQL mixing empties the table, which a snapshot taken before its end would see empty.
    with snapshot(database, TABLES) as source:
        assert count_rows(source, [BOX]) == {"box": MANY}
    mixing.join()
    database.close()


def test_an_older_snapshot_would_see_an_empty_box(tmp_path: Path) -> None:
    with stores.kind("postgresql"):
        database = filled(tmp_path / "one", sheets(9), seed=1)
        older = database.engine.execution_options(
            deferred=True, isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with older.begin() as source:
            assert count_rows(source, [CYCLE]) == {"cycle": 1}
            with database.transaction() as session:
                database.rewrite(session, BOX)
            assert count_rows(source, [BOX]) == {"box": 0}
        database.close()


@pytest.mark.parametrize("to", stores.KINDS)
def test_a_copy_moves_between_the_databases(kind: str, to: str, tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(MANY), seed=1)
    with database.transaction() as session:
        for number in range(3):
            session.connection().execute(insert(AUDIT), {"day": "2026-03-02", "action": f"number {number}"})
    counts = archived(database, tmp_path / "rows.db")
    database.close()
    with stores.kind(to):
        other = LENDER.open(tmp_path / "other", "survey")
        assert load_as_owner(tmp_path / "other", tmp_path / "rows.db") == counts
        with other.transaction() as session:
            session.connection().execute(insert(AUDIT), {"day": "2026-03-02", "action": "next"})
        archived(other, tmp_path / "again.db")
        with open_archive(tmp_path / "again.db") as copy:
            numbered = [(row.id, row.action) for row in copy.execute(select(AUDIT).order_by(AUDIT.c.id))]
        other.close()
    assert numbered == [(1, "number 0"), (2, "number 1"), (3, "number 2"), (4, "next")]


def load_as_owner(folder: Path, path: Path) -> dict[str, int]:
    """Load an archive with the rights of the tables' owner, as the command does."""
    database = Database(LENDER.owner_url(folder, "survey"))
    try:
        with open_archive(path) as copy, database.transaction() as session:
            return load_archive(copy, session.connection(), TABLES, silent)
    finally:
        database.close()


def test_rows_are_not_held_in_memory(tmp_path: Path) -> None:
    peaks = []
    for count in (3 * ROWS, 9 * ROWS):
        database = filled(tmp_path / str(count), sheets(count), seed=1)
        tracemalloc.start()
        archived(database, tmp_path / f"{count}.db")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        database.close()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_copy_that_cant_be_written_is_a_sentence(tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(3), seed=1)
    with pytest.raises(Problem, match="room on the disk") as problem:
        archived(database, tmp_path / "nowhere" / "rows.db")
    assert problem.value.kind == "internal"
    database.close()


def test_it_has_this_programs_version(tmp_path: Path) -> None:
    database = filled(tmp_path / "one", sheets(3), seed=1)
    archived(database, tmp_path / "rows.db")
    with sqlite3.connect(tmp_path / "rows.db") as connection:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    connection.close()
    assert version == newest(migrations("survey"))
    copy = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    assert upgrade(copy, migrations("survey")) == version
    copy.close()
    database.close()
