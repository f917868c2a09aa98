"""One whole cycle: files in, phones through HTTP, a signed release and a verdict out."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from services.protocol import manifest, release
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.rehearsal.collect import collect
from services.rehearsal.hr import Hr
from services.rehearsal.links import links_of
from services.rehearsal.phone import Response
from services.rehearsal.stage import Stage
from services.report.exports.summary import summary
from services.survey.core.draft import Draft, Options


class Teller(Protocol):
    """Says in words what is happening."""

    def step(self, words: str) -> None:
        """Say that something else is being done now."""

    def advance(self, done: int, total: int) -> None:
        """Say how far it is."""


@dataclass(frozen=True)
class Inputs:
    """What a cycle runs on: two files (name, bytes) and the responses of those who take part."""

    roster: tuple[str, bytes]
    results: tuple[str, bytes]
    responses: Mapping[str, Response]


@dataclass(frozen=True)
class Outcome:
    """What came out of a cycle."""

    cycle: str
    draft: Draft
    signed_release: SignedDocument
    summary: dict[str, Any]
    html: str
    report: str


@dataclass
class Timings:
    """Seconds per step of a run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure a step."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def run_cycle(stage: Stage, inputs: Inputs, options: Options, teller: Teller) -> Outcome:
    """Run one cycle on running services and return its release with the report drawn from it."""
    timings, hr = Timings(), Hr(stage)
    teller.step("Checking roster and results, making keys")
    with timings.measure("open"):
        drafted = hr.draft(inputs.roster, inputs.results, options)
        opened = hr.open(drafted.cycle)
    teller.step("Phones seal their sheets and send them")
    with timings.measure("collect"):
        asyncio.run(collect(links_of(opened, stage), inputs.responses, teller.advance))
    teller.step("Closing: mixing the box")
    with timings.measure("close"):
        hr.close(drafted.cycle)
    with timings.measure("release"):
        hr.release(drafted.cycle, teller.step)
    teller.step("Drawing the report")
    hr.leave()
    return _read_report(stage, drafted.cycle, drafted.draft, timings)


def _read_report(stage: Stage, cycle: str, draft: Draft, timings: Timings) -> Outcome:
    pages = f"{stage.report}/reports/{cycle}"
    with timings.measure("report"):
        signed = SignedDocument.model_validate_json(_get(f"{pages}/release.json", patient=True))
        html = _get(f"{pages}/report.html").decode("utf-8")
        shown = SignedDocument.model_validate_json(_get(f"{stage.report}/api/cycles/{cycle}/manifest"))
    made = summary(
        release.parse(signed.document), manifest.parse(shown.document), timings_s=dict(timings.seconds)
    )
    return Outcome(cycle, draft, signed, made, html, f"{pages}/")


def _get(address: str, *, patient: bool = False) -> bytes:
    # The release is pushed to report after it is committed, so the first look may come too early.
    for _ in range(100 if patient else 1):
        with httpx.Client(timeout=60.0, trust_env=False) as client:
            answer = client.get(address)
        if answer.is_success:
            return answer.content
        time.sleep(0.2)
    raise Problem("not-ready", "The report does not show the release.")
