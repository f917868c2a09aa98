"""What the speed run says of its figures: medians by round, limits, and what could not be counted."""

import time
from pathlib import Path

import pytest

from bench.speed import collecting_table, signing, syncs
from bench.speed.client import Seen
from bench.speed.collecting import Collecting, Extent, Round, Taken
from bench.speed.verdicts import at_least, at_most


def taken(rate: float, p99: float = 0.1) -> Taken:
    """Return one load at this rate."""
    return Taken(rate, p99 / 2, p99, 0.001)


def collecting(*ours: float, p99: float = 0.1, counted: float | None = 0.1) -> Collecting:
    """Return a run: ours at these rates beside a plain app at 100 and an app storing nothing at 1,000."""
    rounds = tuple(
        Round(
            0.001,
            {"ours": taken(rate, p99), "nothing": taken(1000), "plain": taken(100, 1), "sqlite": taken(9)},
        )
        for rate in ours
    )
    where = {"PostgreSQL": counted, "SQLite": None}
    return Collecting(rounds, {5: 90.0, 64: 100.0}, where, 0.0001, 0.00003, 0.0)


def missed(found: Collecting) -> list[str]:
    """Return the figures that are missed, by their first words."""
    return [words.split("  ", 1)[1].split(",")[0] for met, words in collecting_table.judge(found) if not met]


def test_a_run_that_meets_its_figures_says_so() -> None:
    assert missed(collecting(500, 501, 502)) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (collecting(499, 499, 9000), ["sheets a second", "sheets a second"]),
        (collecting(600, p99=0.51), ["p99"]),
        (collecting(600, counted=0.21), ["syncs a sheet at 16 connections"]),
    ],
)
def test_a_figure_that_is_missed_is_named(found: Collecting, words: list[str]) -> None:
    assert missed(found) == words


def test_limits_belong_to_the_good_side() -> None:
    assert at_most("a", 0.2, 0.2) == (True, "met     a: 0.20 (at most 0.2)")
    assert at_least("a", 5.0, 5.0)[0]
    assert not at_most("a", 0.2001, 0.2)[0]
    assert not at_least("a", 4.999, 5.0)[0]


def test_the_table_shows_the_spread_and_what_could_not_be_counted() -> None:
    text = "\n".join(collecting_table.lines(collecting(500, 600, 800)))
    assert "6.00  (5.00 to 8.00 by round)" in text
    assert "SQLite                  not counted" in text
    assert "Others were at work" not in text


def test_of_all_answers_a_quantile_is_one_of_them() -> None:
    seen = Seen(1.0, tuple(float(n) for n in range(100)), 0)
    assert [seen.quantile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [0.0, 50.0, 99.0, 99.0]


def test_a_small_extent_still_gives_every_connection_a_sheet() -> None:
    assert Extent(share=0.001).of(2000) == 64
    assert Extent().of(2000) == 2000


def test_only_syncs_during_the_load_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"12 {time.time() - 5:.6f} fdatasync(7) = 0\n")

    def take(count: int, connections: int) -> None:
        assert (count, connections) == (20, 16)
        now = time.time()
        with log.open("a") as file:
            file.write(f"12 {now:.6f} fdatasync(7 <unfinished ...>\n13 {now:.6f} fsync(8) = 0\n")
            file.write(f"12 {now:.6f} <... fdatasync resumed>) = 0\n12 {now:.6f} +++ exited with 0 +++\n")

    assert syncs.traced(log, take, 20, 16) == 2 / 20


def test_signing_is_judged_by_the_median_of_its_pairs() -> None:
    pairs = tuple(signing.Pair(blind, 1000.0) for blind in (100.0, 200.0, 900.0))
    assert signing.judge(signing.Signing(pairs, "openssl"))[0][0]
    lower = tuple(signing.Pair(blind, 1000.0) for blind in (100.0, 199.0, 900.0))
    assert not signing.judge(signing.Signing(lower, "openssl"))[0][0]
