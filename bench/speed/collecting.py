"""Collecting sheets: ours, the same app storing nothing, and a plain SQLModel app, turn by turn in one run.

Every app has a process and a database of its own on one PostgreSQL server that is as durable as the
services ask for; ours runs on SQLite as well. Sheets are real and each is sent once to each app.
"""

import pickle
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import getloadavg
from pathlib import Path

from bench.speed import client, probes, syncs
from bench.speed.cycle import World, make_world, write_sheets
from bench.speed.plain import POOLS
from bench.speed.serve import Process, Served, free_port, running
from services.folder import init_folder
from services.kit.database import Database
from services.kit.keys import load_identity
from services.kit.migrations import upgrade
from services.survey.app import MIGRATIONS
from services.survey.flow import check_envelope
from services.survey.store import Store
from tests.postgres import Server, running_server
from tests.stores import prepare, role

MANY, FEW = 64, 16
"""Connections."""
ORDER = ("plain", "ours", "nothing", "sqlite")
SENT = {"ours": 2_000, "nothing": 2_000, "sqlite": 1_000, "plain": 500}
"""Sheets a round: about the same time for each."""
WARM_UP, TRIED, SYNCED, CHECKED = 200, 300, 1_600, 500


@dataclass(frozen=True)
class Extent:
    """How much is measured; tests take less."""

    rounds: int = 7
    share: float = 1.0

    def of(self, sheets: int) -> int:
        """Return how many sheets to send instead of ``sheets``."""
        return max(int(self.share * sheets), MANY)


@dataclass(frozen=True)
class Taken:
    """One load on one app: sheets per second, times to an answer [s], the app's CPU time a sheet [s]."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Round:
    """One turn of all apps, and how long the disk needed to make 4 KiB safe just before [s]."""

    sync: float
    taken: dict[str, Taken]

    def over(self, name: str, other: str, figure: str) -> float:
        """Return a figure of one app in units of the other's."""
        return float(getattr(self.taken[name], figure) / getattr(self.taken[other], figure))


@dataclass(frozen=True)
class Collecting:
    """All that one run measured. ``syncs`` are per acknowledged sheet; None where they can't be counted."""

    rounds: tuple[Round, ...]
    pools: dict[int, float]
    syncs: dict[str, float | None]
    check: float
    receipt: float
    load_average: float


@dataclass
class Contender:
    """An app under load, and which sheet it gets next."""

    process: Process
    phones: "Phones"
    first: int = 0

    def take(self, count: int, connections: int) -> client.Seen:
        """Send it the next sheets."""
        seen = client.run(self.phones.load(self.process.port, self.first, count, connections))
        self.first += count
        if seen.refused:
            raise RuntimeError(f"{seen.refused} of {count} sheets were not accepted")
        return seen

    def measured(self, count: int) -> Taken:
        """Send it the next sheets over many connections, with an eye on the clock."""
        before = self.process.cpu_seconds()
        seen = self.take(count, MANY)
        cpu = (self.process.cpu_seconds() - before) / count
        return Taken(count / seen.seconds, seen.quantile(0.5), seen.quantile(0.99), cpu)


@dataclass(frozen=True)
class Phones:
    """Sealed sheets in a file."""

    world: World
    path: Path
    length: int

    def load(self, port: int, first: int, count: int, connections: int) -> client.Load:
        """Return a load of the sheets from ``first`` on."""
        return client.Load(port, self.world.cycle, str(self.path), self.length, first, count, connections)

    def some(self, count: int) -> list[bytes]:
        """Return the first sheets, at most so many."""
        data = self.path.read_bytes()[: count * self.length]
        return [data[at : at + self.length] for at in range(0, len(data), self.length)]


@dataclass
class House:
    """One run: a folder, a server, and the apps in it."""

    folder: Path
    server: Server
    phones: Phones
    stack: ExitStack = field(default_factory=ExitStack)

    def served(self, kind: str, database: str, pool: int = 0) -> Served:
        """Return what an app has to know."""
        return Served(kind, str(self.folder / "world"), database, free_port(), pool)  # type: ignore[arg-type]

    def start(self, served: Served, tracer: tuple[str, ...] = ()) -> Contender:
        """Return a running app that has answered a few sheets."""
        contender = Contender(self.stack.enter_context(running(served, tracer)), self.phones)
        contender.take(WARM_UP, MANY)
        return contender

    def on_postgres(self, kind: str) -> Served:
        """Return survey with a database of its own, as its role."""
        owner_url = self.server.make_database()
        prepare(self.server, owner_url, "survey")
        install(self.phones.world, owner_url)
        name = owner_url.split("@/")[1].split("?")[0]
        return self.served(kind, self.server.url(name, role("survey")))

    def on_sqlite(self, name: str) -> Served:
        """Return survey with a file of its own."""
        url = f"sqlite:///{self.folder / name}.db"
        database = Database(url)
        upgrade(database, MIGRATIONS)
        database.close()
        install(self.phones.world, url)
        return self.served("survey", url)

    def plain(self, pool: int) -> Served:
        """Return the plain app with a database of its own."""
        return self.served("plain", self.server.make_database(), pool)


def install(world: World, url: str) -> None:
    """Put the open cycle into a database."""
    database = Database(url)
    world.install(Store(database))
    database.close()


def measure(extent: Extent = Extent()) -> Collecting:
    """Make sheets, start the apps, measure, and leave nothing behind."""
    load_average = getloadavg()[0]
    with _house(extent) as house:
        pools = try_pools(house, extent)
        best = max(pools, key=lambda pool: pools[pool])
        apps = {
            "plain": house.start(house.plain(best)),
            "ours": house.start(house.on_postgres("survey")),
            "nothing": house.start(house.on_postgres("nothing")),
            "sqlite": house.start(house.on_sqlite("rounds")),
        }
        rounds = tuple(_round(house, apps, extent, number) for number in range(extent.rounds))
        check, receipt = check_seconds(house.phones)
        counted = {
            "PostgreSQL": syncs.on_postgres(house.server, apps["ours"].take, extent.of(SYNCED), FEW),
            "PostgreSQL in memory": syncs_in_memory(house, extent),
            "SQLite": syncs_on_sqlite(house, extent),
        }
    return Collecting(rounds, pools, counted, check, receipt, load_average)


@contextmanager
def _house(extent: Extent) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="fairpatch-speed-") as name:
        folder = Path(name)
        phones = make_phones(folder, extent)
        with running_server(max_connections="200") as server, ExitStack() as stack:
            yield House(folder, server, phones, stack)


def make_phones(folder: Path, extent: Extent) -> Phones:
    """Open a cycle and seal enough sheets for it."""
    init_folder(folder)
    world = make_world(folder / "survey")
    (folder / "world").write_bytes(pickle.dumps(world))
    count = WARM_UP + extent.rounds * extent.of(SENT["ours"]) + extent.of(SYNCED) + 2 * syncs.SETTLING
    begun = time.monotonic()
    length = write_sheets(world, count, folder / "sheets")
    print(f"{count:,} sheets made in {time.monotonic() - begun:.0f} s; measuring", flush=True)
    return Phones(world, folder / "sheets", length)


def try_pools(house: House, extent: Extent) -> dict[int, float]:
    """Return the plain app's sheets per second with each size of pool."""
    with ExitStack() as stack:
        tried = House(house.folder, house.server, house.phones, stack)
        apps = {pool: tried.start(tried.plain(pool)) for pool in POOLS}
        rates: dict[int, list[float]] = {pool: [] for pool in POOLS}
        for _ in range(3):
            for pool, app in apps.items():
                rates[pool].append(app.measured(extent.of(TRIED)).rate)
        return {pool: statistics.median(found) for pool, found in rates.items()}


def _round(house: House, apps: dict[str, Contender], extent: Extent, number: int) -> Round:
    # Each round begins with another app, so that none always follows the same one.
    turn = number % len(ORDER)
    sync = probes.sync_seconds(house.folder)
    names = ORDER[turn:] + ORDER[:turn]
    return Round(sync, {name: apps[name].measured(extent.of(SENT[name])) for name in names})


def check_seconds(phones: Phones) -> tuple[float, float]:
    """Return the processor time [s] of checking one sheet's token and signature, and of one receipt."""
    opened, identity = phones.world.opened(), load_identity(phones.world.folder / "identity.key")
    checks, receipts = [], []
    for sheet in phones.some(CHECKED):
        begun = time.process_time()
        arrival = check_envelope(opened, sheet)
        checked = time.process_time()
        identity.sign("receipt", arrival.envelope_hash)
        checks.append(checked - begun)
        receipts.append(time.process_time() - checked)
    return statistics.median(checks), statistics.median(receipts)


def syncs_on_sqlite(house: House, extent: Extent) -> float | None:
    """Return the syncs per sheet that a tracer sees of survey on SQLite."""
    log = house.folder / "traced"
    if not syncs.can_trace():
        return None
    app = house.start(house.on_sqlite("traced"), syncs.tracer(log))
    return syncs.traced(log, app.take, extent.of(SYNCED), FEW)


def syncs_in_memory(house: House, extent: Extent) -> float | None:
    """Return the syncs per sheet on a disk that needs no time, where least waits while one is written."""
    with syncs.in_memory() as found:
        if not found:
            return None
        with running_server() as server, ExitStack() as stack:
            fast = House(house.folder, server, house.phones, stack)
            app = fast.start(fast.on_postgres("survey"))
            return syncs.on_postgres(server, app.take, extent.of(SYNCED), FEW)
