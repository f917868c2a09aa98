"""Survey, aggregate and report as three processes, so that a kill hits one of them; on either database."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import text

from services.folder import SERVICES, init_folder
from services.kit.database import Database
from services.kit.settings import save_settings
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.rehearsal.stage import read_stage
from tests.e2e.stages import PROC, START_SECONDS, STOP_SECONDS, Services, answers, read
from tests.postgres import Server, running_server
from tests.stores import prepare, role

MIX_EVERY_SECONDS = 0.5
"""So often that kills meet it."""
QUERY_SECONDS = 60.0
LOG_TAIL = 2000


@dataclass
class Apart(Services):
    """A folder of the three services, and a process for each of them."""

    server: Server | None = None
    mixing_seconds: float = MIX_EVERY_SECONDS
    processes: "dict[Service, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        init_folder(self.folder, quiet_ports())
        for name in SERVICES:
            save_settings(self.settings(name).model_copy(update=self._changes(name)))
        self.stage = read_stage(self.folder)

    @property
    def store(self) -> str:
        """Which database the services use."""
        return "sqlite" if self.server is None else "postgresql"

    def start(self) -> None:
        """Run all three until they answer."""
        for name in SERVICES:
            self.launch(name)
        for name in SERVICES:
            self.wait(name)

    def launch(self, name: Service) -> None:
        """Start the process of one service."""
        command = [sys.executable, "-m", "services", "serve", name, "--dir", str(self.folder)]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
            )

    def wait(self, name: Service) -> None:
        """Wait until a service answers.

        One that finds its database's server away ends with a sentence; like any operator's unit it is then
        started again.
        """
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while not answers(client, f"{self.url(name)}/healthz"):
                assert time.monotonic() < deadline, f"{name} did not start: {self.said(name)}"
                if self.processes[name].poll() is not None:
                    assert self.server is not None, f"{name} ended: {self.said(name)}"
                    self.launch(name)
                time.sleep(0.05)

    def cut(self, name: Service) -> None:
        """End one service as a power cut would."""
        process = self.processes[name]
        assert process.poll() is None, f"{name} had ended by itself: {self.said(name)}"
        process.kill()
        process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End all three as a power cut would."""
        for name in SERVICES:
            self.cut(name)

    def stop(self) -> None:
        """End all processes at once; what they promised is on disk, that is what is shown here."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(STOP_SECONDS)

    def query(self, name: Service, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Return what a statement finds in a service's database; its server may be away for a while."""
        database = Database(self.settings(name).database_url)
        deadline = time.monotonic() + QUERY_SECONDS
        try:
            while True:
                try:
                    with database.reading() as session:
                        return [tuple(row) for row in session.connection().execute(text(statement), values)]
                except Problem:
                    assert time.monotonic() < deadline, f"the database of {name} stays away"
                    time.sleep(0.05)
        finally:
            database.close()

    def log(self, name: Service) -> Path:
        """Return where a service's words go."""
        return self.folder / f"{name}.log"

    def said(self, name: Service) -> str:
        """Return the last words of a service."""
        return self.log(name).read_text("utf-8", "replace")[-LOG_TAIL:]

    def _changes(self, name: Service) -> dict[str, object]:
        changes: dict[str, object] = {}
        if self.server is not None:
            owner_url = self.server.make_database()
            prepare(self.server, owner_url, name)
            changes["database"] = owner_url.replace("//postgres@", f"//{role(name)}@")
        if name == "survey":
            changes["mixing_seconds"] = self.mixing_seconds
        if name == "aggregate":
            changes["workers"] = 1
        return changes


@contextmanager
def apart(folder: Path, store: str, *, mixing_seconds: float = MIX_EVERY_SECONDS) -> Iterator[Apart]:
    """Yield the three services on one kind of database; all processes are gone afterwards."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server()) if store == "postgresql" else None
        running = Apart(folder, server=server, mixing_seconds=mixing_seconds)
        stack.callback(running.stop)
        running.start()
        yield running


def quiet_ports() -> tuple[int, int, int]:
    """Return three free ports that no outgoing call is given while a service is down."""
    limits = read(PROC / "sys" / "net" / "ipv4" / "ip_local_port_range").split()
    below = int(limits[0]) if limits and int(limits[0]) > 20_000 else 32_768
    found: set[int] = set()
    while len(found) < 3:
        port = secrets.choice(range(below - 15_000, below))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.add(port)
    first, second, third = found
    return first, second, third
