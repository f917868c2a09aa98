"""Blind signing against published vectors, refusals, and a fault that must not get out."""

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from services.protocol import token
from services.protocol.encoding import sha256
from services.survey.core.issuer import InvalidBlindedMessage, InvalidIssuerKey, IssuerKey, SigningFault

VECTORS = Path(__file__).parents[2] / "vectors"
SMALL = IssuerKey.from_numbers(3233, 17, 413, 61, 53)


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the vectors of one file."""
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text("utf-8"))["vectors"]
    return loaded


def key_of(vector: dict[str, Any]) -> IssuerKey:
    """Return the key of an RFC 9474 vector."""
    return IssuerKey.from_numbers(*(int(vector[name], 16) for name in ("n", "e", "d", "p", "q")))


@cache
def fresh_key() -> IssuerKey:
    """Return one generated key for the tests that need the real size."""
    return IssuerKey.from_private_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@pytest.mark.parametrize("vector", vectors("rfc9474_blind_rsa.json"), ids=lambda vector: vector["name"])
def test_signs_the_rfc_9474_vectors(vector: dict[str, Any]) -> None:
    signature = key_of(vector).blind_sign(bytes.fromhex(vector["blinded_msg"]))
    assert signature.hex() == vector["blind_sig"]


def test_all_four_variants_are_covered() -> None:
    assert len({vector["name"] for vector in vectors("rfc9474_blind_rsa.json")}) == 4


@pytest.mark.parametrize("vector", vectors("rfc9578_type2_go.json"))
def test_issues_the_rfc_9578_responses(vector: dict[str, Any]) -> None:
    private = load_pem_private_key(bytes.fromhex(vector["skS"]), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    key = IssuerKey.from_private_key(private)
    request = bytes.fromhex(vector["token_request"])
    # TokenRequest: type (2 bytes), truncated key id (1 byte), blinded message (RFC 9578, 6.1).
    assert request[:3] == token.TOKEN_TYPE + token.key_id(key.spki)[-1:]
    assert key.blind_sign(request[3:]).hex() == vector["token_response"]
    assert key.spki.hex() == vector["pkS"]


def test_blinding_round_trip_gives_a_token_that_verifies() -> None:
    key, challenge = fresh_key(), token.challenge(bytes(32), "support-group")
    body = token.TOKEN_TYPE + bytes(32) + sha256(challenge) + token.key_id(key.spki)
    # Sign with the private key directly to learn a valid padded message, then ask for it blinded.
    padded = pow(int.from_bytes(sign_pss(key, body), "big"), key.e, key.n)
    factor = 123_456_789
    reply = key.blind_sign((padded * pow(factor, key.e, key.n) % key.n).to_bytes(256, "big"))
    signature = int.from_bytes(reply, "big") * pow(factor, -1, key.n) % key.n
    made = body + signature.to_bytes(256, "big")
    assert token.verify(made, spki=key.spki, challenge=challenge) == bytes(32)


def sign_pss(key: IssuerKey, body: bytes) -> bytes:
    """Return an ordinary RSASSA-PSS signature by the issuer's key."""
    private = load_der_private_key(key.to_der(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=token.SALT_BYTES)
    return private.sign(body, pss, hashes.SHA384())


def test_every_message_of_a_small_key_is_signed_right() -> None:
    for message in range(2, SMALL.n - 1):
        reply = SMALL.blind_sign(message.to_bytes(2, "big"))
        assert int.from_bytes(reply, "big") == pow(message, SMALL.d, SMALL.n)


def test_same_bytes_get_the_same_answer() -> None:
    blinded = (4711).to_bytes(256, "big")
    again = IssuerKey.from_der(fresh_key().to_der())
    assert fresh_key().blind_sign(blinded) == again.blind_sign(blinded)


def test_the_hidden_factor_follows_key_and_message() -> None:
    other = IssuerKey.from_numbers(61 * 59, 17, pow(17, -1, 60 * 58), 61, 59)
    factors = {SMALL._blinding_factor(value.to_bytes(2, "big")) for value in range(2, 200)}
    assert len(factors) > 150
    assert SMALL._blinding_factor(b"\x00\x07") != other._blinding_factor(b"\x00\x07")
    assert all(math.gcd(factor, SMALL.n) == 1 and factor > 1 for factor in factors)


def test_the_hidden_factor_is_secret_even_to_someone_who_knows_the_modulus() -> None:
    # d and d + lcm(p - 1, q - 1) sign alike; the factor still follows d itself.
    unreduced = IssuerKey.from_numbers(3233, 17, 413 + 780, 61, 53)
    messages = [value.to_bytes(2, "big") for value in range(2, 40)]
    assert [SMALL.blind_sign(m) for m in messages] == [unreduced.blind_sign(m) for m in messages]
    assert [SMALL._blinding_factor(m) for m in messages] != [unreduced._blinding_factor(m) for m in messages]


@pytest.mark.parametrize("offset", [0, 1, -1, None, 2], ids=["0", "1", "n-1", "n", "n+2"])
def test_refuses_representatives_out_of_range(offset: int | None) -> None:
    key = fresh_key()
    number = {0: 0, 1: 1, -1: key.n - 1, None: key.n, 2: key.n + 2}[offset]
    with pytest.raises(InvalidBlindedMessage):
        key.blind_sign(number.to_bytes(256, "big"))


def test_the_neighbours_of_the_refused_numbers_are_signed() -> None:
    key = fresh_key()
    for number in (2, key.n - 2):
        reply = key.blind_sign(number.to_bytes(256, "big"))
        assert pow(int.from_bytes(reply, "big"), key.e, key.n) == number


@pytest.mark.parametrize("length", [0, 1, 255, 257, 512])
def test_refuses_wrong_lengths(length: int) -> None:
    with pytest.raises(InvalidBlindedMessage):
        fresh_key().blind_sign(b"\x07" * length)


@pytest.mark.parametrize("half", ["d_p", "d_q", "q_inverse"])
def test_a_faulty_half_would_give_a_factor_away_and_never_leaves(half: str) -> None:
    key = fresh_key()
    faulty = replace(key, **{half: getattr(key, half) ^ 4})
    message = 0x1234567890ABCDEF
    wrong = faulty._private_power(message)
    assert wrong != key._private_power(message)
    if half != "q_inverse":
        # What the check keeps in: one wrong half is enough to factor the modulus.
        assert math.gcd(pow(wrong, key.e, key.n) - message, key.n) in (key.p, key.q)
    with pytest.raises(SigningFault) as caught:
        faulty.blind_sign(message.to_bytes(256, "big"))
    assert not any(character.isdigit() for character in str(caught.value))


@pytest.mark.parametrize(
    "numbers",
    [
        (3233, 17, 414, 61, 53),
        (3233, 16, 413, 61, 53),
        (3231, 17, 413, 61, 53),
        (61 * 61, 17, 413, 61, 61),
        (3233, 17, 413, 3233, 1),
        (3233, 1, 1, 61, 53),
        (2 * 61, 17, 413, 61, 2),
    ],
)
def test_refuses_numbers_that_are_no_key(numbers: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(InvalidIssuerKey) as caught:
        IssuerKey.from_numbers(*numbers)
    assert not any(character.isdigit() for character in str(caught.value))


def test_key_survives_the_store_and_hides_its_secrets() -> None:
    key = fresh_key()
    assert IssuerKey.from_der(key.to_der()).spki == key.spki == token.encode_key(key.public_key())
    assert str(key.d) not in repr(key)
    assert str(key.p) not in repr(key)
    assert str(key.q) not in repr(key)


def test_refuses_a_stored_key_of_another_kind() -> None:
    point = ec.generate_private_key(ec.SECP256R1())
    der = point.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for data in (der, b"", b"not a key"):
        with pytest.raises(InvalidIssuerKey):
            IssuerKey.from_der(data)
