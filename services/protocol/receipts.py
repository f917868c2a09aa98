"""Receipts: how a rep finds out that a sheet is in the box, and later what became of it."""

from collections.abc import Iterable
from typing import Literal

from services.protocol.commitments import merkle_root
from services.protocol.encoding import sha256

Outcome = Literal["counted", "withdrawn", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("counted", "withdrawn", "rejected")
WHOLE_LIST_UP_TO = 4096
BUCKET_AT_LEAST = 256


def receipt_hash(envelope: bytes) -> bytes:
    """Return what survey's receipt signs.

    Parameters
    ----------
    envelope : bytes
        The bytes on the wire.

    Returns
    -------
    bytes
        Their SHA-256 [32 bytes].

    Raises
    ------
    TypeError
        If the envelope is not bytes.

    Notes
    -----
    Privacy: exact; a receipt proves that somebody took part, not what was said.
    Source: system.md, section 4 (receipt).

    Examples
    --------
    >>> receipt_hash(b"").hex()[:8]
    'e3b0c442'
    """
    return sha256(envelope)


def leaf(envelope_hash: bytes, outcome: Outcome) -> bytes:
    """Return one line of the published list: the hash and what became of the sheet."""
    return envelope_hash + bytes([OUTCOMES.index(outcome)])


def list_root(lines: Iterable[tuple[bytes, Outcome]]) -> bytes:
    """Return the Merkle root, inside the release, of what became of every sheet.

    Parameters
    ----------
    lines : iterable of (bytes, str)
        Envelope hash [32 bytes] and outcome, in any order.

    Returns
    -------
    bytes
        Root [32 bytes] over the lines sorted by hash, so that their order tells nothing.

    Raises
    ------
    ValueError
        If an outcome is not counted, withdrawn or rejected.

    Notes
    -----
    Privacy: exact; hashes of sealed bytes, in an order that is not that of arrival.
    Source: RFC 9162, 2.1.1; system.md, section 4 (receipt).

    Examples
    --------
    >>> one, two = (bytes(32), "counted"), (bytes([1]) * 32, "withdrawn")
    >>> list_root([one, two]) == list_root([two, one])
    True
    """
    return merkle_root([leaf(envelope_hash, outcome) for envelope_hash, outcome in sorted(lines)])


def prefix_digits(lines: int) -> int:
    """Return how many hex digits a bucket of the list is asked by.

    Parameters
    ----------
    lines : int
        Length of the list [lines].

    Returns
    -------
    int
        0 gives the whole list; otherwise a bucket holds 256 lines or more on average.

    Raises
    ------
    TypeError
        If the length is not a number.

    Notes
    -----
    Privacy: a reader's question tells a bucket of about 256 envelopes, not one.
    Source: system.md, section 4 (receipt).

    Examples
    --------
    >>> prefix_digits(4096), prefix_digits(4097), prefix_digits(100_000)
    (0, 1, 2)
    """
    digits = 0
    while lines > WHOLE_LIST_UP_TO and lines // 16 ** (digits + 1) >= BUCKET_AT_LEAST:
        digits += 1
    return digits
