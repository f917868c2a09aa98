"""Pages: frozen dataclasses that name their template, rendered whole or as one fragment."""

from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.kit.http import CONTENT_POLICY
from web import TEMPLATES


class Page(Protocol):
    """What a page is: data, and the template that shows it."""

    template: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def make_environment() -> Environment:
    """Return the template environment: escaping on, undefined names are errors."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(environment: Environment, page: Page, *, block: str | None = None) -> str:
    """Return the page's HTML, or that of one named block of it."""
    template = environment.get_template(page.template)
    context = {field.name: getattr(page, field.name) for field in fields(page)}
    if block is None:
        return template.render(context)
    return "".join(template.blocks[block](template.new_context(context)))


def respond(
    environment: Environment, page: Page, request: Request, *, block: str, status: int = 200
) -> Response:
    """Answer with the block for an htmx request, with the whole page otherwise."""
    # A boosted link and htmx's return to a page it no longer holds both want the whole page.
    whole = any(request.headers.get(name) == "true" for name in ("hx-boosted", "hx-history-restore-request"))
    partial = request.headers.get("hx-request") == "true" and not whole
    html = render(environment, page, block=block if partial else None)
    return HTMLResponse(
        html, status_code=status, headers={"content-security-policy": CONTENT_POLICY, "vary": "hx-request"}
    )
