"""kill -9 at every durable step of a release, then 20 retries: one value per key, one charge.

A forked process does the release and kills itself at one step: before a statement, before a commit,
before or after a call to a peer, a draw of noise, or a key that is read or destroyed. What it left on disk
is then taken up again, 20 times.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.aggregate import keyring
from services.aggregate.core.mechanisms import discrete_laplace
from services.protocol.release import Release
from services.protocol.signed import SignedDocument
from tests import stores
from tests.flow.aggregate.doubles import Report
from tests.flow.aggregate.factories import SMALL, make_proposal
from tests.flow.aggregate.world import World
from tests.privacy.ledgers import books, check_books
from tests.privacy.steps import Steps

RETRIES = 20
CELLS: dict[str, list[tuple[int, int] | None]] = {
    name: [(number % 3, number % 2) for number in range(5)] for name in SMALL.sheets
}
EVERY = {"sqlite": 1, "postgresql": 4}
"""The steps are the same on both databases; on PostgreSQL, where each takes longer, every fourth is tried."""

LEAST_STEPS = 30
"""A release takes more durable steps than this; fewer would mean that they are not seen."""

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module", params=stores.KINDS)
def store_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have databases of one kind lent."""
    with stores.kind(request.param):
        yield request.param


@dataclass
class LastingReport(Report):
    """A report whose memory is a file, so that it outlives the process that called it."""

    file: Path = Path()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call from what the file knows, and note a new release before acknowledging it."""
        self.documents, self.chains = [], {}
        for line in self.file.read_text().splitlines() if self.file.exists() else ():
            self._take(json.loads(line))
        known = len(self.documents)
        answer = super().__call__(request)
        with self.file.open("a") as file:
            file.writelines(json.dumps(document) + "\n" for document in self.documents[known:])
        return answer

    def releases(self) -> list[Release]:
        """Return what readers of this report have seen."""
        return [Release.model_validate_json(line) for line in self.file.read_text().splitlines()]


def closed_world(folder: Path) -> tuple[World, str]:
    """Return a world with a closed cycle, and no open connection that a fork could share."""
    world = World(folder / "aggregate")
    manifest = world.opened(world.flow(), make_proposal(k=5))
    world.survey.fill(manifest, CELLS)
    world.survey.close(manifest.cycle)
    return _with_lasting_report(world, folder), manifest.cycle


def same_again(template: World, cycle: str, folder: Path) -> tuple[World, str]:
    """Return a world in the state of a template: a copy of its files, or on PostgreSQL one made anew."""
    if stores.LENDER.kind != "sqlite":
        return closed_world(folder)
    world = World(folder / "aggregate")
    shutil.copyfile(template.folder / "aggregate.db", world.folder / "aggregate.db")
    shutil.copytree(template.settings.keys_folder, world.settings.keys_folder, dirs_exist_ok=True)
    world.survey = template.survey
    return _with_lasting_report(world, folder), cycle


def _with_lasting_report(world: World, folder: Path) -> World:
    world.report = LastingReport(world.clock, file=folder / "report")
    for database in world.databases:
        database.close()
    return world


def stepping_flow(world: World, steps: Steps) -> Any:
    """Return a flow whose every durable step is counted."""
    survey, report = world.survey, world.report
    world.survey, world.report = steps.around(survey), steps.around(report)  # type: ignore[assignment]
    parts = world.parts()
    world.survey, world.report = survey, report
    parts.laplace = steps.around(discrete_laplace)
    parts.keyring.read = steps.around(parts.keyring.read)
    return world.flow(parts), parts.store._database.engine


def release_and_die(world: World, cycle: str, last: int, counted: Path) -> None:
    """Release in a process of its own, which is killed at step ``last``; say how many steps there were."""
    steps = Steps(lambda: os.kill(os.getpid(), signal.SIGKILL), last)
    keyring.destroy_secret = steps.around(keyring.destroy_secret)
    flow, engine = stepping_flow(world, steps)
    with steps.of_database(engine):
        flow.release(cycle)
    counted.write_text(str(steps.taken))


def in_a_fork(function: Callable[..., None], *arguments: Any) -> int:
    """Run a function in a forked process and return its exit code."""
    child = get_context("fork").Process(target=function, args=arguments)
    child.start()
    child.join(timeout=60)
    assert child.exitcode is not None
    return child.exitcode


def take_up_again(world: World, cycle: str) -> None:
    """Start again, twice, and ask for the release 20 times in all; then look at what there is."""
    before, seen = None, set()
    for number in range(RETRIES):
        if number % (RETRIES // 2) == 0:
            parts = world.parts()
            parts.laplace = discrete_laplace
            before = parts.store.release(cycle) if number == 0 else before
            flow = world.flow(parts)
            flow.finish_destruction()
        seen.add(flow.release(cycle).release)
    digest, document = parts.store.release(cycle)
    release = Release.model_validate(SignedDocument.model_validate_json(document).document)
    assert before in (None, (digest, document)), "a release that was written never changes"
    assert seen == {digest}, "one value per key"
    assert isinstance(world.report, LastingReport)
    assert world.report.releases() == [release], "readers saw one release"
    found = books(world)
    check_books(found)
    assert {events for _, _, events in found.lines.values()} == {frozenset({"reserved", "committed"})}
    assert {account: sums for (_, account), sums in found.accounts.items()} == {
        "answers": (0, SMALL.answers_micro),
        "participation": (0, SMALL.participation_micro),
    }, "one charge"
    assert world.key_files() == [], "the opening keys are gone"


def test_kill_9_at_every_step_then_20_retries(store_kind: str, tmp_path: Path) -> None:
    template, cycle = closed_world(tmp_path / "template")
    world, _ = same_again(template, cycle, tmp_path / "whole")
    counted = tmp_path / "steps"
    assert in_a_fork(release_and_die, world, cycle, 0, counted) == 0
    steps = int(counted.read_text())
    assert steps > LEAST_STEPS
    take_up_again(world, cycle)
    world.stop()
    for last in range(1, steps + 1, EVERY[store_kind]):
        world, _ = same_again(template, cycle, tmp_path / str(last))
        assert in_a_fork(release_and_die, world, cycle, last, counted) == -signal.SIGKILL
        take_up_again(world, cycle)
        world.stop()
    template.stop()
