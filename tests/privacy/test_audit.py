"""The audit's own tools: bounds that hold, events that find faults, and subtraction that finds a way.

``make audit`` runs them at full size; here each is shown to say no more, and no less, than is true.
"""

import math

import numpy as np
import pytest

from services.protocol.plan import SUPPORT_GROUP
from tests.audit import gatecount
from tests.audit.bounds import Draws, at_least, at_most, best, epsilon_proved, judge
from tests.audit.epsilon import budget
from tests.audit.figures import Figure
from tests.audit.neighbours import Place, layout
from tests.audit.publishing import PLACE, manifests, theory
from tests.audit.puppets import gate_edge
from tests.audit.releasing import Task, drawn
from tests.audit.statistics import Pair, family
from tests.audit.subtraction import smallest_isolated

EPSILON = 1.0
GENERATOR = np.random.default_rng(11)


def test_bounds_of_a_chance_are_those_of_the_textbook() -> None:
    # Clopper and Pearson, 10 draws, 95 % two-sided.
    assert at_least([0, 5, 10], 10, 0.025) == pytest.approx([0.0, 0.18709, 0.69150], abs=1e-5)
    assert at_most([0, 5, 10], 10, 0.025) == pytest.approx([0.30850, 0.81291, 1.0], abs=1e-5)


def test_bounds_of_a_chance_are_rarely_wrong() -> None:
    for chance in (0.001, 0.03, 0.5):
        seen = GENERATOR.binomial(5_000, chance, size=4_000)
        wrong = (at_least(seen, 5_000, 0.01) > chance) | (at_most(seen, 5_000, 0.01) < chance)
        assert wrong.mean() < 0.03, "each side errs in one of a hundred at most"


def test_what_is_never_seen_proves_only_as_much_as_the_draws_allow() -> None:
    few, many = (float(epsilon_proved(n, 0, (n, n), delta=0.0, error=1e-3)) for n in (100, 10_000))
    assert 2.0 < few < math.log(100) < many < math.log(10_000)
    assert epsilon_proved(5, 5, (1000, 1000), delta=0.0, error=1e-3) == 0.0
    assert epsilon_proved(1, 0, (1000, 1000), delta=0.01, error=1e-3) == 0.0


def laplace(epsilon: float, shift: int, size: int) -> Draws:
    """Return made-up releases of one cell with discrete Laplace noise."""
    q = -math.expm1(-epsilon)
    noise = GENERATOR.geometric(q, size) - GENERATOR.geometric(q, size)
    return (noise + shift).astype(np.int32)[:, None]


def proved(epsilon: float) -> float:
    """Return what draws of a mechanism with this epsilon prove."""
    held_out, fresh = ((laplace(epsilon, 1, n), laplace(epsilon, 0, n)) for n in (500, 5_000))
    value = {"value": lambda *_: lambda draws: draws[:, 0].astype(float)}
    return best(judge(value, held_out, fresh, delta=0.0, error=1e-3)).epsilon


def test_a_mechanism_proves_nearly_its_epsilon_and_never_more() -> None:
    found = [proved(EPSILON) for _ in range(60)]
    assert max(found) <= EPSILON
    assert np.median(found) > 0.75 * EPSILON
    assert min(proved(2 * EPSILON) for _ in range(20)) > EPSILON, "half the noise is noticed"


# A few hundred releases are enough for faults that show in every single one.
OBVIOUS = {
    "no coin": Place(9),
    "parity": Place(60),
    "sparse": Place(60, here=0),
    "totals": Place(60),
    "seeded": Place(60),
}


@pytest.mark.parametrize("fault", OBVIOUS)
def test_obvious_faults_are_proved_by_few_releases(fault: str) -> None:
    place, size = OBVIOUS[fault], 150
    worlds = [Task("stronger", place, response, size, fault) for response in ("present", "blank")]
    first, second = (drawn(task) for task in worlds)
    pair = Pair(worlds[0].manifest, place, "present", "blank")
    cut = size // 3
    bounds = judge(
        family(pair), (first[:cut], second[:cut]), (first[cut:], second[cut:]), delta=1e-6, error=1e-3
    )
    assert best(bounds).epsilon > budget(pair)


def test_the_audit_knows_what_a_release_may_cost() -> None:
    for response, expected in (("blank", 3.0), ("other", 4.0)):
        task = Task("balanced", Place(22), "present", 0)
        assert budget(Pair(task.manifest, Place(22), "present", response)) == expected  # type: ignore[arg-type]


def test_neighbours_differ_in_one_cell_of_every_table_or_in_two() -> None:
    manifest = Task("balanced", Place(22), "present", 0).manifest
    against_blank = Pair(manifest, Place(22), "present", "blank").changed
    sheets = [layout(manifest).cells[cell][0] for cell in against_blank]
    assert sheets == list(manifest.plan.sheets)
    assert SUPPORT_GROUP in sheets
    assert len(Pair(manifest, Place(22), "present", "other").changed) == 2 * len(sheets)


def test_the_best_reader_of_two_cycles_is_bounded_by_the_budget() -> None:
    manifest, _ = manifests()
    spent = (manifest.plan.answers_micro + manifest.plan.participation_micro) / 1_000_000
    assert 0 < theory(manifest, PLACE) < math.tanh(spent / 2)
    far = Place(own=200, siblings=(60, 60))
    alone = theory(manifest, far)
    assert alone < math.tanh(manifest.plan.answers_micro / 2_000_000)
    assert alone < theory(manifest, PLACE), "at the edge of the gate the state tells as well"


def test_the_gates_edge_is_where_one_answer_tells_most() -> None:
    assert gate_edge(manifests()[0]) == 22


def test_coins_are_counted_and_a_gate_without_them_is_noticed() -> None:
    shown, decided = gatecount.count(40, coin=iter(GENERATOR.random(100_000)).__next__)
    assert sum(shown[n] for n in gatecount.UNDER) == 0
    assert decided[9] == 40 * 20
    statistic, sizes = gatecount.fit(shown, decided)
    assert statistic < 60
    always, _ = gatecount.count(40, coin=lambda: 0.0)
    assert gatecount.fit(always, decided)[0] > 100 * sizes


def figure(*parts: str) -> Figure:
    """Return a published figure about the people of these parts."""
    return Figure("share", frozenset(parts), " + ".join(parts))


PEOPLE = {"a": 40, "b": 30, "c": 7, "d": 25}


def test_subtraction_finds_the_one_group_that_was_left_out() -> None:
    found = smallest_isolated([figure("a", "b", "c"), figure("a"), figure("b")], PEOPLE)
    assert found is not None
    assert (found.people, found.parts) == (7, {"c"})
    assert {words: weight for weight, words in found.combination} == {"a + b + c": 1, "a": -1, "b": -1}


def test_two_groups_left_out_stay_together() -> None:
    found = smallest_isolated([figure("a", "b", "c", "d"), figure("a"), figure("b")], PEOPLE)
    assert found is not None
    assert (found.people, found.parts) == (30, {"b"})
    rest = smallest_isolated([figure("a", "b", "c", "d"), figure("a", "b")], PEOPLE)
    assert rest is not None
    assert (rest.people, rest.parts) == (32, {"c", "d"})


def test_subtraction_finds_ways_round_several_corners() -> None:
    """Three overlapping sums tell each part, with halves as weights; two of them don't."""
    sums = [figure("a", "b"), figure("b", "c"), figure("c", "a")]
    found = smallest_isolated(sums, PEOPLE)
    assert found is not None
    assert (found.people, found.parts) == (7, {"c"})
    assert {abs(weight) for weight, _ in found.combination} == {0.5}
    two = smallest_isolated(sums[:2], PEOPLE)
    assert two is not None
    assert two.people == 37


def test_where_nothing_is_published_nobody_is_isolated() -> None:
    assert smallest_isolated([], PEOPLE) is None
    assert smallest_isolated([figure("e")], {"e": 0}) is None
