"""Mechanisms keep shape and type, touch no input and refuse what is no budget; laws are in privacy/."""

import math
from typing import Any

import numpy as np
import pytest

from services.aggregate.core import mechanisms
from services.aggregate.core.budget import InvalidBudget
from services.aggregate.core.mechanisms import InvalidCounts, discrete_gaussian, discrete_laplace
from tests.unit.aggregate.factory import NOT_A_BUDGET


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (11, 2), (2, 3, 4), (0,), (3, 0)])
def test_shape_and_type_are_kept(shape: tuple[int, ...]) -> None:
    counts = np.full(shape, 40, dtype=np.int64)
    for noisy in (discrete_laplace(counts, epsilon=0.5), discrete_gaussian(counts, scale=3.0)):
        assert (noisy.shape, noisy.dtype) == (shape, np.dtype(np.int64))
        assert not np.shares_memory(noisy, counts)
    assert (counts == 40).all()


def test_cells_keep_their_places() -> None:
    counts = np.array([[0, 10_000], [20_000, 30_000], [40_000, 50_000]], dtype=np.int64).T
    assert np.abs(discrete_laplace(counts, epsilon=1.0) - counts).max() < 1000
    assert np.abs(discrete_laplace(counts[:, ::2], epsilon=1.0) - counts[:, ::2]).max() < 1000
    assert np.abs(discrete_gaussian(counts, scale=10.0) - counts).max() < 1000


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint32])
def test_smaller_integers_are_widened(dtype: type) -> None:
    assert discrete_laplace(np.array([3, 4], dtype=dtype), epsilon=1.0).dtype == np.int64
    assert discrete_laplace([3, 4], epsilon=1.0).shape == (2,)


@pytest.mark.parametrize(
    "counts",
    [
        [1.0, 2.0],
        np.array([1.5]),
        np.array([1.0]),
        np.array([True]),
        np.array([2**63], dtype=np.uint64),
        ["1"],
        [None],
        1.0,
    ],
    ids=repr,
)
def test_what_is_not_an_integer_is_refused(counts: Any) -> None:
    with pytest.raises(InvalidCounts):
        discrete_laplace(counts, epsilon=1.0)
    with pytest.raises(InvalidCounts):
        discrete_gaussian(counts, scale=1.0)


@pytest.mark.parametrize("value", NOT_A_BUDGET, ids=repr)
def test_what_is_no_budget_is_refused(value: Any) -> None:
    counts = np.array([5], dtype=np.int64)
    with pytest.raises(InvalidBudget):
        discrete_laplace(counts, epsilon=value)
    with pytest.raises(InvalidBudget):
        discrete_gaussian(counts, scale=value)


def test_scales_that_cost_everything_are_refused() -> None:
    counts = np.array([5], dtype=np.int64)
    with pytest.raises(InvalidBudget):
        discrete_gaussian(counts, scale=1e-300)
    with pytest.raises(InvalidBudget):
        discrete_laplace(counts, epsilon=1.7e308)


def test_largest_counts_do_not_wrap_around() -> None:
    extremes = np.array([2**63 - 1, -(2**63)] * 50, dtype=np.int64)
    noisy = discrete_laplace(extremes, epsilon=0.1)
    assert (noisy[::2] > 2**62).all()
    assert (noisy[1::2] < -(2**62)).all()


def test_the_certified_cost_never_exceeds_what_is_charged() -> None:
    # The noise library says that a scale of 1/.35 costs a little more than .35, so widening matters.
    plain = {e: mechanisms._cost(mechanisms._laplace(1.0 / e)) for e in (0.35, 0.5, 0.7, 3.0)}
    assert any(cost > epsilon for epsilon, cost in plain.items())
    for micro in [*range(50_000, 8_000_001, 50_000), 1, 7, 333_333, 999_999]:
        epsilon = micro / 1_000_000
        certified = mechanisms._cost(mechanisms._laplace_within(epsilon))
        assert certified <= epsilon
        assert math.isclose(certified, epsilon, rel_tol=1e-12)


def test_noise_that_costs_more_than_is_charged_is_not_used() -> None:
    enough = mechanisms._laplace(2.0)
    assert mechanisms._certified(enough, 0.5) is enough
    with pytest.raises(InvalidBudget):
        mechanisms._certified(mechanisms._laplace(1.9), 0.5)
