"""The checks can fail: each planted mistake is caught by the check that is named for it."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from services.aggregate.core import gate, publish, tree
from services.aggregate.core.mechanisms import discrete_laplace
from services.aggregate.core.publish import Counts
from services.aggregate.core.rules import SheetRules
from services.aggregate.core.tally import Tally, count_chunk
from services.protocol.release import GroupState
from tests.privacy import checks
from tests.unit.aggregate.factory import made_tally


def counts_repeats(chunk: bytes, rules: SheetRules, key: bytes) -> Tally:
    """Count every envelope on its own, so that nonces are never compared."""
    length = rules.envelope_length
    parts = [count_chunk(chunk[i : i + length], rules, key) for i in range(0, len(chunk), length)]
    return made_tally(np.sum([part.exact_counts for part in parts], axis=0).tolist())


def without_clip(answers: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Take any byte for an answer."""
    out = tree.features(np.where((answers >= 1) & (answers <= 5), answers, 255).astype(np.uint8))
    wide = answers.astype(np.int64)
    out[:, :-1:5] = np.where(wide == 255, 0, 100 * (wide - 3))
    return out


def head_count_outside(answers: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Leave the head count out of the protected vector."""
    return tree.features(answers)[:, :-1]


def heavy_missing(answers: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Give a missing answer a larger weight than the bound allows."""
    out = tree.features(answers)
    out[:, 4:-1:5] = out[:, 4:-1:5] // 200 * 201
    return out


def half_sigma(counts: Counts, *, epsilon: float) -> Counts:
    """Draw half the noise that is charged for."""
    return discrete_laplace(counts, epsilon=2 * epsilon)


def rounded_laplace(counts: Counts, *, epsilon: float) -> Counts:
    """Round continuous noise."""
    noise = np.random.default_rng().laplace(scale=1 / epsilon, size=counts.shape)
    return counts + np.rint(noise).astype(np.int64)


def one_draw_for_pairs(counts: Counts, *, epsilon: float) -> Counts:
    """Use each draw for two neighbouring cells."""
    noise = discrete_laplace(np.zeros(counts.size, dtype=np.int64), epsilon=epsilon)
    noise[1::2] = noise[: noise.size - noise.size % 2 : 2]
    return counts + noise.reshape(counts.shape)


def upward_only(counts: Counts, *, epsilon: float) -> Counts:
    """Never let a count fall."""
    return counts + np.abs(discrete_laplace(np.zeros_like(counts), epsilon=epsilon))


GENERATOR = np.random.default_rng(1)


def inherited_generator(counts: Counts, *, epsilon: float) -> Counts:
    """Draw from a state that a fork copies."""
    return counts + GENERATOR.geometric(epsilon, counts.shape) - GENERATOR.geometric(epsilon, counts.shape)


def hard_threshold(n: int, k: int, *, epsilon: float, delta: float) -> float:
    """Gate on the exact count: no coin."""
    return float(n >= k)


def twice_epsilon(n: int, k: int, *, epsilon: float, delta: float) -> float:
    """Toss a coin that costs twice what is charged."""
    return gate.publish_probability(n, k, epsilon=2 * epsilon, delta=delta)


def without_complement(n: int, k: int, *, epsilon: float, delta: float) -> float:
    """Bound the chance to be shown, and forget the chance to be held."""
    chance = 0.0
    for _ in range(n - k + 1):
        chance = min(1.0, math.exp(epsilon) * chance + delta)
    return chance


def without_minimum(counts: Any, invited: Any, *, k: int, epsilon: float, **rest: Any) -> tuple[bool, ...]:
    """Let the coin alone decide, from one answer on."""
    return gate.decide([n + k for n in counts], invited, k=k, epsilon=5 * epsilon, **rest)


def without_sibling_rule(
    counts: Any, invited: Any, *, k: int, epsilon: float, delta: float, uniform: Any
) -> tuple[bool, ...]:
    """Hold a group alone."""
    one = {"k": k, "epsilon": epsilon, "delta": delta, "uniform": uniform}
    return tuple(gate.decide([n], [m], **one)[0] for n, m in zip(counts, invited, strict=True))


def noise_where_there_are_counts(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Leave zero cells without noise."""

    def sparse(counts: Counts, *, epsilon: float) -> Counts:
        noisy = counts.copy()
        noisy[counts > 0] = laplace(counts[counts > 0], epsilon=epsilon)
        return noisy

    return publish.draw(tallies, manifest, laplace=sparse, uniform=uniform)


def coin_only_when_needed(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Toss no coin for groups below k."""
    counts = tallies["support-group"].exact_counts.sum(axis=0)
    coins = [uniform() if n >= manifest.k else 0.5 for n in counts]
    return publish.draw(tallies, manifest, laplace=laplace, uniform=iter(coins).__next__)


def gate_on_noisy_count(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Decide from the noisy table which groups are shown."""
    tables, states = publish.draw(tallies, manifest, laplace=laplace, uniform=uniform)
    table = next(table for table in tables if table.sheet == "support-group")
    totals = [sum(cell or 0 for cell in column) for column in zip(*table.noisy_counts or (), strict=True)]
    return tables, tuple(
        GroupState(id=state.id, state="shown" if total >= manifest.k else "held")
        for state, total in zip(states, totals, strict=True)
    )


def exact_total(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Correct the last cell so that each table adds up to its exact number of answers."""
    tables, states = publish.draw(tallies, manifest, laplace=laplace, uniform=uniform)
    corrected = []
    for table in tables:
        rows = [list(row) for row in table.noisy_counts or ()]
        noisy_total = sum(cell or 0 for row in rows for cell in row)
        rows[-1][0] = (rows[-1][0] or 0) + int(tallies[table.sheet].exact_counts.sum()) - noisy_total
        corrected.append(table.model_copy(update={"noisy_counts": tuple(tuple(row) for row in rows)}))
    return tuple(corrected), states


def asked_twice(tallies: Any, manifest: Any, *, laplace: Any, uniform: Any) -> Any:
    """Average two draws of the same table."""

    def averaged(counts: Counts, *, epsilon: float) -> Counts:
        total: Counts = laplace(counts, epsilon=epsilon) + laplace(counts, epsilon=epsilon)
        return total // 2

    return publish.draw(tallies, manifest, laplace=averaged, uniform=uniform)


def fails(what: str) -> Any:
    """Expect the check to fail, and for the stated reason."""
    return pytest.raises(AssertionError, match=what)


def test_repeats_counted() -> None:
    with fails("one token counts once"):
        checks.check_one_token_moves_one_count(counts_repeats)


def test_missing_clip() -> None:
    with fails("no answer was given features"):
        checks.check_no_other_answer_has_features(without_clip)


@pytest.mark.parametrize("mutant", [head_count_outside, heavy_missing])
def test_features_outside_their_bound(mutant: Any) -> None:
    with fails("reached exactly"):
        checks.check_feature_norm(mutant, tree.sensitivity_squared)


@pytest.mark.parametrize("items_missed", [1, -1])
def test_wrong_number_of_items(items_missed: int) -> None:
    with fails("reached exactly"):
        checks.check_feature_norm(tree.features, lambda m: 310**2 + 40_000 * (m - items_missed))


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        (half_sigma, "integer fit"),
        (rounded_laplace, "integer fit"),
        (upward_only, "integer fit"),
        (one_draw_for_pairs, "independent|integer fit|variance"),
    ],
)
def test_wrong_noise(mutant: Any, what: str) -> None:
    with fails(what):
        checks.check_laplace(mutant, 0.5)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_generator_that_a_fork_copies() -> None:
    with fails("no shared draws after fork"):
        checks.check_no_shared_draws_after_fork(inherited_generator)


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        (hard_threshold, "one answer more"),
        (twice_epsilon, "one answer more"),
        (without_complement, "held, one answer less"),
    ],
)
def test_wrong_coin(mutant: Any, what: str) -> None:
    with fails(what):
        checks.check_gate_inequality(mutant, k=10, epsilon=1.0, delta=1e-6)


def test_missing_minimum() -> None:
    with fails("none under k"):
        checks.check_none_under_k(without_minimum, lambda: 0.5)


def test_missing_sibling_rule() -> None:
    with fails("no group held alone"):
        checks.check_no_group_held_alone(without_sibling_rule, lambda: 0.5)


@pytest.mark.parametrize("mutant", [noise_where_there_are_counts, coin_only_when_needed])
def test_asking_depends_on_answers(mutant: Any) -> None:
    with fails("neighbours ask for the same noise"):
        checks.check_replay(mutant)


def test_table_asked_twice() -> None:
    with fails("one call per table"):
        checks.check_replay(asked_twice)


def test_gate_on_noisy_count() -> None:
    with fails("decided without noise"):
        checks.check_states_ignore_noise(gate_on_noisy_count)


def test_exact_total() -> None:
    with fails("a count plus its own noise"):
        checks.check_every_number_is_noisy(exact_total)
