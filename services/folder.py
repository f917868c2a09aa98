"""What ``fairpatch init`` writes: a folder per service with its identity, settings and peers."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from services.aggregate.settings import AggregateSettings
from services.kit.keys import Identity, new_identity, write_secret
from services.kit.settings import FILE, Peer, ServiceSettings, save_settings
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.report.settings import ReportSettings
from services.survey.settings import SurveySettings

SERVICES: tuple[Service, ...] = ("survey", "aggregate", "report")
KINDS: dict[Service, type[ServiceSettings]] = {
    "survey": SurveySettings,
    "aggregate": AggregateSettings,
    "report": ReportSettings,
}
DEFAULT_PORTS = (8141, 8142, 8143)


@dataclass(frozen=True)
class Address:
    """Where a service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as its peers and phones use it."""
        return f"http://{self.host}:{self.port}"


def init_folder(folder: Path, ports: tuple[int, int, int] = DEFAULT_PORTS, host: str = "127.0.0.1") -> None:
    """Make ``folder`` ready for the three services; refuse one that already holds them."""
    if any((folder / service / FILE).exists() for service in SERVICES):
        raise Problem("input", f"{folder} already holds Fairpatch. Choose another folder.")
    addresses = {service: Address(host, port) for service, port in zip(SERVICES, ports, strict=True)}
    for service in SERVICES:
        (folder / service).mkdir(parents=True, exist_ok=True, mode=0o700)
    identities = {service: new_identity(folder / service / "identity.key") for service in SERVICES}
    for service in SERVICES:
        save_settings(_settings(folder / service, service, addresses, identities))
    write_secret(folder / "survey" / "hr.key", secrets.token_urlsafe(32).encode("ascii"))


def _settings(
    folder: Path, service: Service, addresses: dict[Service, Address], identities: dict[Service, Identity]
) -> ServiceSettings:
    peers = {
        peer: Peer(url=addresses[peer].url, public_key=b64(identities[peer].public))
        for peer in SERVICES
        if peer != service
    }
    address = addresses[service]
    return KINDS[service](
        service=service,
        folder=folder,
        host=address.host,
        port=address.port,
        url=address.url,
        database="",
        peers=peers,
    )
