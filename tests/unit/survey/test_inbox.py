"""The inbox: one writer, batches without a timer, an answer only after the commit."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.protocol.problems import Problem
from services.survey.inbox import BATCH, ENOUGH, TURNS, Arrival, Inbox
from tests.unit.survey.arrivals import CYCLE, SHEET, OneByOne, arrival


@dataclass
class Commits:
    """A box behind the inbox: notes the batches, may wait at a gate, may fail."""

    box: OneByOne = field(default_factory=OneByOne)
    sizes: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    failures: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, arrivals: list[Arrival]) -> list[str]:
        """Store a batch, whole or not at all."""
        self.sizes.append(len(arrivals))
        assert self.gate.wait(10.0)
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        return [self.box.put(each) for each in arrivals]


Journey = Callable[[Inbox], Coroutine[Any, Any, None]]


def run(commit: Commits, journey: Journey, capacity: int = 10_000, **options: Any) -> Inbox:
    """Run a journey beside the writer; the inbox is stopped at its end."""

    async def whole() -> Inbox:
        inbox = Inbox(commit, capacity=capacity, **options)
        writer = asyncio.create_task(inbox.run())
        await asyncio.wait_for(journey(inbox), 20.0)
        inbox.stop()
        await asyncio.wait_for(writer, 20.0)
        return inbox

    return asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    while not condition():
        await asyncio.sleep(0.001)


async def outcome(waiting: Awaitable[str]) -> str:
    """Return an outcome, or the kind of the problem instead of it."""
    try:
        return await waiting
    except Problem as problem:
        return problem.kind


def test_what_arrives_in_one_turn_shares_one_commit() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        assert await asyncio.gather(*(inbox.put(arrival(n)) for n in range(20))) == ["stored"] * 20

    run(commits, journey)
    assert commits.sizes == [20]


def test_what_takes_a_few_turns_to_be_checked_shares_the_commit() -> None:
    commits = Commits()

    async def late(inbox: Inbox, turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await inbox.put(arrival(turns))

    async def journey(inbox: Inbox) -> None:
        await asyncio.gather(*(late(inbox, turns) for turns in range(0, 12, TURNS - 1)))

    run(commits, journey)
    assert commits.sizes == [4]


def test_while_one_batch_is_written_the_next_one_gathers() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        commits.gate.clear()
        first = asyncio.create_task(inbox.put(arrival(0)))
        await until(lambda: commits.sizes == [1])
        others = [asyncio.create_task(inbox.put(arrival(n))) for n in range(1, 8)]
        await until(lambda: inbox.waiting == 7)
        assert not first.done()
        commits.gate.set()
        assert await asyncio.gather(first, *others) == ["stored"] * 8

    run(commits, journey)
    assert commits.sizes == [1, 7]


def test_a_batch_has_a_largest_size() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        commits.gate.clear()
        waiting = [asyncio.create_task(inbox.put(arrival(0)))]
        await until(lambda: commits.sizes == [1])
        waiting += [asyncio.create_task(inbox.put(arrival(n))) for n in range(1, BATCH + 4)]
        await until(lambda: inbox.waiting == BATCH + 3)
        commits.gate.set()
        await asyncio.gather(*waiting)

    run(commits, journey)
    assert commits.sizes == [1, BATCH, 3]


def test_enough_of_them_are_written_while_others_of_the_same_turn_are_checked() -> None:
    commits, seen = Commits(), list[int]()

    async def check_and_put(inbox: Inbox, number: int) -> None:
        if number == ENOUGH:
            # The loop has had no turn since the first of them, and the writer has begun.
            while not commits.sizes:
                time.sleep(0.001)
            seen.append(inbox.waiting)
        await inbox.put(arrival(number))

    async def journey(inbox: Inbox) -> None:
        await asyncio.gather(*(check_and_put(inbox, number) for number in range(ENOUGH + 5)))

    run(commits, journey)
    assert (commits.sizes, seen) == ([ENOUGH, 5], [0])


def test_a_stream_without_end_does_not_hold_a_batch_back() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        waiting = list[asyncio.Task[str]]()
        while not commits.sizes:
            waiting.append(asyncio.create_task(inbox.put(arrival(len(waiting)))))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    run(commits, journey)
    assert commits.sizes[0] == ENOUGH


def test_a_full_queue_refuses_and_stores_nothing_of_it() -> None:
    commits, noted = Commits(), list[int]()

    async def journey(inbox: Inbox) -> None:
        commits.gate.clear()
        first = asyncio.create_task(inbox.put(arrival(0)))
        await until(lambda: commits.sizes == [1])
        held = [asyncio.create_task(inbox.put(arrival(n))) for n in (1, 2)]
        await until(lambda: inbox.waiting == 2)
        assert inbox.full
        assert await outcome(inbox.put(arrival(3))) == "busy"
        commits.gate.set()
        assert await asyncio.gather(first, *held) == ["stored"] * 3
        assert await inbox.put(arrival(3)) == "stored"

    run(commits, journey, capacity=2, on_full=lambda: noted.append(1))
    assert (commits.sizes, noted) == ([1, 2, 1], [1])


def test_a_commit_that_fails_refuses_its_whole_batch_and_only_that() -> None:
    commits = Commits(failures=1)

    async def journey(inbox: Inbox) -> None:
        sent = [arrival(n) for n in range(5)]
        refused = await asyncio.gather(*(outcome(inbox.put(each)) for each in sent))
        assert (refused, commits.box.rows) == (["busy"] * 5, {})
        assert await asyncio.gather(*(inbox.put(each) for each in sent)) == ["stored"] * 5

    assert run(commits, journey).unmixed == {(CYCLE, SHEET): 5}


def test_who_stops_waiting_neither_loses_nor_doubles_a_sheet() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        commits.gate.clear()
        first = asyncio.create_task(inbox.put(arrival(0)))
        await until(lambda: commits.sizes == [1])
        queued, beside = (asyncio.create_task(inbox.put(arrival(n))) for n in (1, 2))
        await until(lambda: inbox.waiting == 2)
        for given_up in (first, queued):
            given_up.cancel()
        commits.gate.set()
        assert await beside == "stored"
        for again in (arrival(0), arrival(1)):
            assert await inbox.put(again) == "again"

    inbox = run(commits, journey)
    assert len(commits.box.rows) == 3
    assert inbox.unmixed == {(CYCLE, SHEET): 3}


def test_stopping_writes_what_waits_and_takes_nothing_more() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        waiting = [asyncio.create_task(inbox.put(arrival(n))) for n in range(3)]
        await asyncio.sleep(0)
        inbox.stop()
        assert await outcome(inbox.put(arrival(9))) == "busy"
        assert await asyncio.gather(*waiting) == ["stored"] * 3

    run(commits, journey)
    assert len(commits.box.rows) == 3


@pytest.mark.parametrize("given_up", [False, True])
def test_nothing_is_written_while_something_else_has_the_box(given_up: bool) -> None:
    commits, mixing, mixed = Commits(), threading.Event(), list[int]()

    def mix() -> None:
        assert mixing.wait(10.0)
        mixed.append(len(commits.sizes))

    async def journey(inbox: Inbox) -> None:
        mixer = asyncio.create_task(inbox.exclusively(mix))
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(inbox.put(arrival(0)))
        if given_up:
            mixer.cancel()
        await asyncio.sleep(0.02)
        assert commits.sizes == []
        mixing.set()
        assert await waiting == "stored"

    run(commits, journey)
    assert (mixed, commits.sizes) == ([0], [1])


def test_only_what_was_stored_waits_to_be_mixed() -> None:
    commits = Commits()

    async def journey(inbox: Inbox) -> None:
        for sent in (arrival(1), arrival(1), arrival(1, content=1), arrival(2), arrival(3, cycle="other")):
            await inbox.put(sent)

    assert run(commits, journey).unmixed == {(CYCLE, SHEET): 2}
