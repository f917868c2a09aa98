"""Builds the report service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from services.kit.clock import Clock, system_clock
from services.kit.http import EdgeApp, make_app, make_verifier, served_hosts
from services.kit.metrics import Metrics
from services.kit.migrations import newest, open_database
from services.kit.readiness import database_reasons
from services.report.api import internal_routes, public_routes
from services.report.flow import Flow
from services.report.pages import page_routes
from services.report.settings import ReportSettings
from services.report.static import load_assets, static_routes
from services.report.store import Store

MIGRATIONS = Path(__file__).parent / "migrations"


def build_app(settings: ReportSettings, *, clock: Clock = system_clock) -> EdgeApp:
    """Return the report service."""
    database = open_database(settings.database_url, MIGRATIONS)
    store = Store(database)
    flow = Flow(store, {name: peer.public for name, peer in settings.peers.items()})
    assets = load_assets()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(database.close)

    wanted = newest(MIGRATIONS)
    app = make_app(
        "Fairpatch report",
        lifespan=lifespan,
        unready=list,
        checks=lambda: database_reasons(database, wanted),
        metrics=Metrics(schema=wanted),
        hosts=served_hosts(settings),
    )
    app.include_router(internal_routes(flow, make_verifier(settings, clock)))
    app.include_router(public_routes(flow))
    app.include_router(page_routes(flow, assets))
    app.include_router(static_routes(assets))
    app.state.flow, app.state.database = flow, database
    return app
