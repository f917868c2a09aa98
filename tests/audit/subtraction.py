"""Subtraction: is there any sum and difference of published figures that is about fewer than k people?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from tests.audit.figures import Figure, Part

MOST_TERMS = 6
LITTLE = 1e-5


@dataclass(frozen=True)
class Isolated:
    """The fewest people that a combination of figures is about, and how it is made."""

    people: int
    parts: frozenset[Part]
    combination: tuple[tuple[float, str], ...]

    def __str__(self) -> str:
        """Say it in words."""
        terms = " ".join(f"{weight:+g} x {words}" for weight, words in self.combination[:MOST_TERMS])
        terms += " ..." if len(self.combination) > MOST_TERMS else ""
        return f"{self.people} people ({', '.join(sorted(self.parts))}): {terms}"


def smallest_isolated(figures: Sequence[Figure], people: Mapping[Part, int]) -> Isolated | None:
    """Return the fewest people, at least one, that a combination of figures of one attribute is about.

    An integer program: weights of the figures are free, and in the combination each part stands once or
    not at all. None if no combination is about anybody.
    """
    parts = sorted({part for figure in figures for part in figure.about})
    sizes = np.array([people[part] for part in parts], dtype=float)
    if not sizes.any():
        return None
    count = len(figures)
    about = np.array([[part in figure.about for figure in figures] for part in parts], dtype=float)
    # Unknowns: weights to add, weights to take away, and whether a part is in the combination.
    once_or_not = LinearConstraint(np.hstack([about, -about, -np.eye(len(parts))]), 0, 0)
    somebody = LinearConstraint(np.concatenate([np.zeros(2 * count), sizes])[None, :], 1, np.inf)
    found = milp(
        # The fewest people; among those, by very little, the shortest combination.
        c=np.concatenate([np.full(2 * count, LITTLE), sizes]),
        integrality=np.concatenate([np.zeros(2 * count), np.ones(len(parts))]),
        bounds=Bounds(0, np.concatenate([np.full(2 * count, count), np.ones(len(parts))])),
        constraints=[once_or_not, somebody],
    )
    if not found.success:
        return None
    weights, chosen = found.x[:count] - found.x[count : 2 * count], found.x[2 * count :] > 0.5
    return Isolated(
        people=int(sizes[chosen].sum()),
        parts=frozenset(part for part, is_in in zip(parts, chosen, strict=True) if is_in),
        combination=tuple(
            (round(float(weight), 3), figure.words)
            for weight, figure in zip(weights, figures, strict=True)
            if abs(weight) > 1e-6
        ),
    )


def by_attribute(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    """Return the figures that can be added and subtracted with each other."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.attribute, []).append(figure)
    return found
