"""Pages: whole or as one fragment, always escaped, never with a name that is not there."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from fastapi import Request
from jinja2 import DictLoader, Environment, UndefinedError

from services.kit.pages import make_environment, render, respond

TEMPLATES = {
    "page.html": "<html>{% block part %}<b>{{ name }}</b>{% endblock %}</html>",
    "wrong.html": "{{ nobody }}",
    "wrong-deep.html": "{{ name.nobody }}",
}


@dataclass(frozen=True)
class Greeting:
    """A page with one name."""

    name: str
    template: ClassVar[str] = "page.html"


@dataclass(frozen=True)
class Wrong(Greeting):
    """A page whose template asks for more than it has."""

    template: ClassVar[str] = "wrong.html"


@dataclass(frozen=True)
class WrongDeep(Greeting):
    """A page whose template asks a text for a part it doesn't have."""

    template: ClassVar[str] = "wrong-deep.html"


def environment() -> Environment:
    return make_environment().overlay(loader=DictLoader(TEMPLATES))


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw})


def test_a_page_and_its_fragment_come_from_one_template() -> None:
    assert render(environment(), Greeting("Ada")) == "<html><b>Ada</b></html>"
    assert render(environment(), Greeting("Ada"), block="part") == "<b>Ada</b>"


@pytest.mark.parametrize("block", [None, "part"])
def test_values_are_escaped(block: str | None) -> None:
    html = render(environment(), Greeting("<script>'\"&"), block=block)
    assert "<script>" not in html
    assert "&lt;script&gt;&#39;&#34;&amp;" in html


@pytest.mark.parametrize("page", [Wrong("Ada"), WrongDeep("Ada")])
def test_a_name_that_is_not_there_is_an_error(page: Greeting) -> None:
    with pytest.raises(UndefinedError):
        render(environment(), page)


@pytest.mark.parametrize(
    ("headers", "whole"),
    [
        ({}, True),
        ({"hx_request": "true"}, False),
        ({"hx_request": "yes"}, True),
        ({"hx_request": "true", "hx_boosted": "true"}, True),
        ({"hx_request": "true", "hx_history_restore_request": "true"}, True),
    ],
)
def test_htmx_gets_the_fragment_where_it_asked_for_one(headers: dict[str, str], whole: bool) -> None:
    answer = respond(environment(), Greeting("Ada"), request(**headers), block="part", status=201)
    assert bytes(answer.body).startswith(b"<html>") == whole
    assert answer.status_code == 201
    assert answer.headers["vary"] == "hx-request"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
