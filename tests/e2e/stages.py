"""The three services as a child process of a test: started, killed, and started again on one folder."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from services.folder import KINDS, SERVICES, init_folder
from services.kit.clock import system_clock
from services.kit.http import peer_client
from services.kit.keys import Identity, load_identity
from services.kit.settings import ServiceSettings, load_settings
from services.protocol.manifest import written
from services.protocol.signed import Service
from services.rehearsal.hr import Hr
from services.rehearsal.stage import Stage, read_stage
from services.survey.core.draft import Options

START_SECONDS = 90.0
STOP_SECONDS = 15.0
PROC = Path("/proc")


@dataclass
class Services:
    """A folder of the three services, and the process that runs them."""

    folder: Path
    stage: Stage = field(init=False)
    child: "subprocess.Popen[bytes] | None" = None
    trust: ssl.SSLContext | bool = True

    def __post_init__(self) -> None:
        init_folder(self.folder, kernel_ports())
        self.stage = read_stage(self.folder)

    def start(self) -> None:
        """Run the services until they answer."""
        with (self.folder / "services.log").open("ab") as log:
            command = [sys.executable, "-m", "services", "serve", "all", "--dir", str(self.folder)]
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(timeout=2.0, trust_env=False, verify=self.trust) as client:
            while not all(answers(client, f"{self.url(name)}/healthz") for name in SERVICES):
                assert self.child.poll() is None, "the services ended"
                assert time.monotonic() < deadline, "the services did not start"
                time.sleep(0.05)

    def kill(self) -> None:
        """End the process as a power cut would, without asking it."""
        assert self.child is not None
        self.child.kill()
        self.child.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Ask the process to end, and make sure that it does."""
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def url(self, name: Service) -> str:
        """Return where a service answers."""
        return {"survey": self.stage.survey, "aggregate": self.stage.aggregate, "report": self.stage.report}[
            name
        ]

    def settings(self, name: Service) -> ServiceSettings:
        """Return a service's settings, as its operator can read them."""
        return load_settings(KINDS[name], self.folder / name)

    def identity(self, name: Service) -> Identity:
        """Return a service's signing key, as its operator can read it."""
        return load_identity(self.settings(name).identity_file)

    @contextmanager
    def hr(self) -> Iterator[Hr]:
        """Yield an HR analyst at survey's door."""
        hr = Hr(self.stage)
        try:
            yield hr
        finally:
            hr.leave()

    def signed(self, sender: Service, receiver: Service) -> httpx.Client:
        """Return a client whose calls to ``receiver`` are signed with ``sender``'s own key."""
        return peer_client(self.settings(sender), self.identity(sender), receiver, system_clock)


@contextmanager
def running_services(folder: Path) -> Iterator[Services]:
    """Yield running services; their process is gone afterwards, whatever happens."""
    services = Services(folder)
    try:
        services.start()
        yield services
    finally:
        services.stop()


def options(**changes: object) -> Options:
    """Return the options of a rehearsal that is open now and may be closed at any moment."""
    now = datetime.now(UTC)
    later = written(now + timedelta(days=7))
    chosen = {
        "company": "Acme",
        "title": "What holds results back?",
        "rehearsal": True,
        "opens": written(now),
    }
    return Options.model_validate({**chosen, "closes": later, "latest_close": later, **changes})


def answers(client: httpx.Client, address: str) -> bool:
    """Return whether an address answers with success."""
    try:
        return client.get(address).is_success
    except httpx.TransportError:
        return False


def kernel_ports() -> tuple[int, int, int]:
    """Return three ports that were free a moment ago; never the default ones, which others may want."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        first, second, third = (each.getsockname()[1] for each in sockets)
    return first, second, third


def children(pid: int) -> set[int]:
    """Return the processes that a process started (Linux; elsewhere none are found)."""
    return {child for child in processes() if parent(child) == pid}


def naming(words: str) -> set[int]:
    """Return the processes whose command line holds ``words``, without this one."""
    return {pid for pid in processes() if pid != os.getpid() and words.encode() in command_line(pid)}


def alive(pid: int) -> bool:
    """Return whether a process still runs."""
    state = read(PROC / str(pid) / "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] != b"Z"


def end_worker(pid: int) -> None:
    """End a worker process that a killed service left behind; another process is left alone."""
    if b"multiprocessing" in command_line(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def command_line(pid: int) -> bytes:
    """Return a process's command line."""
    return read(PROC / str(pid) / "cmdline")


def parent(pid: int) -> int:
    """Return a process's parent, or 0."""
    words = read(PROC / str(pid) / "stat").rpartition(b")")[2].split()
    return int(words[1]) if words else 0


def processes() -> list[int]:
    """Return all process ids."""
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()] if PROC.is_dir() else []


def read(path: Path) -> bytes:
    """Return a file's bytes; none if it is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
