"""Internal calls over HTTP: what one service signs, the other accepts; a peer's failure becomes a problem."""

from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from services.kit.http import call, make_app, make_verifier, no_lifespan, peer_check, peer_client, problem_of
from services.kit.keys import Identity
from services.kit.settings import Peer, ServiceSettings
from services.kit.signing import CallSigner
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from services.protocol.signed import Service
from tests.unit.kit.doubles import HandClock, identity, run

KEYS: dict[Service, Identity] = {"survey": identity(1), "aggregate": identity(2), "report": identity(3)}
URL = "http://aggregate.test"


def settings(service: Service) -> ServiceSettings:
    peers = {
        name: Peer(url=f"http://{name}.test", public_key=b64(key.public))
        for name, key in KEYS.items()
        if name != service
    }
    return ServiceSettings(service=service, folder=Path(), port=1, url=URL, database="", peers=peers)


def make_receiver(clock: HandClock) -> FastAPI:
    """Return an aggregate that survey may call."""
    app = make_app("aggregate", lifespan=no_lifespan, unready=list)
    only_survey = peer_check(make_verifier(settings("aggregate"), clock), "survey")

    @app.post("/internal/{path:path}")
    async def internal(request: Request, peer: Annotated[str, Depends(only_survey)]) -> list[str]:
        return [peer, (await request.body()).decode()]

    return app


def send(path: str, *, sender: Service = "survey", **options: Any) -> httpx.Response:
    """Return aggregate's answer to a call that ``sender`` signed."""
    clock = HandClock()
    app, auth = make_receiver(clock), CallSigner(KEYS[sender], sender, "aggregate", clock)

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
            settings: dict[str, Any] = {"auth": auth, "content": b"body"} | options
            return await client.post(path, **settings)

    return run(go())


@pytest.mark.parametrize(
    "path",
    ["/internal/cycles", "/internal/cycles?a=1&b=%20x", "/internal/a%20b/c%3Fd", "/internal/%C3%A9?q=%C3%A9"],
)
def test_the_signed_target_is_the_one_that_arrives(path: str) -> None:
    answer = send(path)
    assert (answer.status_code, answer.json()) == (200, ["survey", "body"])


def test_an_unsigned_call_is_refused() -> None:
    assert send("/internal/cycles", auth=None).json()["type"] == "urn:fairpatch:problem:unauthorized"


def test_a_known_peer_that_may_not_call_this_is_refused_alike() -> None:
    assert send("/internal/cycles", sender="report").json() == send("/internal/cycles", auth=None).json()


class Redirecting(CallSigner):
    """Somebody on the line who sends a signed call somewhere else."""

    def auth_flow(self, request: httpx.Request) -> Any:
        """Change the request after it was signed."""
        for signed in super().auth_flow(request):
            signed.url = signed.url.copy_with(raw_path=b"/internal/other")
            signed.headers["host"] = "aggregate.test/internal/cycles?"
            yield signed


def test_a_host_header_cannot_make_one_path_look_like_another() -> None:
    clock = HandClock()
    app, auth = make_receiver(clock), Redirecting(KEYS["survey"], "survey", "aggregate", clock)

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
            return await client.post("/internal/cycles", auth=auth, content=b"body")

    assert run(go()).status_code == 401


def client_for(handler: Any) -> httpx.Client:
    clock = HandClock()
    return peer_client(
        settings("survey"), KEYS["survey"], "aggregate", clock, transport=httpx.MockTransport(handler)
    )


def test_a_call_carries_signature_media_type_and_body() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    with client_for(handler) as client:
        call(client, "PUT", "/internal/x", json=b"{}")
        call(client, "GET", "/internal/y")
    assert [str(request.url) for request in seen] == [f"{URL}/internal/x", f"{URL}/internal/y"]
    assert seen[0].headers["content-type"] == "application/json"
    assert all(request.headers["fairpatch-call"].startswith("survey ") for request in seen)


def test_a_peer_that_is_away_is_not_ready() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("CANARY")

    with client_for(handler) as client, pytest.raises(Problem) as caught:
        call(client, "GET", "/internal/x")
    assert (caught.value.kind, caught.value.detail) == ("not-ready", "")
    assert caught.value.__suppress_context__


def test_a_peers_problem_is_passed_on() -> None:
    with (
        client_for(
            lambda _: httpx.Response(409, json=Problem("budget", "Nothing left.").document())
        ) as client,
        pytest.raises(Problem, match=r"Nothing left\.") as caught,
    ):
        call(client, "POST", "/internal/x", json=b"{}")
    assert caught.value.kind == "budget"


@pytest.mark.parametrize(
    "body", [b"", b"oops", b"[]", b"{}", b'{"type": 5}', b'{"type": "urn:other"}', b"\xff", b"null", b'"x"']
)
def test_an_answer_that_is_no_problem_is_an_internal_one(body: bytes) -> None:
    assert problem_of(httpx.Response(502, content=body)).kind == "internal"


def test_a_long_detail_is_cut() -> None:
    document = {"type": "urn:fairpatch:problem:input", "detail": "x" * 10_000}
    assert len(problem_of(httpx.Response(422, json=document)).detail) == 400


def test_clients_take_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:1")
    with peer_client(settings("survey"), KEYS["survey"], "aggregate", HandClock()) as client:
        assert not client.trust_env
        assert client._mounts == {}
