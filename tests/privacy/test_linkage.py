"""P2 and P4 by attack on SQLite: a thief of survey's files matches envelopes to reps by traces of order.

The thief has every byte of the database and its write-ahead log, and orders both tables by where their
rows first appear. Before mixing this works, so the attack sees; after mixing it does no better than chance,
and every byte of the file is the same whatever the order of arrival was.
"""

import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.survey.core.cycle import State
from services.survey.inbox import Arrival
from services.survey.store import Store
from services.survey.tables import Cycle
from tests.privacy.linking import (
    CYCLE,
    REPS,
    ROUNDS,
    Figures,
    Stolen,
    Traces,
    achieved,
    collect,
    marked,
    shuffled,
    values_in,
)
from tests.stores import LENDER


def stolen_files(folder: Path, to: Path) -> list[bytes]:
    """Return copies of the database file and its log, as a thief or a file backup takes them."""
    to.mkdir()
    for file in folder.iterdir():
        shutil.copy(file, to / file.name)
    return [file.read_bytes() for file in sorted(to.iterdir(), reverse=True) if "shm" not in file.name]


def traces_in(files: list[bytes], stolen: Stolen) -> Traces:
    """Return where values first appear: in which file (the log first) and at which offset."""
    places: dict[bytes, tuple[int, int]] = {}
    for index, data in enumerate(files):
        for at, value in values_in(data):
            places.setdefault(value, (index, at))
    return stolen.places(places)


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """What the attack achieves before and after mixing."""
    found: dict[str, list[tuple[Traces, Stolen]]] = {"before": [], "after": []}
    for _ in range(ROUNDS):
        folder, out = tmp_path_factory.mktemp("survey"), tmp_path_factory.mktemp("stolen")
        store = Store(LENDER.open(folder, "survey"))
        stolen = collect(store)
        found["before"].append((traces_in(stolen_files(folder, out / "before"), stolen), stolen))
        store.mix()
        after = stolen_files(folder, out / "after")
        assert all(any(nonce in data for data in after) for nonce in stolen.owner)
        found["after"].append((traces_in(after, stolen), stolen))
    LENDER.take_back()
    return {name: achieved(rounds) for name, rounds in found.items()}


def test_before_mixing_the_attack_works(attacks: dict[str, Figures]) -> None:
    assert attacks["before"].works


def test_after_mixing_it_is_no_better_than_chance(attacks: dict[str, Figures]) -> None:
    assert attacks["after"].is_chance


def test_no_query_tells_an_order(tmp_path: Path) -> None:
    collect(Store(LENDER.open(tmp_path, "survey")))
    with sqlite3.connect(tmp_path / "survey.db") as connection:
        for table in ("box", "issuance"):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(f"SELECT rowid FROM {table}")
        plain = connection.execute("SELECT nonce, envelope_hash FROM box WHERE sheet = 'sheet-0'").fetchall()
    connection.close()
    LENDER.take_back()
    assert len(plain) == REPS
    # Without ORDER BY the rows come in the order of one of their random columns.
    assert plain in (sorted(plain), sorted(plain, key=lambda row: row[1]))


def file_after(folder: Path, arrivals: Sequence[Arrival], passes: Sequence[int], *, mixed: bool) -> bytes:
    """Return the database file after these came in this order, in batches of any size."""
    store = Store(LENDER.open(folder, "survey"))
    store.add_cycle(Cycle(id=CYCLE, state=State.OPEN, draft="{}"), [])
    waiting = list(arrivals)
    while waiting:
        size = secrets.choice((1, 2, 7, 40))
        assert set(store.put_envelopes(waiting[:size])) == {"stored"}
        waiting = waiting[size:]
    for number in passes:
        store.take_pass(CYCLE, number, number.to_bytes(32, "big"))
    if mixed:
        store.mix()
    LENDER.take_back()
    return (folder / "survey.db").read_bytes()


@pytest.mark.parametrize("mixed", [True, False])
def test_each_byte_after_mixing_follows_from_the_rows_alone(tmp_path: Path, mixed: bool) -> None:
    """Pages, their order, free space, counters of the file: nothing of it depends on how the rows came."""
    last = [Arrival(CYCLE, f"s{n % 3}", marked(), 2, marked(), marked(620)) for n in range(600)]
    # Some reps replace a sheet: their first one came and was overwritten.
    replaced = [Arrival(each.cycle, each.sheet, each.nonce, 1, marked(), marked(620)) for each in last[::5]]
    one, other = (
        file_after(tmp_path / name, shuffled(replaced) + shuffled(last), shuffled(range(200)), mixed=mixed)
        for name in ("one", "other")
    )
    assert (one == other) is mixed
