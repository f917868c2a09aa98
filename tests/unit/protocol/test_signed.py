"""Signatures fit one purpose, one document and one signer."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.protocol.encoding import b64, canonical
from services.protocol.signed import (
    InvalidSignedDocument,
    Purpose,
    Service,
    SignedDocument,
    check,
    check_document,
    message,
)

SURVEY, AGGREGATE = (Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32) for i in (1, 2))
PUBLIC = SURVEY.public_key().public_bytes_raw()
BOTH: dict[Service, bytes] = {"survey": PUBLIC, "aggregate": AGGREGATE.public_key().public_bytes_raw()}
DOCUMENT: dict[str, Any] = {"cycle": "vectors-2026", "k": 10}


def sign(key: Ed25519PrivateKey, body: bytes, purpose: Purpose = "manifest") -> str:
    return b64(key.sign(message(purpose, body)))


def signed(document: dict[str, Any]) -> SignedDocument:
    body = canonical(document)
    return SignedDocument(
        document=document, signatures={"survey": sign(SURVEY, body), "aggregate": sign(AGGREGATE, body)}
    )


def test_both_signatures_are_checked_over_the_canonical_bytes() -> None:
    check_document(signed(DOCUMENT), "manifest", BOTH)
    reordered = signed(DOCUMENT).model_copy(update={"document": {"k": 10, "cycle": "vectors-2026"}})
    check_document(reordered, "manifest", BOTH)


def test_a_signature_does_not_serve_for_another_purpose() -> None:
    with pytest.raises(InvalidSignedDocument):
        check(PUBLIC, "release", b"body", sign(SURVEY, b"body", "manifest"))


@pytest.mark.parametrize("missing", ["survey", "aggregate"])
def test_a_missing_signature_is_refused(missing: Service) -> None:
    left = {name: text for name, text in signed(DOCUMENT).signatures.items() if name != missing}
    with pytest.raises(InvalidSignedDocument, match="missing"):
        check_document(SignedDocument(document=DOCUMENT, signatures=left), "manifest", BOTH)


def test_one_signer_does_not_stand_for_both() -> None:
    text = sign(SURVEY, canonical(DOCUMENT))
    with pytest.raises(InvalidSignedDocument, match="does not fit"):
        check_document(
            SignedDocument(document=DOCUMENT, signatures={"survey": text, "aggregate": text}),
            "manifest",
            BOTH,
        )


def test_a_changed_document_is_refused() -> None:
    changed = signed(DOCUMENT).model_copy(update={"document": DOCUMENT | {"k": 9}})
    with pytest.raises(InvalidSignedDocument, match="does not fit"):
        check_document(changed, "manifest", BOTH)


@pytest.mark.parametrize("odd", [float("nan"), 2**60, "\ud800"])
def test_a_document_without_canonical_form_is_refused(odd: Any) -> None:
    document = signed(DOCUMENT).model_copy(update={"document": {"odd": odd}})
    with pytest.raises(InvalidSignedDocument, match="canonical"):
        check_document(document, "manifest", BOTH)


@pytest.mark.parametrize(
    "signature", ["", "x", b64(bytes(63)), b64(bytes(64)), b64(bytes(65)), "=" * 86, "é"]
)
def test_malformed_signatures_are_refused_like_wrong_ones(signature: str) -> None:
    with pytest.raises(InvalidSignedDocument, match="does not fit"):
        check(PUBLIC, "call", b"body", signature)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_keys_of_another_length_are_refused(key: bytes) -> None:
    with pytest.raises(InvalidSignedDocument):
        check(key, "call", b"body", sign(SURVEY, b"body", "call"))
