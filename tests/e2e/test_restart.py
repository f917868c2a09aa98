"""Power cuts: the services are killed without warning and started again on what is on disk (P5, P8)."""

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from services.protocol.messages import ChainReply, LedgerReply, ReleaseState
from services.protocol.problems import Problem
from services.protocol.release import Release, parse
from services.rehearsal.answers import parse_answers
from services.rehearsal.links import links_of
from services.rehearsal.phone import CycleView, Line, Phone, Response, Unreachable, fetch_manifest
from services.rehearsal.workforce import make_workforce
from tests.e2e.played import get, in_two_regions
from tests.e2e.stages import Services, alive, children, end_worker, options, running_services

REPS, SHEETS, AT_ONCE = 40, 2, 6
ENDED_WITHIN_SECONDS = 10.0
COMPANY = "Acme"


@dataclass
class Collected:
    """A small open cycle, its phones, and what survey has acknowledged."""

    services: Services
    cycle: str
    codes: list[tuple[str, Response]]
    phones: list[Phone] = field(default_factory=list)
    view: CycleView = field(init=False)

    @property
    def acknowledged(self) -> set[str]:
        """The hashes of all envelopes that survey gave a receipt for."""
        return {receipt.hash for phone in self.phones for receipt in phone.receipts.values()}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Return services of this module's own, which it may kill."""
    with running_services(tmp_path_factory.mktemp("restart") / "stage") as running:
        yield running


def opened_cycle(services: Services) -> Collected:
    """Open a cycle of 40 reps in two groups: too few for driver tables, so a phone sends two sheets."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    results = ("results.csv", workforce.results_csv)
    with services.hr() as hr:
        cycle = hr.draft(roster, results, options(company=COMPANY, plan="finer", k=5, response=1.0)).cycle
        links = links_of(hr.open(cycle), services.stage)
    known = [link.employee_id for link in links]
    said = parse_answers(workforce.answers_csv, file="answers.csv", employee_ids=known)
    collected = Collected(services, cycle, [(link.code, said[link.employee_id]) for link in links])
    first = links[0]

    async def view() -> CycleView:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await fetch_manifest(
                Line(client),
                survey=first.survey,
                aggregate=first.aggregate,
                cycle=cycle,
                pinned=first.pinned,
            )

    collected.view = asyncio.run(view())
    return collected


async def collect_until_killed(collected: Collected, *, kill_after: int) -> None:
    """Let phones answer side by side, and kill the services after so many receipts."""
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        line, turns = Line(client, pauses_seconds=()), asyncio.Semaphore(AT_ONCE)
        collected.phones = [Phone(line, collected.view, code) for code, _ in collected.codes]

        async def one(phone: Phone, response: Response) -> None:
            async with turns:
                with suppress(Unreachable):
                    await phone.take_part(response)

        async def power_cut() -> None:
            while len(collected.acknowledged) < kill_after:
                await asyncio.sleep(0)
            collected.services.kill()

        answering = [
            one(phone, said) for phone, (_, said) in zip(collected.phones, collected.codes, strict=True)
        ]
        await asyncio.gather(power_cut(), *answering)


async def check_and_finish(collected: Collected) -> None:
    """Check every receipt, then let each phone go on from the step that it had not finished."""
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        line = Line(client)
        for phone, (_, response) in zip(collected.phones, collected.codes, strict=True):
            phone.line = line
            stored = await phone.check_receipts()
            assert all(stored[sheet] for sheet in phone.receipts), "an acknowledged sheet is lost"
            if len(phone.receipts) == SHEETS:
                # A phone that lost the last reply can't know: it sends the same bytes once more.
                await phone.send()
            elif stored:
                await phone.send()
            else:
                await go_on(phone, response)
            assert await phone.check_receipts() == dict.fromkeys(collected.view.manifest.plan.sheets, True)


async def go_on(phone: Phone, response: Response) -> None:
    """Take part from the start; passes that were taken before the cut are asked for with the same bytes."""
    await phone.session()
    phone.answer(response)
    await phone.take_tokens()
    phone.seal()
    await phone.send()


def box(services: Services, cycle: str) -> list[str]:
    """Return the hashes in survey's box."""
    with closing(sqlite3.connect(services.folder / "survey" / "survey.db")) as connection:
        rows = connection.execute("SELECT envelope_hash FROM box WHERE cycle = ?", (cycle,)).fetchall()
    return [row[0].hex() for row in rows]


@pytest.fixture(scope="module")
def collected(services: Services) -> Collected:
    """Return a cycle that was answered by everybody, with a power cut in the middle."""
    collected = opened_cycle(services)
    asyncio.run(collect_until_killed(collected, kill_after=REPS * SHEETS // 2))
    before = collected.acknowledged
    assert REPS * SHEETS // 2 <= len(before) < REPS * SHEETS
    services.start()
    assert before <= set(box(services, collected.cycle))
    asyncio.run(check_and_finish(collected))
    return collected


def test_an_acknowledged_sheet_survives_a_power_cut_and_stands_once(
    services: Services, collected: Collected
) -> None:
    stored = box(services, collected.cycle)
    assert len(stored) == len(set(stored)) == REPS * SHEETS
    assert set(stored) == collected.acknowledged


@dataclass
class Cut:
    """What was found after a power cut at one moment of the release."""

    words: str
    released: str | None
    reserved_micro: int
    committed_micro: int
    keys: int


MOMENTS = ("Asking survey", "Opening sheets", "Adding noise", "Destroying", "Handing", "Released.")


def cut_during_release(collected: Collected, moment: str) -> tuple[str, set[int]]:
    """Ask for the release and kill the services once it has come to ``moment`` or further."""
    services, asked = collected.services, f"/internal/cycles/{collected.cycle}"
    workers: set[int] = set()
    assert services.child is not None
    with services.signed("survey", "aggregate") as survey:
        state = ReleaseState.model_validate(survey.post(f"{asked}/release").json())
        while state.state != "released" and not reached(state.words, moment):
            assert state.state == "running", state.words
            state = ReleaseState.model_validate(survey.get(asked).json())
            workers |= children(services.child.pid)
        workers |= children(services.child.pid)
        services.kill()
    return state.words, workers


def reached(words: str, moment: str) -> bool:
    """Return whether a release that says ``words`` has come to ``moment`` or further."""
    order = [place for place, name in enumerate(MOMENTS) if words.startswith(name)]
    return bool(order) and order[0] >= MOMENTS.index(moment)


def look(collected: Collected, words: str) -> Cut:
    """Return what the services, started again, say of release and ledger; and how many keys are on disk."""
    services = collected.services
    released = get(f"{services.stage.aggregate}/api/releases/{collected.cycle}")
    with services.signed("survey", "aggregate") as survey:
        year = collected.view.manifest.opens[:4]
        reply = survey.get("/internal/ledger", params={"company": COMPANY, "year": year})
    account = next(
        account
        for account in LedgerReply.model_validate(reply.json()).accounts
        if account.account == "answers"
    )
    folder = services.folder / "aggregate" / "opening-keys" / collected.cycle
    return Cut(
        words=words,
        released=hash_of(released),
        reserved_micro=account.reserved_micro,
        committed_micro=account.committed_micro,
        keys=len(list(folder.iterdir())) if folder.exists() else 0,
    )


def hash_of(answer: httpx.Response) -> str | None:
    """Return the hash of a served release; nothing if there is none."""
    return parse(answer.json()["document"]).hash().hex() if answer.is_success else None


@pytest.fixture(scope="module")
def cuts(collected: Collected) -> Iterator[tuple[list[Cut], set[int]]]:
    """Kill a release at several moments, start again each time, and let it finish in the end."""
    found, workers = [], set[int]()
    with collected.services.hr() as hr:
        hr.close(collected.cycle)
    for moment in ("Asking survey", "Opening sheets", "Destroying"):
        words, started = cut_during_release(collected, moment)
        workers |= started
        collected.services.start()
        found.append(look(collected, words))
    finish(collected)
    found.append(look(collected, "finished"))
    yield found, workers
    for pid in workers:
        end_worker(pid)


def finish(collected: Collected) -> None:
    """Have the release finished and delivered; survey may have to wait until aggregate has looked round."""
    deadline = time.monotonic() + 60
    while not finished(collected):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def finished(collected: Collected) -> bool:
    """Ask for the release; return whether it is there."""
    try:
        with collected.services.hr() as hr:
            hr.release(collected.cycle, lambda words: None)
    except Problem as problem:
        if problem.kind != "not-ready":
            raise
        return False
    return True


def test_after_every_cut_there_is_a_reserved_line_or_one_release(
    collected: Collected, cuts: tuple[list[Cut], set[int]]
) -> None:
    cost = collected.view.manifest.plan.answers_micro
    for cut in cuts[0]:
        if cut.released is None:
            assert (cut.reserved_micro, cut.committed_micro, cut.keys) == (cost, 0, SHEETS), cut
        else:
            assert (cut.reserved_micro, cut.committed_micro, cut.keys) == (0, cost, 0), cut
    assert cuts[0][0].released is None
    assert cuts[0][-1].released is not None


def test_a_release_that_was_once_written_never_changes(cuts: tuple[list[Cut], set[int]]) -> None:
    seen = [cut.released for cut in cuts[0]]
    written = [released for released in seen if released is not None]
    assert len(set(written)) == 1
    assert all(after is not None for before, after in itertools.pairwise(seen) if before is not None)


def test_the_release_counts_every_rep_once(collected: Collected, cuts: tuple[list[Cut], set[int]]) -> None:
    answer = get(f"{collected.services.stage.aggregate}/api/releases/{collected.cycle}")
    release: Release = parse(answer.json()["document"])
    for totals in release.sheets.values():
        assert (totals.issued, totals.received, totals.counted) == (REPS, REPS, REPS)
        assert (totals.withdrawn, totals.rejected) == (0, {})
    with collected.services.signed("aggregate", "report") as aggregate:
        reply = aggregate.get("/internal/chain", params={"company": COMPANY})
    assert ChainReply.model_validate(reply.json()) == ChainReply(head=release.hash().hex(), length=1)


def test_no_worker_outlives_the_service_that_gave_it_a_key(cuts: tuple[list[Cut], set[int]]) -> None:
    workers = cuts[1]
    deadline = time.monotonic() + ENDED_WITHIN_SECONDS
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert {pid for pid in workers if alive(pid)} == set()
