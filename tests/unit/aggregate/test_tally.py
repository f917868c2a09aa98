"""Counting: one case per reason, in the order of the checks, and no sheet counted twice."""

import pickle
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregate.core.chunks import InvalidChunk, cut
from services.aggregate.core.opener import InvalidOpeningKey
from services.aggregate.core.receiptlist import LINE_BYTES, unpack
from services.aggregate.core.tally import RepeatedNonce, Tally, count_chunk, merge
from services.protocol import envelope, receipts, sheet
from services.protocol.commitments import encode_value
from services.protocol.release import REASONS
from tests.unit.aggregate.factory import Cycle, in_order, made_manifest, nonce_of, secret_of

ROOT = Path(__file__).parents[3]
SHEET = "support-result"
CYCLE = Cycle()
RULES = CYCLE.rules(SHEET)
KEY = CYCLE.opening_key(SHEET)
LENGTH = RULES.envelope_length
TOKEN_AT, PUBLIC_KEY_AT, SIGNATURE_AT, SEALED_AT = 7, 361, 426, 490


def count(*envelopes: bytes) -> Tally:
    """Return the tally of a box."""
    return count_chunk(b"".join(envelopes), RULES, KEY)


def lines(tally: Tally) -> list[tuple[bytes, receipts.Outcome]]:
    """Return the lines of a tally's receipt list."""
    return list(unpack(tally.outcomes))


def reason(data: bytes) -> str:
    """Return why the one envelope is rejected."""
    tally = count(data)
    assert (tally.counted, tally.withdrawn, int(tally.exact_counts.sum())) == (0, 0, 0)
    assert lines(tally) == [(receipts.receipt_hash(data), "rejected")]
    (only,) = tally.rejected
    assert tally.rejected == {only: 1}
    return only


def flipped(data: bytes, at: int) -> bytes:
    """Return the envelope with one bit turned."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def sealed_sheet(fields: tuple[int, ...], value: bytes, secret: bytes) -> bytes:
    """Return an envelope around a sheet that an honest phone might not send."""
    content = sheet.Sheet(fields, value, secret)
    return CYCLE.envelope(SHEET, sheet.encode(content, length=RULES.plaintext_length))


GOOD = CYCLE.answer(SHEET, (0, 2))


def test_each_answer_adds_to_its_cell_and_a_blank_to_none() -> None:
    cells = [(0, 0), (0, 0), (1, 3), (2, 1), None, None]
    tally = count(*(CYCLE.answer(SHEET, cell) for cell in cells))
    assert tally.exact_counts.tolist() == [[2, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    assert (tally.counted, tally.withdrawn, tally.rejected, tally.received) == (6, 0, {}, 6)
    assert {outcome for _, outcome in lines(tally)} == {"counted"}


def test_every_sheet_of_the_plan_can_be_counted() -> None:
    for spec in CYCLE.of.sheets:
        last = (spec.field_values - 1, spec.values[-1])
        tally = count_chunk(
            CYCLE.box(spec.name, [last, None]), CYCLE.rules(spec.name), CYCLE.opening_key(spec.name)
        )
        assert (tally.counted, tally.exact_counts.shape) == (2, (spec.field_values, spec.columns))
        assert tally.exact_counts[last] == tally.exact_counts.sum() == 1


@pytest.mark.parametrize("at", [0, 1])
def test_form(at: int) -> None:
    assert reason(flipped(GOOD, at)) == "form"
    assert reason(GOOD[:2] + b"\x07" + GOOD[3:]) == "form"


@pytest.mark.parametrize("at", [TOKEN_AT, TOKEN_AT + 1, TOKEN_AT + 2, TOKEN_AT + 40, TOKEN_AT + 80, 360])
def test_token(at: int) -> None:
    assert reason(flipped(GOOD, at)) == "token"


def test_token_of_another_sheet_or_cycle() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    plaintext = CYCLE.plaintext(SHEET, (0, 0))
    elsewhere = Cycle(made_manifest(k=11))
    for token in (CYCLE.token("support-group", key), elsewhere.token(SHEET, key)):
        assert reason(CYCLE.envelope(SHEET, plaintext, key=key, token=token)) == "token"


@pytest.mark.parametrize("at", [3, PUBLIC_KEY_AT + 5, SIGNATURE_AT, SEALED_AT - 1, SEALED_AT, LENGTH - 1])
def test_signature(at: int) -> None:
    assert reason(flipped(GOOD, at)) == "signature"


def test_signature_of_a_key_the_token_does_not_name() -> None:
    token = CYCLE.token(SHEET, ec.generate_private_key(ec.SECP256R1()))
    assert reason(CYCLE.envelope(SHEET, CYCLE.plaintext(SHEET, (0, 0)), token=token)) == "signature"


def test_sealing() -> None:
    good = envelope.parse(GOOD, length=LENGTH, suite=1).sealed
    assert reason(CYCLE.envelope(SHEET, b"", sealed=flipped(good, len(good) - 1))) == "sealing"
    other = envelope.parse(CYCLE.answer("support-group", (0, 0)), length=LENGTH, suite=1).sealed
    assert reason(CYCLE.envelope(SHEET, b"", sealed=other)) == "sealing"


def test_copies_of_one_sealed_sheet_under_other_tokens_are_counted_once() -> None:
    # Survey makes tokens: it could put a colleague's sealed sheet under as many as it likes.
    good = envelope.parse(GOOD, length=LENGTH, suite=1).sealed
    copies = [CYCLE.envelope(SHEET, b"", sealed=good) for _ in range(50)]
    for box in ([GOOD, *copies], [*copies, GOOD]):
        tally = count(*box)
        assert (tally.counted, tally.rejected) == (1, {"sealing": 50})
        assert tally.exact_counts[0, 2] == tally.exact_counts.sum() == 1
        assert (receipts.receipt_hash(GOOD), "counted") in lines(tally)


def test_a_copy_under_a_second_token_for_the_same_key_is_a_duplicate() -> None:
    # One key can sign two tokens with one nonce; the nonce is spent once.
    key = ec.generate_private_key(ec.SECP256R1())
    first, second = (
        CYCLE.envelope(SHEET, CYCLE.plaintext(SHEET, (0, 2)), key=key, token=CYCLE.token(SHEET, key))
        for _ in range(2)
    )
    assert first[TOKEN_AT:PUBLIC_KEY_AT] != second[TOKEN_AT:PUBLIC_KEY_AT]
    assert count(first, second).rejected == {"duplicate": 1}


def test_range() -> None:
    value, secret = encode_value(1), secret_of(SHEET, 1)
    assert reason(sealed_sheet((3,), value, secret)) == "range"
    assert reason(sealed_sheet((254,), value, secret)) == "range"
    assert reason(sealed_sheet((255,), value, secret)) == "range"
    assert reason(sealed_sheet((255,), bytes(16), secret)) == "range"


def test_value() -> None:
    assert reason(sealed_sheet((0,), encode_value(4), secret_of(SHEET, 4))) == "value"
    assert reason(sealed_sheet((0,), b"\xff" * 16, bytes(32))) == "value"


def test_value_of_an_emptied_column() -> None:
    cycle = Cycle(made_manifest(merged=True))
    box = cycle.answer(SHEET, (0, 3))
    assert count_chunk(box, cycle.rules(SHEET), KEY).rejected == {"value": 1}


def test_commitment() -> None:
    assert reason(sealed_sheet((0,), encode_value(1), secret_of(SHEET, 2))) == "commitment"
    assert reason(sealed_sheet((0,), encode_value(1), secret_of("support-group", 1))) == "commitment"
    assert reason(sealed_sheet((0,), bytes(16), bytes(32))) == "commitment"


def test_a_secret_that_was_right_once_certifies_no_other_value_and_no_other_secret() -> None:
    right = [CYCLE.answer(SHEET, (0, value)) for value in (1, 2)]
    wrong = [
        sealed_sheet((0,), encode_value(1), secret)
        for secret in (secret_of(SHEET, 2), secret_of(SHEET, 0), bytes(32))
    ]
    uncertified = sealed_sheet((0,), encode_value(4), secret_of(SHEET, 1))
    tally = count(*right, *wrong, uncertified, *right[:1], CYCLE.answer(SHEET, (1, 1)))
    assert (tally.counted, tally.rejected) == (3, {"duplicate": 1, "value": 1, "commitment": 3})
    assert tally.exact_counts[:, 1].tolist() == [1, 1, 0]
    # Nor does a wrong secret that came first.
    assert count(*wrong, *right).rejected == {"commitment": 3}


def test_withdrawal_is_checked_but_not_opened() -> None:
    unopenable = CYCLE.envelope(SHEET, CYCLE.plaintext(SHEET, (0, 0)), kind=envelope.WITHDRAWAL)
    assert count(unopenable).withdrawn == 1
    noise = bytes(LENGTH - SEALED_AT)
    tally = count(CYCLE.envelope(SHEET, b"", kind=envelope.WITHDRAWAL, sealed=noise))
    assert (tally.counted, tally.withdrawn, tally.rejected) == (0, 1, {})
    assert lines(tally)[0][1] == "withdrawn"
    assert reason(flipped(unopenable, SIGNATURE_AT)) == "signature"
    # The kind is signed: nobody else can make a withdrawal of an answer.
    assert reason(flipped(GOOD, 2)) == "signature"


def test_only_the_first_valid_sheet_of_a_nonce_stands() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token = CYCLE.token(SHEET, key)
    first, second = (
        CYCLE.envelope(SHEET, CYCLE.plaintext(SHEET, cell), key=key, token=token, counter=i)
        for i, cell in enumerate([(0, 0), (2, 3)])
    )
    withdrawal = CYCLE.envelope(SHEET, b"", key=key, token=token, kind=1, sealed=bytes(LENGTH - SEALED_AT))
    forged = flipped(second, SIGNATURE_AT)
    assert count(first, first, second, withdrawal).rejected == {"duplicate": 3}
    assert count(withdrawal, first).withdrawn == 1
    # Bytes that only claim a nonce don't push its owner out.
    tally = count(forged, first, second)
    assert tally.rejected == {"signature": 1, "duplicate": 1}
    assert tally.exact_counts[0, 0] == tally.exact_counts.sum() == 1


def test_bad_sheets_leave_the_others_alone() -> None:
    bad = [flipped(GOOD, at) for at in (0, 8, SIGNATURE_AT)]
    blank = CYCLE.answer(SHEET, None)
    tally = count(bad[0], GOOD, bad[1], bad[2], blank)
    assert (tally.counted, tally.exact_counts[0, 2]) == (2, 1)
    assert list(tally.rejected) == ["form", "token", "signature"]
    fates = dict.fromkeys(bad, "rejected") | dict.fromkeys((GOOD, blank), "counted")
    assert dict(lines(tally)) == {receipts.receipt_hash(data): fate for data, fate in fates.items()}


def test_reasons_are_those_of_the_release() -> None:
    tested = {"form", "token", "signature", "duplicate", "sealing", "range", "value", "commitment"}
    assert set(REASONS) == tested


def test_what_is_no_box_is_refused() -> None:
    for chunk in (GOOD[:-1], GOOD + b"\x00"):
        with pytest.raises(InvalidChunk):
            count_chunk(chunk, RULES, KEY)
    with pytest.raises(InvalidOpeningKey):
        count_chunk(GOOD, RULES, bytes(32))


def test_empty_box_is_an_empty_tally() -> None:
    tally = count()
    assert (tally.received, tally.counted, tally.exact_counts.shape) == (0, 0, (3, 4))


def test_a_tally_travels_and_prints_nothing_of_what_it_holds() -> None:
    tally = count(GOOD)
    there = pickle.loads(pickle.dumps(tally))
    assert there.exact_counts.tolist() == tally.exact_counts.tolist()
    assert (there.outcomes, there.nonces) == (tally.outcomes, tally.nonces)
    assert repr(tally) == "Tally(received=1)"


@pytest.fixture(scope="module")
def mixed_box() -> list[bytes]:
    """Return the envelopes of a box with good, blank, withdrawn, repeated and broken ones, in order."""
    cells = [(i % 3, i % 4) for i in range(14)]
    envelopes = [CYCLE.answer(SHEET, cell) for cell in [*cells, None, None]]
    envelopes += [flipped(envelopes[0], SIGNATURE_AT), envelopes[1], envelopes[1]]
    envelopes.append(CYCLE.envelope(SHEET, b"", kind=1, sealed=bytes(LENGTH - SEALED_AT)))
    return sorted(envelopes, key=nonce_of)


@settings(max_examples=25, deadline=None)
@given(sheets=st.integers(1, 25), block=st.integers(1, 40_000))
def test_an_ordered_box_has_one_tally_wherever_it_is_cut(
    mixed_box: list[bytes], sheets: int, block: int
) -> None:
    box = b"".join(mixed_box)
    stream = (box[i : i + block] for i in range(0, len(box), block))
    chunks = list(cut(stream, length=LENGTH, sheets=sheets))
    whole, parts = count_chunk(box, RULES, KEY), merge([count_chunk(c, RULES, KEY) for c in chunks])
    assert parts.exact_counts.tolist() == whole.exact_counts.tolist()
    assert (parts.counted, parts.withdrawn, parts.rejected) == (16, 1, {"signature": 1, "duplicate": 2})
    assert (parts.outcomes, parts.rejected) == (whole.outcomes, whole.rejected)


def test_a_repeat_hidden_in_another_chunk_is_found_when_merged() -> None:
    one, other = CYCLE.answer(SHEET, (0, 0)), CYCLE.answer(SHEET, (1, 1))
    with pytest.raises(RepeatedNonce):
        merge([count(one, other), count(one)])
    assert count(one, other, one).rejected == {"duplicate": 1}


@pytest.mark.parametrize("apart", [1, 2, 3])
def test_a_repeat_is_found_however_many_chunks_lie_between(mixed_box: list[bytes], apart: int) -> None:
    chunks = [count(data) for data in dict.fromkeys(mixed_box) if count(data).counted]
    assert merge(chunks).counted == len(chunks) == 16
    for at in range(len(chunks) - apart):
        with pytest.raises(RepeatedNonce):
            merge([*chunks[: at + apart], chunks[at], *chunks[at + apart :]])


def test_a_chunk_out_of_order_is_not_merged_even_without_a_repeat() -> None:
    first, second = halves(6)
    assert merge([count(*first), count(*second)]).counted == 6
    with pytest.raises(RepeatedNonce):
        merge([count(*second), count(*first)])
    # Chunks that overlap: the last sheet of each lies in the other.
    with pytest.raises(RepeatedNonce):
        merge([count(*first[:-1], second[-1]), count(*second[:-1], first[-1])])


def test_what_spends_no_nonce_is_in_nobodys_way() -> None:
    first, second = halves(6)
    claims = count(flipped(second[-1], SIGNATURE_AT)), count(flipped(first[0], TOKEN_AT + 80))
    assert [claim.nonces for claim in claims] == [None, None]
    parts = merge([claims[0], count(*first), claims[1], count(*second)])
    assert (parts.counted, parts.rejected) == (6, {"token": 1, "signature": 1})
    assert parts.nonces == (nonce_of(first[0]), nonce_of(second[-1]))


def halves(sheets: int) -> tuple[list[bytes], list[bytes]]:
    """Return the envelopes of an honest box, in two parts."""
    box = sorted((CYCLE.answer(SHEET, None) for _ in range(sheets)), key=nonce_of)
    return box[: sheets // 2], box[sheets // 2 :]


def test_merging_holds_one_chunk_at_a_time_and_33_bytes_a_sheet() -> None:
    alive: list[weakref.ref[Tally]] = []

    def chunks() -> Iterator[Tally]:
        for number in range(50):
            assert sum(one() is not None for one in alive) <= 2
            nonce = number.to_bytes(32, "big")
            made = Tally(
                np.ones((3, 4), dtype=np.int64), 12, 0, {}, bytes([number]) * 12 * 33, (nonce, nonce)
            )
            alive.append(weakref.ref(made))
            yield made

    whole = merge(chunks())
    assert (whole.received, whole.counted) == (600, 600)
    assert len(whole.outcomes) == 600 * LINE_BYTES
    assert {name for name, held in vars(whole).items() if isinstance(held, list | set)} == set()


def test_order_does_not_matter_to_a_box_counted_whole(mixed_box: list[bytes]) -> None:
    backwards, whole = count(*reversed(mixed_box)), count(*mixed_box)
    assert backwards.exact_counts.tolist() == whole.exact_counts.tolist()
    assert backwards.outcomes == whole.outcomes


def test_2000_sheets() -> None:
    cells = [(i % 3, i % 4) if i % 5 else None for i in range(2000)]
    tally = count_chunk(in_order(CYCLE.answer(SHEET, cell) for cell in cells), RULES, KEY)
    assert (tally.counted, tally.rejected) == (2000, {})
    for row in range(3):
        for column in range(4):
            assert tally.exact_counts[row, column] == cells.count((row, column))


def test_a_worker_that_counts_does_not_load_the_noise_library() -> None:
    program = "import sys, services.aggregate.core.tally; sys.exit('opendp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
