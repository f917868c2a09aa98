"""Survey alone, with doubles of aggregate and report that answer in process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient

from services.kit.keys import Identity, new_identity, write_secret
from services.kit.settings import Peer
from services.protocol.encoding import b64, canonical
from services.protocol.manifest import written
from services.protocol.messages import ManifestUpload
from services.protocol.signed import SignedDocument
from services.rehearsal.workforce import make_workforce
from services.survey.app import build_app
from services.survey.core.draft import Options
from services.survey.settings import SurveySettings
from tests.stores import LENDER

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORKFORCE = make_workforce(reps=80, world="seeds", seed=11, response=0.8)


def options(**changes: Any) -> Options:
    """Return the options of a cycle that is open at ``NOW``."""
    chosen: dict[str, Any] = {
        "company": "Acme",
        "title": "Spring",
        "opens": written(NOW - timedelta(minutes=1)),
        "closes": written(NOW + timedelta(days=7)),
        "latest_close": written(NOW + timedelta(days=9)),
        "rehearsal": True,
    }
    return Options(**{**chosen, **changes})


@dataclass
class Peers:
    """Aggregate and report as survey sees them; ``calls`` lists what they were asked."""

    identity: Identity
    calls: list[tuple[str, str]] = field(default_factory=list)
    opening_keys: dict[str, str] = field(default_factory=dict)
    fail_next: int | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.calls.append((request.method, request.url.path))
        if self.fail_next is not None:
            status, self.fail_next = self.fail_next, None
            return httpx.Response(status, json={"type": "urn:fairpatch:problem:busy"})
        if request.method == "POST" and request.url.path == "/internal/cycles":
            sheets = [table["sheet"] for table in json.loads(request.content)["plan"]["tables"]]
            for sheet in sheets:
                self.opening_keys.setdefault(sheet, _point())
            return httpx.Response(201, json={"opening_keys": self.opening_keys})
        if request.method == "PUT" and request.url.host == "aggregate":
            signed = ManifestUpload.model_validate_json(request.content).signed
            mine = self.identity.sign("manifest", canonical(signed.document))
            both = SignedDocument(
                document=signed.document, signatures={**signed.signatures, "aggregate": mine}
            )
            return httpx.Response(200, json=both.model_dump(mode="json"))
        return httpx.Response(200, json={"state": "running", "words": "Opening sheets", "release": None})


@dataclass
class Ring:
    """Survey's app with its doubles."""

    folder: Path
    client: TestClient
    peers: Peers
    survey_key: bytes
    now: list[datetime]

    @property
    def hr(self) -> dict[str, str]:
        """The header that opens HR's door."""
        return {"authorization": "Bearer door"}

    def query(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Return what an operator finds in survey's database."""
        return LENDER.query(self.folder, "survey", statement, **values)

    def draft(self, chosen: Options | None = None, **files: bytes) -> httpx.Response:
        """Upload a roster and results."""
        return self.client.post(
            "/hr/cycles",
            headers=self.hr,
            files={
                "roster": ("roster.csv", files.get("roster", WORKFORCE.roster_csv)),
                "results": ("results.csv", files.get("results", WORKFORCE.results_csv)),
            },
            data={"options": (chosen or options()).model_dump_json()},
        )

    def opened(self) -> tuple[str, list[str]]:
        """Return an open cycle and the codes of its links."""
        cycle = self.draft().json()["cycle"]
        answer = self.client.post(f"/hr/cycles/{cycle}/open", headers=self.hr)
        assert answer.status_code == 200, answer.text
        return cycle, [link["link"].split("#")[1] for link in answer.json()["links"]]


@contextmanager
def running_ring(folder: Path) -> Iterator[Ring]:
    """Yield survey in process."""
    (folder / "survey").mkdir()
    identity, aggregate = new_identity(folder / "survey" / "identity.key"), new_identity(folder / "a.key")
    write_secret(folder / "survey" / "hr.key", b"door")
    settings = SurveySettings(
        service="survey",
        folder=folder / "survey",
        port=1,
        url="http://survey",
        database=LENDER.url(folder / "survey", "survey"),
        peers={
            "aggregate": Peer(url="http://aggregate", public_key=b64(aggregate.public)),
            "report": Peer(url="http://report", public_key=b64(aggregate.public)),
        },
    )
    peers, now = Peers(aggregate), [NOW]
    app = build_app(
        settings,
        clock=lambda: now[0],
        aggregate_transport=httpx.MockTransport(peers),
        report_transport=httpx.MockTransport(peers),
    )
    with TestClient(app, base_url="http://survey") as client:
        yield Ring(folder / "survey", client, peers, identity.public, now)


def _point() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return b64(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
