"""Bands: which coarse value a record or an answer becomes, and what merging does to small bands."""

from itertools import pairwise

import pytest

from services.protocol.scoring import bands as answer_bands
from services.survey.core.bands import LABELS, SCORES, band, make_bands
from services.survey.core.instrument import FULL

ATTAINMENT = {
    # credited / quota: label
    -0.10: "under 70 %",
    0.00: "under 70 %",
    0.699999: "under 70 %",
    0.70: "70 to 100 %",
    0.999999: "70 to 100 %",
    1.00: "100 to 120 %",
    1.199999: "100 to 120 %",
    1.20: "120 % and more",
    2.00: "120 % and more",
}

HIT = {0.999999: "missed quota", 1.00: "hit quota", 2.00: "hit quota"}

ANSWERS: dict[tuple[int, ...], int | None] = {
    # answers to S1..S6 (0 = no answer): Support band, None = not enough answers
    (1, 1, 1, 1, 1, 1): 0,
    (3, 3, 3, 3, 2, 2): 0,  # mean 2.67
    (3, 3, 3, 2, 0, 0): 0,  # mean 2.75 of four: still low
    (3, 3, 3, 3, 3, 2): 1,  # mean 2.83
    (4, 4, 4, 4, 3, 3): 1,  # mean 3.67
    (4, 4, 4, 3, 0, 0): 2,  # mean 3.75 of four: high
    (5, 5, 5, 5, 5, 5): 2,
    (5, 5, 5, 0, 0, 0): None,  # three of six
    (0, 0, 0, 0, 0, 0): None,
}

MERGING: dict[tuple[int, ...], tuple[tuple[int, ...], tuple[float, ...], tuple[str, ...]] | None] = {
    # invited per band of attainment, k = 10: (takes in, score of each band, what the phone shows)
    (30, 40, 20, 10): (
        (0, 1, 2, 3),
        (-1, -1 / 3, 1 / 3, 1),
        ("under 70 %", "70 to 100 %", "100 to 120 %", "120 % and more"),
    ),
    (30, 40, 20, 5): (
        (0, 1, 2, 2),
        (-1, -1 / 3, 7 / 15, 7 / 15),
        ("under 70 %", "70 to 100 %", "100 % and more", "100 % and more"),
    ),
    (9, 36, 20, 10): (
        (1, 1, 2, 3),
        (-7 / 15, -7 / 15, 1 / 3, 1),
        ("under 100 %", "under 100 %", "100 to 120 %", "120 % and more"),
    ),
    # A middle band joins its neighbour on the same side of quota, even if the other one has fewer people:
    # how many made quota is published too, and would tell the small band by subtraction.
    (40, 5, 20, 30): (
        (0, 0, 2, 3),
        (-25 / 27, -25 / 27, 1 / 3, 1),
        ("under 100 %", "under 100 %", "100 to 120 %", "120 % and more"),
    ),
    (40, 20, 5, 30): (
        (0, 1, 3, 3),
        (-1, -1 / 3, 19 / 21, 19 / 21),
        ("under 70 %", "70 to 100 %", "100 % and more", "100 % and more"),
    ),
    # Where fewer than k made quota altogether, their side can't stand alone; then it is not published either.
    (40, 20, 5, 3): (
        (0, 1, 1, 1),
        (-1, -1 / 14, -1 / 14, -1 / 14),
        ("under 70 %", "70 % and more", "70 % and more", "70 % and more"),
    ),
    # An empty band is no value either: nobody shares it.
    (30, 40, 20, 0): (
        (0, 1, 2, 2),
        (-1, -1 / 3, 1 / 3, 1 / 3),
        ("under 70 %", "70 to 100 %", "100 % and more", "100 % and more"),
    ),
    # One band is left: nothing to compare, so the context is dropped.
    (50, 3, 2, 1): None,
    # Fewer than k people have results at all.
    (3, 3, 2, 1): None,
}


@pytest.mark.parametrize("value", ATTAINMENT)
def test_attainment(value: float) -> None:
    assert LABELS["attainment"][band("attainment", value)] == ATTAINMENT[value]


@pytest.mark.parametrize("value", HIT)
def test_hit(value: float) -> None:
    assert LABELS["hit"][band("hit", value)] == HIT[value]


@pytest.mark.parametrize("given", ANSWERS)
def test_support_on_the_phone(given: tuple[int, ...]) -> None:
    answers = {f"S{place}": choice for place, choice in enumerate(given, start=1) if choice}
    assert answer_bands(FULL, answers).get("support") == ANSWERS[given]


@pytest.mark.parametrize("counts", MERGING)
def test_merging_of_attainment(counts: tuple[int, ...]) -> None:
    expected = MERGING[counts]
    bands = make_bands("attainment", counts, 10)
    if expected is None:
        assert bands is None
        return
    assert bands is not None
    merged_into, scores, labels = expected
    assert bands.merged_into == merged_into
    assert bands.scores == pytest.approx(scores)
    assert bands.labels == labels
    assert bands.edges == (0.70, 1.00, 1.20)
    assert bands.live == tuple(sorted(set(merged_into)))


def test_merging_of_activity_and_hit() -> None:
    activity = make_bands("activity", (4, 40, 40), 10)
    assert activity is not None
    assert activity.labels == ("lower third and middle third", "lower third and middle third", "upper third")
    assert make_bands("activity", (4, 40, 3), 10) is None
    hit = make_bands("hit", (40, 4), 10)
    assert hit is not None
    assert (hit.live, hit.labels) == ((0,), ("all", "all"))


def test_scores_are_spread_evenly_around_zero() -> None:
    for scores in SCORES.values():
        steps = {round(high - low, 9) for low, high in pairwise(scores)}
        assert len(steps) == 1
        assert sum(scores) == pytest.approx(0.0)
        assert (scores[0], scores[-1]) == (-1.0, 1.0)
