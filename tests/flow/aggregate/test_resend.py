"""A report that was restored from an older backup gets every later release once more, and no other one."""

import pytest

from services.protocol.problems import Problem
from tests.flow.aggregate.factories import COMPANY, make_proposal
from tests.flow.aggregate.world import World


def released(world: World) -> list[str]:
    """Release three cycles of one company; return its chain."""
    flow = world.flow()
    names = ("spring-2026", "summer-2026", "autumn-2026")
    for manifest in [world.closed(flow, make_proposal(name)) for name in names]:
        flow.release(manifest.cycle)
    chain = list(world.report.chains[COMPANY])
    assert len(chain) == 3
    return chain


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_what_report_lost_is_delivered_again_in_order(world: World, left: int) -> None:
    chain = released(world)
    world.report.chains[COMPANY], world.report.documents = chain[:left], []
    parts = world.parts()
    flow = world.flow(parts)
    flow.compare_chains()
    assert len(parts.store.undelivered()) == 3 - left
    assert parts.outbox.push()
    assert world.report.chains[COMPANY] == chain
    assert len(world.report.documents) == 3 - left
    assert parts.store.undelivered() == []


def test_a_report_that_knows_no_cycle_gets_the_manifest_first(world: World) -> None:
    chain = released(world)
    world.report.chains, world.report.known = {}, set()
    parts = world.parts()
    world.flow(parts).compare_chains()
    assert parts.outbox.push()
    assert world.report.chains[COMPANY] == chain
    assert world.report.known == {"spring-2026", "summer-2026", "autumn-2026"}


def test_a_report_that_is_restored_meanwhile_is_noticed_at_the_next_release(world: World) -> None:
    parts = world.parts()
    flow = world.flow(parts)
    first, second = world.closed(flow), world.closed(flow, make_proposal("summer-2026"))
    flow.release(first.cycle)
    world.report.chains[COMPANY] = []
    assert flow.release(second.cycle).state == "released"
    assert world.report.chains[COMPANY] == []
    assert parts.outbox.push()
    assert len(world.report.chains[COMPANY]) == 2


def test_a_chain_that_is_not_ours_is_left_alone(world: World) -> None:
    released(world)
    world.report.chains[COMPANY] = ["f" * 64]
    parts = world.parts()
    assert parts.store.send_again(COMPANY, "f" * 64) == 0
    with pytest.raises(Problem, match="older copy was restored"):
        world.flow(parts).compare_chains()
    assert parts.store.undelivered() == []


def test_other_companies_are_not_sent_again(world: World) -> None:
    flow = world.flow()
    for proposal in (make_proposal(), make_proposal("other-2026", company="Other company")):
        flow.release(world.closed(flow, proposal).cycle)
    parts = world.parts()
    assert parts.store.send_again(COMPANY, None) == 1
    assert [waiting.company for waiting in parts.store.undelivered()] == [COMPANY]
