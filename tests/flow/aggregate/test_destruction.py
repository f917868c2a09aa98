"""Opening keys end with their cycle, whatever resists, and never before it is known to be over."""

import time

import pytest

from services.aggregate import app
from services.aggregate.keyring import Destruction
from services.protocol.messages import ReleaseState
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import make_proposal
from tests.flow.aggregate.world import Crash, Crashing, World

LEFT = "opening keys are not destroyed yet"
WRONG_DATABASE = "this database knows no cycle"


def cycles_with_keys(world: World) -> set[str]:
    """Return the cycles that have key files."""
    return {path.parent.name for path in world.key_files()}


def obstruct(world: World, cycle: str) -> None:
    """Put something among a cycle's keys that can't be overwritten, between the two in their order."""
    (world.settings.keys_folder / cycle / "m").mkdir()


def clear(world: World, cycle: str) -> None:
    """Take it away."""
    (world.settings.keys_folder / cycle / "m").rmdir()


def test_keys_of_a_broken_proposal_stay_until_it_is_repeated(world: World) -> None:
    parts = world.parts()
    parts.keyring = Crashing(parts.keyring, "make", after=True)
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal("broken-2026"))
    flow = world.flow()
    flow.compare_chains()
    flow.finish_destruction()
    # Without any other cycle, this can't be told from the wrong database.
    assert [WRONG_DATABASE in reason for reason in flow.unready()] == [True]
    flow.propose(make_proposal())
    flow.finish_destruction()
    assert flow.unready() == []
    assert cycles_with_keys(world) == {"broken-2026", "spring-2026"}
    before = {path: path.read_bytes() for path in world.key_files()}
    flow.propose(make_proposal("broken-2026"))
    assert {path: path.read_bytes() for path in world.key_files()} == before


def test_what_is_not_named_like_a_cycle_is_left_alone(world: World) -> None:
    keyring = world.parts().keyring
    keyring.make("spring-2026", ["support-group"])
    for name in ("lost+found", ".trash", "abc", "Spring-2026", "spring-2026\n"):
        (world.settings.keys_folder / name).mkdir()
    (world.settings.keys_folder / "summer-2026").write_text("a file")
    assert keyring.cycles() == {"spring-2026"}
    before = sorted(world.settings.keys_folder.iterdir())
    destruction = Destruction(keyring)
    destruction.sweep({path.name: "released" for path in before if path.name != "spring-2026"})
    assert sorted(world.settings.keys_folder.iterdir()) == before
    assert destruction.unfinished() == []


def test_a_release_is_not_done_before_its_keys_are_gone(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    obstruct(world, manifest.cycle)
    flow.compare_chains()
    first = flow.release(manifest.cycle)
    assert (first.state, LEFT in first.words) == ("running", True)
    assert world.key_files() == []
    assert [LEFT in reason for reason in flow.unready()] == [False]
    assert "not destroyed yet; cycles: 1" in flow.unready()[0]
    assert first.release == world.release(manifest.cycle).hash().hex()
    assert len(world.report.documents) == 1
    for ask in (flow.state, flow.ask_release, flow.release, world.flow().state):
        assert ask(manifest.cycle) == first
    with pytest.raises(Problem, match="can't be made void"):
        flow.void(manifest.cycle, "Regret.")
    clear(world, manifest.cycle)
    assert flow.state(manifest.cycle).state == "running"
    assert flow.ask_release(manifest.cycle).state == "released"
    assert flow.unready() == []
    assert list(world.settings.keys_folder.iterdir()) == []
    assert world.micro(flow)["answers"] == (0, 350_000)


def test_a_void_cycle_says_that_its_keys_are_left(world: World) -> None:
    flow = world.flow()
    manifest = world.opened(flow)
    flow.compare_chains()
    obstruct(world, manifest.cycle)
    state = flow.void(manifest.cycle, "The wrong roster.")
    assert (state.state, LEFT in state.words) == ("void", True)
    assert world.micro(flow)["answers"] == (0, 0)
    assert len(flow.unready()) == 1
    clear(world, manifest.cycle)
    with pytest.raises(Problem, match="made void"):
        flow.ask_release(manifest.cycle)
    assert flow.unready() == []
    assert LEFT not in flow.state(manifest.cycle).words


def test_the_service_starts_and_tries_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "DESTROY_AGAIN_SECONDS", 0.05)
    manifest = world.closed(world.flow())
    obstruct(world, manifest.cycle)
    world.flow().release(manifest.cycle)
    with world.service() as running:

        def state() -> ReleaseState:
            answer = running.call("GET", f"/internal/cycles/{manifest.cycle}")
            return ReleaseState.model_validate_json(answer.content)

        assert "not destroyed yet" in running.client.get("/readyz").text
        answer = running.call("POST", f"/internal/cycles/{manifest.cycle}/release")
        assert (answer.status_code, answer.json()["state"]) == (202, "running")
        clear(world, manifest.cycle)
        until = time.monotonic() + 20
        while state().state != "released" and time.monotonic() < until:
            time.sleep(0.05)
        assert state().state == "released"
        while running.client.get("/readyz").status_code != 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert running.client.get("/readyz").status_code == 200


def test_a_fault_while_destroying_does_not_end_the_attempts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DESTROY_AGAIN_SECONDS", 0.02)
    manifest = world.closed(world.flow())
    obstruct(world, manifest.cycle)
    world.flow().release(manifest.cycle)
    with world.service() as running:
        flow = running.client.app.state.flow  # type: ignore[attr-defined]
        flow._store = Crashing(flow._store, "states")
        clear(world, manifest.cycle)
        until = time.monotonic() + 20
        while list(world.settings.keys_folder.iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        assert flow._store.crashed
        assert list(world.settings.keys_folder.iterdir()) == []
