"""A stop drops nothing: SIGTERM in the middle of everything ends in 15 seconds, the next start goes on (P8).

At that moment 32 connections upload sealed sheets, a release of another cycle runs, callers sit idle, and
others have sent half a request.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from services.kit.settings import FILE
from services.protocol.messages import ChainReply, ReleaseState
from services.protocol.receipts import receipt_hash
from services.protocol.release import parse
from services.rehearsal.phone import Line, Phone
from tests.e2e.played import get
from tests.e2e.stages import Services, alive, answers, children, running_services
from tests.e2e.test_restart import COMPANY, REPS, SHEETS, Collected, box, finish, opened_cycle

LIMIT_SECONDS = 15.0
CONNECTIONS, GENERATIONS, IDLE = 32, 25, 5
ACKNOWLEDGED_BEFORE = 100


@dataclass
class Stopped:
    """What was going on, and what was found afterwards."""

    services: Services
    released: Collected
    uploading: Collected
    generations: list[list[str]]
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    code: int | None = None
    seconds: float = 0.0
    workers: set[int] = field(default_factory=set)
    words: str = ""
    slow: bytes = b"?"
    half_a_header: bytes = b"?"
    idle: list[bytes] = field(default_factory=list)
    log: list[dict[str, object]] = field(default_factory=list)
    before_restart: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    """Stop the services in the middle of everything, and start them again."""
    with running_services(tmp_path_factory.mktemp("stop") / "stage") as services:
        released = opened_cycle(services)
        asyncio.run(answered(released))
        with services.hr() as hr:
            hr.close(released.cycle)
        uploading = opened_cycle(services)
        sealed = asyncio.run(sealed_sheets(uploading))
        names = [[receipt_hash(one).hex() for one in generations] for generations in sealed]
        found = Stopped(services, released, uploading, names)
        asyncio.run(stop_in_the_middle(found, sealed))
        found.log = [json.loads(line) for line in (services.folder / "services.log").read_text().splitlines()]
        found.before_restart = box(services, uploading.cycle)
        services.start()
        yield found


async def answered(collected: Collected) -> None:
    """Let everybody take part."""
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        for code, response in collected.codes:
            phone = Phone(Line(client), collected.view, code)
            await phone.take_part(response)
            collected.phones.append(phone)


async def sealed_sheets(collected: Collected) -> list[list[bytes]]:
    """Return, token by token, many envelopes that replace each other."""
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        sheets: list[list[bytes]] = []
        for code, response in collected.codes:
            phone = Phone(Line(client), collected.view, code)
            await phone.session()
            phone.answer(response)
            await phone.take_tokens()
            by_token: dict[str, list[bytes]] = {}
            for _ in range(GENERATIONS):
                phone.seal()
                for name, envelope in phone._sealed.items():
                    by_token.setdefault(name, []).append(envelope)
            sheets += by_token.values()
    return sheets


async def stop_in_the_middle(found: Stopped, sealed: list[list[bytes]]) -> None:
    """Have everything going on at once, ask the process to end, and watch."""
    child = found.services.child
    assert child is not None
    port = int(found.services.url("survey").rpartition(":")[2])
    half_a_body = (
        b"POST /api/cycles/x/envelopes HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 900\r\n\r\nhalf"
    )
    slow, header = await connected(port, half_a_body), await connected(port, b"GET /healthz HTTP/1.1\r\nho")
    idle = [await connected(port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") for _ in range(IDLE)]
    for reader, _ in idle:
        assert b"200" in await reader.readuntil(b'ok"}')
    shares = [sealed[place::CONNECTIONS] for place in range(CONNECTIONS)]
    uploads = [asyncio.create_task(upload(found, port, share)) for share in shares]
    found.words = await asyncio.to_thread(released_half_way, found)
    while len(found.acknowledged) < ACKNOWLEDGED_BEFORE:
        await asyncio.sleep(0.01)
    found.workers = children(child.pid)
    begun = time.monotonic()
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        found.code = await asyncio.to_thread(child.wait, 3 * LIMIT_SECONDS)
    found.seconds = time.monotonic() - begun
    await asyncio.gather(*uploads)
    found.slow, found.half_a_header = await rest(slow), await rest(header)
    found.idle = [await rest(each) for each in idle]


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(port: int, data: bytes) -> Connection:
    """Return a connection on which some bytes were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def rest(connection: Connection) -> bytes:
    """Return what came until the other side closed."""
    reader, writer = connection
    data = b""
    with suppress(ConnectionError):
        data = await reader.read()
    writer.close()
    return data


async def upload(found: Stopped, port: int, share: list[list[bytes]]) -> None:
    """Send sheets over one connection that is kept open, each token's in order, until nobody answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/api/cycles/{found.uploading.cycle}/envelopes"
    try:
        for generation in range(GENERATIONS):
            for token in share:
                envelope = token[generation]
                head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(envelope)}\r\n\r\n"
                writer.write(head.encode() + envelope)
                await writer.drain()
                status = await answer(reader)
                if status == 201:
                    found.acknowledged.add(receipt_hash(envelope).hex())
                else:
                    assert status == 503
    except (ConnectionError, asyncio.IncompleteReadError):
        found.refused += 1
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> int:
    """Read one whole answer; return its status. Half an answer acknowledges nothing."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ")[1])


def released_half_way(found: Stopped) -> str:
    """Ask for the release; return what it says once it has come to the sheets, and not yet opened one."""
    asked = f"/internal/cycles/{found.released.cycle}"
    with found.services.signed("survey", "aggregate") as survey:
        state = ReleaseState.model_validate(survey.post(f"{asked}/release").json())
        while not state.words.startswith("Opening sheets"):
            assert state.state == "running", state.words
            state = ReleaseState.model_validate(survey.get(asked).json())
    return state.words


def test_the_process_ends_in_order_within_the_limit(stopped: Stopped) -> None:
    assert stopped.code == 0
    assert stopped.seconds <= LIMIT_SECONDS
    assert stopped.words.startswith("Opening sheets: 0 of")
    assert not [pid for pid in stopped.workers if alive(pid)]


def test_uploads_were_going_on(stopped: Stopped) -> None:
    assert len(stopped.acknowledged) >= ACKNOWLEDGED_BEFORE
    assert stopped.refused == CONNECTIONS


def test_every_acknowledged_sheet_is_in_the_box_or_was_replaced_by_its_own_phone(stopped: Stopped) -> None:
    stored = box(stopped.services, stopped.uploading.cycle)
    assert sorted(stored) == sorted(stopped.before_restart)
    for token in stopped.generations:
        here = [place for place, name in enumerate(token) if name in set(stored)]
        acknowledged = [place for place, name in enumerate(token) if name in stopped.acknowledged]
        # One envelope a token: the last one acknowledged, or one sent after it whose answer was lost.
        assert len(here) == (1 if acknowledged else len(here))
        assert max(here, default=-1) >= max(acknowledged, default=-1)
        assert max(here, default=-1) - max(acknowledged, default=-1) <= 1
    assert len(stored) == len(set(stored)) <= REPS * SHEETS


def test_slow_callers_are_told_to_come_again_and_idle_ones_are_let_go(stopped: Stopped) -> None:
    assert stopped.slow.startswith(b"HTTP/1.1 503")
    assert b"urn:fairpatch:problem:busy" in stopped.slow
    assert stopped.half_a_header == b""
    assert stopped.idle == [b""] * IDLE


def test_the_log_tells_of_the_stop_in_lines_without_numbers_of_calls(stopped: Stopped) -> None:
    events = [line["event"] for line in stopped.log]
    assert events.count("stopping") == events.count("stopped") == 1
    assert not [
        line for line in stopped.log if line["level"] == "error" and "Cancel" not in str(line["event"])
    ]
    assert not [event for event in events if "Cancel" in str(event) and any(c.isdigit() for c in str(event))]


def test_the_release_is_made_after_the_restart_and_once(stopped: Stopped) -> None:
    services, cycle = stopped.services, stopped.released.cycle
    address = f"{services.stage.aggregate}/api/releases/{cycle}"
    assert get(address).status_code == 404
    finish(stopped.released)
    release = parse(get(address).json()["document"])
    for totals in release.sheets.values():
        assert (totals.issued, totals.received, totals.counted) == (REPS, REPS, REPS)
    finish(stopped.released)
    assert parse(get(address).json()["document"]) == release
    with services.signed("aggregate", "report") as aggregate:
        reply = aggregate.get("/internal/chain", params={"company": COMPANY})
    assert ChainReply.model_validate(reply.json()) == ChainReply(head=release.hash().hex(), length=1)


def test_a_peer_that_never_answers_does_not_hold_a_stop(stopped: Stopped) -> None:
    services = stopped.services
    services.stop()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        path = services.folder / "aggregate" / FILE
        given = json.loads(path.read_text())
        given["peers"]["report"]["url"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        path.write_text(json.dumps(given))
        code, seconds, reasons = stopped_aggregate(services)
    assert ["chain of releases" in reason for reason in reasons] == [True]
    assert (code, seconds <= LIMIT_SECONDS) == (0, True)


def stopped_aggregate(services: Services) -> tuple[int, float, list[str]]:
    """Run aggregate alone, stop it; return its exit code, how long that took, and why it wasn't ready."""
    command = [sys.executable, "-m", "services", "serve", "aggregate", "--dir", str(services.folder)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with closing(httpx.Client(timeout=2.0, trust_env=False)) as client:
            deadline = time.monotonic() + 90
            while not answers(client, f"{services.url('aggregate')}/healthz"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            reasons = client.get(f"{services.url('aggregate')}/readyz").json()["reasons"]
        begun = time.monotonic()
        child.send_signal(signal.SIGTERM)
        return child.wait(3 * LIMIT_SECONDS), time.monotonic() - begun, reasons
    finally:
        child.kill()
        child.wait()
