"""Public functions of core say all six things, and their examples are true."""

import ast
import doctest
import importlib
import itertools
from pathlib import Path

import pytest

from tests.architecture.source import SERVICES, THREE, arguments, place, public_functions, pure_files, tree

PARTS = ("Parameters", "Returns", "Raises", "Notes", "Examples")
KEY_FUNCTIONS = {
    "token": ("verify",),
    "commitments": ("commit",),
    "envelope": ("seal", "verify"),
    "receipts": ("receipt_hash", "list_root", "prefix_digits"),
    "plan": ("micro", "printed_odds", "is_useful", "useful_size"),
    "arithmetic": (
        "noise_variance",
        "laplace_scale",
        "surety",
        "driver_standard_error",
        "driver_power",
        "publish_chance",
        "predicted_half_width",
    ),
}


def lacking(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the parts that a function's docstring lacks."""
    text = ast.get_docstring(function) or ""
    lines = text.splitlines()
    headed = {above for above, below in itertools.pairwise(lines) if below == "-" * len(above) != ""}
    if "Yields" in headed:
        headed.add("Returns")
    missing = [part for part in PARTS if part not in headed and part not in needless(function)]
    missing += [] if lines and lines[0].endswith((".", "?")) else ["summary"]
    missing += [word for word in ("Privacy:", "Source:") if word not in text]
    return missing + ([] if ">>> " in text else ["example"])


def needless(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the parts about which there is nothing to say."""
    returns = function.returns
    raises = any(isinstance(node, ast.Raise) for node in ast.walk(function))
    nothing = isinstance(returns, ast.Constant) and returns.value is None
    silent = {"Parameters": not arguments(function), "Returns": nothing, "Raises": not raises}
    return {part for part, is_silent in silent.items() if is_silent}


CORE = [path for path in pure_files() if path.parent.name == "core"]


@pytest.mark.parametrize("service", THREE)
def test_public_functions_of_core_say_all_six_things(service: str) -> None:
    found = {
        f"{place(path, function)} {function.name}": missing
        for path in CORE
        if path.parent.parent.name == service
        for function in public_functions(tree(path))
        if (missing := lacking(function))
    }
    assert found == {}


def test_key_functions_of_the_protocol_say_all_six_things() -> None:
    for module, names in KEY_FUNCTIONS.items():
        path = SERVICES / "protocol" / f"{module}.py"
        documented = {function.name: lacking(function) for function in public_functions(tree(path))}
        assert {name: documented[name] for name in names} == {name: [] for name in names}


def test_a_missing_part_is_seen() -> None:
    source = (SERVICES / "protocol" / "token.py").read_text("utf-8")
    source = source.replace(
        "    return Verifier", "    if not token:\n        raise InvalidToken\n    return Verifier"
    )
    whole = next(f for f in public_functions(ast.parse(source)) if f.name == "verify")
    assert lacking(whole) == []
    text = ast.get_docstring(whole, clean=False) or ""
    for part in (*PARTS, "Privacy:", "Source:", ">>> "):
        damaged = source.replace(text, text.replace(part, "Something"))
        broken = next(f for f in public_functions(ast.parse(damaged)) if f.name == "verify")
        assert lacking(broken) != [], part


def name_of(path: Path) -> str:
    """Return the import name of a file."""
    return ".".join(path.relative_to(SERVICES.parent).with_suffix("").parts)


@pytest.mark.parametrize("module", [name_of(path) for path in pure_files() if path.name != "__init__.py"])
def test_examples_are_true(module: str) -> None:
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.failed == 0
