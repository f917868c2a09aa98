"""Settings of the survey service."""

from pathlib import Path

from pydantic import Field

from services.kit.settings import SecretFile, ServiceSettings


class SurveySettings(ServiceSettings):
    """What survey needs to know before it starts."""

    # A smaller queue could be filled by few phones, and the metrics say when it is full.
    inbox_capacity: int = Field(default=10_000, ge=1_000)
    mixing_seconds: float = Field(default=3600.0, gt=0)

    @property
    def issuer_keys(self) -> Path:
        """Folder of the issuer keys, one file per cycle and sheet."""
        return self.folder / "issuer-keys"

    @property
    def hr_key_file(self) -> Path:
        """The key that opens HR's door until accounts exist."""
        return self.folder / "hr.key"

    @property
    def secret_files(self) -> tuple[SecretFile, ...]:
        """The files that have to be whole and private before the service starts."""
        return (*super().secret_files, SecretFile("HR key", self.hr_key_file, 32, 256))
