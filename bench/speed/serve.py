"""One of the apps that are compared, in a process of its own, behind the server and flags of the services.

What to serve comes as a line of JSON on standard input; the process ends when that is closed.
"""

import asyncio
import contextlib
import json
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bench.speed.cycle import World
from bench.speed.plain import build_plain
from services.bundle import Listener, _listener
from services.kit.keys import load_identity
from services.kit.settings import load_settings
from services.survey.app import build_app
from services.survey.inbox import Arrival
from services.survey.settings import SurveySettings
from services.survey.store import Store

START_SECONDS, STOP_SECONDS = 90.0, 30.0


@dataclass(frozen=True)
class Served:
    """What to serve: survey, survey that stores nothing, or the plain app; ``world`` is a file."""

    kind: Literal["survey", "nothing", "plain"]
    world: str
    database: str
    port: int
    pool: int = 0


@dataclass(frozen=True)
class Process:
    """An app that answers."""

    port: int
    child: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def running(served: Served, tracer: Sequence[str] = ()) -> Iterator[Process]:
    """Run an app, below ``tracer`` if there is one; it is gone afterwards, whatever happens."""
    command = [*tracer, sys.executable, "-m", "bench.speed.serve"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(asdict(served)).encode() + b"\n")
        child.stdin.flush()
        _wait_for(served.port, child)
        yield Process(served.port, child)
    finally:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise RuntimeError("an app did not start")


def _listener_of(served: Served) -> Listener:
    world: World = pickle.loads(Path(served.world).read_bytes())
    settings = load_settings(SurveySettings, world.folder).model_copy(
        update={"database": served.database, "port": served.port}
    )
    if served.kind == "plain":
        identity = load_identity(settings.identity_file)
        plain = build_plain(served.database, world.opened(), identity, pool=served.pool)
        return _listener(plain, settings)  # type: ignore[arg-type]
    if served.kind == "nothing":
        setattr(Store, "put_envelopes", _put_nowhere)  # noqa: B010
    return _listener(build_app(settings), settings)


def _put_nowhere(_store: Store, arrivals: list[Arrival]) -> list[str]:
    return ["stored"] * len(arrivals)


def main() -> None:
    """Serve until standard input ends."""
    listener = _listener_of(Served(**json.loads(sys.stdin.readline())))

    def end_with_input() -> None:
        sys.stdin.read()
        listener.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    asyncio.run(listener.serve())


if __name__ == "__main__":
    main()
