"""Services in one process: a listener each in one event loop, and one way to stop them all.

A stop takes at most 15 seconds: no new connections, calls in flight are finished, the inbox writes what
waits, a release reads no further. Whoever is slower than that was not acknowledged anything.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.aggregate.app import build_app as build_aggregate
from services.aggregate.settings import AggregateSettings
from services.folder import KINDS
from services.kit.http import EdgeApp
from services.kit.logs import configure_logging, on_loop_fault
from services.kit.production import check_start
from services.kit.settings import ServiceSettings, load_settings
from services.kit.tls import server_context
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.report.app import build_app as build_report
from services.report.settings import ReportSettings
from services.survey.app import build_app as build_survey
from services.survey.settings import SurveySettings

GOODBYE_SECONDS = 1.0
"""How long a stop waits for idle callers to say goodbye."""
CALLS_SECONDS = 8
"""How long a stop waits for calls in flight."""
LINGER_SECONDS = 2.0
"""How long a finished stop waits for threads that nothing depends on, such as a call to a silent peer."""
STOP_SECONDS = 14.0
"""After this a stop is cut short; what is not written then was never acknowledged."""

log = structlog.get_logger("fairpatch")


class Listener(uvicorn.Server):
    """A server that leaves signals to whoever runs several of them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish calls in flight and close; callers that neither ask nor read are not waited for."""
        # Those that were let go before; to close them once more would put them out of reach.
        self._drop(transport for transport in self._answered() if transport.is_closing())
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, lambda: self._drop(self._answered()))
        await super().shutdown(sockets)

    def _answered(self) -> Iterator[asyncio.Transport]:
        for each in list(self.server_state.connections):
            assert isinstance(each, H11Protocol)
            if each.cycle is None or each.cycle.response_complete:
                yield each.transport

    def _drop(self, transports: Iterable[asyncio.Transport]) -> None:
        # By TLS a close waits up to 30 seconds for a goodbye, which an idle caller doesn't send.
        for transport in transports:
            # asyncio forgets the TLS side of a transport that was closed twice.
            with suppress(AttributeError):
                if transport.get_write_buffer_size() == 0:
                    transport.abort()


@dataclass(frozen=True)
class Running:
    """One service's app with its listener."""

    app: EdgeApp
    listener: Listener

    def stop(self) -> None:
        """Ask it to end: long work looks at ``stopping``, the listener takes nothing more."""
        self.app.stopping.set()
        self.listener.should_exit = True


def build(folder: Path, service: Service) -> tuple[EdgeApp, ServiceSettings]:
    """Return one service's app and its settings from ``folder``."""
    if service == "survey":
        survey = load_settings(SurveySettings, folder / service)
        return build_survey(survey), survey
    if service == "aggregate":
        aggregate = load_settings(AggregateSettings, folder / service)
        return build_aggregate(aggregate), aggregate
    report = load_settings(ReportSettings, folder / service)
    return build_report(report), report


def serve(folder: Path, services: Sequence[Service]) -> None:
    """Run services until SIGTERM or SIGINT; return after their work is finished."""
    configure_logging()
    check_start(*(load_settings(KINDS[service], folder / service) for service in services))
    built = [build(folder, service) for service in services]
    asyncio.run(_run([Running(app, _listener(app, settings)) for app, settings in built]))


def _listener(app: EdgeApp, settings: ServiceSettings) -> Listener:
    tls = server_context(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=CALLS_SECONDS,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    return Listener(config)


async def _run(running: Sequence[Running]) -> None:
    ending = Ending(running)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(on_loop_fault)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ending.begin)
    served = (_serve(each.listener, ending.begin) for each in running)
    # All of them to their end, also when one of them fails.
    faults = [fault for fault in await asyncio.gather(*served, return_exceptions=True) if fault is not None]
    ending.finish(1 if faults else 0)
    if faults:
        raise faults[0]


async def _serve(listener: Listener, stop_all: Callable[[], None]) -> None:
    try:
        await listener.serve()
    except SystemExit:
        raise Problem("not-ready", "A service could not start. Is its port taken?") from None
    finally:
        stop_all()


class Ending:
    """Stops all services once, and sees to it that the process is gone in time."""

    def __init__(self, running: Sequence[Running]) -> None:
        self._running, self._begun = running, False

    def begin(self) -> None:
        """Ask all services to stop; the second time changes nothing."""
        if self._begun:
            return
        self._begun = True
        log.info("stopping")
        for each in self._running:
            each.stop()
        _leave_after(STOP_SECONDS, "stop cut short", 1)

    def finish(self, code: int) -> None:
        """Say that all work is done; threads that nothing depends on get a moment more."""
        log.info("stopped")
        _leave_after(LINGER_SECONDS, "stopped, without waiting for a thread", code)


def _leave_after(seconds: float, event: str, code: int) -> None:
    """End the process later, if it is still there; every store stands a cut at any moment."""

    def leave() -> None:
        log.warning(event)
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
