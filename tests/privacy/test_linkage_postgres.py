"""P2 and P4 by attack on PostgreSQL: a thief with every file, the logs, the views and a dump.

Reps come one after the other, and statistics are taken in between, as the server does by itself. Before
mixing nearly every source tells who sent which envelope; after mixing none does better than chance, nothing
is left in any other file, and the pages are the same whatever the order of arrival was. Planted mistakes
show that each source is looked at.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event

from services.kit.database import Database
from services.survey.core.cycle import State
from services.survey.inbox import Arrival
from services.survey.store import Store
from services.survey.tables import Cycle
from tests.postgres import Server, running_server
from tests.privacy.linking import (
    CYCLE,
    ROUNDS,
    Figures,
    Stolen,
    Traces,
    achieved,
    collect,
    marked,
    shuffled,
)
from tests.privacy.thieves import Theft, masked, sources, steal, writers
from tests.stores import memory, prepare, role

# As in the installation, and as far from it as services.kit.postgres allows, with envelopes that are too
# long for a row.
KINDS: dict[str, tuple[int, dict[str, Any], int]] = {
    "16": (16, {}, 620),
    "18, log for replicas": (18, {"wal_level": "replica", "max_wal_senders": "2"}, 2600),
}
TELLING = {
    "places of rows",
    "transactions",
    "order of a query",
    "order of a dump",
    "write-ahead log",
    "pages of tables",
    "pages of indexes",
}
LONG = "pages of long values"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server as in the installation, for tests of one collection each."""
    with running_server(data_in=memory()) as running:
        yield running


@contextmanager
def survey_on(server: Server) -> Iterator[tuple[Store, str]]:
    """Yield survey's store on a database of its own, as its role, and the URL with all rights."""
    url = server.make_database()
    prepare(server, url, "survey")
    database = Database(url.replace("//postgres@", f"//{role('survey')}@"))
    yield Store(database), url
    database.close()
    # The next thief is not to find what this one left.
    server.execute(f"DROP DATABASE {database.engine.url.database}")
    server.execute("SELECT pg_switch_wal()")
    server.execute("CHECKPOINT")


def collected(server: Server, store: Store, url: str, envelope_bytes: int = 620) -> Stolen:
    """Have reps send envelopes; the server samples the tables in between and at the end."""
    stolen = collect(store, envelope_bytes=envelope_bytes, halfway=lambda: server.execute("ANALYZE", url))
    server.execute("ANALYZE", url)
    return stolen


@dataclass(frozen=True)
class Attack:
    """What was taken in each round, and what each source achieved over all rounds."""

    before: list[Theft]
    after: list[Theft]
    figures_before: dict[str, Figures]
    figures_after: dict[str, Figures]


@pytest.fixture(scope="module", params=KINDS)
def attack(request: pytest.FixtureRequest) -> Attack:
    """Steal before and after mixing, several times."""
    version, settings, envelope_bytes = KINDS[request.param]
    thefts: dict[str, list[tuple[Theft, Stolen]]] = {"before": [], "after": []}
    with running_server(data_in=memory(), version=version, **settings) as server:
        for _ in range(ROUNDS):
            with survey_on(server) as (store, url):
                stolen = collected(server, store, url, envelope_bytes)
                thefts["before"].append((steal(server, url, checkpointed=True), stolen))
                store.mix()
                thefts["after"].append((steal(server, url, checkpointed=False), stolen))
    before, after = thefts["before"], thefts["after"]
    return Attack(
        [theft for theft, _ in before], [theft for theft, _ in after], figures(before), figures(after)
    )


def figures(thefts: list[tuple[Theft, Stolen]]) -> dict[str, Figures]:
    """Return what each source achieves over several thefts."""
    rounds: dict[str, list[tuple[Traces, Stolen]]] = {}
    for theft, stolen in thefts:
        for name, traces in sources(theft, stolen).items():
            rounds.setdefault(name, []).append((traces, stolen))
    return {name: achieved(each) for name, each in rounds.items()}


def test_before_mixing_every_source_tells(attack: Attack) -> None:
    working = {name for name, each in attack.figures_before.items() if each.works}
    assert working == TELLING | ({LONG} if "toast of box" in attack.before[0].pages else set())
    assert attack.figures_before["transactions"].just_before == 1.0
    assert any(name.startswith("pg_wal") for theft in attack.before for name in theft.elsewhere)


def test_after_mixing_no_source_does_better_than_chance(attack: Attack) -> None:
    assert {name: each for name, each in attack.figures_after.items() if not each.is_chance} == {}


def test_after_mixing_nothing_is_left_in_any_other_file(attack: Attack) -> None:
    assert [theft.elsewhere for theft in attack.after] == [set()] * ROUNDS
    # The search reads: all is found in the tables' own files.
    for theft in attack.after:
        assert {"issuance", "box"} <= {name for name, path in theft.own.items() if path in theft.found}


def test_after_mixing_one_transaction_has_written_every_row(attack: Attack) -> None:
    assert all(len(writers(theft)) > 100 for theft in attack.before)
    assert [len(writers(theft)) for theft in attack.after] == [1] * ROUNDS


# What the pages hold follows from the rows alone


def pages_after(
    server: Server, arrivals: list[Arrival], passes: list[int], *, mixed: bool
) -> dict[str, bytes]:
    """Return the pages of the tables after these came in this order."""
    with survey_on(server) as (store, url):
        store.add_cycle(Cycle(id=CYCLE, state=State.OPEN, draft="{}"), [])
        for at in range(0, len(arrivals), 7):
            assert set(store.put_envelopes(arrivals[at : at + 7])) == {"stored"}
        for number in passes:
            store.take_pass(CYCLE, number, number.to_bytes(32, "big"))
        if mixed:
            store.mix()
        return masked(steal(server, url, checkpointed=not mixed))


@pytest.mark.parametrize("mixed", [True, False])
def test_each_page_after_mixing_follows_from_the_rows_alone(server: Server, mixed: bool) -> None:
    last = [Arrival(CYCLE, f"s{n % 3}", marked(), 2, marked(), marked(620)) for n in range(400)]
    replaced = [Arrival(each.cycle, each.sheet, each.nonce, 1, marked(), marked(620)) for each in last[::5]]
    one, other = (
        pages_after(server, shuffled(replaced) + shuffled(last), shuffled(range(100)), mixed=mixed)
        for _ in range(2)
    )
    assert set(one) >= {"box", "box_pkey", "ix_box_envelope_hash", "issuance", "issuance_pkey"}
    assert {name for name in one if one[name] == other[name]} == (set(one) if mixed else set())


# The attacks see: each planted mistake is found


@dataclass(frozen=True)
class Mistake:
    """What somebody could get wrong: words of a statement, or settings of the server, and who sees it."""

    seen_by: str
    words: str = ""
    instead: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


LOG = "write-ahead log"
MISTAKES = {
    "no order": Mistake("order of a dump", r" ORDER BY .*"),
    "rows are only deleted": Mistake("pages of tables", "TRUNCATE", "DELETE FROM"),
    "the log goes on in the same file": Mistake(LOG, r"SELECT pg_switch_wal\(\)", "SELECT 1"),
    "no checkpoint": Mistake(LOG, "CHECKPOINT", "SELECT 1"),
    "old log files get a new name": Mistake(LOG, settings={"wal_recycle": "on"}),
    "old log files are kept": Mistake(LOG, settings={"wal_keep_size": "64MB"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_mixing_is_seen(server: Server, name: str) -> None:
    mistake = MISTAKES[name]
    with ExitStack() as stack:
        if mistake.settings:
            server = stack.enter_context(running_server(data_in=memory(), **mistake.settings))
        store, url = stack.enter_context(survey_on(server))

        @event.listens_for(store._database.engine, "before_cursor_execute", retval=True)
        def err(_c: object, _u: object, statement: str, values: object, *_: object) -> tuple[str, object]:
            return (re.sub(mistake.words, mistake.instead, statement) if mistake.words else statement, values)

        stolen = collected(server, store, url)
        store.mix()
        seen = figures([(steal(server, url, checkpointed=False), stolen)])
    assert seen[mistake.seen_by].works


def test_statistics_of_passes_and_sheets_would_be_seen(server: Server) -> None:
    with survey_on(server) as (store, url):
        for table, column in (("issuance", "blinded_hash"), ("box", "nonce")):
            server.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1", url)
        collected(server, store, url)
        store.mix()
        theft = steal(server, url, checkpointed=True)
        statistics = server.execute("SELECT pg_relation_filepath('pg_statistic')", url)
    assert statistics[0][0] in theft.elsewhere
