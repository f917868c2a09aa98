"""Blinding against the published vectors of RFC 9474 and RFC 9578."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.protocol import token
from services.protocol.encoding import sha256
from services.rehearsal.blinding import (
    Blinding,
    InvalidBlinding,
    InvalidBlindSignature,
    PublicKey,
    blind,
    finalize,
    token_input,
)

VECTORS = Path(__file__).parents[2] / "vectors"
Vector = Mapping[str, str]


def vectors(file: str) -> list[Vector]:
    loaded: list[Vector] = json.loads((VECTORS / file).read_text(encoding="utf-8"))["vectors"]
    return loaded


BLIND_RSA = vectors("rfc9474_blind_rsa.json")
TOKENS = vectors("rfc9578_type2_go.json")


def rsa_key(vector: Vector) -> PublicKey:
    return PublicKey(int(vector["n"], 16), int(vector["e"], 16))


def rsa_blinding(vector: Vector) -> Blinding:
    key = rsa_key(vector)
    r = pow(int(vector["inv"], 16), -1, key.n)
    salt = bytes.fromhex(vector["salt"])
    assert len(salt) == int(vector["sLen"], 16)
    return blind(bytes.fromhex(vector["input_msg"]), key, salt=salt, r=r)


@pytest.mark.parametrize("vector", BLIND_RSA, ids=lambda vector: vector["name"])
def test_blinded_message_and_signature_are_those_of_rfc_9474(vector: Vector) -> None:
    prefixed = vector["msg_prefix"] + vector["msg"]
    assert vector["input_msg"] == prefixed

    blinding = rsa_blinding(vector)

    assert blinding.blinded.hex() == vector["blinded_msg"]
    assert finalize(bytes.fromhex(vector["blind_sig"]), rsa_key(vector), blinding).hex() == vector["sig"]


def test_all_four_variants_are_there() -> None:
    assert {vector["name"].removeprefix("RSABSSA-SHA384-") for vector in BLIND_RSA} == {
        "PSS-Randomized",
        "PSSZERO-Randomized",
        "PSS-Deterministic",
        "PSSZERO-Deterministic",
    }


@pytest.mark.parametrize("vector", TOKENS)
def test_request_and_token_are_those_of_rfc_9578(vector: Vector) -> None:
    spki, challenge = bytes.fromhex(vector["pkS"]), bytes.fromhex(vector["token_challenge"])
    numbers = token.decode_key(spki).public_numbers()
    key = PublicKey(numbers.n, numbers.e)
    message = token_input(bytes.fromhex(vector["nonce"]), challenge=challenge, spki=spki)

    blinding = blind(message, key, salt=bytes.fromhex(vector["salt"]), r=int(vector["blind"], 16))
    # RFC 9578, 6.1: type, last byte of the key id, blinded message.
    request = token.TOKEN_TYPE + token.key_id(spki)[-1:] + blinding.blinded
    finished = message + finalize(bytes.fromhex(vector["token_response"]), key, blinding)

    assert request.hex() == vector["token_request"]
    assert finished.hex() == vector["token"]
    assert token.verify(finished, spki=spki, challenge=challenge).hex() == vector["nonce"]
    assert token.parse(finished).challenge_digest == sha256(challenge)


@pytest.mark.parametrize("position", [0, 100, 511])
def test_a_flipped_bit_in_the_blind_signature_is_refused(position: int) -> None:
    vector = BLIND_RSA[0]
    reply = bytearray.fromhex(vector["blind_sig"])
    reply[position] ^= 1
    with pytest.raises(InvalidBlindSignature):
        finalize(bytes(reply), rsa_key(vector), rsa_blinding(vector))


@pytest.mark.parametrize("change", [lambda reply: reply[1:], lambda reply: b"\x00" + reply])
def test_a_blind_signature_of_another_length_is_refused(change: object) -> None:
    assert callable(change)
    vector = BLIND_RSA[0]
    with pytest.raises(InvalidBlindSignature):
        finalize(change(bytes.fromhex(vector["blind_sig"])), rsa_key(vector), rsa_blinding(vector))


def test_a_blind_signature_above_the_modulus_is_refused() -> None:
    vector = BLIND_RSA[0]
    key = rsa_key(vector)
    # The same residue, written with a larger number, would unblind to the same signature.
    aliased = int(vector["blind_sig"], 16) + key.n
    assert aliased.bit_length() <= 8 * key.modulus_bytes
    with pytest.raises(InvalidBlindSignature):
        finalize(aliased.to_bytes(key.modulus_bytes, "big"), key, rsa_blinding(vector))


@pytest.mark.parametrize("r", [0, -1, "n", "p"])
def test_a_factor_that_cannot_be_inverted_is_refused(r: int | str) -> None:
    vector = BLIND_RSA[0]
    factor = r if isinstance(r, int) else int(vector[r], 16)
    with pytest.raises(InvalidBlinding):
        blind(b"message", rsa_key(vector), salt=bytes(48), r=factor)


def test_a_short_modulus_and_a_short_nonce_are_refused() -> None:
    with pytest.raises(InvalidBlinding):
        blind(b"message", PublicKey(n=2**521 - 1, e=65537), salt=bytes(48), r=2)
    with pytest.raises(InvalidBlinding):
        token_input(bytes(31), challenge=b"", spki=b"")


def test_secret_state_is_not_printed() -> None:
    blinding = rsa_blinding(BLIND_RSA[0])
    assert str(blinding.inverse) not in repr(blinding)
    assert str(blinding.encoded) not in repr(blinding)
