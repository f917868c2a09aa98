"""The walls between the rooms: import-linter's contracts hold, and each sees a planted breach."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import ROOT

BREACHES: dict[str, dict[str, str]] = {
    "layers of survey": {"services/survey/unplaced.py": "X = 1\n"},
    "layers of aggregate": {"services/aggregate/core/late.py": "from services.aggregate import settings\n"},
    "layers of report": {"services/report/unplaced.py": "X = 1\n"},
    "the three are independent": {
        "services/survey/core/peek.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from services.report.core import drivers\n"
        )
    },
    "layers of the whole": {"services/kit/peek.py": "from services.survey import settings\n"},
    "core and protocol are pure": {"services/protocol/late.py": "import os\n"},
    "core and protocol have no plumbing": {
        "services/report/core/late.py": "from services.kit import clock\n"
    },
    "aggregate has no pages": {"services/aggregate/core/page.py": "import jinja2\n"},
    "web has no logic": {"web/logic.py": "from services.kit import clock\n"},
}


def contracts() -> list[dict[str, Any]]:
    """Return the contracts of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return list(tomllib.loads(text)["tool"]["importlinter"]["contracts"])


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a checkout."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )


def verdict(output: str, name: str) -> str:
    """Return KEPT or BROKEN for the contract of this name."""
    return next(line for line in output.splitlines() if line.startswith(f"{name} ")).split()[-1]


def test_all_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(contracts())} kept, 0 broken." in done.stdout


def test_every_contract_sees_a_breach(tmp_path: Path) -> None:
    for name in ("services", "web"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    breaches = BREACHES | protected_breaches()
    for files in breaches.values():
        for name, text in files.items():
            (tmp_path / name).write_text(text, "utf-8")
    output = lint(tmp_path).stdout
    assert {contract["name"] for contract in contracts()} == set(breaches)
    assert {name: verdict(output, name) for name in breaches} == dict.fromkeys(breaches, "BROKEN")


def protected_breaches() -> dict[str, dict[str, str]]:
    """Return one foreign importer for every protected module."""
    return {
        contract["name"]: {
            f"services/rehearsal/breach_{at}.py": f"import {contract['protected_modules'][0]}\n"
        }
        for at, contract in enumerate(contracts())
        if contract["type"] == "protected"
    }


LIGHT = {
    "services.survey.app": ("pandas", "pingouin", "scipy", "opendp"),
    "services.aggregate.workers": ("pandas", "pingouin", "fastapi", "sqlmodel", "opendp", "jinja2"),
    "services.report.app": ("pandas", "pingouin", "opendp"),
}


@pytest.mark.parametrize("module", LIGHT)
def test_slow_libraries_wait_until_they_are_used(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(LIGHT[module]) & set(loaded)
