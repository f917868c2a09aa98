"""The questions: a fixed wording has a fixed hash, and a new wording needs a new version."""

from collections import Counter

from services.survey.core.instrument import FLAGS, FULL, PULSE, PULSE_ITEMS


def test_eighteen_items_in_order() -> None:
    expected = [
        f"{letter}{i}"
        for letter, count in zip("CAMS", (4, 4, 4, 6), strict=True)
        for i in range(1, count + 1)
    ]
    assert [item.id for item in FULL.items] == expected


def test_the_letter_of_an_item_is_its_dimension() -> None:
    letters = {"C": "capability", "A": "alignment", "M": "motivation", "S": "support"}
    assert all(item.dimension == letters[item.id[0]] for item in FULL.items)


def test_statements_and_reasons_differ() -> None:
    texts = [item.text for item in FULL.items] + list(FLAGS)
    assert max(Counter(texts).values()) == 1
    assert len(FULL.flags) == 11


def test_the_pulse_has_the_same_words_three_a_dimension() -> None:
    assert tuple(item.id for item in PULSE.items) == PULSE_ITEMS
    assert set(PULSE.items) < set(FULL.items)
    assert set(Counter(item.dimension for item in PULSE.items).values()) == {3}
    assert PULSE.flags == FULL.flags


def test_bands_are_cut_as_published() -> None:
    assert (FULL.low_at_most, FULL.high_at_least, FULL.answered_share) == (2.75, 3.75, 2 / 3)


def test_wording_and_version_change_together() -> None:
    assert (FULL.version, FULL.digest().hex()[:16]) == ("fairpatch-18/1", "4e87e733ec4f6ad8")
    assert (PULSE.version, PULSE.digest().hex()[:16]) == ("fairpatch-12/1", "cf49b10c7f1b8736")
