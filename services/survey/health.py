"""Survey's health: why it can't work, and figures in which nobody can count sheets (decision 0017)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from services.kit.clock import Clock
from services.kit.metrics import Labels, Metrics
from services.kit.spells import Spells
from services.survey.core.cycle import State
from services.survey.inbox import Inbox
from services.survey.issuers import IssuerFolder
from services.survey.store import Store

LATE_PERIODS, OVERDUE_PERIODS, FAILED_ROUNDS = 3, 2, 2
SHOWN_FROM = 1000
"""A queue that holds fewer sheets looks empty."""
FULL = "The inbox is full: sheets are turned away until the database keeps up."
LATE = "The box was not mixed in time: the last round that went well is three periods ago, or more."
FAILING = "Mixing the box keeps failing; it is tried again every minute."
KEYS = "Issuer keys of open cycles can't be read; cycles: {}."
A = TypeVar("A")
B = TypeVar("B")


class Rounds:
    """Rounds of mixing. One goes well if it mixes the box, or finds too few sheets to hide among.

    So that its age tells nothing of how many came.
    """

    def __init__(self, clock: Clock, period_seconds: float) -> None:
        self._clock, self._period_seconds = clock, period_seconds
        self._well, self._failed_in_a_row = clock(), 0
        self.failures = 0

    def went_well(self) -> None:
        """Note a round that left nothing to do."""
        self._well, self._failed_in_a_row = self._clock(), 0

    def failed(self) -> None:
        """Note a round that broke off."""
        self.failures += 1
        self._failed_in_a_row += 1

    def age_seconds(self) -> float:
        """Return 0 while rounds are on time, then their age in whole periods.

        Finer, it would tell how long mixing takes, and that follows the size of the box.
        """
        periods = self._periods()
        return periods * self._period_seconds if periods >= OVERDUE_PERIODS else 0.0

    def reasons(self) -> list[str]:
        """Say whether mixing is late or keeps failing."""
        failing = [FAILING] if self._failed_in_a_row >= FAILED_ROUNDS else []
        return failing + ([LATE] if self._periods() >= LATE_PERIODS else [])

    def _periods(self) -> int:
        return int((self._clock() - self._well).total_seconds() // self._period_seconds)


class CommitTimes:
    """How long commits take, in figures that stand still while the disk is well.

    They are worked out after each block of commits, rounded up to a power of two and never below a floor:
    a healthy service shows the floor whether or not anything arrives. A step above it tells that a whole
    block of commits has gone by. What is old is forgotten.
    """

    BLOCK, FLOOR_SECONDS, KEPT_SECONDS = 256, 0.25, 3600.0
    QUANTILES = (0.5, 0.99)

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock, self._until = now, Lock(), float("-inf")
        self._times, self._shown = list[float](), dict[float, float]()

    def timed(self, work: Callable[[A], B]) -> Callable[[A], B]:
        """Return ``work`` with an eye on how long it takes."""

        def run(argument: A) -> B:
            begun = self._now()
            try:
                return work(argument)
            finally:
                self.note(self._now() - begun)

        return run

    def note(self, seconds: float) -> None:
        """Take the time of one commit."""
        with self._lock:
            self._times.append(seconds)
            if len(self._times) == self.BLOCK:
                ordered, self._times = sorted(self._times), []
                self._shown = {share: self._coarse(_quantile(ordered, share)) for share in self.QUANTILES}
                self._until = self._now() + self.KEPT_SECONDS

    def read(self) -> dict[Labels, float]:
        """Return the figures by quantile."""
        with self._lock:
            shown = self._shown if self._now() < self._until else {}
            return {
                (("quantile", str(share)),): shown.get(share, self.FLOOR_SECONDS) for share in self.QUANTILES
            }

    def _coarse(self, seconds: float) -> float:
        return 2.0 ** math.ceil(math.log2(max(seconds, self.FLOOR_SECONDS)))


@dataclass
class IssuerKeys:
    """Whether the issuer keys of all open cycles can be read.

    Reading a key in full is slow, so files that were good once are only compared with what they were.
    """

    store: Store
    folder: IssuerFolder
    _sheets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _good: set[bytes] = field(default_factory=set)

    def reasons(self) -> list[str]:
        """Say how many open cycles have lost a key. Raises Problem if the database doesn't answer."""
        cycles = [cycle for cycle in self.store.cycles() if cycle.state == State.OPEN and not cycle.restored]
        for cycle in cycles:
            if cycle.id not in self._sheets:
                self._sheets[cycle.id] = cycle.opened().plan.sheets
        lost = sum(not self._can_issue(cycle.id) for cycle in cycles)
        return [KEYS.format(lost)] if lost else []

    def _can_issue(self, cycle_id: str) -> bool:
        sheets = self._sheets[cycle_id]
        try:
            seen = self.folder.fingerprint(cycle_id, sheets)
            if seen not in self._good:
                self.folder.load(cycle_id, sheets)
                self._good.add(seen)
        except (OSError, ValueError):
            return False
        return True


def fullness(waiting: int, capacity: int) -> float:
    """Return how full the queue is, in tenths rounded down, and 0 while fewer than a thousand wait.

    Rounded up, one sheet would show as a tenth, and whoever asks often enough would see it arrive.
    """
    return waiting * 10 // capacity / 10 if waiting >= SHOWN_FROM else 0.0


def add_figures(
    metrics: Metrics, inbox: Inbox, refused: Spells, commits: CommitTimes, rounds: Rounds
) -> None:
    """Show survey's figures."""
    metrics.add(
        "inbox_fullness_ratio",
        "Share of the inbox in use, in tenths rounded down; 0 below 1,000 sheets.",
        lambda: fullness(inbox.waiting, inbox.capacity),
    )
    metrics.add(
        "inbox_refused_total",
        "Minutes in which sheets were turned away because the inbox was full.",
        lambda: refused.count,
        "counter",
    )
    metrics.add(
        "commit_seconds",
        "Time of a commit over blocks of 256, rounded up to powers of two; at least 0.25.",
        commits.read,
    )
    metrics.add(
        "mixing_age_seconds",
        "0 while mixing is on time, else whole periods since the last round that went well.",
        rounds.age_seconds,
    )
    metrics.add("mixing_failures_total", "Rounds of mixing that failed.", lambda: rounds.failures, "counter")


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]
