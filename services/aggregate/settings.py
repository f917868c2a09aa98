"""Settings of the aggregate service."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from services.kit.settings import ServiceSettings


class AggregateSettings(ServiceSettings):
    """What aggregate needs to know before it starts."""

    service: Literal["aggregate"] = "aggregate"
    workers: int = Field(default=2, ge=1, le=64)

    @property
    def keys_folder(self) -> Path:
        """Folder of the opening keys: outside the database and outside every backup."""
        return self.folder / "opening-keys"
