"""The files of the installation that an operator lives with: database, units, alerts, and two scripts."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.folder import DEFAULT_PORTS, KINDS, SERVICES
from services.kit.production import complaints, look
from services.kit.settings import load_settings
from services.protocol.problems import Problem
from tests.architecture.installation import INFRA, UNITS, Program, document, program, settings, text, unit
from tests.architecture.source import ROOT
from tests.e2e.proxied import configure_script

WANTED = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
    "wal_level": "minimal", "max_wal_senders": "0", "max_replication_slots": "0", "archive_mode": "off",
    "wal_recycle": "off", "wal_keep_size": "0", "track_commit_timestamp": "off",
    "log_statement": "none", "log_min_duration_statement": "-1", "log_min_duration_sample": "-1",
    "log_min_error_statement": "panic", "log_min_messages": "log", "log_error_verbosity": "terse",
    "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0", "log_connections": "off",
    "shared_preload_libraries": "", "password_encryption": "scram-sha-256", "listen_addresses": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Return what the three services answer and show."""
    return program(tmp_path_factory.mktemp("program"))


# PostgreSQL


def test_the_server_is_durable_silent_and_forgetful() -> None:
    found = settings("postgres", "fairpatch.conf")
    assert {name: found.get(name) for name in WANTED} == WANTED


def test_no_rule_lets_anybody_in_without_a_password() -> None:
    rules = [
        line.split() for line in text("postgres", "pg_hba.conf").splitlines() if not line.startswith("#")
    ]
    assert rules.pop(0) == ["local", "all", "postgres", "peer"]
    for (kind, database, roles, method), service in zip(rules, SERVICES, strict=True):
        assert (kind, database, method) == ("local", service, "scram-sha-256")
        assert roles.split(",") == [f"fairpatch_{service}", f"fairpatch_{service}_owner"]
    assert not re.search(r"PASSWORD\s+'", text("postgres", "roles.sql"))


# systemd


@pytest.mark.parametrize("name", UNITS)
def test_units_are_hardened(name: str) -> None:
    service = unit(name)["Service"]
    (user,) = service["User"]
    assert service["Group"] == [user]
    assert user in ("fairpatch-%i", "fairpatch-survey")
    for wanted in (
        "NoNewPrivileges=true", "ProtectSystem=strict", "ProtectHome=true", "PrivateTmp=true",
        "PrivateDevices=true", "MemoryDenyWriteExecute=true", "UMask=0077", "LimitCORE=0", "MemorySwapMax=0",
        "CapabilityBoundingSet=", "IPAddressDeny=any", "RestrictNamespaces=true", "LockPersonality=true",
    ):  # fmt: skip
        key, _, value = wanted.partition("=")
        assert service[key] == [value], wanted
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_a_service_gets_20_seconds_to_end_and_sees_only_its_folder() -> None:
    service = unit("fairpatch@.service")["Service"]
    assert service["TimeoutStopSec"] == ["20"]
    assert service["ReadWritePaths"] == ["/var/lib/fairpatch/%i"]
    users = re.findall(r"^u (\S+)", text("systemd", "sysusers.conf"), re.M)
    assert users == [f"fairpatch-{service}" for service in SERVICES]


# Alerts


def test_alerts_ask_for_figures_that_exist(running: Program) -> None:
    shown = running.figures
    for rule in rules():
        asked = set(re.findall(r"\b(?:fairpatch|node)_[a-z_]+\b", rule["expr"])) or {"up"}
        assert asked <= shown | {"up"} or all(name.startswith("node_systemd_") for name in asked), rule[
            "alert"
        ]
    everything = " ".join(rule["expr"] for rule in rules())
    about = {name for name in shown if name.startswith("fairpatch_")} - {"fairpatch_unready_reasons"}
    assert [name for name in sorted(about) if name not in everything] == []


def test_every_alert_says_what_it_means_and_where_help_stands() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.M)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10


def rules() -> list[dict[str, Any]]:
    """Return every alert rule."""
    return [rule for group in document("prometheus", "alerts.yaml")["groups"] for rule in group["rules"]]


def test_prometheus_asks_every_service_on_loopback() -> None:
    (job,) = document("prometheus", "scrape.yaml")["scrape_configs"]
    assert job["job_name"] == "fairpatch"
    asked = {each["labels"]["service"]: each["targets"] for each in job["static_configs"]}
    assert asked == {
        service: [f"127.0.0.1:{port}"] for service, port in zip(SERVICES, DEFAULT_PORTS, strict=True)
    }


# The two scripts


def test_passwords_are_made_once_and_for_their_reader_only(tmp_path: Path) -> None:
    script, folder = INFRA / "secrets.sh", tmp_path / "secrets"
    subprocess.run([script, folder], check=True, capture_output=True)
    made = {path.name: path.read_text("ascii") for path in folder.iterdir()}
    needed = {name for name in document("compose.yaml")["secrets"] if not name.startswith("certificate.")}
    assert made.keys() == needed
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    passwords = {name: value for name, value in made.items() if name.endswith(".password")}
    assert len(set(passwords.values())) == len(passwords) == 9
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in passwords.values())
    for service in SERVICES:
        line = f"*:*:{service}:fairpatch_{service}:{made[f'{service}.password']}\n"
        assert made[f"{service}.pgpass"] == line
    again = subprocess.run([script, folder], capture_output=True, check=False)
    assert again.returncode == 1
    assert {path.name: path.read_text("ascii") for path in folder.iterdir()} == made


def test_an_installation_is_set_up_for_production(tmp_path: Path) -> None:
    words = document("compose.yaml")["services"]["init"]["command"]
    database = words[words.index("--database") + 1].replace("/run/secrets", str(tmp_path))
    urls = {service: f"https://{service}.example.com/" for service in SERVICES}
    subprocess.run([INFRA / "secrets.sh", tmp_path / "s"], check=True, capture_output=True)
    for service in SERVICES:
        (tmp_path / "s" / f"{service}.pgpass").rename(tmp_path / f"{service}.pgpass")
    for _ in range(2):
        configure_script().configure(tmp_path / "data", urls, database)
    for service in SERVICES:
        found = load_settings(KINDS[service], tmp_path / "data" / service)
        assert complaints(found, look(found)) == []
        assert (found.url, found.deployment) == (f"https://{service}.example.com", "production")
        assert f"fairpatch_{service}@/{service}?host=/run/postgresql" in found.database
    with pytest.raises(Problem, match="passfile"):
        configure_script().configure(tmp_path / "other", urls, "postgresql://a:b@/{service}")
