"""Chunks: a streamed box in pieces that workers can count apart."""

from collections.abc import Iterable, Iterator

NONCE_BYTES = 32
# Where a token's nonce lies in an envelope: behind 7 bytes of head and the 2 of the token type.
_NONCE_AT = slice(9, 9 + NONCE_BYTES)


class InvalidChunk(ValueError):
    """The bytes are not a whole number of envelopes."""


def cut(blocks: Iterable[bytes], *, length: int, sheets: int) -> Iterator[bytes]:
    """Yield a streamed box as chunks for :func:`tally.count_chunk`.

    Parameters
    ----------
    blocks : iterable of bytes
        The box in pieces of any size, as they come from the network.
    length : int
        Length of one envelope [bytes].
    sheets : int
        Envelopes per chunk, at least; neighbours under one nonce are never separated.

    Yields
    ------
    bytes
        Whole envelopes, in box order.

    Raises
    ------
    InvalidChunk
        If the box ends inside an envelope.

    Notes
    -----
    Privacy: exact; sees sealed envelopes only. An honest box is in nonce order, so repeats are
    neighbours and are found inside one chunk, however the box is cut.
    Source: system.md, section 4 (mixing).

    Examples
    --------
    >>> box = [b"a" * 60, b"a" * 40 + b"b" * 50]
    >>> [len(chunk) for chunk in cut(box, length=50, sheets=1)]
    [100, 50]
    """
    if sheets < 1:
        raise InvalidChunk("a chunk has at least one envelope")
    waiting, at = bytearray(), sheets * length
    for block in blocks:
        waiting += block
        while at + length <= len(waiting):
            if _nonce(waiting, at) == _nonce(waiting, at - length):
                at += length
                continue
            yield bytes(waiting[:at])
            del waiting[:at]
            at = sheets * length
    if len(waiting) % length:
        raise InvalidChunk("the box ends inside an envelope")
    if waiting:
        yield bytes(waiting)


def _nonce(data: bytearray, start: int) -> bytes:
    return bytes(data[start + _NONCE_AT.start : start + _NONCE_AT.stop])
