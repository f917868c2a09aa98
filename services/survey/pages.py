"""Survey's HTML door for a rep: the privacy promise, drawn from the signed manifest alone."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from services.kit.pages import make_environment, respond
from services.protocol.manifest import Manifest
from services.protocol.plan import printed_odds
from services.protocol.problems import Problem
from services.survey.flow import PhoneFlow
from web import STATIC


@dataclass(frozen=True)
class PromisePage:
    """What happens to answers in one cycle (pages.md, R1)."""

    template: ClassVar[str] = "survey/promise.html"

    title: str
    company: str
    items: int
    sheets: int
    k: int
    usual: int
    closes: str
    fingerprint: str
    one: int
    all: str
    exception: str
    handed_out: bool
    rehearsal: bool
    sample: bool
    made_up: bool


@dataclass(frozen=True)
class ClosedPage:
    """One text for every link that opens nothing (pages.md, R5)."""

    template: ClassVar[str] = "survey/closed.html"


# The coin shows half of the groups of k + 13 answers (statistics.md, section 3).
USUALLY_ABOVE_K = 13


def page_routes(flow: PhoneFlow) -> APIRouter:
    """Return the rep's pages. A code never reaches them: it stands behind '#'."""
    router = APIRouter(tags=["pages"], include_in_schema=False)
    environment = make_environment()

    @router.get("/s/{cycle}")
    def promise(cycle: str, request: Request) -> Response:
        """Show what happens to answers, or the one page of links that don't open."""
        try:
            manifest = Manifest.model_validate(flow.manifest(cycle).document)
        except Problem:
            return respond(environment, ClosedPage(), request, block="main")
        return respond(environment, promise_page(manifest), request, block="main")

    @router.get("/static/fairpatch.css")
    def stylesheet() -> FileResponse:
        """Hand out the stylesheet."""
        return FileResponse(STATIC / "fairpatch.css", media_type="text/css")

    @router.get("/static/icon.svg")
    def icon() -> FileResponse:
        """Hand out the icon."""
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    return router


def promise_page(manifest: Manifest) -> PromisePage:
    """Return the promise page of a cycle."""
    odds = printed_odds(manifest.plan)
    return PromisePage(
        title=manifest.title,
        company=manifest.company,
        items=len(manifest.instrument.items),
        sheets=len(manifest.sheets),
        k=manifest.k,
        usual=manifest.k + USUALLY_ABOVE_K,
        closes=day(manifest.closes),
        fingerprint=manifest.fingerprint(),
        one=odds["one"],
        all="more than 99" if odds["all"] > 99 else str(odds["all"]),
        exception=f"1 in {round(1 / manifest.plan.delta):,}" if manifest.plan.delta else "",
        handed_out=manifest.delivery == "file",
        rehearsal=manifest.rehearsal,
        sample=manifest.sample,
        made_up=manifest.made_up,
    )


def day(text: str) -> str:
    """Return the date of an instant of the wire, such as "2 March 2026"."""
    moment = date.fromisoformat(text[:10])
    return f"{moment.day} {moment:%B %Y}"
