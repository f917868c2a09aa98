"""Opening: RFC 9180 vectors, round trips, and one answer for every cause of failure."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from services.aggregate.core.opener import InvalidOpeningKey, Opener, SealBroken, open_sealed
from services.protocol import envelope
from tests.unit.aggregate.factory import opening_key, point

VECTORS = Path(__file__).parents[2] / "vectors"
MH = bytes(range(32))
SHEET = "support-result"
RAW_KEY = opening_key(SHEET).private_numbers().private_value.to_bytes(32, "big")
NONCE = envelope.nonce(point(opening_key("a phone")))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the vectors of a file."""
    found: list[dict[str, Any]] = json.loads((VECTORS / name).read_text("utf-8"))["vectors"]
    assert found
    return found


def sealed(
    plaintext: bytes = b"a sheet", *, mh: bytes = MH, sheet: str = SHEET, nonce: bytes = NONCE
) -> bytes:
    """Return a plaintext sealed for the sheet's key."""
    public_key = point(opening_key(SHEET))
    return envelope.seal(
        plaintext, public_key=public_key, suite=1, manifest_hash=mh, sheet=sheet, nonce=nonce
    )


def opener() -> Opener:
    """Return the opener of the sheet."""
    return Opener(RAW_KEY, suite=1, manifest_hash=MH, sheet=SHEET)


def decrypt_with_aad(suite: Suite, key: Any, vector: dict[str, Any]) -> bytes:
    """Open a vector's first encryption; the vectors have an aad, which the public call does not take."""
    first = vector["encryptions"][0]
    return openssl.hpke._decrypt_with_aad(
        suite,
        bytes.fromhex(vector["enc"] + first["ct"]),
        key,
        bytes.fromhex(vector["info"]),
        bytes.fromhex(first["aad"]),
    )


def test_suite_1_opens_the_vectors_of_rfc_9180() -> None:
    for vector in vectors("rfc9180_base_p256_sha256_aes128gcm.json"):
        assert (vector["kem_id"], vector["kdf_id"], vector["aead_id"]) == (0x10, 1, 1)
        key = ec.derive_private_key(int(vector["skRm"], 16), ec.SECP256R1())
        assert point(key).hex() == vector["pkRm"]
        opened = decrypt_with_aad(envelope.SUITES[1], key, vector)
        assert opened.hex() == vector["encryptions"][0]["pt"]


def test_reserved_suite_2_opens_the_vectors_of_rfc_9180() -> None:
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
    for vector in vectors("rfc9180_base_x25519_sha256_aes128gcm.json"):
        assert (vector["kem_id"], vector["kdf_id"], vector["aead_id"]) == (0x20, 1, 1)
        key = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))
        assert decrypt_with_aad(suite, key, vector).hex() == vector["encryptions"][0]["pt"]


def test_opens_what_was_sealed_for_this_key_manifest_sheet_and_token() -> None:
    where: dict[str, Any] = {"suite": 1, "manifest_hash": MH, "sheet": SHEET, "nonce": NONCE}
    assert open_sealed(sealed(b"x" * 49), private_key=RAW_KEY, **where) == b"x" * 49


def test_one_opener_opens_2000_sheets_each_under_its_own_token() -> None:
    one = opener()
    nonces = [envelope.nonce(i.to_bytes(2, "big")) for i in range(2000)]
    boxes = [sealed(nonce[:2], nonce=nonce) for nonce in nonces]
    opened = [one.plaintext(box, nonce=nonce) for box, nonce in zip(boxes, nonces, strict=True)]
    assert opened == [nonce[:2] for nonce in nonces]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x04",
        sealed()[:-1],
        sealed() + b"\x00",
        bytes([sealed()[0] ^ 1]) + sealed()[1:],
        bytes(65) + sealed()[65:],
        b"\x04" + bytes(64) + sealed()[65:],
        sealed()[:65] + sealed()[65:][::-1],
        sealed(mh=bytes(32)),
        sealed(sheet="support-group"),
        sealed(nonce=envelope.nonce(b"another phone")),
    ],
    ids=range(11),
)
def test_every_failure_looks_alike_and_has_no_cause(broken: bytes) -> None:
    with pytest.raises(SealBroken, match=r"^a sealed sheet does not open$") as refused:
        opener().plaintext(broken, nonce=NONCE)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_every_flipped_byte_breaks_the_seal() -> None:
    whole, one = sealed(), opener()
    for i in range(len(whole)):
        with pytest.raises(SealBroken):
            one.plaintext(whole[:i] + bytes([whole[i] ^ 0x10]) + whole[i + 1 :], nonce=NONCE)


def test_another_key_does_not_open() -> None:
    other = Opener((9).to_bytes(32, "big"), suite=1, manifest_hash=MH, sheet=SHEET)
    with pytest.raises(SealBroken):
        other.plaintext(sealed(), nonce=NONCE)


@pytest.mark.parametrize("key", [b"", b"\x01" * 31, b"\x01" * 33, bytes(32), ORDER.to_bytes(32, "big")])
def test_bad_keys_are_refused_without_repeating_them(key: bytes) -> None:
    with pytest.raises(InvalidOpeningKey, match=r"^not an opening key of a known suite$") as refused:
        Opener(key, suite=1, manifest_hash=MH, sheet=SHEET)
    assert refused.value.__cause__ is None


def test_unknown_suite_is_refused() -> None:
    with pytest.raises(InvalidOpeningKey):
        Opener(RAW_KEY, suite=2, manifest_hash=MH, sheet=SHEET)


def test_an_opener_neither_prints_nor_travels() -> None:
    assert RAW_KEY.hex() not in repr(opener())
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(opener())
