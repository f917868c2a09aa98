"""Settings of a service: one JSON file in its folder, written by ``fairpatch init``."""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.protocol.encoding import unb64
from services.protocol.manifest import Part
from services.protocol.problems import Problem
from services.protocol.signed import Service

FILE = "settings.json"
S = TypeVar("S", bound="ServiceSettings")


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

    def peer(self, service: Service) -> Peer:
        """Return one of the other services."""
        return self.peers[service]


def load_settings(kind: type[S], folder: Path) -> S:
    """Return the settings in ``folder``; a missing or bad file is a problem that says what to do."""
    path = folder / FILE
    try:
        return kind(folder=folder, **json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise Problem(
            "input", f"{path} is missing. Run 'fairpatch init --dir {folder.parent}' first."
        ) from None
    except OSError:
        raise Problem("input", f"{path} cannot be read.") from None
    except (ValidationError, ValueError, TypeError, RecursionError):
        raise Problem("input", f"{path} does not hold the settings of this service.") from None


def save_settings(settings: ServiceSettings) -> None:
    """Write settings to their folder (without the folder itself, which may move), for their owner only."""
    text = json.dumps(settings.model_dump(mode="json", exclude={"folder"}), indent=2, sort_keys=True)
    path = settings.folder / FILE
    # They may hold a database's password.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(text + "\n")
