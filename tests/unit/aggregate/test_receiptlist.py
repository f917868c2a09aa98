"""Packed lists say the same as lines: order, buckets, roots; and they are never copied."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.receiptlist import (
    LINE_BYTES,
    InvalidLines,
    bucket_root,
    buckets,
    put_in_order,
    root,
    unpack,
)
from services.protocol import receipts
from services.protocol.encoding import sha256
from services.protocol.receipts import OUTCOMES, Outcome, leaf, list_root

Lines = list[tuple[bytes, Outcome]]
# Few different bytes, many zeros and 255s: shared beginnings, and ends that a text would strip.
HASHES = st.lists(st.sampled_from([0, 1, 0x0F, 0x10, 0x7F, 0x80, 0xF0, 0xFF]), min_size=2, max_size=2).map(
    lambda ends: bytes([ends[0]]) + bytes(30) + bytes([ends[1]])
) | st.binary(min_size=32, max_size=32)
LINES = st.lists(st.tuples(HASHES, st.sampled_from(OUTCOMES)), max_size=40)


def packed(lines: Lines) -> bytearray:
    """Return lines as a tally has them."""
    made = bytearray(b"".join(leaf(*line) for line in lines))
    put_in_order(made)
    return made


def many(count: int) -> bytearray:
    """Return so many lines, as from a real box."""
    return packed([(sha256(number.to_bytes(4, "big")), OUTCOMES[number % 3]) for number in range(count)])


@given(LINES)
def test_packing_loses_nothing_and_sorts_by_every_bit(lines: Lines) -> None:
    assert [leaf(*line) for line in unpack(packed(lines))] == sorted(leaf(*line) for line in lines)


@given(LINES, st.integers(0, 2))
def test_buckets_are_those_of_the_wire(lines: Lines, digits: int) -> None:
    found = list(buckets(packed(lines), digits))
    assert [name for name, _ in found] == list(receipts.prefixes(digits))
    assert b"".join(bucket for _, bucket in found) == packed(lines)
    for name, bucket in found:
        assert all(envelope_hash.hex().startswith(name) for envelope_hash, _ in unpack(bucket))
        assert bucket_root(bucket) == receipts.bucket_root(unpack(bucket))


@given(LINES, st.integers(0, 2))
def test_the_root_is_that_of_the_wire(lines: Lines, digits: int) -> None:
    assert root(packed(lines), digits) == list_root(lines, digits)


def test_a_bucket_that_the_root_covers_can_be_checked_alone() -> None:
    lines = many(5000)
    roots = [bucket_root(bucket) for _, bucket in buckets(lines, 1)]
    for name, bucket in buckets(lines, 1):
        inside = list(unpack(bucket))
        receipts.check_bucket(inside, prefix=name, bucket_roots=roots, root=root(lines, 1))


@pytest.mark.parametrize("broken", [b"x", bytes(32), bytes(34), bytes(65)])
def test_what_is_not_whole_lines_is_refused(broken: bytes) -> None:
    for use in (
        lambda: put_in_order(bytearray(broken)),
        lambda: list(buckets(broken, 0)),
        lambda: root(broken, 1),
        lambda: list(unpack(broken)),
    ):
        with pytest.raises(InvalidLines):
            use()


@pytest.mark.parametrize("outcome", [3, 255])
def test_an_outcome_that_does_not_exist_is_refused(outcome: int) -> None:
    with pytest.raises(InvalidLines):
        list(unpack(bytes(32) + bytes([outcome])))


def test_sorting_buckets_and_root_hold_no_second_list() -> None:
    count = 20_000
    lines = many(count)
    shuffled = [bytes(lines[at : at + LINE_BYTES]) for at in range(0, len(lines), LINE_BYTES)]
    random.Random(1).shuffle(shuffled)
    again = bytearray(b"".join(shuffled))
    del shuffled
    tracemalloc.start()
    try:
        put_in_order(again)
        assert root(again, 2) == root(lines, 2)
        for _, bucket in buckets(again, 2):
            assert bucket.obj is again
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert again == lines
    assert peak < len(lines) / 4
