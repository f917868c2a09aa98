"""Builds the aggregate service."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import httpx
from fastapi import FastAPI

from services.aggregate.api import internal_routes, public_routes
from services.aggregate.box import BoxUntilStop, SurveyBox
from services.aggregate.closing import Closing, Noise, Pool
from services.aggregate.core.mechanisms import discrete_laplace
from services.aggregate.flow import Flow
from services.aggregate.health import Running, add_figures
from services.aggregate.keyring import Keyring
from services.aggregate.outbox import Outbox
from services.aggregate.published import Published
from services.aggregate.settings import AggregateSettings
from services.aggregate.store import Store
from services.aggregate.workers import worker_processes
from services.kit.clock import Clock, system_clock
from services.kit.http import EdgeApp, log_fault, make_app, make_verifier, peer_client, served_hosts
from services.kit.keys import load_identity
from services.kit.metrics import Metrics
from services.kit.migrations import newest, open_database
from services.kit.readiness import database_reasons
from services.protocol.problems import Problem

COMPARE_AGAIN_SECONDS = 1.0
DESTROY_AGAIN_SECONDS = 60.0
MAX_BODY_BYTES = 4 << 20
"""A manifest of some thousand groups, with their commitments."""

MIGRATIONS = Path(__file__).parent / "migrations"


def build_app(
    settings: AggregateSettings,
    *,
    clock: Clock = system_clock,
    survey_transport: httpx.BaseTransport | None = None,
    report_transport: httpx.BaseTransport | None = None,
) -> EdgeApp:
    """Return the aggregate service; clock and transports are arguments for the tests' sake."""
    identity = load_identity(settings.identity_file)
    database = open_database(settings.database_url, MIGRATIONS)
    store, keyring = Store(database), Keyring(settings.keys_folder)
    survey = peer_client(settings, identity, "survey", clock, survey_transport)
    report = peer_client(settings, identity, "report", clock, report_transport)
    survey_key = settings.peer("survey").public
    outbox = Outbox(store, report)
    noise = Noise(laplace=discrete_laplace, uniform=secrets.SystemRandom().random)
    pool = Pool(worker_processes, settings.workers)
    stopping, running = Event(), Running()
    box = BoxUntilStop(SurveyBox(survey), stopping)
    closing = Closing(store, keyring, box, pool, noise, identity, survey_key, clock)
    # One thread: releases are made one after the other.
    background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="release")

    def aside(work: Callable[[], None]) -> None:
        background.submit(running.around, work)

    flow = Flow(store, keyring, closing, outbox, identity, survey_key, clock, aside)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        flow.finish_destruction()
        works = (_compare(flow), _keep_destroying(flow), outbox.keep_pushing())
        tasks = [asyncio.create_task(work) for work in works]
        yield
        stopping.set()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        # A release reads no further; if it is past the box, it writes to the end.
        await asyncio.to_thread(background.shutdown, cancel_futures=True)
        survey.close()
        report.close()
        await asyncio.to_thread(database.close)

    wanted = newest(MIGRATIONS)
    metrics = Metrics(schema=wanted)
    add_figures(metrics, flow, outbox, running)
    app = make_app(
        "Fairpatch aggregate",
        lifespan=lifespan,
        unready=flow.unready,
        checks=lambda: database_reasons(database, wanted),
        metrics=metrics,
        stopping=stopping,
        max_body=MAX_BODY_BYTES,
        hosts=served_hosts(settings),
    )
    app.include_router(internal_routes(flow, make_verifier(settings, clock)))
    app.include_router(public_routes(Published(store)))
    app.state.flow = flow
    return app


async def _compare(flow: Flow) -> None:
    """Compare the chains as soon as report answers, so that the service becomes ready by itself."""
    while True:
        try:
            await asyncio.to_thread(flow.compare_chains)
        except Problem:
            await asyncio.sleep(COMPARE_AGAIN_SECONDS)
        except Exception as error:
            log_fault("comparing chains failed", error)
            await asyncio.sleep(COMPARE_AGAIN_SECONDS)
        else:
            return


async def _keep_destroying(flow: Flow) -> None:
    """Try again, for as long as the service runs, to destroy keys that outlived their cycle."""
    while True:
        await asyncio.sleep(DESTROY_AGAIN_SECONDS)
        try:
            await asyncio.to_thread(flow.finish_destruction)
        except Exception as error:
            log_fault("destroying keys failed", error)
