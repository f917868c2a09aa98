"""Companies at work while services are killed: HR opens, closes and releases; phones do what phones do.

Nobody here knows of the kills. A call without an answer is repeated until there is one.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Event
from typing import TypeVar

import httpx

from services.protocol.messages import ReleaseState
from services.protocol.problems import Problem
from services.protocol.receipts import Outcome
from services.protocol.release import Release
from services.rehearsal.answers import parse_answers
from services.rehearsal.counted import fetch_bucket, fetch_release
from services.rehearsal.hr import Hr
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import Response, fetch_manifest
from services.rehearsal.workforce import Workforce, make_workforce
from tests.e2e.acting import PATIENCE_SECONDS, again, is_stored, journey
from tests.e2e.journal import Journal, NotingLine
from tests.e2e.played import in_two_regions
from tests.e2e.stages import Services, options

T = TypeVar("T")
REPS = 24
CYCLES_OF_A_COMPANY = 3
CLOSED_EARLY = 0.3
PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
PHASES = ("opening", "answering", "closing", "releasing")
SHORTEST_SECONDS, LONGEST_SECONDS = 0.2, 4.0


class Work:
    """What goes on now, for whoever wants to cut in at a moment of it."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._seconds = dict.fromkeys(PHASES, 1.0)
        self._changed = Condition()
        self.broken = Event()
        """Set when the work is over, or can't go on."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Tell that a phase begins, and how long it took."""
        start = time.monotonic()
        with self._changed:
            self._begun[name] += 1
            self._changed.notify_all()
        yield
        took = time.monotonic() - start
        self._seconds[name] = min(max(took, SHORTEST_SECONDS), LONGEST_SECONDS)

    def wait_for(self, name: str, seconds: float) -> float:
        """Wait until a phase begins somewhere (not longer than ``seconds``); return how long one takes."""
        with self._changed:
            before = self._begun[name]
            self._changed.wait_for(lambda: self._begun[name] > before, seconds)
        return self._seconds[name]


@dataclass
class Finished:
    """One cycle from opening to release, as its phones and readers saw it."""

    journal: Journal
    release: Release
    stored: dict[bytes, bool]
    outcomes: dict[str, dict[bytes, Outcome]]


class AskingHr(Hr):
    """HR that asks for a release until it is there."""

    def ask_release(self, cycle: str) -> ReleaseState:
        """Have a closed cycle released, or hear how far that is."""
        return ReleaseState.model_validate(self._call("POST", f"/hr/cycles/{cycle}/release").json())


class Company:
    """One company after the other, with a few cycles each, so that chains of releases grow."""

    def __init__(self, services: Services, work: Work, name: str, seed: int, journals: list[Journal]) -> None:
        self._services, self._work, self._name = services, work, name
        self._random = random.Random(f"{seed} {name}")
        self._journals, self._hr = journals, AskingHr(services.stage)
        self._workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
        self._drafts: list[tuple[str, str]] = []
        self._drafted = 0

    def draft(self) -> None:
        """Draft a cycle."""
        company = f"{self._name} {self._drafted // CYCLES_OF_A_COMPANY}"
        roster = ("roster.csv", in_two_regions(self._workforce.roster_csv))
        results = ("results.csv", self._workforce.results_csv)
        chosen = options(company=company, plan="finer", k=5, response=1.0)
        drafted = self._patiently(lambda: self._hr.draft(roster, results, chosen))
        self._drafts.insert(0, (drafted.cycle, company))
        self._drafted += 1

    async def run(self, enough: Event) -> list[Finished]:
        """Run cycles until it is enough; the last one is finished."""
        finished = []
        try:
            while not enough.is_set():
                if not self._drafts:
                    await asyncio.to_thread(self.draft)
                finished.append(await self._cycle(*self._drafts.pop()))
        finally:
            self._hr.leave()
        return finished

    async def _cycle(self, cycle: str, company: str) -> Finished:
        journal = Journal(cycle, company)
        with self._work.phase("opening"):
            opened = await asyncio.to_thread(self._patiently, lambda: self._hr.open(cycle))
        links = links_of(opened, self._services.stage)
        limits = httpx.Limits(max_connections=REPS)
        async with httpx.AsyncClient(timeout=60.0, limits=limits, trust_env=False) as client:
            line = NotingLine(client, pauses_seconds=PAUSES_SECONDS)
            line.journal = journal
            await self._look(line, journal, links[0])
            with self._work.phase("answering"):
                await self._answer(line, journal, links)
            with self._work.phase("releasing"):
                await self._release(journal)
            return await self._read(line, journal)

    async def _look(self, line: NotingLine, journal: Journal, link: Link) -> None:
        journal.view = await again(
            lambda: fetch_manifest(
                line,
                survey=link.survey,
                aggregate=link.aggregate,
                cycle=link.cycle,
                pinned=link.pinned,
                fingerprint=link.fingerprint,
            )
        )
        self._journals.append(journal)

    async def _answer(self, line: NotingLine, journal: Journal, links: list[Link]) -> None:
        """Let all phones act; HR closes when they are done, or in the middle of it."""
        said = responses(self._workforce, links)
        phones = [
            asyncio.create_task(journey(line, journal, link.code, said[link.employee_id], self._dice(number)))
            for number, link in enumerate(links)
        ]
        waiting = asyncio.gather(*phones)
        if self._random.random() < CLOSED_EARLY:
            await some_came(journal, waiting, self._random.randrange(1, 2 * REPS))
        else:
            await waiting
        journal.closing = True
        with self._work.phase("closing"):
            await asyncio.to_thread(self._patiently, lambda: self._hr.close(journal.cycle))
        await waiting

    async def _release(self, journal: Journal) -> None:
        def asked() -> bool:
            state = self._patiently(lambda: self._hr.ask_release(journal.cycle))
            if state.release is not None:
                journal.release_seen(state.release)
            return state.state == "released"

        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await asyncio.to_thread(asked):
            assert time.monotonic() < deadline, "the release does not finish"
            await asyncio.sleep(0.05)

    async def _read(self, line: NotingLine, journal: Journal) -> Finished:
        """Read what a rep can read afterwards: receipts at survey, release and lists at aggregate."""
        release = await again(lambda: fetch_release(line, journal.opened))
        journal.release_seen(release.hash().hex())
        lists = await again(lambda: fetch_bucket(line, journal.opened, release, ""))
        settled = [used.settled for used in journal.tokens().values()]
        return Finished(
            journal,
            release,
            stored={each: await is_stored(line, journal, each) for each in settled if each is not None},
            outcomes={
                name: {bytes.fromhex(text): outcome for text, outcome in lines}
                for name, lines in lists.sheets.items()
            },
        )

    def _patiently(self, step: Callable[[], T]) -> T:
        """Take a step of HR until survey answers, and does not answer that something is away."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return step()
            except Problem as problem:
                late = self._work.broken.is_set() or time.monotonic() > deadline
                if problem.kind not in ("busy", "not-ready") or late:
                    raise
            time.sleep(0.1)

    def _dice(self, number: int) -> random.Random:
        return random.Random(f"{self._random.random()} {number}")


async def some_came(journal: Journal, waiting: "asyncio.Future[list[None]]", number: int) -> None:
    """Wait until so many sheets were acknowledged, or all phones are through."""
    while len(journal.acknowledged()) < number and not waiting.done():
        await asyncio.sleep(0.02)


def responses(workforce: Workforce, links: list[Link]) -> Mapping[str, Response]:
    """Return what everybody says."""
    known = [link.employee_id for link in links]
    return parse_answers(workforce.answers_csv, file="answers.csv", employee_ids=known)
