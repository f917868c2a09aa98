"""Batches on both stores: each arrival gets its own outcome, and a commit is whole or nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Engine

from services.kit.database import Database
from services.protocol.problems import Problem
from services.survey.core.cycle import State
from services.survey.inbox import Arrival, Inbox
from services.survey.store import Store
from services.survey.tables import Cycle
from tests.stores import LENDER
from tests.unit.survey.arrivals import CLOSED, CYCLE, SHEET, OneByOne, arrival

ARRIVALS = st.builds(
    arrival,
    token=st.integers(0, 3),
    counter=st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]),
    content=st.integers(0, 1),
    cycle=st.sampled_from([CYCLE, CYCLE, CYCLE, CLOSED]),
)


@pytest.fixture(scope="module")
def database(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Survey's database with an open and a closed cycle."""
    made = LENDER.open(tmp_path_factory.mktemp(store_kind), "survey")
    store = Store(made)
    for cycle, state in ((CYCLE, State.OPEN), (CLOSED, State.CLOSED)):
        store.add_cycle(Cycle(id=cycle, state=state, draft="{}"), [])
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> Store:
    """A store with an empty box."""
    empty(database)
    return Store(database)


def empty(database: Database) -> None:
    """Take everything out of the box."""
    with database.transaction() as session:
        session.connection().execute(text("DELETE FROM box"))


def rows(database: Database) -> dict[tuple[str, str, bytes], Arrival]:
    """Return the box as it is stored."""
    with database.reading() as session:
        found = session.connection().execute(text("SELECT * FROM box"))
        stored = [
            Arrival(row[0], row[1], bytes(row[2]), row[3], bytes(row[4]), bytes(row[5])) for row in found
        ]
    return {each[:3]: each for each in stored}


@given(batches=st.lists(st.lists(ARRIVALS, min_size=1, max_size=8), max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_box_ends_up_as_if_each_had_come_alone(database: Database, batches: list[list[Arrival]]) -> None:
    empty(database)
    store, alone = Store(database), OneByOne()
    for batch in batches:
        assert store.put_envelopes(batch) == [alone.put(each) for each in batch]
    assert rows(database) == alone.rows


def test_a_conflict_touches_no_other_in_its_batch(store: Store, database: Database) -> None:
    first, newer = arrival(1, counter=5), arrival(2, counter=9)
    assert store.put_envelopes([first, arrival(2, counter=5)]) == ["stored", "stored"]
    batch = [arrival(3), arrival(1, counter=5, content=1), newer, arrival(1, counter=4), arrival(4)]
    assert store.put_envelopes(batch) == ["stored", "conflict", "stored", "stale", "stored"]
    assert set(rows(database).values()) == {first, newer, arrival(3), arrival(4)}


def test_one_token_twice_in_a_batch(store: Store, database: Database) -> None:
    newest = arrival(1, counter=7)
    batch = [arrival(1), arrival(1), arrival(1, content=1), newest, arrival(1, counter=3)]
    assert store.put_envelopes(batch) == ["stored", "again", "conflict", "stored", "stale"]
    assert list(rows(database).values()) == [newest]


def test_a_batch_of_many_is_stored_whole(store: Store, database: Database) -> None:
    batch = [arrival(n) for n in range(512)]
    assert store.put_envelopes(batch) == ["stored"] * 512
    assert store.put_envelopes(batch) == ["again"] * 512
    assert rows(database) == {each[:3]: each for each in batch}


@contextmanager
def noted(engine: Engine, beginning: str) -> Iterator[list[tuple[str, Any]]]:
    """Note the statements that begin so, with their values."""
    found = list[tuple[str, Any]]()

    def note(_c: object, _cursor: object, statement: str, values: Any, _x: object, _m: object) -> None:
        if statement.startswith(beginning):
            found.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_batch_is_written_in_the_order_of_its_keys(store: Store, database: Database) -> None:
    with noted(database.engine, "INSERT INTO box") as written:
        store.put_envelopes([arrival(n) for n in range(20)])
    ((_, values),) = written
    nonces = [row[2] for row in values] if database.is_sqlite else values[2]
    assert len(nonces) == 20
    assert nonces == sorted(nonces)


def test_tokens_are_looked_up_by_key_however_empty_the_box_is(store: Store, database: Database) -> None:
    """Reading the whole box for each batch would slow down with the box, on either database."""
    with noted(database.engine, "SELECT id") as read:
        store.put_envelopes([arrival(n) for n in range(40)])
    ((statement, values),) = read
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.reading() as session:
        lines = session.connection().exec_driver_sql(f"{explain} {statement}", values).all()
    plan = "\n".join(str(line) for line in lines)
    assert ("SEARCH box USING PRIMARY KEY" if database.is_sqlite else "using box_pkey on box") in plan
    assert "SCAN box" not in plan
    assert "Seq Scan on box" not in plan


def fail_once(engine: Engine) -> None:
    """Have the next commit fail after all its statements were sent."""
    done = count()

    def fail(_connection: Connection) -> None:
        if next(done) == 0:
            raise OSError("no space left on the device")

    event.listen(engine, "commit", fail)


def test_a_commit_that_fails_stores_nothing_and_can_be_repeated(store: Store, database: Database) -> None:
    async def journey() -> None:
        inbox = Inbox(store.put_envelopes, capacity=100)
        writer = asyncio.create_task(inbox.run())
        sent = [arrival(n) for n in range(5)]
        fail_once(database.engine)
        refused = await asyncio.gather(*(inbox.put(each) for each in sent), return_exceptions=True)
        assert [each.kind for each in refused if isinstance(each, Problem)] == ["busy"] * 5
        assert rows(database) == {}
        assert await asyncio.gather(*(inbox.put(each) for each in sent)) == ["stored"] * 5
        inbox.stop()
        await writer
        assert inbox.unmixed == {(CYCLE, SHEET): 5}

    asyncio.run(journey())
    assert len(rows(database)) == 5
