"""Blind signatures: survey certifies a right to one sheet without seeing which (RFC 9474)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import gmpy2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from services.protocol.token import encode_key

BLINDING_LABEL = b"fairpatch issuer blinding v1"
# Bytes beyond the modulus, so that reducing the HKDF output mod n leaves a bias below 2^-128.
EXTRA_BYTES = 16


class InvalidIssuerKey(ValueError):
    """The numbers are not an RSA key."""


class InvalidBlindedMessage(ValueError):
    """The bytes are not a blinded message that this key signs."""


class SigningFault(RuntimeError):
    """The computed signature does not verify, so it was not handed out."""


@dataclass(frozen=True)
class IssuerKey:
    """The RSA key that signs the tokens of one sheet in one cycle; its secrets never show in ``repr``.

    ``d_p``, ``d_q`` and ``q_inverse`` are the CRT numbers (RFC 8017, 3.2).
    """

    n: int
    e: int
    d: int = field(repr=False)
    p: int = field(repr=False)
    q: int = field(repr=False)
    d_p: int = field(repr=False)
    d_q: int = field(repr=False)
    q_inverse: int = field(repr=False)

    @classmethod
    def from_numbers(cls, n: int, e: int, d: int, p: int, q: int) -> Self:
        """Return the key with these numbers.

        Parameters
        ----------
        n, e : int
            Modulus (any length) and public exponent.
        d : int
            Private exponent, reduced or not.
        p, q : int
            The two primes of ``n``.

        Returns
        -------
        IssuerKey
            Ready to sign.

        Raises
        ------
        InvalidIssuerKey
            If the numbers do not belong together. The message names none of them.

        Notes
        -----
        Privacy: exact; the public half goes into the manifest, the rest never leaves survey.
        Source: RFC 8017, 3.1 and 3.2.

        Examples
        --------
        >>> IssuerKey.from_numbers(3233, 17, 413, 61, 53)
        IssuerKey(n=3233, e=17)
        """
        if p * q != n or p == q or min(p, q) < 3 or n % 2 == 0:
            raise InvalidIssuerKey("the modulus is not the product of two odd primes")
        if e < 3 or any(e * d % (prime - 1) != 1 for prime in (p, q)):
            raise InvalidIssuerKey("the exponents do not undo each other")
        return cls(n, e, d, p, q, d % (p - 1), d % (q - 1), int(gmpy2.invert(q, p)))

    @classmethod
    def from_private_key(cls, key: rsa.RSAPrivateKey) -> Self:
        """Return the issuer key in a freshly generated RSA key (its randomness is the caller's)."""
        numbers = key.private_numbers()
        public = numbers.public_numbers
        return cls.from_numbers(public.n, public.e, numbers.d, numbers.p, numbers.q)

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """Return the key that ``to_der`` wrote, or raise InvalidIssuerKey."""
        try:
            key = load_der_private_key(data, password=None)
        except ValueError as error:
            raise InvalidIssuerKey("not a private key") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidIssuerKey("not an RSA key")
        return cls.from_private_key(key)

    def to_der(self) -> bytes:
        """Return the key for survey's own store (PKCS #8, not encrypted)."""
        public = rsa.RSAPublicNumbers(self.e, self.n)
        numbers = rsa.RSAPrivateNumbers(
            self.p, self.q, self.d, self.d_p, self.d_q, self.q_inverse, public_numbers=public
        )
        return numbers.private_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def modulus_bytes(self) -> int:
        """Length of a blinded message and of a blind signature [bytes]."""
        return (self.n.bit_length() + 7) // 8

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public half."""
        return rsa.RSAPublicNumbers(self.e, self.n).public_key()

    @cached_property
    def spki(self) -> bytes:
        """The public half as the manifest carries it (RFC 9578, 6.5)."""
        return encode_key(self.public_key())

    def blind_sign(self, blinded: bytes) -> bytes:
        """Return the blind signature of a blinded message.

        Parameters
        ----------
        blinded : bytes
            Big-endian representative, exactly ``modulus_bytes`` long.

        Returns
        -------
        bytes
            As long as ``blinded``. The same bytes always get the same answer, so a retry after a crash
            costs nothing and needs no stored reply.

        Raises
        ------
        InvalidBlindedMessage
            Wrong length, or a representative that is 0, 1, n - 1 or not below n.
        SigningFault
            If the result does not verify; a faulty CRT half would give away a factor of ``n``.

        Notes
        -----
        Privacy: exact; the signer learns nothing about the token that the rep makes of this.
        Source: RFC 9474, 4.3 (BlindSign).

        Examples
        --------
        >>> key = IssuerKey.from_numbers(3233, 17, 413, 61, 53)
        >>> key.blind_sign((65).to_bytes(2, "big")) == pow(65, 413, 3233).to_bytes(2, "big")
        True
        """
        message = self._representative(blinded)
        factor = self._blinding_factor(blinded)
        masked = message * gmpy2.powmod(factor, self.e, self.n) % self.n
        signature = self._private_power(masked) * gmpy2.invert(factor, self.n) % self.n
        # RFC 9474, 4.3, step 4: what leaves has been verified.
        if gmpy2.powmod(signature, self.e, self.n) != message:
            raise SigningFault("a computed signature does not verify")
        return int(signature).to_bytes(self.modulus_bytes, "big")

    def _representative(self, blinded: bytes) -> int:
        """Return the number to sign; its fixed points -1, 0 and 1 have signatures anyone can make."""
        if len(blinded) != self.modulus_bytes:
            raise InvalidBlindedMessage("a blinded message is as long as the modulus")
        message = int.from_bytes(blinded, "big")
        if not 1 < message < self.n - 1:
            raise InvalidBlindedMessage("the blinded message is out of range")
        return message

    def _blinding_factor(self, blinded: bytes) -> int:
        """Return a secret factor that hides the message from the timing of the private power.

        It is derived, not drawn: signing stays a function of key and message, and two processes that
        answer the same retry agree.
        """
        secret = self.d.to_bytes((self.d.bit_length() + 7) // 8, "big")
        counter = 0
        while True:
            info = BLINDING_LABEL + counter.to_bytes(4, "big") + blinded
            length = self.modulus_bytes + EXTRA_BYTES
            stream = HKDF(hashes.SHA256(), length=length, salt=None, info=info).derive(secret)
            factor = int.from_bytes(stream, "big") % self.n
            if factor > 1 and gmpy2.gcd(factor, self.n) == 1:
                return factor
            counter += 1

    def _private_power(self, message: int) -> int:
        """Return ``message ** d mod n`` by its two halves, in time that does not follow the exponents."""
        half_p = gmpy2.powmod_sec(message % self.p, self.d_p, self.p)
        half_q = gmpy2.powmod_sec(message % self.q, self.d_q, self.q)
        # RFC 8017, 5.1.2 (b): join the halves.
        return int(half_q + self.q * ((half_p - half_q) * self.q_inverse % self.p))
