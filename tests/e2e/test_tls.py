"""Three services with certificates of a private authority: a whole cycle, strangers, and what is logged.

Callers send what no caller should: no TLS at all, a broken hello, requests that are none, half an upload.
Nothing of that is in the log, and all of the log is JSON.
"""

import asyncio
import json
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.folder import SERVICES
from services.kit.settings import FILE
from services.kit.tls import trusting
from services.protocol.messages import LedgerReply
from services.rehearsal.hr import Hr
from services.rehearsal.links import links_of
from services.rehearsal.phone import Line, Phone, fetch_manifest
from services.rehearsal.stage import read_stage
from services.rehearsal.workforce import make_workforce
from tests.e2e.played import SAID, in_two_regions
from tests.e2e.stages import Services, options
from tests.unit.kit.certificates import Authority

REPS = 40
CANARY = f"CANARY{secrets.token_hex(8)}"
WAIT_SECONDS = 30.0


@dataclass
class Secured:
    """Services that answer by TLS only, and a context that trusts their authority."""

    services: Services
    trust: ssl.SSLContext
    folder: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Return running services in production settings with a private authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "authority")
    services = Services(folder / "stage", trust=trusting(authority.file))
    for name in SERVICES:
        secure(services.folder / name, authority)
    services.stage = read_stage(services.folder)
    try:
        services.start()
        assert isinstance(services.trust, ssl.SSLContext)
        yield Secured(services, services.trust, folder)
    finally:
        services.stop()


def secure(folder: Path, authority: Authority) -> None:
    """Give a service a certificate, and have it call its peers by https."""
    authority.certify(folder)
    given: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
    given |= {"tls_certificate": "tls.pem", "tls_key": "tls.key", "tls_authority": str(authority.file)}
    given |= {"deployment": "production", "url": by_https(given["url"])}
    for peer in given["peers"].values():
        peer["url"] = by_https(peer["url"])
    (folder / FILE).write_text(json.dumps(given), "utf-8")


def by_https(url: str) -> str:
    """Return the same address by https."""
    return url.replace("http://", "https://")


@contextmanager
def trusting_hr(secured: Secured) -> Iterator[Hr]:
    """Yield an HR analyst who trusts the authority."""
    hr, stage = Hr(secured.services.stage), secured.services.stage
    hr.leave()
    key = {"authorization": f"Bearer {stage.hr_key}"}
    hr._client = httpx.Client(base_url=stage.survey, headers=key, timeout=120.0, verify=secured.trust)
    try:
        yield hr
    finally:
        hr.leave()


def test_all_three_become_ready_over_tls(secured: Secured) -> None:
    with httpx.Client(verify=secured.trust, trust_env=False) as client:
        for name in SERVICES:
            until = time.monotonic() + WAIT_SECONDS
            while not client.get(f"{secured.services.url(name)}/readyz").is_success:
                assert time.monotonic() < until, name
                time.sleep(0.1)


def test_a_whole_cycle_goes_over_tls(secured: Secured) -> None:
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    files = ("roster.csv", in_two_regions(workforce.roster_csv)), ("results.csv", workforce.results_csv)
    with trusting_hr(secured) as hr:
        cycle = hr.draft(*files, options(plan="finer", k=5, response=1.0)).cycle
        links = links_of(hr.open(cycle), secured.services.stage)

        async def collect() -> None:
            async with httpx.AsyncClient(verify=secured.trust, trust_env=False, timeout=60.0) as client:
                line, first = Line(client), links[0]
                view = await fetch_manifest(
                    line,
                    survey=first.survey,
                    aggregate=first.aggregate,
                    cycle=cycle,
                    pinned=first.pinned,
                )
                for link in links[:12]:
                    await Phone(line, view, link.code).take_part(SAID)

        asyncio.run(collect())
        hr.close(cycle)
        hr.release(cycle, lambda words: None)
    with httpx.Client(verify=secured.trust, trust_env=False) as client:
        report = secured.services.url("report")
        release = client.get(f"{report}/reports/{cycle}/release.json").json()["document"]
    assert {sheet["counted"] for sheet in release["sheets"].values()} == {12}


def test_internal_calls_trust_the_authority_of_the_settings_alone(secured: Secured) -> None:
    ask: dict[str, Any] = {"url": "/internal/ledger", "params": {"company": "Acme", "year": 2026}}
    with secured.services.signed("survey", "aggregate") as survey:
        assert LedgerReply.model_validate(survey.get(**ask).json()).accounts
    stranger = Authority(secured.folder / "stranger")
    path = secured.services.folder / "survey" / FILE
    kept = path.read_text("utf-8")
    path.write_text(json.dumps(json.loads(kept) | {"tls_authority": str(stranger.file)}), "utf-8")
    try:
        with secured.services.signed("survey", "aggregate") as survey, pytest.raises(httpx.ConnectError):
            survey.get(**ask)
    finally:
        path.write_text(kept, "utf-8")


def test_who_does_not_know_the_authority_gets_no_connection(secured: Secured) -> None:
    with httpx.Client(trust_env=False) as stranger, pytest.raises(httpx.ConnectError):
        stranger.get(f"{secured.services.url('survey')}/healthz")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_an_old_version_of_tls_is_refused(secured: Secured) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(address(secured)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)


def address(secured: Secured) -> tuple[str, int]:
    """Return where survey listens."""
    return "127.0.0.1", int(secured.services.url("survey").rpartition(":")[2])


WITHOUT_TLS = {
    "a plain request": f"GET /{CANARY} HTTP/1.1\r\nhost: x\r\n\r\n".encode(),
    "a broken hello": b"\x16\x03\x01\x02\x00\x01" + CANARY.encode() * 40,
    "junk": bytes(range(256)) + CANARY.encode(),
    "nothing": b"",
}
HEAD = f"POST /api/cycles/{CANARY}/envelopes?{CANARY} HTTP/1.1\r\nhost: 127.0.0.1\r\nx: {CANARY}\r\n".encode()
INSIDE_TLS = {
    "no request line": CANARY.encode() + b"\r\n\r\n",
    "control characters": b"GET /\x00" + CANARY.encode() + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    "a header that is none": f"GET /healthz HTTP/1.1\r\n{CANARY}\r\n\r\n".encode(),
    "a length that is none": HEAD + f"content-length: {CANARY}\r\n\r\n".encode(),
    "two lengths": HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "an upgrade": HEAD + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n",
    "a chunk that is none": HEAD + f"transfer-encoding: chunked\r\n\r\n{CANARY}\r\n".encode(),
    "half an upload": HEAD + b"content-length: 900\r\n\r\n" + CANARY.encode(),
    "too much": HEAD + b"content-length: 99999999\r\n\r\n" + CANARY.encode() * 100,
    "a host that is none": f"GET / HTTP/1.1\r\nhost: [{CANARY}\r\n\r\n".encode(),
    "a long header": HEAD + b"y: " + CANARY.encode() * 20_000,
    "not text": HEAD + b"content-length: 3\r\n\r\n\xff\xfe\xfd",
}


def test_nothing_that_strangers_send_is_logged_and_every_line_is_json(secured: Secured) -> None:
    for data in WITHOUT_TLS.values():
        with socket.create_connection(address(secured), timeout=5.0) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                plain.recv(1000)
    for data in INSIDE_TLS.values():
        for abrupt in (True, False):
            talk(secured, data, abrupt=abrupt)
    with idle(secured):
        secured.services.stop()
    assert secured.services.child is not None
    assert secured.services.child.returncode == 0
    log = (secured.services.folder / "services.log").read_bytes()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"stopping", "stopped", "Invalid HTTP request received."} <= {line["event"] for line in lines}
    for word in (CANARY, "127.0.0.1", "/api/", "/internal/", "Traceback", "fd=", "transport"):
        assert word.encode() not in log, word
    assert not [line for line in lines if "unforeseen" in line["event"]]
    # Nobody's calls had to be cut off: an idle caller that says no goodbye doesn't hold a stop.
    assert not [line for line in lines if line["event"].startswith("Cancel")]


def test_a_production_start_with_something_wrong_ends_with_a_sentence_and_starts_nothing(
    secured: Secured,
) -> None:
    secured.services.stop()
    folder = secured.services.folder
    (folder / "survey" / "hr.key").chmod(0o644)
    (folder / "aggregate" / "tls.key").unlink()
    command = [sys.executable, "-m", "services", "serve", "all", "--dir", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "survey can't start (production): the HR key (hr.key) can be read by others than its owner "
        "(chmod 600). aggregate can't start (production): the TLS key (tls.key) is missing or can't be "
        "read.\n"
    )


@contextmanager
def idle(secured: Secured) -> Iterator[None]:
    """Keep a connection open that was answered and says nothing more."""
    with (
        socket.create_connection(address(secured), timeout=5.0) as plain,
        secured.trust.wrap_socket(plain, server_hostname="127.0.0.1") as inside,
    ):
        inside.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert inside.recv(1000).startswith(b"HTTP/1.1 200")
        yield


def talk(secured: Secured, data: bytes, *, abrupt: bool) -> None:
    """Say something inside TLS, and leave: in the middle of it, or after an answer."""
    with (
        socket.create_connection(address(secured), timeout=5.0) as plain,
        secured.trust.wrap_socket(plain, server_hostname="127.0.0.1") as inside,
        suppress(OSError),
    ):
        inside.sendall(data)
        if not abrupt:
            inside.settimeout(0.3)
            inside.recv(1000)
