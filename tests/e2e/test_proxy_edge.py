"""The proxy's edges: disguised addresses, TLS, what a service is told, what is kept, and limits (P2, P4)."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.proxied import (
    CALL,
    CLIENT,
    CYCLE,
    MOST,
    NAMES,
    Proxy,
    is_problem,
    nothing_is_written_down,
    provoke,
    running_proxy,
)
from tests.e2e.recorder import Recorder, recording

DISGUISES = (
    "/%68r/cycles/x", "/s/../hr/cycles/x", "/s/%2e%2e/hr/cycles/x", "/s/..%2fhr%2fcycles%2fx",
    "//hr/cycles/x", "/hr/cycles/x?/s/abcd", "/hr/cycles/x;/s/abcd", "/hr/cycles/x/../../../s/abcd",
    "/s/abcd/", "/S/abcd", "/s//abcd", "/static/../hr/cycles/x", "/static/..%2freadyz",
    "/api/cycles/abcd/../../../metrics", "/api/cycles/abcd%2fmanifest", "/api/cycles/abcd/manifest/",
    "/api/cycles/ABCD/manifest", "/metrics%00",
)  # fmt: skip


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """Return what stands in for survey, to see what a service is told."""
    with recording() as running:
        yield running


@pytest.fixture(scope="module")
def front(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Return a proxy before the recorder that may write no file; no aggregate and no report answer it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        folder = tmp_path_factory.mktemp("front") / "proxy"
        with running_proxy(folder, (recorder.server_address[1], nobody, nobody)) as proxy:
            proxy.forbid_files()
            yield proxy


@pytest.mark.parametrize("path", DISGUISES)
def test_a_disguised_address_is_no_door(front: Proxy, recorder: Recorder, path: str) -> None:
    before = len(recorder.heard)
    status = raw_status(front, f"GET {path} HTTP/1.1")
    assert status in ((400, 404) if "%00" in path else (404,))
    assert len(recorder.heard) == before


def raw_status(proxy: Proxy, request_line: str) -> int:
    """Send a request line as it is, which no client library would, and return the status."""
    with tls_line(proxy, proxy.trust()) as line:
        line.sendall(f"{request_line}\r\nHost: {NAMES['survey']}\r\nConnection: close\r\n\r\n".encode())
        return int(line.recv(4096).split()[1])


@contextmanager
def tls_line(
    proxy: Proxy, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Iterator[ssl.SSLSocket]:
    """Yield a bare connection to the proxy under survey's name."""
    with (
        socket.create_connection(("127.0.0.1", proxy.tls), timeout=10.0) as plain,
        context.wrap_socket(plain, server_hostname=NAMES["survey"], session=session) as line,
    ):
        yield line


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "GET"])
def test_other_methods_are_no_door(front: Proxy, recorder: Recorder, method: str) -> None:
    before = len(recorder.heard)
    with front.client() as client:
        assert client.request(method, front.url("survey") + CALL).status_code == 404
    assert len(recorder.heard) == before


def test_a_name_that_is_not_ours_gets_no_certificate_and_no_page(front: Proxy, recorder: Recorder) -> None:
    before = len(recorder.heard)
    with front.client() as client:
        with pytest.raises(httpx.ConnectError, match=r"(?i)unrecognized.name"):
            client.get(f"https://elsewhere.example:{front.tls}/s/{CYCLE}")
        # The right name in TLS, another one behind it.
        other = client.get(f"{front.url('survey')}/s/{CYCLE}", headers={"host": "elsewhere.example"})
    assert other.status_code == 404
    assert len(recorder.heard) == before


# Plain HTTP and TLS


def test_plain_http_only_leads_to_tls(front: Proxy, recorder: Recorder) -> None:
    before, plain = len(recorder.heard), f"http://{NAMES['survey']}:{front.plain}"
    with front.client() as client:
        led = client.get(f"{plain}/s/{CYCLE}")
        assert led.status_code == 301
        assert led.headers["location"] == f"https://{NAMES['survey']}/s/{CYCLE}"
        assert client.post(f"{plain}{CALL}", content=b"x").status_code == 404
        assert client.get(f"http://elsewhere.example:{front.plain}/").status_code == 404
    assert len(recorder.heard) == before


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_forward_secret_and_no_visit_is_taken_up_again(front: Proxy, version: ssl.TLSVersion) -> None:
    context = front.trust()
    context.minimum_version = context.maximum_version = version
    session = None
    for number in range(2):
        with tls_line(front, context, session) as line:
            line.sendall(f"GET /s/{CYCLE} HTTP/1.1\r\nHost: {NAMES['survey']}\r\n\r\n".encode())
            assert line.recv(15).startswith(b"HTTP/1.1 200")
            cipher, session = line.cipher(), line.session
            assert cipher is not None
            assert cipher[0].startswith(("ECDHE-", "TLS_"))
            assert not line.session_reused, number


# What a service is told


def test_a_service_is_told_nothing_by_which_a_phone_could_be_known(front: Proxy, recorder: Recorder) -> None:
    telling = {
        "x-forwarded-for": CLIENT,
        "x-real-ip": CLIENT,
        "forwarded": f"for={CLIENT}",
        "cookie": "visit=7",
        "user-agent": "Phone 7 of Ada",
        "accept-language": "eu",
        "referer": "https://mail.example/ada",
        "if-none-match": '"visit-7"',
        "authorization": "Bearer 7",
        "fairpatch-call": "survey 1 x y",
    }
    before = len(recorder.heard)
    with front.client() as client:
        sent = client.post(front.url("survey") + CALL, content=b"sealed", headers=telling)
        assert sent.status_code == 200
        client.get(f"{front.url('survey')}/s/{CYCLE}", headers=telling)
    sheet, page = recorder.heard[before:]
    assert {name.lower(): value for name, value in sheet.headers.items()} == {
        "host": NAMES["survey"],
        "content-length": "6",
    }
    assert sheet.body == b"sealed"
    assert [name.lower() for name in page.headers] == ["host"]


def test_the_kind_of_a_body_is_passed_on(front: Proxy, recorder: Recorder) -> None:
    with front.client() as client:
        client.post(f"{front.url('survey')}/api/cycles/{CYCLE}/session", json={"code": "x"})
    assert recorder.heard[-1].headers["Content-Type"] == "application/json"


# What is written down


def test_no_address_and_no_call_is_written_down(front: Proxy) -> None:
    provoke(front)
    nothing_is_written_down(front, CYCLE)


def test_the_search_above_would_find_an_address(recorder: Recorder, tmp_path: Path) -> None:
    def talkative(text: str) -> str:
        assert "error_log /dev/null emerg;" in text
        return text.replace("error_log /dev/null emerg;", "error_log stderr info;")

    port = recorder.server_address[1]
    with running_proxy(tmp_path / "proxy", (port, port, port), talkative) as proxy:
        provoke(proxy)
        assert CLIENT in proxy.written()


# Bodies


def test_a_body_over_the_limit_is_refused(front: Proxy, recorder: Recorder) -> None:
    before = len(recorder.heard)
    with front.client() as client:
        assert is_problem(client.post(front.url("survey") + CALL, content=bytes(MOST + 1)), "too-large")
    assert len(recorder.heard) == before


def test_the_largest_body_reaches_no_file(front: Proxy, recorder: Recorder) -> None:
    body = bytes(range(256)) * (MOST // 256)
    with front.client() as client:
        assert client.post(front.url("survey") + CALL, content=body).status_code == 200
    assert recorder.heard[-1].body == body


def test_a_long_answer_to_a_slow_reader_reaches_no_file(front: Proxy, recorder: Recorder) -> None:
    recorder.answer = bytes(8 << 20)
    with front.client() as client, client.stream("GET", f"{front.url('survey')}/s/{CYCLE}") as answer:
        # Long enough for everything between the two to fill up.
        time.sleep(0.3)
        received = sum(len(part) for part in answer.iter_bytes())
    recorder.answer = b"{}"
    assert received == 8 << 20


def test_a_body_without_a_length_is_refused(front: Proxy, recorder: Recorder) -> None:
    before = len(recorder.heard)
    with front.client() as client:
        answer = client.post(front.url("survey") + CALL, content=iter([b"a", b"b"]))
    assert answer.status_code == 411
    assert len(recorder.heard) == before


def test_a_proxy_that_used_files_would_be_noticed(recorder: Recorder, tmp_path: Path) -> None:
    def spooling(text: str) -> str:
        assert "client_body_buffer_size 64k;" in text
        return text.replace("client_body_buffer_size 64k;", "client_body_buffer_size 8k;")

    port = recorder.server_address[1]
    with running_proxy(tmp_path / "proxy", (port, port, port), spooling) as proxy:
        proxy.forbid_files()
        with proxy.client() as client:
            assert client.post(proxy.url("survey") + CALL, content=bytes(MOST)).status_code == 500


# Too much, and nobody there


def test_a_service_that_is_away_looks_busy_to_a_phone(front: Proxy) -> None:
    with front.client() as client:
        assert is_problem(client.get(f"{front.url('aggregate')}/api/cycles/{CYCLE}/receipts"), "busy")


def test_who_asks_too_often_is_told_to_wait(recorder: Recorder, tmp_path: Path) -> None:
    def strict(text: str) -> str:
        assert "rate=100r/s" in text
        assert "burst=2000" in text
        return text.replace("rate=100r/s", "rate=1r/s").replace("burst=2000", "burst=2")

    port = recorder.server_address[1]
    with running_proxy(tmp_path / "proxy", (port, port, port), strict) as proxy, proxy.client() as client:
        answers = [client.get(f"{proxy.url('survey')}/s/{CYCLE}") for _ in range(8)]
    assert answers[0].status_code == 200
    assert is_problem(answers[-1], "busy")
