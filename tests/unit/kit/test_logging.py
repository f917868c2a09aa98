"""Logging: one JSON object a line, and no library that would log a request."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.kit.clock import system_clock
from services.kit.http import configure_logging, log_fault


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging as it was."""
    names = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "sqlalchemy")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    structlog.reset_defaults()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_fault_is_one_line_of_json_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    try:
        raise ValueError("CANARY")
    except ValueError as error:
        log_fault("unforeseen error", error)
    written = capsys.readouterr().out
    line = json.loads(written)
    assert written.count("\n") == 1
    assert (line["event"], line["error"], line["level"]) == ("unforeseen error", "ValueError", "error")
    assert line["timestamp"].endswith("Z")
    assert "CANARY" not in written


def test_libraries_do_not_log_requests() -> None:
    configure_logging()
    for name in ("uvicorn.error", "httpx", "httpcore"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_the_system_clock_knows_its_zone() -> None:
    assert system_clock().utcoffset() is not None
