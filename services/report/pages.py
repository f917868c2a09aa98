"""Report's HTML door: the list of reports, and one report with its tabs."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from services.kit.http import CONTENT_POLICY
from services.kit.pages import Page, make_environment, respond
from services.protocol.problems import Problem
from services.report.exports.html import standalone
from services.report.flow import Flow, NotReleased
from services.report.static import Asset
from services.report.views import (
    TABS,
    ListPage,
    MissingPage,
    group_page,
    list_line,
    tab_page,
    waiting_page,
)


class Desk:
    """Answers requests for pages."""

    def __init__(self, flow: Flow, assets: dict[str, Asset]) -> None:
        self._flow = flow
        self._environment: Environment = make_environment()
        self._environment.globals["assets"] = {name: asset.address for name, asset in assets.items()}

    def list_reports(self, request: Request) -> Response:
        """Show every report there is."""
        return self._answer(ListPage(tuple(list_line(line) for line in self._flow.cycles())), request)

    def tab(self, cycle: str, name: str, request: Request) -> Response:
        """Show one tab of a report, or what stands in its place."""
        if name not in TABS:
            return self._answer(MissingPage(), request, status=404)
        try:
            reading = self._flow.report(cycle)
        except Problem as problem:
            return self._instead(cycle, problem, request)
        return self._answer(tab_page(reading, name), request)

    def group(self, cycle: str, name: str, request: Request) -> Response:
        """Show one group; a held group and one that does not exist get the same answer."""
        try:
            reading = self._flow.report(cycle)
        except Problem as problem:
            return self._instead(cycle, problem, request)
        return self._answer(group_page(reading, name), request)

    def download(self, cycle: str, request: Request) -> Response:
        """Hand out the report as one file."""
        try:
            html = standalone(self._flow.report(cycle))
        except Problem as problem:
            return self._instead(cycle, problem, request)
        return HTMLResponse(
            html,
            headers={
                "content-disposition": f'attachment; filename="fairpatch-{cycle}.html"',
                "content-security-policy": CONTENT_POLICY,
            },
        )

    def _instead(self, cycle: str, problem: Problem, request: Request) -> Response:
        if isinstance(problem, NotReleased):
            return self._answer(waiting_page(self._flow.manifest(cycle)), request)
        if problem.kind == "not-found":
            return self._answer(MissingPage(), request, status=404)
        raise problem

    def _answer(self, page: Page, request: Request, *, status: int = 200) -> Response:
        return respond(self._environment, page, request, block="fragment", status=status)


def page_routes(flow: Flow, assets: dict[str, Asset]) -> APIRouter:
    """Return the pages of the report service."""
    router = APIRouter(tags=["pages"], include_in_schema=False)
    desk = Desk(flow, assets)

    @router.get("/")
    def list_reports(request: Request) -> Response:
        return desk.list_reports(request)

    @router.get("/reports/{cycle}/")
    def overview(cycle: str, request: Request) -> Response:
        return desk.tab(cycle, "", request)

    @router.get("/reports/{cycle}/groups/{group}")
    def group(cycle: str, group: str, request: Request) -> Response:
        return desk.group(cycle, group, request)

    @router.get("/reports/{cycle}/report.html")
    def download(cycle: str, request: Request) -> Response:
        return desk.download(cycle, request)

    @router.get("/reports/{cycle}/{tab}")
    def tab(cycle: str, tab: str, request: Request) -> Response:
        return desk.tab(cycle, tab, request)

    return router
