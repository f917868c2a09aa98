"""The few files that pages load: their addresses carry their hash, so they may be kept for good."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from services.protocol.encoding import sha256
from web import HTMX, STATIC

FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@dataclass(frozen=True)
class Asset:
    """A file, its address and its hash."""

    path: str
    media_type: str
    body: bytes
    digest: str

    @property
    def address(self) -> str:
        """The address pages use; another content has another address."""
        return f"{self.path}?v={self.digest}"

    @property
    def etag(self) -> str:
        """The entity tag of the content."""
        return f'"{self.digest}"'


def load(path: str, file: Path, media_type: str) -> Asset:
    """Return a file as an asset."""
    body = file.read_bytes()
    return Asset(path, media_type, body, sha256(body).hex()[:16])


def load_assets() -> dict[str, Asset]:
    """Return the files of the report's pages, by the name templates use."""
    script = "text/javascript; charset=utf-8"
    return {
        "stylesheet": load("/static/fairpatch.css", STATIC / "fairpatch.css", "text/css; charset=utf-8"),
        "icon": load("/static/icon.svg", STATIC / "icon.svg", "image/svg+xml"),
        "htmx": load("/static/htmx.js", HTMX, script),
        "progress": load("/static/progress.js", STATIC / "progress.js", script),
    }


def static_routes(assets: dict[str, Asset]) -> APIRouter:
    """Return the routes of the files."""
    router = APIRouter(include_in_schema=False)
    for asset in assets.values():
        router.add_api_route(asset.path, _server(asset), methods=["GET"])
    return router


def _server(asset: Asset) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        """Hand out one file, or say that the reader's copy is still good."""
        kept = request.query_params.get("v") == asset.digest
        headers = {"cache-control": FOR_GOOD if kept else ASK_AGAIN, "etag": asset.etag}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)

    return serve
