"""Held, merged and unknown groups look alike at report's group route: status, bytes, headers and time.

Time is compared by ranks: the kinds of group are asked for in turns, in an order that is drawn anew each
time, so equal work gives every order of times the same chance, however slow or busy the machine is.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2, rankdata

from services.protocol.manifest import Manifest
from services.protocol.release import FIRST, Release
from tests.audit.neighbours import COUNTED, Place, tallies
from tests.audit.publishing import make_release
from tests.flow.report.factories import House, make_house
from tests.unit.aggregate.factory import made_manifest

ALARM = 1e-6
"""Chance that a test of times fails although the work is the same; two are made."""

TURNS = 240
MERGED, UNKNOWN = "merged-into-g3", "x" * 200


def held_release(manifest: Manifest, siblings: tuple[int, ...], held: Sequence[int]) -> Release:
    """Return a real release in which just these groups are held; the coins fall until they do."""
    while True:
        exact = tallies(manifest, Place(own=80, siblings=siblings), "present")
        release = make_release(manifest, exact, FIRST, counted=COUNTED, fault="")
        if [place for place, state in enumerate(release.groups) if state.state == "held"] == list(held):
            return release


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a report with one cycle: g1 is under k, g2 is held by its coin or with its sibling."""
    manifest = made_manifest(groups=(90, 80, 70, 60), name="stronger")
    served = make_house(tmp_path_factory.mktemp("report"))
    assert served.put_manifest(manifest).status_code == 200
    # g2 has the smallest roster but one; g3 is shown.
    release = held_release(manifest, (3, 12, 50), held=(1, 2))
    assert served.post_release(release).status_code == 201
    return served


def base(house: House) -> str:
    """Return where the groups of the cycle lie."""
    return "/reports/made-up-2026/groups/"


def test_nothing_but_time_could_tell_them_apart(house: House) -> None:
    for headers in ({}, {"hx_request": "true"}):
        answers = [house.get(base(house) + name, **headers) for name in ("g1", "g2", MERGED, UNKNOWN)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({len(answer.content) for answer in answers}) == 1
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
        shown = house.get(base(house) + "g3", **headers)
        assert shown.content != answers[0].content


def times(app: Any, names: Sequence[str], turns: int) -> npt.NDArray[np.float64]:
    """Return how long each group's page took, a row per turn; the order within a turn is random."""
    shuffled = random.SystemRandom()

    async def ask() -> list[list[float]]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://report.test") as client:
            rows = []
            for _ in range(turns):
                took = dict.fromkeys(names, 0.0)
                for name in shuffled.sample(names, len(names)):
                    start = time.perf_counter()
                    await client.get(f"/reports/made-up-2026/groups/{name}")
                    took[name] = time.perf_counter() - start
                rows.append(list(took.values()))
            return rows

    return np.array(asyncio.run(ask()))


def rank_statistic(took: npt.NDArray[np.float64]) -> float:
    """Return Friedman's statistic: how far the mean ranks of the kinds lie from each other."""
    turns, kinds = took.shape
    means = rankdata(took, axis=1).mean(axis=0)
    return float(12 * turns / (kinds * (kinds + 1)) * ((means - (kinds + 1) / 2) ** 2).sum())


def differs(took: npt.NDArray[np.float64]) -> bool:
    """Whether the times tell the kinds apart."""
    return rank_statistic(took) > float(chi2.isf(ALARM, took.shape[1] - 1))


def test_they_take_alike_long(house: House) -> None:
    names = ("g1", "g2", MERGED, UNKNOWN)
    times(house.app, names, 5)
    assert not differs(times(house.app, names, TURNS))


def slower_for(app: Any, name: str, work: Callable[[], object]) -> Any:
    """Return the app with more work for one group, as a page that looks something up for it would have."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith(f"/{name}"):
            work()
        await app(scope, receive, send)

    return serve


def test_a_page_that_does_more_for_a_held_group_is_noticed(house: House) -> None:
    """One read of the database more is enough."""

    def look_up() -> None:
        house.app.state.flow.release_document("made-up-2026")

    slow = slower_for(house.app, "g1", look_up)
    assert differs(times(slow, ("g1", "g2", MERGED, UNKNOWN), TURNS))


def test_ranks_of_equal_work_raise_no_alarm_and_of_unequal_do() -> None:
    generator = np.random.default_rng(5)
    equal = [generator.lognormal(size=(TURNS, 4)) for _ in range(200)]
    assert not any(differs(took) for took in equal)
    assert all(differs(took * [3.0, 1, 1, 1]) for took in equal[:20])
