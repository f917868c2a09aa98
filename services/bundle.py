"""Services in one process: a listener each in one event loop, and one way to stop them all."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from services.aggregate.app import build_app as build_aggregate
from services.aggregate.settings import AggregateSettings
from services.kit.http import LOOPBACK, configure_logging
from services.kit.settings import ServiceSettings, load_settings
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.report.app import build_app as build_report
from services.report.settings import ReportSettings
from services.survey.app import build_app as build_survey
from services.survey.settings import SurveySettings

STOP_SECONDS = 10


class Listener(uvicorn.Server):
    """A server that leaves signals to whoever runs several of them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def build(folder: Path, service: Service) -> tuple[FastAPI, ServiceSettings]:
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
    listeners = []
    for service in services:
        app, settings = build(folder, service)
        if settings.host not in LOOPBACK:
            raise Problem("input", f"{service} may listen on loopback only until accounts exist.")
        listeners.append(_listener(app, settings))
    asyncio.run(_run(listeners))


def _listener(app: FastAPI, settings: ServiceSettings) -> Listener:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return Listener(config)


async def _run(listeners: Sequence[Listener]) -> None:
    def stop() -> None:
        for listener in listeners:
            listener.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    tasks = [asyncio.create_task(_serve(listener, stop)) for listener in listeners]
    await asyncio.gather(*tasks)


async def _serve(listener: Listener, stop_all: Callable[[], None]) -> None:
    try:
        await listener.serve()
    except SystemExit:
        # A port that is taken: uvicorn has said so on standard error.
        stop_all()
        raise Problem("not-ready", "A service could not start. Is its port taken?") from None
    finally:
        stop_all()
