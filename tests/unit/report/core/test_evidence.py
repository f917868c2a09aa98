"""Separation of drivers and the hit share of the best third."""

import math

import pytest

from services.protocol.arithmetic import noise_variance
from services.report.core.arrays import InvalidTable
from services.report.core.evidence import exceeds, hit_share_of_best, separation
from tests.unit.report.core.made import made_evidence

HIT = (False, False, True, True)
LIVE = (True, True, True, True)
ROWS = ((30, 20, 10, 5), (20, 20, 20, 20), (10, 10, 30, 50))


def test_support_and_activity_use_the_error_of_their_own_table() -> None:
    evidence = made_evidence(r={"support": 0.4, "activity": 0.1})
    assert separation(evidence, "support", "activity") == pytest.approx(0.3 / 0.07)
    assert separation(evidence, "activity", "support") == pytest.approx(-0.3 / 0.07)


def test_other_pairs_add_their_variances() -> None:
    evidence = made_evidence(r={"support": 0.4, "capability": 0.1})
    assert separation(evidence, "support", "capability") == pytest.approx(0.3 / math.hypot(0.05, 0.05))


def test_exceeding_means_exceeding_the_absolute_value() -> None:
    assert exceeds(made_evidence(r={"support": 0.4, "alignment": -0.05}), "support", "alignment")
    assert not exceeds(made_evidence(r={"support": 0.4, "alignment": -0.35}), "support", "alignment")
    assert not exceeds(made_evidence(r={"support": 0.4, "alignment": 0.35}), "support", "alignment")
    assert not exceeds(made_evidence(r={"support": 0.3, "activity": -0.3}), "support", "activity")


def test_best_third_counts_hits_and_carries_sampling_and_noise() -> None:
    exact = hit_share_of_best(ROWS, epsilon=None, hit_columns=HIT, live_columns=LIVE)
    noisy = hit_share_of_best(ROWS, epsilon=0.5, hit_columns=HIT, live_columns=LIVE)
    assert exact is not None
    assert noisy is not None
    assert exact.share == noisy.share == 0.8
    assert exact.standard_error == pytest.approx(math.sqrt(0.8 * 0.2 / 100))
    moved = 2 * 0.2**2 + 2 * 0.8**2
    expected = math.sqrt(0.8 * 0.2 / 100 + noise_variance(0.5) * moved / 100**2)
    assert noisy.standard_error == pytest.approx(expected)
    assert noisy.low < noisy.share < noisy.high <= 1.0


def test_a_best_third_lost_in_noise_is_not_read() -> None:
    thin = (*ROWS[:2], (2, 1, 3, 2))
    assert hit_share_of_best(thin, epsilon=0.5, hit_columns=HIT, live_columns=LIVE) is None
    assert hit_share_of_best(thin, epsilon=None, hit_columns=HIT, live_columns=LIVE) is not None
    empty = (*ROWS[:2], (0, 0, 0, 0))
    assert hit_share_of_best(empty, epsilon=None, hit_columns=HIT, live_columns=LIVE) is None


def test_masks_must_fit() -> None:
    with pytest.raises(InvalidTable):
        hit_share_of_best(ROWS, epsilon=None, hit_columns=(True,), live_columns=LIVE)
