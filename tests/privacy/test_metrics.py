"""P2 by comparison: two worlds that differ in who took part between two scrapes show the same metrics.

Whoever scrapes as often as they like must not see how many phones came, or when. Each figure that is shown
is stated here with the reason why it tells no such thing; a new one fails until it is stated as well.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from services.aggregate.app import build_app as build_aggregate
from services.aggregate.settings import AggregateSettings
from services.folder import init_folder
from services.kit.metrics import Metrics
from services.kit.settings import load_settings
from services.report.app import build_app as build_report
from services.report.settings import ReportSettings
from services.survey import app as survey_app
from services.survey.app import build_app as build_survey
from services.survey.inbox import Arrival, Inbox
from services.survey.settings import SurveySettings
from tests.flow.survey.phones import hand_of
from tests.flow.survey.ring import Ring, options, running_ring
from tests.unit.kit.doubles import run

PLACES = ("/metrics", "/readyz", "/healthz")
COMMON = {
    "fairpatch_ready": "about the service, not about calls",
    "fairpatch_unready_reasons": "about the service, not about calls",
    "fairpatch_build_info": "fixed at the start",
    "fairpatch_faults": "minutes with a fault; a service that is well has none",
}
STATED = {
    "survey": {
        "fairpatch_inbox_fullness_ratio": "0 below a thousand sheets that wait at once",
        "fairpatch_inbox_refused": "minutes in which thousands waited at once",
        "fairpatch_commit_seconds": "stands still on a healthy disk; else a step per 256 commits",
        "fairpatch_mixing_age_seconds": "rounds go well whether or not enough sheets came",
        "fairpatch_mixing_failures": "counts failures of a round, once an hour or so",
    },
    "aggregate": {
        "fairpatch_outbox_waiting": "about releases, which are public",
        "fairpatch_keys_left": "about cycles that are over",
        "fairpatch_release_running_seconds": "about a cycle that is closed and counted",
    },
    "report": {},
}


@dataclass
class World:
    """What somebody saw who scraped all the time."""

    before: dict[str, bytes]
    during: list[dict[str, bytes]] = field(default_factory=list)
    after: dict[str, bytes] = field(default_factory=dict)

    @property
    def seen(self) -> set[tuple[tuple[str, bytes], ...]]:
        """Every different answer to the three places."""
        return {tuple(sorted(each.items())) for each in (self.before, *self.during, self.after)}


def scrape(client: TestClient) -> dict[str, bytes]:
    """Return what an operator can read."""
    return {place: client.get(place).content for place in PLACES}


def world(folder: Path, happen: Callable[[Ring, str, list[str], World], None]) -> World:
    """Return what a scraper saw of a service in which something happened meanwhile."""
    folder.mkdir()
    with running_ring(folder) as ring:
        cycle = ring.draft(options(plan="stronger")).json()["cycle"]
        answer = ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
        codes = [link["link"].split("#")[1] for link in answer.json()["links"]]
        found = World(scrape(ring.client))
        happen(ring, cycle, codes, found)
        found.after = scrape(ring.client)
        return found


def nobody(ring: Ring, cycle: str, codes: list[str], found: World) -> None:
    """Let nothing happen."""


def seven_phones(ring: Ring, cycle: str, codes: list[str], found: World) -> None:
    """Let seven phones do all a phone may do, and strangers what they may not; scrape after each."""
    for code in codes[:7]:
        assert ring.client.post(f"/api/cycles/{cycle}/session", json={"code": code}).status_code == 200
        hand = hand_of(ring, cycle, code)
        for sheet in hand.tokens:
            sealed = hand.seal(sheet)
            assert [hand.post(sealed.encode())[0] for _ in range(2)] == [201, 201]
            assert hand.post(hand.seal(sheet, counter=4).encode())[0] == 409
            assert hand.post(sealed.encode()[:-1])[0] == 422
            found.during.append(scrape(ring.client))
        assert ring.client.get(f"/s/{cycle}").status_code == 200
        assert ring.client.get(f"/api/cycles/{cycle}/receipts/{bytes(32).hex()}").status_code == 200
        assert ring.client.get("/nowhere").status_code == 404
        assert ring.client.post(f"/api/cycles/{cycle}/session", json={"code": "w" * 22}).status_code == 403


def two_hundred_phones(ring: Ring, cycle: str, codes: list[str], found: World) -> None:
    """Let the sheets of two hundred phones arrive one by one, then as many at once; scrape in between."""
    app: Any = ring.client.app
    inbox: Inbox = app.state.phones._inbox

    async def one_by_one() -> None:
        for number in range(800):
            assert await inbox.put(arrival(cycle, number)) == "stored"
            if number % 50 == 0:
                found.during.append(await scraped(app))

    async def at_once() -> None:
        go_on = threading.Event()
        held = asyncio.create_task(inbox.exclusively(lambda: go_on.wait(30.0)))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(inbox.put(arrival(cycle, number))) for number in range(800)]
        await asyncio.sleep(0.05)
        assert inbox.waiting > 200
        found.during.append(await scraped(app))
        go_on.set()
        await held
        assert await asyncio.gather(*waiting) == ["stored"] * 800

    assert ring.client.portal is not None
    ring.client.portal.call(one_by_one)
    ring.client.portal.call(at_once)


def arrival(cycle: str, number: int) -> Arrival:
    """Return a sheet on its way into the box."""
    return Arrival(cycle, f"sheet-{number % 4}", token_bytes(32), 1, token_bytes(32), token_bytes(620))


async def scraped(app: Any) -> dict[str, bytes]:
    """Scrape from within the service's own loop."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://survey") as client:
        return {place: (await client.get(place)).content for place in PLACES}


CROWDS = {"seven phones": seven_phones, "two hundred phones": two_hundred_phones}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world in which nobody took part."""
    return world(tmp_path_factory.mktemp("quiet") / "survey", nobody)


@pytest.mark.parametrize("name", CROWDS)
def test_metrics_are_the_same_whoever_took_part_in_between(tmp_path: Path, quiet: World, name: str) -> None:
    crowd = world(tmp_path / "survey", CROWDS[name])
    assert len(crowd.during) > 15
    assert crowd.seen == quiet.seen
    assert len(quiet.seen) == 1
    assert b"fairpatch_ready 1.0" in quiet.before["/metrics"]


LEAKS: dict[str, Callable[[Inbox], float]] = {
    "a counter of sheets": lambda inbox: float(sum(inbox.unmixed.values())),
    "a counter of kinds of sheets": lambda inbox: float(len(inbox.unmixed)),
    "processor time, as process metrics have it": lambda inbox: round(time.process_time(), 2),
    "collected garbage, as platform metrics have it": lambda inbox: float(
        sum(each["collections"] for each in gc.get_stats())
    ),
}


@contextmanager
def planted(leak: Callable[[Inbox], float]) -> Iterator[None]:
    """Show one figure more than survey does."""
    add = survey_app.add_figures

    def add_one_more(metrics: Metrics, inbox: Inbox, *others: Any) -> None:
        add(metrics, inbox, *others)
        metrics.add("planted", "Planted.", lambda: leak(inbox))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_app, "add_figures", add_one_more)
        yield


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_figure_that_steps_with_phones_is_seen(tmp_path: Path, name: str) -> None:
    with planted(LEAKS[name]):
        assert len(world(tmp_path / "survey", seven_phones).seen) > 1


def test_a_planted_counter_of_calls_by_route_is_seen(tmp_path: Path) -> None:
    calls: dict[str, int] = {}
    make_app = survey_app.make_app

    def make_counting_app(*given: Any, **named: Any) -> Any:
        named["metrics"].add("calls_total", "Calls.", lambda: sum(calls.values()), "counter")
        app = make_app(*given, **named)

        @app.middleware("http")
        async def count(request: Any, call_next: Any) -> Any:
            if request.url.path not in PLACES:
                calls[request.url.path] = calls.get(request.url.path, 0) + 1
            return await call_next(request)

        return app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_app, "make_app", make_counting_app)
        assert len(world(tmp_path / "survey", seven_phones).seen) > 1


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the metrics of all three services."""
    folder = tmp_path_factory.mktemp("all") / "stage"
    init_folder(folder)
    apps: dict[str, Any] = {
        "survey": build_survey(load_settings(SurveySettings, folder / "survey")),
        "aggregate": build_aggregate(load_settings(AggregateSettings, folder / "aggregate")),
        "report": build_report(load_settings(ReportSettings, folder / "report")),
    }

    async def ask(app: Any) -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get("/metrics")).text

    return {name: run(ask(app)) for name, app in apps.items()}


@pytest.mark.parametrize("service", STATED)
def test_every_figure_is_stated_with_its_reason(shown: dict[str, str], service: str) -> None:
    families = {family.name for family in text_string_to_metric_families(shown[service])}
    assert families == {*COMMON, *STATED[service]}


@pytest.mark.parametrize("service", STATED)
def test_no_figure_counts_calls_or_describes_the_process(shown: dict[str, str], service: str) -> None:
    for word in ("_created", "request", "http_", "process_", "python_", "session", "sheet_", "cycle="):
        names = [line.split()[0] for line in shown[service].splitlines() if not line.startswith("#")]
        assert not [name for name in names if word in name]
