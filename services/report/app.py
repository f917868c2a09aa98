"""Builds the report service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.kit.clock import Clock, system_clock
from services.kit.database import Database
from services.kit.http import make_app, make_verifier, served_hosts
from services.report.api import internal_routes, public_routes
from services.report.flow import Flow
from services.report.pages import page_routes
from services.report.settings import ReportSettings
from services.report.static import load_assets, static_routes
from services.report.store import Store


def build_app(settings: ReportSettings, *, clock: Clock = system_clock) -> FastAPI:
    """Return the report service."""
    database = Database(settings.database_url)
    store = Store(database)
    flow = Flow(store, {name: peer.public for name, peer in settings.peers.items()})
    assets = load_assets()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = make_app("Fairpatch report", lifespan=lifespan, unready=store.unready, hosts=served_hosts(settings))
    app.include_router(internal_routes(flow, make_verifier(settings, clock)))
    app.include_router(public_routes(flow))
    app.include_router(page_routes(flow, assets))
    app.include_router(static_routes(assets))
    app.state.flow = flow
    return app
