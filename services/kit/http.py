"""HTTP plumbing: one shape of errors, health, metrics, signed calls, and no log line about a request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Event
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from services.kit.clock import Clock
from services.kit.edge import PROBLEM_JSON, SafeEdge, problem_response
from services.kit.keys import Identity
from services.kit.logs import log_fault as log_fault
from services.kit.metrics import MEDIA_TYPE, Metrics
from services.kit.readiness import Readiness, Reasons
from services.kit.settings import ServiceSettings
from services.kit.signing import HEADER, CallSigner, CallVerifier
from services.kit.tls import client_trust
from services.protocol.problems import KINDS, Problem
from services.protocol.signed import Service

MAX_BODY_BYTES = 1 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
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
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def make_app(
    title: str,
    *,
    lifespan: Lifespan,
    unready: Reasons,
    checks: Reasons = list,
    metrics: Metrics | None = None,
    stopping: Event | None = None,
    max_body: int = MAX_BODY_BYTES,
    hosts: frozenset[str] | None = None,
) -> "EdgeApp":
    """Return an app with problems, headers, limits, health and metrics.

    ``unready`` names at once what is missing, ``checks`` may block for it. ``stopping`` is set when the
    service is asked to end. ``hosts`` are the names it answers to, so that a foreign page can't reach it
    under a name of its own (DNS rebinding); the services pass ``served_hosts``.
    """
    app = EdgeApp(
        title=title,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        max_body_size=max_body,
        telemetry=NO_TELEMETRY,
    )
    app.hosts, app.stopping = hosts, stopping or Event()
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unforeseen)

    _add_health(app, Readiness(unready, checks, app.stopping), metrics or Metrics(schema="none"))
    return app


def _add_health(app: FastAPI, readiness: Readiness, metrics: Metrics) -> None:
    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], response_model=None)
    async def readyz() -> Response:
        """Say whether the service can work, and what it waits for."""
        reasons = await readiness.reasons()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    @app.api_route("/metrics", methods=["GET", "HEAD"], include_in_schema=False)
    async def figures() -> Response:
        """Tell an operator how the service is, and nothing that counts people."""
        return Response(metrics.text(await readiness.reasons()), media_type=MEDIA_TYPE)


def served_hosts(settings: ServiceSettings) -> frozenset[str]:
    """Return the host names under which a service is reached."""
    names = {urlsplit(settings.url).hostname or "", settings.host}
    return frozenset(names | ({"localhost"} if settings.host in LOOPBACK else set()))


class EdgeApp(FastAPI):
    """An app inside ``SafeEdge``: answers of the framework's own layers pass through it as well."""

    hosts: frozenset[str] | None = None
    stopping: Event

    def build_middleware_stack(self) -> ASGIApp:
        """Return the whole stack with the edge around it."""
        return SafeEdge(super().build_middleware_stack(), self.hosts)


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
    """Return a client whose calls to ``receiver`` are signed; it ignores proxies and netrc files.

    By https it trusts the authority of the settings alone, if they name one.
    """
    return httpx.Client(
        base_url=settings.peer(receiver).url,
        auth=CallSigner(identity, settings.service, receiver, clock),
        timeout=httpx.Timeout(30.0, read=300.0),
        transport=transport,
        trust_env=False,
        verify=client_trust(settings),
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


@asynccontextmanager
async def no_lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """A lifespan for services that start nothing."""
    yield
