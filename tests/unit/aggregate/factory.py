"""A made-up cycle with real keys: manifests, sealed sheets and tallies for the tests of aggregate."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.aggregate.core.rules import SheetRules, rules_of
from services.aggregate.core.tally import Tally
from services.protocol import commitments, envelope, manifest, plan, sheet, token
from services.protocol.encoding import b64

Cell = tuple[int, int]
CONTEXTS = ("attainment", "activity", "group", "hit")
WIDTH = 4
SCORES = {"attainment": (-1.0, -1 / 3, 1 / 3, 1.0), "activity": (-1.0, 0.0, 1.0), "hit": (0.0, 1.0)}


NOT_A_BUDGET: list[Any] = [
    0,
    0.0,
    -0.0,
    -1,
    -0.5,
    math.nan,
    math.inf,
    -math.inf,
    5e-324,
    2.0**-1023,
    10**400,
    "0.5",
    b"1",
    True,
    None,
    [0.5],
    np.array([0.5]),
]
"""What no epsilon, delta or scale may be."""


@cache
def issuer_key(name: str) -> rsa.RSAPrivateKey:
    """Return the issuer key of a sheet, made once."""
    return rsa.generate_private_key(65537, 2048)


@cache
def opening_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the opening key of a sheet."""
    scalar = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") // 2 + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public point of a key, uncompressed."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def secret_of(name: str, value: int) -> bytes:
    """Return the secret that certifies a value."""
    return hashlib.sha256(f"secret {name} {value}".encode()).digest()


def commitment(name: str, value: int) -> bytes:
    """Return the commitment of a value."""
    return commitments.commit(name, commitments.encode_value(value), secret_of(name, value))


def made_commitments(name: str, values: Sequence[int] = range(WIDTH)) -> list[bytes]:
    """Return the commitments of a sheet's values, in manifest order."""
    return [commitment(name, value) for value in values]


def made_bands(context: str, *, merged: bool) -> manifest.Bands:
    """Return bands of one record; ``merged`` puts the highest into its neighbour."""
    scores = SCORES[context]
    into = list(range(len(scores)))
    if merged:
        into[-1] -= 1
    return manifest.Bands(
        edges=tuple(float(i) for i in range(1, len(scores))),
        scores=scores,
        merged_into=tuple(into),
        labels=tuple(f"{context} {i}" for i in range(len(scores))),
    )


def made_manifest(
    *,
    groups: Sequence[int] = (60, 65),
    name: str = "balanced",
    k: int = 10,
    merged: bool = False,
    linked: bool = False,
    elsewhere: int = 0,
) -> manifest.Manifest:
    """Return a manifest that passes every public check, unless reps are ``elsewhere``: in no group."""
    tree = [
        manifest.Group(id=f"g{i}", parent="all", name=f"G{i}", level="group", invited=n)
        for i, n in enumerate(groups)
    ]
    invited = sum(groups) + elsewhere
    company = manifest.Group(id="all", parent=None, name="All", level="company", invited=invited)
    bands = {context: made_bands(context, merged=merged and context == "attainment") for context in SCORES}
    made = plan.make_plan(name, frame=400, contexts=CONTEXTS)
    instrument = manifest.Instrument(
        version="made-up",
        items=(manifest.Item(id="S1", dimension="support", text="Made up"),),
        flags=tuple(f"Reason {i}" for i in range(1, 12)),
        low_at_most=2.75,
        high_at_least=3.75,
        answered_share=2 / 3,
    )
    document = manifest.Manifest.model_validate(
        {
            "cycle": "made-up-2026",
            "company": "Made-up company",
            "title": "Made-up cycle",
            "instrument": instrument.model_dump(),
            "instrument_hash": instrument.digest().hex(),
            "languages": ("en",),
            "mode": "linked" if linked else "sealed",
            "opens": "2026-01-31T12:00:00Z",
            "closes": "2026-02-14T12:00:00Z",
            "latest_close": "2026-02-21T12:00:00Z",
            "outcome_date": "2026-04-30" if linked else None,
            "k": k,
            "invited": invited,
            "frame": invited,
            "groups": [group.model_dump() for group in (company, *tree)],
            "bands": {context: one.model_dump() for context, one in bands.items()},
            "suite": 1,
            "sheets": [made_sheet(sheet_name, groups, invited, bands) for sheet_name in made.sheets],
            "plan": made.model_dump(),
            "delivery": "file",
            "scripts": {},
            "retention": "Made up",
            "sample": False,
            "made_up": True,
            "rehearsal": True,
        }
    )
    return document if elsewhere else manifest.parse(document.model_dump(mode="json"))


def shares(total: int, parts: int) -> tuple[int, ...]:
    """Return ``total`` reps in nearly equal parts."""
    return tuple(total // parts + (part < total % parts) for part in range(parts))


def made_sheet(
    name: str, groups: Sequence[int], invited: int, bands: dict[str, manifest.Bands]
) -> dict[str, object]:
    """Return one sheet of a manifest; with many groups it publishes the root of its commitments."""
    kind = plan.CATALOGUE[name]
    by_group = kind.context == "group"
    values = tuple(range(len(groups))) if by_group else bands[kind.context].live
    listed = made_commitments(name, values)
    root = len(listed) > commitments.MERKLE_ABOVE
    return {
        "name": name,
        "field": kind.field,
        "field_values": kind.field_values,
        "context": kind.context,
        "columns": len(groups) if by_group else plan.CONTEXT_WIDTH[kind.context],
        "values": values,
        "invited": tuple(groups) if by_group else shares(invited, len(values)),
        "commitments": None if root else tuple(b64(one) for one in listed),
        "commitment_root": b64(commitments.merkle_root(listed)) if root else None,
        "issuer_key": b64(token.encode_key(issuer_key(name).public_key())),
        "opening_key": b64(point(opening_key(name))),
    }


def made_tally(counts: Sequence[Sequence[int]], *, blanks: int = 0) -> Tally:
    """Return a tally with these exact counts."""
    exact = np.array(counts, dtype=np.int64)
    return Tally(exact, int(exact.sum()) + blanks, 0, {}, b"", None)


def made_tallies(of: manifest.Manifest, *, counted: int) -> dict[str, Tally]:
    """Return one tally per sheet, ``counted`` sheets each, spread over the live cells."""
    tallies = {}
    for spec in of.sheets:
        exact = np.zeros((spec.field_values, spec.columns), dtype=np.int64)
        cells = [(row, column) for row in range(spec.field_values) for column in spec.values]
        for i in range(counted):
            exact[cells[i % len(cells)]] += 1
        tallies[spec.name] = made_tally(exact.tolist())
    return tallies


@dataclass
class Cycle:
    """A cycle's phones: they make tokens and sealed sheets, honest or not."""

    of: manifest.Manifest = field(default_factory=made_manifest)

    def rules(self, name: str) -> SheetRules:
        """Return the rules of a sheet."""
        return rules_of(self.of, name, made_commitments(name, self.of.sheet(name).values))

    def opening_key(self, name: str) -> bytes:
        """Return the raw opening key of a sheet."""
        return opening_key(name).private_numbers().private_value.to_bytes(32, "big")

    def plaintext(self, name: str, cell: Cell | None) -> bytes:
        """Return the plaintext of one answer, or of a blank."""
        content = sheet.blank(1)
        if cell is not None:
            row, value = cell
            content = sheet.Sheet((row,), commitments.encode_value(value), secret_of(name, value))
        return sheet.encode(content, length=self.of.plaintext_length)

    def token(self, name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return a token of the sheet that names a phone's key."""
        spki = self.of.sheet(name).spki
        challenge = token.challenge(self.of.hash(), name)
        unsigned = token.Token(
            envelope.nonce(point(key)), hashlib.sha256(challenge).digest(), token.key_id(spki), b""
        )
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=token.SALT_BYTES)
        return unsigned.input() + issuer_key(name).sign(unsigned.input(), pss, hashes.SHA384())

    def envelope(
        self,
        name: str,
        plaintext: bytes,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        token: bytes | None = None,
        kind: int = envelope.ANSWERS,
        counter: int = 1,
        sealed: bytes | None = None,
    ) -> bytes:
        """Return a signed envelope; every part may be replaced by a wrong one before it is signed."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        sealed = sealed or envelope.seal(
            plaintext,
            public_key=point(opening_key(name)),
            suite=1,
            manifest_hash=self.of.hash(),
            sheet=name,
            nonce=envelope.nonce(point(key)),
        )
        token = token or self.token(name, key)
        unsigned = envelope.Envelope(1, kind, counter, token, point(key), b"", sealed)
        signature = envelope.encode_signature(key.sign(unsigned.signed_bytes(), ec.ECDSA(hashes.SHA256())))
        return envelope.Envelope(1, kind, counter, token, point(key), signature, sealed).encode()

    def answer(self, name: str, cell: Cell | None) -> bytes:
        """Return the envelope of an honest phone."""
        return self.envelope(name, self.plaintext(name, cell))

    def box(self, name: str, cells: Sequence[Cell | None]) -> bytes:
        """Return an honest box: one envelope per answer, in nonce order."""
        return in_order(self.answer(name, cell) for cell in cells)


def nonce_of(data: bytes) -> bytes:
    """Return the nonce an envelope claims."""
    return token.parse(data[7 : 7 + token.TOKEN_BYTES]).nonce


def in_order(envelopes: Iterable[bytes]) -> bytes:
    """Return envelopes as an honest box has them, in nonce order."""
    ordered = sorted(envelopes, key=nonce_of)
    return b"".join(ordered)
