"""A stream is cut into whole envelopes, and neighbours under one nonce stay together."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.chunks import InvalidChunk, cut

LENGTH = 50


def made_up(nonce: int, mark: int) -> bytes:
    """Return something of an envelope's length with a nonce where envelopes have theirs."""
    return (b"\x01" * 9 + nonce.to_bytes(32, "big")).ljust(LENGTH - 1, b"\x02") + bytes([mark])


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    """Return a stream in blocks of one size."""
    return (data[i : i + size] for i in range(0, len(data), size))


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 170), st.integers(1, 8), st.booleans())
def test_cutting_loses_nothing_and_keeps_equal_neighbours(
    nonces: list[int], size: int, sheets: int, ordered: bool
) -> None:
    nonces = sorted(nonces) if ordered else nonces
    box = b"".join(made_up(nonce, i) for i, nonce in enumerate(nonces))
    chunks = list(cut(blocks(box, size), length=LENGTH, sheets=sheets))
    assert b"".join(chunks) == box
    assert all(len(chunk) % LENGTH == 0 and chunk for chunk in chunks)
    assert all(len(chunk) >= sheets * LENGTH for chunk in chunks[:-1])
    ends = [(a[-LENGTH:][9:41], b[9:41]) for a, b in pairwise(chunks)]
    assert all(last != first for last, first in ends)


def test_chunks_are_no_larger_than_asked_for_in_an_honest_box() -> None:
    box = b"".join(made_up(i, 0) for i in range(10))
    assert [len(c) // LENGTH for c in cut([box], length=LENGTH, sheets=4)] == [4, 4, 2]


def test_a_box_that_ends_inside_an_envelope_is_refused() -> None:
    with pytest.raises(InvalidChunk):
        list(cut([made_up(1, 0), b"x"], length=LENGTH, sheets=5))


def test_empty_box_has_no_chunk() -> None:
    assert list(cut([], length=LENGTH, sheets=1)) == []
    with pytest.raises(InvalidChunk):
        list(cut([], length=LENGTH, sheets=0))
