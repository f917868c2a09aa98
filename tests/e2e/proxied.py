"""The proxy of the installation for tests: a real nginx with the real files, on loopback ports."""

import importlib.util
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.folder import SERVICES
from services.protocol.problems import KINDS
from services.protocol.signed import Service
from tests.e2e.stages import STOP_SECONDS, Services, kernel_ports

INFRA = Path(__file__).parents[2] / "infra"
NAMES: dict[Service, str] = {service: f"{service}.fairpatch.test" for service in SERVICES}
START_SECONDS = 20.0
# Of the whole of loopback only this one is a client: whoever finds it somewhere has found a client's address.
CLIENT = "127.0.0.9"
CYCLE = "a1b2c3d4"
CALL = f"/api/cycles/{CYCLE}/envelopes"
MOST = 64 << 10
"""The largest body [bytes] that is let in."""
Change = Callable[[str], str]


@dataclass
class Proxy:
    """An nginx in front of three ports, and everything it writes."""

    folder: Path
    upstreams: tuple[int, int, int]
    change: Change = str
    child: "subprocess.Popen[bytes] | None" = None
    tls: int = field(init=False)
    plain: int = field(init=False)

    def __post_init__(self) -> None:
        self.tls, self.plain, _ = kernel_ports()
        self.folder.mkdir(parents=True)
        write_certificate(self.folder / "certificate.pem", self.folder / "certificate.key")
        (self.folder / "conf.d").mkdir()
        text = filled((INFRA / "nginx" / "fairpatch.conf").read_text("utf-8"), self.values())
        (self.folder / "conf.d" / "fairpatch.conf").write_text(self.change(text), "utf-8")
        # The main file as it is, but for the two folders of the container.
        main = (INFRA / "nginx" / "nginx.conf").read_text("utf-8")
        main = main.replace("/tmp/", f"{self.folder}/").replace("/etc/nginx/conf.d", f"{self.folder}/conf.d")
        (self.folder / "nginx.conf").write_text(main, "utf-8")

    def values(self) -> dict[str, str]:
        """Return what an operator hands to the template."""
        ports = zip(SERVICES, self.upstreams, strict=True)
        return {
            **{f"FAIRPATCH_{service.upper()}_NAME": NAMES[service] for service in SERVICES},
            **{f"FAIRPATCH_{service.upper()}_PORT": str(port) for service, port in ports},
            "FAIRPATCH_CERTIFICATE": str(self.folder / "certificate.pem"),
            "FAIRPATCH_CERTIFICATE_KEY": str(self.folder / "certificate.key"),
            "FAIRPATCH_TLS_LISTEN": f"127.0.0.1:{self.tls}",
            "FAIRPATCH_PLAIN_LISTEN": f"127.0.0.1:{self.plain}",
        }

    def url(self, service: Service) -> str:
        """Return the public address of a service."""
        return f"https://{NAMES[service]}:{self.tls}"

    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts this proxy's certificate and no other."""
        return ssl.create_default_context(cafile=self.folder / "certificate.pem")

    def client(self) -> httpx.Client:
        """Return a client that finds the public names here, and comes from an address of its own."""
        return httpx.Client(
            transport=Here(verify=self.trust(), local_address=CLIENT), trust_env=False, timeout=30.0
        )

    def phone_client(self) -> httpx.AsyncClient:
        """Return the same for phones."""
        transport = HereAsync(verify=self.trust(), local_address=CLIENT)
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=30.0)

    def start(self) -> None:
        """Run nginx until it listens."""
        options = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        command = [find_nginx(), "-p", str(self.folder), "-e", "stderr", "-c", "nginx.conf", "-g", options]
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False) as client:
            while not listens(client, f"http://127.0.0.1:{self.plain}/"):
                assert self.child.poll() is None, self.log()
                assert time.monotonic() < deadline, "nginx did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop nginx, and make sure that it is gone."""
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def forbid_files(self) -> None:
        """Take the folders for temporary files away: whoever spools anything fails from now on."""
        for folder in self.folder.glob("nginx-*"):
            shutil.rmtree(folder)

    def log(self) -> str:
        """Return all that nginx has said."""
        return (self.folder / "log").read_text("utf-8")

    def written(self) -> str:
        """Return everything in files below the proxy's folder that it may have written."""
        given = {"certificate.pem", "certificate.key", "nginx.conf", "fairpatch.conf"}
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.name not in given)
        return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


class Here(httpx.HTTPTransport):
    """Leads every name to this machine, as a phone's name service leads it to the proxy."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return super().handle_request(aimed_here(request))


class HereAsync(httpx.AsyncHTTPTransport):
    """The same for phones."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return await super().handle_async_request(aimed_here(request))


def aimed_here(request: httpx.Request) -> httpx.Request:
    """Return a request that goes to loopback; its Host header and the name in TLS stay."""
    request.extensions = {**request.extensions, "sni_hostname": request.url.host}
    request.url = request.url.copy_with(host="127.0.0.1")
    return request


def listens(client: httpx.Client, address: str) -> bool:
    """Return whether somebody answers, whatever is said."""
    try:
        client.get(address)
    except httpx.TransportError:
        return False
    return True


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a template with its variables filled in, as envsubst does; each one must have a value."""
    return re.sub(r"\$\{(FAIRPATCH_[A-Z_]+)\}", lambda found: values[found[1]], text)


def find_nginx() -> str:
    """Return where nginx is, or say that it is missing."""
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        words = "These tests need nginx (Debian package nginx)."
        if os.environ.get("FAIRPATCH_REQUIRE_TOOLS"):
            pytest.fail(words)
        pytest.skip(words)
    return path


def write_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate of our own for the three names."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fairpatch test")])
    names = x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES.values()])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(private_key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def configure_script() -> ModuleType:
    """Return the installation's script that writes settings."""
    spec = importlib.util.spec_from_file_location("fairpatch_configure", INFRA / "configure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def running_proxy(folder: Path, upstreams: tuple[int, int, int], change: Change = str) -> Iterator[Proxy]:
    """Yield a running proxy; it is gone afterwards, whatever happens."""
    find_nginx()
    proxy = Proxy(folder, upstreams, change)
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def installed(folder: Path) -> Iterator[tuple[Services, Proxy]]:
    """Yield the three services, set up as an operator does, with the proxy in front of them."""
    find_nginx()
    services = Services(folder / "stage")
    ports = tuple(services.settings(service).port for service in SERVICES)
    with ExitStack() as stack:
        proxy = stack.enter_context(running_proxy(folder / "proxy", (ports[0], ports[1], ports[2])))
        configure_script().configure(services.folder, {name: proxy.url(name) for name in SERVICES}, "")
        stack.callback(services.stop)
        services.start()
        yield services, proxy


def is_problem(answer: httpx.Response, kind: str) -> bool:
    """Return whether an answer is this problem, in the words of the services."""
    expected = {"type": f"urn:fairpatch:problem:{kind}", "title": KINDS[kind].title}
    same = answer.json() == {**expected, "status": KINDS[kind].status}
    media_type = answer.headers["content-type"] == "application/problem+json"
    return same and media_type and answer.status_code == KINDS[kind].status


def provoke(proxy: Proxy) -> None:
    """Do what makes a proxy complain: refused, too large, nonsense, and a service that is away."""
    with proxy.client() as client:
        client.get(f"{proxy.url('survey')}/hr/cycles/x")
        client.post(proxy.url("survey") + CALL, content=bytes(MOST + 1))
        client.get(f"{proxy.url('aggregate')}/api/cycles/{CYCLE}/receipts")
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(
            ("127.0.0.1", proxy.tls), timeout=10.0, source_address=(CLIENT, 0)
        ) as line:
            line.sendall(nonsense)
            line.shutdown(socket.SHUT_WR)
            line.recv(4096)


def nothing_is_written_down(proxy: Proxy, cycle: str) -> None:
    """Check that the proxy's files tell of itself and of nobody else."""
    written = proxy.written()
    assert "worker process" in written
    for word in (CLIENT, "/s/", "/api/", NAMES["survey"], cycle, "GET", "client:"):
        assert word not in written, word
