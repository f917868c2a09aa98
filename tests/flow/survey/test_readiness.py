"""Survey's readiness: what stops it is named while it lasts, on both databases, also when they hang."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.kit.readiness import LIMIT_SECONDS, SILENT, SLOW
from services.survey.health import FULL, KEYS, LATE
from tests.flow.survey.ring import Ring
from tests.stores import LENDER


def reasons(ring: Ring) -> list[str]:
    """Return what survey says it waits for; its metrics say the same."""
    answer = ring.client.get("/readyz")
    found: list[str] = answer.json()["reasons"]
    assert answer.status_code == (503 if found else 200)
    metrics = ring.client.get("/metrics").text
    assert f"fairpatch_ready {float(not found)}" in metrics
    assert f"fairpatch_unready_reasons {float(len(found))}" in metrics
    return found


def test_survey_is_ready(ring: Ring) -> None:
    assert reasons(ring) == []


def test_a_lost_issuer_key_of_an_open_cycle_is_named_until_it_is_back(ring: Ring) -> None:
    cycle, _ = ring.opened()
    assert reasons(ring) == []
    path = next((ring.folder / "issuer-keys" / cycle).iterdir())
    key = path.read_bytes()
    path.write_bytes(key[:100])
    assert reasons(ring) == [KEYS.format(1)]
    path.unlink()
    assert reasons(ring) == [KEYS.format(1)]
    path.write_bytes(key)
    assert reasons(ring) == []


def test_a_full_inbox_is_named(ring: Ring) -> None:
    app: Any = ring.client.app
    inbox = app.state.phones._inbox
    capacity, inbox.capacity = inbox.capacity, 0
    try:
        assert reasons(ring) == [FULL]
    finally:
        inbox.capacity = capacity
    assert reasons(ring) == []


def test_mixing_that_is_three_periods_late_is_named(ring: Ring) -> None:
    before = ring.now[0]
    ring.now[0] = before + timedelta(hours=3)
    try:
        assert reasons(ring) == [LATE]
        assert "fairpatch_mixing_age_seconds 10800.0" in ring.client.get("/metrics").text
    finally:
        ring.now[0] = before
    assert reasons(ring) == []


@contextmanager
def hanging_server() -> Iterator[None]:
    """Freeze PostgreSQL with all its processes."""
    child = LENDER.server.child
    assert child is not None
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    everybody = [child.pid, *(int(pid) for pid in listed)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)


def test_a_database_that_hangs_is_the_reason_and_is_not_waited_for(ring: Ring, store_kind: str) -> None:
    if store_kind == "sqlite":
        pytest.skip("a file doesn't hang")
    assert LIMIT_SECONDS < 2.0
    with hanging_server():
        assert reasons(ring) == [SLOW]
        assert reasons(ring) == [SLOW]
        assert ring.client.get("/healthz").status_code == 200
    until = time.monotonic() + 60
    while SLOW in reasons(ring) and time.monotonic() < until:
        time.sleep(0.1)
    assert reasons(ring) == []


def test_a_database_that_lost_its_version_is_named(ring: Ring, store_kind: str) -> None:
    if store_kind == "postgresql":
        pytest.skip("survey's role may not change it")
    known = put_version(ring, "0099")
    (sentence,) = reasons(ring)
    assert sentence == f"The database is at version 0099, this program needs {known}."
    put_version(ring, known)
    assert reasons(ring) == []


def put_version(ring: Ring, version: str) -> str:
    """Write another version into the database; return the one that was there."""
    app: Any = ring.client.app
    with app.state.store._database.transaction() as session:
        connection = session.connection()
        before = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (version,))
    return str(before)


@pytest.mark.parametrize("sentence", [SILENT, SLOW, FULL, LATE, KEYS])
def test_reasons_are_sentences(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.endswith(".")
