"""Envelopes at protocol level: a hostile phone, network or survey changes something, and it shows."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from services.protocol import envelope, sheet, token
from tests.unit.protocol.builders import SHEET, Holder, flip, issue, sample_manifest
from tests.vectors import reference as ref

CYCLE = sample_manifest()
SPEC = CYCLE.sheet(SHEET)
LENGTH = CYCLE.envelope_length
CHALLENGE = token.challenge(CYCLE.hash(), SHEET)
OPENER = ref.private_key(f"{SHEET} key")
PLAINTEXT = sheet.encode(sheet.blank(1), length=CYCLE.plaintext_length)
FIELDS = {
    "version": (0, 1),
    "suite": (1, 2),
    "kind": (2, 3),
    "counter": (3, 7),
    "token": (7, 361),
    "public key": (361, 426),
    "signature": (426, 490),
    "encapsulated key": (490, 555),
    "ciphertext": (555, 620),
}


def seal(holder: Holder) -> bytes:
    return envelope.seal(
        PLAINTEXT,
        public_key=ref.point(OPENER),
        suite=1,
        manifest_hash=CYCLE.hash(),
        sheet=SHEET,
        nonce=nonce_of(holder),
    )


def nonce_of(holder: Holder) -> bytes:
    return envelope.nonce(ref.point(holder.key))


def opened(sealed: bytes, holder: Holder, key: ec.EllipticCurvePrivateKey = OPENER) -> bytes:
    info = envelope.info(1, CYCLE.hash(), SHEET, nonce_of(holder))
    return envelope.SUITES[1].decrypt(sealed, key, info)


def make(holder: Holder, *, kind: int = 0, counter: int = 7) -> envelope.Envelope:
    return holder.sign(envelope.Envelope(1, kind, counter, b"", b"", b"", seal(holder)))


def accept(data: bytes) -> envelope.Envelope:
    """Check an envelope as survey and aggregate do: form, token, key."""
    fields = envelope.parse(data, length=LENGTH, suite=1)
    nonce = token.verify(fields.token, spki=SPEC.spki, challenge=CHALLENGE)
    envelope.verify(fields, token_nonce=nonce)
    return fields


HOLDER = issue(CHALLENGE)
GOOD = make(HOLDER).encode()
REFUSALS = (envelope.InvalidEnvelope, token.InvalidToken)
WHERE: dict[str, Any] = {"suite": 1, "manifest_hash": bytes(32), "sheet": SHEET, "nonce": bytes(32)}


def test_a_good_envelope_is_accepted_and_opens() -> None:
    assert opened(accept(GOOD).sealed, HOLDER) == PLAINTEXT
    assert len(GOOD) == LENGTH == 620


def test_answers_and_withdrawals_have_one_length() -> None:
    assert len(make(HOLDER, kind=envelope.WITHDRAWAL).encode()) == len(GOOD)


@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_bit_anywhere_is_refused(field: str) -> None:
    start, end = FIELDS[field]
    for bit in range(8 * start, 8 * end, 1 if end - start < 8 else 13):
        with pytest.raises(REFUSALS):
            accept(flip(GOOD, bit))


def test_the_fields_cover_every_byte() -> None:
    assert [start for start, _ in FIELDS.values()] == [0, *(end for _, end in list(FIELDS.values())[:-1])]


@pytest.mark.parametrize(
    "data",
    [b"", GOOD[:1], GOOD[:490], GOOD[:-1], GOOD + b"\x00", GOOD * 2, bytes(LENGTH)],
    ids=["empty", "a byte", "header", "short", "long", "twice", "zeros"],
)
def test_short_long_empty_and_blank_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(envelope.InvalidEnvelope):
        envelope.parse(data, length=LENGTH, suite=1)


@pytest.mark.parametrize(("at", "value"), [(0, 0), (0, 2), (1, 0), (1, 2), (1, 3), (2, 2), (2, 255)])
def test_other_versions_suites_and_kinds_are_refused(at: int, value: int) -> None:
    with pytest.raises(envelope.InvalidEnvelope, match="version, suite or kind"):
        envelope.parse(GOOD[:at] + bytes([value]) + GOOD[at + 1 :], length=LENGTH, suite=1)


@pytest.mark.parametrize("change", [{"kind": 1}, {"counter": 8}, {"sealed": seal(HOLDER)}])
def test_a_thief_of_the_envelope_can_change_nothing(change: dict[str, int | bytes]) -> None:
    # Survey holds token and public key of every envelope; what it lacks is the private key.
    swapped = replace(accept(GOOD), **change)  # type: ignore[arg-type]
    with pytest.raises(envelope.InvalidEnvelopeSignature, match="signature"):
        accept(swapped.encode())


def test_a_foreign_key_under_a_stolen_token_is_refused() -> None:
    thief = Holder(ref.private_key("thief"), HOLDER.token)
    with pytest.raises(envelope.InvalidEnvelopeSignature, match="another key"):
        accept(make(thief).encode())


def test_a_stolen_public_key_under_an_own_token_is_refused() -> None:
    own = issue(CHALLENGE, label="thief")
    mixed = replace(make(own), public_key=ref.point(HOLDER.key))
    with pytest.raises(envelope.InvalidEnvelopeSignature, match="another key"):
        accept(mixed.encode())


@pytest.mark.parametrize(
    "challenge",
    [
        token.challenge(CYCLE.hash(), "support-result"),
        token.challenge(flip(CYCLE.hash(), 255), SHEET),
        token.challenge(bytes(32), SHEET),
    ],
    ids=["another sheet", "another manifest", "another cycle"],
)
def test_a_token_for_something_else_is_refused(challenge: bytes) -> None:
    with pytest.raises(token.InvalidToken, match="another sheet, cycle or manifest"):
        accept(make(issue(challenge)).encode())


@pytest.mark.parametrize(
    "signature", [bytes(64), b"\xff" * 64, bytes(63) + b"\x01"], ids=["zeros", "ones", "r is 0"]
)
def test_signatures_out_of_range_are_refused(signature: bytes) -> None:
    with pytest.raises(envelope.InvalidEnvelopeSignature):
        accept(replace(accept(GOOD), signature=signature).encode())


def test_the_other_s_of_a_good_signature_is_refused() -> None:
    # Otherwise anybody on the way could make second bytes, and a second receipt, of one envelope.
    good = accept(GOOD)
    r, s = good.signature[:32], int.from_bytes(good.signature[32:], "big")
    assert 0 < s <= envelope.HIGHEST_S
    other = replace(good, signature=r + (ref.CURVE_ORDER - s).to_bytes(32, "big"))
    HOLDER.key.public_key().verify(der(other.signature), other.signed_bytes(), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(envelope.InvalidEnvelopeSignature, match="one form"):
        accept(other.encode())
    assert envelope.encode_signature(der(other.signature)) == good.signature
    assert envelope.encode_signature(der(good.signature)) == good.signature


def test_the_largest_s_is_half_the_order() -> None:
    assert envelope.CURVE_ORDER == ref.CURVE_ORDER
    for s in (1, envelope.HIGHEST_S, envelope.HIGHEST_S + 1, ref.CURVE_ORDER - 1):
        packed = envelope.encode_signature(utils.encode_dss_signature(5, s))
        assert packed[:32] == (5).to_bytes(32, "big")
        assert int.from_bytes(packed[32:], "big") == min(s, ref.CURVE_ORDER - s) <= envelope.HIGHEST_S


def der(signature: bytes) -> bytes:
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    return utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("first", [0, 2, 3, 5, 6, 7])
def test_only_uncompressed_points_are_keys(first: int) -> None:
    point = bytes([first]) + ref.point(HOLDER.key)[1:]
    broken = replace(accept(GOOD), public_key=point)
    with pytest.raises(envelope.InvalidEnvelopeSignature, match="does not fit"):
        envelope.verify(broken, token_nonce=envelope.nonce(point))


@pytest.mark.parametrize(
    "point",
    [b"", b"\x04" + bytes(64), b"\x04" + b"\xff" * 64, b"\x02" + ref.point(OPENER)[1:33]],
    ids=["empty", "zeros", "ones", "compressed"],
)
def test_other_points_are_refused(point: bytes) -> None:
    with pytest.raises(envelope.InvalidEnvelope, match="point"):
        envelope.seal(PLAINTEXT, public_key=point, **WHERE)


@pytest.mark.parametrize("suite", [0, 2, 3, 255])
def test_suites_that_are_not_built_are_refused(suite: int) -> None:
    with pytest.raises(envelope.InvalidEnvelope, match="suite"):
        envelope.seal(PLAINTEXT, public_key=ref.point(OPENER), **(WHERE | {"suite": suite}))


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_sheet_is_sealed_for_one_whole_nonce(nonce: bytes) -> None:
    with pytest.raises(envelope.InvalidEnvelope, match="nonce"):
        envelope.seal(PLAINTEXT, public_key=ref.point(OPENER), **(WHERE | {"nonce": nonce}))


@pytest.mark.parametrize(
    ("suite", "manifest_hash", "name", "nonce"),
    [
        (1, CYCLE.hash(), "support-result", nonce_of(HOLDER)),
        (1, bytes(32), SHEET, nonce_of(HOLDER)),
        (2, CYCLE.hash(), SHEET, nonce_of(HOLDER)),
        (1, CYCLE.hash(), SHEET, bytes(32)),
        (1, CYCLE.hash(), SHEET, nonce_of(issue(CHALLENGE, label="another phone"))),
    ],
)
def test_a_sheet_opens_for_its_suite_manifest_sheet_and_token_only(
    suite: int, manifest_hash: bytes, name: str, nonce: bytes
) -> None:
    with pytest.raises(InvalidTag):
        envelope.SUITES[1].decrypt(seal(HOLDER), OPENER, envelope.info(suite, manifest_hash, name, nonce))


def test_a_copy_under_another_token_is_signed_well_and_does_not_open() -> None:
    # Whoever makes tokens can put any sealed bytes under them; what they can't do is seal again.
    thief = issue(CHALLENGE, label="thief")
    copied = accept(thief.sign(accept(GOOD)).encode())
    assert copied.sealed == accept(GOOD).sealed
    with pytest.raises(InvalidTag):
        opened(copied.sealed, thief)


def test_a_sheet_opens_with_its_own_key_only() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(InvalidTag):
        opened(seal(HOLDER), HOLDER, stranger)


def test_sealing_the_same_sheet_twice_gives_other_bytes() -> None:
    assert seal(HOLDER) != seal(HOLDER)
