"""Random kill -9 of each service and of PostgreSQL while companies work: nothing lost, nothing doubled (P8).

``FAIRPATCH_KILLS`` says how often each target is killed (5). ``FAIRPATCH_KILL_SEED`` repeats the draws of a
run. ``make soak`` goes on until each target was killed 300 times, over as many runs as that takes; see
``tests/e2e/soak.py``.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.apart import apart
from tests.e2e.killing import Outcome, Target, kill_while_working
from tests.e2e.reckoning import CHECKS, Check
from tests.e2e.soak import SECONDS, STORES, Soak, shares


def run(folder: Path, store: str, wanted: dict[Target, int]) -> Iterator[Outcome]:
    """Yield what a run with kills left, its services still running."""
    seed = int(os.environ.get("FAIRPATCH_KILL_SEED") or secrets.randbits(32))
    print(f"FAIRPATCH_KILL_SEED={seed} on {store}, kills {wanted}")
    with apart(folder, store) as services:
        # Drafts are made before the first kill: reading HR's files costs survey seconds after each start.
        yield kill_while_working(services, wanted, seed=seed, drafts=4 + max(wanted.values()) // 2)


@pytest.fixture(scope="module", params=STORES)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Return what a run left: PostgreSQL takes its own kills and half of the services', SQLite the rest."""
    wanted = shares(int(os.environ.get("FAIRPATCH_KILLS") or 5))[request.param]
    yield from run(tmp_path_factory.mktemp("kills") / "stage", request.param, wanted)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_after_random_kills(outcome: Outcome, check: Check) -> None:
    check(outcome)


@pytest.mark.soak
@pytest.mark.parametrize("store", STORES)
def test_soak(store: str, tmp_path: Path) -> None:
    """Kill in rounds for as long as there is time; each round is checked whole before it counts."""
    soak, until = Soak.named(), time.monotonic() + SECONDS
    assert soak.failed() == [], "an earlier round failed"
    number = 0
    while (wanted := soak.next_round(store)) and time.monotonic() < until:
        number += 1
        soak_round(tmp_path / str(number), store, wanted, soak)


def soak_round(folder: Path, store: str, wanted: dict[Target, int], soak: Soak) -> None:
    """Make one round, and write what became of it."""
    folder.mkdir()
    try:
        with contextmanager(run)(folder / "stage", store, wanted) as outcome:
            for check in CHECKS:
                check(outcome)
    except Exception as error:
        soak.fail(f"{store}: {type(error).__name__}: {error}")
        raise
    soak.add(outcome.kills)
    shutil.rmtree(folder)
