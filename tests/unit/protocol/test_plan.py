"""Plans: their totals, what they can show, and every number a budget must not be."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from services.protocol import arithmetic, plan
from services.protocol.problems import Problem

EVERYTHING = ("attainment", "activity", "hit", "group")
NAMES = ("stronger", "balanced", "finer")


def named(name: str, **changes: Any) -> plan.Plan:
    settings: dict[str, Any] = {"frame": 400, "contexts": EVERYTHING} | changes
    return plan.make_plan(name, **settings)


@pytest.mark.parametrize(("name", "epsilon"), [("stronger", 1), ("balanced", 2), ("finer", 4)])
def test_named_plans_spend_what_they_say(name: str, epsilon: int) -> None:
    assert named(name).answers_micro == epsilon * plan.MICRO
    assert named(name).participation_micro == plan.MICRO
    assert named(name).delta == 1e-6


def test_named_plans_are_the_published_table() -> None:
    published = {
        "stronger": {"B": 0.4, "C": 0.1, "H": 0.35, "F": 0.15},
        "balanced": {"B": 0.5, "C": 0.1, "D": 0.35, "H": 0.2, "F": 0.15},
        "finer": {"B": 0.8, "C": 0.2, "D": 0.6, "H": 0.8, "F": 0.4},
    }
    for name, epsilons in published.items():
        assert {table.table: table.epsilon for table in named(name).tables} == epsilons


def test_without_table_d_three_sheets_fewer_are_sent() -> None:
    assert len(named("balanced").sheets) == 7
    assert set(named("balanced").sheets) - set(named("stronger").sheets) == {
        "capability-result",
        "alignment-result",
        "motivation-result",
    }


@pytest.mark.parametrize(("name", "size"), [("balanced", 72), ("stronger", 41), ("finer", 36)])
def test_useful_sizes(name: str, size: int) -> None:
    assert plan.useful_size(named(name), k=10) == size
    assert not plan.is_useful(size - 1, named(name), k=10)


@pytest.mark.parametrize(("name", "size"), [("balanced", 183), ("stronger", 127), ("finer", 90)])
def test_groups_stop_being_wide_at_about_the_published_sizes(name: str, size: int) -> None:
    epsilon = named(name).table(plan.SUPPORT_GROUP).epsilon
    first = next(
        n
        for n in range(10, 400)
        if plan.predicted_half_width(n, epsilon, response=0.7) <= plan.WIDE_HALF_WIDTH
    )
    assert abs(first - size) <= 1
    assert first > plan.useful_size(named(name), k=10)


@pytest.mark.parametrize(("name", "one", "all_"), [("balanced", 83, 98), ("stronger", 85, 88)])
def test_printed_odds(name: str, one: int, all_: int) -> None:
    assert plan.printed_odds(named(name)) == {"one": one, "all": all_, "shown": 73}


def test_odds_of_one_answer_are_those_of_the_costliest() -> None:
    flags_cost_most = plan.Plan(
        name="x",
        tables=(
            plan.PlanTable(sheet=plan.SUPPORT_GROUP, table="H", epsilon_micro=100_000),
            plan.PlanTable(sheet=plan.FLAG_RESULT, table="F", epsilon_micro=500_000),
        ),
    )
    assert plan.printed_odds(flags_cost_most)["one"] == plan.surety(1.0) == 73


NOT_AN_EPSILON = [
    *(
        "0",
        "0.0",
        "0.000000",
        "-0",
        "-0.0",
        "-1",
        "+1",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "1e-3",
        "1E2",
    ),
    *("4.9e-324", "5e-324", "0." + "0" * 400 + "1", "0.0000001", "", " ", " 1", "1 ", "1\n", "1.", ".5", "."),
    *("1.2.3", "1,5", "1_0", "0x1", "¼", "٣", "１", "8.000001", "9", "1" * 5000, "True", "half"),
]


@pytest.mark.parametrize("text", NOT_AN_EPSILON, ids=lambda text: repr(text[:12]))
def test_what_is_not_exactly_one_epsilon_is_refused(text: str) -> None:
    with pytest.raises(Problem, match=r"^An epsilon is .*\.$") as caught:
        plan.micro(text)
    assert caught.value.kind == "budget"
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("text", "micro"),
    [("0.000001", 1), ("0.35", 350_000), ("1", 1_000_000), ("8", 8_000_000), ("0.1", 100_000)],
)
def test_decimals_become_exact_integers(text: str, micro: int) -> None:
    assert plan.micro(text) == micro


NOT_A_BUDGET = [0, -1, 1.0, 0.5, "1", True, None, math.nan, math.inf, -0.0, 5e-324, 8_000_001, 10**40]


@pytest.mark.parametrize("epsilon_micro", NOT_A_BUDGET)
def test_a_table_takes_positive_integers_within_the_cap_only(epsilon_micro: Any) -> None:
    with pytest.raises(ValidationError):
        plan.PlanTable.model_validate(
            {"sheet": "support-group", "table": "H", "epsilon_micro": epsilon_micro}
        )


@pytest.mark.parametrize("coin", NOT_A_BUDGET)
def test_the_coin_takes_positive_integers_within_the_cap_only(coin: Any) -> None:
    with pytest.raises(ValidationError):
        plan.Plan.model_validate({"name": "x", "tables": [], "coin_epsilon_micro": coin})


@pytest.mark.parametrize(
    "delta", [0, 0.0, -0.0, -1e-6, 5e-324, 1e-13, 2e-5, math.nan, math.inf, "1e-6", True]
)
def test_delta_is_a_small_positive_number(delta: Any) -> None:
    with pytest.raises(ValidationError):
        plan.Plan.model_validate({"name": "x", "tables": [], "coin_delta": delta})


@pytest.mark.parametrize("share", [0, -0.1, 1.1, math.nan, math.inf, "0.7", True])
def test_expected_response_is_a_share(share: Any) -> None:
    with pytest.raises(ValidationError):
        plan.Plan.model_validate({"name": "x", "tables": [], "expected_response": share})


@pytest.mark.parametrize(
    "change", [{"mechanism": "none"}, {"l1_sensitivity": 0}, {"l1_sensitivity": 2}, {"seed": 1}]
)
def test_a_table_has_one_mechanism_and_no_switch(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        plan.PlanTable.model_validate({"sheet": "s", "table": "H", "epsilon_micro": 1} | change)


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_under_sixty_spends_nothing_on_drivers(name: str) -> None:
    assert {table.table for table in named(name, frame=59).tables} == {"H", "F"}
    assert {table.table for table in named(name, frame=60).tables} >= {"B", "C", "H", "F"}


def test_low_power_drops_drivers_only_if_asked() -> None:
    assert "support-result" in named("balanced", frame=100).sheets
    assert "support-result" not in named("balanced", frame=100, low_power="drop").sheets
    assert "support-result" in named("balanced", frame=400, low_power="drop").sheets


@pytest.mark.parametrize(
    ("context", "lost"),
    [("attainment", {"B", "D"}), ("activity", {"C"}), ("hit", {"F"}), ("group", {"H"})],
)
def test_a_missing_context_leaves_its_tables_out(context: str, lost: set[str]) -> None:
    left = tuple(c for c in EVERYTHING if c != context)
    kept = {table.table for table in named("balanced", contexts=left).tables}
    assert kept == {"B", "C", "D", "H", "F"} - lost


def test_without_groups_no_coin_is_paid() -> None:
    without = named("balanced", contexts=("attainment", "activity", "hit"))
    assert (without.participation_micro, without.delta) == (0, 0.0)
    with pytest.raises(Problem, match="no table by group"):
        plan.useful_size(without, k=10)


def test_an_unknown_plan_is_refused_in_a_short_sentence() -> None:
    with pytest.raises(Problem, match="Unknown plan") as caught:
        named("x" * 10_000)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("epsilon", [0.1, 0.2, 0.5, 0.8, 2.0])
def test_noise_variance_is_that_of_the_distribution(epsilon: float) -> None:
    q = math.exp(-epsilon)
    exact = sum(x * x * (1 - q) / (1 + q) * q ** abs(x) for x in range(-2000, 2001))
    assert arithmetic.noise_variance(epsilon) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("answers", "frame", "epsilon", "effect"),
    [(280, 400, 0.5, 1.0), (105, 150, 0.4, 1.6), (700, 1000, 0.8, 1.0)],
)
def test_planned_standard_error_follows_its_formula(
    answers: float, frame: float, epsilon: float, effect: float
) -> None:
    variance = 2 * math.exp(-epsilon) / (1 - math.exp(-epsilon)) ** 2
    expected = math.sqrt(0.85 * effect / answers + 0.95 / frame + 15.6 * variance / answers**2)
    error = arithmetic.driver_standard_error(answers, frame, epsilon, design_effect=effect)
    assert error == pytest.approx(expected, rel=1e-12)
    power = arithmetic.driver_power(answers, frame, epsilon, design_effect=effect)
    assert power == pytest.approx((1 + math.erf((0.3 / expected - 2.1) / math.sqrt(2))) / 2, rel=1e-9)


def test_power_matches_the_measured_headline_power() -> None:
    # statistics.md, section 5: the seeds' gap is .335; measured .45, .82, .97 at 70 % response.
    for frame, measured in ((150, 0.45), (250, 0.82), (400, 0.97)):
        planned = arithmetic.driver_power(0.7 * frame, frame, 0.5, gap=0.335)
        assert planned == pytest.approx(measured, abs=0.06)


def test_the_gate_is_half_open_thirteen_answers_above_k() -> None:
    chances = [arithmetic.publish_chance(n, 10, epsilon=1.0, delta=1e-6) for n in range(60)]
    assert chances[:10] == [0.0] * 10
    assert chances[10] == 1e-6
    assert chances[22] < 0.5 < chances[23]
    assert chances == sorted(chances)
    assert chances[-1] == 1.0
