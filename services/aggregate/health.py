"""Aggregate's health in figures. They are about releases, which are made after a cycle is closed."""

import time
from collections.abc import Callable

from services.aggregate.flow import Flow
from services.aggregate.outbox import Outbox
from services.kit.metrics import Metrics


class Running:
    """Since when a release is being made."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: float | None = None

    def around(self, work: Callable[[], None]) -> None:
        """Do the work and remember when it began, until it ends."""
        self._since = self._now()
        try:
            work()
        finally:
            self._since = None

    def seconds(self) -> float:
        """Return for how long a release has been running in whole seconds; 0 if none is."""
        since = self._since
        return 0.0 if since is None else float(max(1, int(self._now() - since)))


def add_figures(metrics: Metrics, flow: Flow, outbox: Outbox, running: Running) -> None:
    """Show aggregate's figures."""
    metrics.add("outbox_waiting", "Releases that report has not acknowledged.", lambda: outbox.waiting)
    metrics.add("keys_left", "Cycles that are over and whose opening keys are not destroyed.", flow.keys_left)
    metrics.add(
        "release_running_seconds", "For how long a release has been running; 0 if none is.", running.seconds
    )
