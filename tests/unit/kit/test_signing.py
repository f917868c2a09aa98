"""Signed calls: known peer, this receiver, this body, now, once; everything else looks the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from services.kit.signing import HEADER, LIFETIME_SECONDS, CallSigner, CallVerifier, signed_text
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from services.protocol.signed import Service
from tests.unit.kit.doubles import HandClock, identity, run

SURVEY, AGGREGATE, STRANGER = identity(1), identity(2), identity(3)
BODY = b'{"cycle":"vectors-2026"}'
TARGET = "/internal/cycles?from=1"


@dataclass
class Wire:
    """Survey calls aggregate; both read one clock, which began a minute ago."""

    clock: HandClock = field(default_factory=HandClock)
    verifier: CallVerifier = field(init=False)

    def __post_init__(self) -> None:
        peers: dict[Service, bytes] = {"survey": SURVEY.public, "report": identity(4).public}
        self.verifier = CallVerifier("aggregate", peers, self.clock)
        self.clock.move(60)

    def sign(
        self, *, receiver: Service = "aggregate", sender: Service = "survey", signer: Any = SURVEY
    ) -> str:
        """Return the header of a call with the usual body."""
        request = httpx.Request("POST", f"http://aggregate.test{TARGET}", content=BODY)
        signed = next(CallSigner(signer, sender, receiver, self.clock).auth_flow(request))
        return signed.headers[HEADER]

    def check(self, header: str | None, **changes: Any) -> Service:
        """Check a call; the changes are what a thief made of it."""
        return self.verifier.check(header, **({"method": "POST", "target": TARGET, "body": BODY} | changes))


def refusal(wire: Wire, header: str | None, **changes: Any) -> dict[str, str | int]:
    with pytest.raises(Problem) as caught:
        wire.check(header, **changes)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.document()


def test_a_signed_call_passes_once_and_names_its_peer() -> None:
    wire = Wire()
    assert wire.check(wire.sign()) == "survey"
    assert wire.check(wire.sign()) == "survey"


def test_a_call_for_one_service_is_refused_by_another() -> None:
    wire = Wire()
    header = wire.sign()
    wire.verifier.receiver = "report"
    assert refusal(wire, header)["status"] == 401
    assert wire.check(wire.sign(receiver="report")) == "survey"


def test_a_call_signed_by_the_async_client_passes() -> None:
    wire = Wire()

    async def header() -> str:
        request = httpx.Request("POST", f"http://aggregate.test{TARGET}", content=BODY)
        signed = await anext(CallSigner(SURVEY, "survey", "aggregate", wire.clock).async_auth_flow(request))
        return signed.headers[HEADER]

    assert wire.check(run(header())) == "survey"


THEFTS: dict[str, dict[str, Any]] = {
    "another body": {"body": BODY + b" "},
    "no body": {"body": b""},
    "another method": {"method": "PUT"},
    "another path": {"target": "/internal/ledger?from=1"},
    "another query": {"target": "/internal/cycles?from=2"},
    "query dropped": {"target": "/internal/cycles"},
}


@pytest.mark.parametrize("theft", THEFTS)
def test_a_stolen_header_fits_nothing_else(theft: str) -> None:
    wire = Wire()
    assert refusal(wire, wire.sign(), **THEFTS[theft])["status"] == 401


def replayed(wire: Wire) -> str:
    header = wire.sign()
    wire.check(header)
    return header


def late(wire: Wire) -> str:
    header = wire.sign()
    wire.clock.move(LIFETIME_SECONDS + 1)
    return header


def early(wire: Wire) -> str:
    wire.clock.move(LIFETIME_SECONDS + 1)
    header = wire.sign()
    wire.clock.move(-LIFETIME_SECONDS - 1)
    return header


def before_start(wire: Wire) -> str:
    header = wire.sign()
    wire.clock.move(5)
    wire.verifier.__post_init__()
    return header


def part(at: int, text: str) -> Callable[[Wire], str]:
    def change(wire: Wire) -> str:
        parts = wire.sign().split(" ")
        parts[at] = text
        return " ".join(parts)

    return change


BAD_HEADERS: dict[str, Callable[[Wire], str | None]] = {
    "none": lambda wire: None,
    "empty": lambda wire: "",
    "blank parts": lambda wire: "   ",
    "three parts": lambda wire: wire.sign().rsplit(" ", 1)[0],
    "five parts": lambda wire: wire.sign() + " x",
    "other blanks": lambda wire: wire.sign().replace(" ", "\t"),
    "unknown peer": part(0, "stranger"),
    "another peer's name": part(0, "report"),
    "the receiver's name": part(0, "aggregate"),
    "no time": part(1, "soon"),
    "another time": part(1, "1772438461"),
    "endless time": part(1, "9" * 5000),
    "not a number": part(1, "nan"),
    "another nonce": part(2, b64(bytes(16))),
    "short nonce": part(2, b64(bytes(15))),
    "padded nonce": part(2, b64(bytes(16)) + "=="),
    "nonce in other letters": part(2, "é" * 22),
    "zero signature": part(3, b64(bytes(64))),
    "short signature": part(3, b64(bytes(63))),
    "no signature": part(3, ""),
    "stranger's signature": lambda wire: wire.sign(signer=STRANGER),
    "for another receiver": lambda wire: wire.sign(receiver="report"),
    "replayed": replayed,
    "too late": late,
    "too early": early,
    "made before this start": before_start,
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_bad_header_is_refused(name: str) -> None:
    wire = Wire()
    assert refusal(wire, BAD_HEADERS[name](wire))["status"] == 401


def test_all_refusals_are_one_text() -> None:
    texts = {str(refusal(wire := Wire(), make(wire))) for make in BAD_HEADERS.values()}
    texts |= {str(refusal(wire := Wire(), wire.sign(), **theft)) for theft in THEFTS.values()}
    assert len(texts) == 1


def test_a_call_lives_a_minute_either_way() -> None:
    wire = Wire()
    header = wire.sign()
    wire.clock.move(LIFETIME_SECONDS)
    assert wire.check(header) == "survey"
    header = wire.sign()
    wire.clock.move(-LIFETIME_SECONDS)
    assert wire.check(header) == "survey"


def test_nonces_are_remembered_as_long_as_a_call_could_come_again() -> None:
    wire = Wire()
    wire.clock.move(LIFETIME_SECONDS)
    header = wire.sign()
    wire.clock.move(-LIFETIME_SECONDS)
    wire.check(header)
    for _ in range(2 * LIFETIME_SECONDS):
        wire.clock.move(1)
        refusal(wire, header)


def test_memory_holds_the_calls_of_two_minutes_only() -> None:
    wire = Wire()
    for _ in range(300):
        wire.clock.move(1)
        wire.check(wire.sign())
    assert len(wire.verifier._seen) <= 2 * LIFETIME_SECONDS + 1


def test_refused_calls_take_no_memory() -> None:
    wire = Wire()
    for make in BAD_HEADERS.values():
        if make is not replayed:
            refusal(wire, make(wire))
    assert wire.verifier._seen == {}


def test_no_two_calls_sign_the_same_text() -> None:
    parts: list[tuple[Any, ...]] = [
        ("survey", "aggregate", "POST", "/a", 1, "n", b""),
        ("survey", "aggregate", "POS", "T/a", 1, "n", b""),
        ("surve", "yaggregate", "POST", "/a", 1, "n", b""),
        ("survey", "aggregate", "POST", "/a1", 1, "n", b""),
        ("survey", "aggregate", "POST", "/a", 11, "n", b""),
        ("survey", "aggregate", "POST", "/a", 1, "n", b"n"),
    ]
    assert len({signed_text(*given) for given in parts}) == len(parts)
