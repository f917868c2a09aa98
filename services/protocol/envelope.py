"""Envelopes: a sealed sheet under its token, signed by the key the token names."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from services.protocol.encoding import sha256
from services.protocol.token import TOKEN_BYTES

VERSION = 1
SUITE_P256 = 1
ANSWERS, WITHDRAWAL = 0, 1
KEY_BYTES, SIGNATURE_BYTES, ENC_BYTES, TAG_BYTES, NONCE_BYTES = 65, 64, 65, 16, 32
HEADER_BYTES = 1 + 1 + 1 + 4 + TOKEN_BYTES + KEY_BYTES + SIGNATURE_BYTES
SIGNATURE_LABEL = b"fairpatch envelope v1"
INFO_LABEL = b"fairpatch sheet v1"
# Order n of P-256's group (FIPS 186-5). With (r, s) an ECDSA signature is also valid as (r, n - s);
# the wire has only the one with the smaller s, so nobody but the phone can make other good bytes of it.
CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HIGHEST_S = CURVE_ORDER // 2
_CURVE = ec.SECP256R1()
_ECDSA = ec.ECDSA(hashes.SHA256())

# HPKE base mode, suite 1 of system.md section 4: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.
SUITES = {SUITE_P256: Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)}


class InvalidEnvelope(ValueError):
    """The bytes are not an envelope of this cycle."""


class InvalidEnvelopeSignature(InvalidEnvelope):
    """The envelope is not signed by the key in it, or its token does not name that key."""


@dataclass(frozen=True)
class Envelope:
    """The fields of an envelope; ``sealed`` is HPKE's ``enc || ciphertext``."""

    suite: int
    kind: int
    counter: int
    token: bytes
    public_key: bytes
    signature: bytes
    sealed: bytes

    def signed_bytes(self) -> bytes:
        """Return what the signature covers: everything but itself, the token by its hash."""
        head = bytes([VERSION, self.suite, self.kind]) + self.counter.to_bytes(4, "big")
        return SIGNATURE_LABEL + head + sha256(self.token) + self.public_key + self.sealed

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        head = bytes([VERSION, self.suite, self.kind]) + self.counter.to_bytes(4, "big")
        return head + self.token + self.public_key + self.signature + self.sealed


def length(plaintext_length: int) -> int:
    """Return the envelope length [bytes] of a cycle with this plaintext length [bytes]."""
    return HEADER_BYTES + ENC_BYTES + plaintext_length + TAG_BYTES


def info(suite: int, manifest_hash: bytes, sheet: str, nonce: bytes) -> bytes:
    """Return HPKE's ``info``: a sealed sheet opens only for its suite, manifest, sheet and token.

    Without the nonce a copy of a sealed sheet would open, and count, under every other token.
    """
    if len(nonce) != NONCE_BYTES:
        raise InvalidEnvelope("a nonce has 32 bytes")
    return INFO_LABEL + bytes([suite]) + manifest_hash + sheet.encode("utf-8") + nonce


def seal(
    plaintext: bytes, *, public_key: bytes, suite: int, manifest_hash: bytes, sheet: str, nonce: bytes
) -> bytes:
    """Return a sheet sealed for an opening key, to be opened under one token only.

    Parameters
    ----------
    plaintext : bytes
        The encoded sheet; every sheet of a cycle has the same length.
    public_key : bytes
        The sheet's opening key, an uncompressed P-256 point [65 bytes].
    suite : int
        The cycle's HPKE suite.
    manifest_hash : bytes
        ``mh`` [32 bytes].
    sheet : str
        Name of the sheet.
    nonce : bytes
        Nonce of the token that the envelope will carry [32 bytes]: the hash of the key that signs it.

    Returns
    -------
    bytes
        ``enc || ciphertext``: 81 bytes more than the plaintext.

    Raises
    ------
    InvalidEnvelope
        If suite, key or nonce is not one of this wire.

    Notes
    -----
    Privacy: exact, readable with the opening key alone; draws a fresh ephemeral key inside the library.
    Source: RFC 9180, 6.1 (base mode); decision record 0014 (``info``).

    Examples
    --------
    >>> point = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
    >>> key = b"\\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    >>> where = {"suite": 1, "manifest_hash": bytes(32), "sheet": "support-group", "nonce": bytes(32)}
    >>> len(seal(bytes(49), public_key=key, **where))
    130
    """
    if suite not in SUITES:
        raise InvalidEnvelope("unknown suite")
    bound_to = info(suite, manifest_hash, sheet, nonce)
    return SUITES[suite].encrypt(plaintext, decode_point(public_key), bound_to)


def decode_point(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key of an uncompressed point; refuse what is not on the curve."""
    if len(public_key) != KEY_BYTES:
        raise InvalidEnvelope("not an uncompressed P-256 point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public_key)
    except ValueError as error:
        raise InvalidEnvelope("not an uncompressed P-256 point") from error


def nonce(public_key: bytes) -> bytes:
    """Return the token nonce that binds a token to the key that signs its envelopes."""
    return sha256(public_key)


def encode_signature(der: bytes) -> bytes:
    """Return the 64 bytes ``r || s`` of a DER-encoded ECDSA signature, with the smaller of its two s."""
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + min(s, CURVE_ORDER - s).to_bytes(32, "big")


def parse(data: bytes, *, length: int, suite: int) -> Envelope:
    """Return the fields of an envelope of exactly ``length`` bytes in the cycle's suite."""
    if len(data) != length:
        raise InvalidEnvelope("wrong length")
    if data[0] != VERSION or data[1] != suite or data[2] not in (ANSWERS, WITHDRAWAL):
        raise InvalidEnvelope("wrong version, suite or kind")
    key_at, signature_at = 7 + TOKEN_BYTES, 7 + TOKEN_BYTES + KEY_BYTES
    return Envelope(
        suite=data[1],
        kind=data[2],
        counter=int.from_bytes(data[3:7], "big"),
        token=data[7:key_at],
        public_key=data[key_at:signature_at],
        signature=data[signature_at:HEADER_BYTES],
        sealed=data[HEADER_BYTES:],
    )


def verify(envelope: Envelope, *, token_nonce: bytes) -> None:
    """Check that the token names the envelope's key and that this key signed the envelope.

    Parameters
    ----------
    envelope : Envelope
        The parsed fields.
    token_nonce : bytes
        The nonce [32 bytes] that ``token.verify`` returned for the envelope's token.

    Returns
    -------
    None
        If the envelope was made by the holder of its token.

    Raises
    ------
    InvalidEnvelopeSignature
        If it was not, or if ``s`` is not the smaller one. Nothing of the envelope is repeated.

    Notes
    -----
    Privacy: exact; the key was made for this one token and tells nothing of the phone.
    Source: FIPS 186-5, section 6 (ECDSA); system.md, section 4 (nonce bound to the key).

    Examples
    --------
    >>> made_up = parse(bytes([1, 1, 0]) + bytes(617), length=620, suite=1)
    >>> verify(made_up, token_nonce=bytes(32))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    services.protocol.envelope.InvalidEnvelopeSignature: the token names another key
    """
    if nonce(envelope.public_key) != token_nonce:
        raise InvalidEnvelopeSignature("the token names another key")
    half = SIGNATURE_BYTES // 2
    r, s = (int.from_bytes(part, "big") for part in (envelope.signature[:half], envelope.signature[half:]))
    if s > HIGHEST_S:
        raise InvalidEnvelopeSignature("signature is not in its one form")
    try:
        key = decode_point(envelope.public_key)
        key.verify(utils.encode_dss_signature(r, s), envelope.signed_bytes(), _ECDSA)
    except (InvalidSignature, ValueError) as error:
        raise InvalidEnvelopeSignature("signature does not fit") from error
