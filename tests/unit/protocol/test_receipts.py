"""Receipts: the published list shows nothing of the order of arrival, and buckets stay large."""

import pytest

from services.protocol import receipts
from services.protocol.commitments import merkle_path, verify_path
from tests.vectors import reference as ref

LINES: list[tuple[bytes, receipts.Outcome]] = [
    (ref.made_up(f"envelope {i}"), receipts.OUTCOMES[i % 3]) for i in range(20)
]


def test_the_root_does_not_depend_on_the_order_of_arrival() -> None:
    assert receipts.list_root(LINES) == receipts.list_root(reversed(LINES))


@pytest.mark.parametrize("outcome", receipts.OUTCOMES)
def test_the_root_depends_on_every_outcome(outcome: receipts.Outcome) -> None:
    envelope_hash, published = LINES[0]
    same = receipts.list_root([(envelope_hash, outcome), *LINES[1:]]) == receipts.list_root(LINES)
    assert same == (outcome == published)


def test_a_rep_can_prove_a_line_against_the_root() -> None:
    lines = [receipts.leaf(*line) for line in sorted(LINES)]
    for at, line in enumerate(lines):
        verify_path(line, at, len(lines), merkle_path(lines, at), receipts.list_root(LINES))


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError):
        receipts.leaf(bytes(32), "lost")  # type: ignore[arg-type]


@pytest.mark.parametrize("lines", [0, 1, 4096, 4097, 5000, 65_535, 65_536, 1_000_000, 10_000_000])
def test_a_bucket_holds_256_lines_or_more_on_average(lines: int) -> None:
    digits = receipts.prefix_digits(lines)
    assert (digits == 0) == (lines <= receipts.WHOLE_LIST_UP_TO)
    assert digits == 0 or lines / 16**digits >= receipts.BUCKET_AT_LEAST
    assert digits == 0 or lines / 16 ** (digits + 1) < receipts.BUCKET_AT_LEAST
