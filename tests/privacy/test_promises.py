"""Parts of promises that no other test would see broken: a copy with the fault planted passed all others."""

import ast
import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import gmpy2
import pytest

from services.aggregate.store import AlreadyRecorded
from services.protocol.problems import Problem
from services.rehearsal.blinding import PublicKey
from services.rehearsal.cycleview import Issuer
from services.rehearsal.phone import make_pass
from services.survey.app import _mix_regularly
from services.survey.core.cycle import State
from services.survey.inbox import Arrival, Inbox
from services.survey.store import Store
from services.survey.tables import Cycle
from tests.architecture.source import SERVICES, place, python_files, tree
from tests.e2e.stages import PROC, alive, end_worker
from tests.flow.aggregate.factories import make_manifest, make_proposal, make_upload
from tests.flow.aggregate.world import World
from tests.flow.survey.phones import hand_of
from tests.flow.survey.ring import WORKFORCE, Ring, options, running_ring
from tests.stores import LENDER

ENDED_WITHIN_SECONDS = 10.0
REPS = 24
ARRIVAL = Arrival("c" * 16, "support-result", bytes(32), 1, bytes(32), bytes(620))


# P1, P2 and P4: what the files tell while a cycle is open, and after the close


@dataclass(frozen=True)
class Stolen:
    """Survey's log and database before and after the close; the truth beside them."""

    codes: list[str]
    nonces: dict[str, list[bytes]]
    before: list[bytes]
    after: list[bytes]


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Stolen:
    """Let reps take part one after the other, close the cycle, and take the files both times."""
    nonces: dict[str, list[bytes]] = {}
    with running_ring(tmp_path_factory.mktemp("ring")) as ring:
        cycle, codes = opened(ring)
        for code in codes[:REPS]:
            hand = hand_of(ring, cycle, code)
            for sheet, token in hand.tokens.items():
                assert hand.post(hand.seal(sheet).encode())[0] == 201
                nonces.setdefault(sheet, []).append(token[2:34])
        before = files(ring.folder)
        assert ring.client.post(f"/hr/cycles/{cycle}/close", headers=ring.hr).status_code == 200
        return Stolen(codes, nonces, before, files(ring.folder))


def opened(ring: Ring) -> tuple[str, list[str]]:
    """Return an open cycle with few sheets per rep, and its codes."""
    cycle = ring.draft(options(plan="stronger", rehearsal=True)).json()["cycle"]
    answer = ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
    return cycle, [link["link"].split("#")[1] for link in answer.json()["links"]]


def files(folder: Path) -> list[bytes]:
    """Return the write-ahead log and the database file, as a thief or a file backup takes them."""
    return [(folder / f"survey.db{kind}").read_bytes() for kind in ("-wal", "")]


def first_place(files: list[bytes], needle: bytes) -> tuple[int, int]:
    """Return where bytes first appear: in which file (the log first) and at which offset."""
    found = ((index, data.find(needle)) for index, data in enumerate(files))
    return next(((index, at) for index, at in found if at >= 0), (len(files), 0))


def order_seen(files: list[bytes], nonces: dict[str, list[bytes]]) -> float:
    """Return how closely the places of sheets in the files follow their arrival, as a mean over the kinds."""
    found = []
    for arrived in nonces.values():
        places = sorted(range(len(arrived)), key=lambda at: first_place(files, arrived[at]))
        found.append(rank_correlation(places))
    return sum(found) / len(found)


def rank_correlation(order: list[int]) -> float:
    """Return how closely an order of 0, 1, 2 ... follows their size."""
    mean = (len(order) - 1) / 2
    cross = sum((place - mean) * (at - mean) for place, at in enumerate(order))
    return cross / sum((at - mean) ** 2 for at in order)


def test_while_a_cycle_is_open_no_file_holds_a_link_code(stolen: Stolen) -> None:
    assert any(nonce in data for data in stolen.before for nonce in stolen.nonces["flag-result"])
    assert not [code for code in stolen.codes for data in stolen.before if code.encode() in data]


def test_after_the_close_no_file_tells_in_which_order_sheets_came(stolen: Stolen) -> None:
    """Reps came one after the other, so whoever knows the order knows which sheets are one rep's."""
    assert order_seen(stolen.before, stolen.nonces) > 0.9
    # The mean of the ranks' correlations over four kinds has a deviation of 1 / sqrt(4 * 23).
    limit = 5 / (len(stolen.nonces) * (REPS - 1)) ** 0.5
    assert abs(order_seen(stolen.after, stolen.nonces)) < limit


def test_the_place_on_the_roster_does_not_follow_the_file(tmp_path: Path) -> None:
    with running_ring(tmp_path) as ring:
        assert ring.draft().status_code == 201
        with closing(sqlite3.connect(ring.folder / "survey.db")) as connection:
            rows = connection.execute("SELECT employee_id FROM member ORDER BY number").fetchall()
    names = [line.split(",")[0] for line in WORKFORCE.roster_csv.decode().splitlines()[1:]]
    order = [names.index(name) for (name,) in rows]
    assert abs(rank_correlation(order)) < 5 / (len(order) - 1) ** 0.5


class MixedStore:
    """Counts how often it is mixed; ten envelopes are enough to hide among."""

    def __init__(self) -> None:
        self.mixed = 0

    def mixing_size(self) -> int:
        """Return the largest k that is open."""
        return 10

    def mix(self) -> None:
        """Note a mixing."""
        self.mixed += 1


def test_the_box_is_mixed_at_the_start_and_when_k_sheets_of_one_kind_wait() -> None:
    async def journey() -> list[int]:
        store, inbox = MixedStore(), Inbox(lambda arrivals: [], capacity=1)
        mixer = asyncio.create_task(_mix_regularly(inbox, store, 0.01))  # type: ignore[arg-type]
        seen = []
        for waiting in ({}, {("c", "one"): 9, ("c", "other"): 9}, {("c", "one"): 10, ("c", "other"): 9}):
            inbox.unmixed.update(Counter(waiting) - inbox.unmixed)
            await asyncio.sleep(0.3)
            seen.append(store.mixed)
        mixer.cancel()
        with suppress(asyncio.CancelledError):
            await mixer
        assert not +inbox.unmixed
        return seen

    assert asyncio.run(journey()) == [1, 1, 2]


def test_every_blinding_factor_is_fresh_and_large() -> None:
    """With a factor that survey could guess, survey would know the token it signs."""
    # Any modulus serves: nothing is signed here.
    n = gmpy2.next_prime(2**1023) * gmpy2.next_prime(2**1024)
    issuer = Issuer(b"spki", PublicKey(int(n), 65537), b"challenge", b"")
    inverses = [make_pass(issuer).blinding.inverse for _ in range(8)]
    factors = [int(gmpy2.invert(inverse, n)) for inverse in inverses]
    assert len(set(factors)) == len(factors)
    # A uniform factor is that small once in 2^100.
    assert min(factors) > int(n) >> 100


# P5: no key in memory after a power cut

WORKERS = """
import sys
from services.aggregate.workers import worker_processes
with worker_processes(2) as pool:
    print(*pool._processes, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not PROC.is_dir(), reason="Processes are found in /proc, which this system doesn't have.")
def test_a_worker_that_may_hold_a_key_ends_with_its_service() -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", WORKERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with service:
        assert service.stdout is not None
        workers = [int(pid) for pid in service.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(pid) for pid in workers)
        service.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + ENDED_WITHIN_SECONDS
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [pid for pid in workers if alive(pid)]
    for pid in workers:
        end_worker(pid)
    assert left == []


# P6: one manifest, also for two calls at one moment


def test_of_two_manifests_that_were_both_checked_the_first_stands(tmp_path: Path) -> None:
    world = World(tmp_path / "aggregate")
    proposal = make_proposal()
    first = make_manifest(proposal, world.flow().propose(proposal).opening_keys)
    later = first.model_copy(update={"title": "Another title"})
    store = world.parts().store
    store.accept_manifest(proposal.cycle, make_upload(first).signed, {})
    with pytest.raises(AlreadyRecorded):
        store.accept_manifest(proposal.cycle, make_upload(later).signed, {})
    assert store.cycle(proposal.cycle).manifest == make_upload(first).signed
    world.stop()


# P7: nothing that can be foretold decides what is shown


def other_chance(module: ast.Module) -> list[str]:
    """Return the names by which a module could draw from anything but the operating system."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] == "random"]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            found += [name for name in names if "random" in name.split(".")]
        elif isinstance(node, ast.Attribute) and node.attr in ("random", "default_rng", "Random"):
            if ast.unparse(node) != "secrets.SystemRandom().random":
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and node.id in ("__import__", "import_module"):
            found.append(node.id)
    return found


@pytest.mark.parametrize("room", ["survey", "aggregate", "report", "kit", "protocol"])
def test_services_draw_from_the_operating_system_only(room: str) -> None:
    found = {place(path): other_chance(tree(path)) for path in python_files(SERVICES / room)}
    assert len(found) > 3
    assert {where: names for where, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import random",
        "from numpy import random",
        "from numpy.random import default_rng",
        "import numpy as np\nnp.random.default_rng()",
        "coin = __import__('random').Random(7).random",
    ],
)
def test_the_search_for_other_chance_sees(code: str) -> None:
    assert other_chance(ast.parse(code))


# P8: acknowledged means stored, closed means closed


def test_a_sheet_is_acknowledged_after_its_commit_and_not_before() -> None:
    async def journey() -> None:
        go_on = threading.Event()

        def commit(arrivals: list[Arrival]) -> list[str]:
            go_on.wait(5.0)
            return ["stored"] * len(arrivals)

        inbox = Inbox(commit, capacity=5)
        writer, waiting = asyncio.create_task(inbox.run()), asyncio.create_task(inbox.put(ARRIVAL))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        go_on.set()
        assert await waiting == "stored"
        inbox.stop()
        await writer

    asyncio.run(journey())


def test_a_sheet_whose_commit_failed_is_not_acknowledged() -> None:
    async def journey() -> None:
        def commit(arrivals: list[Arrival]) -> list[str]:
            raise OSError("disk full")

        inbox = Inbox(commit, capacity=5)
        writer = asyncio.create_task(inbox.run())
        with pytest.raises(Problem) as refusal:
            await inbox.put(ARRIVAL)
        assert refusal.value.kind == "busy"
        inbox.stop()
        await writer

    asyncio.run(journey())


def test_a_closed_cycle_takes_nothing_from_a_call_that_began_before(tmp_path: Path) -> None:
    store = Store(LENDER.open(tmp_path, "survey"))
    store.add_cycle(Cycle(id=ARRIVAL.cycle, state=State.OPEN, draft="{}"), [])
    assert store.close_cycle(ARRIVAL.cycle, "2026-03-02T09:00:00Z")
    assert store.put_envelopes([ARRIVAL]) == ["closed"]
    assert store.take_pass(ARRIVAL.cycle, 1, bytes(32)) is None
    assert store.counts(ARRIVAL.cycle) == (0, {})
