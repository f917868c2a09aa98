"""The chain of releases: compared with report's before budget is spent, and delivered until it is taken."""

import asyncio

import httpx
import pytest

from services.aggregate.outbox import IDLE_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Outbox
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import COMPANY, make_proposal
from tests.flow.aggregate.world import World


def test_nothing_is_reserved_while_report_is_away(world: World) -> None:
    world.report.down = True
    flow = world.flow()
    with pytest.raises(Problem) as refusal:
        flow.propose(make_proposal())
    assert refusal.value.kind == "not-ready"
    assert world.key_files() == []
    world.report.down = False
    flow.propose(make_proposal())
    calls = world.report.calls
    flow.propose(make_proposal("summer-2026"))
    assert world.report.calls == calls


def test_an_older_database_is_recognised(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.report.chains[COMPANY] = ["f" * 64]
    fresh = world.flow()
    for ask in (fresh.ask_release, fresh.release):
        with pytest.raises(Problem, match="older copy was restored") as refusal:
            ask(manifest.cycle)
        assert refusal.value.kind == "conflict"
    with pytest.raises(Problem, match="older copy was restored"):
        fresh.propose(make_proposal("summer-2026"))
    assert fresh.unready() != []
    assert world.micro(fresh)["answers"] == (350_000, 0)


def test_another_spelling_does_not_get_around_the_comparison(world: World) -> None:
    world.opened(world.flow())
    world.report.chains[COMPANY] = ["f" * 64]
    with pytest.raises(Problem, match="older copy was restored"):
        world.flow().propose(make_proposal("summer-2026", company=f" {COMPANY.upper()}"))
    assert world.micro(world.flow())["answers"] == (350_000, 0)


def test_a_report_that_is_behind_or_level_is_fine(world: World) -> None:
    flow = world.flow()
    first, second = world.closed(flow), world.closed(flow, make_proposal("summer-2026"))
    flow.release(first.cycle)
    flow.release(second.cycle)
    chain = world.report.chains[COMPANY]
    for known in ([], chain[:1], chain):
        world.report.chains[COMPANY] = list(known)
        fresh = world.flow()
        assert fresh.unready() != []
        fresh.compare_chains()
        assert fresh.unready() == []


def test_an_answer_that_is_no_chain_is_not_ready(world: World) -> None:
    client = httpx.Client(
        base_url="http://report.test", transport=httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    )
    with client, pytest.raises(Problem) as refusal:
        Outbox(world.parts().store, client).chain(COMPANY)
    assert refusal.value.kind == "not-ready"


def test_a_release_waits_for_report(world: World) -> None:
    flow = world.flow()
    first, second = world.closed(flow), world.closed(flow, make_proposal("summer-2026"))
    world.report.down = True
    assert flow.release(first.cycle).state == "released"
    assert flow.release(second.cycle).state == "released"
    assert world.report.documents == []
    outbox = world.parts().outbox
    assert not outbox.push()
    world.report.down = False
    assert outbox.push()
    assert [document["cycle"] for document in world.report.documents] == [first.cycle, second.cycle]
    calls = world.report.calls
    assert outbox.push()
    assert world.report.calls == calls


def test_a_refused_release_holds_up_its_own_chain_only(world: World) -> None:
    flow = world.flow()
    other = make_proposal("other-2026", company="Other company")
    proposals = [make_proposal(), make_proposal("summer-2026"), other]
    manifests = [world.closed(flow, proposal) for proposal in proposals]
    world.report.down = True
    for manifest in manifests:
        flow.release(manifest.cycle)
    world.report.down, world.report.calls = False, 0
    world.report.chains[COMPANY] = ["f" * 64]
    assert not world.parts().outbox.push()
    assert [document["cycle"] for document in world.report.documents] == [other.cycle]
    # The second release of the chain was not tried behind the first; report was asked for its head instead.
    assert world.report.calls == 3


def test_pauses_grow_while_report_is_away(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.report.down = True
    flow.release(manifest.cycle)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            world.report.down = False
        if len(pauses) == 9:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.parts().outbox.keep_pushing(pause))
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, *[LONGEST_PAUSE_SECONDS] * 3, IDLE_PAUSE_SECONDS]
    assert len(world.report.documents) == 1


def test_a_fault_of_its_own_does_not_stop_the_outbox(world: World) -> None:
    parts = world.parts()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    def broken() -> list[object]:
        raise OSError

    parts.store.undelivered = broken
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(parts.outbox.keep_pushing(pause))
    assert pauses == [2.0, 4.0]
