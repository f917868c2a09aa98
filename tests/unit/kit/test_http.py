"""The HTTP edge: one shape of errors, nothing repeated, limits, headers, health."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.telemetry import _asgi

from services.kit.edge import PROBLEM_JSON
from services.kit.http import make_app, no_lifespan
from services.kit.logs import forget_faults
from services.protocol.manifest import Part, Text
from services.protocol.problems import Problem
from tests.unit.kit.doubles import ask, run

CANARY = "CANARY-7f3a"
LIMIT = 1000
AS_JSON = {"content-type": "application/json"}
SAFE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


class Answer(Part):
    """A body with a number and a text."""

    number: float
    text: Text = ""


def make(reasons: list[str] | None = None) -> FastAPI:
    """Return an app with one route for every way to fail."""
    app = make_app("test", lifespan=no_lifespan, unready=lambda: reasons or [], max_body=LIMIT)

    @app.post("/answers")
    async def answers(answer: Answer) -> Answer:
        return answer

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/large", max_body_size=5 * LIMIT)
    async def large(request: Request) -> int:
        return len(await request.body())

    @app.get("/fault")
    async def fault(text: str = CANARY) -> None:
        raise RuntimeError(f"cannot work with {text}")

    @app.get("/chained")
    async def chained() -> None:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(CANARY) from error

    @app.get("/broken-off")
    async def broken_off() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError(CANARY)

        return StreamingResponse(parts())

    @app.get("/refused/{status}")
    async def refused(status: int) -> None:
        raise HTTPException(status, CANARY, headers={"x-kept": "yes"})

    @app.get("/problem")
    async def problem() -> None:
        raise Problem("budget", "Nothing is left this year.")

    @app.get("/cached")
    async def cached() -> Response:
        return Response("x", headers={"Cache-Control": "max-age=60"})

    return app


APP = make()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """Collect what is logged."""
    forget_faults()
    with structlog.testing.capture_logs() as lines:
        yield lines


def check_problem(answer: httpx.Response, kind: str, status: int) -> None:
    """Check that an answer is the bare problem of a kind."""
    document = answer.json()
    assert answer.headers["content-type"] == PROBLEM_JSON
    assert document["type"] == f"urn:fairpatch:problem:{kind}"
    assert document["status"] == answer.status_code == status
    assert set(document) == {"type", "title", "status"}
    assert CANARY not in answer.text


BAD_BODIES = {
    "wrong type": f'{{"number": "{CANARY}"}}',
    "unknown key": f'{{"number": 1, "{CANARY}": 1}}',
    "not JSON": f'{{"number": {CANARY}',
    "missing": f'{{"text": "{CANARY}"}}',
    "not a number": '{"number": NaN}',
    "infinite": '{"number": Infinity}',
    "list": f'["{CANARY}"]',
    "empty": "",
    "deep": "[" * 900,
    "lone surrogate": f'{{"number": 1, "text": "{CANARY}\\ud800"}}',
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_malformed_body_is_refused_and_not_repeated(name: str, logged: list[Any]) -> None:
    body = BAD_BODIES[name].encode("utf-8", "surrogatepass")
    check_problem(ask(APP, "POST", "/answers", content=body, headers=AS_JSON), "malformed", 422)
    assert logged == []


def test_bytes_that_are_no_text_are_refused(logged: list[Any]) -> None:
    answer = ask(APP, "POST", "/answers", content=b"\xff\xfe{", headers=AS_JSON)
    check_problem(answer, "malformed", 422)
    assert logged == []


@pytest.mark.parametrize("path", ["/fault", "/chained"])
def test_an_unforeseen_error_is_a_bare_problem_and_a_log_line_without_words(
    path: str, logged: list[Any]
) -> None:
    check_problem(ask(APP, "GET", path), "internal", 500)
    assert CANARY not in json.dumps(logged)
    assert len(logged) == 1
    assert logged[0]["event"] == "unforeseen error"
    assert logged[0]["error"] in ("RuntimeError", "ValueError")
    assert logged[0]["places"][-1].startswith("test_http.py:")


def test_an_error_in_mid_answer_breaks_it_off_without_its_words(logged: list[Any]) -> None:
    with pytest.raises(RuntimeError) as caught:
        ask(APP, "GET", "/broken-off")
    assert str(caught.value) == "the answer broke off"
    assert caught.value.__suppress_context__
    assert CANARY not in json.dumps(logged)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, "malformed"),
        (404, "not-found"),
        (405, "method"),
        (413, "too-large"),
        (429, "malformed"),
        (500, "internal"),
        (503, "internal"),
    ],
)
def test_errors_of_the_framework_become_problems_of_the_same_status(status: int, kind: str) -> None:
    answer = ask(APP, "GET", f"/refused/{status}")
    check_problem(answer, kind, status)
    assert status == 413 or answer.headers["x-kept"] == "yes"


def test_a_bad_request_is_a_malformed_one_like_all_others() -> None:
    check_problem(ask(APP, "GET", "/refused/400"), "malformed", 422)


def test_own_problems_keep_their_sentence() -> None:
    answer = ask(APP, "GET", "/problem")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "Nothing is left this year."


def test_unknown_addresses_and_methods_are_problems() -> None:
    check_problem(ask(APP, "GET", f"/{CANARY}"), "not-found", 404)
    answer = ask(APP, "DELETE", "/answers")
    check_problem(answer, "method", 405)
    assert answer.headers["allow"] == "POST"


async def drip(size: int) -> AsyncIterator[bytes]:
    """Send a body piece by piece, so that no length is declared."""
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("path", ["/raw", "/answers"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused(path: str, declared: bool, logged: list[Any]) -> None:
    body: Any = b"x" * (LIMIT + 1) if declared else drip(2 * LIMIT)
    answer = ask(APP, "POST", path, content=body, headers=AS_JSON)
    check_problem(answer, "too-large", 413)
    assert SAFE.items() <= dict(answer.headers).items()
    assert logged == []


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_up_to_the_limit_of_its_route_is_taken(declared: bool) -> None:
    for path, limit in (("/raw", LIMIT), ("/large", 5 * LIMIT)):
        body: Any = b"x" * limit if declared else drip(limit)
        answer = ask(APP, "POST", path, content=body)
        assert (answer.status_code, answer.json()) == (200, limit)


def test_a_declared_length_that_is_a_lie_does_not_help() -> None:
    answer = ask(APP, "POST", "/raw", content=drip(2 * LIMIT), headers={"content-length": "10"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/healthz", "/nowhere", "/fault", "/problem", "/refused/403", "/openapi.json"]
)
def test_every_answer_has_the_safe_headers(path: str) -> None:
    assert SAFE.items() <= dict(ask(APP, "GET", path).headers).items()


def test_a_route_may_say_otherwise() -> None:
    assert ask(APP, "GET", "/cached").headers.get_list("cache-control") == ["max-age=60"]


def test_health_and_readiness() -> None:
    assert ask(APP, "GET", "/healthz").json() == {"status": "ok"}
    ready = ask(APP, "GET", "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    waiting = ask(make(["report does not answer"]), "GET", "/readyz")
    assert (waiting.status_code, waiting.json()["reasons"]) == (503, ["report does not answer"])


def test_a_service_that_stops_is_not_ready() -> None:
    stopping = Event()
    app = make_app("test", lifespan=no_lifespan, unready=list, stopping=stopping)
    assert ask(app, "GET", "/readyz").status_code == 200
    app.stopping.set()
    assert stopping.is_set()
    assert ask(app, "GET", "/readyz").json()["reasons"] == ["The service is stopping."]


def test_checks_that_may_block_are_asked_too() -> None:
    app = make_app("test", lifespan=no_lifespan, unready=list, checks=lambda: ["away"])
    assert ask(app, "GET", "/readyz").json() == {"ready": False, "reasons": ["away"]}


async def cut_off(app: FastAPI, path: str, body: list[bytes]) -> list[dict[str, Any]]:
    """Ask without ever ending the body, and have the call cut off as a stop does; return what was sent."""
    sent: list[dict[str, Any]] = []
    parts = iter(body)

    async def receive() -> dict[str, Any]:
        for part in parts:
            return {"type": "http.request", "body": part, "more_body": True}
        return await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", b"service.test")], "http_version": "1.1", "scheme": "http"}
    scope |= {"server": ("service.test", 80), "client": ("127.0.0.1", 1), "root_path": ""}
    call = asyncio.create_task(app(scope, receive, send))
    await asyncio.sleep(0.01)
    call.cancel()
    await call
    return sent


def test_a_slow_caller_is_told_to_come_again_when_the_service_stops(logged: list[Any]) -> None:
    start, body = run(cut_off(APP, "/raw", [b"half a"]))
    assert start["status"] == 503
    assert json.loads(body["body"])["type"] == "urn:fairpatch:problem:busy"
    assert logged == []


def lifespan_messages(app: FastAPI) -> list[dict[str, Any]]:
    """Return what an app says about its start and its stop."""
    said: list[dict[str, Any]] = []

    async def work() -> None:
        asked = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            return {"type": next(asked)}

        async def send(message: Any) -> None:
            said.append(dict(message))

        with pytest.raises(RuntimeError):
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    run(work())
    return said


@pytest.mark.parametrize("place", ["startup", "shutdown"])
def test_a_start_or_stop_that_fails_is_told_without_words(place: str, logged: list[Any]) -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if place == "startup":
            raise RuntimeError(CANARY)
        yield
        raise RuntimeError(CANARY)

    said = lifespan_messages(make_app("test", lifespan=lifespan, unready=list))
    assert said[-1] == {"type": f"lifespan.{place}.failed"}
    assert [line["error"] for line in logged] == ["RuntimeError"]
    assert CANARY not in json.dumps([said, logged])


def test_no_exporter_of_telemetry_hears_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    # As if an operator had set up exporters of traces, metrics and logs.
    monkeypatch.setattr(_asgi, "_unconfigured", lambda provider: False)
    assert FastAPI()._native_telemetry.enabled()
    app = make()
    assert not app._native_telemetry.enabled()
    assert app._telemetry["auto_configure"] is False


def test_the_interface_is_described_but_not_played_with() -> None:
    assert ask(APP, "GET", "/openapi.json").json()["info"]["title"] == "test"
    assert [ask(APP, "GET", path).status_code for path in ("/docs", "/redoc")] == [404, 404]
