"""A table to write to, on a PostgreSQL of the test's own."""

import threading
from collections.abc import Callable

from sqlalchemy import MetaData, event
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select

from services.kit.database import Database
from tests.stores import LENDER

PATIENCE = 30.0
ROWS = 400
REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata


class Row(SQLModel, registry=REGISTRY):
    """Base with a registry of its own."""


class Note(Row, table=True):
    """A row to write; ``text`` may stand once."""

    id: int = Field(primary_key=True)
    text: str = Field(unique=True)


NOTE = METADATA.tables["note"]


def make(url: str = "", *, lock_milliseconds: int | None = None) -> Database:
    """Return a new database with a table for notes, as its owner; its writers wait for so long."""
    database = Database(url or LENDER.server.make_database())
    if lock_milliseconds is not None:
        _hurry(database, lock_milliseconds)
    database.create(METADATA)
    return database


def put(database: Database, number: int, words: str = "") -> None:
    """Write one note."""
    with database.transaction() as session:
        session.add(Note(id=number, text=words or str(number)))


def fill(database: Database) -> None:
    """Write as many notes as a reader can miss."""
    with database.transaction() as session:
        session.add_all(Note(id=number, text=str(number)) for number in range(ROWS))


def numbers(database: Database) -> list[int]:
    """Return the numbers of all notes."""
    with database.reading() as session:
        return sorted(session.exec(select(Note.id)))


def together(*works: Callable[[], object]) -> list[BaseException]:
    """Run all works at once, each in a thread, and return what they raised."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            barrier.wait(PATIENCE)
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def _hurry(database: Database, milliseconds: int) -> None:
    @event.listens_for(database.engine, "connect")
    def set_patience(raw: object, _record: object) -> None:
        raw.execute(f"SET lock_timeout = {milliseconds}")  # type: ignore[attr-defined]
        raw.commit()  # type: ignore[attr-defined]
