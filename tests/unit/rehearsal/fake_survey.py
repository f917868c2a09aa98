"""A survey and an aggregate small enough to read, real enough to sign, verify, store and open."""

from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.protocol import commitments, envelope, manifest, messages, plan, receipts, sheet, signed, token
from services.protocol.encoding import b64, canonical, sha256, unb64
from services.rehearsal.phone import CycleView, Line, Phone, PinnedKeys, fetch_manifest

SURVEY, AGGREGATE, CYCLE, CODE = "https://survey.test", "https://aggregate.test", "spring-24", "code-of-rep-1"
GROUPS = tuple(f"Group {i}" for i in range(commitments.MERKLE_ABOVE + 1))
"""So many that the manifest publishes only the root of their commitments."""
CONTEXTS = ("attainment", "activity", "group", "hit")
PLAN = plan.make_plan("balanced", frame=1800, contexts=CONTEXTS)
LIVE = {
    "attainment": (0, 1, 3),
    "activity": (0, 1, 2),
    "hit": (0, 1),
    "group": tuple(range(len(GROUPS))),
}
INVITED = {"attainment": 600, "activity": 500, "hit": 900, "group": 10}
"""How many share each value: everybody has a group, 1,800 of 2,010 have results, 1,500 have activity."""
Change = Callable[[dict[str, Any]], object]


@cache
def issuer_key(name: str) -> rsa.RSAPrivateKey:
    """Return the issuer key of a sheet; made once, because making one is slow."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def opening_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the private opening key of a sheet."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


def raw(key: Ed25519PrivateKey) -> bytes:
    """Return the raw public key."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def secret(name: str, value: int) -> bytes:
    """Return the secret that everyone with this value shares."""
    return sha256(b"secret", name.encode(), bytes([value]))


def leaves(name: str) -> list[bytes]:
    """Return the commitments of a sheet in manifest order."""
    return [
        commitments.commit(name, commitments.encode_value(value), secret(name, value))
        for value in LIVE[plan.CATALOGUE[name].context]
    ]


def make_spec(name: str) -> manifest.SheetSpec:
    """Return one sheet of the manifest, with its commitments or with their root only."""
    kind, hidden = plan.CATALOGUE[name], leaves(name)
    root = len(hidden) > commitments.MERKLE_ABOVE
    point = opening_key(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return manifest.SheetSpec(
        name=name,
        field=kind.field,
        field_values=kind.field_values,
        context=kind.context,
        columns=plan.CONTEXT_WIDTH.get(kind.context, len(GROUPS)),
        values=LIVE[kind.context],
        invited=(INVITED[kind.context],) * len(LIVE[kind.context]),
        commitments=None if root else tuple(b64(leaf) for leaf in hidden),
        commitment_root=b64(commitments.merkle_root(hidden)) if root else None,
        issuer_key=b64(token.encode_key(issuer_key(name).public_key())),
        opening_key=b64(point),
    )


def make_instrument() -> manifest.Instrument:
    """Return an instrument with the 18 item ids and 11 reasons."""
    dimensions = (("capability", 4), ("alignment", 4), ("motivation", 4), ("support", 6))
    return manifest.Instrument(
        version="test",
        items=tuple(
            manifest.Item.model_validate({"id": f"{d[0].upper()}{i}", "dimension": d, "text": "?"})
            for d, count in dimensions
            for i in range(1, count + 1)
        ),
        flags=tuple(f"reason {i}" for i in range(1, 12)),
        low_at_most=2.75,
        high_at_least=3.75,
        answered_share=2 / 3,
    )


def make_bands(merged_into: tuple[int, ...]) -> manifest.Bands:
    """Return bands whose columns went where ``merged_into`` says."""
    labels = tuple(f"band {i}" for i in range(len(merged_into)))
    return manifest.Bands(
        edges=(0.7, 1.0, 1.2)[: len(labels) - 1],
        scores=tuple(float(i) for i in range(len(labels))),
        merged_into=merged_into,
        labels=labels,
    )


def make_manifest(**changes: Any) -> manifest.Manifest:
    """Return a manifest of 2,010 invited in 201 groups; ``support-group`` publishes a root only."""
    instrument = make_instrument()
    groups = [manifest.Group(id="all", parent=None, name="All", level="company", invited=2010)]
    groups += [
        manifest.Group(id=f"g{i}", parent="all", name=name, level="group", invited=10)
        for i, name in enumerate(GROUPS)
    ]
    fields: dict[str, Any] = {
        "cycle": CYCLE,
        "company": "Sample",
        "title": "Spring",
        "instrument": instrument,
        "instrument_hash": instrument.digest().hex(),
        "languages": ("en",),
        "mode": "sealed",
        "opens": "2026-01-01T00:00:00Z",
        "closes": "2026-01-15T00:00:00Z",
        "latest_close": "2026-01-22T00:00:00Z",
        "outcome_date": None,
        "k": 10,
        "invited": 2010,
        "frame": 1800,
        "groups": tuple(groups),
        "bands": {
            "attainment": make_bands((0, 1, 1, 3)),
            "activity": make_bands((0, 1, 2)),
            "hit": make_bands((0, 1)),
        },
        "suite": 1,
        "sheets": tuple(make_spec(name) for name in PLAN.sheets),
        "plan": PLAN,
        "delivery": "file",
        "scripts": {},
        "retention": "Until the release.",
        "sample": True,
        "made_up": True,
        "rehearsal": True,
    }
    return manifest.Manifest(**(fields | changes))


class FakeServices:
    """Both services behind one transport; ``changes`` tamper with replies, ``faults`` with delivery."""

    def __init__(self, served: manifest.Manifest | None = None) -> None:
        self.manifest = served or make_manifest()
        self.keys = {"survey": Ed25519PrivateKey.generate(), "aggregate": Ed25519PrivateKey.generate()}
        self.pinned = PinnedKeys(raw(self.keys["survey"]), raw(self.keys["aggregate"]))
        self.values: dict[str, int | None] = {
            name: LIVE[plan.CATALOGUE[name].context][-1] for name in PLAN.sheets
        }
        self.documents = {host: self.manifest.model_dump(mode="json") for host in (SURVEY, AGGREGATE)}
        self.changes: dict[str, Change] = {}
        self.faults: list[str] = []
        self.requests: list[httpx.Request] = []
        self.issued: dict[str, dict[str, str]] = {}
        self.box: dict[bytes, bytes] = {}
        self.pauses_seconds: list[float] = []

    def line(self, **options: Any) -> Line:
        """Return a phone's line into these services that notes its pauses instead of waiting."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

        async def sleep(seconds: float) -> None:
            self.pauses_seconds.append(seconds)

        return Line(client, sleep=sleep, **options)

    async def view(self, **options: Any) -> CycleView:
        """Return what a phone learns from both manifests."""
        asked: dict[str, Any] = {
            "survey": SURVEY,
            "aggregate": AGGREGATE,
            "cycle": CYCLE,
            "pinned": self.pinned,
        }
        return await fetch_manifest(self.line(), **(asked | options))

    async def phone(self) -> Phone:
        """Return an invited rep's phone."""
        return Phone(self.line(), await self.view(), CODE)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, with the next fault if one is waiting."""
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise httpx.ConnectError("no signal", request=request)
        if fault == "busy":
            return httpx.Response(503, json={"type": "urn:fairpatch:problem:busy"})
        response = self.answer(request)
        if fault == "reply lost":
            raise httpx.ReadTimeout("no signal", request=request)
        return response

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what the address asks for."""
        call = request.url.path.removeprefix(f"/api/cycles/{CYCLE}/").split("/")[0]
        if call == "envelopes":
            status, reply = self.store(request.content)
        elif call == "receipts":
            stored = {receipts.receipt_hash(data).hex() for data in self.box.values()}
            status, reply = 200, {"stored": request.url.path.split("/")[-1] in stored}
        elif call == "manifest":
            status, reply = 200, self.signed_manifest(f"https://{request.url.host}")
        elif call == "session":
            status, reply = self.session(messages.SessionRequest.model_validate_json(request.content))
        else:
            status, reply = self.issue(messages.TokenRequest.model_validate_json(request.content))
        if call in self.changes:
            self.changes[call](reply)
        return httpx.Response(status, json=reply, headers={"set-cookie": "follow=me"})

    def signed_manifest(self, host: str) -> dict[str, Any]:
        """Return the manifest that ``host`` serves, signed by both services."""
        body = signed.message("manifest", canonical(self.documents[host]))
        return {
            "document": self.documents[host],
            "signatures": {name: b64(key.sign(body)) for name, key in self.keys.items()},
        }

    def session(self, asked: messages.SessionRequest) -> tuple[int, dict[str, Any]]:
        """Return a rep's values with their secrets."""
        if asked.code != CODE:
            return 403, {"type": "urn:fairpatch:problem:link"}
        return 200, {"openings": {name: self.opening(name, value) for name, value in self.values.items()}}

    def opening(self, name: str, value: int | None) -> dict[str, Any] | None:
        """Return one value with its secret, and its proof where only a root is published."""
        if value is None:
            return None
        opening: dict[str, Any] = {"value": value, "secret": b64(secret(name, value))}
        if self.manifest.sheet(name).commitments is None:
            index = LIVE[plan.CATALOGUE[name].context].index(value)
            opening["path"] = [b64(step) for step in commitments.merkle_path(leaves(name), index)]
        return opening

    def issue(self, asked: messages.TokenRequest) -> tuple[int, dict[str, Any]]:
        """Sign blinded messages once per code; the same bytes get the same answer."""
        if self.issued.setdefault(asked.code, asked.blinded) != asked.blinded:
            return 409, {"type": "urn:fairpatch:problem:pass-used"}
        signatures = {}
        for name, blinded in asked.blinded.items():
            numbers = issuer_key(name).private_numbers()
            public = numbers.public_numbers
            signature = pow(int.from_bytes(unb64(blinded, length=256), "big"), numbers.d, public.n)
            signatures[name] = b64(signature.to_bytes(256, "big"))
        return 200, {"signatures": signatures}

    def store(self, data: bytes) -> tuple[int, dict[str, Any]]:
        """Check an envelope and keep the newest under each nonce."""
        parsed = self.parsed(data)
        name = self.sheet_of(parsed)
        challenge = token.challenge(self.manifest.hash(), name)
        nonce = token.verify(parsed.token, spki=self.manifest.sheet(name).spki, challenge=challenge)
        envelope.verify(parsed, token_nonce=nonce)
        stored = self.box.get(nonce)
        if stored is not None and stored != data and counter(stored) >= parsed.counter:
            return 409, {"type": "urn:fairpatch:problem:envelope-stale"}
        self.box[nonce] = data
        digest = receipts.receipt_hash(data)
        signature = self.keys["survey"].sign(signed.message("receipt", digest))
        return 200 if stored == data else 201, {"hash": digest.hex(), "signature": b64(signature)}

    def parsed(self, data: bytes) -> envelope.Envelope:
        """Return the fields of an envelope of the cycle."""
        return envelope.parse(data, length=self.manifest.envelope_length, suite=1)

    def sheet_of(self, parsed: envelope.Envelope) -> str:
        """Return the sheet whose issuer key the token names."""
        named = token.parse(parsed.token).key_id
        return next(spec.name for spec in self.manifest.sheets if token.key_id(spec.spki) == named)

    def open_box(self) -> dict[str, tuple[int, sheet.Sheet]]:
        """Return kind and content of every stored sheet, as aggregate would read it."""
        opened = {}
        for data in self.box.values():
            parsed = self.parsed(data)
            name = self.sheet_of(parsed)
            info = envelope.info(1, self.manifest.hash(), name, envelope.nonce(parsed.public_key))
            plaintext = envelope.SUITES[1].decrypt(parsed.sealed, opening_key(name), info)
            sizes, length = self.manifest.sheet(name).sizes, self.manifest.plaintext_length
            opened[name] = parsed.kind, sheet.decode(plaintext, sizes=sizes, length=length)
        return opened

    def sent(self, call: str) -> list[httpx.Request]:
        """Return the requests of one kind, in order."""
        return [request for request in self.requests if f"/{call}" in request.url.path]


def counter(data: bytes) -> int:
    """Return an envelope's counter."""
    return int.from_bytes(data[3:7], "big")
