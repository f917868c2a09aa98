"""A box of real sealed sheets of one kind, in nonce order, written to disk by two processes.

The issuer signs directly with its private key, since blinding leaves no trace in a token. Everything else
is as a phone does it.
"""

import heapq
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from services.aggregate.core.rules import SheetRules
from services.aggregate.workers import end_with_parent
from services.protocol import commitments, envelope, sheet, token
from services.protocol.encoding import sha256

SHEET = "support-result"
FIELD_VALUES, COLUMNS = 3, 4
BLANK_EVERY = 5
MAKERS = 2
SLICE = 5_000
NONCE = slice(9, 41)
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=token.SALT_BYTES)


@dataclass(frozen=True)
class Sealing:
    """All that is needed to make a box and to open it."""

    rules: SheetRules
    issuer: bytes
    opening_key: bytes
    public_key: bytes
    secrets: tuple[bytes, ...]


def make_sealing() -> Sealing:
    """Return fresh keys and the rules of one sheet."""
    issuer = rsa.generate_private_key(65537, 2048)
    opening = ec.generate_private_key(ec.SECP256R1())
    manifest_hash, of_values = secrets.token_bytes(32), tuple(secrets.token_bytes(32) for _ in range(COLUMNS))
    length = sheet.plaintext_length([1])
    return Sealing(
        rules=SheetRules(
            manifest_hash=manifest_hash,
            sheet=SHEET,
            spki=token.encode_key(issuer.public_key()),
            challenge=token.challenge(manifest_hash, SHEET),
            suite=envelope.SUITE_P256,
            envelope_length=envelope.length(length),
            plaintext_length=length,
            sizes=(FIELD_VALUES,),
            columns=COLUMNS,
            values=tuple(range(COLUMNS)),
            commitments=tuple(
                commitments.commit(SHEET, commitments.encode_value(value), secret)
                for value, secret in enumerate(of_values)
            ),
        ),
        issuer=issuer.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        opening_key=opening.private_numbers().private_value.to_bytes(32, "big"),
        public_key=_point(opening),
        secrets=of_values,
    )


def write_box(path: Path, sealing: Sealing, count: int, say: Callable[[int], None]) -> None:
    """Write ``count`` envelopes in nonce order; no process ever holds more than a part of them."""
    folder = path.with_name(path.name + "-parts")
    folder.mkdir()
    sizes = [min(SLICE, count - first) for first in range(0, count, SLICE)]
    pool = ProcessPoolExecutor(MAKERS, mp_context=get_context("spawn"), initializer=end_with_parent)
    try:
        makers = [pool.submit(_make_slice, folder / str(at), sealing, size) for at, size in enumerate(sizes)]
        for made in as_completed(makers):
            say(made.result())
    finally:
        pool.shutdown(cancel_futures=True)
    with ExitStack() as stack, path.open("wb") as box:
        slices = [stack.enter_context((folder / str(at)).open("rb")) for at in range(len(sizes))]
        for data in _merged(slices, sealing.rules.envelope_length):
            box.write(data)
    for at in range(len(sizes)):
        (folder / str(at)).unlink()
    folder.rmdir()


def _merged(slices: list[BinaryIO], length: int) -> Iterator[bytes]:
    """Yield the envelopes of slices that are in nonce order, in the order of all."""
    return heapq.merge(*(iter(partial(each.read, length), b"") for each in slices), key=_nonce)


def _make_slice(path: Path, sealing: Sealing, count: int) -> int:
    """Write so many envelopes in nonce order."""
    issuer = load_der_private_key(sealing.issuer, None)
    assert isinstance(issuer, rsa.RSAPrivateKey)
    made = sorted((seal_one(sealing, issuer, number) for number in range(count)), key=_nonce)
    path.write_bytes(b"".join(made))
    return count


def seal_one(sealing: Sealing, issuer: rsa.RSAPrivateKey, number: int) -> bytes:
    """Return one envelope under a token of its own; every fifth number is a blank sheet."""
    rules, key = sealing.rules, ec.generate_private_key(ec.SECP256R1())
    nonce = envelope.nonce(_point(key))
    unsigned = token.Token(nonce, sha256(rules.challenge), token.key_id(rules.spki), b"").input()
    sealed = envelope.seal(
        _plaintext(sealing, number),
        public_key=sealing.public_key,
        suite=rules.suite,
        manifest_hash=rules.manifest_hash,
        sheet=rules.sheet,
        nonce=nonce,
    )
    counter = secrets.randbelow(1 << 31)
    signed = unsigned + issuer.sign(unsigned, PSS, hashes.SHA384())
    bare = envelope.Envelope(rules.suite, envelope.ANSWERS, counter, signed, _point(key), b"", sealed)
    der = key.sign(bare.signed_bytes(), ec.ECDSA(hashes.SHA256()))
    return replace(bare, signature=envelope.encode_signature(der)).encode()


def _plaintext(sealing: Sealing, number: int) -> bytes:
    content = sheet.blank(1)
    if number % BLANK_EVERY:
        value = number % COLUMNS
        answer = number % FIELD_VALUES
        content = sheet.Sheet((answer,), commitments.encode_value(value), sealing.secrets[value])
    return sheet.encode(content, length=sealing.rules.plaintext_length)


def _nonce(data: bytes) -> bytes:
    return data[NONCE]


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
