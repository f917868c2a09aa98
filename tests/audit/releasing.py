"""The release function under audit, as the service wires it, and many releases drawn side by side."""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from services.aggregate.app import build_app
from services.aggregate.closing import Noise
from services.aggregate.core.publish import draw
from services.aggregate.core.tally import Tally
from services.protocol.manifest import Manifest
from tests.audit.bounds import Draws
from tests.audit.neighbours import Place, Response, manifest_of, row_of, tallies
from tests.audit.planted import PLANTED
from tests.flow.aggregate.world import World

Released = Callable[[Mapping[str, Tally], Manifest], Any]
REAL = "real"


@cache
def noise_of_the_service() -> Noise:
    """Return mechanism and coins as ``build_app`` hands them to the close: nothing is wired here again."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "aggregate")
        away = httpx.MockTransport(lambda request: httpx.Response(503))
        app = build_app(world.settings, survey_transport=away, report_transport=away)
        noise: Noise = app.state.flow._closing._noise
        world.stop()
    return noise


def release_function(name: str) -> Released:
    """Return the real release function, or a planted one that breaks a promise."""
    noise = noise_of_the_service()
    released = draw if name == REAL else PLANTED[name].draw
    return partial(released, laplace=noise.laplace, uniform=noise.uniform)


@dataclass(frozen=True)
class Task:
    """Releases to draw: of which function, plan and world, and how many."""

    plan: str
    place: Place
    response: Response
    draws: int
    function: str = REAL
    groups_only: bool = False

    @property
    def manifest(self) -> Manifest:
        """The manifest of the cycle."""
        return manifest_of(self.plan, groups_only=self.groups_only, siblings=len(self.place.siblings))


def drawn(task: Task) -> Draws:
    """Return releases of one world, a row each."""
    manifest = task.manifest
    exact = tallies(manifest, task.place, task.response)
    release = release_function(task.function)
    return np.array([row_of(*release(exact, manifest)) for _ in range(task.draws)], dtype=np.int32)


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """Yield fresh processes to draw in."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=spawn) as pool:
        yield pool


def draw_all(pool: Executor, tasks: Sequence[Task], *, piece: int = 5_000) -> list[Draws]:
    """Return the draws of each task; long ones are cut into pieces, so that all processes work."""
    waiting: list[list[Future[Draws]]] = []
    for task in tasks:
        sizes = [min(piece, task.draws - start) for start in range(0, task.draws, piece)]
        parts = (Task(**{**vars(task), "draws": size}) for size in sizes)
        waiting.append([pool.submit(drawn, part) for part in parts])
    return [np.concatenate([future.result() for future in futures]) for futures in waiting]
