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


def test_one_hash_may_stand_twice_and_the_order_is_that_of_the_lines_bytes() -> None:
    # A withdrawal and, beside it, the same bytes once more: withdrawn is 1 on the wire, rejected 2.
    twice: list[tuple[bytes, receipts.Outcome]] = [(bytes(32), "rejected"), (bytes(32), "withdrawn")]
    assert receipts.list_root(twice) == ref.merkle([bytes(32) + b"\x01", bytes(32) + b"\x02"])


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_every_bucket_leads_to_the_root_with_its_own_lines_alone(digits: int) -> None:
    root, roots = receipts.list_root(LINES, digits), roots_of(LINES, digits)
    assert len(roots) == 16**digits
    for prefix in receipts.prefixes(digits):
        receipts.check_bucket(bucket(prefix), prefix=prefix, bucket_roots=roots, root=root)


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_a_bucket_with_another_line_is_refused(digits: int) -> None:
    root, roots = receipts.list_root(LINES, digits), roots_of(LINES, digits)
    prefix = LINES[0][0].hex()[:digits]
    (first, outcome), *others = bucket(prefix)
    changed: list[list[tuple[bytes, receipts.Outcome]]] = [
        others,
        [(first, outcome), (first, outcome), *others],
        [(first, "rejected" if outcome == "counted" else "counted"), *others],
        [(first[:-1] + bytes([first[-1] ^ 1]), outcome), *others],
    ]
    for lines in changed:
        with pytest.raises(receipts.InvalidReceipts, match="not those of their bucket"):
            receipts.check_bucket(lines, prefix=prefix, bucket_roots=roots, root=root)


def test_a_line_in_the_wrong_bucket_is_refused() -> None:
    # Its owner would look for it elsewhere, and find nothing.
    moved = LINES[0]
    home = moved[0].hex()[0]
    away = "0" if home != "0" else "1"
    lines = [*bucket(away), moved]
    roots = [
        receipts.bucket_root(lines if prefix == away else [line for line in bucket(prefix) if line != moved])
        for prefix in receipts.prefixes(1)
    ]
    with pytest.raises(receipts.InvalidReceipts, match="another bucket"):
        receipts.check_bucket(lines, prefix=away, bucket_roots=roots, root=receipts.root_over(roots))


def test_bucket_roots_that_do_not_lead_to_the_root_are_refused() -> None:
    root, roots = receipts.list_root(LINES, 1), roots_of(LINES, 1)
    prefix = LINES[0][0].hex()[0]
    for wrong in (roots[:-1], [*roots, roots[0]], roots[::-1], [bytes(32), *roots[1:]], [root], []):
        with pytest.raises(receipts.InvalidReceipts, match="do not lead to the root"):
            receipts.check_bucket(bucket(prefix), prefix=prefix, bucket_roots=wrong, root=root)
    with pytest.raises(receipts.InvalidReceipts, match="do not lead to the root"):
        receipts.check_bucket(bucket(prefix), prefix=prefix, bucket_roots=roots, root=bytes(32))


def bucket(prefix: str) -> list[tuple[bytes, receipts.Outcome]]:
    return [line for line in LINES if line[0].hex().startswith(prefix)]


def roots_of(lines: list[tuple[bytes, receipts.Outcome]], digits: int) -> list[bytes]:
    return [
        receipts.bucket_root([line for line in lines if line[0].hex().startswith(prefix)])
        for prefix in receipts.prefixes(digits)
    ]


def test_the_shortest_list_of_a_cycle_decides_how_all_are_asked() -> None:
    assert receipts.list_digits([100_000, 4097, 70_000]) == 1
    assert receipts.list_digits([100_000, 4096]) == 0
    assert receipts.list_digits(iter([100_000])) == receipts.prefix_digits(100_000) == 2


def test_bucket_names_are_in_order_and_every_hash_has_one() -> None:
    assert receipts.prefixes(0) == ("",)
    assert receipts.prefixes(2)[:3] == ("00", "01", "02")
    assert list(receipts.prefixes(2)) == sorted(f"{number:02x}" for number in range(256))


@pytest.mark.parametrize("lines", [0, 1, 4096, 4097, 5000, 65_535, 65_536, 1_000_000, 10_000_000])
def test_a_bucket_holds_256_lines_or_more_on_average(lines: int) -> None:
    digits = receipts.prefix_digits(lines)
    assert (digits == 0) == (lines <= receipts.WHOLE_LIST_UP_TO)
    assert digits == 0 or lines / 16**digits >= receipts.BUCKET_AT_LEAST
    assert digits == 0 or lines / 16 ** (digits + 1) < receipts.BUCKET_AT_LEAST
