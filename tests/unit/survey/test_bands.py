"""Properties of merging bands: k people everywhere, and the mean over the frame stays put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.core.bands import SCORES, band, make_bands, merge_bands

COUNTS = st.lists(st.integers(0, 40), min_size=2, max_size=6)


def scores_of(counts: list[int]) -> list[float]:
    """Return evenly spread scores for as many bands."""
    return [2 * place / (len(counts) - 1) - 1 for place in range(len(counts))]


@given(COUNTS, st.integers(5, 30))
def test_every_standing_band_is_shared_by_k_and_nobody_is_lost(counts: list[int], k: int) -> None:
    merged = merge_bands(counts, scores_of(counts), k)
    if merged is None:
        assert sum(counts) < k
        return
    merged_into, _ = merged
    held = [0] * len(counts)
    for place, count in enumerate(counts):
        held[merged_into[place]] += count
    assert sum(held) == sum(counts)
    for place, into in enumerate(merged_into):
        assert merged_into[into] == into
        assert held[place] >= k if into == place else held[place] == 0


@given(COUNTS, st.integers(5, 30))
def test_the_mean_score_of_the_frame_does_not_move(counts: list[int], k: int) -> None:
    scores = scores_of(counts)
    merged = merge_bands(counts, scores, k)
    if merged is not None:
        before = sum(c * s for c, s in zip(counts, scores, strict=True))
        after = sum(c * s for c, s in zip(counts, merged[1], strict=True))
        assert after == pytest.approx(before, abs=1e-9)


@given(COUNTS, st.integers(5, 30))
def test_merged_bands_are_neighbours_with_one_score_in_rising_order(counts: list[int], k: int) -> None:
    merged = merge_bands(counts, scores_of(counts), k)
    if merged is not None:
        merged_into, scores = merged
        assert list(merged_into) == sorted(merged_into)
        for left, right in zip(range(len(counts)), range(1, len(counts)), strict=False):
            if merged_into[left] == merged_into[right]:
                assert scores[left] == scores[right]
            else:
                assert scores[left] < scores[right]


@given(COUNTS, st.integers(5, 30))
def test_bands_that_are_large_enough_are_left_alone(counts: list[int], k: int) -> None:
    large = [count + k for count in counts]
    assert merge_bands(large, scores_of(counts), k) == (tuple(range(len(counts))), tuple(scores_of(counts)))


def test_what_was_emptied_stays_in_the_arrays() -> None:
    bands = make_bands("attainment", [2, 3, 30, 40], 10)
    assert bands is not None
    assert bands.merged_into == (2, 2, 2, 3)
    assert len(bands.scores) == len(bands.labels) == len(SCORES["attainment"])


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4), st.integers(5, 30))
def test_quota_divides_the_bands_wherever_k_people_are_on_either_side(counts: list[int], k: int) -> None:
    merged = merge_bands(counts, SCORES["attainment"], k, apart=2)
    if min(sum(counts[:2]), sum(counts[2:])) >= k:
        assert merged is not None
        assert max(merged[0][:2]) < 2 <= min(merged[0][2:])


@given(st.floats(0, 2), st.floats(0, 2))
def test_more_attainment_is_never_a_lower_band(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert band("attainment", low) <= band("attainment", high)
    assert (band("attainment", low) >= 2) == (band("hit", low) == 1)
