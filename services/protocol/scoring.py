"""Scoring a response: item answers to bands. The phone does this; no server sees the answers."""

from collections.abc import Mapping

from services.protocol.manifest import Instrument

DIMENSIONS = ("capability", "alignment", "motivation", "support")
LOW, MIDDLE, HIGH = 0, 1, 2
CHOICES = (1, 2, 3, 4, 5)


def dimension_means(instrument: Instrument, answers: Mapping[str, int]) -> dict[str, float]:
    """Return the mean of the answered items of each dimension [1..5].

    A dimension needs ``instrument.answered_share`` of its items (two thirds); without, it is absent.
    """
    means: dict[str, float] = {}
    for dimension in DIMENSIONS:
        items = [item.id for item in instrument.items if item.dimension == dimension]
        given = [answers[item] for item in items if item in answers]
        if any(choice not in CHOICES for choice in given):
            raise ValueError("an answer is one of 1, 2, 3, 4, 5 or absent")
        if given and len(given) >= instrument.answered_share * len(items) - 1e-9:
            means[dimension] = sum(given) / len(given)
    return means


def bands(instrument: Instrument, answers: Mapping[str, int]) -> dict[str, int]:
    """Return the band (0 low, 1 middle, 2 high) of every dimension with enough answers."""
    return {
        dimension: LOW
        if mean <= instrument.low_at_most
        else HIGH
        if mean >= instrument.high_at_least
        else MIDDLE
        for dimension, mean in dimension_means(instrument, answers).items()
    }
