"""Signed manifests and releases as aggregate and survey would send them, with numbers fixed by hand."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from services.kit.keys import Identity
from services.kit.settings import Peer
from services.kit.signing import CallSigner
from services.protocol import token
from services.protocol.encoding import b64, canonical, sha256
from services.protocol.frame import Frame, GroupRecords, Indicator, Records, SheetCounts
from services.protocol.manifest import Bands, Group, Instrument, Item, Manifest, SheetSpec, parse
from services.protocol.plan import CATALOGUE, MICRO, SUPPORT_GROUP, Plan, PlanTable, laplace_scale, make_plan
from services.protocol.release import FIRST, GroupState, LedgerLine, NoisyTable, Release, SheetTotals
from services.protocol.signed import Purpose, Service, SignedDocument
from services.report.app import build_app
from services.report.settings import ReportSettings
from tests.stores import LENDER

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
CYCLE = "spring-2026"
COMPANY = "Composite Tools"
GROUPS = {"north": 150, "south": 100, "east": 72, "west": 50, "lakes": 28}
HELD = "west"

ATTAINMENT = Bands(
    edges=(0.7, 1.0, 1.2),
    scores=(-1.0, -1 / 3, 1 / 3, 1.0),
    merged_into=(0, 1, 2, 3),
    labels=("under 70 %", "70 to 100 %", "100 to 120 %", "120 % and more"),
)
ACTIVITY = Bands(
    edges=(1 / 3, 2 / 3),
    scores=(-1.0, 0.0, 1.0),
    merged_into=(0, 1, 2),
    labels=("lower", "middle", "upper"),
)
HIT = Bands(edges=(1.0,), scores=(0.0, 1.0), merged_into=(0, 1), labels=("missed", "hit"))
CONTEXT_INVITED = {"attainment": (150, 70, 60, 120), "activity": (134, 133, 133), "hit": (220, 180)}
SUPPORT_ROWS = ((74, 23, 14, 6), (36, 27, 20, 30), (16, 10, 17, 66))
TABLES: dict[str, tuple[tuple[int, ...], ...]] = {
    "support-result": SUPPORT_ROWS,
    "support-activity": ((40, 39, 37), (38, 37, 39), (36, 38, 34)),
    "capability-result": ((36, 16, 12, 24), (52, 24, 22, 40), (38, 20, 17, 38)),
    "alignment-result": ((34, 17, 12, 26), (50, 25, 20, 41), (40, 19, 16, 39)),
    "motivation-result": ((35, 18, 13, 25), (51, 23, 21, 42), (38, 19, 18, 36)),
    "flag-result": tuple((24 - 2 * row, 6 + row) for row in range(11)),
}
GROUP_COLUMNS = {"north": (60, 40, 28), "south": (18, 30, 37), "east": (19, 21, 21), "lakes": (8, 8, 8)}
ACTIVITY_BY_ATTAINMENT = ((52, 23, 20, 39), (50, 23, 20, 40), (48, 24, 20, 41))
SURVEY = Identity(Ed25519PrivateKey.from_private_bytes(sha256(b"survey")))
AGGREGATE = Identity(Ed25519PrivateKey.from_private_bytes(sha256(b"aggregate")))
STRANGER = Identity(Ed25519PrivateKey.from_private_bytes(sha256(b"stranger")))
IDENTITIES: dict[Service, Identity] = {"survey": SURVEY, "aggregate": AGGREGATE}
ITEMS = (
    ("C1", "capability"),
    ("A1", "alignment"),
    ("M1", "motivation"),
    ("S1", "support"),
    ("S2", "support"),
)
T = TypeVar("T")


def make_manifest(*, plan: Plan | None = None, **changes: Any) -> Manifest:
    """Return a manifest of 400 reps in five groups under the finer plan."""
    plan = plan or make_plan("finer", frame=400, contexts=("attainment", "activity", "hit", "group"))
    instrument = make_instrument()
    values: dict[str, Any] = {
        "cycle": CYCLE,
        "company": COMPANY,
        "title": "Spring 2026",
        "instrument": instrument,
        "instrument_hash": instrument.digest().hex(),
        "languages": ("en",),
        "mode": "sealed",
        "opens": "2026-02-16T08:00:00Z",
        "closes": "2026-03-02T18:00:00Z",
        "latest_close": "2026-03-09T18:00:00Z",
        "outcome_date": None,
        "k": 10,
        "invited": 400,
        "frame": 400,
        "groups": make_groups(),
        "bands": {"attainment": ATTAINMENT, "activity": ACTIVITY, "hit": HIT},
        "suite": 1,
        "sheets": tuple(
            make_sheet(table, index, frame=changes.get("frame", 400))
            for index, table in enumerate(plan.tables)
        ),
        "plan": plan,
        "delivery": "file",
        "scripts": {},
        "retention": "Sealed sheets are destroyed at the close.",
        "sample": True,
        "made_up": False,
        "rehearsal": True,
    } | changes
    return parse(Manifest(**values).model_dump(mode="json"))


def make_instrument() -> Instrument:
    """Return a short instrument; its wording is not under test."""
    return Instrument(
        version="test-1",
        items=tuple(
            Item.model_validate({"id": name, "dimension": dimension, "text": f"Wording of {name}."})
            for name, dimension in ITEMS
        ),
        flags=tuple(f"Reason {number}" for number in range(1, 12)),
        low_at_most=2.75,
        high_at_least=3.75,
        answered_share=2 / 3,
    )


def make_groups() -> tuple[Group, ...]:
    """Return the company and its five groups."""
    company = Group(id="company", parent=None, name=COMPANY, level="company", invited=400)
    return (
        company,
        *(
            Group(id=name, parent="company", name=f"{name.title()} <team>", level="group", invited=size)
            for name, size in GROUPS.items()
        ),
    )


def context_invited(context: str, frame: int) -> tuple[int, ...]:
    """Return how many share each value: everybody has a group, and all of the frame have their results."""
    if context == "group":
        return tuple(GROUPS.values())
    first, *others = (count * frame // 400 for count in CONTEXT_INVITED[context])
    return (frame - sum(others), *others) if context != "activity" else (first, *others)


def make_sheet(table: PlanTable, index: int, *, frame: int) -> SheetSpec:
    """Return one sheet's entry, with keys that are well-formed and open nothing."""
    kind = CATALOGUE[table.sheet]
    invited = context_invited(kind.context, frame)
    modulus = int.from_bytes(b"".join(sha256(bytes([index, part])) for part in range(8)), "big")
    key = rsa.RSAPublicNumbers(65537, modulus | 1 << 2047 | 1).public_key()
    point = ec.derive_private_key(index + 1, ec.SECP256R1()).public_key()
    return SheetSpec(
        name=table.sheet,
        field=kind.field,
        field_values=kind.field_values,
        context=kind.context,
        columns=len(invited),
        values=tuple(range(len(invited))),
        invited=invited,
        commitments=tuple(b64(sha256(bytes([index, value]))) for value in range(len(invited))),
        commitment_root=None,
        issuer_key=b64(token.encode_key(key)),
        opening_key=b64(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
    )


def make_release(manifest: Manifest, *, previous: str = FIRST, **changes: Any) -> Release:
    """Return a release that fits ``manifest``; the group ``west`` is held."""
    values: dict[str, Any] = {
        "kind": "release",
        "cycle": manifest.cycle,
        "company": manifest.company,
        "manifest_hash": manifest.hash().hex(),
        "previous": previous,
        "released_on": "2026-03-03",
        "sheets": {name: make_totals() for name in manifest.plan.sheets},
        "tables": tuple(make_table(manifest, table) for table in manifest.plan.tables),
        "groups": make_states(manifest),
        "ledger": make_ledger(manifest.plan),
        "frame": make_frame(manifest),
    } | changes
    return Release(**values)


def make_totals() -> SheetTotals:
    """Return the totals of one sheet: 340 counted of 344 received."""
    return SheetTotals(
        issued=346, received=344, counted=340, withdrawn=3, rejected={"range": 1}, receipts_root="0" * 64
    )


def make_states(manifest: Manifest) -> tuple[GroupState, ...]:
    """Return the state of every reporting group, if the plan has a table for groups."""
    if SUPPORT_GROUP not in manifest.plan.sheets:
        return ()
    return tuple(
        GroupState(id=group.id, state="held" if group.id == HELD else "shown")
        for group in manifest.reporting_groups()
    )


def make_table(manifest: Manifest, table: PlanTable) -> NoisyTable:
    """Return one released table."""
    spec = manifest.sheet(table.sheet)
    rows: Sequence[str] = manifest.instrument.flags if table.table == "F" else ("low", "middle", "high")
    if spec.context == "group":
        columns = tuple(group.id for group in manifest.reporting_groups())
        counts: tuple[tuple[int | None, ...], ...] = tuple(
            tuple(GROUP_COLUMNS[group][row] if group != HELD else None for group in columns)
            for row in range(3)
        )
    else:
        columns, counts = manifest.bands[spec.context].labels, TABLES[table.sheet]
    return NoisyTable(
        sheet=table.sheet,
        table=table.table,
        state="shown",
        rows=tuple(rows),
        columns=columns,
        noisy_counts=counts,
        mechanism="discrete_laplace",
        scale=laplace_scale(table.epsilon_micro),
        epsilon_micro=table.epsilon_micro,
    )


def make_ledger(plan: Plan) -> tuple[LedgerLine, ...]:
    """Return the committed lines of both accounts."""
    lines = [
        LedgerLine(
            account="answers",
            year=2026,
            key="a" * 64,
            epsilon_micro=plan.answers_micro,
            delta=0.0,
            spent_micro=plan.answers_micro,
            cap_micro=8 * MICRO,
        )
    ]
    if plan.participation_micro:
        lines.append(
            LedgerLine(
                account="participation",
                year=2026,
                key="b" * 64,
                epsilon_micro=plan.participation_micro,
                delta=plan.delta,
                spent_micro=plan.participation_micro,
                cap_micro=8 * MICRO,
            )
        )
    return tuple(lines)


def make_frame(manifest: Manifest, **changes: Any) -> Frame:
    """Return the frame: what the records say of all invited."""
    records: dict[str, Any] = {
        "frame": manifest.frame,
        "hit_share": 0.45,
        "attainment": (60, 90, 40, 30, 60, 80, 40),
        "activity_by_attainment": ACTIVITY_BY_ATTAINMENT,
        "icc_attainment": 0.05,
        "mean_team_size": 12.0,
        "indicators": (
            Indicator(name="territory_index", n=400, r=0.42, low=0.34, high=0.5, lower=0.35, patch=True),
            Indicator(name="calls", n=400, r=0.03, low=-0.07, high=0.13, lower=-0.05, patch=False),
        ),
        "groups": tuple(make_group_records(group) for group in manifest.groups),
        "notes": (),
    } | changes
    return Frame(
        cycle=manifest.cycle,
        manifest_hash=manifest.hash().hex(),
        closed="2026-03-02T18:00:00Z",
        sheets={name: SheetCounts(issued=346, received=344) for name in manifest.plan.sheets},
        records=Records(**records),
    )


def make_group_records(group: Group) -> GroupRecords:
    """Return a group's records; ``lakes`` has too few reps with results to say anything."""
    few = group.id == "lakes"
    return GroupRecords(
        id=group.id,
        with_results=6 if few else group.invited,
        hit_share=None if few else 0.45,
        median_attainment=None if few else 0.93,
        territory_index=None if few else 0.88,
    )


def sign(document: Manifest | Release, purpose: Purpose, *signers: Service) -> SignedDocument:
    """Return a document with the signatures of ``signers``."""
    body = document.encode()
    return SignedDocument(
        document=document.model_dump(mode="json"),
        signatures={name: IDENTITIES[name].sign(purpose, body) for name in signers},
    )


def signed_manifest(manifest: Manifest) -> SignedDocument:
    """Return a manifest with both signatures."""
    return sign(manifest, "manifest", "survey", "aggregate")


def signed_release(release: Release) -> SignedDocument:
    """Return a release with aggregate's signature."""
    return sign(release, "release", "aggregate")


@dataclass
class House:
    """A report service in one process, and calls to it as its peers or a reader make them."""

    app: FastAPI
    now: Callable[[], datetime] = field(default=lambda: NOW)

    def send(
        self,
        method: str,
        path: str,
        *,
        peer: Service | None = None,
        identity: Identity | None = None,
        body: SignedDocument | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Make one request; with ``peer`` it is signed as that service signs."""
        auth = None
        if peer is not None:
            auth = CallSigner(identity or IDENTITIES[peer], peer, "report", self.now)
        content = canonical(body.model_dump(mode="json")) if body is not None else None
        sent = {"content-type": "application/json"} if content is not None else {}
        return asyncio.run(self._send(method, path, auth, content, sent | dict(headers or {})))

    async def _send(
        self, method: str, path: str, auth: httpx.Auth | None, content: bytes | None, headers: dict[str, str]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://report.test") as client:
            return await client.request(method, path, content=content, headers=headers, auth=auth)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Read a page; header names are written with underscores."""
        return self.send(
            "GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    def put_manifest(self, manifest: Manifest) -> httpx.Response:
        """Push a manifest as survey does."""
        path = f"/internal/cycles/{manifest.cycle}/manifest"
        return self.send("PUT", path, peer="survey", body=signed_manifest(manifest))

    def post_release(self, release: Release) -> httpx.Response:
        """Push a release as aggregate does."""
        return self.send("POST", "/internal/releases", peer="aggregate", body=signed_release(release))


def make_settings(folder: Path) -> ReportSettings:
    """Return settings with a database file of its own."""
    return ReportSettings(
        folder=folder,
        port=8103,
        url="http://report.test",
        database=LENDER.url(folder, "report"),
        peers={
            name: Peer(url=f"http://{name}.test", public_key=b64(identity.public))
            for name, identity in IDENTITIES.items()
        },
    )


HOUSES: list[House] = []
"""Houses whose databases are open; the tests' conftest closes them."""


def make_house(folder: Path) -> House:
    """Return a report service that knows nothing yet."""
    house = House(build_app(make_settings(folder), clock=lambda: NOW))
    HOUSES.append(house)
    return house


def make_released_house(folder: Path, manifest: Manifest | None = None, **changes: Any) -> House:
    """Return a report service that holds one released cycle."""
    house, manifest = make_house(folder), manifest or make_manifest()
    assert house.put_manifest(manifest).status_code == 200
    answer = house.post_release(make_release(manifest, **changes))
    assert answer.status_code == 201, answer.text
    return house
