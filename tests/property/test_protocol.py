"""The wire under made-up input: what decodes comes back as the same bytes, everything else is refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.protocol import commitments, encoding, envelope, manifest, plan, receipts, sheet, token
from services.protocol.arithmetic import noise_variance, publish_chance, surety
from services.protocol.problems import Problem
from tests.unit.protocol.builders import manifest_document, sample_manifest

calm = settings(deadline=None)
"""No test fails because a busy machine was slow."""

# Whole numbers beyond 2^53 have no form that all languages read alike; the wire has none.
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
HASHES = st.binary(min_size=32, max_size=32)
SPKI = sample_manifest().sheet("support-group").spki
CHALLENGE = token.challenge(bytes(32), "support-group")
VERIFIER = token.Verifier(spki=SPKI, challenge=CHALLENGE)
VERIFIER_FIELDS = encoding.sha256(CHALLENGE) + token.key_id(SPKI)
LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


@calm
@given(st.binary(max_size=100))
def test_base64url_comes_back(data: bytes) -> None:
    assert encoding.unb64(encoding.b64(data)) == data


@calm
@given(st.text(max_size=12))
def test_text_is_base64url_in_one_spelling_or_refused(text: str) -> None:
    try:
        data = encoding.unb64(text)
    except encoding.InvalidEncoding:
        return
    assert encoding.b64(data) == text


@calm
@given(JSON)
def test_canonical_json_is_json_and_stays_as_it_is(value: Any) -> None:
    written = encoding.canonical(value)
    read = json.loads(written)
    assert read == value
    assert encoding.canonical(read) == written


@calm
@given(st.dictionaries(TEXT, JSON, max_size=6), st.randoms())
def test_canonical_json_forgets_the_order_of_keys(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert encoding.canonical({key: value[key] for key in keys}) == encoding.canonical(value)


@calm
@given(LEAVES, st.data())
def test_every_leaf_has_a_proof_and_no_other_leaf_does(leaves: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.binary(max_size=40))
    root, path = commitments.merkle_root(leaves), commitments.merkle_path(leaves, at)
    commitments.verify_path(leaves[at], at, len(leaves), path, root)
    assume(other != leaves[at])
    try:
        commitments.verify_path(other, at, len(leaves), path, root)
    except commitments.InvalidCommitment:
        return
    raise AssertionError("another leaf has the same proof")


@calm
@given(
    st.lists(st.tuples(st.integers(2, 255), st.integers(0, 255)), min_size=1, max_size=18),
    st.binary(min_size=16, max_size=16),
    HASHES,
    st.integers(0, 20),
)
def test_sheets_come_back_or_are_refused(
    fields: list[tuple[int, int]], value: bytes, secret: bytes, padding: int
) -> None:
    sizes = [size for size, _ in fields]
    made = sheet.Sheet(tuple(field for _, field in fields), value, secret)
    length = len(fields) + 48 + padding
    in_range = all(field < size or field == sheet.MISSING for size, field in fields)
    empty = not made.blank or made == sheet.blank(len(fields))
    try:
        read = sheet.decode(sheet.encode(made, length=length), sizes=sizes, length=length)
    except sheet.InvalidSheet:
        assert not in_range or not empty
        return
    assert in_range
    assert empty
    assert read == made


@calm
@given(st.binary(max_size=60))
def test_any_plaintext_is_one_sheet_or_none(plaintext: bytes) -> None:
    try:
        read = sheet.decode(plaintext, sizes=[3], length=49)
    except sheet.InvalidSheet:
        return
    assert sheet.encode(read, length=49) == plaintext


@calm
@given(st.binary(min_size=617, max_size=617), st.sampled_from([0, 1]))
def test_any_envelope_of_the_right_form_keeps_its_bytes(body: bytes, kind: int) -> None:
    data = bytes([1, 1, kind]) + body
    assert envelope.parse(data, length=620, suite=1).encode() == data


@calm
@given(st.binary(max_size=700))
def test_no_made_up_bytes_pass_as_a_token(data: bytes) -> None:
    named = token.TOKEN_TYPE + data[:32].ljust(32) + VERIFIER_FIELDS
    for candidate in (data, named + data[:256].ljust(256, b"\x00")):
        try:
            VERIFIER.verify(candidate)
        except token.InvalidToken:
            continue
        raise AssertionError("made-up bytes passed")


@calm
@given(st.integers(1, plan.CAP_ANSWERS_MICRO))
def test_every_budget_has_a_decimal_that_gives_it_back(micro: int) -> None:
    assert plan.micro(f"{micro // plan.MICRO}.{micro % plan.MICRO:06d}") == micro


@calm
@given(st.text(max_size=12) | st.floats().map(repr) | st.from_regex(r"[0-9+\-.eE_ ]{0,9}", fullmatch=True))
def test_a_text_is_the_budget_it_reads_as_or_refused(text: str) -> None:
    try:
        micro = plan.micro(text)
    except Problem:
        return
    assert 0 < micro <= plan.CAP_ANSWERS_MICRO
    assert math.isclose(float(text) * plan.MICRO, micro, rel_tol=1e-12)


@calm
@given(st.integers(5, 60), st.floats(0.01, 3.0), st.floats(1e-9, 1e-3), st.integers(0, 200))
def test_one_rep_changes_the_gate_by_no_more_than_the_coin_costs(
    k: int, epsilon: float, delta: float, n: int
) -> None:
    less, more = (publish_chance(m, k, epsilon=epsilon, delta=delta) for m in (n, n + 1))
    loss, slack = math.exp(epsilon), 1e-12
    assert 0.0 <= less <= more <= 1.0
    assert more <= loss * less + delta + slack
    assert 1.0 - less <= loss * (1.0 - more) + delta + slack
    assert n >= k or less == 0.0


@calm
@given(st.floats(0.001, 8.0), st.floats(0.001, 8.0))
def test_more_budget_means_less_noise_and_surer_guesses(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert noise_variance(low) >= noise_variance(high) > 0.0
    assert 50 <= surety(low) <= surety(high) <= 100


@calm
@given(st.lists(st.tuples(HASHES, st.sampled_from(receipts.OUTCOMES)), max_size=30), st.randoms())
def test_the_list_of_receipts_has_one_root(lines: list[tuple[bytes, receipts.Outcome]], random: Any) -> None:
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert receipts.list_root(shuffled) == receipts.list_root(lines)
    assert receipts.list_root(shuffled, 1) == receipts.list_root(lines, 1)


@calm
@given(
    st.lists(st.tuples(HASHES, st.sampled_from(receipts.OUTCOMES)), min_size=1, max_size=40),
    st.integers(0, 2),
    st.data(),
)
def test_a_bucket_is_whole_or_refused(
    lines: list[tuple[bytes, receipts.Outcome]], digits: int, data: st.DataObject
) -> None:
    left_out = data.draw(st.sampled_from(lines))
    prefix = left_out[0].hex()[:digits]
    buckets = [
        [line for line in lines if line[0].hex().startswith(name)] for name in receipts.prefixes(digits)
    ]
    roots = [receipts.bucket_root(bucket) for bucket in buckets]
    root = receipts.list_root(lines, digits)
    whole = buckets[receipts.prefixes(digits).index(prefix)]
    receipts.check_bucket(whole, prefix=prefix, bucket_roots=roots, root=root)
    fewer = list(whole)
    fewer.remove(left_out)
    with pytest.raises(receipts.InvalidReceipts):
        receipts.check_bucket(fewer, prefix=prefix, bucket_roots=roots, root=root)


@calm
@given(st.data())
def test_another_manifest_has_another_hash(data: st.DataObject) -> None:
    document = manifest_document()
    key = data.draw(st.sampled_from(["company", "title", "retention"]))
    text = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
    before = manifest.parse(document)
    after = manifest.parse(document | {key: text})
    assert (after.hash() == before.hash()) == (text == document[key])
    assert manifest.parse(json.loads(after.encode())).encode() == after.encode()
