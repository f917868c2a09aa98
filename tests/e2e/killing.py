"""Kills at random moments: each target has a thread that cuts in, starts it again and looks for losses.

The moment is drawn from one generator per target; its seed is in every record, and in the message of a
failure. What the machine does at that moment is not repeatable, the draws are.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Literal

from services.protocol.signed import Service
from tests.e2e.apart import Apart
from tests.e2e.books import Promised, lost_since, promised, strange_rows
from tests.e2e.journal import Journal
from tests.e2e.stages import PROC, alive, command_line, parent, read
from tests.e2e.working import PHASES, Company, Finished, Work

Target = Literal["survey", "aggregate", "report", "postgresql"]
TARGETS: tuple[Target, ...] = ("survey", "aggregate", "report", "postgresql")
SERVICE_OF: Mapping[Target, Service] = {"survey": "survey", "aggregate": "aggregate", "report": "report"}
WHEN: Mapping[Target, tuple[str, ...]] = {
    "survey": (*PHASES, "answering"),
    "aggregate": ("opening", "releasing"),
    "report": ("opening", "releasing"),
    "postgresql": (*PHASES, "answering"),
}
"""The phases of a cycle in which a target works; the longest one counts twice."""
AT_STAKE = 20
"""Sheets that are acknowledged before the first kill."""
COMPANIES = 2
PHASE_SECONDS = 15.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Kill:
    """One kill: when, how much was acknowledged by then, and what was missing or doubled afterwards."""

    target: Target
    store: str
    seed: int
    phase: str
    acknowledged: int
    lost: int
    doubled: int


@dataclass
class Outcome:
    """What a run left behind."""

    services: Apart
    seed: int
    wanted: Mapping[Target, int]
    journals: list[Journal] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    workers: set[int] = field(default_factory=set)
    faults: list[BaseException] = field(default_factory=list)

    def __str__(self) -> str:
        return f"seed {self.seed} on {self.services.store}"


class Killer(Thread):
    """Kills one target a number of times."""

    def __init__(self, target: Target, outcome: Outcome, work: Work) -> None:
        super().__init__(name=f"kills {target}", daemon=True)
        self._target, self._outcome, self._work = target, outcome, work
        self._random = random.Random(f"{outcome.seed} {target}")

    def run(self) -> None:
        """Kill until it was often enough, or something broke."""
        try:
            while Promised.of(self._outcome.journals, frozenset()).sheets_count < AT_STAKE:
                if self._work.broken.wait(LOOK_SECONDS):
                    return
            for _ in range(self._outcome.wanted[self._target]):
                if self._work.broken.is_set():
                    return
                self._outcome.kills.append(self._kill())
        except BaseException as error:
            self._outcome.faults.append(error)
            self._work.broken.set()

    def _kill(self) -> Kill:
        services, journals = self._outcome.services, self._outcome.journals
        delivered = promised(services, journals).delivered
        phase = self._random.choice(WHEN[self._target])
        # Over the whole of a phase: the thread sleeps, whatever calls are on their way.
        time.sleep(self._random.random() * self._work.wait_for(phase, PHASE_SECONDS))
        before = Promised.of(journals, delivered)
        self._cut_and_start()
        return Kill(
            target=self._target,
            store=services.store,
            seed=self._outcome.seed,
            phase=phase,
            acknowledged=before.sheets_count,
            lost=lost_since(services, journals, before),
            doubled=strange_rows(services, journals),
        )

    def _cut_and_start(self) -> None:
        services = self._outcome.services
        if self._target == "postgresql":
            assert services.server is not None
            services.server.kill()
            services.server.start()
            return
        name = SERVICE_OF[self._target]
        services.cut(name)
        services.launch(name)
        services.wait(name)


def kill_while_working(services: Apart, wanted: Mapping[Target, int], *, seed: int, drafts: int) -> Outcome:
    """Let companies work, with some drafts in hand, and kill every target as often as wanted."""
    outcome, work, enough = Outcome(services, seed, wanted), Work(), Event()
    companies = [
        Company(services, work, f"Company {number}", seed, outcome.journals) for number in range(COMPANIES)
    ]
    for company in companies:
        for _ in range(drafts):
            company.draft()
    try:
        with watched_workers(outcome), started([Killer(each, outcome, work) for each in wanted], enough):
            outcome.finished = asyncio.run(everybody(companies, work, enough))
    finally:
        # What broke a killer is the cause; the companies only wait for what it left dead.
        if outcome.faults:
            raise outcome.faults[0]
    return outcome


async def everybody(companies: list[Company], work: Work, enough: Event) -> list[Finished]:
    """Let all companies work until it is enough."""
    try:
        return [each for some in await asyncio.gather(*(it.run(enough) for it in companies)) for each in some]
    finally:
        work.broken.set()


@contextmanager
def started(killers: list[Killer], enough: Event) -> Iterator[None]:
    """Run the killers; ``enough`` is set when the last one is through."""

    def wait() -> None:
        for killer in killers:
            killer.join()
        enough.set()

    for killer in killers:
        killer.start()
    waiter = Thread(target=wait, daemon=True)
    waiter.start()
    try:
        yield
    finally:
        waiter.join()


@contextmanager
def watched_workers(outcome: Outcome) -> Iterator[None]:
    """Note every process that aggregate starts; each of them may get an opening key."""
    over = Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            outcome.workers |= started_by(outcome.services.processes["aggregate"].pid)

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def started_by(pid: int) -> set[int]:
    """Return the processes that a process has started, from whichever of its threads."""
    listed = (read(path) for path in (PROC / str(pid) / "task").glob("*/children"))
    return {int(each) for line in listed for each in line.split()}


def living_workers(outcome: Outcome) -> set[int]:
    """Return the workers, and other children of killed aggregates, that still run."""
    running = outcome.services.processes["aggregate"].pid
    return {
        pid
        for pid in outcome.workers
        if alive(pid) and (b"spawn_main" in command_line(pid) or parent(pid) != running)
    }
