"""The phone's half of a blind signature (RFC 9474, 4.2 and 4.4), here without any source of randomness."""

import hashlib
from dataclasses import dataclass

import gmpy2

from services.protocol import token
from services.protocol.encoding import sha256

HASH_BYTES = 48
TRAILER = 0xBC


class InvalidBlinding(ValueError):
    """A message cannot be blinded under this key with these inputs."""


class InvalidBlindSignature(ValueError):
    """What the issuer returned is not its signature of the blinded message."""


@dataclass(frozen=True)
class PublicKey:
    """An issuer's RSA key: modulus ``n`` and public exponent ``e``."""

    n: int
    e: int

    @property
    def modulus_bytes(self) -> int:
        """Length of a blinded message and of a signature [bytes]."""
        return (self.n.bit_length() + 7) // 8


@dataclass(frozen=True, repr=False)
class Blinding:
    """A blinded message with what is needed to finalize it; all but ``blinded`` stays on the phone."""

    blinded: bytes
    encoded: int
    inverse: int


def token_input(nonce: bytes, *, challenge: bytes, spki: bytes) -> bytes:
    """Return the message a token signs: type, nonce, challenge digest, key id (RFC 9578, 6.1).

    Parameters
    ----------
    nonce : bytes
        SHA-256 of the public key that will sign the envelopes [32 bytes].
    challenge : bytes
        The encoded TokenChallenge of the sheet.
    spki : bytes
        The sheet's issuer key as SubjectPublicKeyInfo.

    Returns
    -------
    bytes
        The 98 bytes of ``token_input``; with the signature appended they are the token.

    Raises
    ------
    InvalidBlinding
        If the nonce does not have 32 bytes.

    Notes
    -----
    Privacy: holds no answer; the issuer sees it only blinded.
    Source: RFC 9578, 6.1.

    Examples
    --------
    >>> len(token_input(bytes(32), challenge=b"c", spki=b"k"))
    98
    """
    if len(nonce) != 32:
        raise InvalidBlinding("a nonce has 32 bytes")
    return token.Token(nonce, sha256(challenge), token.key_id(spki), b"").input()


def blind(message: bytes, public_key: PublicKey, *, salt: bytes, r: int) -> Blinding:
    """Return ``message`` encoded with PSS and hidden behind the factor ``r``.

    Parameters
    ----------
    message : bytes
        The input message (prepared already, where a variant asks for a prefix).
    public_key : PublicKey
        The issuer's key.
    salt : bytes
        PSS salt: 48 fresh random bytes for tokens, none for the zero-salt variants.
    r : int
        Blinding factor, uniform in ``1 .. n - 1`` and used once.

    Returns
    -------
    Blinding
        The blinded message of the length of the modulus, and the phone's secret state.

    Raises
    ------
    InvalidBlinding
        If ``r`` is out of range or shares a factor with the modulus, or the modulus is too short.

    Notes
    -----
    Privacy: with a uniform secret ``r`` the blinded message is independent of the message, so the
    issuer can link it to no token.
    Source: RFC 9474, 4.2; encoding RFC 8017, 9.1.1 with SHA-384.

    Examples
    --------
    >>> key = PublicKey(n=(2**607 - 1) * (2**521 - 1), e=65537)
    >>> len(blind(b"message", key, salt=bytes(48), r=12345).blinded) == key.modulus_bytes
    True
    """
    n = gmpy2.mpz(public_key.n)
    encoded = int.from_bytes(encode_pss(message, public_key.n.bit_length() - 1, salt), "big")
    if not 1 <= r < n or gmpy2.gcd(r, n) != 1 or gmpy2.gcd(encoded, n) != 1:
        raise InvalidBlinding("blinding factor or message does not fit the key")
    blinded = encoded * gmpy2.powmod(r, public_key.e, n) % n
    return Blinding(
        blinded=int(blinded).to_bytes(public_key.modulus_bytes, "big"),
        encoded=encoded,
        inverse=int(gmpy2.invert(r, n)),
    )


def finalize(blind_signature: bytes, public_key: PublicKey, blinding: Blinding) -> bytes:
    """Return the signature inside a blind signature, after checking it.

    Parameters
    ----------
    blind_signature : bytes
        The issuer's reply, of the length of the modulus.
    public_key : PublicKey
        The issuer's key.
    blinding : Blinding
        What ``blind`` returned for the message.

    Returns
    -------
    bytes
        An RSASSA-PSS signature of the message, of the length of the modulus.

    Raises
    ------
    InvalidBlindSignature
        If the length is wrong or the unblinded number is no signature of the message.

    Notes
    -----
    Privacy: the signature is independent of what the issuer saw.
    The phone knows the one encoding it asked to be signed, so ``s^e = encoded`` is the whole
    verification step.
    Source: RFC 9474, 4.4.

    Examples
    --------
    >>> key = PublicKey(n=(2**607 - 1) * (2**521 - 1), e=65537)
    >>> d = pow(key.e, -1, (2**607 - 2) * (2**521 - 2))
    >>> hidden = blind(b"message", key, salt=bytes(48), r=12345)
    >>> signed = pow(int.from_bytes(hidden.blinded, "big"), d, key.n).to_bytes(key.modulus_bytes, "big")
    >>> len(finalize(signed, key, hidden)) == key.modulus_bytes
    True
    """
    n, z = gmpy2.mpz(public_key.n), int.from_bytes(blind_signature, "big")
    if len(blind_signature) != public_key.modulus_bytes or z >= n:
        raise InvalidBlindSignature("blind signature of the wrong size")
    signature = z * gmpy2.mpz(blinding.inverse) % n
    if gmpy2.powmod(signature, public_key.e, n) != blinding.encoded:
        raise InvalidBlindSignature("not a signature of the blinded message")
    return int(signature).to_bytes(public_key.modulus_bytes, "big")


def encode_pss(message: bytes, bits: int, salt: bytes) -> bytes:
    """Return EMSA-PSS-ENCODE of ``message`` in at most ``bits`` bits (RFC 8017, 9.1.1; SHA-384)."""
    length = (bits + 7) // 8
    free = length - HASH_BYTES - len(salt) - 2
    if free < 0:
        raise InvalidBlinding("the modulus is too short for this salt")
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    block = bytes(free) + b"\x01" + salt
    masked = bytearray(a ^ b for a, b in zip(block, mask(digest, len(block)), strict=True))
    masked[0] &= 0xFF >> (8 * length - bits)
    return bytes(masked) + digest + bytes([TRAILER])


def mask(seed: bytes, length: int) -> bytes:
    """Return ``length`` bytes of MGF1 over SHA-384 (RFC 8017, B.2.1)."""
    blocks = -(-length // HASH_BYTES)
    stream = b"".join(hashlib.sha384(seed + i.to_bytes(4, "big")).digest() for i in range(blocks))
    return stream[:length]
