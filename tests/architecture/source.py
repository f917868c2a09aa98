"""Reading the source: files, trees and public functions, for the checks beside this file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
THREE = ("survey", "aggregate", "report")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def pure_files(services: Path = SERVICES) -> list[Path]:
    """Return the files that must be pure: every ``core`` and the protocol."""
    folders = [*(services / name / "core" for name in THREE), services / "protocol"]
    return [path for folder in folders for path in python_files(folder)]


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    """Return where something is, for a message."""
    line = f":{getattr(node, 'lineno', 0)}" if node is not None else ""
    start = next(at for at, part in enumerate(path.parts) if part in ("services", "web"))
    return "/".join(path.parts[start:]) + line


def functions(module: ast.Module) -> Iterator[Function]:
    """Yield every function of a module, however deep."""
    for node in ast.walk(module):
        if isinstance(node, Function):
            yield node


def public_functions(module: ast.Module) -> Iterator[Function]:
    """Yield the functions that other files may use."""
    for node in module.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def arguments(function: Function | ast.Lambda) -> list[ast.arg]:
    """Return the parameters of a function."""
    given = function.args
    extra = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *extra]
