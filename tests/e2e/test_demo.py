"""``fairpatch demo`` as people run it: files, words, links, and nothing left behind."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.protocol.encoding import unb64
from services.protocol.release import parse
from services.protocol.signed import SignedDocument, check_document
from tests.e2e.stages import PROC, naming

REPS = 60
DEMO = [sys.executable, "-m", "services", "demo", "--reps", str(REPS), "--plan", "stronger"]
FILES = {"summary.json", "release.json", "report.html", "links.csv", "answers.csv"}
STOPS_WITHIN_SECONDS, ENDS_WITHIN_SECONDS = 15.0, 180.0
STATES = {"shown", "wide", "no_separate_reading", "held", "not_released", "not_asked", "no_data"}
FORMS = {
    "fix_patch",
    "people",
    "other_condition",
    "quota",
    "support_over_activity",
    "both",
    "none",
    "cant_tell",
}
EXPLAINED = {"supported", "evidence_against", "not_enough_evidence", "not_measured"}


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a command whose temporary files lie in ``scratch``."""
    scratch.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(scratch), "COLUMNS": "200", "NO_COLOR": "1"}


def left_behind(scratch: Path) -> tuple[list[str], set[int]]:
    """Return the files and processes of a command that has ended."""
    deadline = time.monotonic() + STOPS_WITHIN_SECONDS
    while naming(str(scratch)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sorted(path.name for path in scratch.iterdir()), naming(str(scratch))


# demo --exit


@dataclass
class Finished:
    """A demo that ran to its end."""

    out: Path
    scratch: Path
    result: "subprocess.CompletedProcess[str]"

    @property
    def summary(self) -> dict[str, Any]:
        """The summary it wrote."""
        found: dict[str, Any] = json.loads((self.out / "summary.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Run the demo once, to its end."""
    folder = tmp_path_factory.mktemp("demo")
    command = [*DEMO, "--exit", "--out", str(folder / "out")]
    result = subprocess.run(
        command,
        env=environment(folder / "scratch"),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Finished(folder / "out", folder / "scratch", result)


def test_the_demo_ends_well_and_writes_its_files(finished: Finished) -> None:
    assert finished.result.returncode == 0, finished.result.stderr
    assert {path.name for path in finished.out.iterdir()} == FILES
    assert all(path.stat().st_size > 100 for path in finished.out.iterdir())


def test_the_demo_leaves_no_process_and_no_file_behind(finished: Finished) -> None:
    assert left_behind(finished.scratch) == ([], set())
    assert not [path for path in finished.out.parent.iterdir() if path.name.startswith(".")]


def test_the_demo_says_the_verdict_in_words(finished: Finished) -> None:
    said, summary = finished.result.stdout, finished.summary
    assert summary["verdict"]["sentence"] in said
    assert f"({summary['verdict']['form']})" in said
    assert "How sure:" in said
    spent = summary["budget"]
    assert f"used: {spent['answers']:g} on answers, {spent['participation']:g} on taking part." in said
    assert "Sample data. Composite, not a real company." in said
    for group in summary["groups"]:
        assert group["name"] in said


def test_the_terminal_shows_nothing_but_words(finished: Finished) -> None:
    for stream in (finished.result.stdout, finished.result.stderr):
        assert stream.isprintable() or set(re.findall(r"[^\x20-\x7e]", stream)) <= {"\n"}
        for sign in ("Traceback", "Warning", "{", "}", "127.0.0.1", "#", "\x1b"):
            assert sign not in stream
    links = table(finished.out / "links.csv")
    assert len(links) == REPS
    assert not any(link["link"].rpartition("#")[2] in finished.result.stdout for link in links)


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def number(value: object) -> bool:
    """Return whether a value of JSON is a number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_the_summary_counts_sheets(finished: Finished) -> None:
    summary = finished.summary
    assert summary["invited"] == REPS
    assert set(summary["sheets"]) == {"support-result", "support-activity", "flag-result"}
    for totals in summary["sheets"].values():
        assert set(totals) == {"issued", "received", "counted", "withdrawn", "rejected"}
        assert totals["issued"] == totals["received"] == totals["counted"] == 51
        assert (totals["withdrawn"], totals["rejected"]) == (0, {})


def test_the_summary_shows_budget_and_tables(finished: Finished) -> None:
    summary = finished.summary
    budget, tables = summary["budget"], summary["tables"]
    assert set(budget) == {"answers", "participation", "delta", "lines"}
    assert budget["answers"] == pytest.approx(sum(table["epsilon"] for table in tables.values()))
    lines = [line["epsilon"] for line in budget["lines"] if line["account"] == "answers"]
    assert budget["answers"] == pytest.approx(sum(lines))
    assert set(tables) == set(summary["sheets"])
    for made in tables.values():
        assert made["mechanism"] == "discrete_laplace"
        assert made["scale"] == pytest.approx(1 / made["epsilon"])
        assert all(isinstance(cell, int) for row in made["noisy_counts"] for cell in row)
        assert {len(row) for row in made["noisy_counts"]} == {len(made["columns"])}
        assert len(made["noisy_counts"]) == len(made["rows"])


def test_the_summary_shows_groups(finished: Finished) -> None:
    groups = finished.summary["groups"]
    assert groups[0]["level"] == "company"
    for group in groups:
        assert set(group) >= {"name", "level", "state", "values"}
        assert group["state"] in STATES
        assert set(group["values"]) == ({"Support"} if group["state"] in ("shown", "wide") else set())
        for value in group["values"].values():
            low, high = value["interval"]
            assert 0 <= low <= value["mean"] <= high <= 100
            assert 0 < value["noise_half_width"] < value["half_width"]
            assert value["basis"] in ("bands", "items")


def test_the_summary_shows_verdict_explanations_and_times(finished: Finished) -> None:
    summary = finished.summary
    verdict = summary["verdict"]
    assert verdict["form"] in FORMS
    assert number(verdict["difference"])
    assert verdict["interval"][0] < verdict["difference"] < verdict["interval"][1]
    assert isinstance(verdict["claim"], bool)
    assert verdict["record_check"] in ("passed", "failed", "not_measured")
    assert [each["name"] for each in summary["explanations"]] == [
        "quota",
        "territory",
        "skill",
        "effort",
        "process",
    ]
    assert all(each["state"] in EXPLAINED for each in summary["explanations"])
    assert set(summary["timings_s"]) >= {"open", "collect", "close", "release", "report"}
    assert all(number(seconds) and seconds > 0 for seconds in summary["timings_s"].values())


def test_the_release_file_is_signed_and_the_summary_is_made_from_it(finished: Finished) -> None:
    signed = SignedDocument.model_validate_json((finished.out / "release.json").read_bytes())
    key = unb64(table(finished.out / "links.csv")[0]["aggregate_key"])
    check_document(signed, "release", {"aggregate": key})
    release = parse(signed.document)
    assert release.cycle == finished.summary["cycle"]
    for made in release.tables:
        noisy = finished.summary["tables"][made.sheet]["noisy_counts"]
        assert noisy == [list(row) for row in made.noisy_counts or ()]


def test_the_report_file_needs_nothing_else(finished: Finished) -> None:
    html = unescape((finished.out / "report.html").read_text("utf-8"))
    assert finished.summary["verdict"]["sentence"] in html
    assert "Sample data" in html
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:|//|/)""", html)
    assert "<script" not in html


# demo that stays


@dataclass
class Staying:
    """A demo that waits to be looked at."""

    process: "subprocess.Popen[str]"
    out: Path
    scratch: Path
    lines: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """All it said so far."""
        return "".join(self.lines)

    def addresses(self, name: str) -> list[str]:
        """Return the addresses printed behind ``name``."""
        return re.findall(rf"^{name}:\s+(\S+)$", self.said, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staying]:
    """Run the demo until it waits; end it afterwards, whatever happens."""
    folder = tmp_path_factory.mktemp("staying")
    process = subprocess.Popen(
        [*DEMO, "--out", str(folder / "out")],
        env=environment(folder / "scratch"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    demo = Staying(process, folder / "out", folder / "scratch")
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: demo.lines.extend(process.stdout or ()))
    reader.start()
    try:
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        while "Stop with Ctrl-C." not in demo.said:
            assert process.poll() is None, demo.said
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield demo
    finally:
        process.kill() if process.poll() is None else None
        process.wait()
        reader.join()
        process.stdout.close()


def test_the_links_that_the_demo_prints_answer(staying: Staying) -> None:
    reports, spare = staying.addresses("Report"), staying.addresses("Spare link")
    assert (len(reports), len(spare)) == (1, 3)
    with httpx.Client(trust_env=False) as client:
        for address in [*reports, *spare]:
            answer = client.get(address)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
        for tab in ("teams", "drivers", "explanations", "method", "report.html", "release.json"):
            assert client.get(reports[0] + tab).status_code == 200


def test_the_open_cycle_can_be_answered_by_program(staying: Staying, tmp_path: Path) -> None:
    answers = (staying.out / "answers.csv").read_text("utf-8").splitlines()[:9]
    (tmp_path / "answers.csv").write_text("\n".join([*answers, ""]), "utf-8")
    command = [sys.executable, "-m", "services", "simulate", "--links", str(staying.out / "links.csv")]
    command += ["--answers", str(tmp_path / "answers.csv")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "8 phones sent all their sheets.\n"), result.stderr
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stdout) == (1, "")
    assert "8 of 8 phones did not get through." in again.stderr
    assert "Traceback" not in again.stderr


def test_the_demo_stops_when_it_is_told_to(staying: Staying) -> None:
    """The last test of this demo: it ends it."""
    assert naming(str(staying.scratch)) or not PROC.is_dir()
    began = time.monotonic()
    staying.process.send_signal(signal.SIGTERM)
    assert staying.process.wait(STOPS_WITHIN_SECONDS) == 0
    assert time.monotonic() - began < STOPS_WITHIN_SECONDS
    assert left_behind(staying.scratch) == ([], set())
    assert {path.name for path in staying.out.iterdir()} == FILES
