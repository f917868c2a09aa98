"""One aggregate in a folder: as a flow whose parts can be replaced, or as the whole service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from services.aggregate.app import build_app
from services.aggregate.box import SurveyBox
from services.aggregate.closing import Closing, Noise, Pool
from services.aggregate.flow import Flow
from services.aggregate.keyring import Keyring
from services.aggregate.outbox import Outbox
from services.aggregate.published import Published
from services.aggregate.settings import AggregateSettings
from services.aggregate.store import Store
from services.kit.database import Database
from services.kit.http import peer_client
from services.kit.keys import write_secret
from services.kit.settings import Peer
from services.kit.signing import HEADER, CallSigner
from services.protocol.encoding import b64
from services.protocol.manifest import Manifest
from services.protocol.messages import Proposal
from services.protocol.release import Release
from services.protocol.signed import Service
from tests.flow.aggregate.doubles import Report, Survey, Ticking, heads, inline_pool, shift
from tests.flow.aggregate.factories import (
    COMPANY,
    FLAG_SHEET,
    GROUP_SHEET,
    IDENTITIES,
    make_manifest,
    make_proposal,
    make_upload,
)
from tests.stores import LENDER

CELLS: dict[str, list[tuple[int, int] | None]] = {
    GROUP_SHEET: [(i % 3, i % 2) for i in range(24)] + [None],
    FLAG_SHEET: [(i % 11, i % 2) for i in range(24)] + [None],
}


class Crash(Exception):
    """The process dies here."""


class Crashing:
    """Wraps a part and dies once at a call of one method, before or after it did its work."""

    def __init__(self, part: Any, method: str, *, after: bool = False) -> None:
        self._part, self._method, self._after, self.crashed = part, method, after, False

    def __getattr__(self, name: str) -> Any:
        original = getattr(self._part, name)
        if name != self._method or self.crashed:
            return original

        def dying(*args: Any, **kwargs: Any) -> Any:
            self.crashed = True
            if self._after:
                original(*args, **kwargs)
            raise Crash

        return dying


@dataclass
class Parts:
    """What a flow is made of; a test replaces what it wants to fail."""

    store: Any
    keyring: Any
    box: Any
    outbox: Any
    laplace: Any = shift


@dataclass
class World:
    """A folder with aggregate's state, and its two peers."""

    folder: Path
    clock: Ticking = field(default_factory=Ticking)
    databases: list[Database] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.survey, self.report = Survey(self.clock), Report(self.clock)
        self.settings = AggregateSettings(
            folder=self.folder,
            port=8102,
            url="http://aggregate.test",
            database=LENDER.url(self.folder, "aggregate"),
            workers=1,
            peers={
                name: Peer(url=f"http://{name}.test", public_key=b64(identity.public))
                for name, identity in IDENTITIES.items()
                if name != "aggregate"
            },
        )
        write_secret(self.settings.identity_file, IDENTITIES["aggregate"].private_key.private_bytes_raw())

    def parts(self, *, chunk_envelopes: int = 8) -> Parts:
        """Return the real parts on this folder, as after a start."""
        database = LENDER.open(self.folder, "aggregate")
        self.databases.append(database)
        store = Store(database)
        survey = self._client("survey", httpx.MockTransport(self.survey))
        report = self._client("report", httpx.MockTransport(self.report))
        box = SurveyBox(survey, chunk_envelopes=chunk_envelopes)
        return Parts(store, Keyring(self.settings.keys_folder), box, Outbox(store, report))

    def _client(self, peer: Service, transport: httpx.MockTransport) -> httpx.Client:
        return peer_client(self.settings, IDENTITIES["aggregate"], peer, self.clock, transport)

    def flow(
        self, parts: Parts | None = None, background: Callable[[Callable[[], None]], object] | None = None
    ) -> Flow:
        """Return a flow without processes and threads."""
        parts = parts or self.parts()
        closing = Closing(
            parts.store,
            parts.keyring,
            parts.box,
            Pool(inline_pool, 2),
            Noise(parts.laplace, heads),
            IDENTITIES["aggregate"],
            IDENTITIES["survey"].public,
            self.clock,
        )
        return Flow(
            parts.store,
            parts.keyring,
            closing,
            parts.outbox,
            IDENTITIES["aggregate"],
            IDENTITIES["survey"].public,
            self.clock,
            background or (lambda work: work()),
        )

    def published(self) -> Published:
        """Return the public reads."""
        return Published(self.parts().store)

    def opened(self, flow: Flow, proposal: Proposal | None = None, **changes: Any) -> Manifest:
        """Take a cycle to its accepted manifest."""
        proposal = proposal or make_proposal()
        manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
        manifest = manifest.model_copy(update=changes)
        flow.accept_manifest(proposal.cycle, make_upload(manifest))
        return manifest

    def closed(self, flow: Flow, proposal: Proposal | None = None, **options: Any) -> Manifest:
        """Take a cycle to its close, with the sheets of ``CELLS`` in the box."""
        manifest = self.opened(flow, proposal, **options)
        self.survey.fill(manifest, CELLS)
        self.survey.close(manifest.cycle)
        return manifest

    def release(self, cycle: str) -> Release:
        """Return the release that is on record."""
        return Release.model_validate(self.published().release(cycle).document)

    def micro(self, flow: Flow, year: int = 2026) -> dict[str, tuple[int, int]]:
        """Return (reserved, committed) of each account."""
        accounts = flow.ledger(COMPANY, year).accounts
        return {one.account: (one.reserved_micro, one.committed_micro) for one in accounts}

    def key_files(self) -> list[Path]:
        """Return the opening keys that lie on disk."""
        return sorted(self.settings.keys_folder.rglob("*.key"))

    @contextmanager
    def service(self) -> Iterator["Running"]:
        """Run the whole service in process."""
        app = build_app(
            self.settings,
            clock=self.clock,
            survey_transport=httpx.MockTransport(self.survey),
            report_transport=httpx.MockTransport(self.report),
        )
        with TestClient(app, base_url="http://aggregate.test", raise_server_exceptions=False) as client:
            yield Running(client, self)

    def stop(self) -> None:
        """Close what was opened."""
        for database in self.databases:
            database.close()
        LENDER.take_back(self.folder)


@dataclass
class Running:
    """The running service, as its peers call it."""

    client: TestClient
    world: World

    def call(
        self, method: str, path: str, body: bytes | None = None, *, peer: Service = "survey"
    ) -> httpx.Response:
        """Make a signed call."""
        return self.send(method, path, body, self.signature(method, path, body, peer=peer))

    def signature(
        self, method: str, path: str, body: bytes | None = None, *, peer: Service = "survey"
    ) -> str:
        """Return the signature header of a call."""
        request = httpx.Request(method, f"http://aggregate.test{path}", content=body)
        signer = CallSigner(IDENTITIES[peer], peer, "aggregate", self.world.clock)
        return next(signer.auth_flow(request)).headers[HEADER]

    def send(
        self, method: str, path: str, body: bytes | None = None, signature: str | None = None
    ) -> httpx.Response:
        """Send a request with this signature header, or without one."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if signature is not None:
            headers[HEADER] = signature
        answer = self.client.request(method, path, content=body, headers=headers)
        return httpx.Response(
            answer.status_code, headers=list(answer.headers.items()), content=answer.content
        )
