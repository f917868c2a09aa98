"""Builds the survey service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from services.kit.clock import Clock, system_clock
from services.kit.database import Database
from services.kit.http import log_fault, make_app, make_verifier, peer_client, served_hosts
from services.kit.keys import load_identity
from services.survey.api import hr_routes, internal_routes, phone_routes
from services.survey.closing import ClosingFlow
from services.survey.flow import PhoneFlow
from services.survey.inbox import Inbox
from services.survey.issuers import IssuerFolder
from services.survey.opening import OpeningFlow
from services.survey.pages import page_routes
from services.survey.peers import Peers
from services.survey.settings import SurveySettings
from services.survey.store import Store


def build_app(
    settings: SurveySettings,
    *,
    clock: Clock = system_clock,
    aggregate_transport: httpx.BaseTransport | None = None,
    report_transport: httpx.BaseTransport | None = None,
) -> FastAPI:
    """Return the survey service; clock and transports are arguments for the tests' sake."""
    identity = load_identity(settings.identity_file)
    database = Database(settings.database_url)
    store = Store(database)
    inbox = Inbox(store.put_envelopes, capacity=settings.inbox_capacity)
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
        mixer = asyncio.create_task(_mix_regularly(inbox, store, settings.mixing_seconds))
        yield
        mixer.cancel()
        inbox.stop()
        await writer
        with contextlib.suppress(asyncio.CancelledError):
            await mixer
        peers.close()
        database.close()

    app = make_app("Fairpatch survey", lifespan=lifespan, unready=list, hosts=served_hosts(settings))
    app.include_router(phone_routes(phones))
    app.include_router(hr_routes(opening, closing, settings.hr_key_file.read_text("ascii").strip()))
    app.include_router(internal_routes(closing, store, make_verifier(settings, clock)))
    app.include_router(page_routes(phones))
    app.state.phones, app.state.store = phones, store
    return app


async def _mix_regularly(inbox: Inbox, store: Store, pause_seconds: float) -> None:
    """Mix at the start and then once a period, as long as enough sheets arrived to hide among."""
    first = True
    while True:
        try:
            waiting = max(inbox.unmixed.values(), default=0)
            if first or waiting >= await asyncio.to_thread(store.mixing_size):
                await inbox.exclusively(store.mix)
                inbox.unmixed.clear()
            first = False
        except Exception as error:
            log_fault("mixing failed", error)
        await asyncio.sleep(pause_seconds)
