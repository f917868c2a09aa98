"""The verdict's eight forms, the record check and the five explanations, one rule at a time."""

from dataclasses import replace

import pytest

from services.report.core.drivers import Comparison
from services.report.core.evidence import Evidence, Share
from services.report.core.explanations import Verdict, decide
from services.report.core.rules import leader, more_answers, not_separated, record_check
from tests.unit.report.core.made import made_driver, made_evidence, made_indicator

GOOD = (made_indicator(0.3),)
SEEDS = {"support": 0.4, "capability": 0.1, "alignment": 0.1, "motivation": 0.1, "activity": 0.04}


def seeds(**changes: float) -> Evidence:
    return made_evidence(indicators=GOOD, r={**SEEDS, **changes})


def states(verdict: Verdict) -> dict[str, str]:
    return {found.name: found.state for found in verdict.explanations}


def test_fix_patch_needs_every_part_of_its_rule() -> None:
    verdict = decide(seeds())
    assert verdict.form == "fix_patch"
    assert verdict.claim
    assert verdict.record_check == "passed"
    assert verdict.sureness == "high"
    assert verdict.named == "support"
    assert states(verdict)["territory"] == "supported"
    assert verdict.more_answers is None


def test_without_a_record_of_the_patch_the_patch_is_not_named_first() -> None:
    verdict = decide(made_evidence(r=SEEDS))
    assert (verdict.form, verdict.record_check) == ("support_over_activity", "not_measured")
    assert verdict.sureness == "medium"


def test_records_that_disagree_stop_both_the_verdict_and_its_explanation() -> None:
    """Reps who missed and blame the patch look like this."""
    verdict = decide(made_evidence(indicators=(made_indicator(0.02),), r=SEEDS))
    assert (verdict.form, verdict.record_check) == ("support_over_activity", "failed")
    assert verdict.named == "support"
    assert states(verdict)["territory"] == "not_enough_evidence"


def test_a_condition_close_to_support_stops_fix_patch() -> None:
    verdict = decide(seeds(alignment=0.35))
    assert verdict.form == "support_over_activity"
    assert verdict.not_separated == ("alignment",)


def test_conditions_that_were_not_measured_stop_fix_patch() -> None:
    unmeasured = ("capability", "alignment", "motivation")
    verdict = decide(made_evidence(indicators=GOOD, absent=unmeasured, r=SEEDS))
    assert verdict.form == "support_over_activity"
    assert verdict.not_separated == unmeasured
    assert states(verdict) == {
        "quota": "not_measured",
        "territory": "not_enough_evidence",
        "skill": "not_measured",
        "effort": "evidence_against",
        "process": "not_measured",
    }


def test_people_by_activity_and_by_skill() -> None:
    by_activity = decide(made_evidence(indicators=GOOD, r={"activity": 0.45}))
    assert (by_activity.form, by_activity.reverse, by_activity.sureness) == ("people", True, "medium")
    assert states(by_activity)["effort"] == "supported"
    by_skill = decide(made_evidence(indicators=GOOD, r={"capability": 0.45}))
    assert (by_skill.form, by_skill.reverse) == ("people", False)
    assert states(by_skill)["skill"] == "supported"


@pytest.mark.parametrize("condition", ["alignment", "motivation"])
def test_another_condition_is_named(condition: str) -> None:
    verdict = decide(made_evidence(indicators=GOOD, r={condition: 0.45}))
    assert (verdict.form, verdict.named) == ("other_condition", condition)
    assert states(verdict)["process"] == ("supported" if condition == "alignment" else "evidence_against")


def test_quota_needs_a_low_share_in_every_best_third() -> None:
    low = made_evidence(hit=0.2, best=0.25, best_error=0.05, indicators=GOOD)
    assert decide(low).form == "quota"
    assert decide(low).sureness == "medium"
    one_high = replace(low, best_thirds={**low.best_thirds, "support": Share(0.6, 0.05)})
    assert states(decide(one_high))["quota"] == "not_enough_evidence"
    one_unread = {name: share for name, share in low.best_thirds.items() if name != "alignment"}
    assert states(decide(replace(low, best_thirds=one_unread)))["quota"] == "not_enough_evidence"


def test_quota_comes_before_support_over_activity_but_stops_fix_patch() -> None:
    evidence = made_evidence(hit=0.2, best=0.25, best_error=0.05, indicators=GOOD, r=SEEDS)
    assert decide(evidence).form == "quota"


@pytest.mark.parametrize(
    ("hit", "best", "error", "state"),
    [
        (0.60, 0.60, 0.05, "evidence_against"),
        (0.45, 0.75, 0.05, "evidence_against"),
        (0.45, 0.60, 0.05, "not_enough_evidence"),
        (0.53, 0.40, 0.05, "not_enough_evidence"),
        (0.30, 0.40, 0.05, "supported"),
        (0.30, None, 0.05, "not_measured"),
        (None, 0.40, 0.05, "not_measured"),
        (0.60, None, 0.05, "evidence_against"),
    ],
)
def test_states_of_quota(hit: float | None, best: float | None, error: float, state: str) -> None:
    verdict = decide(made_evidence(hit=hit, best=best, best_error=error))
    assert states(verdict)["quota"] == state


def test_both_matter() -> None:
    verdict = decide(made_evidence(indicators=GOOD, r={"support": 0.3, "activity": 0.3}))
    assert (verdict.form, verdict.sureness) == ("both", "low")


def test_no_driver_stands_out() -> None:
    verdict = decide(made_evidence(indicators=GOOD))
    assert verdict.form == "none"
    assert {states(verdict)[name] for name in ("territory", "skill", "effort", "process")} == {
        "evidence_against"
    }


def test_wide_ranges_say_that_it_cannot_be_told_and_what_would_help() -> None:
    evidence = made_evidence(error=0.12, frame=600, indicators=GOOD, r={"support": 0.2})
    unclear = replace(evidence, comparison=replace_error(evidence))
    verdict = decide(unclear)
    assert (verdict.form, verdict.sureness) == ("cant_tell", "low")
    assert verdict.more_answers is not None
    assert verdict.more_answers % 10 == 0
    assert 0 < verdict.more_answers <= 300
    assert decide(replace(unclear, frame=310)).more_answers is None


def replace_error(evidence: Evidence) -> Comparison:
    comparison = evidence.comparison
    assert comparison is not None
    return replace(comparison, standard_error=0.12, claim=False, reverse=False)


def test_without_table_b_it_cannot_be_told() -> None:
    verdict = decide(made_evidence(absent=("support",), r={"capability": 0.5, "activity": 0.5}))
    assert verdict.form == "cant_tell"
    assert (verdict.difference, verdict.interval, verdict.more_answers) == (None, None, None)


def test_without_activity_the_patch_is_not_named_first() -> None:
    verdict = decide(made_evidence(absent=("activity",), indicators=GOOD, r={"support": 0.5}))
    assert (verdict.form, verdict.record_check) == ("cant_tell", "not_measured")
    assert states(verdict)["effort"] == "not_measured"


@pytest.mark.parametrize(
    ("lower", "r", "patch", "check"),
    [
        (0.10, 0.3, True, "passed"),
        (0.09, 0.3, True, "failed"),
        (0.10, 0.03, True, "failed"),
        (0.30, 0.4, False, "not_measured"),
    ],
)
def test_record_check(lower: float, r: float, patch: bool, check: str) -> None:
    evidence = made_evidence(indicators=(made_indicator(lower, r=r, patch=patch),), r={"activity": -0.04})
    assert record_check(evidence) == check


def test_one_agreeing_record_is_enough() -> None:
    indicators = (made_indicator(-0.1), made_indicator(0.2), made_indicator(0.5, patch=False))
    assert record_check(made_evidence(indicators=indicators)) == "passed"


def test_a_leader_needs_every_driver_measured_and_a_size_worth_acting_on() -> None:
    assert leader(made_evidence(r={"support": 0.4})) == "support"
    assert leader(made_evidence(absent=("motivation",), r={"support": 0.4})) is None
    assert leader(made_evidence(error=0.01, r={"support": 0.14})) is None
    assert leader(made_evidence(r={"support": 0.4, "capability": 0.38})) is None


def test_support_unmeasured_leaves_all_conditions_open() -> None:
    assert not_separated(made_evidence(absent=("support",))) == ("capability", "alignment", "motivation")


def test_effort_is_excluded_only_with_a_hundred_reps_and_a_narrow_range() -> None:
    evidence = made_evidence(error=0.05)
    few = {**evidence.drivers, "activity": made_driver(0.02, error=0.05, n=99.0)}
    wide = {**evidence.drivers, "activity": made_driver(0.02, error=0.12)}
    negative = {**evidence.drivers, "activity": made_driver(-0.18, error=0.05)}
    for drivers in (few, wide, negative):
        assert states(decide(replace(evidence, drivers=drivers)))["effort"] == "not_enough_evidence"


def test_more_answers_are_not_promised_where_a_claim_stands() -> None:
    assert more_answers(seeds()) is None
