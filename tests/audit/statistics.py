"""The fixed family of statistics that an attacker, who knows everybody else's answers, looks at."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.protocol.arithmetic import publish_chance
from services.protocol.manifest import Manifest
from services.protocol.plan import MICRO
from tests.audit.bounds import Draws, Maker, Scores, Statistic
from tests.audit.neighbours import Layout, Place, Response, epsilons, exact_row, layout

LEAST_VARIANCE = 1e-4
BLOCK = 10_000


@dataclass(frozen=True)
class Pair:
    """Two neighbouring worlds, and all an attacker may know of them: everything but which one it is."""

    manifest: Manifest
    place: Place
    first: Response
    second: Response

    @property
    def of(self) -> Layout:
        """How their releases are laid out."""
        return layout(self.manifest)

    @property
    def exact(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What releases of both worlds would hold without noise."""
        rows = [exact_row(self.manifest, self.place, response) for response in (self.first, self.second)]
        return rows[0], rows[1]

    @property
    def changed(self) -> list[int]:
        """The cells in which the worlds differ."""
        first, second = self.exact
        return np.flatnonzero(first != second).tolist()


def family(pair: Pair) -> dict[str, Maker]:
    """Return the statistics by name; only the last three learn from held-out draws."""
    found: dict[str, Maker] = {
        "claimed mechanism": lambda *_: _claimed(pair),
        "parity of changed cells": lambda *_: _matches(pair, modulus=2),
        "changed cells exact": lambda *_: _matches(pair, modulus=None),
        "tables with exact total": lambda *_: _totals(pair),
        "learnt weights": lambda first, second: _learnt(pair, first, second),
        "tables seen before": lambda first, second: _remembered(pair, first, second),
        "pattern of states": lambda first, second: _patterns(pair, first, second),
    }
    return found


def _claimed(pair: Pair) -> Statistic:
    """Return the log-likelihood ratio under the published mechanism: the best event if it is what it says."""
    first, second = pair.exact
    costs, changed, states = epsilons(pair.manifest), pair.changed, pair.of.states
    shown, held = _coin(pair)
    # A held column carries no number: its cells tell nothing.
    own = {cell for cell in changed if pair.of.cells[cell][0] == "support-group"}

    def score(draws: Draws) -> Scores:
        is_shown = draws[:, states[0]] == 1
        total = np.where(is_shown, shown, held)
        for cell in changed:
            distance = np.abs(draws[:, cell] - second[cell]) - np.abs(draws[:, cell] - first[cell])
            told = costs[cell] * distance
            total = total + (np.where(is_shown, told, 0.0) if cell in own else told)
        return total

    return score


def _coin(pair: Pair) -> tuple[float, float]:
    """Return what the rep's group tells by being shown, and by being held."""
    plan, sizes = pair.manifest.plan, {"present": 1, "other": 1, "blank": 0}
    chances = [
        publish_chance(
            pair.place.own + sizes[response],
            pair.manifest.k,
            epsilon=plan.coin_epsilon_micro / MICRO,
            delta=plan.coin_delta,
        )
        for response in (pair.first, pair.second)
    ]
    return _log_ratio(*chances), _log_ratio(1 - chances[0], 1 - chances[1])


def _log_ratio(one: float, other: float) -> float:
    if one == other:
        return 0.0
    return math.log(max(one, 1e-9) / max(other, 1e-9))


def _matches(pair: Pair, *, modulus: int | None) -> Statistic:
    """Return how many changed cells agree with the first world, less those that agree with the second."""
    first, second = pair.exact
    changed = pair.changed

    def agrees(draws: Draws, exact: npt.NDArray[np.int32]) -> Scores:
        apart = draws[:, changed] - exact[changed]
        return np.asarray((apart == 0 if modulus is None else apart % modulus == 0).sum(axis=1), dtype=float)

    return lambda draws: agrees(draws, first) - agrees(draws, second)


def _totals(pair: Pair) -> Statistic:
    """Return how many tables add up to the first world's exact total, less those with the second's."""
    first, second = pair.exact
    sheets = [pair.of.of_sheet(spec.name) for spec in pair.manifest.sheets]

    def agree(draws: Draws, exact: npt.NDArray[np.int32]) -> Scores:
        equal = [draws[:, cells].sum(axis=1) == exact[cells].sum() for cells in sheets]
        return np.asarray(np.sum(equal, axis=0), dtype=float)

    return lambda draws: agree(draws, first) - agree(draws, second)


def _learnt(pair: Pair, first: Draws, second: Draws) -> Statistic:
    """Return a linear score over every cell and state, weighted by how far its means are apart."""
    middle = (pair.exact[0] + pair.exact[1]) / 2

    def features(draws: Draws) -> Scores:
        above = np.sign(draws - middle)
        return np.concatenate([above, draws % 2], axis=1)

    means, variances = ([f(features(draws), axis=0) for draws in (first, second)] for f in (np.mean, np.var))
    weights = (means[0] - means[1]) / (variances[0] + variances[1] + LEAST_VARIANCE)

    def score(draws: Draws) -> Scores:
        blocks = (features(draws[start : start + BLOCK]) @ weights for start in range(0, len(draws), BLOCK))
        return np.round(np.concatenate(list(blocks)), 6)

    return score


def _remembered(pair: Pair, first: Draws, second: Draws) -> Statistic:
    """Return how many tables were seen, to the last number, in the first world only, less in the second."""
    sheets = [pair.of.of_sheet(spec.name) for spec in pair.manifest.sheets]
    known = [[_bytes(draws, cells) for cells in sheets] for draws in (first, second)]
    only = [[set(a) - set(b) for a, b in zip(known[i], known[1 - i], strict=True)] for i in (0, 1)]

    def score(draws: Draws) -> Scores:
        total = np.zeros(len(draws))
        for place, cells in enumerate(sheets):
            keys = _bytes(draws, cells)
            total += [(key in only[0][place]) - (key in only[1][place]) for key in keys]
        return total

    return score


def _bytes(draws: Draws, cells: list[int]) -> list[bytes]:
    block = np.ascontiguousarray(draws[:, cells])
    return [row.tobytes() for row in block]


def _patterns(pair: Pair, first: Draws, second: Draws) -> Statistic:
    """Return the log-odds, among held-out draws, of which groups are shown and which are held."""
    codes = 1 << np.arange(pair.of.groups)

    def code(draws: Draws) -> npt.NDArray[np.int64]:
        return np.asarray(draws[:, pair.of.states] @ codes, dtype=np.int64)

    counts = [np.bincount(code(draws), minlength=1 << pair.of.groups) + 0.5 for draws in (first, second)]
    odds = np.log(counts[0] / len(first)) - np.log(counts[1] / len(second))
    return lambda draws: np.asarray(odds[code(draws)], dtype=np.float64)
