"""How often a store has the disk make things safe, counted by the server itself or by a tracer."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import Server

SETTLING = 8
"""Single sheets before and after a count: each connection of a pool reports at the end of one of them."""
REPORT_SECONDS = 1.2
"""PostgreSQL's processes report what they did no more than once a second."""
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 1 << 30
CALLS = "fdatasync,fsync"
_LINE = re.compile(r"^\d+\s+([\d.]+) (?:fdatasync|fsync)\(")
Take = Callable[[int, int], object]
"""Sends so many sheets over so many connections."""


def on_postgres(server: Server, take: Take, count: int, connections: int) -> float:
    """Return the syncs of the write-ahead log per acknowledged sheet, of the whole server."""
    before = _settled(server, take)
    take(count, connections)
    return (_settled(server, take) - before - SETTLING) / count


def _settled(server: Server, take: Take) -> int:
    """Return the syncs so far, once everybody has reported."""
    time.sleep(REPORT_SECONDS)
    for _ in range(SETTLING):
        take(1, 1)
    time.sleep(REPORT_SECONDS)
    ((syncs,),) = server.execute("SELECT wal_sync FROM pg_stat_wal")
    assert isinstance(syncs, int)
    return syncs


def can_trace() -> bool:
    """Tell whether calls of a process can be counted here."""
    try:
        subprocess.run(["strace", "-o", "/dev/null", "true"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def tracer(log: Path) -> tuple[str, ...]:
    """Return the command that writes down every sync of the program behind it, with its time."""
    return ("strace", "-f", "--seccomp-bpf", "-ttt", "-e", f"trace={CALLS}", "-o", str(log))


def traced(log: Path, take: Take, count: int, connections: int) -> float:
    """Return the syncs per acknowledged sheet that a tracer wrote down meanwhile."""
    begun = time.time()
    take(count, connections)
    ended = time.time()
    times = [float(line.group(1)) for text in log.read_text().splitlines() if (line := _LINE.match(text))]
    return len([moment for moment in times if begun <= moment <= ended]) / count


@contextmanager
def in_memory() -> Iterator[bool]:
    """Have temporary folders made in memory, if there is room; tells whether there is."""
    room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    before = tempfile.tempdir
    try:
        if room:
            tempfile.tempdir = str(MEMORY)
        yield room
    finally:
        tempfile.tempdir = before
