"""Core and protocol are pure: no clock, no randomness, no files, no environment, no log."""

import shutil
from pathlib import Path

import pytest

from tests.architecture.purity import impurities
from tests.architecture.source import ROOT, SERVICES, THREE, place, pure_files

RECORDS, PERFORMANCE = Path("survey/core/records.py"), Path("survey/core/performance.py")
LAZY = {RECORDS: frozenset(["pandas", "pingouin", "diptest"]), PERFORMANCE: frozenset(["pandas"])}
"""Slow libraries of the company's records: imported where they are used, nowhere else."""


def all_impurities(services: Path) -> list[str]:
    """Return everything impure in the files that must be pure."""
    return [
        f"{place(path)}: {what}"
        for path in pure_files(services)
        for what in impurities(
            path.read_text("utf-8"), lazy=LAZY.get(path.relative_to(services), frozenset())
        )
    ]


def test_core_and_protocol_are_pure() -> None:
    assert all_impurities(SERVICES) == []


def test_every_core_is_looked_at() -> None:
    for name in THREE:
        assert any(path.parent == SERVICES / name / "core" for path in pure_files())
    assert SERVICES / "protocol" / "token.py" in pure_files()


PLANTED = {
    "clock": "from datetime import datetime\ndef f():\n    return datetime.now()\n",
    "clock without import": "def f(datetime):\n    return datetime.utcnow()\n",
    "date of today": "from datetime import date\nTODAY = date.today()\n",
    "time": "import time\n",
    "time by name": "from time import monotonic\n",
    "random": "import random\n",
    "random inside": "def f():\n    import random as r\n    return r\n",
    "secrets": "from secrets import token_bytes\n",
    "generator": "import numpy as np\nrng = np.random.default_rng(7)\n",
    "numpy's global generator": "import numpy as np\nx = np.random.normal()\n",
    "numpy's random module": "from numpy import random\n",
    "numpy's random function": "from numpy.random import normal\n",
    "file": "def f(path):\n    with open(path) as file:\n        return file\n",
    "file by another name": "read = open\n",
    "file by path": "def f(path):\n    return path.read_text()\n",
    "path": "from pathlib import Path\n",
    "environment": "import os\n",
    "environment by name": "from os import environ\n",
    "environment by part": "import os.path\n",
    "variable": "def f(system):\n    return system.getenv('X')\n",
    "hidden import": "os = __import__('os')\n",
    "hidden import by library": "import importlib\n",
    "evaluated text": "def f(text):\n    return eval(text)\n",
    "log": "import logging\n",
    "print": "def f(x):\n    print(x)\n",
    "state": "count = 0\ndef f():\n    global count\n    count += 1\n",
    "slow library at start": "import pandas as pd\n",
    "slow library in the wrong file": "def f():\n    import pingouin\n",
    "slow library by name": "def f():\n    from pandas import DataFrame\n",
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_impurity_is_seen(name: str) -> None:
    assert len(impurities(PLANTED[name])) >= 1


def test_slow_libraries_may_be_imported_inside_records() -> None:
    lazy = LAZY[RECORDS]
    assert impurities("def f():\n    import pingouin\n", lazy=lazy) == []
    assert impurities("import pingouin\n", lazy=lazy) != []


def test_words_in_texts_and_comments_are_no_impurity() -> None:
    assert impurities('"""Say open(), os.getenv and now()."""\n# import random\n') == []


@pytest.mark.parametrize("folder", ["survey/core", "aggregate/core", "report/core", "protocol"])
def test_an_impurity_planted_in_a_copy_of_the_code_is_seen(tmp_path: Path, folder: str) -> None:
    copy = tmp_path / "checkout" / "services"
    shutil.copytree(SERVICES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert all_impurities(copy) == all_impurities(SERVICES)
    victim = max((copy / folder).glob("*.py"), key=lambda path: path.stat().st_size)
    victim.write_text(
        victim.read_text("utf-8") + "\n\ndef late() -> float:\n    return time.now()\n", "utf-8"
    )
    added = set(all_impurities(copy)) - set(all_impurities(SERVICES))
    assert [text.rsplit(" ", 1)[1] for text in added] == [".now"]


def test_the_root_is_the_checkout() -> None:
    assert (ROOT / "pyproject.toml").is_file()
