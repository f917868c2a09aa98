"""The speed run itself, made small: every part of it works, and nothing of it is left afterwards."""

import tempfile
from pathlib import Path

import pytest

from bench.speed import collecting, collecting_table, syncs

pytestmark = pytest.mark.soak


def test_a_small_run_measures_everything_and_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short name: the path of a socket may have 107 characters only.
    with tempfile.TemporaryDirectory(prefix="fp-") as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        found = collecting.measure(collecting.Extent(rounds=2, share=0.05))
        assert list(Path(name).iterdir()) == []
    assert set(found.pools) == {5, 64}
    assert len(found.rounds) == 2
    for each in found.rounds:
        assert set(each.taken) == set(collecting.ORDER)
        assert all(taken.rate > 0 and taken.p99 >= taken.p50 > 0 for taken in each.taken.values())
    counted = found.syncs["PostgreSQL"]
    assert counted is not None
    assert 0 < counted < 1
    assert (found.syncs["SQLite"] is None) == (not syncs.can_trace())
    assert len(collecting_table.judge(found)) >= 4
    assert any("storing nothing" in line for line in collecting_table.lines(found))
