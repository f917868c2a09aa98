"""Promises that no other test would see broken: what a close does on the way, and what outlives it."""

import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.stages import PROC, alive, end_worker

ENDED_WITHIN_SECONDS = 10.0
WORKERS = """
import sys, time
from services.aggregate.workers import worker_processes
with worker_processes(2) as pool:
    print(*pool._processes, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not PROC.is_dir(), reason="Processes are found in /proc, which this system doesn't have.")
def test_a_worker_that_may_hold_a_key_ends_with_its_service() -> None:
    """P5: when aggregate is killed while it opens a box, its workers must not keep the key in memory."""
    service = subprocess.Popen(
        [sys.executable, "-c", WORKERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with service:
        assert service.stdout is not None
        workers = [int(pid) for pid in service.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(pid) for pid in workers)
        service.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + ENDED_WITHIN_SECONDS
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [pid for pid in workers if alive(pid)]
    for pid in workers:
        end_worker(pid)
    assert left == []
