"""The count of kills over several runs: it adds up, it stops at what is wanted, and it forgets no failure."""

import json
from pathlib import Path

import pytest

from tests.e2e.killing import TARGETS, Kill, Target
from tests.e2e.soak import STORES, Soak, shares


def kill(target: Target, store: str) -> Kill:
    return Kill(target=target, store=store, seed=7, phase="answering", acknowledged=100, lost=0, doubled=0)


def one_round(soak: Soak, store: str) -> int:
    """Add what a good round makes; return how many kills it had."""
    kills = [kill(target, store) for target, number in soak.next_round(store).items() for _ in range(number)]
    soak.add(kills)
    return len(kills)


@pytest.mark.parametrize("kills", [5, 20, 300])
def test_each_target_is_killed_as_often_on_both_databases_together(kills: int) -> None:
    given = shares(kills)
    for target in TARGETS:
        assert sum(given[store].get(target, 0) for store in STORES) == kills
    assert "postgresql" not in given["sqlite"]
    for target in ("survey", "aggregate", "report"):
        assert abs(given["sqlite"][target] - given["postgresql"][target]) <= 1


def test_later_runs_go_on_where_earlier_ones_stopped(tmp_path: Path) -> None:
    path = tmp_path / "soak" / "kills.json"
    assert one_round(Soak(path, 30), "sqlite") > 0
    before = Soak(path, 30).left("sqlite")
    assert one_round(Soak(path, 30), "sqlite") > 0
    after = Soak(path, 30).left("sqlite")
    assert sum(after.values()) < sum(before.values()) < sum(shares(30)["sqlite"].values())
    assert Soak(path, 30).left("postgresql") == shares(30)["postgresql"]
    assert "run it again to go on" in Soak(path, 30).words()


def test_it_ends_at_what_is_wanted_and_says_so(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "kills.json", 30)
    rounds = 0
    while any([one_round(soak, store) for store in STORES]):  # noqa: C419
        rounds += 1
    assert rounds > 1
    assert {
        target: sum(soak.made()[target, store] for store in STORES) for target in TARGETS
    } == dict.fromkeys(TARGETS, 30)
    assert soak.words() == (
        "Kills: survey 30/30, aggregate 30/30, report 30/30, postgresql 30/30. "
        "Complete: 0 acknowledged sheets lost, 0 doubled."
    )


def test_a_failed_round_is_remembered_and_adds_nothing(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "kills.json", 30)
    one_round(soak, "sqlite")
    made = soak.made()
    soak.fail("sqlite: AssertionError: seed 9 on sqlite")
    assert soak.made() == made
    assert len(Soak(soak.path, 30).failed()) == 1
    assert "FAILED rounds: 1" in soak.words()


def test_each_kill_is_one_line_with_what_it_cost(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "kills.json")
    soak.add([kill("survey", "sqlite")])
    assert [json.loads(line) for line in soak.path.read_text().splitlines()] == [
        {
            "target": "survey",
            "store": "sqlite",
            "seed": 7,
            "phase": "answering",
            "acknowledged": 100,
            "lost": 0,
            "doubled": 0,
        }
    ]
