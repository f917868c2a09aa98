"""Tokens: nothing but the signed bytes, for this sheet and this key, passes."""

import itertools

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.protocol import token
from tests.unit.protocol.builders import SHEET, flip, issue, sample_manifest, vectors
from tests.vectors import reference as ref
from tests.vectors.wire import issuer

CYCLE = sample_manifest()
SPKI = CYCLE.sheet(SHEET).spki
CHALLENGE = token.challenge(CYCLE.hash(), SHEET)
HOLDER = issue(CHALLENGE)
FIELDS = {
    "type": (0, 2),
    "nonce": (2, 34),
    "challenge digest": (34, 66),
    "key id": (66, 98),
    "authenticator": (98, 354),
}


def refused(data: bytes, *, spki: bytes = SPKI, challenge: bytes = CHALLENGE) -> str:
    with pytest.raises(token.InvalidToken) as caught:
        token.verify(data, spki=spki, challenge=challenge)
    return str(caught.value)


def test_the_issued_token_passes_and_gives_the_nonce_of_its_key() -> None:
    assert token.verify(HOLDER.token, spki=SPKI, challenge=CHALLENGE) == ref.sha256(ref.point(HOLDER.key))


@pytest.mark.parametrize("field", FIELDS)
def test_every_flipped_bit_is_refused(field: str) -> None:
    start, end = FIELDS[field]
    for bit in range(8 * start, 8 * end):
        refused(flip(HOLDER.token, bit))


def test_every_flipped_bit_of_a_given_token_is_refused() -> None:
    vector = vectors("rfc9578_type2_go")["vectors"][0]
    data, spki = bytes.fromhex(vector["token"]), bytes.fromhex(vector["pkS"])
    for bit in range(0, 8 * len(data), 7):
        refused(flip(data, bit), spki=spki, challenge=bytes.fromhex(vector["token_challenge"]))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", HOLDER.token[:-1], HOLDER.token + b"\x00", bytes(354)],
    ids=["empty", "a byte", "short", "long", "zeros"],
)
def test_other_lengths_are_refused(data: bytes) -> None:
    assert refused(data) == "not a token of type 2"


def test_tokens_of_another_sheet_cycle_or_manifest_are_refused() -> None:
    other_manifest = token.challenge(flip(CYCLE.hash(), 0), SHEET)
    for challenge in (token.challenge(CYCLE.hash(), "support-result"), other_manifest):
        assert refused(HOLDER.token, challenge=challenge) == "token of another sheet, cycle or manifest"
        assert refused(issue(challenge).token) == "token of another sheet, cycle or manifest"


def test_tokens_of_another_issuer_are_refused() -> None:
    assert refused(HOLDER.token, spki=CYCLE.sheet("flag-result").spki) == "token of another issuer key"


def test_a_signature_by_another_key_over_the_right_fields_is_refused() -> None:
    stranger = rsa.generate_private_key(65537, 2048).private_numbers()
    text = HOLDER.token[:98]
    forged = ref.pss_sign(text, salt=bytes(48), n=stranger.public_numbers.n, d=stranger.d)
    assert refused(text + forged) == "token not signed by its issuer"


def test_a_signature_without_salt_is_refused() -> None:
    # A verifier that takes any salt length would let the PSSZERO variant of RFC 9474 pass.
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=0)
    unsalted = issuer().sign(HOLDER.token[:98], pss, hashes.SHA384())
    assert refused(HOLDER.token[:98] + unsalted) == "token not signed by its issuer"


def test_the_same_signature_plus_the_modulus_is_refused() -> None:
    n = token.decode_key(SPKI).public_numbers().n
    holders = (issue(CHALLENGE, label=f"phone {i}") for i in range(60))
    text, above = next(
        (holder.token[:98], above)
        for holder in holders
        if (above := int.from_bytes(holder.token[98:], "big") + n) < 2**2048
    )
    assert refused(text + above.to_bytes(256, "big")) == "token not signed by its issuer"


def test_no_refusal_repeats_the_token() -> None:
    words = {refused(flip(HOLDER.token, 8 * start)) for start, _ in FIELDS.values()}
    halves = [HOLDER.token.hex()[i : i + 8] for i in range(0, 708, 8)]
    assert not any(part in text for text, part in itertools.product(words, halves))


@pytest.mark.parametrize("bits", [1024, 3072])
def test_issuer_keys_of_another_size_are_refused(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits).public_key()
    with pytest.raises(token.InvalidToken, match="2048 bits"):
        token.decode_key(token.encode_key(key))


def other_encodings() -> dict[str, bytes]:
    """Return keys that are the issuer's in another form, or no issuer's key at all."""
    key = token.decode_key(SPKI)
    edwards = ed448.Ed448PrivateKey.generate().public_key()
    foreign = edwards.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "empty": b"",
        "nothing in it": b"\x30\x00",
        "a byte more": SPKI + b"\x00",
        "a byte less": SPKI[:-1],
        "plain RSA": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "another kind of key": foreign,
        "an unknown kind of key": foreign.replace(bytes.fromhex("2b6571"), bytes.fromhex("2b657f")),
    }


@pytest.mark.parametrize("form", other_encodings())
def test_other_encodings_of_a_key_are_refused(form: str) -> None:
    with pytest.raises(token.InvalidToken):
        token.decode_key(other_encodings()[form])
