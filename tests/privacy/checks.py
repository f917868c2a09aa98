"""Checks of the privacy promises, by name. Each takes the implementation it judges, so that

``test_mutants.py`` can show that it fails on a broken one.
"""

import itertools
import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from services.aggregate.core.publish import Counts
from services.aggregate.core.rules import SheetRules
from services.aggregate.core.tally import Tally
from services.aggregate.core.tree import InvalidAnswers
from services.protocol.manifest import Manifest
from services.protocol.plan import noise_variance
from tests.privacy.sending import drawn as drawn_by
from tests.privacy.sending import send
from tests.unit.aggregate.factory import Cycle, made_manifest, made_tally

Count = Callable[[bytes, SheetRules, bytes], Tally]
Draw = Callable[..., Any]
Features = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.int64]]
Probability = Callable[..., float]
Decide = Callable[..., tuple[bool, ...]]
Sampler = Callable[..., Counts]

DRAWS = 60_000
ALARM = 2e-8
"""Chance that one statistic of a correct sampler is called wrong; under 50 are judged in all."""
SIX_DEVIATIONS = 6.0
"""For means of squares, whose tails are a little heavier than normal: below 1e-8 at 60,000 draws."""

VALUES = np.array([1, 2, 3, 4, 5, 255], dtype=np.uint8)


def l1(one: Tally, other: Tally) -> int:
    """Return how far two tallies are apart."""
    return int(np.abs(one.exact_counts - other.exact_counts).sum())


def check_one_token_moves_one_count(count: Count) -> None:
    """However often a phone sends under one token, the table moves by at most 1."""
    cycle = Cycle()
    for name in ("support-result", "support-group", "flag-result"):
        rules, key = cycle.rules(name), cycle.opening_key(name)
        others = cycle.box(name, [(0, 0), (1, 1), None])
        once = cycle.answer(name, (2, 1))
        blank = cycle.answer(name, None)
        without = count(others + blank, rules, key)
        for times in (1, 2, 5):
            assert l1(count(others + once * times, rules, key), without) == 1, "one token counts once"


def check_feature_norm(features: Features, sensitivity_squared: Callable[[int], int]) -> None:
    """The claimed sensitivity is the largest squared norm of one response: never less, never more."""
    for items in (1, 2, 4):
        everyone = np.array(list(itertools.product(VALUES, repeat=items)), dtype=np.uint8)
        squared = (features(everyone) ** 2).sum(axis=1)
        assert squared.max() == sensitivity_squared(items), "the bound is reached exactly"
    for items in (12, 18, 24):
        worst = np.array([np.full(items, value) for value in VALUES], dtype=np.uint8)
        mixed = np.random.default_rng(items).choice(VALUES, size=(2000, items))
        squared = (features(np.concatenate([worst, mixed])) ** 2).sum(axis=1)
        assert squared.max() == sensitivity_squared(items), "the bound is reached exactly"


def check_no_other_answer_has_features(features: Features) -> None:
    """A byte that is no answer is refused, not turned into a larger weight."""
    for value in (0, *range(6, 255)):
        try:
            features(np.array([[3, value]], dtype=np.uint8))
        except InvalidAnswers:
            continue
        raise AssertionError("a byte that is no answer was given features")


def discrete_laplace_law(epsilon: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return values and their chances, as far out as 1e-18."""
    q = math.exp(-epsilon)
    reach = math.ceil(42 / epsilon)
    z = np.arange(-reach, reach + 1)
    return z, (1 - q) / (1 + q) * q ** np.abs(z)


def discrete_gaussian_law(scale: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return values and their chances, as far out as 9 scales."""
    reach = math.ceil(9 * scale)
    z = np.arange(-reach, reach + 1)
    weight = np.exp(-(z**2) / (2 * scale**2))
    return z, weight / weight.sum()


def check_noise_follows(
    draw: Callable[[Counts], Counts], z: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]
) -> None:
    """Histogram, variance and independence of neighbouring cells fit the law."""
    base = np.arange(DRAWS, dtype=np.int64) * 1000
    noise = draw(base) - base
    check_histogram(noise, z, chance)
    variance, fourth = float((z**2 * chance).sum()), float((z**4 * chance).sum())
    error = math.sqrt((fourth - variance**2) / DRAWS)
    assert abs(float((noise**2).mean()) - variance) < SIX_DEVIATIONS * error, "variance"
    products = noise[:-1] * noise[1:]
    deviation = SIX_DEVIATIONS * variance / math.sqrt(DRAWS - 1)
    assert abs(float(products.mean())) < deviation, "neighbouring cells are independent"


def check_histogram(noise: Counts, z: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]) -> None:
    """Chi-square of the counts per integer; tails are pooled until 100 draws are expected in each."""
    cumulative = np.cumsum(chance) * noise.size
    low = z[np.searchsorted(cumulative, 100)]
    observed = np.array([(np.clip(noise, low, -low) == v).sum() for v in range(low, -low + 1)])
    expected = np.array([chance[np.clip(z, low, -low) == v].sum() for v in range(low, -low + 1)])
    expected *= noise.size
    statistic = float(((observed - expected) ** 2 / expected).sum())
    assert statistic < stats.chi2.isf(ALARM, expected.size - 1), "integer fit"


def check_laplace(laplace: Sampler, epsilon: float) -> None:
    """The mechanism's noise is discrete Laplace with the charged epsilon."""
    z, chance = discrete_laplace_law(epsilon)
    assert math.isclose(float((z**2 * chance).sum()), noise_variance(epsilon), rel_tol=1e-9)
    check_noise_follows(lambda counts: laplace(counts, epsilon=epsilon), z, chance)


def check_gate_inequality(probability: Probability, *, k: int, epsilon: float, delta: float) -> None:
    """One answer more or less changes neither outcome's chance by more than (epsilon, delta)."""
    chances = [probability(n, k, epsilon=epsilon, delta=delta) for n in range(201)]
    grow, slack = math.exp(epsilon), delta + 1e-14
    for fewer, more in itertools.pairwise(chances):
        assert more <= grow * fewer + slack, "shown, one answer more"
        assert fewer <= grow * more + slack, "shown, one answer less"
        assert 1 - fewer <= grow * (1 - more) + slack, "held, one answer less"
        assert 1 - more <= grow * (1 - fewer) + slack, "held, one answer more"


def check_none_under_k(decide: Decide, uniform: Callable[[], float]) -> None:
    """No group below k is shown in 100,000 draws."""
    for _ in range(1000):
        shown = decide([9] * 100, [90] * 100, k=10, epsilon=1.0, delta=1e-6, uniform=uniform)
        assert not any(shown), "none under k"


def check_no_group_held_alone(decide: Decide, uniform: Callable[[], float]) -> None:
    """With two groups or more, never exactly one is held."""
    for counts in ([9, 200, 200], [200, 9], [22, 22, 200, 200], [23, 200]):
        for _ in range(300):
            rosters = [count + 30 for count in counts]
            shown = decide(counts, rosters, k=10, epsilon=1.0, delta=1e-6, uniform=uniform)
            assert shown.count(False) != 1, "no group held alone"


class Recorder:
    """Stands in for mechanism and coins and writes down how it was asked."""

    def __init__(self, noise: int, coin: float) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.drawn = 0
        self._noise, self._coin = noise, coin

    def laplace(self, counts: Counts, *, epsilon: float) -> Counts:
        """Add a different, known number to every cell."""
        self.calls.append(("noise", counts.shape, str(counts.dtype), epsilon))
        self.drawn += counts.size
        added = self._noise + np.arange(self.drawn - counts.size, self.drawn).reshape(counts.shape)
        return counts + added.astype(np.int64)

    def uniform(self) -> float:
        """Let the coin fall as agreed."""
        self.calls.append(("coin",))
        return self._coin


def neighbours() -> tuple[Manifest, list[dict[str, Tally]]]:
    """Return tallies that differ by one rep's whole response: present, blank, and another answer."""
    manifest = made_manifest(groups=(40, 30, 30), merged=True)
    worlds = []
    for answer in ((0, 0), None, (2, 1)):
        tallies = {}
        for spec in manifest.sheets:
            exact = np.zeros((spec.field_values, spec.columns), dtype=np.int64)
            # Column 0 is the rep's group; it is empty, or at the edge of k, without the rep.
            exact[1, 1] = 30
            exact[0, 0] = 9 if spec.name == "support-group" else 0
            if answer is not None:
                exact[answer] += 1
            counted = 60
            tallies[spec.name] = made_tally(exact.tolist(), blanks=counted - int(exact.sum()))
        worlds.append(tallies)
    return manifest, worlds


def check_replay(draw: Draw) -> None:
    """How noise and coins are asked for, and in which order, is the same on neighbours."""
    manifest, worlds = neighbours()
    asked = []
    for tallies in worlds:
        recorder = Recorder(noise=5, coin=0.5)
        draw(tallies, manifest, laplace=recorder.laplace, uniform=recorder.uniform)
        asked.append(recorder.calls)
    assert asked[0] == asked[1] == asked[2], "neighbours ask for the same noise"
    kinds = [call[0] for call in asked[0]]
    assert kinds == ["coin"] * 3 + ["noise"] * len(manifest.plan.tables), "coins first, one call per table"
    epsilons = [call[3] for call in asked[0] if call[0] == "noise"]
    assert epsilons == [table.epsilon for table in manifest.plan.tables], "plan order and budgets"


def check_states_ignore_noise(draw: Draw) -> None:
    """Which groups are shown doesn't depend on the noise."""
    manifest, worlds = neighbours()
    for tallies in worlds:
        states = []
        for noise in (-1000, 0, 1000):
            recorder = Recorder(noise=noise, coin=0.5)
            states.append(draw(tallies, manifest, laplace=recorder.laplace, uniform=recorder.uniform)[1])
        assert states[0] == states[1] == states[2], "states are decided without noise"


def check_every_number_is_noisy(draw: Draw) -> None:
    """Each published live cell is its count plus the noise drawn for it; nothing else is published."""
    manifest, (tallies, *_) = neighbours()
    recorder = Recorder(noise=7, coin=0.0)
    tables, _ = draw(tallies, manifest, laplace=recorder.laplace, uniform=recorder.uniform)
    used = 7
    for table in tables:
        live = list(manifest.sheet(table.sheet).values)
        published = [[row[column] for column in live] for row in table.noisy_counts]
        exact = tallies[table.sheet].exact_counts[:, live]
        expected = (exact + used + np.arange(exact.size).reshape(exact.shape)).tolist()
        used += exact.size
        for row, expected_row in zip(published, expected, strict=True):
            for cell, expected_cell in zip(row, expected_row, strict=True):
                assert cell in (None, expected_cell), "each number is a count plus its own noise"


def check_no_shared_draws_after_fork(laplace: Sampler) -> None:
    """Two forked processes and their parent draw different noise."""
    check_no_shared_draws(laplace, "fork")


def check_no_shared_draws(laplace: Sampler, start: Literal["fork", "spawn"]) -> None:
    """Two processes, started in one of the two ways, and their parent draw different noise."""
    laplace(np.zeros(4, dtype=np.int64), epsilon=0.1)
    context = multiprocessing.get_context(start)
    ends = [context.Pipe(duplex=False) for _ in range(2)]
    children = [context.Process(target=send, args=(laplace, end[1])) for end in ends]
    for child in children:
        child.start()
    drawn = [tuple(end[0].recv()) for end in ends]
    for child in children:
        child.join(timeout=20)
        assert child.exitcode == 0
    drawn.append(tuple(drawn_by(laplace)))
    # 64 vectors of 4 cells at epsilon .1: equal by chance with less than 1e-300.
    assert len(set(drawn)) == 3, f"no shared draws after {start}"


def check_threads_share_no_draws(laplace: Sampler) -> None:
    """Threads that draw at one moment, through one mechanism, get different noise."""
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(lambda _: tuple(drawn_by(laplace)), range(4)))
    assert len(set(drawn)) == 4, "no shared draws between threads"
