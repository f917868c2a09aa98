"""Readiness: reasons in words, in time, without blocking anybody."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from services.kit.database import Database
from services.kit.migrations import newest, open_database
from services.kit.readiness import SILENT, SLOW, STOPPING, Readiness, database_reasons
from services.protocol.problems import Problem
from tests.unit.kit.doubles import run

MIGRATIONS = Path(__file__).parents[3] / "services" / "survey" / "migrations"
NEWEST = newest(MIGRATIONS)
CANARY = "CANARY-80aa"


def test_reasons_of_both_kinds_come_together() -> None:
    stopping = Event()
    readiness = Readiness(lambda: ["known"], lambda: ["found out"], stopping)
    assert run(readiness.reasons()) == ["known", "found out"]
    stopping.set()
    assert run(readiness.reasons()) == [STOPPING, "known", "found out"]


def test_nothing_is_missing() -> None:
    assert run(Readiness(list, list, Event()).reasons()) == []


@pytest.fixture
def hanging() -> Iterator[Any]:
    """Return a check that hangs, and counts how often it was begun."""
    end, begun = Event(), [0]

    def check() -> list[str]:
        begun[0] += 1
        end.wait(30.0)
        return []

    yield check, begun
    end.set()


def test_a_check_that_hangs_is_the_reason_and_holds_one_thread_only(hanging: Any) -> None:
    check, begun = hanging
    readiness = Readiness(lambda: ["known"], check, Event(), limit_seconds=0.05)

    async def ask() -> list[list[str]]:
        ticks = [0]

        async def tick() -> None:
            while True:
                ticks[0] += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        answers = [await readiness.reasons() for _ in range(3)]
        ticking.cancel()
        # The event loop went on meanwhile.
        assert ticks[0] > 3
        return answers

    assert run(ask()) == [["known", SLOW]] * 3
    assert begun == [1]
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "readiness"] == [True]


def test_a_check_that_fails_is_named_by_its_class() -> None:
    def check() -> list[str]:
        raise ZeroDivisionError(CANARY)

    with structlog.testing.capture_logs() as lines:
        reasons = run(Readiness(list, check, Event()).reasons())
    assert reasons == ["A check of this service failed (ZeroDivisionError)."]
    assert CANARY not in str(lines)


def test_a_check_is_asked_anew_each_time() -> None:
    answers = iter([["away"], []])
    readiness = Readiness(list, lambda: next(answers), Event())

    async def twice() -> list[list[str]]:
        return [await readiness.reasons(), await readiness.reasons()]

    assert run(twice()) == [["away"], []]


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """Yield survey's database."""
    opened = open_database(f"sqlite:///{folder / 'survey.db'}", MIGRATIONS)
    try:
        yield opened
    finally:
        opened.close()


def test_a_database_of_this_version_is_fine(tmp_path: Path) -> None:
    with database(tmp_path) as good:
        assert database_reasons(good, NEWEST) == []
        assert database_reasons(good, NEWEST, mixing=True, then=lambda: ["more"]) == ["more"]


def test_a_database_of_another_version_is_named(tmp_path: Path) -> None:
    with database(tmp_path) as other:
        asked = database_reasons(other, "0009", then=lambda: ["not asked"])
    assert asked == [f"The database is at version {NEWEST}, this program needs 0009."]


@pytest.mark.parametrize("error", [Problem("busy"), OperationalError(CANARY, {}, Exception(CANARY))])
def test_a_database_that_is_away_is_said_to_be_silent(tmp_path: Path, error: Exception) -> None:
    class Away:
        """A database whose server is gone."""

        def reading(self) -> None:
            """Fail."""
            raise error

    assert database_reasons(Away(), NEWEST) == [SILENT]  # type: ignore[arg-type]


def test_what_the_server_is_set_to_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with database(tmp_path) as good:
        monkeypatch.setattr(good, "complaints", lambda *, mixing: [f"set it (mixing {mixing})"])
        assert database_reasons(good, NEWEST, mixing=True) == ["set it (mixing True)"]
