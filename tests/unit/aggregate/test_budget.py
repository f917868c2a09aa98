"""What may be a budget."""

import math

import numpy as np
import pytest

from services.aggregate.core.budget import InvalidBudget, pico, positive
from tests.unit.aggregate.factory import NOT_A_BUDGET


@pytest.mark.parametrize("value", NOT_A_BUDGET, ids=repr)
def test_refuses_what_noise_cannot_be_calibrated_with(value: object) -> None:
    with pytest.raises(InvalidBudget):
        positive(value, "epsilon")


@pytest.mark.parametrize("value", [2.0**-1022, 1e-12, 0.35, 1, 8.0, 1e300, np.float64(0.5)], ids=repr)
def test_gives_back_the_same_number(value: float) -> None:
    assert positive(value, "epsilon") == value
    assert type(positive(value, "epsilon")) in (float, np.float64)


def test_refusal_names_the_parameter_and_repeats_no_value() -> None:
    with pytest.raises(InvalidBudget, match=r"^scale is not a number$"):
        positive("4711", "scale")


@pytest.mark.parametrize(
    ("delta", "units"), [(0, 0), (0.0, 0), (1e-12, 1), (1e-13, 1), (3e-6, 3_000_000), (5e-6, 5_000_000)]
)
def test_delta_in_units_is_the_printed_decimal_rounded_up(delta: float, units: int) -> None:
    assert pico(delta) == units


@pytest.mark.parametrize("delta", [-0.0, -1e-6, 1.0, 2, math.nan, math.inf, "1e-6", False, True], ids=repr)
def test_delta_is_refused(delta: float) -> None:
    with pytest.raises(InvalidBudget):
        pico(delta)
