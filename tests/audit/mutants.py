"""Plants each known mistake into a copy of the tree, and looks whether the tests that guard it turn red.

On the untouched copy the same tests must be green; a mistake that no test notices fails the audit.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.audit.mutations import MUTATIONS, Mutation
from tests.audit.telling import Findings

ROOT = Path(__file__).parents[2]
COPIED = ("services", "web", "tests", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache", "*.pyc")
LONGEST_SECONDS = 300.0
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-profile=fails-fast")
TESTS_FAILED = 1
"""Exit code of pytest when tests ran and some failed; anything else is a mistake of ours."""


class CannotPlant(Exception):
    """The code that a mistake changes does not stand there once; the list has to follow the code."""


@dataclass(frozen=True)
class Result:
    """How the tests of one mutation ended."""

    name: str
    code: int
    last_line: str
    seconds: float


def audit(processes: int, mutations: Sequence[Mutation] = MUTATIONS) -> Findings:
    """Return which mistakes are noticed, and by which test."""
    findings = Findings(f"Mutants: {len(mutations)} mistakes planted into a copy of the tree, one by one")
    with copies(processes) as waiting, ThreadPoolExecutor(processes) as threads:
        every = sorted({test for mutation in mutations for test in mutation.tests})
        clean = list(threads.map(lambda test: untouched(waiting, test), every))
        for result in clean:
            findings.require(result.code == 0, f"Untouched: {result.name} is green ({result.last_line}).")
        for mutation, result in zip(
            mutations, threads.map(lambda one: planted(waiting, one), mutations), strict=True
        ):
            findings.require(
                result.code == TESTS_FAILED,
                f"{mutation.name}: {', '.join(mutation.tests)} {_colour(result.code)} ({result.last_line}).",
            )
    return findings


@contextmanager
def copies(count: int) -> Iterator["Queue[Path]"]:
    """Yield a queue of copies of the tree, so that as many tests can run side by side."""
    waiting: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            copy = Path(folder) / f"copy-{number}"
            copy.mkdir()
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, copy / name, ignore=LEFT_OUT)
                else:
                    shutil.copy(source, copy / name)
            waiting.put(copy)
        yield waiting


def untouched(waiting: "Queue[Path]", test: str) -> Result:
    """Run one test file on a copy as it is."""
    copy = waiting.get()
    try:
        return run(copy, test, (test,))
    finally:
        waiting.put(copy)


def planted(waiting: "Queue[Path]", mutation: Mutation) -> Result:
    """Plant a mistake into a copy, run the tests that guard it, and take it out again."""
    copy = waiting.get()
    file = copy / mutation.file
    before = file.read_text("utf-8")
    try:
        file.write_text(plant(before, mutation), "utf-8")
        return run(copy, mutation.name, mutation.tests)
    finally:
        file.write_text(before, "utf-8")
        waiting.put(copy)


def plant(source: str, mutation: Mutation) -> str:
    """Return the source with the mistake in it."""
    if source.count(mutation.old) != 1:
        raise CannotPlant(f"{mutation.name}: what it changes does not stand once in {mutation.file}")
    return source.replace(mutation.old, mutation.new)


def run(copy: Path, name: str, tests: Sequence[str]) -> Result:
    """Run tests in a copy until the first fails."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", *OPTIONS, *tests]
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED") or " in " in line]
    words = " ".join(lines[-2:]) or done.stderr.strip()[-200:]
    return Result(name, done.returncode, words, time.monotonic() - start)


def _colour(code: int) -> str:
    return {0: "stayed green", TESTS_FAILED: "turned red"}.get(
        code, f"could not run (pytest ended with {code})"
    )
