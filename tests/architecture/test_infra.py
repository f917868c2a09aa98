"""The files of the installation keep what the promises need: checked against each other and the program."""

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main

from services.cli import app as commands
from services.folder import DEFAULT_PORTS, SERVICES
from services.kit.settings import holds_password
from tests.architecture.installation import (
    INFRA,
    REQUIREMENTS,
    UNITS,
    Program,
    Route,
    document,
    doors,
    images,
    pins,
    program,
    strings,
    text,
    unit,
)
from tests.architecture.source import ROOT

# A release has exact records of the company, so it is for readers inside until accounts exist.
INSIDE = ("/hr", "/internal", "/reports", "/api/releases", "/metrics", "/healthz", "/readyz", "/openapi.json")
PUBLIC_OF_REPORT = "/api/cycles/{cycle}/manifest"
UPGRADES = tuple(f"{service}-upgrade" for service in SERVICES)
ADDRESS = re.compile(r"https?://|--index|--extra-index|--find-links")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Return what the three services answer and show."""
    return program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def containers() -> dict[str, dict[str, Any]]:
    """Return the containers of the installation."""
    found: dict[str, dict[str, Any]] = document("compose.yaml")["services"]
    return found


# The proxy's doors


def is_inside(route: Route) -> bool:
    """Whether a route is for people and programs on the host only."""
    if route.service == "report":
        return route.path != PUBLIC_OF_REPORT
    return route.path.startswith(INSIDE)


def lets_through(route: Route) -> bool:
    """Whether the proxy passes a route on."""
    return any(re.search(door, route.request) for door in doors())


def test_every_public_route_has_a_door_and_no_other_route_has(running: Program) -> None:
    through = {route for route in running.routes if lets_through(route)}
    assert through == {route for route in running.routes if not is_inside(route)}
    assert len(through) > 10
    assert {route.service for route in through} == set(SERVICES)


def test_every_door_leads_somewhere(running: Program) -> None:
    for door in doors():
        assert any(re.search(door, route.request) for route in running.routes), door


@pytest.mark.parametrize("path", ["/hr/cycles", "/metrics", "/reports/a1b2/", "/s/../hr/cycles", "/s/a1b2/"])
def test_a_route_without_a_door_is_seen(path: str) -> None:
    assert not any(lets_through(Route(service, "GET", path)) for service in SERVICES)
    assert lets_through(Route("survey", "GET", "/s/a1b2"))


def test_the_proxy_writes_nothing_about_requests_and_passes_no_address_on() -> None:
    lines = [line.strip() for line in text("nginx", "fairpatch.conf").splitlines()]
    for wanted in (
        "access_log off;",
        "error_log /dev/null emerg;",
        "proxy_pass_request_headers off;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_tickets off;",
        "proxy_max_temp_file_size 0;",
    ):
        assert lines.count(wanted) == 1, wanted
    logs = [line for line in lines if line.startswith(("access_log", "error_log"))]
    assert logs == ["access_log off;", "error_log /dev/null emerg;"]
    headers = {line.split()[1] for line in lines if line.startswith("proxy_set_header")}
    assert headers == {"Host", "Content-Type", "Connection"}
    for main in ("nginx.conf", "inside.conf"):
        assert not re.search(r"access_log (?!off)", text("nginx", main))


def test_a_body_that_is_let_in_fits_the_buffer() -> None:
    conf = text("nginx", "fairpatch.conf")
    sizes = [
        re.search(rf"{name} (\w+);", conf) for name in ("client_max_body_size", "client_body_buffer_size")
    ]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[0][1] == sizes[1][1]


def test_the_proxy_is_handed_every_variable_it_needs(containers: dict[str, Any]) -> None:
    needed = set(re.findall(r"\$\{(\w+)\}", text("nginx", "fairpatch.conf")))
    given = containers["proxy"]["environment"]
    assert {name for name in given if name.startswith("FAIRPATCH_")} == needed
    for service, port in zip(SERVICES, DEFAULT_PORTS, strict=True):
        assert given[f"FAIRPATCH_{service.upper()}_PORT"] == str(port)
        assert containers[service]["environment"]["HEALTH_PORT"] == str(port)


# Containers


def test_only_tls_and_its_redirect_are_open_to_others(containers: dict[str, Any]) -> None:
    ports = {name: container["ports"] for name, container in containers.items() if "ports" in container}
    assert list(ports) == ["loopback"]
    outside = [port for port in ports["loopback"] if not port.startswith("127.0.0.1:")]
    assert outside == ["443:8443", "80:8080"]
    proxy = containers["proxy"]["environment"]
    assert (proxy["FAIRPATCH_TLS_LISTEN"], proxy["FAIRPATCH_PLAIN_LISTEN"]) == ("8443", "8080")
    # What is left is the host's own loopback, led through as it is.
    led = re.findall(r"listen (\d+);\s*proxy_pass 127\.0\.0\.1:(\d+);", text("nginx", "inside.conf"))
    inside = [f"127.0.0.1:{port}:{listen}" for listen, port in led]
    assert [port for port in ports["loopback"] if port not in outside] == inside
    assert [int(port) for _, port in led] == list(DEFAULT_PORTS)


def test_services_share_one_loopback_and_databases_have_no_network(containers: dict[str, Any]) -> None:
    for name, container in containers.items():
        if name in (*SERVICES, "proxy", "inside"):
            assert container["network_mode"] == "service:loopback", name
        elif name == "loopback":
            assert container["networks"] == ["outside"]
        else:
            assert container["network_mode"] == "none", name


def test_every_container_is_closed(containers: dict[str, Any]) -> None:
    for name, container in containers.items():
        assert container["read_only"] is True, name
        assert container["cap_drop"] == ["ALL"], name
        assert "cap_add" not in container, name
        assert "privileged" not in container, name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert container["ulimits"] == {"core": 0}, name
        assert container["stop_grace_period"] == "20s", name
        assert container["logging"]["options"].keys() >= {"max-size", "max-file"}, name
        assert container["mem_limit"] == container["memswap_limit"], name
        assert container["pids_limit"] > 0, name
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["user"]), name
        assert re.fullmatch(r"[a-z]+:\d[\w.-]*", container["image"]), name


def test_a_container_sees_its_own_volumes_and_secrets_only(containers: dict[str, Any]) -> None:
    for name, container in containers.items():
        owner = "survey" if name == "purge" else name.partition("-")[0]
        if name == "init":
            continue
        for volume in container.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source.startswith((f"{owner}-", "./")), (name, volume)
            assert not source.startswith("./") or volume.endswith(":ro"), (name, volume)
        for secret in container.get("secrets", ()):
            assert secret.startswith("certificate." if owner == "proxy" else f"{owner}."), (name, secret)


def test_no_service_holds_the_right_to_change_its_tables(containers: dict[str, Any]) -> None:
    for service in SERVICES:
        assert containers[service]["secrets"] == [f"{service}.pgpass"]
        assert f"{service}.owner.pgpass" in containers[f"{service}-upgrade"]["secrets"]
        waits = containers[service]["depends_on"]
        assert waits[f"{service}-upgrade"] == {"condition": "service_completed_successfully"}
        assert waits[f"{service}-database"] == {"condition": "service_healthy"}


def test_opening_keys_are_apart_from_everything_that_is_copied(containers: dict[str, Any]) -> None:
    keys = "aggregate-opening-keys:/data/aggregate/opening-keys"
    assert [name for name, each in containers.items() if keys in each.get("volumes", ())] == ["aggregate"]


def test_secrets_are_files_and_none_is_written_here(containers: dict[str, Any]) -> None:
    whole = document("compose.yaml")
    used = {secret for container in containers.values() for secret in container.get("secrets", ())}
    assert used == set(whole["secrets"])
    for name, secret in whole["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    for container in containers.values():
        for variable, value in container.get("environment", {}).items():
            assert "PASSWORD" not in variable or (
                variable.endswith("_FILE") and value.startswith("/run/secrets/")
            )
    assert not any(holds_password(each) for each in strings(whole) if each.startswith("postgresql"))
    assert "secrets/" in text(".gitignore").splitlines()


def test_every_file_that_is_mounted_is_here(containers: dict[str, Any]) -> None:
    volumes = itertools.chain.from_iterable(each.get("volumes", ()) for each in containers.values())
    for source in {volume.partition(":")[0] for volume in volumes if volume.startswith("./")}:
        assert (INFRA / source).is_file(), source


def test_containers_and_units_use_commands_that_exist(containers: dict[str, Any]) -> None:
    known = typer.main.get_command(commands)
    assert isinstance(known, typer.core.TyperGroup)
    asked = [each["command"] for name, each in containers.items() if name in (*SERVICES, *UPGRADES, "purge")]
    for service in SERVICES:
        asked.append([*containers[f"{service}-backup"]["entrypoint"][1:], "/backups/x"])
        asked.append([*containers[f"{service}-restore"]["entrypoint"][1:], "--from", "/backups/x"])
    for name in UNITS:
        (start,) = unit(name)["Service"]["ExecStart"]
        words = re.sub(r"\$\(.*\)'", "x", start.partition("/bin/fairpatch ")[2]).replace("%i", "survey")
        asked.append(words.split())
    for words in asked:
        command = known.get_command(typer.Context(known), words[0])
        assert command is not None, words
        command.make_parser(typer.Context(command)).parse_args(list(words[1:]))


def test_the_image_runs_without_tools_and_without_rights() -> None:
    built = text("Containerfile")
    assert all(re.fullmatch(r"python:3\.11-slim-\w+", image) for image in images(built))
    build, run = built.split("\nFROM ")[1:]
    assert build.count("--require-hashes") == build.count("--only-binary :all:") == 1
    assert re.findall(r"^COPY (.*)$", build, re.M) == [
        "requirements/run.txt requirements/nodeps.txt /tmp/requirements/",
        "services services",
        "web web",
    ]
    assert re.findall(r"^COPY (.*)$", run, re.M) == ["--from=build /opt/fairpatch /opt/fairpatch"]
    assert re.findall(r"^(USER|STOPSIGNAL) (.*)$", run, re.M) == [
        ("USER", "10001:10001"),
        ("STOPSIGNAL", "SIGTERM"),
    ]
    assert len(re.findall(r"^HEALTHCHECK .*http\.client.*/healthz", run, re.M)) == 1
    assert not re.search(r"apt|curl|\buv\b|gcc|^ADD|^EXPOSE", built, re.M)
    assert text("Containerfile.dockerignore").splitlines()[1] == "*"


# Pins


def test_the_image_is_named_by_the_version_of_the_program(containers: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {containers[service]["image"] for service in SERVICES} == {f"fairpatch:{version}"}
    assert f"fairpatch:{version}" in text("Containerfile")


def test_the_image_gets_what_is_tested_and_nothing_for_development() -> None:
    run, tested = pins("run.txt"), pins("all.txt")
    assert all(hashes > 0 for _, hashes in run.values())
    assert {name: version for name, (version, _) in run.items()}.items() <= {
        name: version for name, (version, _) in tested.items()
    }.items()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed, development = (
        {re.split(r"[\[><=]", line)[0].lower() for line in lines}
        for lines in (wanted["project"]["dependencies"], wanted["dependency-groups"]["dev"])
    )
    assert needed <= run.keys()
    assert development.isdisjoint(run)


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.name)
def test_no_pin_names_an_address(path: Path) -> None:
    assert not ADDRESS.search(path.read_text("utf-8"))
    assert all(hashes > 0 for _, hashes in pins(path.name).values())
