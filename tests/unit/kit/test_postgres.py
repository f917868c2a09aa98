"""PostgreSQL behind ``Database``: writers one after the other, readers beside them, also while it mixes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, InternalError
from sqlmodel import col, select

from services.kit.database import Database
from services.kit.postgres import WRITER
from services.protocol.problems import Problem
from tests.stores import LENDER
from tests.unit.kit.notes import NOTE, PATIENCE, ROWS, Note, fill, make, numbers, put, together


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty database, as its owner."""
    made = make()
    yield made
    made.close()


# Every connection is safe


SESSION = {
    "synchronous_commit": "on",
    "transaction_isolation": "read committed",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10min",
    "TimeZone": "UTC",
}


@pytest.mark.parametrize("setting", SESSION)
def test_every_connection_has_the_safe_settings(setting: str) -> None:
    server = LENDER.server
    owner = server.make_database()
    name = owner.split("@/")[1].split("?")[0]
    # What an operator set for the role or the database must not count.
    for changed in ("synchronous_commit = off", "lock_timeout = 0", "timezone = 'Asia/Tokyo'"):
        server.execute(f"ALTER DATABASE {name} SET {changed}")
    server.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    server.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = 0")
    database = Database(owner)
    for _ in range(2):
        for opened in (database.transaction, database.reading):
            with opened() as session:
                assert session.connection().scalar(text(f"SHOW {setting}")) == SESSION[setting]
        database.engine.dispose()
    database.close()


def test_a_connection_over_the_network_notices_that_its_host_is_cut_off() -> None:
    arguments: Any = Database("postgresql+psycopg://nobody@database.invalid/survey")._backend.arguments()
    given = arguments["connect_args"]
    silent = given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"]
    assert silent <= 30
    assert given["tcp_user_timeout"] <= 30_000
    assert given["connect_timeout"] <= 5


# Writers one after the other


def test_a_check_and_its_write_see_one_state(database: Database) -> None:
    put(database, 0, "0")

    def add_one() -> None:
        for _ in range(10):
            with database.transaction() as session:
                note = session.get_one(Note, 0)
                note.text = str(int(note.text) + 1)

    assert together(*[add_one] * 4) == []
    with database.reading() as session:
        assert session.get_one(Note, 0).text == "40"


def test_of_many_who_found_a_place_free_one_takes_it(database: Database) -> None:
    taken = []

    def take() -> None:
        with database.transaction() as session:
            free = session.get(Note, 1) is None
            if free:
                session.add(Note(id=1, text="taken"))
        taken.append(free)

    assert together(*[take] * 6) == []
    assert sorted(taken) == [False] * 5 + [True]


def test_without_the_lock_updates_are_lost(database: Database) -> None:
    """The two tests above can fail: PostgreSQL's own isolation wouldn't do."""
    put(database, 0, "0")
    barrier = threading.Barrier(2)
    unlocked = database.engine.execution_options(deferred=True)

    def add_one() -> None:
        with unlocked.begin() as connection:
            found = int(connection.scalar(select(NOTE.c.text)) or "")
            barrier.wait(PATIENCE)
            connection.execute(NOTE.update().values(text=str(found + 1)))

    assert together(add_one, add_one) == []
    with database.reading() as session:
        assert session.get_one(Note, 0).text == "1"


def test_databases_of_one_server_do_not_wait_for_each_other(database: Database) -> None:
    other = make(lock_milliseconds=200)
    with database.transaction() as session:
        session.connection()
        put(other, 1)
    assert numbers(other) == [1]
    other.close()


def test_a_writer_that_waits_too_long_is_told_to_come_again() -> None:
    database = make(lock_milliseconds=100)
    with database.transaction() as session:
        session.connection()
        with pytest.raises(Problem) as caught:
            put(database, 1)
        assert caught.value.kind == "busy"
    put(database, 1)
    assert numbers(database) == [1]
    database.close()


def test_a_failed_transaction_leaves_nothing_and_no_lock(database: Database) -> None:
    def fail_half_way() -> None:
        with database.transaction() as session:
            session.add(Note(id=1, text="x"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert numbers(database) == []
    assert LENDER.server.execute(f"SELECT count(*) FROM pg_locks WHERE objid = {WRITER}") == [(0,)]


# Readers beside writers


def test_readers_wait_for_no_writer_and_do_not_see_its_work() -> None:
    database = make(lock_milliseconds=100)
    put(database, 1)
    with database.transaction() as session:
        session.add(Note(id=2, text="2"))
        session.flush()
        assert numbers(database) == [1]
    assert numbers(database) == [1, 2]
    database.close()


def test_readers_cannot_write(database: Database) -> None:
    with database.reading() as session:
        connection = session.connection()
        with pytest.raises(InternalError, match="read-only"):
            connection.execute(NOTE.insert(), {"id": 1, "text": "x"})
    put(database, 1)
    assert numbers(database) == [1]


@contextmanager
def mixing(database: Database) -> Iterator[list[BaseException]]:
    """Mix over and over in a thread while the body runs."""
    over, raised = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            while not over.is_set():
                with database.transaction() as session:
                    database.rewrite(session, NOTE)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        over.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def all_at_once(database: Database) -> int:
    return len(numbers(database))


def through_a_cursor(database: Database) -> int:
    with database.reading() as session:
        rows = session.connection().execute(select(NOTE.c.id), execution_options={"yield_per": 50})
        return sum(len(part) for part in rows.partitions())


def prepared(database: Database) -> int:
    with database.reading() as session:
        raw = session.connection().connection.driver_connection
        assert raw is not None
        return len(raw.execute("SELECT id FROM note WHERE id >= %s", (0,), prepare=True).fetchall())


def page_by_page(database: Database) -> int:
    seen, last = 0, -1
    while True:
        with database.reading() as session:
            page = list(session.exec(select(Note.id).where(Note.id > last).order_by(col(Note.id)).limit(60)))
        if not page:
            return seen
        seen, last = seen + len(page), page[-1]


def after_another_read(database: Database) -> int:
    with database.reading() as session:
        session.connection().execute(text("SELECT count(*) FROM pg_class"))
        return len(session.exec(select(Note.id)).all())


@pytest.mark.parametrize("read", [all_at_once, through_a_cursor, prepared, page_by_page, after_another_read])
def test_a_reader_never_sees_a_table_that_is_being_mixed_empty(
    database: Database, read: Callable[[Database], int]
) -> None:
    fill(database)
    with mixing(database) as raised:
        counts = {read(database) for _ in range(25)}
    assert raised == []
    assert counts == {ROWS}


def test_a_snapshot_from_before_would_see_it_empty(database: Database) -> None:
    """The test above can fail, and a copy has to lock before it looks (services.kit.archive)."""
    fill(database)
    old = database.engine.execution_options(deferred=True, isolation_level="REPEATABLE READ")
    with old.begin() as connection:
        connection.execute(text("SELECT count(*) FROM pg_class"))
        with database.transaction() as session:
            database.rewrite(session, NOTE)
        assert connection.scalar(text("SELECT count(*) FROM note")) == 0


def test_mixing_waits_for_a_reader_for_a_while_only() -> None:
    database = make(lock_milliseconds=100)
    fill(database)
    with database.reading() as session:
        session.exec(select(Note.id)).first()
        with pytest.raises(Problem) as caught, database.transaction() as writing:
            database.rewrite(writing, NOTE)
        assert caught.value.kind == "busy"
    assert numbers(database) == list(range(ROWS))
    database.close()


def test_nobody_else_writes_while_rows_are_only_in_the_copy(database: Database) -> None:
    """Not even who takes no turn as a writer, such as an operator's own statement."""
    fill(database)
    tried = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def write_beside(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("TRUNCATE"):
            url = database.engine.url.render_as_string(hide_password=False)
            with LENDER.server.connect(url) as other:
                tried.append(other.execute("SET lock_timeout = 100"))
                with pytest.raises(LockNotAvailable):
                    other.execute("INSERT INTO note VALUES (1000, 'lost')")

    with database.transaction() as session:
        database.rewrite(session, NOTE)
    assert len(tried) == 1
    assert numbers(database) == list(range(ROWS))


def test_mixing_changes_no_row_and_leaves_no_table(database: Database) -> None:
    fill(database)
    for _ in range(2):
        with database.transaction() as session:
            database.rewrite(session, NOTE)
    assert numbers(database) == list(range(ROWS))
    url = database.engine.url.render_as_string(hide_password=False)
    assert LENDER.server.execute("SELECT count(*) FROM pg_class WHERE relname = 'mixed'", url) == [(0,)]
    with pytest.raises(IntegrityError):
        put(database, ROWS, "7")
