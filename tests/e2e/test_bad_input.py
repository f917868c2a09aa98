"""``fairpatch rehearse`` on bad files: exit 2, one sentence with file, line and column, nothing written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import main
from services.rehearsal.workforce import make_workforce

WORKFORCE = make_workforce(reps=40, world="seeds", seed=3, response=1.0)
FILES = {
    "roster": WORKFORCE.roster_csv,
    "results": WORKFORCE.results_csv,
    "answers": WORKFORCE.answers_csv,
}
Change = Callable[[bytes], bytes]


def cell(line: int, column: str, value: str) -> Change:
    """Return a change that puts ``value`` into a cell (line as people count)."""

    def change(data: bytes) -> bytes:
        lines = data.decode().splitlines()
        cells = lines[line - 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[line - 1] = ",".join(cells)
        return "\n".join([*lines, ""]).encode()

    return change


def same_as_line_above(line: int, column: str) -> Change:
    """Return a change that repeats the cell of the line above."""

    def change(data: bytes) -> bytes:
        lines = data.decode().splitlines()
        return cell(line, column, lines[line - 2].split(",")[lines[0].split(",").index(column)])(data)

    return change


def without_column(column: str) -> Change:
    """Return a change that takes a column out."""

    def change(data: bytes) -> bytes:
        rows = [line.split(",") for line in data.decode().splitlines()]
        at = rows[0].index(column)
        return "\n".join([*(",".join(row[:at] + row[at + 1 :]) for row in rows), ""]).encode()

    return change


def cut_line(line: int) -> Change:
    """Return a change that leaves one cell on a line."""

    def change(data: bytes) -> bytes:
        lines = data.decode().splitlines()
        lines[line - 1] = lines[line - 1].split(",")[0]
        return "\n".join([*lines, ""]).encode()

    return change


def raw(line: int, junk: bytes) -> Change:
    """Return a change that puts raw bytes at the start of a line's last cell."""

    def change(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[line - 1] = junk + lines[line - 1]
        return b"\n".join(lines)

    return change


CASES: dict[str, tuple[str, Change, int, str]] = {
    "missing column": ("roster", without_column("team"), 1, "team"),
    "duplicate id": ("roster", same_as_line_above(4, "employee_id"), 4, "employee_id"),
    "duplicate mail": ("roster", same_as_line_above(5, "email"), 5, "email"),
    "bad date": ("results", cell(6, "period_start", "31/02/2026"), 6, "period_start"),
    "end before start": ("results", cell(7, "period_end", "2001-01-01"), 7, "period_end"),
    "quota 0": ("results", cell(8, "quota", "0"), 8, "quota"),
    "quota negative": ("results", cell(9, "quota", "-5"), 9, "quota"),
    "NaN": ("results", cell(10, "credited", "NaN"), 10, "credited"),
    "infinite": ("results", cell(10, "calls", "inf"), 10, "calls"),
    "answer 7": ("answers", cell(3, "S2", "7"), 3, "S2"),
    "unknown employee in results": ("results", cell(4, "employee_id", "nobody"), 4, "employee_id"),
    "unknown employee in answers": ("answers", cell(4, "employee_id", "nobody"), 4, "employee_id"),
    "short row": ("roster", cut_line(6), 6, ""),
    "unreadable encoding": ("roster", raw(5, b"\xff\xfe\xfa"), 5, ""),
    "binary": ("results", raw(5, b"\x00\x01\x02"), 5, ""),
    "empty file": ("answers", lambda data: b"", 1, "employee_id"),
    "long team name": ("roster", cell(3, "team", "x" * 10_000), 3, "team"),
}


def rehearse(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, bytes]) -> int:
    """Run the command on files; return its exit code."""
    arguments = ["fairpatch", "rehearse", "--out", str(folder / "out")]
    for name, data in files.items():
        (folder / f"{name}.csv").write_bytes(data)
        arguments += [f"--{name}", str(folder / f"{name}.csv")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("name", CASES)
def test_bad_file_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    which, change, line, column = CASES[name]
    code = rehearse(monkeypatch, tmp_path, {**FILES, which: change(FILES[which])})
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith(f"{which}.csv, line {line}"), said
    assert said.startswith(f"{which}.csv, line {line}, {column}") or not column, said
    assert said.count("\n") == 1
    assert len(said) < 400
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("secret", ["S2", "flag"])
def test_an_answer_is_never_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, secret: str
) -> None:
    files = {**FILES, "answers": cell(3, secret, "canary4711")(FILES["answers"])}
    assert rehearse(monkeypatch, tmp_path, files) == 2
    assert "canary4711" not in capsys.readouterr().err


def test_a_file_that_is_not_there_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["fairpatch", "rehearse", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--roster", "none.csv", "--results", "none.csv"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "none.csv can't be read. Check the path.\n"


def test_linked_cycles_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, data in FILES.items():
        (tmp_path / f"{name}.csv").write_bytes(data)
    arguments = ["fairpatch", "rehearse", "--mode", "linked", "--out", str(tmp_path / "out")]
    arguments += ["--roster", str(tmp_path / "roster.csv"), "--results", str(tmp_path / "results.csv")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "Linked cycles are not built yet" in capsys.readouterr().err
