"""Every door of every service, by its own description: closed to strangers, and calm about junk."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.folder import SERVICES
from services.kit.clock import system_clock
from services.kit.signing import HEADER, CallSigner
from services.protocol.encoding import canonical
from services.protocol.problems import KINDS
from services.protocol.signed import Service
from tests.e2e.played import Played, get
from tests.e2e.stages import Services

PROBLEM = "application/problem+json"
CALLERS: dict[Service, tuple[Service, ...]] = {
    "survey": ("aggregate",),
    "aggregate": ("survey",),
    "report": ("survey", "aggregate"),
}
JUNK_IDS = ("x", "%00", "%FF", "%F0%9F%98%80", "0" * 64, "..%2F..%2Fetc", "a" * 2000)
JUNK_BODIES = {
    "nothing": b"",
    "no text": b"\xff",
    "an object": b"{}",
    "a list": b"[]",
    "NaN": b'{"code": NaN, "cycle": NaN, "document": {"cycle": NaN, "k": Infinity}, "signatures": {}}',
    "half a character": b'{"code": "\\ud800", "document": {"cycle": "\\ud800"}, "signatures": {}}',
    "a deep nest": b"[" * 50_000,
    "huge numbers": b'{"document": {"k": 1e999, "cycle": 10000000000000000000000}, "signatures": {}}',
    "wrong types": b'{"code": [1], "blinded": 1, "document": 1, "signatures": [], "reason": {}}',
}


@dataclass(frozen=True)
class Door:
    """One operation of a service's description."""

    service: Service
    base: str
    method: str
    path: str
    parameters: tuple[str, ...]

    @property
    def internal(self) -> bool:
        """Whether only peers may call it."""
        return self.path.startswith("/internal")

    def address(self, value: str) -> str:
        """Return the address with every parameter set to ``value``."""
        path = self.path
        for name in ("cycle", "envelope_hash", "prefix"):
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, f"unknown parameter in {path}"
        return (
            self.base
            + path
            + ("?" + "&".join(f"{name}={value}" for name in self.parameters) if self.parameters else "")
        )


def doors(services: Services) -> list[Door]:
    """Return every operation that the services describe."""
    found = []
    for service in SERVICES:
        described: dict[str, dict[str, Any]] = get(f"{services.url(service)}/openapi.json").json()["paths"]
        for path, operations in described.items():
            for method, operation in operations.items():
                asked = operation.get("parameters", ())
                names = tuple(each["name"] for each in asked if each["in"] == "query")
                found.append(Door(service, services.url(service), method.upper(), path, names))
    return found


@pytest.fixture(scope="module")
def every_door(services: Services) -> list[Door]:
    """Return every operation that the services describe."""
    return doors(services)


@pytest.fixture(scope="module")
def anyone() -> Iterator[httpx.Client]:
    """Return a client without any right."""
    with httpx.Client(trust_env=False) as client:
        yield client


def check_problem(answer: httpx.Response) -> None:
    """Check that a refusal is a problem document about itself and about nothing that was sent."""
    assert answer.headers["content-type"] == PROBLEM, answer.text[:200]
    document = answer.json()
    kind = document["type"].removeprefix("urn:fairpatch:problem:")
    assert document["status"] == answer.status_code
    assert document["title"] == KINDS[kind].title
    assert set(document) <= {"type", "title", "status", "detail"}


def test_the_descriptions_name_the_doors_of_the_design(every_door: list[Door]) -> None:
    described = {(door.service, door.method, door.path) for door in every_door}
    cycle = "/api/cycles/{cycle}"
    assert described >= {
        ("survey", "GET", f"{cycle}/manifest"),
        ("survey", "POST", f"{cycle}/session"),
        ("survey", "POST", f"{cycle}/tokens"),
        ("survey", "POST", f"{cycle}/envelopes"),
        ("survey", "GET", f"{cycle}/receipts/{{envelope_hash}}"),
        ("survey", "GET", "/internal/cycles/{cycle}/box"),
        ("survey", "GET", "/internal/cycles/{cycle}/frame"),
        ("aggregate", "POST", "/internal/cycles"),
        ("aggregate", "PUT", "/internal/cycles/{cycle}/manifest"),
        ("aggregate", "POST", "/internal/cycles/{cycle}/release"),
        ("aggregate", "GET", "/internal/ledger"),
        ("aggregate", "GET", f"{cycle}/manifest"),
        ("aggregate", "GET", "/api/releases/{cycle}"),
        ("aggregate", "GET", f"{cycle}/receipts"),
        ("aggregate", "GET", f"{cycle}/receipts/{{prefix}}"),
        ("report", "PUT", "/internal/cycles/{cycle}/manifest"),
        ("report", "POST", "/internal/releases"),
        ("report", "GET", "/internal/chain"),
        ("report", "GET", f"{cycle}/manifest"),
    }
    assert {(name, "GET", path) for name in SERVICES for path in ("/healthz", "/readyz")} <= described


def strangers(services: Services, service: Service) -> list[httpx.Client]:
    """Return clients that must not be let in: unsigned, with made-up words, signed by the wrong one."""
    made_up: tuple[dict[str, str], ...] = (
        {},
        {HEADER: "survey 1 AAAA AAAA"},
        {"authorization": f"Bearer {services.stage.hr_key}"},
    )
    found = [httpx.Client(trust_env=False, headers=headers) for headers in made_up]
    for sender in SERVICES:
        if sender != service and sender not in CALLERS[service]:
            found.append(services.signed(sender, service))
        # The right name with another's key.
        other = next(name for name in SERVICES if name != sender)
        signer = CallSigner(services.identity(other), sender, service, system_clock)
        found.append(httpx.Client(trust_env=False, auth=signer))
    return found


def test_internal_calls_of_strangers_get_401(
    services: Services, played: Played, every_door: list[Door]
) -> None:
    internal = [door for door in every_door if door.internal]
    assert {door.service for door in internal} == set(SERVICES)
    for service in SERVICES:
        for client in strangers(services, service):
            with client:
                for door in (door for door in internal if door.service == service):
                    answer = client.request(door.method, door.address(played.cycle), json={})
                    assert answer.status_code == 401, (door, answer.text)
                    check_problem(answer)


def test_what_one_peer_may_the_other_may_not(services: Services, played: Played) -> None:
    for sender, method, path in (
        ("aggregate", "PUT", f"/internal/cycles/{played.cycle}/manifest"),
        ("survey", "POST", "/internal/releases"),
        ("survey", "GET", "/internal/chain?company=Acme"),
    ):
        with services.signed(sender, "report") as client:  # type: ignore[arg-type]
            answer = client.request(
                method, path, json={"document": {"cycle": played.cycle}, "signatures": {}}
            )
        assert answer.status_code == 401
        check_problem(answer)


def test_a_signed_call_is_good_once_and_for_one_body(services: Services, played: Played) -> None:
    with services.signed("survey", "aggregate") as survey:
        request = survey.build_request("GET", "/internal/ledger", params={"company": "Acme", "year": 2026})
        signed = next(survey.auth.auth_flow(request))  # type: ignore[union-attr]
        headers, address = dict(signed.headers), str(signed.url)
    with httpx.Client(trust_env=False) as thief:
        assert thief.get(address.replace("2026", "2027"), headers=headers).status_code == 401
        assert thief.request("GET", address, headers=headers, content=b"{}").status_code == 401
        assert thief.get(address, headers=headers).status_code == 200
        assert thief.get(address, headers=headers).status_code == 401


def test_hr_s_door_needs_its_key(
    services: Services, played: Played, every_door: list[Door], anyone: httpx.Client
) -> None:
    hr = [door for door in every_door if door.path.startswith("/hr")]
    assert len(hr) >= 5
    for door, key in itertools.product(
        hr, ("", "Bearer", services.stage.hr_key, f"Bearer {services.stage.hr_key}x")
    ):
        headers = {"authorization": key} if key else {}
        answer = anyone.request(door.method, door.address(played.cycle), headers=headers)
        assert answer.status_code == 401, door
        check_problem(answer)


def callers(services: Services, service: Service) -> list[httpx.Client]:
    """Return a client for everybody whom some door of a service lets in, and one without any right."""
    bearer = {"authorization": f"Bearer {services.stage.hr_key}"}
    found = [httpx.Client(trust_env=False, headers=headers) for headers in ({}, bearer)]
    return found + [services.signed(sender, service) for sender in CALLERS[service]]


def check_junk(client: httpx.Client, door: Door, value: str, body: bytes, media_type: str) -> int:
    """Send junk to a door; return the status after checking its form."""
    answer = client.request(
        door.method, door.address(value), content=body, headers={"content-type": media_type}
    )
    assert answer.status_code < 500, (door, value[:20], body[:40], answer.text[:200])
    if answer.status_code >= 400:
        check_problem(answer)
        assert value not in answer.text or len(value) < 3
    return answer.status_code


def test_junk_is_answered_by_a_problem_and_never_by_a_fault(
    services: Services, played: Played, every_door: list[Door]
) -> None:
    for service in SERVICES:
        for client in callers(services, service):
            with client:
                for door in (door for door in every_door if door.service == service):
                    for value in JUNK_IDS:
                        check_junk(client, door, value, b"{}", "application/json")
                    # A good address leads further in than a bad one.
                    for body, value in itertools.product(JUNK_BODIES.values(), ("x", played.cycle)):
                        check_junk(client, door, value, body, "application/json")
                    if door.path == "/hr/cycles":
                        for body in JUNK_BODIES.values():
                            check_junk(client, door, "x", body, "multipart/form-data; boundary=x")
    log = (services.folder / "services.log").read_text("utf-8")
    assert "unforeseen" not in log
    assert "Traceback" not in log


def test_a_release_that_misses_a_part_is_refused_even_if_aggregate_signed_it(
    services: Services, played: Played
) -> None:
    whole = played.signed_release.document
    identity = services.identity("aggregate")
    with services.signed("aggregate", "report") as aggregate:
        for name in whole:
            document = {key: value for key, value in whole.items() if key != name}
            signatures = {"aggregate": identity.sign("release", canonical(document))}
            answer = aggregate.post(
                "/internal/releases", json={"document": document, "signatures": signatures}
            )
            assert answer.status_code == 422, name
            check_problem(answer)


def test_unknown_addresses_and_methods_are_problems(
    services: Services, every_door: list[Door], anyone: httpx.Client
) -> None:
    for door in every_door:
        known = {each.method for each in every_door if (each.base, each.path) == (door.base, door.path)}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            wrong = anyone.request(method, door.address("x"))
            assert wrong.status_code in (404, 405), (door, method)
            check_problem(wrong)
    for service in SERVICES:
        answer = anyone.get(f"{services.url(service)}/no/such/place")
        assert answer.status_code == 404
        check_problem(answer)


def test_no_door_sets_a_cookie_or_names_its_software(every_door: list[Door], anyone: httpx.Client) -> None:
    for door in every_door:
        answer = anyone.request(door.method, door.address("x"))
        assert not {"set-cookie", "server", "x-powered-by"} & set(answer.headers)
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_only_manifest_and_receipts_are_open_to_other_pages(
    played: Played, every_door: list[Door], anyone: httpx.Client
) -> None:
    opened = set()
    for door in every_door:
        origin = {"origin": "https://elsewhere.example"}
        answer = anyone.request(door.method, door.address(played.cycle), headers=origin)
        if "access-control-allow-origin" in answer.headers:
            opened.add(door.path.rpartition("/")[2])
        assert "access-control-allow-credentials" not in answer.headers
    assert opened == {"manifest", "receipts"}
