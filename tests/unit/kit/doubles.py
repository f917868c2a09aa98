"""Doubles for the plumbing: a clock set by hand, identities from numbers, a client without sockets."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from services.kit.keys import Identity

T = TypeVar("T")


class HandClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        """Let some seconds pass; negative ones turn the clock back."""
        self.moment += timedelta(seconds=seconds)


def identity(number: int) -> Identity:
    """Return the identity made from a number."""
    return Identity(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    """Return the answer of an app to one request, in process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
            return await client.request(method, path, **options)

    return run(send())
