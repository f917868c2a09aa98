"""Receipt lists, packed: lines of 33 bytes one after the other, in the order of their bytes.

A line is :func:`services.protocol.receipts.leaf`: the hash of an envelope and one byte for its outcome. A
million lines are 33 MB; as Python objects they would be ten times as many.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from services.protocol.commitments import merkle_root
from services.protocol.receipts import OUTCOMES, Outcome, prefixes, root_over

HASH_BYTES = 32
LINE_BYTES = HASH_BYTES + 1
Packed = bytes | bytearray | memoryview


class InvalidLines(ValueError):
    """The bytes are not whole lines, or a line has an outcome that does not exist."""


def put_in_order(lines: bytearray) -> None:
    """Sort packed lines where they lie.

    Parameters
    ----------
    lines : bytearray
        Whole lines [33 bytes each], in any order; sorted afterwards.

    Raises
    ------
    InvalidLines
        If the bytes are not whole lines.

    Notes
    -----
    Privacy: exact; afterwards nothing tells where in the box an envelope lay.
    Source: system.md, section 4 (receipt): sorted lines.

    Examples
    --------
    >>> lines = bytearray(b"b" * 32 + bytes([0]) + b"a" * 32 + bytes([1]))
    >>> put_in_order(lines)
    >>> bytes(lines[:2]), lines[32]
    (b'aa', 1)
    """
    _table(lines).sort()


def buckets(lines: Packed, digits: int) -> Iterator[tuple[str, memoryview]]:
    """Yield every bucket of a list with its name, in order.

    Parameters
    ----------
    lines : bytes-like
        Packed lines, in order [33 bytes each].
    digits : int
        How many hex digits of a hash name its bucket; 0 makes one bucket of all.

    Yields
    ------
    (str, memoryview)
        Name, and the bucket's packed lines (maybe none), which are not copied.

    Raises
    ------
    InvalidLines
        If the bytes are not whole lines.

    Notes
    -----
    Privacy: exact; hashes of sealed bytes and what became of them, all public after the release.
    Source: decision record 0015.

    Examples
    --------
    >>> found = dict(buckets(b"\\x0f" * 33 + b"\\xa0" * 33, 1))
    >>> len(found), len(found["0"]), len(found["1"]), len(found["a"])
    (16, 33, 0, 33)
    """
    table, view = _table(lines), memoryview(lines)
    names = prefixes(digits)
    lowest = [bytes.fromhex(name.ljust(2 * HASH_BYTES, "0")) for name in names]
    starts = [LINE_BYTES * int(at) for at in np.searchsorted(table, np.array(lowest, dtype=table.dtype))]
    for name, start, end in zip(names, starts, [*starts[1:], len(view)], strict=True):
        yield name, view[start:end]


def root(lines: Packed, digits: int) -> bytes:
    """Return the root of a list; the same as ``services.protocol.receipts.list_root`` of its lines.

    Parameters
    ----------
    lines : bytes-like
        Packed lines, in order [33 bytes each].
    digits : int
        How many hex digits of a hash name its bucket.

    Returns
    -------
    bytes
        Root [32 bytes] that stands in the release.

    Raises
    ------
    InvalidLines
        If the bytes are not whole lines.

    Notes
    -----
    Privacy: exact; as for :func:`buckets`. Holds one hash per bucket and level, never a second list.
    Source: RFC 9162, 2.1.1; decision record 0015.

    Examples
    --------
    >>> from services.protocol.receipts import leaf, list_root
    >>> one = (bytes(32), OUTCOMES[0])
    >>> root(leaf(*one), 1) == list_root([one], 1)
    True
    """
    return root_over([bucket_root(bucket) for _, bucket in buckets(lines, digits)])


def bucket_root(lines: Packed) -> bytes:
    """Return the Merkle root of one bucket.

    Parameters
    ----------
    lines : bytes-like
        The bucket's packed lines, in order [33 bytes each].

    Returns
    -------
    bytes
        Root [32 bytes].

    Notes
    -----
    Privacy: exact; as for :func:`buckets`.
    Source: RFC 9162, 2.1.1.

    Examples
    --------
    >>> bucket_root(b"").hex()[:8]
    'e3b0c442'
    """
    view = memoryview(lines)
    return merkle_root(bytes(view[at : at + LINE_BYTES]) for at in range(0, len(view), LINE_BYTES))


def unpack(lines: Packed) -> Iterator[tuple[bytes, Outcome]]:
    """Yield hash and outcome of each line.

    Parameters
    ----------
    lines : bytes-like
        Packed lines [33 bytes each].

    Yields
    ------
    (bytes, str)
        Envelope hash [32 bytes], and counted, withdrawn or rejected.

    Raises
    ------
    InvalidLines
        If the bytes are not whole lines, or an outcome does not exist.

    Notes
    -----
    Privacy: exact; as for :func:`buckets`.
    Source: system.md, section 4 (receipt).

    Examples
    --------
    >>> [outcome for _, outcome in unpack(bytes(33) + bytes(32) + bytes([2]))]
    ['counted', 'rejected']
    """
    if len(lines) % LINE_BYTES:
        raise InvalidLines("not whole lines")
    for at in range(0, len(lines), LINE_BYTES):
        outcome = lines[at + HASH_BYTES]
        if outcome >= len(OUTCOMES):
            raise InvalidLines("no such outcome")
        yield bytes(lines[at : at + HASH_BYTES]), OUTCOMES[outcome]


def _table(lines: Packed) -> npt.NDArray[np.bytes_]:
    """Return the lines as an array over the same memory; it compares them byte by byte."""
    if len(lines) % LINE_BYTES:
        raise InvalidLines("not whole lines")
    return np.frombuffer(lines, dtype=f"S{LINE_BYTES}")
