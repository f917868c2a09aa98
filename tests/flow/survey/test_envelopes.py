"""P8 and P1 at survey's door: what is not a good envelope is refused by name, and changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import inspect

from services.protocol.encoding import sha256
from services.survey.tables import METADATA
from tests.flow.survey.phones import Hand, hand_of
from tests.flow.survey.ring import Ring
from tests.stores import LENDER

SHEET, OTHER = "support-result", "flag-result"


@pytest.fixture(scope="module")
def hands(ring: Ring) -> tuple[Hand, Hand]:
    """Two reps of two cycles, each with a stored sheet."""
    made = []
    for _ in range(2):
        cycle, codes = ring.opened()
        hand = hand_of(ring, cycle, codes[0])
        assert hand.post(hand.seal(SHEET).encode())[0] == 201
        made.append(hand)
    return made[0], made[1]


def box(ring: Ring) -> bytes:
    """Return a digest of all that is stored in the box."""
    rows = ring.query("SELECT * FROM box ORDER BY 1, 2, 3")
    return sha256(repr(rows).encode())


def flipped(data: bytes, at: int) -> bytes:
    """Return the bytes with one bit of byte ``at`` turned."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def foreign_key(hand: Hand) -> bytes:
    """Return an envelope whose key the token doesn't name, signed by that key."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hand.signed(replace(hand.seal(SHEET, counter=9), public_key=point), key).encode()


def with_token(hand: Hand, token: bytes) -> bytes:
    """Return an envelope under another token, signed by the rep's own key."""
    held = hand.passes[SHEET].private_key
    return hand.signed(replace(hand.seal(SHEET, counter=9), token=token), held).encode()


def swapped(hand: Hand) -> bytes:
    """Return an envelope whose sealed part was put there after signing."""
    return replace(hand.seal(SHEET, counter=9), sealed=hand.seal(SHEET).sealed).encode()


MALICIOUS: dict[str, tuple[Callable[[Hand, Hand], bytes], int, str]] = {
    "version": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 0), 422, "envelope-format"),
    "suite": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 1), 422, "envelope-format"),
    "kind": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 2), 403, "envelope-signature"),
    "counter": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 6), 403, "envelope-signature"),
    "token type": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 8), 422, "envelope-format"),
    "token nonce": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 20), 403, "envelope-token"),
    "token digest": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 50), 403, "envelope-token"),
    "token key id": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 80), 403, "envelope-token"),
    "authenticator": (
        lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 200),
        403,
        "envelope-token",
    ),
    "public key": (
        lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 380),
        403,
        "envelope-signature",
    ),
    "signature": (
        lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 450),
        403,
        "envelope-signature",
    ),
    "enc": (lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 500), 403, "envelope-signature"),
    "ciphertext": (
        lambda a, b: flipped(a.seal(SHEET, counter=9).encode(), 600),
        403,
        "envelope-signature",
    ),
    "swapped ciphertext": (lambda a, b: swapped(a), 403, "envelope-signature"),
    "token of another sheet": (lambda a, b: with_token(a, a.tokens[OTHER]), 403, "envelope-signature"),
    "token of another cycle": (lambda a, b: with_token(a, b.tokens[SHEET]), 403, "envelope-token"),
    "envelope of another manifest": (lambda a, b: b.seal(SHEET).encode(), 403, "envelope-token"),
    "foreign key": (lambda a, b: foreign_key(a), 403, "envelope-signature"),
    "stale counter": (lambda a, b: a.seal(SHEET, counter=4).encode(), 409, "envelope-stale"),
    "same counter, other bytes": (
        lambda a, b: a.seal(SHEET, counter=5).encode(),
        409,
        "envelope-conflict",
    ),
    "short": (lambda a, b: a.seal(SHEET, counter=9).encode()[:-1], 422, "envelope-format"),
    "long": (lambda a, b: a.seal(SHEET, counter=9).encode() + b"\x00", 422, "envelope-format"),
    "empty": (lambda a, b: b"", 422, "envelope-format"),
    "too large": (lambda a, b: bytes(5000), 413, "too-large"),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_envelope_is_refused_and_changes_nothing(
    ring: Ring, hands: tuple[Hand, Hand], name: str
) -> None:
    make, status, kind = MALICIOUS[name]
    before = box(ring)
    assert hands[0].post(make(*hands)) == (status, kind)
    assert box(ring) == before


def test_a_good_envelope_after_all_of_them_is_taken(ring: Ring, hands: tuple[Hand, Hand]) -> None:
    before = box(ring)
    assert hands[0].post(hands[0].seal(SHEET, counter=10).encode())[0] == 201
    assert box(ring) != before


def test_the_same_bytes_are_acknowledged_again_and_stored_once(ring: Ring, hands: tuple[Hand, Hand]) -> None:
    sealed = hands[0].seal(OTHER, counter=3).encode()
    assert hands[0].post(sealed)[0] == 201
    before = box(ring)
    assert hands[0].post(sealed)[0] == 201
    assert box(ring) == before


def test_nothing_is_stored_beside_nonce_counter_hash_and_envelope(ring: Ring) -> None:
    columns = list(METADATA.tables["box"].columns.keys())
    assert columns == ["cycle", "sheet", "nonce", "counter", "envelope_hash", "envelope"]
    database = LENDER.open(ring.folder, "survey")
    assert [column["name"] for column in inspect(database.engine).get_columns("box")] == columns
    if database.is_sqlite:
        ((statement,),) = ring.query("SELECT sql FROM sqlite_master WHERE name = 'box'")
        assert "WITHOUT ROWID" in str(statement)
    database.close()
