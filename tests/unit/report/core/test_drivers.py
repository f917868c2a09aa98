"""One table's correlation, and Support against activity, held against reference cases."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.report.core.arrays import InvalidTable
from services.report.core.drivers import Comparison, compare, correlation, covariance

CASES = json.loads((Path(__file__).parents[3] / "vectors" / "driver_tables.json").read_text("utf-8"))["rows"]


def compared(case: dict[str, Any]) -> Comparison:
    epsilon_attainment, epsilon_activity = (case["epsilon"] * share for share in case["split"])
    return compare(
        np.reshape(case["support_by_attainment"], (3, 4)),
        np.reshape(case["support_by_activity"], (3, 3)),
        np.reshape(case["activity_by_attainment_exact"], (3, 4)),
        epsilon_attainment=epsilon_attainment,
        epsilon_activity=epsilon_activity,
    )


@pytest.mark.parametrize("case", CASES, ids=[f"{case['world']}-{case['frame_n']}" for case in CASES])
def test_reference_cases_to_eight_decimals(case: dict[str, Any]) -> None:
    found = compared(case)
    assert found.r_support == pytest.approx(case["r_support"], abs=1e-8)
    assert found.r_activity == pytest.approx(case["r_activity"], abs=1e-8)
    assert found.r_support_activity == pytest.approx(case["r_support_activity"], abs=1e-8)
    assert found.difference == pytest.approx(case["difference"], abs=1e-8)
    assert found.standard_error == pytest.approx(case["se_difference"], abs=1e-8)
    assert found.standard_error_of_sum == pytest.approx(case["se_sum"], abs=1e-8)
    assert found.interval == pytest.approx(tuple(case["ci95"]), abs=1e-8)
    assert found.claim is case["claim"]


def test_r_of_an_exact_table_is_the_pearson_correlation_of_its_people() -> None:
    table = np.array([[9, 4, 2, 1], [3, 8, 6, 4], [1, 2, 7, 11]])
    rows, columns = np.repeat(np.indices(table.shape).reshape(2, -1), table.ravel(), axis=1)
    expected = np.corrcoef(rows, np.array([-1, -1 / 3, 1 / 3, 1])[columns])[0, 1]
    found = correlation(table, epsilon=None)
    assert found.r == pytest.approx(expected, abs=1e-12)
    assert found.noise_variance == 0.0


def test_an_emptied_column_adds_no_noise_variance() -> None:
    merged = [[40, 0, 20, 10], [20, 0, 30, 20], [10, 0, 20, 40]]
    scores = (-1.0, 0.0, 0.0, 1.0)
    masked = correlation(merged, epsilon=0.5, column_scores=scores, live_columns=[1, 0, 1, 1])
    narrow = correlation(np.delete(merged, 1, axis=1), epsilon=0.5, column_scores=(-1.0, 0.0, 1.0))
    unmasked = correlation(merged, epsilon=0.5, column_scores=scores)
    assert masked.r == pytest.approx(narrow.r, abs=1e-12)
    assert masked.variance == pytest.approx(narrow.variance, abs=1e-12)
    assert masked.noise_variance < unmasked.noise_variance


def test_compare_masks_bands_that_no_table_fills() -> None:
    support = [[40, 0, 20, 10], [20, 0, 30, 20], [10, 0, 20, 40]]
    exact = [[30, 0, 20, 20], [25, 0, 25, 20], [20, 0, 25, 25]]
    scores = (-1.0, 0.0, 0.0, 1.0)
    found = compare(
        support, np.full((3, 3), 23), exact, epsilon_attainment=0.5, epsilon_activity=0.1,
        attainment_scores=scores,
    )  # fmt: skip
    alone = correlation(support, epsilon=0.5, column_scores=scores, live_columns=[1, 0, 1, 1])
    assert found.support == alone


def test_noise_in_an_emptied_band_is_refused() -> None:
    with pytest.raises(InvalidTable):
        correlation([[40, 1, 20, 10]] * 3, epsilon=0.5, live_columns=[1, 0, 1, 1])


@pytest.mark.parametrize("epsilon", [0.0, -0.0, -1.0, math.nan, math.inf, 5e-324])
def test_a_budget_that_is_none_is_refused(epsilon: float) -> None:
    with pytest.raises(InvalidTable):
        correlation(np.full((3, 4), 10), epsilon=epsilon)


@pytest.mark.parametrize(
    "table",
    [np.ones((4, 3)), np.ones((3, 3)), np.ones(12), [[1, 2, 3, math.nan]] * 3, [[1, 2, 3, math.inf]] * 3],
)
def test_a_table_of_another_shape_or_without_numbers_is_refused(table: Any) -> None:
    with pytest.raises(InvalidTable):
        correlation(table, epsilon=0.5)


def test_masks_and_scores_must_fit() -> None:
    with pytest.raises(InvalidTable):
        correlation(np.ones((3, 4)), epsilon=0.5, live_columns=[True, True])
    with pytest.raises(InvalidTable):
        correlation(np.zeros((3, 4)), epsilon=0.5, live_columns=[False] * 4)
    with pytest.raises(InvalidTable):
        correlation(np.ones((3, 4)), epsilon=0.5, column_scores=(-1.0, 0.0, math.nan, 1.0))


def test_more_budget_narrows_the_interval() -> None:
    table = [[30, 10, 5, 5], [10, 20, 20, 10], [5, 5, 10, 30]]
    errors = [correlation(table, epsilon=epsilon).standard_error for epsilon in (0.2, 0.5, 1.0, 4.0)]
    assert all(wide > narrow for wide, narrow in pairwise(errors))


def test_a_negative_r_of_activity_is_no_evidence_for_support() -> None:
    """Support at .1 and activity at -.4 differ a lot, but laggards who work harder are not a finding."""
    support = [[120, 100, 95, 85], [100, 100, 100, 100], [85, 95, 100, 120]]
    activity = [[60, 90, 110, 200], [100, 100, 100, 100], [200, 110, 90, 60]]
    found = compare(support, np.full((3, 3), 133), activity, epsilon_attainment=2.0, epsilon_activity=2.0)
    assert found.difference > 2.1 * found.standard_error
    assert not found.claim
    assert not found.reverse


def test_reverse_mirrors_claim() -> None:
    flat, strong = np.full((3, 4), 33), np.array([[70, 30, 20, 10], [30, 40, 40, 30], [10, 20, 30, 70]])
    found = compare(flat, np.full((3, 3), 44), strong, epsilon_attainment=2.0, epsilon_activity=2.0)
    assert found.reverse
    assert not found.claim
    assert found.difference < 0.0


def test_covariance_stays_within_its_bound_for_the_shared_correlation() -> None:
    assert covariance(0.0, 0.0, 0.9, 100.0) == covariance(0.0, 0.0, 0.6, 100.0) == 0.006
    assert covariance(0.0, 0.0, -2.0, 100.0) == -0.006


COUNTS = st.integers(min_value=-300, max_value=3000)


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.int64, (3, 4), elements=COUNTS),
    arrays(np.int64, (3, 3), elements=COUNTS),
    arrays(np.int64, (3, 4), elements=st.integers(min_value=1, max_value=500)),
    st.floats(min_value=0.01, max_value=8.0),
)
def test_any_noisy_table_gives_finite_figures(support: Any, shared: Any, exact: Any, epsilon: float) -> None:
    found = compare(support, shared, exact, epsilon_attainment=epsilon, epsilon_activity=epsilon)
    figures = (found.difference, found.standard_error, found.standard_error_of_sum, *found.interval)
    assert all(math.isfinite(figure) for figure in figures)
    assert found.standard_error > 0.0
    assert not (found.claim and found.reverse)
    assert -1.0 <= found.support.low <= found.support.r <= found.support.high <= 1.0
