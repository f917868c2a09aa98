"""PostgreSQL is killed at each step of mixing.

What a kill can leave behind is a file of rows in key order that no table names any more: PostgreSQL doesn't
look for those. Copies in order of arrival are gone.
"""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from services.kit.database import Database
from services.protocol.problems import Problem
from services.survey.inbox import Arrival
from tests.flow.survey.boxes import CYCLE, SHEET, content, expected, filled
from tests.postgres import Server, running_server
from tests.stores import memory, prepare, role

STORES = ("postgresql",)
PAGE = 8192
# The statement before which the server dies, and the how-manieth of that form it is.
STEPS = (
    ("LOCK TABLE box", 1),
    ("CREATE TEMPORARY TABLE", 2),
    ("TRUNCATE box", 1),
    ("INSERT INTO box", 1),
    ("DROP TABLE mixed", 2),
    ("SELECT pg_switch_wal", 1),
    ("CHECKPOINT", 1),
)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server to kill."""
    with running_server(data_in=memory()) as server:
        yield server


@pytest.mark.parametrize(("step", "times"), STEPS)
def test_a_server_that_is_killed_while_it_mixes_keeps_every_row(
    mortal: Server, step: str, times: int
) -> None:
    owner = mortal.make_database()
    prepare(mortal, owner, "survey")
    database = Database(owner.replace("//postgres@", f"//{role('survey')}@"))
    store, arrivals = filled(database, 200)
    store.take_pass(CYCLE, 1, bytes(32))
    left = times

    @event.listens_for(database.engine, "before_cursor_execute")
    def kill(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal left
        left -= bool(re.match(step, statement))
        if left == 0 and re.match(step, statement):
            # All that was written so far is on disk, also what nobody committed.
            mortal.execute("CHECKPOINT")
            mortal.kill()

    with pytest.raises(Problem) as caught:
        store.mix()
    assert caught.value.kind == "busy"
    assert left == 0
    mortal.start()
    assert content(store) == expected(arrivals)
    assert store.counts(CYCLE) == (1, {SHEET: 200})
    # Temporary copies are gone, from the catalogue and from the disk.
    assert mortal.execute("SELECT count(*) FROM pg_class WHERE relname = 'mixed'", owner) == [(0,)]
    assert list((mortal.data / "base").rglob("t[0-9]*_*")) == []
    assert all(nonces == sorted(nonces) for nonces in left_behind(mortal, owner, arrivals))
    store.mix()
    assert content(store) == expected(arrivals)
    database.close()


def left_behind(server: Server, url: str, arrivals: list[Arrival]) -> Iterator[list[bytes]]:
    """Yield the rows in each file that no table names, in the order in which they were written there."""
    known = {path for (path,) in server.execute("SELECT pg_relation_filepath(oid) FROM pg_class", url)}
    ((oid,),) = server.execute("SELECT oid FROM pg_database WHERE datname = current_database()", url)
    for file in (server.data / "base" / str(oid)).iterdir():
        if str(file.relative_to(server.data)) not in known:
            data = file.read_bytes()
            # A table's page is filled from its end. An index arranges its own pages, from the same rows.
            is_table = data[16:18] == PAGE.to_bytes(2, "little")
            places = {each.nonce: data.find(each.nonce) for each in arrivals if is_table}
            found = [nonce for nonce, at in places.items() if at >= 0]
            yield sorted(found, key=lambda nonce: (places[nonce] // PAGE, -(places[nonce] % PAGE)))
