"""P2 and P4 by attack: a thief of survey's files tries to match envelopes to reps by traces of order.

Reps come one after the other: each takes a pass, then sends its envelopes. The thief knows that, has
every byte of the database and its write-ahead log, and orders both tables by where their rows first
appear. Before mixing this works, so the attack sees; after mixing it does no better than chance.
"""

import math
import secrets
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kit.database import Database
from services.survey.core.cycle import State
from services.survey.inbox import Arrival
from services.survey.store import Store
from services.survey.tables import Cycle

# Few enough that the write-ahead log has not started over: the thief sees all of it.
REPS, SHEETS = 30, 3
CYCLE = "c" * 16
FALSE_ALARM = 1e-6


@dataclass(frozen=True)
class Stolen:
    """What the thief wants to match: pass hashes by rep, and nonces; ``owner`` is the truth."""

    passes: dict[int, bytes]
    owner: dict[bytes, int]


def collected(folder: Path) -> tuple[Store, Stolen]:
    """Return a store in which reps took passes and sent envelopes one after the other."""
    store = Store(Database(f"sqlite:///{folder / 'survey.db'}"))
    store.add_cycle(Cycle(id=CYCLE, state=State.OPEN, draft="{}"), [])
    numbers = list(range(REPS))
    secrets.SystemRandom().shuffle(numbers)
    passes, owner = {}, {}
    for number in numbers:
        passes[number] = secrets.token_bytes(32)
        assert store.take_pass(CYCLE, number, passes[number]) == passes[number]
        for sheet in range(SHEETS):
            nonce = secrets.token_bytes(32)
            owner[nonce] = number
            envelope = secrets.token_bytes(620)
            arrival = Arrival(CYCLE, f"sheet-{sheet}", nonce, 1, secrets.token_bytes(32), envelope)
            assert store.put_envelopes([arrival]) == ["stored"]
    return store, Stolen(passes, owner)


def stolen_files(folder: Path, to: Path) -> list[bytes]:
    """Return copies of the database file and its log, as a thief or a file backup takes them."""
    to.mkdir()
    for file in folder.iterdir():
        shutil.copy(file, to / file.name)
    return [file.read_bytes() for file in sorted(to.iterdir(), reverse=True) if "shm" not in file.name]


def first_place(files: list[bytes], needle: bytes) -> tuple[int, int]:
    """Return where bytes first appear: in which file (the log first) and at which offset."""
    for index, data in enumerate(files):
        at = data.find(needle)
        if at >= 0:
            return index, at
    return len(files), 0


def attack(files: list[bytes], stolen: Stolen) -> float:
    """Return the share of envelopes that order alone matches to their rep."""
    reps = sorted(stolen.passes, key=lambda number: first_place(files, stolen.passes[number]))
    nonces = sorted(stolen.owner, key=lambda nonce: first_place(files, nonce))
    guesses = {nonce: reps[place * REPS // len(nonces)] for place, nonce in enumerate(nonces)}
    return sum(guesses[nonce] == owner for nonce, owner in stolen.owner.items()) / len(nonces)


def rank_correlation(files: list[bytes], stolen: Stolen) -> float:
    """Return the rank correlation of the places of passes with those of their envelopes."""
    order = sorted(stolen.passes, key=lambda number: first_place(files, stolen.passes[number]))
    place = {number: rank for rank, number in enumerate(order)}
    nonces = sorted(stolen.owner, key=lambda nonce: first_place(files, nonce))
    pairs = [(place[stolen.owner[nonce]], rank) for rank, nonce in enumerate(nonces)]
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    cross = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    spread_x = sum((x - mean_x) ** 2 for x, _ in pairs)
    spread_y = sum((y - mean_y) ** 2 for _, y in pairs)
    return float(cross / (spread_x * spread_y) ** 0.5)


def highest_by_chance() -> float:
    """Return a share of right guesses that chance exceeds less often than ``FALSE_ALARM``.

    Guessing blindly is right once in REPS. Guesses within a rep's block depend on each other, so each
    block of SHEETS is bounded as if it were right or wrong as a whole, over all rounds (Chernoff).
    """
    mean = bound = float(ROUNDS)
    while math.exp(bound - mean) * (mean / bound) ** bound > FALSE_ALARM:
        bound += 0.5
    return bound / (REPS * ROUNDS)


@dataclass(frozen=True)
class Figures:
    """What the attack achieved over several collections."""

    share: float
    correlation: float


ROUNDS = 4


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """Mean share matched and mean rank correlation, before and after mixing."""
    found: dict[str, list[tuple[float, float]]] = {"before": [], "after": []}
    for _ in range(ROUNDS):
        folder, out = tmp_path_factory.mktemp("survey"), tmp_path_factory.mktemp("stolen")
        store, stolen = collected(folder)
        before = stolen_files(folder, out / "before")
        store.mix()
        after = stolen_files(folder, out / "after")
        assert all(first_place(after, nonce)[0] < len(after) for nonce in stolen.owner)
        for name, files in (("before", before), ("after", after)):
            found[name].append((attack(files, stolen), rank_correlation(files, stolen)))
    return {
        name: Figures(sum(share for share, _ in each) / ROUNDS, sum(r for _, r in each) / ROUNDS)
        for name, each in found.items()
    }


def test_before_mixing_the_attack_works(attacks: dict[str, Figures]) -> None:
    assert attacks["before"].share > 0.8
    assert attacks["before"].correlation > 0.9


def test_after_mixing_it_is_no_better_than_chance(attacks: dict[str, Figures]) -> None:
    assert attacks["after"].share <= highest_by_chance()
    # Ranks of 30 independent reps correlate with a deviation of about 1 / sqrt(29), the mean of four
    # rounds with half of that; 5 deviations are exceeded 6 times in ten million.
    assert abs(attacks["after"].correlation) < 5 / ((REPS - 1) * ROUNDS) ** 0.5


def test_no_query_tells_an_order(tmp_path: Path) -> None:
    collected(tmp_path)
    with sqlite3.connect(tmp_path / "survey.db") as connection:
        for table in ("box", "issuance"):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(f"SELECT rowid FROM {table}")
        plain = connection.execute("SELECT nonce, envelope_hash FROM box WHERE sheet = 'sheet-0'").fetchall()
    assert len(plain) == REPS
    # Without ORDER BY the rows come in the order of one of their random columns.
    assert plain in (sorted(plain), sorted(plain, key=lambda row: row[1]))
