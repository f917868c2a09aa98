"""Settings of the report service."""

from typing import Literal

from services.kit.settings import ServiceSettings


class ReportSettings(ServiceSettings):
    """What report needs to know before it starts: its peers' keys, and no private key that opens anything."""

    service: Literal["report"] = "report"
