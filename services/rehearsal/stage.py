"""The stage: the three services as a child process on loopback, started and stopped by the rehearsal."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.aggregate.settings import AggregateSettings
from services.folder import DEFAULT_PORTS, SERVICES, init_folder
from services.kit.settings import load_settings
from services.protocol.problems import Problem
from services.rehearsal.phone import PinnedKeys
from services.report.settings import ReportSettings
from services.survey.settings import SurveySettings

START_SECONDS = 60.0
STARTS = 3
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Stage:
    """Where the services answer, and the public keys that phones are handed with their links."""

    folder: Path
    survey: str
    aggregate: str
    report: str
    pinned: PinnedKeys
    hr_key: str


def read_stage(folder: Path) -> Stage:
    """Return the stage that ``fairpatch init`` set up in ``folder``."""
    survey = load_settings(SurveySettings, folder / "survey")
    aggregate = load_settings(AggregateSettings, folder / "aggregate")
    report = load_settings(ReportSettings, folder / "report")
    keys = PinnedKeys(
        survey=aggregate.peer("survey").public,
        aggregate=survey.peer("aggregate").public,
    )
    hr_key = survey.hr_key_file.read_text("ascii").strip()
    return Stage(folder, survey.url, aggregate.url, report.url, keys, hr_key)


@contextmanager
def running_stage(folder: Path, *, usual_ports: bool = False) -> Iterator[Stage]:
    """Set up and run the services in ``folder``; they are stopped at the end, whatever happens.

    ``usual_ports`` asks for the ports people know, where those are free. Another program may take a port
    between the look and the start, so a start that fails is repeated on other ports.
    """
    for attempt in range(STARTS):
        init_folder(folder, free_ports(usual=usual_ports and attempt == 0))
        stage = read_stage(folder)
        with _child(folder) as child:
            if _answers(stage, child):
                yield stage
                return
        for service in SERVICES:
            shutil.rmtree(folder / service)
    raise Problem("not-ready", "The services did not start. Their log says why.")


@contextmanager
def _child(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "services", "serve", "all", "--dir", str(folder)]
    with (folder / "services.log").open("ab") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603
        try:
            yield child
        finally:
            stop(child)


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Ask a child to stop, and end it if it does not."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_ports(*, usual: bool) -> tuple[int, int, int]:
    """Return three free ports: the usual ones if asked for and free."""
    if usual and all(_is_free(port) for port in DEFAULT_PORTS):
        return DEFAULT_PORTS
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        first, second, third = (each.getsockname()[1] for each in sockets)
    return first, second, third


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(stage: Stage, child: "subprocess.Popen[bytes]") -> bool:
    """Wait until all three answer, and survey knows our key; False if the child ended before."""
    deadline = time.monotonic() + START_SECONDS
    waiting = [stage.survey, stage.aggregate, stage.report]
    with httpx.Client(timeout=2.0, trust_env=False) as client:
        while waiting:
            if child.poll() is not None or time.monotonic() > deadline:
                return False
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{waiting[0]}/healthz").is_success:
                    waiting.pop(0)
                    continue
            time.sleep(0.1)
        # Somebody else's services may answer on a port we lost: they don't know this key.
        key = {"authorization": f"Bearer {stage.hr_key}"}
        return client.get(f"{stage.survey}/hr/cycles/none", headers=key).status_code == 404
