"""A drill: services at work, a backup meanwhile, the host lost, and all three restored on an empty one."""

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from services.folder import SERVICES
from services.kit.clock import system_clock
from services.operation.backup import back_up
from services.protocol.release import Release
from services.protocol.signed import Service
from services.rehearsal.counted import fetch_release
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import Phone, Response, fetch_manifest
from services.rehearsal.stage import read_stage
from services.rehearsal.workforce import make_workforce
from tests.e2e.apart import Apart
from tests.e2e.journal import Journal, NotingLine
from tests.e2e.played import in_two_regions
from tests.e2e.stages import Services, options
from tests.e2e.working import again, responses
from tests.postgres import Server, running_server
from tests.stores import memory, role

ROOT = Path(__file__).parents[2]
COMPANY = "Acme"
REPS, ACTIVE = 24, 20
"""How many are invited, and how many answer before the host is lost."""
SOME_SHEETS = 30
REPLACED_EVERY_SECONDS = 0.5
COMMAND_SECONDS = 120.0
TABLES: dict[Service, tuple[str, ...]] = {
    "survey": ("member", "secret"),
    "aggregate": ("ledger_account", "ledger_line", "release", "receipt_bucket", "outbox", "cycle"),
    "report": ("manifest", "release"),
}
"""Tables that nothing writes to while sheets arrive."""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


def fairpatch(*words: object) -> Done:
    """Run a command as an operator does."""
    command = [sys.executable, "-m", "services", *(str(word) for word in words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class Cycle:
    """One open cycle with its links, what everybody says, and the phones of those who answer."""

    id: str
    links: list[Link]
    said: dict[str, Response]
    journal: Journal
    phones: list[Phone] = field(default_factory=list)


class Together(Apart):
    """The three services in one process, on either database."""

    def start(self) -> None:
        """Run them until they answer."""
        Services.start(self)

    def kill(self) -> None:
        """End them as a power cut would."""
        Services.kill(self)

    def stop(self) -> None:
        """Ask them to end, and make sure that they do."""
        Services.stop(self)


class Moved(Together):
    """Services in a folder that a restore made, at the addresses they had before."""

    def __post_init__(self) -> None:
        self.stage = read_stage(self.folder)


@dataclass
class Drill:
    """What was there before the host was lost, and what a backup took of it."""

    old: Apart
    new: Path
    backups: Path
    cycle: Cycle
    head: str
    release: Release
    backed_up: Done
    acknowledged: dict[bytes, int]
    rows: dict[str, list[tuple[object, ...]]]
    restored: dict[Service, Done] = field(default_factory=dict)

    @property
    def full(self) -> Path:
        """The backup that was made while sheets arrived."""
        return self.backups / "full"

    @property
    def early(self) -> Path:
        """The backup that was made before the first release."""
        return self.backups / "early"


class Uploads(threading.Thread):
    """Phones that answer and then replace their sheets again and again."""

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(daemon=True)
        self._cycle, self._enough, self._faults = cycle, threading.Event(), list[BaseException]()

    def run(self) -> None:
        """Answer and replace until it is enough."""
        try:
            asyncio.run(self._all())
        except BaseException as error:
            self._faults.append(error)

    def wait_for(self, acknowledged: int) -> None:
        """Wait until so many sheets are acknowledged."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while len(self._cycle.journal.acknowledged()) < acknowledged:
            assert not self._faults, self._faults
            assert time.monotonic() < deadline, "nothing is uploaded"
            time.sleep(0.02)

    def stop(self) -> None:
        """End every phone after what it is sending."""
        self._enough.set()
        self.join(COMMAND_SECONDS)
        assert not self._faults, self._faults

    async def _all(self) -> None:
        async with noting(self._cycle.journal) as line:
            first = self._cycle.links[0]
            view = await fetch_manifest(
                line, survey=first.survey, aggregate=first.aggregate, cycle=first.cycle, pinned=first.pinned
            )
            self._cycle.journal.view = view
            links = self._cycle.links[:ACTIVE]
            self._cycle.phones = [Phone(line, view, link.code) for link in links]
            turns = zip(self._cycle.phones, links, strict=True)
            await asyncio.gather(
                *(self._one(phone, self._cycle.said[link.employee_id]) for phone, link in turns)
            )

    async def _one(self, phone: Phone, said: Response) -> None:
        await again(phone.session)
        phone.answer(said)
        await again(phone.take_tokens)
        phone.seal()
        await again(phone.send)
        while not self._enough.is_set():
            phone.answer(said)
            phone.seal()
            await again(phone.send)
            await asyncio.sleep(REPLACED_EVERY_SECONDS)


@asynccontextmanager
async def noting(journal: Journal) -> AsyncIterator[NotingLine]:
    """Yield a line whose calls are noted in a journal."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line = NotingLine(client)
        line.journal = journal
        yield line


def open_cycle(services: Apart) -> Cycle:
    """Open a cycle of 24 reps."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    chosen = options(company=COMPANY, plan="finer", k=5, response=1.0)
    with services.hr() as hr:
        cycle = hr.draft(roster, ("results.csv", workforce.results_csv), chosen).cycle
        links = links_of(hr.open(cycle), services.stage)
    said = dict(responses(workforce, links))
    return Cycle(cycle, links, said, Journal(cycle, COMPANY))


def close_and_release(services: Apart, cycle: Cycle) -> Release:
    """Close a cycle and have it released."""
    cycle.journal.closing = True
    with services.hr() as hr:
        hr.close(cycle.id)
        hr.release(cycle.id, lambda words: None)
    return released(cycle)


def released(cycle: Cycle) -> Release:
    """Return the release of a cycle, as a rep's phone reads and checks it."""

    async def read() -> Release:
        async with noting(cycle.journal) as line:
            return await fetch_release(line, cycle.journal.opened)

    return asyncio.run(read())


def rows_of(services: Apart) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows that nothing changes while sheets arrive."""
    return {
        f"{service}.{table}": sorted(services.query(service, f"SELECT * FROM {table}"), key=repr)
        for service, tables in TABLES.items()
        for table in tables
    }


@contextmanager
def drilled(folder: Path, store: str) -> Iterator[Drill]:
    """Work, make a backup meanwhile, lose the host, and restore on an empty one; yield before its start."""
    folder.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(running_server(data_in=memory())) if store == "postgresql" else None
        old = Together(folder / "old", server=server)
        stack.callback(old.stop)
        old.start()
        drill = worked(old, folder)
        old.kill()
        # Opening keys are in no backup; these were on a disk of their own, which survived.
        keys = Path("aggregate") / "opening-keys"
        shutil.copytree(old.folder / keys, drill.new / keys)
        for service in ("survey", "aggregate", "report"):
            heads = () if service == "survey" else ("--chain-head", drill.head)
            drill.restored[service] = fairpatch(
                "restore", service, "--from", drill.full, "--dir", drill.new, *heads, *empty(server, service)
            )
        yield drill


def worked(old: Apart, folder: Path) -> Drill:
    """Run a cycle to its release and another one half way, with a backup in either."""
    backups = folder / "backups"
    first = open_cycle(old)
    uploads = Uploads(first)
    uploads.start()
    uploads.wait_for(SOME_SHEETS)
    back_up(old.folder, SERVICES, backups / "early", clock=system_clock, say=lambda words: None)
    uploads.stop()
    release = close_and_release(old, first)
    cycle = open_cycle(old)
    uploads = Uploads(cycle)
    uploads.start()
    uploads.wait_for(SOME_SHEETS)
    acknowledged = cycle.journal.acknowledged()
    done = fairpatch("backup", "all", "--dir", old.folder, "--to", backups / "full")
    uploads.stop()
    head = release.hash().hex()
    return Drill(old, folder / "new", backups, cycle, head, release, done, acknowledged, rows_of(old))


def empty(server: Server | None, service: Service) -> tuple[str, ...]:
    """Return the options of a restore that name an empty database, as roles.sql would leave it."""
    if server is None:
        return ()
    owner_url = server.make_database()
    if service == "survey":
        server.execute(f"GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {role(service)}", owner_url)
    database = owner_url.replace("//postgres@", f"//{role(service)}@")
    return ("--database", database, "--owner", owner_url)
