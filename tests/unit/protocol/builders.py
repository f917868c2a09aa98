"""Parts of the sample cycle for tests of the wire: vectors, keys, tokens and envelopes."""

import copy
import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from services.protocol import envelope, token
from services.protocol.manifest import Manifest
from tests.vectors import reference as ref
from tests.vectors.wire import issuer

VECTORS = Path(__file__).parents[2] / "vectors"
SHEET = "support-group"


@functools.cache
def _read(name: str) -> str:
    return (VECTORS / f"{name}.json").read_text("utf-8")


def vectors(name: str) -> dict[str, Any]:
    """Return a fresh copy of one vector file."""
    return dict(json.loads(_read(name)))


def manifest_document() -> dict[str, Any]:
    """Return a fresh copy of the sample manifest, to be kept or broken."""
    return dict(copy.deepcopy(vectors("fairpatch_manifest")["manifest"]["document"]))


def sample_manifest() -> Manifest:
    """Return the sample manifest."""
    return Manifest.model_validate(manifest_document())


@dataclass(frozen=True)
class Holder:
    """Who holds a token: the key it names and the token itself."""

    key: ec.EllipticCurvePrivateKey
    token: bytes

    def sign(self, unsigned: envelope.Envelope) -> envelope.Envelope:
        """Return the envelope under this holder's token and key."""
        named = replace(unsigned, token=self.token, public_key=ref.point(self.key))
        return replace(named, signature=ref.ecdsa_sign(self.key, named.signed_bytes()))


def issue(challenge: bytes, *, label: str = "phone") -> Holder:
    """Return a valid token of the sample issuer for ``challenge`` and the key made from ``label``."""
    key, numbers = ref.private_key(label), issuer().private_numbers()
    spki = ref.spki(numbers.public_numbers.n, numbers.public_numbers.e)
    nonce = envelope.nonce(ref.point(key))
    text = token.Token(nonce, ref.sha256(challenge), ref.sha256(spki), b"").input()
    signature = ref.pss_sign(text, salt=ref.made_up(label, 48), n=numbers.public_numbers.n, d=numbers.d)
    return Holder(key, text + signature)


def flip(data: bytes, bit: int) -> bytes:
    """Return ``data`` with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
