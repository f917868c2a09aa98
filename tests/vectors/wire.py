"""The vectors of tokens and envelopes: what is issued blindly, and what is sealed under it."""

import json
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.vectors import reference as ref
from tests.vectors.sample import BLANK_VALUE, SHEET, VALUE, manifest_document, secret_of, value_bytes

COUNTER = 0x1234ABCD
Vectors = dict[str, Any]


def issuer() -> RSAPrivateKey:
    """Return the issuer key of the RFC 9578 vectors."""
    given = json.loads(Path(__file__).with_name("rfc9578_type2_go.json").read_text("utf-8"))
    key = load_pem_private_key(bytes.fromhex(given["vectors"][0]["skS"]), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def manifest_hash() -> bytes:
    """Return ``mh`` of the sample cycle."""
    return ref.sha256(rfc8785.dumps(manifest_document(issuer().public_key().public_numbers())))


def tokens() -> Vectors:
    """Challenge, redemption context, key encoding, nonce and a whole token."""
    key = issuer()
    mh, signer = manifest_hash(), ref.private_key("envelope key")
    context = ref.sha256(mh, SHEET.encode())
    salt = ref.made_up("pss salt", 48)
    return {
        "vectors": [
            {
                "manifest_hash": mh.hex(),
                "sheet": SHEET,
                "redemption_context": context.hex(),
                "challenge": ref.token_challenge(context).hex(),
                "modulus": f"{key.public_key().public_numbers().n:x}",
                "exponent": key.public_key().public_numbers().e,
                "issuer_key": _spki(key).hex(),
                "key_id": ref.sha256(_spki(key)).hex(),
                "public_key": ref.point(signer).hex(),
                "nonce": ref.sha256(ref.point(signer)).hex(),
                "token_input": _token_input(key).hex(),
                "salt": salt.hex(),
                "token": _token(key).hex(),
            }
        ]
    }


def envelopes() -> Vectors:
    """An envelope with an answer and its withdrawal, with all keys."""
    opener, signer = ref.private_key(f"{SHEET} key"), ref.private_key("envelope key")
    mh = manifest_hash()
    info = b"fairpatch sheet v1" + bytes([1]) + mh + SHEET.encode() + ref.sha256(ref.point(signer))
    shared = {
        "manifest_hash": mh.hex(),
        "sheet": SHEET,
        "info": info.hex(),
        "opening_private_scalar": ref.scalar_hex(opener),
        "opening_key": ref.point(opener).hex(),
        "signing_private_scalar": ref.scalar_hex(signer),
    }
    answer = bytes([1]) + value_bytes(VALUE) + secret_of(SHEET, VALUE)
    blank = b"\xff" + BLANK_VALUE + bytes(32)
    plaintexts = ((0, COUNTER, answer), (1, COUNTER + 1, blank))
    return {
        "vectors": [shared | _envelope(kind, counter, plain, info) for kind, counter, plain in plaintexts]
    }


def _spki(key: RSAPrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return ref.spki(numbers.n, numbers.e)


def _token_input(key: RSAPrivateKey) -> bytes:
    nonce = ref.sha256(ref.point(ref.private_key("envelope key")))
    challenge = ref.token_challenge(ref.sha256(manifest_hash(), SHEET.encode()))
    return b"\x00\x02" + nonce + ref.sha256(challenge) + ref.sha256(_spki(key))


def _token(key: RSAPrivateKey) -> bytes:
    numbers, salt = key.private_numbers(), ref.made_up("pss salt", 48)
    message = _token_input(key)
    return message + ref.pss_sign(message, salt=salt, n=numbers.public_numbers.n, d=numbers.d)


def _envelope(kind: int, counter: int, plaintext: bytes, info: bytes) -> Vectors:
    signer, ephemeral = ref.private_key("envelope key"), ref.private_key(f"ephemeral key {kind}")
    receiver = ref.point(ref.private_key(f"{SHEET} key"))
    sealed = ref.hpke_seal(plaintext, receiver=receiver, info=info, ephemeral=ephemeral)
    token, head = _token(issuer()), bytes([1, 1, kind]) + counter.to_bytes(4, "big")
    message = b"fairpatch envelope v1" + head + ref.sha256(token) + ref.point(signer) + sealed
    signature = ref.ecdsa_sign(signer, message)
    envelope = head + token + ref.point(signer) + signature + sealed
    return {
        "kind": kind,
        "counter": counter,
        "plaintext": plaintext.hex(),
        "ephemeral_private_scalar": ref.scalar_hex(ephemeral),
        "sealed": sealed.hex(),
        "signed_bytes": message.hex(),
        "signature": signature.hex(),
        "envelope": envelope.hex(),
        "receipt_hash": ref.sha256(envelope).hex(),
    }
