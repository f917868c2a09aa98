"""Features of table T."""

import itertools
from typing import Any

import numpy as np
import pytest

from services.aggregate.core.tree import InvalidAnswers, features, sensitivity_squared


def test_each_answer_has_the_features_of_the_design() -> None:
    answers = np.array([[1], [2], [3], [4], [5], [255]], dtype=np.uint8)
    assert features(answers).tolist() == [
        [-200, 0, 0, 0, 0, 310],
        [-100, 0, 173, 0, 0, 310],
        [0, 200, 0, 0, 0, 310],
        [100, 0, 0, 173, 0, 310],
        [200, 0, 0, 0, 0, 310],
        [0, 0, 0, 0, 200, 310],
    ]


def test_sums_carry_mean_histogram_missing_and_head_count() -> None:
    rng = np.random.default_rng(3)
    answers = rng.choice(np.array([1, 2, 3, 4, 5, 255], dtype=np.uint8), size=(500, 4))
    sums = features(answers).sum(axis=0)
    for item in range(4):
        column = answers[:, item]
        linear, three, two, four, missing = sums[5 * item : 5 * item + 5]
        assert linear == 100 * (column[column != 255].astype(int) - 3).sum()
        assert (three, two, four, missing) == (
            200 * (column == 3).sum(),
            173 * (column == 2).sum(),
            173 * (column == 4).sum(),
            200 * (column == 255).sum(),
        )
    assert sums[-1] == 310 * 500


def test_shapes_and_types() -> None:
    out = features(np.full((7, 18), 255, dtype=np.uint8))
    assert (out.shape, out.dtype) == ((7, 91), np.dtype(np.int64))
    assert features(np.zeros((0, 3), dtype=np.uint8)).shape == (0, 16)


@pytest.mark.parametrize("value", [0, *range(6, 255)])
def test_no_other_value_is_an_answer(value: int) -> None:
    with pytest.raises(InvalidAnswers) as refused:
        features(np.array([[3, value]], dtype=np.uint8))
    assert str(value) not in str(refused.value).replace("255", "")


@pytest.mark.parametrize(
    "answers",
    [np.array([3], dtype=np.uint8), np.zeros((1, 1, 1), np.uint8), np.array([[3]]), np.array([[3.0]])],
)
def test_other_shapes_and_types_are_refused(answers: Any) -> None:
    with pytest.raises(InvalidAnswers):
        features(answers)


def test_the_slack_is_used_up_evenly() -> None:
    squares = (features(np.array([[1], [2], [3], [4], [5], [255]], np.uint8))[:, :-1] ** 2).sum(axis=1)
    assert squares.tolist() == [40_000, 39_929, 40_000, 39_929, 40_000, 40_000]


def test_sensitivity_is_the_formula_of_the_design() -> None:
    assert [sensitivity_squared(m) for m in (12, 18, 24)] == [576_100, 816_100, 1_056_100]
    for wrong in (0, -1, True):
        with pytest.raises(InvalidAnswers):
            sensitivity_squared(wrong)


def test_two_items_are_all_pairs_of_one() -> None:
    values = np.array([1, 2, 3, 4, 5, 255], dtype=np.uint8)
    pairs = np.array(list(itertools.product(values, values)), dtype=np.uint8)
    left, right = features(pairs[:, :1]), features(pairs[:, 1:])
    assert (features(pairs) == np.concatenate([left[:, :5], right], axis=1)).all()
