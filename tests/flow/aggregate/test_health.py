"""Aggregate's figures, and a release that stops reading when the service is asked to stop."""

import time
from collections.abc import Iterator
from threading import Event

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.aggregate.box import BoxUntilStop
from services.aggregate.health import Running
from services.protocol.problems import Problem
from tests.flow.aggregate.world import Running as RunningService
from tests.flow.aggregate.world import World


def figures(running: RunningService) -> dict[str, float]:
    """Return aggregate's own figures."""
    text = running.client.get("/metrics").text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.name.removeprefix("fairpatch_"): sample.value for sample in samples}


def becomes(running: RunningService, name: str, value: float) -> bool:
    """Wait until a figure has a value."""
    until = time.monotonic() + 60
    while figures(running)[name] != value and time.monotonic() < until:
        time.sleep(0.05)
    return figures(running)[name] == value


def test_figures_tell_of_releases_that_wait_and_keys_that_resist(world: World) -> None:
    manifest = world.closed(world.flow())
    resisting = world.settings.keys_folder / manifest.cycle / "m"
    resisting.mkdir()
    with world.service() as running:
        assert becomes(running, "ready", 1)
        assert (figures(running)["keys_left"], figures(running)["outbox_waiting"]) == (0, 0)
        world.report.down = True
        assert running.call("POST", f"/internal/cycles/{manifest.cycle}/release").status_code == 202
        assert becomes(running, "outbox_waiting", 1)
        assert becomes(running, "release_running_seconds", 0)
        assert (figures(running)["keys_left"], figures(running)["ready"]) == (1, 0)
        resisting.rmdir()
        world.report.down = False
        running.call("POST", f"/internal/cycles/{manifest.cycle}/release")
        assert becomes(running, "keys_left", 0)
        assert becomes(running, "outbox_waiting", 0)
        assert becomes(running, "ready", 1)


def test_a_running_release_is_timed_and_a_broken_one_is_over() -> None:
    now = [100.0]
    running, seen = Running(lambda: now[0]), []

    def work() -> None:
        for moment in (100.2, 101.9, 160.5):
            now[0] = moment
            seen.append(running.seconds())
        raise Problem("not-ready")

    with pytest.raises(Problem):
        running.around(work)
    assert seen == [1.0, 1.0, 60.0]
    assert running.seconds() == 0


def reading(box: BoxUntilStop, world: World) -> Iterator[bytes]:
    """Read a box of 25 envelopes in chunks of eight."""
    manifest = world.closed(world.flow())
    sheet = manifest.plan.sheets[0]
    return box.chunks(
        manifest.cycle,
        sheet,
        envelope_bytes=manifest.envelope_length,
        envelopes=len(world.survey.boxes[manifest.cycle][sheet]),
    )


def test_a_box_is_read_to_the_end_unless_the_service_stops(world: World) -> None:
    assert len(list(reading(BoxUntilStop(world.parts().box, Event()), world))) > 2


def test_a_stop_ends_the_reading_between_two_chunks(world: World) -> None:
    stopping = Event()
    chunks = reading(BoxUntilStop(world.parts().box, stopping), world)
    assert next(chunks)
    stopping.set()
    with pytest.raises(Problem, match="starts again from the box") as caught:
        next(chunks)
    assert caught.value.kind == "not-ready"


def test_a_release_that_was_stopped_wrote_nothing_and_is_made_later(world: World) -> None:
    manifest, stopping = world.closed(world.flow()), Event()
    stopping.set()
    parts = world.parts()
    parts.box = BoxUntilStop(parts.box, stopping)
    flow = world.flow(parts)
    before = world.micro(flow)
    with pytest.raises(Problem):
        flow.release(manifest.cycle)
    assert world.micro(flow) == before
    assert len(world.key_files()) == len(manifest.plan.sheets)
    stopping.clear()
    assert flow.release(manifest.cycle).state == "released"
