"""What figures are set against: key exchanges of this machine, its disk, and the memory of a process."""

import os
import re
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

_OPENSSL = ("openssl", "speed", "-seconds", "1", "ecdhp256")
_RATE = re.compile(r"ecdh \(nistp256\)\s+\S+s\s+([\d.]+)")
SYNCS = 50
SYNC_BYTES = 4096
MIB = 1 << 20


@dataclass(frozen=True)
class Exchange:
    """How long one key exchange on P-256 takes [s of one core], by whose measure."""

    seconds: float
    source: str


def exchange() -> Exchange:
    """Measure key exchanges for a second: with the openssl command, or with our own library without it."""
    try:
        said = subprocess.run(_OPENSSL, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    found = _RATE.search(said)
    if found is None:
        return Exchange(_own_exchange(), "cryptography's exchange (no usable openssl command)")
    return Exchange(1 / float(found.group(1)), " ".join(_OPENSSL))


def _own_exchange() -> float:
    key, peer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    public, done = peer.public_key(), 0
    begun = time.process_time()
    while time.process_time() < begun + 1:
        for _ in range(100):
            key.exchange(ec.ECDH(), public)
        done += 100
    return (time.process_time() - begun) / done


def sync_seconds(folder: Path) -> float:
    """Return the median time [s] in which 4 KiB more of a file in this folder are safe."""
    path, taken = folder / "probe", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(SYNC_BYTES))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    path.unlink()
    return statistics.median(taken)


@dataclass(frozen=True)
class Used:
    """What one process used so far: the most memory it ever held [bytes] and processor time [s]."""

    process: int
    peak_bytes: int
    cpu_seconds: float


def used() -> Used:
    """Return what this process used; pages it shares with others count as its own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return Used(os.getpid(), 1024 * int(line.split()[1]), time.process_time())
    raise RuntimeError("the kernel does not tell a process's peak memory")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
