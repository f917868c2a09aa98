"""Scoring on the phone: two thirds of the items, public edges, no rounding in between."""

import itertools

import pytest

from services.protocol import scoring
from tests.unit.protocol.builders import sample_manifest

INSTRUMENT = sample_manifest().instrument


@pytest.mark.parametrize(("dimension", "letter", "items"), [("capability", "C", 4), ("support", "S", 6)])
def test_two_thirds_of_the_items_are_needed(dimension: str, letter: str, items: int) -> None:
    for given in range(items + 1):
        answers = {f"{letter}{i}": 3 for i in range(1, given + 1)}
        assert (dimension in scoring.bands(INSTRUMENT, answers)) == (3 * given >= 2 * items)


def test_bands_of_every_whole_set_of_four_answers() -> None:
    for choices in itertools.product(scoring.CHOICES, repeat=4):
        total = sum(choices)
        band = 0 if total <= 11 else 2 if total >= 15 else 1
        answers = {f"A{i}": choice for i, choice in enumerate(choices, start=1)}
        assert scoring.bands(INSTRUMENT, answers) == {"alignment": band}


def test_bands_of_every_sum_of_three_answers() -> None:
    for choices in itertools.product(scoring.CHOICES, repeat=3):
        total = sum(choices)
        band = 0 if 4 * total <= 33 else 2 if 4 * total >= 45 else 1
        answers = {f"M{i}": choice for i, choice in enumerate(choices, start=1)}
        assert scoring.bands(INSTRUMENT, answers) == {"motivation": band}


def test_answers_to_unknown_items_change_nothing() -> None:
    assert scoring.bands(INSTRUMENT, {"X1": 5, "C9": 1}) == {}


@pytest.mark.parametrize("choice", [0, 6, -1, 2.5, 255])
def test_a_choice_outside_the_scale_is_refused_without_being_repeated(choice: int) -> None:
    with pytest.raises(ValueError, match=r"one of 1, 2, 3, 4, 5 or absent$"):
        scoring.dimension_means(INSTRUMENT, {"C1": choice})
