"""Builds the survey service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import httpx
from fastapi import FastAPI

from services.kit.clock import Clock, system_clock
from services.kit.http import EdgeApp, log_fault, make_app, make_verifier, peer_client, served_hosts
from services.kit.keys import load_identity
from services.kit.metrics import Metrics
from services.kit.migrations import newest, open_database
from services.kit.readiness import database_reasons
from services.kit.spells import Spells
from services.survey.api import hr_routes, internal_routes, phone_routes
from services.survey.closing import ClosingFlow
from services.survey.flow import PhoneFlow
from services.survey.health import FULL, CommitTimes, IssuerKeys, Rounds, add_figures
from services.survey.inbox import Inbox
from services.survey.issuers import IssuerFolder
from services.survey.opening import OpeningFlow
from services.survey.pages import page_routes
from services.survey.peers import Peers
from services.survey.settings import SurveySettings
from services.survey.slot import Slot
from services.survey.store import Store

MIGRATIONS = Path(__file__).parent / "migrations"
MIX_AGAIN_SECONDS = 60.0


def build_app(
    settings: SurveySettings,
    *,
    clock: Clock = system_clock,
    aggregate_transport: httpx.BaseTransport | None = None,
    report_transport: httpx.BaseTransport | None = None,
) -> EdgeApp:
    """Return the survey service; clock and transports are arguments for the tests' sake."""
    identity = load_identity(settings.identity_file)
    database = open_database(settings.database_url, MIGRATIONS)
    store = Store(database)
    commits, refused, stopping = CommitTimes(), Spells(60.0), Event()
    inbox = Inbox(commits.timed(store.put_envelopes), capacity=settings.inbox_capacity, on_full=refused.note)
    rounds = Rounds(clock, settings.mixing_seconds)
    issuers = IssuerFolder(settings.issuer_keys)
    peers = Peers(
        peer_client(settings, identity, "aggregate", clock, aggregate_transport),
        peer_client(settings, identity, "report", clock, report_transport),
    )
    phones = PhoneFlow(store, inbox, identity, clock, issuers.load)
    opening = OpeningFlow(store, issuers, peers, identity, url=settings.url)
    closing = ClosingFlow(store, inbox, phones, peers, identity, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer = asyncio.create_task(inbox.run())
        mixer = asyncio.create_task(_mix_regularly(inbox, store, settings.mixing_seconds, rounds))
        yield
        stopping.set()
        # What waits is written. A round of mixing that runs is not waited for: the next start mixes first.
        inbox.stop()
        await writer
        mixer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await mixer
        peers.close()
        await asyncio.to_thread(database.close)

    wanted, keys = newest(MIGRATIONS), IssuerKeys(store, issuers)
    metrics = Metrics(schema=wanted)
    add_figures(metrics, inbox, refused, commits, rounds)
    app = make_app(
        "Fairpatch survey",
        lifespan=lifespan,
        unready=lambda: ([FULL] if inbox.full else []) + rounds.reasons(),
        checks=lambda: database_reasons(database, wanted, mixing=True, then=keys.reasons),
        metrics=metrics,
        stopping=stopping,
        hosts=served_hosts(settings),
    )
    app.add_middleware(Slot, flow=phones)
    app.include_router(phone_routes(phones))
    app.include_router(hr_routes(opening, closing, settings.hr_key_file.read_text("ascii").strip()))
    app.include_router(internal_routes(closing, store, make_verifier(settings, clock)))
    app.include_router(page_routes(phones))
    app.state.phones, app.state.store = phones, store
    return app


async def _mix_regularly(
    inbox: Inbox, store: Store, pause_seconds: float, rounds: Rounds | None = None
) -> None:
    """Mix at the start and then once a period, as long as enough sheets arrived to hide among."""
    first, rounds = True, rounds or Rounds(system_clock, pause_seconds)
    while True:
        pause = pause_seconds
        try:
            waiting = max(inbox.unmixed.values(), default=0)
            if first or waiting >= await asyncio.to_thread(store.mixing_size):
                await inbox.exclusively(store.mix)
                inbox.unmixed.clear()
            first = False
            rounds.went_well()
        except Exception as error:
            log_fault("mixing failed", error)
            rounds.failed()
            pause = min(pause, MIX_AGAIN_SECONDS)
        await asyncio.sleep(pause)
