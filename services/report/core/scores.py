"""A score from noisy band counts, with a range for noise alone and one for noise and sampling."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from services.report.core.arrays import Array, InvalidTable, checked
from services.report.core.drivers import NORMAL_95
from services.report.core.influence import cell_variance

BANDS: Final = np.array([-1.0, 0.0, 1.0])
POINTS: Final = 50.0
"""Points of the 0..100 scale per unit of the band score, which runs from -1 to 1."""

SMALLEST_VARIANCE: Final = 0.05


@dataclass(frozen=True)
class Value:
    """A score on 0..100 with its ranges.

    ``half_width`` covers sampling and noise, ``noise_half_width`` noise alone: over repeated releases of
    the same tallies the exact score lies within it 95 times in 100. ``basis`` names what was counted.
    """

    mean: float
    half_width: float
    noise_half_width: float
    noisy_n: float
    basis: Literal["bands"] = "bands"

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % range for sampling and noise, within the scale."""
        return max(self.mean - self.half_width, 0.0), min(self.mean + self.half_width, 100.0)


def score(table: npt.ArrayLike, *, epsilon: float) -> Value | None:
    """Return the score of the people counted in ``table``, with its ranges.

    Parameters
    ----------
    table : array_like
        Noisy counts [sheets], shape (3, c), rows low, middle, high; live columns only.
    epsilon : float
        Budget of the discrete Laplace noise in every cell.

    Returns
    -------
    Value or None
        50 (1 + (high - low)/n) [points of 100]; None where the noisy total is under 2 of its SD.

    Raises
    ------
    InvalidTable
        If there are not three rows, or a count is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: statistics.md, section 4 (table H). The noise of high - low - score n is a weighted sum of
    discrete Laplace draws. Its tails are heavier than normal, so its quantile is corrected for excess
    kurtosis (Cornish-Fisher, first term): 3 + 1/V for one draw of variance V.

    Examples
    --------
    >>> found = score([[20], [30], [50]], epsilon=0.8)
    >>> round(found.mean), round(found.noise_half_width, 1), round(found.half_width, 1)
    (65, 2.7, 8.1)
    """
    counts = checked(table)
    if counts.shape[0] != BANDS.size or counts.shape[1] == 0:
        raise InvalidTable("a score needs the three bands of a condition")
    rows, columns = counts.sum(axis=1), counts.shape[1]
    variance, n = cell_variance(epsilon), float(rows.sum())
    if n < max(1.0, 2.0 * math.sqrt(counts.size * variance)):
        return None
    mean = float(rows @ BANDS) / n
    noise, excess = _noise_of_mean(mean, n, variance, columns)
    total = noise + _sampling_variance(rows, mean) / n
    return Value(
        mean=min(max(POINTS * (1.0 + mean), 0.0), 2.0 * POINTS),
        half_width=POINTS * _quantile(excess * (noise / total) ** 2) * math.sqrt(total),
        noise_half_width=POINTS * _quantile(excess) * math.sqrt(noise),
        noisy_n=n,
    )


def _noise_of_mean(mean: float, n: float, variance: float, columns: int) -> tuple[float, float]:
    """Return variance and excess kurtosis of the noise in a band score over ``columns`` columns."""
    seen = variance * columns * float(((BANDS - mean) ** 2).sum()) / n**2
    # The range must be right at its ends, where the noisy mean lies a half-width from the exact one:
    # its square is taken without that distance, or groups of 60 would be covered 97 times in 100.
    centre = math.sqrt(max(mean**2 - NORMAL_95**2 * seen, 0.0))
    weights = (BANDS - centre) ** 2
    excess = (3.0 + 1.0 / variance) * float((weights**2).sum()) / float(weights.sum()) ** 2 / columns
    return variance * columns * float(weights.sum()) / n**2, excess


def _sampling_variance(rows: Array, mean: float) -> float:
    """Return the variance of one rep's band score, from the positive part of the shares."""
    positive = np.maximum(rows, 0.0)
    shares = positive / positive.sum()
    return max(float(shares @ (BANDS - mean) ** 2), SMALLEST_VARIANCE)


def _quantile(excess: float) -> float:
    """Return the two-sided 95 % quantile of a symmetric sum with this excess kurtosis."""
    return NORMAL_95 + excess * (NORMAL_95**3 - 3.0 * NORMAL_95) / 24.0
