"""Real noise follows its law. All statistics here together raise a false alarm less than 1e-6 of the time."""

import pytest

from services.aggregate.core.mechanisms import discrete_gaussian, discrete_laplace
from tests.privacy.checks import (
    check_laplace,
    check_no_shared_draws,
    check_no_shared_draws_after_fork,
    check_noise_follows,
    check_threads_share_no_draws,
    discrete_gaussian_law,
)


@pytest.mark.parametrize("epsilon", [0.1, 0.35, 0.5, 0.8, 4.0])
def test_laplace_noise_follows_its_formula(epsilon: float) -> None:
    check_laplace(discrete_laplace, epsilon)


@pytest.mark.parametrize("scale", [0.7, 3.0, 40.0])
def test_gaussian_noise_follows_its_formula(scale: float) -> None:
    check_noise_follows(lambda sums: discrete_gaussian(sums, scale=scale), *discrete_gaussian_law(scale))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_share_no_draws() -> None:
    check_no_shared_draws_after_fork(discrete_laplace)


def test_spawned_processes_share_no_draws() -> None:
    check_no_shared_draws(discrete_laplace, "spawn")


def test_threads_share_no_draws() -> None:
    check_threads_share_no_draws(discrete_laplace)
