"""HTTP plumbing: one shape of errors, safe headers, health, and no log line about a request."""

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.clock import Clock
from services.kit.keys import Identity
from services.kit.settings import ServiceSettings
from services.kit.signing import HEADER, CallSigner, CallVerifier
from services.protocol.problems import KINDS, Problem
from services.protocol.signed import Service

MAX_BODY_BYTES = 1 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PROBLEM_JSON = "application/problem+json"
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_STATUS_KIND = {404: "not-found", 405: "method", 413: "too-large", 400: "malformed"}
# The framework would send times, addresses and rejected bodies to any exporter it finds configured.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

log = structlog.get_logger("fairpatch")


def make_app(
    title: str,
    *,
    lifespan: Lifespan,
    unready: Callable[[], list[str]],
    max_body: int = MAX_BODY_BYTES,
    hosts: frozenset[str] | None = None,
) -> FastAPI:
    """Return an app with problems, headers, limits and health; ``unready`` names what is missing.

    ``hosts`` are the names it answers to, so that a foreign page can't reach it under a name of its own
    (DNS rebinding); the services pass ``served_hosts``.
    """
    app = EdgeApp(
        title=title,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        max_body_size=max_body,
        telemetry=NO_TELEMETRY,
    )
    app.hosts = hosts
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unforeseen)

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], response_model=None)
    async def readyz() -> Response:
        """Say whether the service can work, and what it waits for."""
        reasons = unready()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return app


def served_hosts(settings: ServiceSettings) -> frozenset[str]:
    """Return the host names under which a service is reached."""
    names = {urlsplit(settings.url).hostname or "", settings.host}
    return frozenset(names | ({"localhost"} if settings.host in LOOPBACK else set()))


class EdgeApp(FastAPI):
    """An app inside ``SafeEdge``: answers of the framework's own layers pass through it as well."""

    hosts: frozenset[str] | None = None

    def build_middleware_stack(self) -> ASGIApp:
        """Return the whole stack with the edge around it."""
        return SafeEdge(super().build_middleware_stack(), self.hosts)


class SafeEdge:
    """Outermost layer: sets safe headers, and keeps an unforeseen error's words out of answer and log.

    They could repeat a body. The problem itself comes from ``_on_unforeseen``.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None = None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        if self._hosts is not None and _host_of(scope) not in self._hosts:
            await problem_response(Problem("host"))(scope, receive, answer.send)
            return
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            log_fault("unforeseen error", error)
            if not answer.complete:
                raise RuntimeError("the answer broke off") from None


def _host_of(scope: Scope) -> str:
    """Return the name in the Host header, without its port."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    try:
        return (urlsplit(f"//{given[0]}").hostname or "") if len(given) == 1 else ""
    except ValueError:
        return ""


class _Answer:
    """One answer on its way out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._instead: bytes | None = None
        self.complete = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer with the safe headers."""
        if message["type"] == "http.response.start":
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


def log_fault(event: str, error: BaseException) -> None:
    """Log an error's class and where it happened, without its words."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames[-6:]]
    log.error(event, error=type(error).__name__, places=places)


def problem_response(problem: Problem) -> JSONResponse:
    """Return a problem as an HTTP answer (RFC 9457)."""
    return JSONResponse(problem.document(), status_code=problem.status, media_type=PROBLEM_JSON)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_invalid(_request: Request, _error: Exception) -> Response:
    # The framework's own answer would repeat the input.
    return problem_response(Problem("malformed"))


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _STATUS_KIND.get(error.status_code, "malformed" if error.status_code < 500 else "internal")
    document = Problem(kind).document()
    if error.status_code not in _STATUS_KIND:
        document["status"] = error.status_code
    # The document's status is the one that is sent (RFC 9457, 3.1.2).
    answer = JSONResponse(document, status_code=int(document["status"]), media_type=PROBLEM_JSON)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _on_unforeseen(_request: Request, _error: Exception) -> Response:
    return problem_response(Problem("internal"))


def peer_check(verifier: CallVerifier, *allowed: Service) -> Callable[[Request], Awaitable[Service]]:
    """Return a dependency that lets only signed calls of the ``allowed`` peers pass."""

    async def check(request: Request) -> Service:
        # The bytes of the request line: a decoded path could read like another path with a query.
        query = request.scope["query_string"]
        target = (request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
        body = await request.body()
        peer = verifier.check(request.headers.get(HEADER), method=request.method, target=target, body=body)
        if peer not in allowed:
            raise Problem("unauthorized")
        return peer

    return check


def make_verifier(settings: ServiceSettings, clock: Clock) -> CallVerifier:
    """Return the check of calls that come in to this service."""
    keys = {service: peer.public for service, peer in settings.peers.items()}
    return CallVerifier(settings.service, keys, clock)


def peer_client(
    settings: ServiceSettings,
    identity: Identity,
    receiver: Service,
    clock: Clock,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Return a client whose calls to ``receiver`` are signed; it ignores proxies and netrc files."""
    return httpx.Client(
        base_url=settings.peer(receiver).url,
        auth=CallSigner(identity, settings.service, receiver, clock),
        timeout=httpx.Timeout(30.0, read=300.0),
        transport=transport,
        trust_env=False,
    )


def call(client: httpx.Client, method: str, path: str, *, json: bytes | None = None) -> httpx.Response:
    """Make an internal call; a peer that is away or refuses becomes a problem here."""
    headers = {"content-type": "application/json"} if json is not None else {}
    try:
        answer = client.request(method, path, content=json, headers=headers)
    except httpx.HTTPError:
        raise Problem("not-ready") from None
    if answer.is_success:
        return answer
    raise problem_of(answer)


def problem_of(answer: httpx.Response) -> Problem:
    """Return the problem a peer answered with."""
    try:
        document = answer.json()
        kind = str(document["type"]).removeprefix("urn:fairpatch:problem:")
        return Problem(kind if kind in KINDS else "internal", str(document.get("detail", ""))[:400])
    except (ValueError, KeyError, TypeError):
        return Problem("internal")


def configure_logging() -> None:
    """Log one JSON object a line to standard output; nothing logs requests."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


@asynccontextmanager
async def no_lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """A lifespan for services that start nothing."""
    yield
