"""The close of one box, measured: a process of its own, so that its memory is that of this box alone.

It does aggregate's part with aggregate's code, without the web service around it. Called by ``closing``.
"""

import json
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench.speed import probes
from bench.speed.box import SHEET, Sealing
from services.aggregate.app import MIGRATIONS
from services.aggregate.box import CHUNK_ENVELOPES
from services.aggregate.core.chunks import cut
from services.aggregate.core.opener import Opener
from services.aggregate.core.receiptlist import root
from services.aggregate.core.tally import Tally, count_chunk, merge
from services.aggregate.store import Finished, Store
from services.aggregate.workers import count_sheet, end_with_parent, worker_processes
from services.kit.migrations import open_database
from services.protocol import envelope
from services.protocol.messages import Proposal
from services.protocol.plan import make_plan
from services.protocol.receipts import list_digits
from services.protocol.release import FIRST

WORKERS = 2
ABOUT_SHEETS, MOST_ROUNDS = 40_000, 5
"""Small boxes are measured several times, until about so many sheets were opened."""
BLOCK_BYTES = 1 << 16
CYCLE = "speed"


@dataclass(frozen=True)
class Took:
    """What a piece of work took on the clock and of all processors, both [s]."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Round:
    """One round. Ratios are to N key exchanges on one core, measured just before and after."""

    exchange: float
    opening: Took
    check_one: Took
    check_two: Took
    opening_ratio: Took
    check_one_ratio: Took
    check_two_ratio: Took

    @property
    def efficiency(self) -> float:
        """How much of two processes one process would have needed."""
        return self.check_one.wall / (WORKERS * self.check_two.wall)


@dataclass(frozen=True)
class Figures:
    """What was measured for one box; times [s], memory and sizes [bytes]."""

    sheets: int
    source: str
    rounds: tuple[Round, ...]
    start_workers: float
    root: float
    publish: float
    database_bytes: int
    sync: float
    main_bytes: int
    worker_bytes: tuple[int, ...]


def measure(folder: Path, sheets: int) -> Figures:
    """Open, check and publish the box in this folder."""
    sealing = pickle.loads((folder / "sealing").read_bytes())
    read = partial(chunks, folder / "box", sealing.rules.envelope_length)
    source, rounds = probes.exchange().source, max(1, min(MOST_ROUNDS, ABOUT_SHEETS // sheets))
    begun = time.perf_counter()
    with worker_processes(WORKERS) as pool:
        started = time.perf_counter() - begun
        done = [one_round(read, sealing, pool, sheets) for _ in range(rounds)]
        workers = of_workers(pool)
    rooted, published, size = publish(folder, done[-1][0])
    return Figures(
        sheets=sheets,
        source=source,
        rounds=tuple(figures for _, figures in done),
        start_workers=started,
        root=rooted,
        publish=published,
        database_bytes=size,
        sync=probes.sync_seconds(folder),
        main_bytes=probes.used().peak_bytes,
        worker_bytes=tuple(each.peak_bytes for each in workers),
    )


def one_round(
    read: Callable[[], Iterator[bytes]], sealing: Sealing, pool: Executor, sheets: int
) -> tuple[Tally, Round]:
    """Measure opening, the check by one process and by two, with key exchanges in between."""
    exchanges = [probes.exchange().seconds]
    opening = alone(open_all, read, sealing)
    exchanges.append(probes.exchange().seconds)
    one = alone(check_all, read, sealing)
    exchanges.append(probes.exchange().seconds)
    tally, two = by_two(read, sealing, pool)
    exchanges.append(probes.exchange().seconds)
    assert (tally.received, tally.counted, tally.rejected) == (sheets, sheets, {})
    around = [sheets * (exchanges[at] + exchanges[at + 1]) / 2 for at in range(3)]
    return tally, Round(
        exchange=statistics.median(exchanges),
        opening=opening,
        check_one=one,
        check_two=two,
        opening_ratio=Took(opening.wall / around[0], opening.cpu / around[0]),
        check_one_ratio=Took(one.wall / around[1], one.cpu / around[1]),
        # On the clock two processes share the work.
        check_two_ratio=Took(WORKERS * two.wall / around[2], two.cpu / around[2]),
    )


def by_two(read: Callable[[], Iterator[bytes]], sealing: Sealing, pool: Executor) -> tuple[Tally, Took]:
    """Check every sheet as aggregate does."""
    before, begun = cpu_of_all(pool), time.perf_counter()
    rules, key = sealing.rules, sealing.opening_key
    tally = count_sheet(read, rules, key, pool, lambda _: None, in_flight=2 * WORKERS)
    wall = time.perf_counter() - begun
    return tally, Took(wall, cpu_of_all(pool) - before)


def cpu_of_all(pool: Executor) -> float:
    """Return the processor time of this process and the workers together."""
    return probes.used().cpu_seconds + sum(each.cpu_seconds for each in of_workers(pool))


def of_workers(pool: Executor) -> list[probes.Used]:
    """Return what each worker used so far."""
    found: dict[int, probes.Used] = {}
    while len(found) < WORKERS:
        asked = [pool.submit(probes.used) for _ in range(2 * WORKERS)]
        found.update({each.process: each for each in (one.result() for one in asked)})
    return list(found.values())


def chunks(path: Path, length: int) -> Iterator[bytes]:
    """Yield a box as aggregate cuts the stream that survey sends."""
    with path.open("rb", buffering=0) as file:
        yield from cut(iter(partial(file.read, BLOCK_BYTES), b""), length=length, sheets=CHUNK_ENVELOPES)


def alone(
    work: Callable[[Callable[[], Iterator[bytes]], Sealing], None],
    read: Callable[[], Iterator[bytes]],
    sealing: Sealing,
) -> Took:
    """Return what a fresh process took, from when it was ready."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        return pool.submit(timed, work, read, sealing).result()


def timed(
    work: Callable[[Callable[[], Iterator[bytes]], Sealing], None],
    read: Callable[[], Iterator[bytes]],
    sealing: Sealing,
) -> Took:
    """Return what this process takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(read, sealing)
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def open_all(read: Callable[[], Iterator[bytes]], sealing: Sealing) -> None:
    """Open every sheet and check nothing else."""
    rules = sealing.rules
    opener = Opener(
        sealing.opening_key, suite=rules.suite, manifest_hash=rules.manifest_hash, sheet=rules.sheet
    )
    for chunk in read():
        for start in range(0, len(chunk), rules.envelope_length):
            data = chunk[start : start + rules.envelope_length]
            fields = envelope.parse(data, length=rules.envelope_length, suite=rules.suite)
            opener.plaintext(fields.sealed, nonce=envelope.nonce(fields.public_key))


def check_all(read: Callable[[], Iterator[bytes]], sealing: Sealing) -> None:
    """Check every sheet in full, without a second process to talk to."""
    merge(count_chunk(chunk, sealing.rules, sealing.opening_key) for chunk in read())


def publish(folder: Path, tally: Tally) -> tuple[float, float, int]:
    """Make the root, write the list as a release does; return the seconds of both and the bytes on disk."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        database = open_database(f"sqlite:///{name}/aggregate.db", MIGRATIONS)
        try:
            store, digits = Store(database), list_digits([tally.received])
            store.add_cycle(_proposal(), (), dict)
            begun = time.perf_counter()
            root(tally.outcomes, digits)
            rooted = time.perf_counter()
            store.publish(Finished(CYCLE, "made up", FIRST, "{}", {SHEET: tally.outcomes}, digits))
            written = time.perf_counter()
        finally:
            database.close()
        size = sum(each.stat().st_size for each in Path(name).iterdir())
    return rooted - begun, written - rooted, size


def _proposal() -> Proposal:
    made = make_plan("balanced", frame=400, contexts=("attainment", "activity", "group", "hit"))
    opens = "2026-01-31T12:00:00Z"
    return Proposal(cycle=CYCLE, company="Made up", k=10, invited=100, groups=(), plan=made, opens=opens)


if __name__ == "__main__":
    json.dump(asdict(measure(Path(sys.argv[1]), int(sys.argv[2]))), sys.stdout)
