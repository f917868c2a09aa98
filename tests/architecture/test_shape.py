"""The shape of the code: short files, no switch that touches noise, one reader of the environment."""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SERVICES, THREE, arguments, place, python_files, tree

MOST_LINES = 400
SUFFIXES = frozenset([".py", ".html", ".js", ".mjs", ".svg"])
"""The one stylesheet of all pages is not among them: it must not be split."""
SWITCHES = frozenset(
    [
        *("seed", "seeds", "random_state", "noise", "no_noise", "noiseless", "without_noise", "skip_noise"),
        *("add_noise", "use_noise", "disable_noise", "debug", "test_mode", "testing", "unsafe", "force"),
        *("insecure", "skip_gate", "no_gate", "bypass"),
    ]
)
READERS = (SERVICES / "cli.py", SERVICES / "__main__.py")


@pytest.mark.parametrize("folder", ["services", "web"])
def test_no_file_is_longer_than_400_lines(folder: str) -> None:
    long = {
        place(path): lines
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def switches(module: ast.Module) -> list[str]:
    """Return names of parameters, fields and keywords by which noise or checks could be switched.

    A mechanism is handed in as an object of a named class; such a parameter is no switch.
    """
    names = []
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names += [one.arg for one in arguments(node) if not is_mechanism(one)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
        elif isinstance(node, ast.keyword) and node.arg is not None:
            names.append(node.arg)
    return sorted({name for name in names if name.lower() in SWITCHES})


def is_mechanism(argument: ast.arg) -> bool:
    """Whether a parameter takes an object of a class named in the code, not a value."""
    named = isinstance(argument.annotation, ast.Name) and argument.annotation.id[:1].isupper()
    return argument.arg == "noise" and named


@pytest.mark.parametrize("service", THREE)
def test_no_service_has_a_switch_for_noise_or_checks(service: str) -> None:
    found = {place(path): switches(tree(path)) for path in python_files(SERVICES / service)}
    assert {where: names for where, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "def draw(counts, *, seed=None): ...",
        "async def release(request, debug: bool = False): ...",
        "class Settings:\n    no_noise: bool = False",
        "class Flow:\n    def __init__(self, noise): ...",
        "class Flow:\n    def __init__(self, noise: bool): ...",
        "class Flow:\n    def __init__(self, seed: Seed): ...",
        "make = lambda noise: noise",
        "app = FastAPI(debug=True)",
        "draw(counts, random_state=7)",
    ],
)
def test_a_planted_switch_is_seen(source: str) -> None:
    assert len(switches(ast.parse(source))) == 1


def reads_environment(path: Path) -> bool:
    """Whether a file reads environment variables."""
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    return not names.isdisjoint({"environ", "getenv", "environb"})


def test_only_the_commands_read_the_environment() -> None:
    assert [
        place(path) for path in python_files(SERVICES) if path not in READERS and reads_environment(path)
    ] == []


def test_a_planted_reader_of_the_environment_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    for source in ("import os\nX = os.environ['X']\n", "from os import getenv\nX = getenv('X')\n"):
        planted.write_text(source, "utf-8")
        assert reads_environment(planted)
