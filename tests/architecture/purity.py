"""What pure code must not do, found in its syntax tree; imports alone would not show it."""

import ast

FORBIDDEN_MODULES = frozenset(
    [
        *("asyncio", "ctypes", "getpass", "glob", "http", "importlib", "logging", "multiprocessing", "os"),
        *("pathlib", "random", "secrets", "shutil", "signal", "socket", "sqlite3", "ssl", "structlog"),
        *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
    ]
)
FORBIDDEN_CALLS = frozenset(
    ["open", "__import__", "eval", "exec", "compile", "input", "print", "globals", "breakpoint"]
)
FORBIDDEN_ATTRIBUTES = frozenset(
    [
        *("now", "utcnow", "today", "default_rng", "RandomState", "getenv", "environ", "urandom"),
        *("SystemRandom", "token_bytes", "read_text", "write_text", "read_bytes", "write_bytes"),
    ]
)
LAZY_MODULES = frozenset(["pandas", "pingouin", "diptest"])


def impurities(source: str, *, lazy: frozenset[str] = frozenset()) -> list[str]:
    """Return what is impure in a file; modules in ``lazy`` may be imported inside functions only."""
    module = ast.parse(source)
    top = {id(node) for node in module.body}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += _imports(node, lazy if id(node) not in top else frozenset())
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
            found.append(f"{node.lineno}: {node.id}")
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_ATTRIBUTES:
            found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Attribute) and _is_numpy_random(node):
            found.append(f"{node.lineno}: numpy's random")
        elif isinstance(node, ast.Global):
            found.append(f"{node.lineno}: global")
    return found


def _imports(node: ast.Import | ast.ImportFrom, lazy: frozenset[str]) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [node.module or ""]
        names += [f"{node.module}.{alias.name}" for alias in node.names]
    roots = {name.split(".")[0] for name in names}
    forbidden = (roots & FORBIDDEN_MODULES) | ((roots & LAZY_MODULES) - lazy)
    forbidden |= {name for name in names if name.startswith("numpy.random")}
    return [f"{node.lineno}: import {name}" for name in sorted(forbidden)]


def _is_numpy_random(node: ast.Attribute) -> bool:
    return node.attr == "random" and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy")
