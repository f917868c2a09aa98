"""Tokens: publicly verifiable Privacy Pass tokens (RFC 9578, type 0x0002; RFC 9474 signatures)."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.protocol.encoding import sha256

TOKEN_TYPE = b"\x00\x02"
ISSUER_NAME = b"fairpatch"
MODULUS_BYTES = 256
SALT_BYTES = 48
TOKEN_BYTES = 2 + 32 + 32 + 32 + MODULUS_BYTES

# AlgorithmIdentifier of RSASSA-PSS with SHA-384, MGF1 over SHA-384 and a salt of 48 bytes
# (RFC 9578, 6.5 fixes these bytes, so that one key has one encoding and one key id).
_ALGORITHM = bytes.fromhex(
    "303d06092a864886f70d01010a3030"
    "a00d300b0609608648016503040202"
    "a11a301806092a864886f70d010108300b0609608648016503040202"
    "a203020130"
)


_SHA384 = hashes.SHA384()
# RFC 9474, 4.5: RSASSA-PSS-VERIFY with SHA-384 and a 48-byte salt.
_PSS = padding.PSS(mgf=padding.MGF1(_SHA384), salt_length=SALT_BYTES)


class InvalidToken(ValueError):
    """The token is malformed, of another challenge or key, or not signed."""


@dataclass(frozen=True)
class Token:
    """The fields of a token (RFC 9577, 2.2; RFC 9578, 6.3)."""

    nonce: bytes
    challenge_digest: bytes
    key_id: bytes
    authenticator: bytes

    def input(self) -> bytes:
        """Return the bytes the authenticator signs (RFC 9578, 6.1: ``token_input``)."""
        return TOKEN_TYPE + self.nonce + self.challenge_digest + self.key_id

    def encode(self) -> bytes:
        """Return the 354 bytes of the token."""
        return self.input() + self.authenticator


def redemption_context(manifest_hash: bytes, sheet: str) -> bytes:
    """Return the 32 bytes that bind a token to one cycle's manifest and one sheet."""
    return sha256(manifest_hash, sheet.encode("utf-8"))


def challenge(manifest_hash: bytes, sheet: str) -> bytes:
    """Return the encoded TokenChallenge of one sheet (RFC 9577, 2.1; empty ``origin_info``)."""
    context = redemption_context(manifest_hash, sheet)
    return (
        TOKEN_TYPE
        + len(ISSUER_NAME).to_bytes(2, "big")
        + ISSUER_NAME
        + len(context).to_bytes(1, "big")
        + context
        + b"\x00\x00"
    )


def key_id(spki: bytes) -> bytes:
    """Return the token key id of an issuer key (RFC 9578, 6.5)."""
    return sha256(spki)


def encode_key(public_key: rsa.RSAPublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo with the RSASSA-PSS identifier (RFC 9578, 6.5)."""
    numbers = public_key.public_numbers()
    body = _der(0x30, _der_integer(numbers.n) + _der_integer(numbers.e))
    return _der(0x30, _ALGORITHM + _der(0x03, b"\x00" + body))


def decode_key(spki: bytes) -> rsa.RSAPublicKey:
    """Return the 2048-bit RSA key of an issuer; refuse any encoding but the fixed one."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidToken("not an issuer key") from error
    if not isinstance(key, rsa.RSAPublicKey) or encode_key(key) != spki:
        raise InvalidToken("not an issuer key in its one encoding")
    # RFC 9578, 8.2.2: type 2 is Blind RSA with 2048 bits; a smaller key could be factored.
    if key.key_size != 8 * MODULUS_BYTES:
        raise InvalidToken("not an issuer key of 2048 bits")
    return key


def parse(token: bytes) -> Token:
    """Return the fields of an encoded token."""
    if len(token) != TOKEN_BYTES or token[:2] != TOKEN_TYPE:
        raise InvalidToken("not a token of type 2")
    return Token(token[2:34], token[34:66], token[66:98], token[98:])


class Verifier:
    """The check of many tokens of one issuer key and one challenge; the key is read once."""

    def __init__(self, *, spki: bytes, challenge: bytes) -> None:
        self._key = decode_key(spki)
        self._key_id = key_id(spki)
        self._challenge_digest = sha256(challenge)

    def verify(self, token: bytes) -> bytes:
        """Return the nonce of a valid token, or raise InvalidToken."""
        fields = parse(token)
        if fields.challenge_digest != self._challenge_digest:
            raise InvalidToken("token of another sheet, cycle or manifest")
        if fields.key_id != self._key_id:
            raise InvalidToken("token of another issuer key")
        try:
            self._key.verify(fields.authenticator, fields.input(), _PSS, _SHA384)
        except InvalidSignature as error:
            raise InvalidToken("token not signed by its issuer") from error
        return fields.nonce


def verify(token: bytes, *, spki: bytes, challenge: bytes) -> bytes:
    """Return the nonce of a valid token.

    Parameters
    ----------
    token : bytes
        The encoded token [354 bytes].
    spki : bytes
        The issuer key of the sheet the token should be for, as the manifest holds it.
    challenge : bytes
        The encoded TokenChallenge of that sheet.

    Returns
    -------
    bytes
        The nonce [32 bytes]: the hash of the key that signs this token's envelopes.

    Raises
    ------
    InvalidToken
        If form, challenge, key id or signature do not fit. The cause says nothing of the token.

    Notes
    -----
    Privacy: exact; the token was signed blindly, so nothing in it tells whom it was issued to.
    Source: RFC 9578, 6.4; RFC 9474, 4.5 (RSASSA-PSS-VERIFY with SHA-384 and a 48-byte salt).

    Examples
    --------
    >>> n = 2**2047 + 9
    >>> spki = encode_key(rsa.RSAPublicNumbers(65537, n).public_key())
    >>> sheet_challenge = challenge(bytes(32), "support-group")
    >>> verify(bytes(354), spki=spki, challenge=sheet_challenge)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    services.protocol.token.InvalidToken: not a token of type 2
    """
    return Verifier(spki=spki, challenge=challenge).verify(token)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _der_integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
