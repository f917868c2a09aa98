"""Many at once: one release, one charge, and no account over its cap."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from services.aggregate.core.ledger import BudgetExceeded
from services.aggregate.flow import Flow
from services.protocol.messages import ReleaseState
from services.protocol.problems import Problem
from tests.flow.aggregate.doubles import Counts, shift
from tests.flow.aggregate.factories import BALANCED, make_proposal
from tests.flow.aggregate.world import World


def test_two_threads_release_once(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    with ThreadPoolExecutor(2) as threads:
        states = list(threads.map(flow.release, [manifest.cycle] * 2))
    assert states[0] == states[1]
    assert len(world.report.documents) == 1
    assert world.micro(flow)["answers"] == (0, 350_000)


def test_two_processes_release_once(world: World) -> None:
    """Two flows on one database share no lock; both draw noise, and only one of them may write."""
    manifest = world.closed(world.flow())
    both_have_drawn = Barrier(2, timeout=20)
    flows = []
    for number in range(2):
        parts = world.parts()
        parts.laplace = Meeting(both_have_drawn, number)
        flows.append(world.flow(parts))

    def release(flow: Flow) -> ReleaseState | Problem:
        try:
            return flow.release(manifest.cycle)
        except Problem as problem:
            return problem

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(release, flows))
    written = world.release(manifest.cycle)
    states = [one for one in outcomes if isinstance(one, ReleaseState)]
    assert [state.release for state in states] == [written.hash().hex()]
    assert [str(one) for one in outcomes if isinstance(one, Problem)] == [
        "The cycle moved on while its release was made."
    ]
    assert world.micro(world.flow())["answers"] == (0, 350_000)
    assert len(world.report.documents) == 1
    assert {world.flow().release(manifest.cycle).release for _ in range(2)} == {written.hash().hex()}


class Meeting:
    """A mechanism that waits for the other flow before its first table, and tells the two apart."""

    def __init__(self, barrier: Barrier, number: int) -> None:
        self._barrier, self._number, self._waited = barrier, number, False

    def __call__(self, counts: Counts, *, epsilon: float) -> Counts:
        """Return shifted counts."""
        if not self._waited:
            self._waited = True
            self._barrier.wait()
        return shift(counts, epsilon=epsilon) + self._number


def test_asking_twice_starts_one_release(world: World) -> None:
    started: list[object] = []
    flow = world.flow(background=started.append)
    manifest = world.closed(flow)
    states = [flow.ask_release(manifest.cycle) for _ in range(3)]
    assert [state.state for state in states] == ["running"] * 3
    assert len(started) == 1


def test_parallel_proposals_get_exactly_what_is_affordable(world: World) -> None:
    flows = [world.flow() for _ in range(4)]

    def propose(number: int) -> bool:
        try:
            flows[number % 4].propose(make_proposal(f"balanced-{number}", plan=BALANCED))
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        accepted = list(threads.map(propose, range(24)))
    assert sum(accepted) == 4
    assert world.micro(flows[0])["answers"] == (8_000_000, 0)
    assert len(world.key_files()) == 4 * len(BALANCED.tables)


def test_void_during_a_release_wins_or_loses_whole(world: World) -> None:
    parts = world.parts()
    flow = world.flow(parts)
    manifest = world.closed(flow)

    def voiding(counts: Counts, *, epsilon: float) -> Counts:
        if flow.state(manifest.cycle).state != "void":
            flow.void(manifest.cycle, "The wrong roster.")
        return shift(counts, epsilon=epsilon)

    parts.laplace = voiding
    other = world.flow(parts)
    assert other.ask_release(manifest.cycle).state == "void"
    assert world.micro(flow) == {"answers": (0, 0), "participation": (0, 0)}
    assert world.key_files() == []
