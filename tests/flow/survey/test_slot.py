"""The slot of the box: a sheet is answered once it is safe, and whatever comes is answered by name."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.kit.keys import load_identity
from services.protocol import envelope
from services.protocol.messages import ReceiptReply
from services.protocol.problems import Problem
from services.protocol.signed import check
from services.survey.api import phone_routes
from services.survey.flow import PhoneFlow
from services.survey.inbox import Inbox
from services.survey.issuers import IssuerFolder
from services.survey.slot import MAX_ENVELOPE_BYTES, take
from services.survey.store import Store
from tests.flow.survey.phones import Hand, hand_of
from tests.flow.survey.ring import NOW, Ring
from tests.stores import LENDER

SHEET, OTHER = "support-result", "flag-result"
Journey = Callable[[PhoneFlow, Inbox, Store], Awaitable[None]]


@pytest.fixture(scope="module")
def links(ring: Ring) -> Iterator[tuple[str, str]]:
    """The links of one open cycle, one after the other."""
    cycle, codes = ring.opened()
    return ((cycle, code) for code in codes)


@pytest.fixture
def hand(ring: Ring, links: Iterator[tuple[str, str]]) -> Hand:
    """A rep with passes."""
    return hand_of(ring, *next(links))


def stored(hand: Hand) -> int:
    """Return how many sheets of a rep are stored."""
    found = hand.ring.query("SELECT nonce FROM box WHERE cycle = :cycle", cycle=hand.cycle)
    own = {envelope.nonce(held.public_key) for held in hand.passes.values()}
    return len([nonce for (nonce,) in found if isinstance(nonce, bytes) and nonce in own])


def beside(ring: Ring, journey: Journey, capacity: int = 100) -> None:
    """Run a journey with a phone's calls on the ring's database, whose inbox nobody empties yet."""
    database = LENDER.open(ring.folder, "survey")
    store = Store(database)

    async def whole() -> None:
        inbox = Inbox(store.put_envelopes, capacity=capacity)
        identity = load_identity(ring.folder / "identity.key")
        issuers = IssuerFolder(ring.folder / "issuer-keys")
        await journey(PhoneFlow(store, inbox, identity, lambda: NOW, issuers.load), inbox, store)

    asyncio.run(whole())
    database.close()


async def emptied(inbox: Inbox) -> None:
    """Write what waits."""
    inbox.stop()
    await inbox.run()


def parts(*messages: Message) -> Callable[[], Awaitable[Message]]:
    """Return a body that arrives in parts."""
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


def part(body: bytes, more: bool = False) -> Message:
    """Return a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_receipt_is_surveys_signature_over_the_hash(ring: Ring, hand: Hand) -> None:
    sealed = hand.seal(SHEET).encode()
    answer = ring.client.post(f"/api/cycles/{hand.cycle}/envelopes", content=sealed)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    receipt = ReceiptReply.model_validate_json(answer.content)
    check(ring.survey_key, "receipt", bytes.fromhex(receipt.hash), receipt.signature)
    state = ring.client.get(f"/api/cycles/{hand.cycle}/receipts/{receipt.hash}")
    assert state.json() == {"stored": True}


def test_the_slot_answers_as_the_route_behind_it(ring: Ring, hand: Hand) -> None:
    good = (f"/api/cycles/{hand.cycle}/envelopes", hand.seal(SHEET).encode())
    calls = [good, good, (good[0], b"too short"), ("/api/cycles/none/envelopes", good[1])]
    through = [ring.client.post(path, content=body) for path, body in calls]
    assert [answer.status_code for answer in through] == [201, 201, 422, 404]

    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        app, writer = FastAPI(), asyncio.create_task(inbox.run())
        app.include_router(phone_routes(flow))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://survey") as client:
            behind = [await client.post(path, content=body) for path, body in calls]
        assert [each.content for each in behind] == [each.content for each in through]
        inbox.stop()
        await writer

    beside(ring, journey)


def test_a_body_may_come_in_parts(ring: Ring, hand: Hand) -> None:
    sealed = hand.seal(SHEET).encode()

    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        whole = parts(part(sealed[:100], more=True), part(b"", more=True), part(sealed[100:]))
        waiting = asyncio.create_task(take(flow, hand.cycle, whole))
        while not inbox.waiting:
            await asyncio.sleep(0.001)
        await emptied(inbox)
        assert (await waiting).status_code == 201

    beside(ring, journey)
    assert stored(hand) == 1


def test_a_body_that_is_too_long_or_breaks_off_stores_nothing(ring: Ring, hand: Hand) -> None:
    sealed = hand.seal(SHEET).encode()

    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        long = [part(bytes(MAX_ENVELOPE_BYTES), more=True), part(b"x", more=True)]
        assert (await take(flow, hand.cycle, parts(*long))).status_code == 413
        broken = [part(sealed[:-1], more=True), {"type": "http.disconnect"}]
        assert (await take(flow, hand.cycle, parts(*broken))).status_code == 422
        assert inbox.waiting == 0

    beside(ring, journey)
    assert stored(hand) == 0


@pytest.mark.parametrize(
    "call", ["GET /envelopes", "POST /envelopes/", "POST /envelopes/x", "PUT /envelopes"]
)
def test_only_its_own_call_goes_through_the_slot(ring: Ring, hand: Hand, call: str) -> None:
    method, path = call.split()
    answer = ring.client.request(
        method, f"/api/cycles/{hand.cycle}{path}", content=hand.seal(SHEET).encode(), follow_redirects=False
    )
    assert answer.status_code in (404, 405, 307)
    assert stored(hand) == 0


def test_the_description_says_what_the_call_takes_and_gives(ring: Ring) -> None:
    described = ring.client.get("/openapi.json").json()["paths"]["/api/cycles/{cycle}/envelopes"]["post"]
    answer = described["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/ReceiptReply"}


def test_a_full_inbox_answers_503_and_stores_nothing(ring: Ring, hand: Hand) -> None:
    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        waiting = asyncio.create_task(take(flow, hand.cycle, parts(part(hand.seal(SHEET).encode()))))
        while not inbox.full:
            await asyncio.sleep(0.001)
        turned_away = await take(flow, hand.cycle, parts(part(hand.seal(OTHER).encode())))
        assert turned_away.status_code == 503
        await emptied(inbox)
        assert (await waiting).status_code == 201

    beside(ring, journey, capacity=1)
    assert stored(hand) == 1
    assert hand.post(hand.seal(OTHER).encode())[0] == 201


def test_a_sheet_checked_before_the_close_and_written_after_it_is_refused(ring: Ring) -> None:
    cycle, codes = ring.opened()
    hand = hand_of(ring, cycle, codes[0])

    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        waiting = asyncio.create_task(flow.accept(hand.cycle, hand.seal(SHEET).encode()))
        while not inbox.waiting:
            await asyncio.sleep(0.001)
        assert store.close_cycle(hand.cycle, "2026-03-02T09:00:00Z")
        await emptied(inbox)
        with pytest.raises(Problem) as refusal:
            await waiting
        assert refusal.value.kind == "cycle-state"

    beside(ring, journey)
    assert stored(hand) == 0


def test_a_phone_that_hangs_up_while_waiting_has_its_sheet_stored_once(ring: Ring, hand: Hand) -> None:
    sealed = hand.seal(SHEET).encode()

    async def journey(flow: PhoneFlow, inbox: Inbox, store: Store) -> None:
        waiting = asyncio.create_task(take(flow, hand.cycle, parts(part(sealed))))
        while not inbox.waiting:
            await asyncio.sleep(0.001)
        waiting.cancel()
        await emptied(inbox)

    beside(ring, journey)
    assert stored(hand) == 1
    assert hand.post(sealed)[0] == 201
    assert stored(hand) == 1
