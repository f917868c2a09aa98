"""The database files of the installation on a real server: who may do what, and what is written down."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from services.folder import SERVICES
from services.kit.database import Database
from services.operation.rooms import room_of
from services.operation.upgrade import upgrade_room
from services.protocol.signed import Service
from tests.architecture.installation import INFRA, settings
from tests.e2e.played import get
from tests.e2e.proxied import configure_script
from tests.e2e.stages import Services
from tests.postgres import Server, running_server

READY_SECONDS = 30.0
# That of the containers.
VERSION = 18
CANARY = "canary-in-a-value"


@dataclass
class Stores:
    """A server set up by our files, and the password files of its roles."""

    server: Server
    secrets: Path

    def url(self, service: Service, role: str = "", password: str = "") -> str:
        """Return the URL of a service's database as an installation writes it."""
        name = f"fairpatch_{service}{'_owner' if role == 'owner' else ''}"
        file = self.secrets / (password or f"{service}{'.owner' if role == 'owner' else ''}.pgpass")
        return f"postgresql+psycopg://{name}@/{service}?host={self.server.folder}&passfile={file}"

    def allows(self, url: str, *statements: str) -> bool:
        """Return whether somebody may run statements, one after the other."""
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        except DBAPIError:
            return False
        finally:
            engine.dispose()
        return True

    def log(self) -> str:
        """Return what the server has written down."""
        return (self.server.folder / "log").read_text("utf-8")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Return a server with our settings, rules and roles for all three services."""
    secrets = tmp_path_factory.mktemp("stores") / "secrets"
    subprocess.run([INFRA / "secrets.sh", secrets], check=True, capture_output=True)
    given: dict[str, Any] = {**settings("postgres", "fairpatch.conf")}
    with running_server(version=VERSION, **given) as server:
        for service in SERVICES:
            for _ in range(2):
                make_roles(server, service, secrets)
        rules = (INFRA / "postgres" / "pg_hba.conf").read_text("utf-8")
        # The test isn't the server's own system user, which is the administrator.
        (server.data / "pg_hba.conf").write_text(rules.replace("peer", "trust"), "utf-8")
        server.execute("SELECT pg_reload_conf()")
        yield Stores(server, secrets)


def make_roles(server: Server, service: str, secrets: Path, **other: str) -> None:
    """Run the installation's script, as the container does."""
    subprocess.run(
        [
            server.binaries / "psql",
            "-X",
            "-h",
            server.folder,
            "-U",
            "postgres",
            "-f",
            INFRA / "postgres/roles.sql",
        ],
        env={
            "PATH": "/usr/bin:/bin",
            "FAIRPATCH_SERVICE": service,
            "FAIRPATCH_PASSWORD_FILE": str(secrets / f"{service}.password"),
            "FAIRPATCH_OWNER_PASSWORD_FILE": str(secrets / f"{service}.owner.password"),
            **other,
        },
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_finds_nothing_wrong_with_the_server(stores: Stores, service: Service) -> None:
    with closing(Database(stores.url(service))) as database:
        assert database.complaints(mixing=service == "survey") == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_gets_in_with_its_own_password_to_its_own_database_only(
    stores: Stores, service: Service
) -> None:
    for role in ("", "owner"):
        assert stores.allows(stores.url(service, role), "SELECT 1")
        assert not stores.allows(stores.url(service, role, password=f"{service}.password"), "SELECT 1")
        for other in set(SERVICES) - {service}:
            elsewhere = stores.url(service, role).replace(f"@/{service}?", f"@/{other}?")
            assert not stores.allows(elsewhere, "SELECT 1")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_not_change_tables_and_its_owner_may(stores: Stores, service: Service) -> None:
    make = "CREATE TABLE planted (id integer)"
    assert not stores.allows(stores.url(service), make)
    assert not stores.allows(stores.url(service), "CREATE SCHEMA planted")
    owner = stores.url(service, "owner")
    assert stores.allows(owner, make)
    assert not stores.allows(stores.url(service), "SELECT * FROM planted")
    assert stores.allows(owner, "DROP TABLE planted")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "statement", ["CREATE TEMPORARY TABLE copy (id integer)", "CHECKPOINT", "SELECT pg_switch_wal()"]
)
def test_only_survey_may_do_what_mixing_needs(stores: Stores, service: Service, statement: str) -> None:
    assert stores.allows(stores.url(service), statement) == (service == "survey")


@pytest.mark.parametrize(
    "statement",
    [
        "SET log_statement = 'all'",
        "ALTER SYSTEM SET archive_mode = 'on'",
        "CREATE ROLE planted",
        "SELECT pg_create_physical_replication_slot('planted')",
        "SELECT pg_read_file('pg_hba.conf')",
    ],
)
def test_no_role_may_loosen_the_server(stores: Stores, statement: str) -> None:
    for service in SERVICES:
        for role in ("", "owner"):
            assert not stores.allows(stores.url(service, role), statement)
    assert stores.server.execute("SHOW log_statement") == [("none",)]


def test_weak_passwords_and_unknown_services_are_refused(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "weak").write_text("secret\n", "ascii")
    strong = str(stores.secrets / "survey.password")
    for other in (
        {"FAIRPATCH_PASSWORD_FILE": str(tmp_path / "weak")},
        {"FAIRPATCH_PASSWORD_FILE": str(tmp_path / "missing")},
        {"FAIRPATCH_PASSWORD_FILE": strong, "FAIRPATCH_OWNER_PASSWORD_FILE": strong},
        {"FAIRPATCH_SERVICE": "payroll"},
    ):
        with pytest.raises(subprocess.CalledProcessError):
            make_roles(stores.server, "survey", stores.secrets, **other)
    assert stores.allows(stores.url("survey"), "SELECT 1")
    assert stores.server.execute("SELECT 1 FROM pg_database WHERE datname = 'payroll'") == []


def test_no_value_and_no_statement_is_written_down(stores: Stores) -> None:
    faults = (
        "CREATE TEMPORARY TABLE taken (id text PRIMARY KEY)",
        f"INSERT INTO taken VALUES ('{CANARY}')",
        f"INSERT INTO taken VALUES ('{CANARY}')",
    )
    assert not stores.allows(stores.url("survey"), *faults)
    assert not stores.allows(stores.url("survey"), f"SELECT CAST('{CANARY}' AS integer)")
    said = stores.log()
    assert "database system is ready" in said
    assert CANARY not in said
    # With the settings a server comes with, it would be.
    usual = "SET log_min_messages = warning", "SET log_error_verbosity = 'default'"
    assert not stores.allows(stores.server.url(), *usual, *faults)
    assert CANARY in stores.log()


def test_an_installation_on_these_databases_becomes_ready(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> None:
    services = Services(tmp_path_factory.mktemp("installed") / "stage")
    where = f"host={stores.server.folder}&passfile={stores.secrets}/{{service}}.pgpass"
    database = "postgresql+psycopg://fairpatch_{service}@/{service}?" + where
    urls = {service: f"https://{service}.example.com" for service in SERVICES}
    configure_script().configure(services.folder, urls, database)
    for service in SERVICES:
        assert upgrade_room(room_of(services.folder, service), stores.url(service, "owner")).before is None
    try:
        services.start()
        deadline = time.monotonic() + READY_SECONDS
        while reasons := [said for service in SERVICES for said in unready(services, service)]:
            assert time.monotonic() < deadline, reasons
            time.sleep(0.1)
    finally:
        services.stop()
    assert not list(services.folder.rglob("*.db"))


def unready(services: Services, service: Service) -> list[str]:
    """Return why a service is not ready."""
    reasons: list[str] = get(f"{services.url(service)}/readyz").json()["reasons"]
    return reasons
