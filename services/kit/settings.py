"""Settings of a service: one JSON file in its folder, written by ``fairpatch init``."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from services.protocol.encoding import unb64
from services.protocol.manifest import Part
from services.protocol.problems import Problem
from services.protocol.signed import Service

FILE = "settings.json"
PASSWORD_IN_URL = "Put the database password into a file and name it in the URL with passfile=."  # noqa: S105
S = TypeVar("S", bound="ServiceSettings")


@dataclass(frozen=True)
class SecretFile:
    """A file that only its service may read, and between which sizes [bytes] it is whole."""

    name: str
    path: Path
    least: int
    most: int


class Peer(Part):
    """Another service: where it answers and the raw public key (base64url) it signs with."""

    url: str
    public_key: str

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, text: str) -> str:
        unb64(text, length=32)
        return text

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return unb64(self.public_key, length=32)


class ServiceSettings(BaseSettings):
    """What every service needs to know before it starts; built once, never changed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    service: Service
    folder: Path
    host: str = "127.0.0.1"
    port: int
    url: str
    database: str = ""
    peers: dict[Service, Peer]
    deployment: Literal["local", "production"] = "local"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_authority: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take settings from the file only: no variable may loosen what it says."""
        return (init_settings,)

    @property
    def identity_file(self) -> Path:
        """Where the service's signing key lies."""
        return self.folder / "identity.key"

    @property
    def database_url(self) -> str:
        """The database's URL; without one, a SQLite file in the service's folder."""
        return self.database or f"sqlite:///{self.folder.resolve() / (self.service + '.db')}"

    @property
    def certificate_file(self) -> Path | None:
        """The certificate (chain) the service answers with; a bare name lies in the service's folder."""
        return self._placed(self.tls_certificate)

    @property
    def tls_key_file(self) -> Path | None:
        """The certificate's private key."""
        return self._placed(self.tls_key)

    @property
    def authority_file(self) -> Path | None:
        """The certificate of the authority that internal calls trust."""
        return self._placed(self.tls_authority)

    @property
    def secret_files(self) -> tuple[SecretFile, ...]:
        """The files that have to be whole and private before the service starts."""
        files = [SecretFile("identity key", self.identity_file, 32, 32)]
        if self.tls_key_file is not None:
            files.append(SecretFile("TLS key", self.tls_key_file, 64, 1 << 16))
        if self.password_file is not None:
            files.append(SecretFile("password file", self.password_file, 1, 1 << 16))
        return tuple(files)

    @property
    def password_file(self) -> Path | None:
        """The file with the database's password, where the URL names one."""
        address = read_url(self.database)
        named = None if address is None else address.query.get("passfile")
        return Path(named) if isinstance(named, str) else None

    def peer(self, service: Service) -> Peer:
        """Return one of the other services."""
        return self.peers[service]

    def _placed(self, path: Path | None) -> Path | None:
        return None if path is None else self.folder / path


def load_settings(kind: type[S], folder: Path) -> S:
    """Return the settings in ``folder``; a missing or bad file is a problem that says what to do."""
    path = folder / FILE
    try:
        settings = kind(folder=folder, **json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise Problem(
            "input", f"{path} is missing. Run 'fairpatch init --dir {folder.parent}' first."
        ) from None
    except OSError:
        raise Problem("input", f"{path} cannot be read.") from None
    except (ValidationError, ValueError, TypeError, RecursionError):
        raise Problem("input", f"{path} does not hold the settings of this service.") from None
    if holds_password(settings.database):
        raise Problem("input", f"{path} holds a password. {PASSWORD_IN_URL}")
    return settings


def read_url(url: str) -> URL | None:
    """Return a database URL in parts; nothing if there is none, or it has no such form."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def holds_password(url: str) -> bool:
    """Tell whether a database URL has a password in it."""
    address = read_url(url)
    return address is not None and (
        bool(address.password) or "password" in address.query or "sslpassword" in address.query
    )


def save_settings(settings: ServiceSettings) -> None:
    """Write settings to their folder (without the folder itself, which may move), for their owner only."""
    text = json.dumps(settings.model_dump(mode="json", exclude={"folder"}), indent=2, sort_keys=True)
    path = settings.folder / FILE
    # They tell where keys and databases are.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(text + "\n")
