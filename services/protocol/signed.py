"""Signed documents: canonical JSON with detached Ed25519 signatures, and the check of them."""

from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict

from services.protocol.encoding import InvalidEncoding, canonical, unb64

Service = Literal["survey", "aggregate", "report"]
Purpose = Literal["manifest", "frame", "release", "receipt", "call", "backup"]


class InvalidSignedDocument(ValueError):
    """A signature is missing or does not fit the document."""


class SignedDocument(BaseModel):
    """A document beside its signatures, by the service that made them (base64url)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: dict[str, Any]
    signatures: dict[Service, str]


def message(purpose: Purpose, body: bytes) -> bytes:
    """Return the bytes that are signed; the purpose keeps one signature from serving as another."""
    return b"fairpatch " + purpose.encode("ascii") + b" v1\x00" + body


def check(public_key: bytes, purpose: Purpose, body: bytes, signature: str) -> None:
    """Raise InvalidSignedDocument unless ``signature`` (base64url) of a raw Ed25519 key fits ``body``."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(unb64(signature, length=64), message(purpose, body))
    except (InvalidSignature, InvalidEncoding, ValueError) as error:
        raise InvalidSignedDocument("a signature does not fit") from error


def check_document(signed: SignedDocument, purpose: Purpose, signers: dict[Service, bytes]) -> None:
    """Check that every service in ``signers`` (raw public keys) signed the document."""
    try:
        body = canonical(signed.document)
    except InvalidEncoding as error:
        raise InvalidSignedDocument("the document has no canonical form") from error
    for service, public_key in signers.items():
        if service not in signed.signatures:
            raise InvalidSignedDocument("a signature is missing")
        check(public_key, purpose, body, signed.signatures[service])
