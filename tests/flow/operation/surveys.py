"""Survey in a folder as an operator finds it, with a roster that nothing else has."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.kit.settings import Peer, save_settings
from services.protocol.encoding import b64
from services.survey.settings import SurveySettings
from tests.flow.survey.ring import WORKFORCE, Ring, running_ring
from tests.stores import LENDER


@dataclass
class Survey:
    """Survey, running, with its settings on disk, and what marks its roster."""

    ring: Ring
    mark: str

    @property
    def folder(self) -> Path:
        """The installation."""
        return self.ring.folder.parent

    @property
    def owner(self) -> str:
        """What a command needs to act as the tables' owner."""
        return "" if LENDER.kind == "sqlite" else LENDER.owner_url(self.ring.folder, "survey")

    def opened(self) -> tuple[str, list[str]]:
        """Return an open cycle of marked people, and the codes of its links."""
        roster = WORKFORCE.roster_csv.replace(b"@", f"@{self.mark}.".encode())
        cycle = self.ring.draft(roster=roster).json()["cycle"]
        answer = self.ring.client.post(f"/hr/cycles/{cycle}/open", headers=self.ring.hr)
        assert answer.status_code == 200, answer.text
        return cycle, [link["link"].split("#")[1] for link in answer.json()["links"]]

    def close(self, cycle: str) -> None:
        """Close a cycle."""
        assert self.ring.client.post(f"/hr/cycles/{cycle}/close", headers=self.ring.hr).status_code == 200

    def audit(self) -> list[tuple[object, ...]]:
        """Return what operators did."""
        return self.ring.query("SELECT day, action, cycle, reason FROM audit ORDER BY id")

    def state(self, cycle: str) -> object:
        """Return the state of a cycle."""
        return self.ring.query("SELECT state FROM cycle WHERE id = :cycle", cycle=cycle)[0][0]


@dataclass
class Aggregate:
    """Aggregate as ``void`` calls it: it answers with one status, or is away."""

    status: int = 200
    kind: str = ""
    calls: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.calls += 1
        if self.status == 0:
            raise httpx.ConnectError("away")
        body = {
            "type": f"urn:fairpatch:problem:{self.kind}",
            "detail": "A released cycle can't be made void.",
        }
        return httpx.Response(self.status, json=body)


@contextmanager
def running_survey(folder: Path) -> Iterator[Survey]:
    """Yield survey, running."""
    with running_ring(folder) as ring:
        settings = SurveySettings(
            service="survey",
            folder=ring.folder,
            port=1,
            url="http://survey",
            database=LENDER.url(ring.folder, "survey"),
            peers={
                name: Peer(url=f"http://{name}", public_key=b64(ring.peers.identity.public))
                for name in ("aggregate", "report")
            },
        )
        save_settings(settings)
        # The ring's own is shorter than any that init writes; it was read when survey started.
        (ring.folder / "hr.key").write_bytes(b"d" * 43)
        yield Survey(ring, f"canary{secrets.token_hex(6)}")
