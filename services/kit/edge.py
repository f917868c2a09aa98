"""The outermost layer of every service: safe headers, known host names, no words of an error."""

import asyncio
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.logs import log_fault
from services.protocol.problems import Problem

PROBLEM_JSON = "application/problem+json"
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class SafeEdge:
    """Sets safe headers, and keeps an unforeseen error's words out of answer and log.

    They could repeat a body. The problem itself comes from the app's own handler.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None = None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        if self._hosts is not None and _host_of(scope) not in self._hosts:
            await problem_response(Problem("host"))(scope, receive, answer.send)
            return
        try:
            await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            # The service stops, and this caller was too slow. Nothing was acknowledged.
            if answer.begun:
                raise
            await problem_response(Problem("busy"))(scope, receive, answer.send)
        except ClientDisconnect:
            # Phones lose their network. A line about it would tell when one sent something.
            return
        except Exception as error:
            log_fault("unforeseen error", error)
            if not answer.complete:
                raise RuntimeError("the answer broke off") from None

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_words(message: Message) -> None:
            # The framework puts the whole trace with the error's words into it, and the server logs it.
            await send({"type": message["type"]})

        try:
            await self._app(scope, receive, without_words)
        except Exception as error:
            log_fault("the service could not start or stop in order", error)
            raise


class _Answer:
    """One answer on its way out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._instead: bytes | None = None
        self.begun = self.complete = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer with the safe headers."""
        if message["type"] == "http.response.start":
            self.begun = True
            self._give_up_text(message)
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name, value) for name, value in _HEADERS if name not in present),
            ]
        elif message["type"] == "http.response.body":
            if self._instead is not None:
                message["body"] = self._instead
            self.complete = not message.get("more_body", False)
        await self._send(message)

    def _give_up_text(self, message: Message) -> None:
        # The framework answers a body that is too long in plain text, after our own handlers.
        types = [value for name, value in message["headers"] if name.lower() == b"content-type"]
        if message["status"] == 413 and types != [PROBLEM_JSON.encode()]:
            problem = problem_response(Problem("too-large"))
            message["headers"], self._instead = problem.raw_headers, bytes(problem.body)


def problem_response(problem: Problem) -> JSONResponse:
    """Return a problem as an HTTP answer (RFC 9457)."""
    return JSONResponse(problem.document(), status_code=problem.status, media_type=PROBLEM_JSON)


def _host_of(scope: Scope) -> str:
    """Return the name in the Host header, without its port."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    try:
        return (urlsplit(f"//{given[0]}").hostname or "") if len(given) == 1 else ""
    except ValueError:
        return ""
