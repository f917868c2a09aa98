"""Receipts: how a rep finds out that a sheet is in the box, and later what became of it."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Literal

from services.protocol.commitments import merkle_root
from services.protocol.encoding import sha256

Outcome = Literal["counted", "withdrawn", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("counted", "withdrawn", "rejected")
WHOLE_LIST_UP_TO = 4096
BUCKET_AT_LEAST = 256
HEX_DIGITS = "0123456789abcdef"


class InvalidReceipts(ValueError):
    """Published lines are not those whose root stands in the release."""


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


def bucket_root(lines: Iterable[tuple[bytes, Outcome]]) -> bytes:
    """Return the Merkle root over the sorted lines of one bucket."""
    return merkle_root(sorted(leaf(envelope_hash, outcome) for envelope_hash, outcome in lines))


def root_over(bucket_roots: Sequence[bytes]) -> bytes:
    """Return the root of a list from the roots of its buckets, in order; one bucket is the whole list."""
    return bucket_roots[0] if len(bucket_roots) == 1 else merkle_root(bucket_roots)


def list_root(lines: Iterable[tuple[bytes, Outcome]], digits: int = 0) -> bytes:
    """Return the Merkle root, inside the release, of what became of every sheet.

    Parameters
    ----------
    lines : iterable of (bytes, str)
        Envelope hash [32 bytes] and outcome, in any order.
    digits : int
        How many hex digits of a hash name its bucket (:func:`list_digits`); 0 makes one bucket of all.

    Returns
    -------
    bytes
        Root [32 bytes]: of the sorted lines of the one bucket or, if there are more, of the roots of
        all ``16 ** digits`` buckets in order. So a bucket can be checked without the others' lines.

    Raises
    ------
    ValueError
        If an outcome is not counted, withdrawn or rejected.

    Notes
    -----
    Privacy: exact; hashes of sealed bytes, in an order that is not that of arrival.
    Source: RFC 9162, 2.1.1; system.md, section 4 (receipt); decision record 0015.

    Examples
    --------
    >>> one, two = (bytes(32), "counted"), (bytes([0x10]) * 32, "withdrawn")
    >>> list_root([one, two]) == list_root([two, one])
    True
    >>> list_root([one, two], 1) == merkle_root([bucket_root(each) for each in ([one], [two], *[[]] * 14)])
    True
    """
    buckets: dict[str, list[tuple[bytes, Outcome]]] = {prefix: [] for prefix in prefixes(digits)}
    for envelope_hash, outcome in lines:
        buckets[envelope_hash.hex()[:digits]].append((envelope_hash, outcome))
    return root_over([bucket_root(bucket) for bucket in buckets.values()])


def check_bucket(
    lines: Sequence[tuple[bytes, Outcome]], *, prefix: str, bucket_roots: Sequence[bytes], root: bytes
) -> None:
    """Raise InvalidReceipts unless these are all lines of the bucket ``prefix`` under a list's root."""
    buckets = prefixes(len(prefix))
    if len(bucket_roots) != len(buckets) or root_over(bucket_roots) != root:
        raise InvalidReceipts("bucket roots that do not lead to the root in the release")
    if any(not envelope_hash.hex().startswith(prefix) for envelope_hash, _ in lines):
        raise InvalidReceipts("a line of another bucket")
    if bucket_root(lines) != bucket_roots[buckets.index(prefix)]:
        raise InvalidReceipts("lines that are not those of their bucket")


def prefixes(digits: int) -> tuple[str, ...]:
    """Return the names of all buckets in order: every hash begins with exactly one of them."""
    return tuple("".join(each) for each in product(HEX_DIGITS, repeat=digits))


def list_digits(received: Iterable[int]) -> int:
    """Return how many hex digits name a bucket in all lists of a cycle, from its sheets' public totals.

    The shortest list decides, so that no bucket of any sheet is a small one.
    """
    return prefix_digits(min(received))


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
