"""The verdict in made-up worlds: right where it should speak, silent where it should not.

Figures measured with 4,000 cycles a world at 400 reps, response .85 and plan balanced stand beside each
bound. Bounds are set so that a rule at its measured rate fails one of them with chance below 1 in 10,000;
seeds are fixed, so a run that passes keeps passing until a rule or a formula changes.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from services.report.core.drivers import Comparison, compare, correlation
from services.report.core.evidence import Evidence
from services.report.core.explanations import Verdict, decide
from services.report.core.stratified import stratified_correlation
from tests.simulation.cycles import BALANCED, cycle
from tests.simulation.worlds import WORLDS, Array, draw, noise_is_as_published, noisy, table
from tests.unit.report.core.made import made_indicator

RUNS = 300
STRONGER = {"B": 0.4, "C": 0.1}
NO_NOISE = 1e6
"""A budget at which the noise variance is zero: what a formula that ignores the noise takes it to be."""

EXPECTED = {
    # world: (form, least share of cycles); measured .898 .579 .555 .991 .956 .997 .974
    "seeds": ("fix_patch", 0.82),
    "skill": ("people", 0.46),
    "process": ("other_condition", 0.43),
    "effort": ("people", 0.95),
    "both": ("both", 0.89),
    "quota": ("quota", 0.97),
    "reverse": ("support_over_activity", 0.92),
}


@cache
def evidences(world: str) -> tuple[Evidence, ...]:
    """Return what the verdict sees in ``RUNS`` cycles of a world."""
    rng = np.random.default_rng([20, sorted(WORLDS).index(world)])
    return tuple(cycle(WORLDS[world], 400, rng, response=0.85) for _ in range(RUNS))


@cache
def verdicts(world: str) -> tuple[Verdict, ...]:
    """Return the verdicts of those cycles."""
    return tuple(decide(evidence) for evidence in evidences(world))


def test_the_double_of_the_noise_has_the_published_variance() -> None:
    rng = np.random.default_rng(21)
    assert all(noise_is_as_published(epsilon, rng) for epsilon in (0.1, 0.35, 0.5, 2.0))


@pytest.mark.parametrize("world", sorted(EXPECTED))
def test_each_world_is_recognised(world: str) -> None:
    form, least = EXPECTED[world]
    assert sum(verdict.form == form for verdict in verdicts(world)) >= least * RUNS


@pytest.mark.parametrize("world", sorted(set(WORLDS) - {"seeds", "tie"}))
def test_the_patch_is_not_named_first_where_it_is_not_first(world: str) -> None:
    """Measured .000 to .010 (both .0095, enablement .0065, reverse .0008); 12 of 300 is 4 %."""
    assert sum(verdict.form == "fix_patch" for verdict in verdicts(world)) <= 12


def test_a_tie_with_skill_is_rarely_taken_for_the_patch() -> None:
    """Measured .097, by the rule's own 1.3 standard errors; naming one of the two .030."""
    assert sum(verdict.form == "fix_patch" for verdict in verdicts("tie")) <= 0.18 * RUNS
    assert sum(verdict.named is not None for verdict in verdicts("tie")) <= 0.08 * RUNS


@pytest.mark.parametrize("world", ["null", "quota", "healthy"])
def test_no_driver_is_named_where_none_stands_out(world: str) -> None:
    """Measured .0003, .0018 and .0015."""
    assert sum(verdict.named is not None for verdict in verdicts(world)) <= 6


@pytest.mark.parametrize(
    ("world", "right"), [("skill", "capability"), ("process", "alignment"), ("effort", "activity")]
)
def test_the_wrong_driver_is_hardly_ever_named(world: str, right: str) -> None:
    """Measured: never in 12,000 cycles of the three worlds."""
    assert {verdict.named for verdict in verdicts(world)} <= {None, right}


def test_blame_would_pass_without_the_record_check() -> None:
    """Reps who missed rate their patch low: only the company's own records stop the verdict."""
    fooled = [decide(replace(seen, indicators=(made_indicator(0.3),))) for seen in evidences("reverse")]
    assert sum(verdict.form == "fix_patch" for verdict in fooled) >= 0.8 * RUNS


def test_without_records_of_the_patch_or_other_conditions_nothing_is_named() -> None:
    rng = np.random.default_rng(22)
    for _ in range(60):
        stronger = decide(cycle(WORLDS["seeds"], 400, rng, response=0.85, plan=STRONGER))
        unrecorded = decide(cycle(WORLDS["seeds"], 400, rng, response=0.85, indicators=False))
        assert stronger.named is None
        assert {stronger.form, unrecorded.form}.isdisjoint({"fix_patch", "quota", "other_condition"})


def test_sixty_reps_give_no_verdict() -> None:
    rng = np.random.default_rng(23)
    forms = [decide(cycle(WORLDS["seeds"], 60, rng, response=0.7)).form for _ in range(200)]
    assert forms.count("cant_tell") >= 0.95 * 200


def two_comparisons(world: str, invited: int, rng: np.random.Generator) -> tuple[Comparison, Comparison]:
    """Return the comparison of one cycle as it is, and as a copy that ignores the noise would have it."""
    frame = draw(WORLDS[world], invited, rng)
    answered = rng.random(invited) < 0.7
    support, results = frame.condition_bands["support"], frame.attainment_bands
    by_result = noisy(table(support[answered], results[answered], (3, 4)), BALANCED["B"], rng)
    by_activity = noisy(table(support[answered], frame.activity_bands[answered], (3, 3)), BALANCED["C"], rng)
    exact = table(frame.activity_bands, results, (3, 4))
    honest = compare(
        by_result,
        by_activity,
        exact,
        epsilon_attainment=BALANCED["B"],
        epsilon_activity=BALANCED["C"],
    )
    blind = compare(by_result, by_activity, exact, epsilon_attainment=NO_NOISE, epsilon_activity=NO_NOISE)
    return honest, blind


def test_false_claims_are_rare_and_a_copy_that_ignores_the_noise_is_caught() -> None:
    """Support and activity matter alike at 100 reps. Measured .009 false claims, and .113 for the copy."""
    rng = np.random.default_rng(24)
    pairs = [two_comparisons("both", 100, rng) for _ in range(600)]
    limit = 0.03 * len(pairs)
    assert sum(honest.claim for honest, _ in pairs) <= limit
    assert sum(blind.claim for _, blind in pairs) > limit


@cache
def large_table(world: str) -> tuple[Array, Array]:
    """Return support and activity by attainment of 400,000 people of a world."""
    frame = draw(WORLDS[world], 400_000, np.random.default_rng(25))
    results = frame.attainment_bands
    support = table(frame.condition_bands["support"], results, (3, 4))
    return support, table(frame.activity_bands, results, (3, 4))


@pytest.mark.parametrize("invited", [100, 250, 600])
def test_the_range_of_the_difference_covers_the_true_one(invited: int) -> None:
    """Measured .94 to .99, on the cautious side where table C is noisy."""
    support, activity = large_table("seeds")
    true = correlation(support, epsilon=None).r - correlation(activity, epsilon=None).r
    rng = np.random.default_rng([26, invited])
    found = [two_comparisons("seeds", invited, rng)[0].interval for _ in range(400)]
    covered = sum(low <= true <= high for low, high in found) / len(found)
    assert 0.91 <= covered <= 0.998


def test_weighting_to_the_frame_undoes_uneven_response() -> None:
    """Half of the middle stays away. Measured: .946 weighted, .707 unweighted."""
    true = correlation(large_table("seeds")[0], epsilon=None).r
    response = np.array([0.9, 0.3, 0.3, 0.9])
    rng = np.random.default_rng(27)
    weighted, plain = [], []
    for _ in range(400):
        frame = draw(WORLDS["seeds"], 1000, rng)
        results = frame.attainment_bands
        answered = rng.random(1000) < response[results]
        exact = table(frame.condition_bands["support"][answered], results[answered], (3, 4))
        released = noisy(exact, 0.5, rng)
        invited = np.bincount(results, minlength=4)
        one = stratified_correlation(released, epsilon=0.5, frame_columns=invited)
        other = correlation(released, epsilon=0.5)
        weighted.append(one.low <= true <= one.high)
        plain.append(other.low <= true <= other.high)
    assert 0.91 <= np.mean(weighted) <= 0.99
    assert np.mean(plain) < 0.85
