"""``verify`` on a database file that a disk has damaged."""

import sqlite3

import pytest

from services.operation.checks import Check
from services.operation.verify import WHOLE, Verification, verify_installation
from tests.flow.operation.ledgers import Ledger

# PostgreSQL's files are its server's; what can't be read there ends as the same sentence.
STORES = ("sqlite",)
PAGE = 4096


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_damaged_file_is_told(ledger: Ledger, first: int) -> None:
    ledger.world.stop()
    path = ledger.world.folder / "aggregate.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    for page in range(first, len(data) // PAGE):
        data[page * PAGE : page * PAGE + 200] = b"\xff" * 200
    path.write_bytes(data)
    told: list[Check] = []
    found = Verification(lambda _about, check: told.append(check))
    verify_installation(ledger.folder, ["aggregate"], found, deep=True)
    assert not found.well
    (wrong,) = [check for check in told if check.wrong]
    assert wrong.holds in (WHOLE, "its database can be read")
    assert "restore the newest backup" in wrong.wrong[0]
