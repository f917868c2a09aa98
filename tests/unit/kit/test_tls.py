"""TLS: versions, pairs, authorities; a bad file is refused in a sentence, and no key asks for a password."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from services.kit.settings import Peer, ServiceSettings
from services.kit.tls import MINIMUM, client_trust, server_context
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from tests.unit.kit.certificates import Authority
from tests.unit.kit.doubles import identity


def settings(folder: Path, **given: Any) -> ServiceSettings:
    peer = Peer(url="https://127.0.0.1:2", public_key=b64(identity(2).public))
    return ServiceSettings(
        service="survey", folder=folder, port=1, url="https://a.test", peers={"report": peer}, **given
    )


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Let both sides talk in memory; return the version they agree on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return str(here.version())


@pytest.fixture
def paired(tmp_path: Path) -> tuple[Authority, ServiceSettings]:
    """Return an authority and the settings of a service it certified."""
    authority = Authority(tmp_path / "ca")
    authority.certify(tmp_path)
    given = {"tls_certificate": "tls.pem", "tls_key": "tls.key", "tls_authority": str(authority.file)}
    return authority, settings(tmp_path, **given)


def test_a_service_and_its_caller_trust_the_same_authority(paired: tuple[Authority, ServiceSettings]) -> None:
    server, client = server_context(paired[1]), client_trust(paired[1])
    assert isinstance(server, ssl.SSLContext)
    assert isinstance(client, ssl.SSLContext)
    assert shake_hands(server, client, "127.0.0.1") == "TLSv1.3"
    assert server.minimum_version == client.minimum_version == MINIMUM == ssl.TLSVersion.TLSv1_2


def test_another_name_or_another_authority_is_refused(
    tmp_path: Path, paired: tuple[Authority, ServiceSettings]
) -> None:
    server, client = server_context(paired[1]), client_trust(paired[1])
    assert isinstance(server, ssl.SSLContext)
    assert isinstance(client, ssl.SSLContext)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "127.0.0.2")
    stranger = client_trust(settings(tmp_path, tls_authority=str(Authority(tmp_path / "other").file)))
    assert isinstance(stranger, ssl.SSLContext)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, stranger, "127.0.0.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_an_old_version_is_refused(paired: tuple[Authority, ServiceSettings]) -> None:
    server, client = server_context(paired[1]), client_trust(paired[1])
    assert isinstance(server, ssl.SSLContext)
    assert isinstance(client, ssl.SSLContext)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake_hands(server, client, "127.0.0.1")


def test_without_files_there_is_no_tls_and_the_system_is_trusted(tmp_path: Path) -> None:
    assert server_context(settings(tmp_path)) is None
    assert client_trust(settings(tmp_path)) is True


def refusal(tmp_path: Path, **given: Any) -> str:
    with pytest.raises(Problem) as caught:
        server_context(settings(tmp_path, tls_certificate="tls.pem", tls_key="tls.key", **given))
    assert caught.value.kind == "input"
    return caught.value.detail


def test_files_that_are_missing_no_pair_or_encrypted_are_refused(tmp_path: Path) -> None:
    sentence = "survey: TLS certificate and key can't be read, or are not a pair."
    assert refusal(tmp_path) == sentence
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.certify(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    key.write_bytes(authority.certify(other)[1].read_bytes())
    assert refusal(tmp_path) == sentence
    authority.certify(tmp_path, password=b"CANARY")
    assert refusal(tmp_path) == sentence
    certificate.write_bytes(b"CANARY")
    assert refusal(tmp_path) == sentence


@pytest.mark.parametrize("text", [None, b"", b"CANARY"])
def test_an_authority_that_is_none_is_refused(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_bytes(text)
    with pytest.raises(Problem) as caught:
        client_trust(settings(tmp_path, tls_authority="ca.pem"))
    assert caught.value.detail == "ca.pem does not hold a TLS authority's certificate."
