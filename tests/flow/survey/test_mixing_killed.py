"""The service is killed while it mixes its file."""

import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from tests.flow.survey.boxes import content, expected, filled
from tests.stores import LENDER

STORES = ("sqlite",)
MIX_FOR_EVER = """
import sys
from services.kit.database import Database
from services.survey.store import Store
store = Store(Database(sys.argv[1]))
while True:
    print("mixing", flush=True)
    store.mix()
"""


def test_a_service_that_is_killed_while_it_mixes_leaves_the_file_whole(tmp_path: Path) -> None:
    database = LENDER.open(tmp_path, "survey")
    store, arrivals = filled(database)
    schema = LENDER.query(tmp_path, "survey", "SELECT name, sql FROM sqlite_schema ORDER BY name")
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", MIX_FOR_EVER, LENDER.url(tmp_path, "survey")], stdout=subprocess.PIPE
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"mixing\n"
            time.sleep(secrets.randbelow(60) / 1000)
            child.send_signal(signal.SIGKILL)
        with sqlite3.connect(tmp_path / "survey.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        assert content(store) == expected(arrivals)
        assert schema == LENDER.query(tmp_path, "survey", "SELECT name, sql FROM sqlite_schema ORDER BY name")
    assert {path.name for path in tmp_path.iterdir()} <= {"survey.db", "survey.db-wal", "survey.db-shm"}
    store.mix()
    assert content(store) == expected(arrivals)
    LENDER.take_back(tmp_path)
