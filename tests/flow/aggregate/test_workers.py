"""Worker processes and the stream of a box."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from services.aggregate.box import SurveyBox
from services.aggregate.core.rules import rules_of
from services.aggregate.workers import count_sheet, worker_processes
from services.protocol.problems import Problem
from tests.flow.aggregate.doubles import Inline
from tests.flow.aggregate.factories import GROUP_SHEET, value_commitments
from tests.flow.aggregate.world import World

HEAVY = ("fastapi", "starlette", "sqlmodel", "sqlalchemy", "opendp", "httpx", "structlog", "pandas", "pytest")


def test_a_worker_loads_nothing_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawned process imports its parent's program again, and that is the whole service."""
    program = tmp_path / "program.py"
    program.write_text("import fastapi, sqlmodel, opendp.mod\n", encoding="utf-8")
    main = ModuleType("__main__")
    main.__file__ = str(program)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with worker_processes(1) as pool:
        loaded = pool.submit(eval, "sorted(__import__('sys').modules)").result(timeout=60)
    assert "services.aggregate.core.tally" in loaded
    assert sys.modules["__main__"] is main
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []


def test_processes_count_as_one_process_does(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    box = b"".join(world.survey.boxes[manifest.cycle][GROUP_SHEET])
    key = world.parts().keyring.read(manifest.cycle, GROUP_SHEET)
    rules = rules_of(manifest, GROUP_SHEET, value_commitments(GROUP_SHEET, (0, 1)))
    size = 4 * manifest.envelope_length
    progress: list[int] = []

    def read() -> Iterator[bytes]:
        for start in range(0, len(box), size):
            yield box[start : start + size]

    with worker_processes(2) as pool:
        apart = count_sheet(read, rules, key, pool, progress.append)
    together = count_sheet(lambda: [box], rules, key, Inline(), lambda _: None)
    assert (apart.exact_counts == together.exact_counts).all()
    assert apart.outcomes == together.outcomes
    assert (apart.counted, sum(progress)) == (25, len(box))


def test_only_a_few_chunks_wait_in_memory(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    sealed = world.survey.boxes[manifest.cycle][GROUP_SHEET]
    key = world.parts().keyring.read(manifest.cycle, GROUP_SHEET)
    rules = rules_of(manifest, GROUP_SHEET, value_commitments(GROUP_SHEET, (0, 1)))
    counted: list[int] = []
    ahead: list[int] = []

    def read() -> Iterator[bytes]:
        for number, one in enumerate(sealed):
            ahead.append(number - len(counted))
            yield one

    count_sheet(read, rules, key, Inline(), counted.append, in_flight=3)
    assert max(ahead) == 2
    assert len(counted) == len(sealed)


@pytest.mark.parametrize("repeat", [False, True])
def test_a_box_out_of_order_is_counted_in_one_piece(world: World, repeat: bool) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    sealed = world.survey.boxes[manifest.cycle][GROUP_SHEET]
    # With a repeat, the first stands, however far apart the two are.
    box = [*reversed(sealed), *([sealed[-1]] if repeat else [])]
    key = world.parts().keyring.read(manifest.cycle, GROUP_SHEET)
    rules = rules_of(manifest, GROUP_SHEET, value_commitments(GROUP_SHEET, (0, 1)))
    apart = count_sheet(lambda: iter(box), rules, key, Inline(), lambda _: None)
    together = count_sheet(lambda: [b"".join(box)], rules, key, Inline(), lambda _: None)
    assert (apart.exact_counts == together.exact_counts).all()
    assert apart.outcomes == together.outcomes
    assert (apart.counted, apart.rejected) == (25, {"duplicate": 1} if repeat else {})


def box_of(content: bytes, *, pieces: int = 7) -> SurveyBox:
    """Return the client of a survey whose box is ``content``, sent in small pieces."""

    def stream() -> Iterator[bytes]:
        for start in range(0, len(content), pieces):
            yield content[start : start + pieces]

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=stream()))
    return SurveyBox(httpx.Client(base_url="http://survey.test", transport=transport), chunk_envelopes=2)


def envelopes(count: int) -> bytes:
    """Return fake envelopes of 50 bytes that differ where a nonce is."""
    return b"".join(bytes(9) + bytes([number]) * 32 + bytes(9) for number in range(count))


def test_a_box_is_read_in_whole_envelopes() -> None:
    chunks = list(box_of(envelopes(5)).chunks("c", "s", envelope_bytes=50, envelopes=5))
    assert [len(chunk) for chunk in chunks] == [100, 100, 50]
    assert b"".join(chunks) == envelopes(5)


@pytest.mark.parametrize(
    ("content", "announced"),
    [(envelopes(5), 4), (envelopes(5), 6), (envelopes(5)[:-1], 5), (envelopes(1), 0), (b"", 1)],
)
def test_a_box_of_another_length_is_refused(content: bytes, announced: int) -> None:
    with pytest.raises(Problem, match="than survey's frame says"):
        list(box_of(content).chunks("c", "s", envelope_bytes=50, envelopes=announced))


def test_a_box_that_is_too_long_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def long() -> Iterator[bytes]:
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(50)

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=long()))
    box = SurveyBox(httpx.Client(base_url="http://survey.test", transport=transport))
    with pytest.raises(Problem, match="more than"):
        list(box.chunks("c", "s", envelope_bytes=50, envelopes=10))
    assert len(sent) == 11


def test_a_survey_that_breaks_off_is_not_ready() -> None:
    def broken() -> Iterator[bytes]:
        yield envelopes(1)
        raise httpx.ReadError("gone")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=broken()))
    box = SurveyBox(httpx.Client(base_url="http://survey.test", transport=transport))
    with pytest.raises(Problem) as refusal:
        list(box.chunks("c", "s", envelope_bytes=50, envelopes=2))
    assert refusal.value.kind == "not-ready"
    refused = httpx.MockTransport(
        lambda _: httpx.Response(409, json={"type": "urn:fairpatch:problem:cycle-state"})
    )
    box = SurveyBox(httpx.Client(base_url="http://survey.test", transport=refused))
    with pytest.raises(Problem) as refusal:
        list(box.chunks("c", "s", envelope_bytes=50, envelopes=2))
    assert refusal.value.kind == "cycle-state"
    nonsense = httpx.MockTransport(lambda _: httpx.Response(200, json={"nothing": "signed"}))
    with pytest.raises(Problem, match="expected form"):
        SurveyBox(httpx.Client(base_url="http://survey.test", transport=nonsense)).frame("c")
