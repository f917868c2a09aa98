"""PostgreSQL's faults: they have an end, they repeat nothing that was sent, and wrong settings are named."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from sqlmodel import select

from services.kit.database import Database
from services.kit.postgres import Postgres
from services.protocol.problems import Problem
from tests.postgres import Server, running_server
from tests.stores import LENDER, memory, prepare, role
from tests.unit.kit.notes import NOTE, Note, make, numbers, put, together

CANARY = "CANARY-51c2"


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty database, as its owner."""
    made = make()
    yield made
    made.close()


# Faults have an end


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that tests may kill and start again."""
    with running_server(data_in=memory()) as server:
        yield server


def test_a_server_that_dies_is_busy_and_used_again_when_it_is_back(mortal: Server) -> None:
    database = make(mortal.make_database())
    put(database, 1)

    def write_while_it_dies() -> None:
        with database.transaction() as session:
            session.add(Note(id=2, text="2"))
            session.flush()
            mortal.kill()

    for work in (write_while_it_dies, lambda: put(database, 3), lambda: numbers(database)):
        with pytest.raises(Problem) as caught:
            work()
        assert caught.value.kind == "busy"
    mortal.start()
    assert numbers(database) == [1]
    put(database, 4)
    assert numbers(database) == [1, 4]
    database.close()


def test_connections_that_a_restart_cut_cost_one_call_each_at_most(mortal: Server) -> None:
    database = make(mortal.make_database())
    connections = 6
    assert together(*[partial(put, database, number) for number in range(connections)]) == []
    mortal.kill()
    mortal.start()
    for number in range(100, 100 + connections):
        with suppress(Problem):
            put(database, number)
    put(database, 200)
    assert set(numbers(database)) >= {*range(connections), 200}
    database.close()


def test_an_exhausted_pool_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Postgres().arguments()
    small = {**usual, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    monkeypatch.setattr(Postgres, "arguments", lambda _self: small)
    database = make()
    with database.reading() as session:
        session.connection()
        for work in (lambda: numbers(database), lambda: put(database, 1)):
            with pytest.raises(Problem) as caught:
                work()
            assert caught.value.kind == "busy"
    assert numbers(database) == []
    database.close()


def test_a_missing_table_is_a_fault_and_not_a_reason_to_come_again() -> None:
    database = Database(LENDER.server.make_database())
    with pytest.raises(ProgrammingError):
        numbers(database)
    database.close()


# Nothing that was sent is repeated


def causes(error: BaseException) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def breaks_a_key(database: Database) -> None:
    put(database, 1, CANARY)
    put(database, 2, CANARY)


def breaks_a_rule(database: Database) -> None:
    with database.transaction() as session:
        session.connection().execute(NOTE.insert(), [{"id": None, "text": CANARY}])


def has_the_wrong_type(database: Database) -> None:
    with database.transaction() as session:
        session.connection().execute(text("SELECT CAST(:words AS integer)"), {"words": CANARY})


@pytest.mark.parametrize(
    ("work", "kind"),
    [(breaks_a_key, IntegrityError), (breaks_a_rule, IntegrityError), (has_the_wrong_type, DataError)],
)
def test_errors_do_not_repeat_what_was_sent(
    database: Database, work: Callable[[Database], None], kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        work(database)
    for error in causes(caught.value):
        assert CANARY not in str(error)
        assert CANARY not in repr(error)


def test_the_name_of_a_broken_rule_stays(database: Database) -> None:
    with pytest.raises(IntegrityError, match="note_text_key"):
        breaks_a_key(database)


def test_a_zero_byte_that_text_cannot_hold_is_malformed(database: Database) -> None:
    with pytest.raises(Problem) as caught, database.reading() as session:
        session.exec(select(Note).where(Note.text == f"{CANARY}\0")).first()
    assert caught.value.kind == "malformed"
    assert CANARY not in str(caught.value)


def logged(*settings: str) -> str:
    """Return what the server logs of errors, with settings of one database changed."""
    owner = LENDER.server.make_database()
    for setting in settings:
        LENDER.server.execute(f"ALTER DATABASE {make_url(owner).database} SET {setting}")
    database, log = make(owner), LENDER.server.folder / "log"
    before = len(log.read_text())
    for work in (breaks_a_key, breaks_a_rule):
        with pytest.raises(IntegrityError):
            work(database)
    database.close()
    return log.read_text()[before:]


def test_the_log_of_a_server_with_our_settings_repeats_nothing_that_was_sent() -> None:
    said = logged()
    assert CANARY not in said
    # The errors did happen, and were logged.
    assert "note_text_key" in said


def test_the_log_of_a_server_with_its_own_settings_would() -> None:
    assert CANARY in logged("log_error_verbosity = 'default'")


# Wrong settings are named

WRONG = {
    "fsync": "off",
    "full_page_writes": "off",
    "data_sync_retry": "on",
    "log_statement": "all",
    "log_duration": "on",
    "log_min_duration_statement": "0",
    "log_min_duration_sample": "0",
    "log_transaction_sample_rate": "1",
    "log_parameter_max_length_on_error": "-1",
    "log_min_error_statement": "error",
    "log_error_verbosity": "default",
    "debug_print_plan": "on",
}
WRONG_FOR_MIXING = {
    "archive_mode": "on",
    "wal_recycle": "on",
    "wal_keep_size": "64",
    "summarize_wal": "on",
    "track_commit_timestamp": "on",
}
NEEDED = {"wal_level": "replica", "max_wal_senders": "4", "archive_command": "true"}


def survey_on(server: Server) -> Database:
    """Return survey's database on a server, as its role."""
    owner = server.make_database()
    prepare(server, owner, "survey")
    return Database(owner.replace("//postgres@", f"//{role('survey')}@"))


@pytest.fixture(scope="module")
def careless() -> Iterator[Server]:
    """A server on which every setting is wrong; of the version that knows most of them."""
    with running_server(data_in=memory(), version=18, **WRONG, **WRONG_FOR_MIXING, **NEEDED) as server:
        yield server


def test_a_server_with_our_settings_has_no_faults() -> None:
    database = survey_on(LENDER.server)
    assert database.complaints() == database.complaints(mixing=True) == []
    database.close()


def test_every_wrong_setting_is_named(careless: Server) -> None:
    database = survey_on(careless)
    said = database.complaints()
    assert [sentence.split()[2] for sentence in said] == list(WRONG)
    assert all(f"(it is {WRONG[sentence.split()[2]]})" in sentence for sentence in said)
    also = database.complaints(mixing=True)[len(said) :]
    assert [sentence.split()[2] for sentence in also] == list(WRONG_FOR_MIXING)
    database.close()


def test_a_commit_that_does_not_wait_for_the_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a pooler that drops what a connection asks for."""
    usual = Postgres().arguments()
    options = {"connect_args": {"options": "-c synchronous_commit=off"}}
    monkeypatch.setattr(Postgres, "arguments", lambda _self: {**usual, **options})
    database = survey_on(LENDER.server)
    (sentence,) = database.complaints()
    assert "synchronous_commit" in sentence
    database.close()


def test_copies_of_the_log_are_named(careless: Server, tmp_path: Path) -> None:
    database = survey_on(careless)
    before = database.complaints(mixing=True)
    careless.execute("SELECT pg_create_physical_replication_slot('copy')")
    with_slot = database.complaints(mixing=True)
    assert [sentence for sentence in with_slot if sentence not in before] == [
        "PostgreSQL: drop the replication slots; they keep the old log."
    ]
    careless.execute("SELECT pg_drop_replication_slot('copy')")
    with following(careless, tmp_path):
        (sentence,) = [each for each in database.complaints(mixing=True) if each not in before]
    assert sentence == "PostgreSQL: end the replication of the log; a copy keeps the old one."
    database.close()


@contextmanager
def following(server: Server, folder: Path) -> Iterator[None]:
    """Have the log copied to a folder meanwhile."""
    command = [str(server.binaries / "pg_receivewal"), "-D", str(folder), "-h", str(server.folder)]
    child = subprocess.Popen([*command, "-U", "postgres"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if server.execute("SELECT count(*) FROM pg_stat_replication") != [(0,)]:
                break
            assert child.poll() is None
            threading.Event().wait(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


RIGHTS = {
    "grant pg_checkpoint": "pg_checkpoint",
    "grant execution of pg_switch_wal": "EXECUTE ON FUNCTION pg_switch_wal()",
    "grant temporary tables": "TEMPORARY ON DATABASE {base}",
}


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_mixing_lacks_is_named(careless: Server, right: str) -> None:
    database = survey_on(careless)
    name = str(database.engine.url.database)
    what, before = RIGHTS[right].format(base=name), database.complaints(mixing=True)
    careless.execute(f"REVOKE {what} FROM {role('survey')}", careless.url(name))
    (sentence,) = [each for each in database.complaints(mixing=True) if each not in before]
    assert right in sentence
    careless.execute(f"GRANT {what} TO {role('survey')}", careless.url(name))
    assert database.complaints(mixing=True) == before
    database.close()


def test_a_role_that_may_change_tables_is_named(database: Database) -> None:
    (sentence,) = database.complaints()
    assert "fairpatch upgrade" in sentence


def test_a_server_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr("services.kit.postgres._OLDEST", 99)
    (sentence,) = database.complaints(mixing=True)
    assert "version 99 or newer" in sentence
