"""The commands, run in this process: words, exit codes, and what they write."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import main
from services.rehearsal.workforce import make_workforce

COMMANDS = (
    *("init", "serve", "demo", "rehearse", "plan", "simulate"),
    *("upgrade", "backup", "restore", "verify", "purge", "void"),
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and returns its exit code and what it said."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fairpatch", *words])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert re.search(rf"Usage: .* {command} \[OPTIONS\]", out)


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(re.search(rf"^.? {command} ", out, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        ("unknown",),
        ("demo", "--reps", "3"),
        ("demo", "--world", "moon"),
        ("demo", "--response", "1.5"),
        ("demo", "--plan", "loose"),
        ("serve", "everything", "--dir", "x"),
        ("rehearse", "--roster", "r.csv"),
        ("plan", "--roster", "r.csv", "--results", "q.csv", "--k", "4"),
        ("demo", "--no-noise"),
        ("upgrade", "all"),
        ("upgrade", "all", "--dir", "nowhere"),
        ("backup", "all", "--dir", "nowhere"),
        ("backup", "all", "--dir", "nowhere", "--to", "nowhere-either"),
        ("restore", "all", "--from", "x", "--dir", "y"),
        ("restore", "aggregate", "--from", "nowhere", "--dir", "nowhere-either"),
        ("verify",),
        ("verify", "--dir", "nowhere"),
        ("verify", "--dir", "nowhere", "--backup", "nowhere-either"),
        ("verify", "--backup", "nowhere"),
        ("purge", "--dir", "nowhere"),
        ("purge", "--dir", "nowhere", "--due", "--cycle", "0123456789abcdef"),
        ("void", "--dir", "nowhere", "--cycle", "0123456789abcdef"),
        ("void", "--dir", "nowhere", "--cycle", "../x", "--reason", "None."),
    ],
)
def test_bad_use_ends_with_2_and_no_trace(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


def test_init_makes_a_private_folder_once(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "fairpatch"
    code, out, err = run("init", "--dir", str(folder))
    assert (code, err) == (0, "")
    assert f"fairpatch serve all --dir {folder}" in out
    secrets = sorted(folder.rglob("*.key"))
    assert [str(path.relative_to(folder)) for path in secrets] == [
        "aggregate/identity.key",
        "report/identity.key",
        "survey/hr.key",
        "survey/identity.key",
    ]
    assert {path.stat().st_mode & 0o077 for path in secrets} == {0}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, out, err = run("init", "--dir", str(folder))
    assert (code, out) == (2, "")
    assert err == f"{folder} already holds Fairpatch. Choose another folder.\n"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_serve_needs_a_folder_that_was_made_for_it(run: Run, tmp_path: Path) -> None:
    code, out, err = run("serve", "all", "--dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert "Run 'fairpatch init" in err


def test_an_operator_upgrades_verifies_backs_up_and_restores(run: Run, tmp_path: Path) -> None:
    folder, backup, other = (tmp_path / name for name in ("here", "backup", "there"))
    assert run("init", "--dir", str(folder))[0] == 0
    code, out, err = run("verify", "--dir", str(folder))
    assert (code, out) == (2, "")
    assert "has no database yet" in err
    code, out, err = run("upgrade", "all", "--dir", str(folder))
    assert (code, err) == (0, "")
    assert re.findall(r"^(\w+): the database went from version none to \d+\.$", out, re.M) == [
        "survey",
        "aggregate",
        "report",
    ]
    code, out, err = run("verify", "--dir", str(folder))
    assert (code, err) == (0, "")
    assert out.endswith("All is well.\n")
    code, out, err = run("backup", "all", "--dir", str(folder), "--to", str(backup))
    assert (code, err) == (0, "")
    assert run("verify", "--backup", str(backup), "--deep")[0] == 0
    for words in (("survey",), ("report", "--chain-head", "none"), ("aggregate", "--chain-head", "none")):
        code, out, err = run("restore", *words, "--from", str(backup), "--dir", str(other))
        assert (code, err) == (0, "")
        assert f"Check it with: fairpatch verify {words[0]} --dir {other}" in out
    code, out, err = run("purge", "--dir", str(other), "--due")
    assert (code, out, err) == (0, "No cycle is due.\n", "")


def test_what_is_wrong_ends_with_1_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    run("init", "--dir", str(folder))
    run("upgrade", "all", "--dir", str(folder))
    (folder / "report" / "identity.key").chmod(0o644)
    code, out, err = run("verify", "report", "--dir", str(folder))
    assert code == 1
    assert err == "Something is wrong; the lines above say what, and what to do.\n"
    assert "wrong  report: secret files are there, and for their owner only\n" in out
    assert "       The identity key (identity.key) is not for its owner only. chmod 600 it.\n" in out


def test_plan_says_what_a_cycle_could_show(run: Run, tmp_path: Path) -> None:
    made = make_workforce(reps=400, world="seeds", seed=7, response=1.0)
    (tmp_path / "r.csv").write_bytes(made.roster_csv)
    (tmp_path / "q.csv").write_bytes(made.results_csv)
    files = ("--roster", str(tmp_path / "r.csv"), "--results", str(tmp_path / "q.csv"))
    code, out, err = run("plan", *files, "--plan", "finer")
    assert (code, err) == (0, "")
    assert "400 invited, 400 with results, plan finer" in out
    assert "Groups under 36 invited are merged with others." in out
    assert "Budget: 4 on answers." in out
    power = re.search(r"if they differ by .30: (\d+)%", out)
    assert power is not None
    assert int(power[1]) >= 90
    assert len(re.findall(r"\+-\d+ of 100\s+(?:shown|wide)", out)) >= 4
    code, stronger, _ = run("plan", *files, "--plan", "stronger")
    assert code == 0
    assert "Budget: 1 on answers." in stronger
    assert sorted(tmp_path.iterdir()) == [tmp_path / "q.csv", tmp_path / "r.csv"]
