"""Settings of the survey service."""

from pathlib import Path

from services.kit.settings import ServiceSettings


class SurveySettings(ServiceSettings):
    """What survey needs to know before it starts."""

    inbox_capacity: int = 10_000
    mixing_seconds: float = 3600.0

    @property
    def issuer_keys(self) -> Path:
        """Folder of the issuer keys, one file per cycle and sheet."""
        return self.folder / "issuer-keys"

    @property
    def hr_key_file(self) -> Path:
        """The key that opens HR's door until accounts exist."""
        return self.folder / "hr.key"
