"""Spells: that something happened in a stretch of time, never how often."""

import time
from collections.abc import Callable
from threading import Lock


class Spells:
    """Counts the stretches in which something happened.

    However often it happens in one stretch, the count grows by one; so its steps tell no number of calls.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now, self._lock = seconds, now, Lock()
        self._until = float("-inf")
        self.count = 0

    def note(self) -> bool:
        """Say that it happened; return whether a new stretch begins with it."""
        with self._lock:
            moment = self._now()
            begins = moment >= self._until
            if begins:
                self._until = moment + self._seconds
                self.count += 1
            return begins
