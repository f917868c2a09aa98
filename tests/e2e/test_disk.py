"""A full disk: what can't be written is not acknowledged, and everything goes on once there is room again.

The services, or PostgreSQL, get a limit on the length of files while they run; a write behind it fails as it
does on a full disk.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from shutil import which

import httpx
import pytest

from services.protocol.receipts import receipt_hash
from services.rehearsal.answers import parse_answers
from services.rehearsal.links import links_of
from services.rehearsal.phone import CycleView, Line, Phone, Response, Unreachable, fetch_manifest
from services.rehearsal.workforce import make_workforce
from tests.e2e.apart import Apart, apart
from tests.e2e.books import box
from tests.e2e.played import in_two_regions
from tests.e2e.stages import PROC, children, options

REPS = 24
# Above the log of a service, below what the box of this cycle needs.
LIMIT_BYTES = 64 << 10
NEVER_SECONDS = 3600.0


pytestmark = pytest.mark.skipif(which("prlimit") is None, reason="needs prlimit, to limit a running process")


@dataclass
class Filled:
    """What phones were told while the disk was full, and afterwards."""

    services: Apart
    phones: list[Phone]
    statuses: list[int] = field(default_factory=list)
    acknowledged: set[bytes] = field(default_factory=set)
    held: set[bytes] = field(default_factory=set)
    refused_passes: list[type[Exception]] = field(default_factory=list)

    @property
    def sealed(self) -> list[bytes]:
        """All envelopes of all phones."""
        return [data for phone in self.phones for data in phone._sealed.values()]

    def in_the_box(self) -> set[bytes]:
        """Return the hashes of what survey holds."""
        return {row[3] for rows in box(self.services).values() for row in rows}


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Return what happened when the disk was full in the middle of a collection."""
    folder = tmp_path_factory.mktemp("disk") / "stage"
    # No mixing in between: it would fail as well, and make room.
    with apart(folder, request.param, mixing_seconds=NEVER_SECONDS) as services:
        codes, view, said = opened(services)
        yield asyncio.run(play(services, codes, view, said))


def opened(services: Apart) -> tuple[list[str], CycleView, list[Response]]:
    """Open a cycle."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    with services.hr() as hr:
        chosen = options(plan="finer", k=5, response=1.0)
        cycle = hr.draft(roster, ("results.csv", workforce.results_csv), chosen).cycle
        links = links_of(hr.open(cycle), services.stage)
    said = parse_answers(
        workforce.answers_csv, file="answers.csv", employee_ids=[x.employee_id for x in links]
    )
    first = links[0]

    async def view() -> CycleView:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await fetch_manifest(
                Line(client), survey=first.survey, aggregate=first.aggregate, cycle=cycle, pinned=first.pinned
            )

    return [link.code for link in links], asyncio.run(view()), [said[link.employee_id] for link in links]


async def play(services: Apart, codes: list[str], view: CycleView, said: list[Response]) -> Filled:
    """Let phones seal, fill the disk, let them send, make room, and let them send again."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line = Line(client, pauses_seconds=())
        phones = [Phone(line, view, code) for code in codes]
        late = phones.pop()
        for phone, response in zip(phones, said, strict=False):
            await phone.session()
            phone.answer(response)
            await phone.take_tokens()
            phone.seal()
        await late.session()
        late.answer(said[-1])
        seen = Filled(services, phones)
        fill(services)
        for data in seen.sealed:
            await send(client, view, data, seen)
        try:
            await late.take_tokens()
        except Unreachable as error:
            seen.refused_passes.append(type(error))
        make_room(services)
        seen.held = seen.in_the_box()
        for phone in [*phones, late]:
            phone.line = Line(client)
        await late.take_tokens()
        late.seal()
        seen.phones.append(late)
        for phone in seen.phones:
            await phone.send()
    return seen


async def send(client: httpx.AsyncClient, view: CycleView, data: bytes, seen: Filled) -> None:
    """Send one envelope once, and note what was said to it."""
    headers = {"content-type": "application/octet-stream"}
    answer = await client.post(view.address("envelopes"), content=data, headers=headers)
    seen.statuses.append(answer.status_code)
    if answer.status_code == 201:
        seen.acknowledged.add(receipt_hash(data))


def fill(services: Apart) -> None:
    """Leave no room for whoever writes survey's database."""
    if services.server is None:
        written_by = [services.processes["survey"].pid]
    else:
        assert services.server.child is not None
        written_by = [services.server.child.pid, *children(services.server.child.pid)]
    for pid in written_by:
        limit(pid, str(LIMIT_BYTES))


def make_room(services: Apart) -> None:
    """Take the limit away; PostgreSQL ends itself when it can't write its log, and is started again."""
    server = services.server
    if server is None:
        limit(services.processes["survey"].pid, "unlimited")
        return
    assert server.child is not None
    if server.child.poll() is None:
        server.kill()
    server.start()


def limit(pid: int, most: str) -> None:
    """Limit the length of a process's files; one that has just ended has none."""
    with suppress(FileNotFoundError):
        # As the user who runs it: not even root may set limits of others in every container.
        user = (PROC / str(pid)).stat().st_uid
        subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={most}:unlimited"], check=False, user=user)


def test_what_could_not_be_written_was_refused_and_the_rest_acknowledged(filled: Filled) -> None:
    assert set(filled.statuses) <= {201, 503}
    assert filled.statuses.count(503) > len(filled.statuses) // 2
    assert filled.refused_passes == [Unreachable]


def test_exactly_what_was_acknowledged_is_in_the_box(filled: Filled) -> None:
    assert filled.held == filled.acknowledged


def test_the_same_bytes_are_taken_once_there_is_room_again(filled: Filled) -> None:
    assert filled.in_the_box() == {receipt_hash(data) for data in filled.sealed}


def test_nothing_is_lost_by_a_kill_afterwards(filled: Filled) -> None:
    services = filled.services
    services.cut("survey")
    services.launch("survey")
    services.wait("survey")
    assert filled.in_the_box() == {receipt_hash(data) for data in filled.sealed}
