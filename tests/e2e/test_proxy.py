"""The proxy that stands before the services: what gets through, and that nobody is known by it (P2, P4)."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest

from services.folder import SERVICES
from services.protocol.signed import Service
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import Line, Phone, Response, fetch_manifest, fetch_release
from services.rehearsal.workforce import make_workforce
from tests.e2e.played import get, in_two_regions
from tests.e2e.proxied import (
    CLIENT,
    NAMES,
    Proxy,
    installed,
    is_problem,
    nothing_is_written_down,
    provoke,
)
from tests.e2e.stages import Services, options

REPS, TAKE_PART = 40, 3
SAID = Response({f"S{number}": 2 for number in range(1, 7)}, flag=3)
# Calls that the services answer on loopback, whoever asks there.
INSIDE: dict[Service, tuple[str, ...]] = {
    "survey": ("/healthz", "/readyz", "/metrics", "/openapi.json", "/hr/cycles/x", "/internal/cycles/x/box"),
    "aggregate": (
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/internal/ledger",
    ),
    "report": ("/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/internal/chain", "/static/htmx.js"),
}


@dataclass
class Site:
    """An installation in which three reps took part, and what they found."""

    services: Services
    proxy: Proxy
    cycle: str
    links: list[Link]
    stored: list[bool]
    outcomes: list[str | None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return an installation after a cycle that went through the proxy."""
    with installed(tmp_path_factory.mktemp("proxy")) as (services, proxy):
        cycle, links = opened(services)
        proxy.forbid_files()
        site = Site(services, proxy, cycle, links, [], [])
        phones = asyncio.run(take_part(site))
        with services.hr() as hr:
            hr.close(cycle)
            hr.release(cycle, lambda words: None)
        asyncio.run(look_up(site, phones))
        yield site


def opened(services: Services) -> tuple[str, list[Link]]:
    """Open a small cycle on loopback, as HR does, and return its links."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    with services.hr() as hr:
        chosen = options(plan="finer", k=5, response=1.0)
        cycle = hr.draft(roster, ("results.csv", workforce.results_csv), chosen).cycle
        return cycle, links_of(hr.open(cycle), services.stage)


async def take_part(site: Site) -> list[Phone]:
    """Let some phones take part through TLS, with nothing but their links and the public names."""
    first = site.links[0]
    async with site.proxy.phone_client() as client:
        line = Line(client)
        view = await fetch_manifest(
            line,
            survey=first.survey,
            aggregate=site.proxy.url("aggregate"),
            cycle=site.cycle,
            pinned=first.pinned,
            fingerprint=first.fingerprint,
        )
        phones = [Phone(line, view, link.code) for link in site.links[:TAKE_PART]]
        for phone in phones:
            await phone.take_part(SAID)
            await phone.send()
            site.stored += (await phone.check_receipts()).values()
    return phones


async def look_up(site: Site, phones: list[Phone]) -> None:
    """Let the phones look up what became of their sheets, in lists that come through the proxy.

    The release itself is for readers inside: it has exact records of the company.
    """
    inside = replace(phones[0].view, aggregate=site.services.url("aggregate"))
    async with httpx.AsyncClient(trust_env=False) as client:
        release = await fetch_release(Line(client), inside)
    async with site.proxy.phone_client() as client:
        for phone in phones:
            phone.line = Line(client)
            site.outcomes += (await phone.check_counted(release)).values()


# A whole cycle


def test_phones_take_part_through_tls(site: Site) -> None:
    assert site.links[0].survey == site.proxy.url("survey")
    assert len(site.stored) == len(site.outcomes) > TAKE_PART
    assert all(site.stored)
    assert set(site.outcomes) == {"counted"}


def test_the_promise_page_and_its_files_come_through(site: Site) -> None:
    with site.proxy.client() as client:
        page = client.get(f"{site.proxy.url('survey')}/s/{site.cycle}?utm_source=mail")
        assert "What happens to your answers" in page.text
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        style = client.get(f"{site.proxy.url('survey')}/static/fairpatch.css")
        assert style.headers["content-type"].startswith("text/css")
        path = f"/api/cycles/{site.cycle}/manifest"
        first, *others = [client.get(site.proxy.url(service) + path).json() for service in SERVICES]
    assert all(other == first for other in others)


# What doesn't get through


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_answered_inside_is_not_answered_outside(site: Site, service: Service) -> None:
    with site.proxy.client() as client:
        for path in INSIDE[service]:
            assert get(site.services.url(service) + path).status_code != 404, path
            for name in SERVICES:
                assert is_problem(client.get(site.proxy.url(name) + path), "not-found"), (name, path)
            assert is_problem(client.post(site.proxy.url(service) + path, content=b"{}"), "not-found")


def test_releases_are_not_shown_outside(site: Site) -> None:
    path = f"/api/releases/{site.cycle}"
    assert get(site.services.url("aggregate") + path).status_code == 200
    with site.proxy.client() as client:
        assert is_problem(client.get(site.proxy.url("aggregate") + path), "not-found")


def test_reports_are_not_shown_outside(site: Site) -> None:
    inside = get(f"{site.services.url('report')}/reports/{site.cycle}/")
    assert inside.status_code == 200
    with site.proxy.client() as client:
        for path in ("", "release.json", "report.html", "groups/g0"):
            outside = client.get(f"{site.proxy.url('report')}/reports/{site.cycle}/{path}")
            assert is_problem(outside, "not-found"), path


# What is written down


def test_a_cycle_leaves_no_trace_of_addresses_and_calls(site: Site) -> None:
    provoke(site.proxy)
    nothing_is_written_down(site.proxy, site.cycle)
    said = (site.services.folder / "services.log").read_text("utf-8")
    assert CLIENT not in said
    assert NAMES["survey"] not in said
