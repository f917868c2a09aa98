"""Write Fairpatch's own vectors: ``python -m tests.vectors.make_vectors`` from the top folder.

Nothing of ``services`` is imported: the bytes come from the definitions in ``reference.py``. A test makes
them all again and compares, so a vector can neither drift nor be edited by hand.
"""

import functools
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors import reference as ref
from tests.vectors.sample import BLANK_VALUE, SHEET, VALUE, manifest_document, secret_of, value_bytes
from tests.vectors.wire import envelopes, issuer, tokens

FOLDER = Path(__file__).parent
OUTCOMES = ("counted", "withdrawn", "rejected")
PURPOSES = ("manifest", "frame", "release", "receipt", "call")
Vectors = dict[str, Any]


def commitments() -> Vectors:
    """Commitments of values, and Merkle trees of 0 to 9 leaves with every path."""
    values = [(SHEET, 0), (SHEET, 1), ("flag-result", 1), ("support-result", 3), (SHEET, 2**127)]
    return {
        "vectors": [
            {
                "sheet": sheet,
                "value": str(value),
                "value_bytes": value_bytes(value).hex(),
                "secret": secret_of(sheet, value).hex(),
                "commitment": ref.sha256(
                    b"fairpatch value v1", sheet.encode(), value_bytes(value), secret_of(sheet, value)
                ).hex(),
            }
            for sheet, value in values
        ],
        "trees": [_tree(size) for size in range(10)],
    }


def sheets() -> Vectors:
    """Plaintexts of sheets that decode, and others that must be refused."""
    secret = secret_of(SHEET, VALUE)
    good = [((1,), [3]), ((255,), [3]), ((10,), [11]), ((254,), [255]), ((0, 255, 2), [3, 3, 3])]
    body = bytes([2]) + value_bytes(VALUE) + secret
    return {
        "vectors": [_good_sheet(fields, sizes) for fields, sizes in good],
        "refused": [
            _bad_sheet("one byte short", body[:-1]),
            _bad_sheet("one byte long", body + b"\x00"),
            _bad_sheet("empty", b""),
            _bad_sheet("field out of range", bytes([3]) + body[1:]),
            _bad_sheet("field out of range, just below missing", bytes([254]) + body[1:]),
            _bad_sheet("padding is not zero", body + b"\x00\x01", length=51),
            _bad_sheet("blank with a value", b"\xff" + value_bytes(VALUE) + bytes(32)),
            _bad_sheet("blank with a secret", b"\xff" + value_bytes(0) + secret),
        ],
    }


def canonical() -> Vectors:
    """Canonical JSON, the sample manifest with its hash, fingerprint and signatures."""
    document = manifest_document(issuer().public_key().public_numbers())
    text = rfc8785.dumps(document)
    odd: list[dict[str, Any]] = [
        {"b": 1, "a": [True, None, "x"], "ä": 0.1, "\U0001f600": 1e21, "￿": 1e-7},
        {"numbers": [0.5, 1e-06, 100.0, 1 / 3, -0.0, 1e20, 5e-324, 2**53 - 1]},
        {"text": 'quote " backslash \\ tab \t line \n bell \u0007 slash / é'},
    ]
    return {
        "vectors": [{"json": json.dumps(value), "canonical": rfc8785.dumps(value).decode()} for value in odd],
        "refused": ['{"a": NaN}', '{"a": Infinity}', '{"a": 9007199254740992}', '{"a": "\\ud800"}'],
        "manifest": {
            "document": document,
            "canonical_sha256": ref.sha256(text).hex(),
            "canonical_length": len(text),
            "fingerprint": ref.sha256(text).hex()[:8],
            "signatures": {name: _signed("manifest", text, name) for name in ("survey", "aggregate")},
        },
    }


def receipts() -> Vectors:
    """Receipt hashes, the lines of a published list and its root, whole and in buckets."""
    given = [(ref.made_up(f"sealed {i}", 40), OUTCOMES[i % 3]) for i in range(5)]
    lines = [ref.sha256(sealed) + bytes([OUTCOMES.index(outcome)]) for sealed, outcome in given]
    return {
        "vectors": [
            {
                "envelope": sealed.hex(),
                "outcome": outcome,
                "receipt_hash": line[:32].hex(),
                "line": line.hex(),
                "receipt": _signed("receipt", line[:32], "survey"),
            }
            for (sealed, outcome), line in zip(given, lines, strict=True)
        ],
        "list_root": ref.merkle(sorted(lines)).hex(),
        "empty_root": ref.merkle([]).hex(),
        "buckets": [_buckets(lines, digits) for digits in (1, 2)],
    }


def scoring() -> Vectors:
    """Answers with the bands a phone makes of them, by the sample instrument."""
    return {
        "instrument": manifest_document(issuer().public_key().public_numbers())["instrument"],
        "vectors": [
            {"answers": {}, "bands": {}},
            {"answers": _all(3), "bands": dict.fromkeys(DIMENSIONS, 1)},
            {"answers": _all(1), "bands": dict.fromkeys(DIMENSIONS, 0)},
            {"answers": _all(5), "bands": dict.fromkeys(DIMENSIONS, 2)},
            {"answers": _some("C", 3, 3, 3, 2), "bands": {"capability": 0}},
            {"answers": _some("C", 3, 3, 3, 3), "bands": {"capability": 1}},
            {"answers": _some("C", 4, 4, 4, 3), "bands": {"capability": 2}},
            {"answers": _some("C", 5, 5, 5), "bands": {"capability": 2}},
            {"answers": _some("C", 5, 5), "bands": {}},
            {"answers": _some("S", 4, 4, 4, 3), "bands": {"support": 2}},
            {"answers": _some("S", 4, 4, 4), "bands": {}},
            {"answers": _some("S", 3, 3, 3, 3, 3, 1), "bands": {"support": 0}},
            {"answers": _some("S", 3, 3, 3, 3, 3, 2), "bands": {"support": 1}},
        ],
        "refused": [{"C1": 0}, {"S6": 6}, {"M1": 2.5}, {"A1": -1}],
    }


def signed() -> Vectors:
    """The bytes a signature covers, per purpose, with Ed25519 signatures."""
    body = ref.made_up("signed body", 20)
    return {
        "vectors": [
            {
                "purpose": purpose,
                "body": body.hex(),
                "message": (b"fairpatch " + purpose.encode() + b" v1\x00" + body).hex(),
                "private_key": ref.made_up("identity of survey").hex(),
                "public_key": public_identity("survey").hex(),
                "signature": _signed(purpose, body, "survey"),
            }
            for purpose in PURPOSES
        ]
    }


DIMENSIONS = ("capability", "alignment", "motivation", "support")
FILES = {
    "commitments": commitments,
    "sheets": sheets,
    "tokens": tokens,
    "envelopes": envelopes,
    "manifest": canonical,
    "receipts": receipts,
    "scoring": scoring,
    "signed": signed,
}


@functools.cache
def texts() -> dict[str, str]:
    """Return what each file holds."""
    written = {}
    for name, make in FILES.items():
        head = {"source": "Fairpatch, tests/vectors/make_vectors.py", "note": make.__doc__}
        written[f"fairpatch_{name}.json"] = json.dumps(head | make(), indent=1, ensure_ascii=True) + "\n"
    return written


def _tree(size: int) -> Vectors:
    leaves = [ref.made_up(f"leaf {i}") for i in range(size)]
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "root": ref.merkle(leaves).hex(),
        "paths": [[step.hex() for step in ref.merkle_proof(leaves, i)] for i in range(size)],
    }


def _buckets(lines: list[bytes], digits: int) -> Vectors:
    names = [f"{number:0{digits}x}" for number in range(16**digits)]
    roots = [ref.merkle(sorted(line for line in lines if line.hex().startswith(name))) for name in names]
    return {
        "digits": digits,
        "bucket_roots": [root.hex() for root in roots],
        "list_root": ref.merkle(roots).hex(),
    }


def _good_sheet(fields: tuple[int, ...], sizes: list[int]) -> Vectors:
    blank = all(field == 255 for field in fields)
    value, secret = (BLANK_VALUE, bytes(32)) if blank else (value_bytes(VALUE), secret_of(SHEET, VALUE))
    plaintext = (bytes(fields) + value + secret).ljust(51, b"\x00")
    return {
        "fields": list(fields),
        "value": value.hex(),
        "secret": secret.hex(),
        "sizes": sizes,
        "length": 51,
        "blank": blank,
        "plaintext": plaintext.hex(),
    }


def _bad_sheet(why: str, plaintext: bytes, *, length: int = 49) -> Vectors:
    return {"why": why, "plaintext": plaintext.hex(), "sizes": [3], "length": length}


def _identity(service: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(ref.made_up(f"identity of {service}"))


def public_identity(service: str) -> bytes:
    """Return the raw public key with which a service of the sample cycle signs."""
    return _identity(service).public_key().public_bytes_raw()


def _signed(purpose: str, body: bytes, service: str) -> str:
    message = b"fairpatch " + purpose.encode() + b" v1\x00" + body
    return urlsafe_b64encode(_identity(service).sign(message)).rstrip(b"=").decode()


def _all(choice: int) -> dict[str, int]:
    counts = {"C": 4, "A": 4, "M": 4, "S": 6}
    return {f"{letter}{i}": choice for letter, count in counts.items() for i in range(1, count + 1)}


def _some(letter: str, *choices: int) -> dict[str, int]:
    return {f"{letter}{i}": choice for i, choice in enumerate(choices, start=1)}


if __name__ == "__main__":
    for file_name, text in texts().items():
        (FOLDER / file_name).write_text(text, "utf-8")
