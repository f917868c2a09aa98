"""Bytes on the wire have one spelling each."""

import pytest

from services.protocol.encoding import InvalidEncoding, b64, canonical, sha256, unb64


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xfe", bytes(range(256))], ids=len)
def test_base64url_has_no_padding_and_comes_back(data: bytes) -> None:
    assert "=" not in b64(data)
    assert unb64(b64(data)) == data


@pytest.mark.parametrize(
    "text", ["AA==", "AAA=", "A", "AB", "_x8=", "+/8", "-_8\n", " AA", "AA AA", "AÄ", "é", "AA\x00", "="]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InvalidEncoding):
        unb64(text)


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(InvalidEncoding, match="expected 33 bytes"):
        unb64(b64(bytes(32)), length=33)


def test_no_refusal_repeats_its_text() -> None:
    with pytest.raises(InvalidEncoding) as caught:
        unb64("S3cretS3cret+")
    assert "S3cret" not in str(caught.value)


def test_hash_of_parts_is_hash_of_the_whole() -> None:
    assert sha256(b"a", b"", b"bc") == sha256(b"abc")


def test_nesting_too_deep_is_refused() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidEncoding):
        canonical(nested)
