"""Migrations on both databases: what they make, what they keep, what they refuse, and when they break off."""

import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from services.kit import migrations as kit
from services.kit.database import Database
from services.kit.migrations import VERSIONS, newest, open_database, require_current, upgrade
from services.protocol.encoding import sha256
from services.protocol.problems import Problem
from services.protocol.signed import Service
from tests.architecture.source import THREE
from tests.postgres import running_server
from tests.stores import KINDS, LENDER, memory, migrations
from tests.unit.kit.first_version import ROWS
from tests.unit.kit.versions import check_kept, differences, fill, first_version, rows, state, stepped

# What was released is never changed: somewhere it has run already. A new step is a new file, and a line here.
RELEASED = {
    "aggregate/0001_first.py": "28ed0e0c961272f6",
    "aggregate/0002_operation.py": "f75c78f1ceb076c3",
    "report/0001_first.py": "33aaa11c51b5f2f5",
    "survey/0001_first.py": "560569ed6a072f79",
    "survey/0002_operation.py": "b68afd27c449b68b",
    "survey/0003_no_samples.py": "1b571b8ea9e2ecf9",
}


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind, as its owner."""
    url = f"sqlite:///{tmp_path / 'made.db'}" if request.param == "sqlite" else LENDER.server.make_database()
    made = Database(url)
    yield made
    made.close()


# What they make


@pytest.mark.parametrize("service", THREE)
def test_a_fresh_database_is_what_the_program_works_with(database: Database, service: Service) -> None:
    assert upgrade(database, migrations(service)) == newest(migrations(service))
    assert differences(database, service) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE member DROP COLUMN hit",
        "ALTER TABLE box ADD COLUMN arrived VARCHAR",
        "DROP INDEX ix_box_envelope_hash",
        "DROP TABLE secret",
    ],
)
def test_the_comparison_sees_what_differs(database: Database, change: str) -> None:
    upgrade(database, migrations("survey"))
    with database.changing() as connection:
        connection.exec_driver_sql(change)
    assert len(differences(database, "survey")) == 1


@pytest.mark.parametrize("service", THREE)
def test_rows_of_the_first_version_are_kept(database: Database, service: Service) -> None:
    stepped(database, service, kit.BASELINE)
    fill(database, service)
    before = rows(database)
    upgrade(database, migrations(service))
    assert differences(database, service) == []
    check_kept(before, rows(database))


@pytest.mark.parametrize("service", THREE)
def test_a_file_without_a_version_is_taken_for_the_first(tmp_path: Path, service: Service) -> None:
    first_version(service, tmp_path).close()
    before = rows(database := Database(f"sqlite:///{tmp_path / (service + '.db')}"))
    assert any(before.values())
    database.close()
    opened = open_database(f"sqlite:///{tmp_path / (service + '.db')}", migrations(service))
    assert differences(opened, service) == []
    check_kept(before, rows(opened))
    fresh = open_database(f"sqlite:///{tmp_path / 'fresh.db'}", migrations(service))
    assert made_of(opened) == made_of(fresh)
    opened.close()
    fresh.close()


def made_of(database: Database) -> dict[str, str]:
    """Return the statements a file is made of, without their spacing and the order of what they say."""
    with database.reading() as session:
        found = session.connection().exec_driver_sql("SELECT name, coalesce(sql, '') FROM sqlite_schema")
        return {name: " ".join(sorted(re.findall(r"\w+", sql))) for name, sql in found}


@pytest.mark.parametrize(
    ("service", "tables"), [("survey", ["audit"]), ("aggregate", ["ledger_line", "release", "audit"])]
)
def test_on_sqlite_rows_that_stay_refuse_to_be_changed(
    tmp_path: Path, service: Service, tables: list[str]
) -> None:
    database = first_version(service, tmp_path)
    upgrade(database, migrations(service))
    if service == "survey":
        with database.changing() as connection:
            connection.exec_driver_sql("INSERT INTO audit (day, action) VALUES ('2026-03-02', 'void')")
    for table in tables:
        for change in (f"UPDATE {table} SET cycle = cycle", f"DELETE FROM {table}"):
            with database.changing() as connection:
                if connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one():
                    with pytest.raises(Exception, match="rows are only ever added"):
                        connection.exec_driver_sql(change)
    database.close()


# What they refuse


def refusal(database: Database, service: Service) -> str:
    """Return with which words both ways in are refused, and check that nothing was changed."""
    before = state(database)
    for way_in in (upgrade, require_current):
        with pytest.raises(Problem) as caught:
            way_in(database, migrations(service))
        assert state(database) == before
    assert caught.value.kind == "conflict"
    return str(caught.value)


@pytest.mark.parametrize("service", THREE)
def test_an_unknown_version_is_refused_and_left_alone(database: Database, service: Service) -> None:
    upgrade(database, migrations(service))
    with database.changing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSIONS} SET version_num = '0999'")
    said = refusal(database, service)
    assert f"The database of {service} is at version 0999" in said
    assert "Nothing was changed." in said


@pytest.mark.parametrize("service", THREE)
@pytest.mark.parametrize("other", THREE)
def test_the_database_of_another_service_is_refused(
    database: Database, service: Service, other: Service
) -> None:
    if service == other:
        return
    stepped(database, other, kit.BASELINE)
    fill(database, other)
    assert f"not those of {service}" in refusal(database, service)
    with database.changing() as connection:
        connection.exec_driver_sql(f"DROP TABLE {VERSIONS}")
    assert f"not those of {service}" in refusal(database, service)


def test_a_database_of_somebody_else_is_refused(database: Database) -> None:
    with database.changing() as connection:
        connection.exec_driver_sql("CREATE TABLE photos (id integer PRIMARY KEY)")
    assert "not those of survey" in refusal(database, "survey")


def test_a_service_does_not_start_on_a_server_before_the_upgrade(tmp_path: Path) -> None:
    url = LENDER.server.make_database()
    for version in (None, "0001"):
        if version is not None:
            stepped(database := Database(url), "survey", version)
            database.close()
        with pytest.raises(Problem) as caught:
            open_database(url, migrations("survey"))
        assert f"is at version {version or 'none'}, this program needs {newest(migrations('survey'))}" in str(
            caught.value
        )
        assert "Run 'fairpatch upgrade survey'" in str(caught.value)
    upgrade(database := Database(url), migrations("survey"))
    database.close()
    open_database(url, migrations("survey")).close()


def test_a_server_that_is_away_is_said_so() -> None:
    with running_server(data_in=memory()) as server:
        url = server.make_database()
    with pytest.raises(Problem) as caught:
        open_database(url, migrations("report"))
    assert caught.value.kind == "not-ready"
    assert "The database of report does not answer" in str(caught.value)


def test_a_file_that_somebody_else_holds_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.sqlite._PRAGMAS", ("busy_timeout=50",))
    path = tmp_path / "report.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Problem) as caught:
        open_database(f"sqlite:///{path}", migrations("report"))
    assert "something else holds it" in str(caught.value)
    holder.close()


# When they break off, or meet


def failing(folder: Path, service: Service) -> Path:
    """Return a service's migrations with one more step, which fails after it changed tables and rows."""
    steps = folder / "100%" / service / "migrations"
    shutil.copytree(migrations(service), steps, ignore=shutil.ignore_patterns("__pycache__"))
    last = newest(migrations(service))
    table = next(iter(ROWS[service]))
    (steps / "0999_fails.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision = '0999', '{last}'\n"
        "def upgrade():\n"
        "    op.create_table('half', sa.Column('id', sa.Integer(), primary_key=True))\n"
        f"    op.add_column('{table}', sa.Column('half', sa.Integer()))\n"
        f"    op.execute('UPDATE {table} SET half = 1')\n"
        "    raise ZeroDivisionError\n"
    )
    return steps


@pytest.mark.parametrize("service", THREE)
def test_a_step_that_fails_leaves_the_old_version_whole(
    database: Database, service: Service, tmp_path: Path
) -> None:
    stepped(database, service, kit.BASELINE)
    fill(database, service)
    before = state(database)
    with pytest.raises(ZeroDivisionError):
        upgrade(database, failing(tmp_path, service))
    # Not even the steps that went well are kept: it is all or nothing.
    assert state(database) == before
    upgrade(database, migrations(service))
    assert differences(database, service) == []


@pytest.mark.parametrize("service", THREE)
def test_of_two_upgrades_at_once_one_does_the_work(database: Database, service: Service) -> None:
    stepped(database, service, kit.BASELINE)
    fill(database, service)
    before, raised = rows(database), list[BaseException]()
    barrier = threading.Barrier(4)

    def run() -> None:
        mine = Database(database.engine.url.render_as_string(hide_password=False))
        try:
            barrier.wait(30.0)
            upgrade(mine, migrations(service))
        except BaseException as error:
            raised.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert raised == []
    assert differences(database, service) == []
    check_kept(before, rows(database))


def test_an_upgrade_that_has_nothing_to_do_changes_nothing(database: Database) -> None:
    upgrade(database, migrations("survey"))
    fill(database, "survey")
    before = state(database)
    upgrade(database, migrations("survey"))
    assert state(database) == before


# The files


@pytest.mark.parametrize("service", THREE)
def test_steps_are_numbered_one_after_the_other(service: Service) -> None:
    scripts = ScriptDirectory.from_config(kit._config(migrations(service), None))
    steps = list(scripts.walk_revisions())[::-1]
    assert len(scripts.get_heads()) == 1
    assert [step.revision for step in steps] == [f"{number:04}" for number in range(1, len(steps) + 1)]
    assert [step.down_revision for step in steps] == [None, *(step.revision for step in steps[:-1])]
    assert all(Path(step.path).name.startswith(f"{step.revision}_") for step in steps)


def test_a_step_that_was_released_has_not_changed() -> None:
    found = {
        f"{service}/{path.name}": sha256(path.read_bytes()).hex()[:16]
        for service in THREE
        for path in sorted(migrations(service).glob("[0-9]*.py"))
    }
    assert found == RELEASED
