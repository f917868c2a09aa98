"""A release that dies at any step: after a retry there is one release and one charge, and never two."""

import pytest

from services.protocol.problems import Problem
from services.protocol.release import Release
from tests.flow.aggregate.doubles import Counts
from tests.flow.aggregate.factories import GROUP_SHEET, make_proposal
from tests.flow.aggregate.world import Crash, Crashing, Parts, World

BEFORE = ["frame", "chunks", "read", "laplace", "publish"]
AFTER = ["published", "destroy", "half destroyed", "push", "pushed", "marked"]


def with_crash(parts: Parts, step: str) -> Parts:
    """Return the parts with a crash at one step of a release."""
    if step in ("frame", "chunks"):
        parts.box = Crashing(parts.box, step)
    elif step == "laplace":
        parts.laplace = dying_laplace
    elif step in ("publish", "published"):
        parts.store = Crashing(parts.store, "publish", after=step == "published")
    elif step == "read":
        parts.keyring = Crashing(parts.keyring, "read")
    elif step == "destroy":
        parts.keyring = Crashing(parts.keyring, "destroy")
    elif step == "half destroyed":
        parts.keyring = HalfDestroying(parts.keyring)
    elif step in ("push", "pushed"):
        parts.outbox = Crashing(parts.outbox, "push", after=step == "pushed")
    elif step == "marked":
        parts.outbox._store = Crashing(parts.outbox._store, "mark_delivered")
    return parts


def dying_laplace(counts: Counts, *, epsilon: float) -> Counts:
    """A mechanism during which the process dies."""
    raise Crash


class HalfDestroying(Crashing):
    """Dies after one of a cycle's two keys is destroyed."""

    def __init__(self, keyring: object) -> None:
        super().__init__(keyring, "destroy")

    def destroy(self, cycle: str) -> None:
        """Destroy one key and die."""
        self._part._path(cycle, GROUP_SHEET).unlink()
        raise Crash


def spent(world: World) -> dict[str, tuple[int, int]]:
    """Return the accounts, after checking that each line of the ledger stands once."""
    with world.parts().store._database.transaction() as session:
        lines = session.connection().exec_driver_sql("SELECT account, event FROM ledger_line").all()
    assert len(lines) == len(set(lines))
    return world.micro(world.flow())


@pytest.mark.parametrize("step", BEFORE)
def test_a_crash_before_the_release_is_written_leaves_a_reserved_line(world: World, step: str) -> None:
    manifest = world.closed(world.flow())
    with pytest.raises(Crash):
        world.flow(with_crash(world.parts(), step)).release(manifest.cycle)
    reserved = {"answers": (350_000, 0), "participation": (1_000_000, 0)}
    assert spent(world) == reserved
    assert len(world.key_files()) == 2
    assert world.report.documents == []
    with pytest.raises(Problem, match="nothing at this address"):
        world.published().release(manifest.cycle)
    finish(world, manifest.cycle)


@pytest.mark.parametrize("step", AFTER)
def test_a_crash_after_the_release_is_written_changes_nothing_of_it(world: World, step: str) -> None:
    manifest = world.closed(world.flow())
    with pytest.raises(Crash):
        world.flow(with_crash(world.parts(), step)).release(manifest.cycle)
    written = world.release(manifest.cycle)
    # Whatever is asked of survey from now on, the release stands.
    world.survey.boxes[manifest.cycle][GROUP_SHEET].clear()
    world.survey.close(manifest.cycle)
    assert finish(world, manifest.cycle) == written


def finish(world: World, cycle: str) -> Release:
    """Start again after a crash, release twice, and return the one release there is."""
    flow = world.flow()
    flow.finish_destruction()
    states = [flow.release(cycle), flow.release(cycle)]
    release = world.release(cycle)
    assert [state.release for state in states] == [release.hash().hex()] * 2
    assert spent(world) == {"answers": (0, 350_000), "participation": (0, 1_000_000)}
    assert world.key_files() == []
    assert world.report.documents == [release.model_dump(mode="json")]
    return release


def test_keys_of_a_released_cycle_are_destroyed_at_the_start(world: World) -> None:
    manifest = world.closed(world.flow())
    other = world.opened(world.flow(), make_proposal("summer-2026"))
    with pytest.raises(Crash):
        world.flow(with_crash(world.parts(), "destroy")).release(manifest.cycle)
    assert {path.parent.name for path in world.key_files()} == {manifest.cycle, other.cycle}
    world.flow().finish_destruction()
    assert {path.parent.name for path in world.key_files()} == {other.cycle}


def test_a_failed_release_says_so_and_can_be_asked_again(world: World) -> None:
    parts = with_crash(world.parts(), "laplace")
    flow = world.flow(parts)
    manifest = world.closed(flow)
    state = flow.ask_release(manifest.cycle)
    assert (state.state, state.release) == ("failed", None)
    assert state.words == "Something went wrong here. Nothing was half done."
    world.survey.down = True
    assert flow.ask_release(manifest.cycle).words == "A part this service needs does not answer yet."
    world.survey.down = False
    assert world.flow().ask_release(manifest.cycle).state == "released"


def test_progress_is_told_in_words(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    told: list[str] = []
    parts = world.parts()
    chunks = parts.box.chunks

    def watched(*args: object, **sizes: int) -> object:
        for chunk in chunks(*args, **sizes):
            yield chunk
            told.append(flow.state(manifest.cycle).words)

    parts.box.chunks = watched
    flow = world.flow(parts)
    flow.release(manifest.cycle)
    assert told[0] == "Opening sheets: 0 of 50"
    assert told[-1] == "Opening sheets: 33 of 50"
    assert flow.state(manifest.cycle).words == "Released."
