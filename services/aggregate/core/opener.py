"""Opening sealed sheets: the only place where an opening key is used."""

from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from services.protocol import envelope

PRIVATE_KEY_BYTES = 32


class InvalidOpeningKey(ValueError):
    """The key is not a P-256 scalar of 32 bytes, or its suite is not known."""


class SealBroken(Exception):
    """A sealed sheet does not open under this key, manifest, sheet and token."""


class Opener:
    """One sheet's opening key, read once; it neither prints nor travels."""

    __slots__ = ("_key", "_manifest_hash", "_sheet", "_suite")

    def __init__(self, private_key: bytes, *, suite: int, manifest_hash: bytes, sheet: str) -> None:
        if suite not in envelope.SUITES or len(private_key) != PRIVATE_KEY_BYTES:
            raise InvalidOpeningKey("not an opening key of a known suite")
        try:
            self._key = ec.derive_private_key(int.from_bytes(private_key, "big"), ec.SECP256R1())
        except ValueError:
            raise InvalidOpeningKey("not an opening key of a known suite") from None
        self._suite, self._manifest_hash, self._sheet = suite, manifest_hash, sheet

    def plaintext(self, sealed: bytes, *, nonce: bytes) -> bytes:
        """Return the plaintext in ``enc || ciphertext`` sealed for this nonce, or raise SealBroken."""
        bound_to = envelope.info(self._suite, self._manifest_hash, self._sheet, nonce)
        try:
            return envelope.SUITES[self._suite].decrypt(sealed, self._key, bound_to)
        except InvalidTag:
            # One answer for every cause: a cause would tell a forger how far the bytes came.
            raise SealBroken("a sealed sheet does not open") from None

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a key travels to a worker as bytes, on purpose, or not at all."""
        raise TypeError("an opener is not copied to another process")


def open_sealed(
    sealed: bytes, *, private_key: bytes, suite: int, manifest_hash: bytes, sheet: str, nonce: bytes
) -> bytes:
    """Return the plaintext of one sealed sheet.

    Parameters
    ----------
    sealed : bytes
        HPKE's ``enc || ciphertext``.
    private_key : bytes
        The sheet's opening key, a raw P-256 scalar [32 bytes, big-endian].
    suite : int
        Suite of the cycle; 1 is P-256, HKDF-SHA256, AES-128-GCM.
    manifest_hash : bytes
        ``mh`` of the cycle [32 bytes].
    sheet : str
        Name of the sheet.
    nonce : bytes
        Nonce of the token beside it [32 bytes], after token and signature were checked.

    Returns
    -------
    bytes
        The padded plaintext, as sealed.

    Raises
    ------
    SealBroken
        If the bytes were changed, or sealed for another key, suite, manifest, sheet or token.
    InvalidOpeningKey
        If the key or suite cannot open anything.

    Notes
    -----
    Privacy: exact; the plaintext may only be counted, never stored.
    Source: RFC 9180, 6.1 (single-shot base mode), DHKEM of section 4.1; decision record 0014 (the token).

    Examples
    --------
    >>> from cryptography.hazmat.primitives.asymmetric import ec
    >>> from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    >>> key = ec.derive_private_key(7, ec.SECP256R1())
    >>> point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    >>> where = {"suite": 1, "manifest_hash": bytes(32), "sheet": "support-result", "nonce": bytes(32)}
    >>> sealed = envelope.seal(b"a sheet", public_key=point, **where)
    >>> open_sealed(sealed, private_key=(7).to_bytes(32, "big"), **where)
    b'a sheet'
    """
    opener = Opener(private_key, suite=suite, manifest_hash=manifest_hash, sheet=sheet)
    return opener.plaintext(sealed, nonce=nonce)
