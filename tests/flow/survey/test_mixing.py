"""Mixing among everything else: nobody who looks meanwhile misses a row, and nothing that comes is lost."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.survey.core.cycle import State
from services.survey.inbox import Arrival, Inbox
from services.survey.store import Store
from services.survey.tables import Cycle, Member
from tests.flow.survey.boxes import CYCLE, SHEET, SHEETS, arrival, content, expected, filled
from tests.stores import LENDER

PATIENCE = 30.0


@pytest.fixture
def survey(store_kind: str, tmp_path: Path) -> Iterator[tuple[Store, list[Arrival]]]:
    """A store with a box; its database is given back."""
    yield filled(LENDER.open(tmp_path, "survey"))
    LENDER.take_back(tmp_path)


def test_mixing_changes_no_row(survey: tuple[Store, list[Arrival]]) -> None:
    store, arrivals = survey
    assert store.take_pass(CYCLE, 1, bytes(32)) == bytes(32)
    for _ in range(2):
        store.mix()
    assert content(store) == expected(arrivals)
    assert store.counts(CYCLE) == (1, {SHEET: SHEETS})
    assert store.pass_of(CYCLE, 1) == bytes(32)
    # The keys still hold: what is there is known, what is spent stays spent.
    assert store.put_envelopes(arrivals[:1]) == ["again"]
    assert store.take_pass(CYCLE, 1, bytes([1]) * 32) == bytes(32)


def meanwhile(store: Store, look: Callable[[], bool]) -> list[bool]:
    """Return what ``look`` says while the box is mixed over and over."""
    over, said = threading.Event(), list[bool]()

    def run() -> None:
        while not over.is_set():
            said.append(look())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        mixed = 0
        while mixed < 8 or len(said) < 8:
            store.mix()
            mixed += 1
    finally:
        over.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    return said


@pytest.mark.parametrize("look", ["box", "receipt", "counts"])
def test_who_looks_meanwhile_misses_nothing(survey: tuple[Store, list[Arrival]], look: str) -> None:
    store, arrivals = survey
    whole, counted = expected(arrivals), (0, {SHEET: SHEETS})
    looks: dict[str, Callable[[], bool]] = {
        "box": lambda: content(store) == whole,
        "receipt": lambda: store.has_envelope(CYCLE, secrets.choice(arrivals).envelope_hash),
        "counts": lambda: store.counts(CYCLE) == counted,
    }
    assert all(meanwhile(store, looks[look]))


def test_passes_are_taken_and_sheets_stored_meanwhile(survey: tuple[Store, list[Arrival]]) -> None:
    store, arrivals = survey
    taken, more = dict[int, bytes](), list[Arrival]()

    def take_and_send() -> bool:
        number, blinded, sent = len(taken), secrets.token_bytes(32), arrival()
        taken[number] = blinded
        more.append(sent)
        return store.take_pass(CYCLE, number, blinded) == blinded and store.put_envelopes([sent]) == [
            "stored"
        ]

    assert all(meanwhile(store, take_and_send))
    assert {number: store.pass_of(CYCLE, number) for number in taken} == taken
    assert content(store) == expected(arrivals + more)


def test_uploads_wait_for_mixing_and_none_is_lost(survey: tuple[Store, list[Arrival]]) -> None:
    store, arrivals = survey

    async def journey() -> list[Arrival]:
        inbox, sent = Inbox(store.put_envelopes, capacity=1000), list[Arrival]()
        writer = asyncio.create_task(inbox.run())
        went_on = threading.Event()

        def mix_slowly() -> None:
            store.mix()
            assert went_on.wait(PATIENCE)

        mixing = asyncio.create_task(inbox.exclusively(mix_slowly))
        waiting = []
        for _ in range(50):
            sent.append(arrival())
            waiting.append(asyncio.create_task(inbox.put(sent[-1])))
            await asyncio.sleep(0.001)
        # None is acknowledged before it is stored, and none is stored while the box is mixed.
        assert not any(each.done() for each in waiting)
        assert await asyncio.to_thread(store.counts, CYCLE) == (0, {SHEET: SHEETS})
        went_on.set()
        await mixing
        assert set(await asyncio.gather(*waiting)) == {"stored"}
        inbox.stop()
        await writer
        return sent

    sent = asyncio.run(journey())
    assert content(store) == expected(arrivals + sent)


def files_with(needle: bytes, folder: Path) -> list[str]:
    """Return the files in which bytes can be read: survey's own, or all of its server's."""
    below = folder if LENDER.kind == "sqlite" else LENDER.server.data
    return [path.name for path in below.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_after_the_close_no_file_tells_whose_a_code_was_or_who_took_passes(
    store_kind: str, tmp_path: Path
) -> None:
    store = Store(LENDER.open(tmp_path, "survey"))
    member = Member(
        cycle=CYCLE,
        number=1,
        employee_id="e1",
        email="e1@sample.example",
        language="en",
        group=0,
        attainment=0,
        activity=0,
        hit=0,
    )
    store.add_cycle(Cycle(id=CYCLE, state=State.DRAFT, draft="{}"), [member])
    code_hash, blinded_hash = secrets.token_bytes(32), secrets.token_bytes(32)
    assert store.open_cycle(CYCLE, "{}", {1: code_hash})
    assert store.take_pass(CYCLE, 1, blinded_hash) == blinded_hash
    assert all(files_with(needle, tmp_path) for needle in (code_hash, blinded_hash))
    assert store.close_cycle(CYCLE, "2026-03-02T09:00:00Z")
    store.finish_close(CYCLE, lambda issued, received: "{}")
    store.mix()
    assert [files_with(needle, tmp_path) for needle in (code_hash, blinded_hash)] == [[], []]
    assert [each.code_hash for each in store.members(CYCLE)] == [None]
    LENDER.take_back(tmp_path)
