"""Logging: one JSON object a line, whoever logs; no request, no address, no words of an error."""

import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.kit.clock import system_clock
from services.kit.logs import (
    FAULTS,
    WITHHELD,
    configure_logging,
    forget_faults,
    log_fault,
    on_loop_fault,
)

CANARY = "CANARY-19d7"
LIBRARIES = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "sqlalchemy", "alembic", "psycopg")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Configure logging, and leave everything as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, sys.unraisablehook, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    with warnings.catch_warnings():
        configure_logging()
        forget_faults()
        yield
    root.handlers[:], root.level, sys.excepthook, sys.unraisablehook, threading.excepthook = before
    structlog.reset_defaults()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def line_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one line that was logged."""
    written = capsys.readouterr()
    assert (written.out.count("\n"), written.err) == (1, "")
    assert CANARY not in written.out
    line: dict[str, Any] = json.loads(written.out)
    assert line["timestamp"].endswith("Z")
    return line


def fault() -> ValueError:
    """Return an error with words, raised and caught."""
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        return error


def test_a_fault_is_one_line_of_json_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    log_fault("unforeseen error", fault())
    line = line_of(capsys)
    assert (line["event"], line["error"], line["level"]) == ("unforeseen error", "ValueError", "error")
    assert line["places"][-1].startswith("test_logging.py:")


def test_a_fault_that_repeats_is_written_and_counted_by_the_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = FAULTS.count
    for _ in range(50):
        log_fault("again", fault())
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["again", "Invalid HTTP request received."]
    assert FAULTS.count - before <= 1
    log_fault("another", fault())
    assert line_of(capsys)["event"] == "another"


@pytest.mark.parametrize("name", ["uvicorn.error", "httpx", "httpcore", "sqlalchemy", "alembic", "psycopg"])
def test_libraries_do_not_log_requests_or_statements(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger(name).info("GET /%s", CANARY)
    assert capsys.readouterr().out == ""


def test_what_a_library_puts_into_its_sentence_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("psycopg").warning("error ignored in rollback on %s: %s", CANARY, fault())
    line = line_of(capsys)
    assert line["event"] == "error ignored in rollback on %s: %s"
    assert (line["logger"], line["level"]) == ("psycopg", "warning")
    assert line["place"].startswith("test_logging.py:")


@pytest.mark.parametrize("words", [f"peer {CANARY}", fault(), [CANARY], f"Invalid HTTP request. {CANARY}"])
def test_a_sentence_that_may_hold_something_is_withheld(
    words: object, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("some.library").error(words)
    assert line_of(capsys)["event"] == WITHHELD


@pytest.mark.parametrize("words", ["Invalid HTTP request received.", "Exception in ASGI application\n"])
def test_a_fixed_sentence_is_written(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("uvicorn.error").warning(words)
    assert line_of(capsys)["event"] == words.strip()


def test_a_library_s_error_is_named_by_class_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=fault())
    line = line_of(capsys)
    assert line["error"] == "ValueError"
    assert line["places"][-1].endswith(":fault")


@pytest.mark.parametrize("level", [31, 45, 99])
def test_unusual_levels_are_logged_too(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").log(level, CANARY)
    assert line_of(capsys)["level"] in ("warning", "error", "critical")


def test_an_error_nobody_caught_in_a_thread_is_logged_without_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise RuntimeError(CANARY)

    thread = threading.Thread(target=fail, name=CANARY)
    thread.start()
    thread.join()
    assert line_of(capsys)["event"] == "unforeseen error in a thread"


def test_an_error_that_ends_the_program_is_logged_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(ValueError, fault(), None)
    assert line_of(capsys)["error"] == "ValueError"
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().out == ""


def test_an_error_in_a_destructor_is_logged_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        """Fails when it goes."""

        def __del__(self) -> None:
            raise RuntimeError(CANARY)

    Broken()
    assert line_of(capsys)["event"] == "unforeseen error while cleaning up"


def test_an_error_nobody_caught_in_the_loop_is_logged_without_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(text: str) -> None:
        raise RuntimeError(text)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_loop_fault)
        loop.call_soon(fail, CANARY)
        await asyncio.sleep(0)

    asyncio.run(work())
    assert line_of(capsys)["error"] == "RuntimeError"


def test_an_event_in_the_loop_without_an_error_is_logged_without_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_loop_fault)
        loop.call_exception_handler({"message": CANARY, "transport": CANARY})

    asyncio.run(work())
    assert line_of(capsys)["event"] == "unforeseen event in the event loop"


def test_a_warning_is_named_by_kind_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    warnings.simplefilter("always")
    warnings.warn(CANARY, UserWarning, stacklevel=1)
    line = line_of(capsys)
    assert line["kind"] == "UserWarning"
    assert line["place"].startswith("test_logging.py:")


def test_the_system_clock_knows_its_zone() -> None:
    assert system_clock().utcoffset() is not None
