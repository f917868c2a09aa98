"""The database: safe pragmas, all or nothing, one writer, no traces, no values in errors."""

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import MetaData, delete, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select

from services.kit.database import Database
from services.protocol.problems import Problem

CANARY = "CANARY-51c2"
REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata


class Row(SQLModel, registry=REGISTRY):
    """Base with a registry of its own."""


class Note(Row, table=True):
    """A row to write."""

    id: int = Field(primary_key=True)
    text: str


def make(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder / 'test.db'}")
    database.create(METADATA)
    return database


def put(database: Database, number: int, text: str = "x") -> None:
    with database.transaction() as session:
        session.add(Note(id=number, text=text))


def count(database: Database) -> int:
    with database.transaction() as session:
        return len(session.exec(select(Note)).all())


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("busy_timeout", 10_000),
        ("temp_store", 2),
    ],
)
def test_every_connection_has_the_safe_pragmas(tmp_path: Path, pragma: str, value: object) -> None:
    database = make(tmp_path)
    for _ in range(2):
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value
        database.engine.dispose()
    database.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = make(tmp_path)

    def fail_half_way() -> None:
        with database.transaction() as session:
            session.add(Note(id=1, text="x"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert count(database) == 0
    put(database, 1)
    assert count(database) == 1
    database.close()


def test_rows_stay_readable_after_the_commit(tmp_path: Path) -> None:
    database = make(tmp_path)
    with database.transaction() as session:
        note = Note(id=1, text="kept")
        session.add(note)
    assert note.text == "kept"
    database.close()


def test_errors_do_not_repeat_parameters(tmp_path: Path) -> None:
    database = make(tmp_path)
    put(database, 1, CANARY)
    with pytest.raises(IntegrityError) as caught:
        put(database, 1, CANARY)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)
    database.close()


def test_the_file_and_its_log_are_for_their_owner_only(tmp_path: Path) -> None:
    database = make(tmp_path)
    put(database, 1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes) == {"test.db", "test.db-wal", "test.db-shm"}
    assert set(modes.values()) == {0o600}
    database.close()


def test_what_a_transaction_read_is_still_so_when_it_writes(tmp_path: Path) -> None:
    database = make(tmp_path)
    barrier = threading.Barrier(4)
    taken = []

    def take_the_one_place() -> None:
        barrier.wait()
        with database.transaction() as session:
            free = session.get(Note, 1) is None
            if free:
                session.add(Note(id=1, text="taken"))
        taken.append(free)

    threads = [threading.Thread(target=take_the_one_place) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, False, False, True]
    database.close()


def found(folder: Path) -> list[str]:
    """Return the files in which the canary can be read."""
    return [path.name for path in sorted(folder.iterdir()) if CANARY.encode() in path.read_bytes()]


def test_compacting_leaves_no_older_page(tmp_path: Path) -> None:
    database = make(tmp_path)
    put(database, 1, CANARY)
    assert found(tmp_path) != []
    with database.transaction() as session:
        note = session.get_one(Note, 1)
        note.text = "overwritten"
        session.add(note)
    assert found(tmp_path) == ["test.db-wal"]
    database.compact()
    assert found(tmp_path) == []
    put(database, 2)
    assert count(database) == 2
    database.close()


def test_compacting_gives_freed_pages_back(tmp_path: Path) -> None:
    database = make(tmp_path)
    with database.transaction() as session:
        session.add_all(Note(id=number, text="x" * 1000) for number in range(500))
    with database.transaction() as session:
        session.exec(delete(Note))
    database.compact()
    assert (tmp_path / "test.db").stat().st_size < 50_000
    database.close()


def test_compacting_says_so_when_a_reader_holds_the_log(tmp_path: Path) -> None:
    database = make(tmp_path)

    # Runs after the pragmas of services.kit.database; the test need not wait ten seconds.
    @event.listens_for(database.engine, "connect")
    def impatient(connection: object, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=50")  # type: ignore[attr-defined]

    database.engine.dispose()
    put(database, 1, CANARY)
    reader = database.engine.raw_connection()
    cursor = reader.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT * FROM note").fetchall()
    with pytest.raises(Problem) as caught:
        database.compact()
    assert caught.value.kind == "busy"
    cursor.execute("COMMIT")
    reader.close()
    database.compact()
    assert (tmp_path / "test.db-wal").stat().st_size == 0
    database.close()


def test_a_database_in_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", "sqlite:///:memory:"):
        Database(url).close()
    assert list(tmp_path.iterdir()) == []
