"""Drivers weighted to the frame, and the design effect."""

import math

import numpy as np
import pytest

from services.report.core.arrays import InvalidTable
from services.report.core.drivers import correlation
from services.report.core.stratified import design_effect, stratified_correlation

TABLE = np.array([[60.0, 40.0, 20.0, 10.0], [30.0, 40.0, 40.0, 30.0], [10.0, 20.0, 40.0, 60.0]])


def test_where_answers_mirror_the_frame_weighting_changes_nothing() -> None:
    weighted = stratified_correlation(TABLE, epsilon=0.5, frame_columns=TABLE.sum(axis=0) * 2)
    assert weighted.r == pytest.approx(correlation(TABLE, epsilon=0.5).r, abs=1e-12)


def test_non_response_by_attainment_is_undone() -> None:
    """Every second rep of the lowest band and every fourth of the highest stay away."""
    answered = TABLE * np.array([0.5, 1.0, 1.0, 0.75])
    weighted = stratified_correlation(answered, epsilon=0.5, frame_columns=TABLE.sum(axis=0))
    assert weighted.r == pytest.approx(correlation(TABLE, epsilon=0.5).r, abs=1e-12)
    assert correlation(answered, epsilon=0.5).r != pytest.approx(weighted.r, abs=1e-3)


def test_weights_are_bounded() -> None:
    """A column of the frame that hardly answered can't carry the result alone."""
    sparse = TABLE * np.array([0.02, 1.0, 1.0, 1.0])
    found = stratified_correlation(sparse, epsilon=0.5, frame_columns=TABLE.sum(axis=0))
    assert math.isfinite(found.r)
    assert found.standard_error < 1.0


def test_an_emptied_column_stays_silent() -> None:
    merged = TABLE.copy()
    merged[:, 1] = 0.0
    scores = (-1.0, 0.0, 0.0, 1.0)
    found = stratified_correlation(
        merged,
        epsilon=0.5,
        frame_columns=merged.sum(axis=0),
        column_scores=scores,
        live_columns=[1, 0, 1, 1],
    )
    narrow = stratified_correlation(
        np.delete(merged, 1, axis=1),
        epsilon=0.5,
        frame_columns=np.delete(merged.sum(axis=0), 1),
        column_scores=(-1.0, 0.0, 1.0),
    )
    assert found.r == pytest.approx(narrow.r, abs=1e-12)
    assert found.variance == pytest.approx(narrow.variance, rel=1e-6)


def test_the_design_effect_widens_sampling_and_leaves_noise() -> None:
    plain = stratified_correlation(TABLE, epsilon=0.5, frame_columns=[130, 140, 150, 160])
    widened = stratified_correlation(
        TABLE, epsilon=0.5, frame_columns=[130, 140, 150, 160], design_effect=1.5
    )
    assert widened.sampling_variance == pytest.approx(1.5 * plain.sampling_variance)
    assert widened.noise_variance == plain.noise_variance


def test_the_design_effect_grows_with_teams_and_never_falls_below_one() -> None:
    assert design_effect(11.0, icc_attainment=0.1) == pytest.approx(1.3)
    assert design_effect(0.5, icc_attainment=0.4) == 1.0
    assert design_effect(20.0, icc_attainment=-0.2) == 1.0


@pytest.mark.parametrize("effect", [0.9, math.nan, math.inf])
def test_a_design_effect_that_narrows_is_refused(effect: float) -> None:
    with pytest.raises(InvalidTable):
        stratified_correlation(TABLE, epsilon=0.5, frame_columns=[1, 1, 1, 1], design_effect=effect)


@pytest.mark.parametrize(("size", "icc"), [(math.nan, 0.1), (8.0, math.inf), (8.0, 1.5)])
def test_impossible_teams_are_refused(size: float, icc: float) -> None:
    with pytest.raises(InvalidTable):
        design_effect(size, icc_attainment=icc)


@pytest.mark.parametrize("frame", [[0, 0, 0, 0], [10, -1, 10, 10], [10, 10, 10]])
def test_a_frame_without_people_is_refused(frame: list[int]) -> None:
    with pytest.raises(InvalidTable):
        stratified_correlation(TABLE, epsilon=0.5, frame_columns=frame)
