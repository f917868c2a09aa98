"""Reading the files of the installation, for the checks beside this file."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastapi.routing import iter_route_contexts
from prometheus_client.parser import text_string_to_metric_families

from services.bundle import build
from services.folder import SERVICES, init_folder
from services.protocol.signed import Service
from tests.architecture.source import ROOT

INFRA = ROOT / "infra"
REQUIREMENTS = ROOT / "requirements"
UNITS = ("fairpatch@.service", "fairpatch-backup@.service", "fairpatch-purge.service")
EXAMPLES = {
    "cycle": "a1b2-c3d4",
    "envelope_hash": "0123456789abcdef" * 4,
    "prefix": "0a",
    "group": "g0",
    "tab": "teams",
}


def text(*parts: str) -> str:
    """Return a file of the installation."""
    return INFRA.joinpath(*parts).read_text("utf-8")


def document(*parts: str) -> dict[str, Any]:
    """Return a YAML file of the installation."""
    loaded = yaml.safe_load(text(*parts))
    assert isinstance(loaded, dict)
    return loaded


def strings(value: object) -> Iterator[str]:
    """Yield every text in a document, keys among them."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif value is not None:
        yield str(value)


def settings(*parts: str) -> dict[str, str]:
    """Return the settings of a PostgreSQL file; naming one twice is an error."""
    found: dict[str, str] = {}
    for line in text(*parts).splitlines():
        name, equals, value = line.partition("#")[0].partition("=")
        if equals:
            assert name.strip() not in found, name
            found[name.strip()] = value.strip().strip("'")
    return found


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Return a systemd unit: by section and name, every value in order."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in text("systemd", name).splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            section.setdefault(key, []).append(value)
    return found


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Return a pin file: by package, its version and how many hashes it has."""
    found: dict[str, tuple[str, int]] = {}
    for block in re.split(r"\n(?=\S)", (REQUIREMENTS / name).read_text("utf-8")):
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", block)
        assert match is not None, block[:80]
        # A package may stand there twice, for two kinds of machines.
        found[match[1].lower()] = (match[2], block.count("--hash=sha256:"))
    return found


@dataclass(frozen=True)
class Route:
    """One thing a service answers."""

    service: Service
    method: str
    path: str

    @property
    def request(self) -> str:
        """What the proxy compares with its doors: service, method and address."""
        path = self.path
        for name, example in EXAMPLES.items():
            path = path.replace(f"{{{name}}}", example)
        assert "{" not in path, f"no example for {path}"
        return f"{self.service} {self.method} {path}"


def doors() -> dict[str, str]:
    """Return the proxy's doors: what is let through, and the name of the door."""
    table = re.search(r"^map [^\n]*\$door \{\n(.*?)^\}", text("nginx", "fairpatch.conf"), re.M | re.S)
    assert table is not None
    lines = re.findall(r'^\s*"~(\^[^"]*)"\s+(\w+);$', table[1], re.M)
    assert len(lines) == table[1].count(";") - 1, "a door is not of the usual form"
    return dict(lines)


@dataclass(frozen=True)
class Program:
    """What the three services answer and show."""

    routes: tuple[Route, ...]
    figures: frozenset[str]


def program(folder: Path) -> Program:
    """Build the three services, look at their routes, and ask for their figures."""
    init_folder(folder)
    return asyncio.run(_look(folder))


async def _look(folder: Path) -> Program:
    routes, figures = list[Route](), set[str]()
    for service in SERVICES:
        app, _ = build(folder, service)
        async with app.router.lifespan_context(app):
            for context in iter_route_contexts(app.routes):
                routes += [Route(service, method, context.path or "") for method in context.methods or ()]
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                shown = (await client.get("/metrics")).text
            for family in text_string_to_metric_families(shown):
                figures |= {sample.name for sample in family.samples}
    return Program(tuple(routes), frozenset(figures))


def images(containerfile: str) -> list[str]:
    """Return what the stages of a container file start from."""
    given = dict(re.findall(r"^ARG (\w+)=(\S+)$", containerfile, re.M))
    named = re.findall(r"^FROM (\S+)", containerfile, re.M)
    return [re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], name) for name in named]
