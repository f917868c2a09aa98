"""What aggregate makes of a survey, or of itself, that came out of a backup."""

import pytest

from services.protocol.frame import SheetCounts
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import FLAG_SHEET, GROUP_SHEET, make_proposal
from tests.flow.aggregate.world import World

INVITED = 40


def all_passes(received: int = 25) -> dict[str, SheetCounts]:
    """Return the counts of a frame that says as many passes as were invited."""
    return dict.fromkeys((GROUP_SHEET, FLAG_SHEET), SheetCounts(issued=INVITED, received=received))


def test_a_restored_survey_is_released_and_says_so(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.survey.close(manifest.cycle, counts=all_passes(), restored=True)
    assert flow.release(manifest.cycle).state == "released"
    release = world.release(manifest.cycle)
    assert release.frame.restored
    assert {totals.issued for totals in release.sheets.values()} == {INVITED}


def test_a_restored_survey_cannot_know_of_fewer_passes(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    counts = dict.fromkeys((GROUP_SHEET, FLAG_SHEET), SheetCounts(issued=30, received=25))
    world.survey.close(manifest.cycle, counts=counts, restored=True)
    with pytest.raises(Problem, match="can't know of fewer passes"):
        flow.release(manifest.cycle)


def test_more_sheets_than_invited_are_held_all_the_same(world: World) -> None:
    flow = world.flow()
    manifest = world.opened(flow)
    world.survey.fill(manifest, {GROUP_SHEET: [(0, 0)] * 41, FLAG_SHEET: [(0, 0)] * 40})
    counts = {**all_passes(40), GROUP_SHEET: SheetCounts(issued=INVITED, received=41)}
    world.survey.close(manifest.cycle, counts=counts, restored=True)
    with pytest.raises(Problem, match="More valid sheets"):
        flow.release(manifest.cycle)


def test_lost_keys_of_open_cycles_are_named_until_they_are_void(world: World) -> None:
    flow = world.flow()
    world.opened(flow)
    kept = world.opened(flow, make_proposal("summer-2026"))
    flow.compare_chains()
    flow.finish_destruction()
    assert flow.unready() == []
    for path in world.key_files():
        if path.parent.name != kept.cycle:
            path.unlink()
            lost = path.parent
    lost.rmdir()
    flow.finish_destruction()
    assert flow.unready() == [
        "The opening keys of open cycles are lost; these can only be made void (fairpatch void): "
        f"{lost.name}."
    ]
    flow.void(lost.name, "The keys are lost.")
    assert flow.unready() == []
    flow.finish_destruction()
    assert flow.unready() == []


def test_keys_of_a_cycle_that_the_ledger_forgot_are_destroyed_when_it_is_void(world: World) -> None:
    flow = world.flow()
    world.opened(flow)
    forgotten = world.settings.keys_folder / "forgotten-2026"
    forgotten.mkdir()
    (forgotten / "a.key").write_bytes(bytes(32))
    with pytest.raises(Problem) as refused:
        flow.void("forgotten-2026", "A restored ledger forgot it.")
    assert refused.value.kind == "not-found"
    assert not forgotten.exists()
    assert len(world.key_files()) == 2
    (noted,) = world.parts().store.audit()
    assert (noted.action, noted.cycle) == ("keys destroyed", "forgotten-2026")


@pytest.mark.parametrize("cycle", ["..", ".", "nowhere-2026"])
def test_void_of_what_has_no_keys_touches_nothing(world: World, cycle: str) -> None:
    flow = world.flow()
    world.opened(flow)
    before = sorted(path for path in world.folder.rglob("*"))
    with pytest.raises(Problem):
        flow.void(cycle, "Regret.")
    assert sorted(path for path in world.folder.rglob("*")) == before
    assert world.parts().store.audit() == []


def test_void_is_noted(world: World) -> None:
    flow = world.flow()
    manifest = world.opened(flow)
    for _ in range(2):
        flow.void(manifest.cycle, "The wrong roster.")
    (noted,) = world.parts().store.audit()
    assert (noted.action, noted.cycle, noted.reason) == ("void", manifest.cycle, "The wrong roster.")
