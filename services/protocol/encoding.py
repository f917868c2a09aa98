"""Bytes on the wire: base64url, canonical JSON and hashes."""

import base64
import binascii
import hashlib
from typing import Any

import rfc8785


class InvalidEncoding(ValueError):
    """Bytes or text do not have the one encoding the wire allows."""


def b64(data: bytes) -> str:
    """Return unpadded base64url (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str, *, length: int | None = None) -> bytes:
    """Return the bytes of unpadded base64url; refuse every other spelling of them."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidEncoding("not base64url") from error
    if b64(data) != text:
        raise InvalidEncoding("not canonical base64url")
    if length is not None and len(data) != length:
        raise InvalidEncoding(f"expected {length} bytes")
    return data


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of plain data (RFC 8785)."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        raise InvalidEncoding("the data has no canonical form") from error


def sha256(*parts: bytes) -> bytes:
    """Return SHA-256 over the concatenation of ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
