"""Scores of groups: value, ranges, weight and state."""

import math

import numpy as np
import pytest

from services.protocol.arithmetic import noise_variance
from services.report.core.arrays import InvalidTable
from services.report.core.groups import Reading, lowest, read_company, read_groups
from services.report.core.scores import Value, score

TRUE = {"north": (60, 90, 140), "south": (90, 120, 80), "east": (140, 90, 60)}


def drawn(
    tallies: tuple[int, int, int], epsilon: float, draws: int, seed: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    rng = np.random.default_rng(seed)
    p = 1.0 - math.exp(-epsilon)
    shape = (draws, 3)
    return np.array(tallies) + rng.geometric(p, shape) - rng.geometric(p, shape)


@pytest.mark.parametrize(
    ("epsilon", "tallies"),
    [
        (0.80, (60, 90, 140)),
        (0.80, (97, 96, 97)),
        (0.80, (17, 20, 23)),
        (0.35, (20, 20, 20)),
        (0.20, (20, 20, 20)),
        (0.20, (10, 20, 30)),
        (0.20, (30, 50, 60)),
    ],
)
def test_the_exact_score_lies_in_the_noise_range_as_often_as_promised(
    epsilon: float, tallies: tuple[int, int, int]
) -> None:
    """2,000 releases of the same tallies; chance alone moves the share by .005."""
    exact_score = 50.0 * (1.0 + (tallies[2] - tallies[0]) / sum(tallies))
    values = [score(row[:, None], epsilon=epsilon) for row in drawn(tallies, epsilon, 2000, 11)]
    read = [value for value in values if value is not None]
    covered = np.mean([abs(value.mean - exact_score) <= value.noise_half_width for value in read])
    assert len(read) > 1950
    assert 0.93 <= covered <= 0.97


def test_a_range_that_forgets_heavy_tails_and_noisy_totals_would_be_too_narrow() -> None:
    """The check above can fail: the same width made from the two end bands alone covers too rarely."""
    tallies, epsilon = (10, 20, 70), 0.8
    deviation = math.sqrt(noise_variance(epsilon)) / sum(tallies)
    exact_score = (tallies[2] - tallies[0]) / sum(tallies)
    rows = drawn(tallies, epsilon, 2000, 11)
    covered = np.mean(abs((rows[:, 2] - rows[:, 0]) / rows.sum(axis=1) - exact_score) <= 1.96 * deviation)
    assert covered < 0.93


def test_sampling_widens_the_range() -> None:
    value = score([[60], [90], [140]], epsilon=0.8)
    assert value is not None
    assert value.noise_half_width < value.half_width
    assert value.interval == (value.mean - value.half_width, value.mean + value.half_width)


def test_more_columns_carry_more_noise() -> None:
    one = score([[60], [60], [60]], epsilon=0.5)
    four = score([[15] * 4] * 3, epsilon=0.5)
    assert one is not None
    assert four is not None
    assert four.mean == one.mean
    assert 1.9 < four.noise_half_width / one.noise_half_width < 2.1


def test_value_and_range_stay_on_the_scale() -> None:
    value = score([[-8], [0], [60]], epsilon=0.8)
    assert value is not None
    assert value.mean == 100.0
    assert value.interval[1] == 100.0


def test_a_total_lost_in_noise_has_no_score() -> None:
    assert score([[4], [3], [5]], epsilon=0.2) is None
    assert score([[4], [3], [5]], epsilon=2.0) is not None


@pytest.mark.parametrize("table", [[[1], [2]], np.zeros((3, 0)), [[1], [2], [math.nan]]])
def test_a_score_needs_three_bands(table: object) -> None:
    with pytest.raises(InvalidTable):
        score(table, epsilon=0.5)  # type: ignore[arg-type]


def test_groups_that_differ_are_shown_and_held_ones_say_nothing() -> None:
    readings = read_groups({**TRUE, "west": None}, epsilon=0.8, k=10)
    assert [reading.state for reading in readings.values()] == ["shown", "shown", "shown", "held"]
    assert readings["west"] == Reading("held")
    assert list(readings) == ["north", "south", "east", "west"]


def test_small_groups_are_wide() -> None:
    readings = read_groups({"a": (12, 10, 30), "b": (30, 10, 12)}, epsilon=0.8, k=10)
    assert {reading.state for reading in readings.values()} == {"wide"}


def test_groups_alike_within_noise_have_no_separate_reading() -> None:
    readings = read_groups({"a": (20, 20, 22), "b": (21, 20, 20), "c": (20, 21, 20)}, epsilon=0.2, k=10)
    for reading in readings.values():
        assert reading.state == "no_separate_reading"
        assert reading.value is None
        assert reading.weight is not None
        assert reading.weight < 0.3


def test_the_shrunken_value_lies_between_group_and_company_and_is_not_the_printed_one() -> None:
    readings = read_groups(TRUE, epsilon=0.8, k=10)
    north = readings["north"]
    assert north.value is not None
    assert north.shrunken is not None
    assert 50.0 < north.shrunken < north.value.mean
    assert north.value == score(np.array(TRUE["north"])[:, None], epsilon=0.8)


def test_a_total_under_the_minimum_is_not_read() -> None:
    readings = read_groups({"a": (2, 3, 4), "b": (60, 20, 30)}, epsilon=4.0, k=10)
    assert readings["a"] == Reading("no_separate_reading")


def test_no_groups_and_only_held_groups() -> None:
    assert read_groups({}, epsilon=0.5, k=10) == {}
    assert read_groups({"a": None}, epsilon=0.5, k=10) == {"a": Reading("held")}


@pytest.mark.parametrize(
    ("table", "state"),
    [
        (None, "not_released"),
        ([[20] * 4] * 3, "shown"),
        ([[5] * 4] * 3, "wide"),
        ([[1] * 4] * 3, "no_separate_reading"),
    ],
)
def test_states_of_the_company(table: list[list[int]] | None, state: str) -> None:
    assert read_company(table, epsilon=0.5, k=10).state == state


def test_the_lowest_condition_is_named_only_below_all_other_ranges() -> None:
    def reading(mean: float) -> Reading:
        return Reading("shown", Value(mean, 5.0, 2.0, 300.0))

    clear = {"support": reading(40.0), "capability": reading(60.0), "motivation": reading(55.0)}
    assert lowest(clear) == "support"
    assert lowest({**clear, "alignment": reading(48.0)}) is None
    assert lowest({"support": reading(40.0), "capability": Reading("not_released")}) is None
