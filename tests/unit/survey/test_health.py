"""Survey's health figures: what they show when something is wrong, and what they never show."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.protocol.problems import Problem
from services.survey.core.issuer import IssuerKey
from services.survey.health import FAILING, FULL, KEYS, LATE, CommitTimes, IssuerKeys, Rounds, fullness
from services.survey.inbox import Arrival, Inbox
from services.survey.issuers import IssuerFolder
from tests.unit.kit.doubles import HandClock, run

HOUR = 3600.0


def test_the_age_of_mixing_is_zero_while_it_is_on_time() -> None:
    clock = HandClock()
    rounds = Rounds(clock, HOUR)
    ages = []
    for _ in range(120):
        clock.move(60)
        ages.append(rounds.age_seconds())
    assert set(ages[:-1]) == {0.0}
    assert ages[-1] == 2 * HOUR
    clock.move(HOUR - 1)
    assert (rounds.age_seconds(), rounds.reasons()) == (2 * HOUR, [])
    clock.move(1)
    assert (rounds.age_seconds(), rounds.reasons()) == (3 * HOUR, [LATE])
    rounds.went_well()
    assert (rounds.age_seconds(), rounds.reasons()) == (0.0, [])


def test_mixing_that_failed_twice_is_a_reason_until_it_goes_well() -> None:
    rounds = Rounds(HandClock(), HOUR)
    rounds.failed()
    assert (rounds.failures, rounds.reasons()) == (1, [])
    rounds.failed()
    assert (rounds.failures, rounds.reasons()) == (2, [FAILING])
    rounds.went_well()
    assert (rounds.failures, rounds.reasons()) == (2, [])


def shown(times: CommitTimes) -> dict[str, float]:
    """Return the figures by their one label."""
    return {labels[0][1]: value for labels, value in times.read().items()}


def test_on_a_healthy_disk_the_time_of_commits_stands_still() -> None:
    times = CommitTimes(lambda: 0.0)
    seen = [shown(times)]
    for number in range(2000):
        times.note(0.0005 * (number % 400))
        seen.append(shown(times))
    assert {tuple(figures.values()) for figures in seen} == {(0.25, 0.25)}


def test_a_slow_disk_shows_after_a_whole_block_in_powers_of_two() -> None:
    times = CommitTimes(lambda: 0.0)
    for number in range(CommitTimes.BLOCK - 1):
        times.note(1.9 if number < 3 else 0.3)
        assert shown(times) == {"0.5": 0.25, "0.99": 0.25}
    times.note(0.3)
    assert shown(times) == {"0.5": 0.5, "0.99": 2.0}


def test_an_old_time_is_forgotten_though_nothing_comes() -> None:
    now = [0.0]
    times = CommitTimes(lambda: now[0])
    for _ in range(CommitTimes.BLOCK):
        times.note(5.0)
    assert shown(times)["0.99"] == 8.0
    now[0] = CommitTimes.KEPT_SECONDS
    assert shown(times)["0.99"] == 0.25


def test_commits_are_timed_also_when_they_fail() -> None:
    now = [0.0]

    def commit(answer: str) -> str:
        now[0] += 3.0
        if answer == "fail":
            raise Problem("busy")
        return answer

    times = CommitTimes(lambda: now[0])
    work = times.timed(commit)
    for _ in range(CommitTimes.BLOCK - 1):
        assert work("stored") == "stored"
    with pytest.raises(Problem):
        work("fail")
    assert shown(times)["0.5"] == 4.0


@pytest.mark.parametrize("capacity", [1000, 1500, 10_000, 64_000])
def test_a_queue_of_fewer_than_a_thousand_looks_empty(capacity: int) -> None:
    assert {fullness(waiting, capacity) for waiting in range(min(1000, capacity))} == {0.0}
    assert fullness(capacity, capacity) == 1.0
    shown_values = {fullness(waiting, capacity) for waiting in range(capacity + 1)}
    assert shown_values <= {tenths / 10 for tenths in range(11)}
    assert all(fullness(waiting, capacity) <= waiting / capacity for waiting in range(capacity + 1))


def test_a_full_queue_is_noted_and_a_stopping_one_is_not() -> None:
    async def journey() -> int:
        noted = []
        inbox = Inbox(lambda arrivals: [], capacity=0, on_full=lambda: noted.append(FULL))
        with pytest.raises(Problem):
            await inbox.put(ARRIVAL)
        assert inbox.full
        roomy = Inbox(lambda arrivals: [], capacity=1, on_full=lambda: noted.append(FULL))
        roomy.stop()
        with pytest.raises(Problem):
            await roomy.put(ARRIVAL)
        return len(noted)

    assert run(journey()) == 1


ARRIVAL = Arrival("c" * 16, "one", bytes(32), 1, bytes(32), bytes(620))


class Opened:
    """A cycle as the check sees it; its manifest is read once."""

    def __init__(self, cycle_id: str, state: str = "open", *, restored: bool = False) -> None:
        self.id, self.state, self.restored, self.read = cycle_id, state, restored, 0

    @property
    def plan(self) -> "Opened":
        """Stand in for the manifest's plan."""
        return self

    @property
    def sheets(self) -> tuple[str, ...]:
        """Return two sheets."""
        return ("one", "two")

    def opened(self) -> "Opened":
        """Stand in for the manifest."""
        self.read += 1
        return self


class Cycles:
    """A store of cycles."""

    def __init__(self, *cycles: Opened) -> None:
        self._cycles = list(cycles)

    def cycles(self) -> list[Opened]:
        """Return them all."""
        return self._cycles


class Counting(IssuerFolder):
    """A folder that counts how often keys are read in full."""

    loads = 0

    def load(self, cycle_id: str, sheets: tuple[str, ...]) -> dict[str, IssuerKey]:
        """Count, and load."""
        self.loads += 1
        return super().load(cycle_id, sheets)


@pytest.fixture(scope="module")
def key() -> bytes:
    """Return an issuer key as its file holds it."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return IssuerKey.from_private_key(made).to_der()


def test_issuer_keys_of_open_cycles_have_to_be_readable(tmp_path: Path, key: bytes) -> None:
    for name in ("aaaa", "bbbb", "closed"):
        for sheet in ("one", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{sheet}.key").write_bytes(key)
    gone = [Opened("gone", "closed"), Opened("lost", restored=True)]
    cycles = [Opened("aaaa"), Opened("bbbb"), *gone]
    folder = Counting(tmp_path)
    check = IssuerKeys(Cycles(*cycles), folder)  # type: ignore[arg-type]
    assert [check.reasons() for _ in range(5)] == [[]] * 5
    # Looked into once for all that are alike, and then only compared.
    assert (folder.loads, [cycle.read for cycle in cycles]) == (1, [1, 1, 0, 0])
    (tmp_path / "aaaa" / "one.key").unlink()
    assert check.reasons() == [KEYS.format(1)]
    (tmp_path / "bbbb" / "two.key").write_bytes(key[:-1])
    assert check.reasons() == [KEYS.format(2)]
    (tmp_path / "aaaa" / "one.key").write_bytes(key)
    (tmp_path / "bbbb" / "two.key").write_bytes(key)
    assert check.reasons() == []
