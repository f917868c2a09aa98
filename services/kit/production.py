"""What has to be right before a service starts: for a rehearsal a little, in production everything.

``look`` reads the secret files; ``complaints`` is pure and names all that is wrong at once.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL

from services.kit.settings import PASSWORD_IN_URL, ServiceSettings, holds_password, read_url
from services.protocol.problems import Problem

MOST_BYTES = 1 << 16
WELL_KNOWN = frozenset(
    [
        *("", "123456", "12345678", "123456789", "1234567890", "admin", "change-me", "change_me", "changeme"),
        *("default", "example", "fairpatch", "letmein", "pass", "passw0rd", "password", "postgres"),
        *("postgresql", "qwerty", "root", "secret", "test", "survey", "aggregate", "report"),
        *("fairpatch_survey", "fairpatch_aggregate", "fairpatch_report"),
    ]
)
"""Passwords that somebody guesses first: defaults of examples, of the server, and our own names."""


@dataclass(frozen=True)
class Found:
    """A secret file as it lies there: its size, whether others may read it, and its text if it has one."""

    size: int
    shared: bool
    text: str


def check_start(*all_settings: ServiceSettings) -> None:
    """Refuse a start with one sentence per service that names each thing that is wrong."""
    sentences = []
    for settings in all_settings:
        wrong = complaints(settings, look(settings))
        if wrong:
            sentences.append(f"{settings.service} can't start ({settings.deployment}): {'; '.join(wrong)}.")
    if sentences:
        raise Problem("input", " ".join(sentences))


def look(settings: ServiceSettings) -> dict[str, Found]:
    """Return the secret files of a service that can be read, by name."""
    seen = {file.name: _found(file.path) for file in settings.secret_files}
    return {name: found for name, found in seen.items() if found is not None}


def complaints(settings: ServiceSettings, files: Mapping[str, Found]) -> list[str]:
    """Name everything that stops a start. Nothing of what a file holds is repeated."""
    said = [*_always(settings), *_files(settings, files)]
    if settings.deployment == "production":
        said += [*_addresses(settings), *_database(settings), *_defaults(settings, files)]
    return said


def _always(settings: ServiceSettings) -> list[str]:
    said = []
    if not is_loopback(settings.host):
        said.append("it may listen on loopback only until accounts exist")
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        said.append("tls_certificate and tls_key go together, and only one of them is given")
    if settings.database and read_url(settings.database) is None:
        said.append("the database URL can't be read")
    if holds_password(settings.database):
        said.append(PASSWORD_IN_URL.rstrip("."))
    return said


def _files(settings: ServiceSettings, files: Mapping[str, Found]) -> list[str]:
    said = []
    for file in settings.secret_files:
        found, where = files.get(file.name), f"the {file.name} ({file.path.name})"
        if found is None:
            said.append(f"{where} is missing or can't be read")
        elif not file.least <= found.size <= file.most:
            said.append(f"{where} does not have the size of one")
        elif found.shared and settings.deployment == "production":
            said.append(f"{where} can be read by others than its owner (chmod 600)")
    return said


def _addresses(settings: ServiceSettings) -> list[str]:
    said = []
    if urlsplit(settings.url).scheme != "https":
        said.append("its url is not https")
    for name, peer in sorted(settings.peers.items()):
        address = urlsplit(peer.url)
        if address.scheme != "https" and not is_loopback(address.hostname or ""):
            said.append(f"{name} is called over plain http on another host")
    return said


def _database(settings: ServiceSettings) -> list[str]:
    address = read_url(settings.database)
    if address is None or address.get_backend_name() == "sqlite":
        return []
    if {"service", "servicefile"} & set(address.query):
        return ["the database URL names a service file, so it does not say where the database is"]
    hosts = database_hosts(address)
    if not hosts:
        return ["the database URL names no host, so a variable could; a socket's folder is one too"]
    far = [host for host in hosts if not host.startswith("/") and not is_loopback(host)]
    if far and address.query.get("sslmode") != "verify-full":
        return ["the database is on another host without sslmode=verify-full"]
    return []


def _defaults(settings: ServiceSettings, files: Mapping[str, Found]) -> list[str]:
    address, said = read_url(settings.database), []
    if "HR key" in files and _is_default(files["HR key"].text):
        said.append("the HR key is a well-known default")
    if "password file" in files:
        passwords = _passwords(files["password file"].text)
        own = (address.username or "") if address is not None else ""
        if not passwords or any(_is_default(each) or each == own for each in passwords):
            said.append("the password file holds no password, or a well-known default")
    return said


def database_hosts(address: URL) -> list[str]:
    """Return every host a database URL leads to; a folder is a socket on this host."""
    given = [address.host or ""]
    for name in ("host", "hostaddr"):
        value = address.query.get(name, "")
        given += (
            value.split(",") if isinstance(value, str) else [part for v in value for part in v.split(",")]
        )
    # Several hosts may carry ports: a:5432,b:5432.
    return [host if host.count(":") > 1 else host.partition(":")[0] for host in given if host]


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_default(secret: str) -> bool:
    return secret.strip().casefold() in WELL_KNOWN


def _passwords(text: str) -> list[str]:
    """Return the passwords of a libpq password file: the fifth field of each line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [_fields(line)[4] if len(_fields(line)) > 4 else "" for line in lines]


def _fields(line: str) -> list[str]:
    """Split a line at its colons; a backslash takes the next letter as it is."""
    fields, letters = [""], iter(line)
    for letter in letters:
        if letter == ":":
            fields.append("")
        else:
            fields[-1] += next(letters, "") if letter == "\\" else letter
    return fields


def _found(path: Path) -> Found | None:
    try:
        status = path.stat()
        with path.open("rb") as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return None
    shared = bool(stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO))
    return Found(status.st_size, shared, data.decode("utf-8", "replace"))
