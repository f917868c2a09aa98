"""Plaintexts of sheets: one length, one blank, no room for a hidden mark."""

import pytest

from services.protocol import sheet
from services.protocol.sheet import InvalidSheet, Sheet

VALUE, SECRET = bytes(15) + b"\x01", b"\x07" * 32


def test_all_sheets_of_a_cycle_have_the_length_of_the_longest() -> None:
    length = sheet.plaintext_length([1, 3, 1])
    assert length == 51
    assert {len(sheet.encode(Sheet((0,) * n, VALUE, SECRET), length=length)) for n in (1, 3)} == {51}
    assert len(sheet.encode(sheet.blank(1), length=length)) == 51


def test_every_bit_of_padding_is_checked() -> None:
    plaintext = bytearray(sheet.encode(Sheet((1,), VALUE, SECRET), length=51))
    for at in (49, 50):
        for bit in range(8):
            plaintext[at] ^= 1 << bit
            with pytest.raises(InvalidSheet, match="padding"):
                sheet.decode(bytes(plaintext), sizes=[3], length=51)
            plaintext[at] ^= 1 << bit


@pytest.mark.parametrize("field", range(256))
def test_a_field_is_one_of_its_values_or_missing(field: int) -> None:
    plaintext = bytes([field]) + VALUE + SECRET
    if field < 11:
        assert sheet.decode(plaintext, sizes=[11], length=49).fields == (field,)
    else:
        # 255 alone would be a blank, and a blank carries no value.
        with pytest.raises(InvalidSheet):
            sheet.decode(plaintext, sizes=[11], length=49)


def test_a_blank_is_one_plaintext() -> None:
    plaintext = sheet.encode(sheet.blank(2), length=50)
    assert sheet.decode(plaintext, sizes=[3, 3], length=50).blank
    for at in range(2, 50):
        marked = plaintext[:at] + b"\x01" + plaintext[at + 1 :]
        with pytest.raises(InvalidSheet):
            sheet.decode(marked, sizes=[3, 3], length=50)


@pytest.mark.parametrize(
    "bad",
    [
        Sheet((1,), VALUE[1:], SECRET),
        Sheet((1,), VALUE, SECRET + b"x"),
        Sheet((1, 1), VALUE, SECRET),
        Sheet((256,), VALUE, SECRET),
        Sheet((-1,), VALUE, SECRET),
    ],
)
def test_a_sheet_that_does_not_fit_is_not_encoded(bad: Sheet) -> None:
    with pytest.raises(InvalidSheet):
        sheet.encode(bad, length=49)


def test_a_layout_longer_than_the_plaintext_is_refused() -> None:
    with pytest.raises(InvalidSheet):
        sheet.decode(bytes(49), sizes=[3, 3], length=49)
