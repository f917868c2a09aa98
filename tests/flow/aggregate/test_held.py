"""When a release is held: nothing is written, nothing is spent, and a later attempt starts again."""

from datetime import timedelta
from typing import Any

import pytest

from services.aggregate.flow import Flow
from services.protocol.frame import SheetCounts
from services.protocol.manifest import written
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import FLAG_SHEET, GROUP_SHEET, NOW, make_frame
from tests.flow.aggregate.world import World


def held(world: World, flow: Flow, cycle: str) -> str:
    """Return why a release is held, after checking that nothing of it was written."""
    before = world.micro(flow)
    with pytest.raises(Problem) as refusal:
        flow.release(cycle)
    with pytest.raises(Problem, match="nothing at this address"):
        world.published().release(cycle)
    assert world.micro(flow) == before
    assert len(world.key_files()) == 2
    return str(refusal.value)


def test_more_valid_sheets_than_invited_are_held(world: World) -> None:
    flow = world.flow()
    manifest = world.opened(flow)
    world.survey.fill(manifest, {GROUP_SHEET: [(0, 0)] * 41, FLAG_SHEET: [(0, 0)] * 40})
    counts = {GROUP_SHEET: SheetCounts(issued=40, received=41)}
    world.survey.close(manifest.cycle, counts=counts)
    assert "More valid sheets" in held(world, flow, manifest.cycle)


def test_more_valid_sheets_than_passes_are_held(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.survey.close(manifest.cycle, counts={GROUP_SHEET: SheetCounts(issued=24, received=25)})
    assert "than passes were issued" in held(world, flow, manifest.cycle)
    world.survey.close(manifest.cycle)
    assert flow.release(manifest.cycle).state == "released"


def test_more_passes_than_invited_are_held(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.survey.close(manifest.cycle, counts={GROUP_SHEET: SheetCounts(issued=41, received=25)})
    assert "More passes" in held(world, flow, manifest.cycle)


@pytest.mark.parametrize("received", [24, 26])
def test_a_box_of_another_size_than_announced_is_held(world: World, received: int) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    counts = {FLAG_SHEET: SheetCounts(issued=30, received=received)}
    world.survey.close(manifest.cycle, counts=counts)
    assert "frame says" in held(world, flow, manifest.cycle)


def test_a_box_cut_inside_an_envelope_is_held(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    box = world.survey.boxes[manifest.cycle][GROUP_SHEET]
    box[-1] = box[-1][:-1]
    assert "less than" in held(world, flow, manifest.cycle)


def test_a_frame_of_someone_else_is_held(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    boxes = world.survey.boxes[manifest.cycle]
    for changes in (
        {"signer": "report"},
        {"manifest_hash": "0" * 64},
        {"cycle": "another-cycle"},
        {"sheets": {GROUP_SHEET: SheetCounts(issued=25, received=25)}},
    ):
        world.survey.frames[manifest.cycle] = make_frame(manifest, boxes, **changes)
        assert "frame" in held(world, flow, manifest.cycle)


HOUR = timedelta(hours=1)
CLOSES, LATEST_CLOSE = NOW + timedelta(days=7), NOW + timedelta(days=9)


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        (written(NOW - HOUR), "before its time"),
        (written(LATEST_CLOSE + HOUR), "after its latest close"),
        ("yesterday", "expected form"),
    ],
)
def test_a_close_at_another_time_than_promised_is_held(world: World, closed: str, why: str) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    assert manifest.rehearsal
    world.survey.close(manifest.cycle, closed=closed)
    assert why in held(world, flow, manifest.cycle)
    world.survey.close(manifest.cycle, closed=written(NOW + HOUR))
    assert flow.release(manifest.cycle).state == "released"


def test_only_a_rehearsal_may_be_closed_early(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow, rehearsal=False)
    world.survey.close(manifest.cycle, closed=written(CLOSES - HOUR))
    assert "before its time" in held(world, flow, manifest.cycle)
    world.survey.close(manifest.cycle, closed=written(CLOSES))
    assert "still open" in held(world, flow, manifest.cycle)
    world.clock.now = CLOSES
    assert flow.release(manifest.cycle).state == "released"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"frame": 39}, "reps with results"),
        ({"hit_share": 1.5}, "hit share"),
        ({"attainment": (0, 40, 0)}, "width of attainment"),
    ],
)
def test_records_that_break_a_rule_are_held(world: World, changes: dict[str, Any], rule: str) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    frame = make_frame(manifest, {}).document["records"]
    world.survey.close(manifest.cycle, records=frame | changes)
    assert f"break a rule: {rule}. The release is held." in held(world, flow, manifest.cycle)


def test_survey_away_or_open_is_held(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    frame = world.survey.frames.pop(manifest.cycle)
    assert held(world, flow, manifest.cycle) == "The cycle is open."
    world.survey.frames[manifest.cycle] = frame
    world.survey.down = True
    held(world, flow, manifest.cycle)
    world.survey.down = False
    assert flow.release(manifest.cycle).state == "released"


def test_a_lost_key_leaves_only_void(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    lost = world.key_files()[0]
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(Problem, match="only be made void"):
        flow.release(manifest.cycle)
    lost.write_bytes(content[:5])
    with pytest.raises(Problem, match="only be made void"):
        flow.release(manifest.cycle)
    flow.void(manifest.cycle, "The disk broke.")
    assert world.micro(flow) == {"answers": (0, 0), "participation": (0, 0)}
