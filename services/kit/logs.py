"""Logs: one JSON object a line, without addresses, queries, bodies or the words of an error (decision 0006).

What a library logs goes through the same door. Its words may hold what a stranger sent, so a sentence is
written only if it is one of the fixed ones below, or before anything is put into its gaps.
A fault that repeats is written once a minute: a line for each would tell when somebody called.
"""

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from services.kit.spells import Spells

FIXED_SENTENCES = frozenset(
    [
        "Application shutdown failed. Exiting.",
        "Application startup failed. Exiting.",
        "ASGI callable returned without completing response.",
        "ASGI callable returned without starting response.",
        "Exception in ASGI application",
        "Exception in 'lifespan' protocol",
        "Invalid HTTP request received.",
        "SSL connection is closed",
        "socket.accept() out of system resource",
        "socket.send() raised exception.",
        "Unsupported upgrade request.",
    ]
)
WITHHELD = "a library's words, withheld"
PLACES = 6
# These tell of every request or statement below warnings.
_QUIET = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "sqlalchemy", "alembic", "psycopg")

REPEATED_SECONDS = 60.0
FAULTS = Spells(REPEATED_SECONDS)
"""Minutes in which this process logged a fault."""

log = structlog.get_logger("fairpatch")
_said = dict[tuple[str, ...], Spells]()


def configure_logging() -> None:
    """Log one JSON object a line to standard output, whoever logs, and nothing about requests."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [LibraryHandler()]
    root.setLevel(logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _on_end
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread
    warnings.showwarning = _on_warning


def log_fault(event: str, error: BaseException) -> None:
    """Log an error's class and where it happened, without its words."""
    FAULTS.note()
    name, places = type(error).__name__, _places(error.__traceback__)
    if _is_news(event, name, *places):
        log.error(event, error=name, places=places)


def forget_faults() -> None:
    """Take the next fault as the first of its kind (tests)."""
    _said.clear()


def on_loop_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught in an event loop; its message would repeat arguments and addresses."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        log_fault("unforeseen error in the event loop", error)
    else:
        FAULTS.note()
        log.error("unforeseen event in the event loop")


class LibraryHandler(logging.Handler):
    """Takes what libraries log to the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record without the values in it."""
        facts: dict[str, Any] = {"logger": record.name, "place": f"{record.module}.py:{record.lineno}"}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            facts |= {"error": type(error).__name__, "places": _places(error.__traceback__)}
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        if _is_news(_sentence(record), *map(str, facts.values())):
            log.log(level, _sentence(record), **facts)


def _is_news(*what: str) -> bool:
    """Tell whether this was not written a moment ago. Places are those of the code, so few are kept."""
    return _said.setdefault(what, Spells(REPEATED_SECONDS)).note()


def _sentence(record: logging.LogRecord) -> str:
    words = record.msg.strip() if isinstance(record.msg, str) else ""
    return words if record.args or words in FIXED_SENTENCES else WITHHELD


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)
    return [f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames[-PLACES:]]


def _on_end(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log_fault("unforeseen error, the program ends", error)


def _on_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        log_fault("unforeseen error in a thread", arguments.exc_value)


def _on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is not None:
        log_fault("unforeseen error while cleaning up", unraisable.exc_value)


def _on_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    log.warning("warning", kind=category.__name__, place=f"{Path(filename).name}:{lineno}")
