"""Sentences: what they say of each result, and what no sentence may ever say."""

import re
from dataclasses import replace
from itertools import product

import pytest

from services.report.core import catalogue
from services.report.core.evidence import Share
from services.report.core.explanations import Verdict, decide
from services.report.core.groups import Reading
from services.report.core.scores import Value
from services.report.core.verdict_words import drivers_title, sureness, verdict_reasons, verdict_title
from services.report.core.wording import (
    driver_name,
    driver_words,
    explanation_words,
    figure,
    state_words,
)
from tests.unit.report.core.made import made_comparison, made_driver, made_evidence, made_indicator

GOOD = (made_indicator(0.3),)
SEEDS = {"support": 0.4, "capability": 0.1, "alignment": 0.1, "motivation": 0.1, "activity": 0.04}
TEMPLATES = {f"{part}.{key}": text for part, texts in catalogue.ALL.items() for key, text in texts.items()}
CLAIMS = (
    r"caus\w*|becaus\w*|due to|leads? to|led to|drives|driven|results? in|bring about|brings about|thanks to"
    r"|makes? (?:people|reps)|prove[sn]?|proof|guarantee\w*"
)
RANKS = (
    r"rank\w*|best|worst|top|bottom|first place|second|third|number one|leader|loser|winner|most important"
)
QUESTION = {"record_check.question", "doubts.condition"}
"""Say why a check is needed; they are no findings."""


def verdicts() -> dict[str, Verdict]:
    """Return a verdict of every form."""
    quota = made_evidence(hit=0.2, best=0.25, best_error=0.05)
    unclear = made_evidence(error=0.12, r={"support": 0.12})
    return {
        "fix_patch": decide(made_evidence(indicators=GOOD, r=SEEDS)),
        "people": decide(made_evidence(r={"activity": 0.45})),
        "other_condition": decide(made_evidence(r={"alignment": 0.45})),
        "quota": decide(quota),
        "support_over_activity": decide(made_evidence(r=SEEDS)),
        "both": decide(made_evidence(r={"support": 0.3, "activity": 0.3})),
        "none": decide(made_evidence()),
        "cant_tell": decide(unclear),
    }


@pytest.mark.parametrize("key", sorted(set(TEMPLATES) - QUESTION))
def test_no_sentence_claims_cause_or_rank(key: str) -> None:
    text = TEMPLATES[key]
    assert not re.search(rf"\b(?:{CLAIMS})\b", text, re.IGNORECASE)
    assert not re.search(rf"\b(?:{RANKS})\b", text, re.IGNORECASE)


@pytest.mark.parametrize(
    "bad", ["Poor patches cause misses.", "Support drives results.", "North ranks lowest.", "Your top group"]
)
def test_the_check_above_can_fail(bad: str) -> None:
    assert re.search(rf"\b(?:{CLAIMS}|{RANKS})\b", bad, re.IGNORECASE)


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_sentences_are_short_and_plain(key: str) -> None:
    text = TEMPLATES[key]
    for sentence in re.split(r"(?<=[.:;])\s+", text):
        assert len(sentence.split()) <= 20
    assert not re.search(r"epsilon|noise scale|k-anonym|statistic|coefficient|standard error|p-value", text)


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_a_range_says_what_it_includes(key: str) -> None:
    """Cells of the group table are the one exception: their caption says it for all."""
    text = TEMPLATES[key]
    if "{low}" in text and not key.startswith("states."):
        assert "includes privacy noise" in text or "company records" in text


def test_every_form_has_its_own_heading() -> None:
    headings = {form: verdict_title(verdict) for form, verdict in verdicts().items()}
    assert {form: verdict.form for form, verdict in verdicts().items()} == {form: form for form in headings}
    assert headings["fix_patch"] == "Fix the patch first"
    assert headings["other_condition"] == "Direction is what holds results back"
    assert len(set(headings.values())) == len(catalogue.VERDICTS) == 8


def test_reasons_carry_the_difference_with_its_range() -> None:
    reasons = verdict_reasons(verdicts()["fix_patch"])
    assert reasons == (
        "Support goes with results more than activity and every other condition.",
        "The difference between Support and activity is 0.36 (0.22 to 0.50, includes privacy noise).",
        "Your records agree: reps with richer recorded patches did better.",
    )


def test_what_stays_open_is_said() -> None:
    unrecorded = verdict_reasons(verdicts()["support_over_activity"])
    assert unrecorded[2:] == (catalogue.REASONS["record_territory"],)
    evidence = made_evidence(indicators=(made_indicator(0.0),), r={**SEEDS, "alignment": 0.35})
    assert verdict_reasons(decide(evidence))[2:] == (
        "Direction can't be ruled out yet.",
        "Your records don't confirm it: richer patches don't clearly go with better results.",
    )


def test_a_link_too_small_to_act_on_is_called_that() -> None:
    evidence = made_evidence(indicators=GOOD, error=0.02, r={"support": 0.149, "activity": 0.0})
    drivers = evidence.drivers
    sharp = made_comparison(drivers["support"], drivers["activity"], error=0.02)
    verdict = decide(replace(evidence, comparison=sharp))
    assert verdict.form == "support_over_activity"
    assert verdict_reasons(verdict)[2:] == (catalogue.REASONS["small_support"],)


def test_what_can_not_be_told_says_why() -> None:
    unclear = verdicts()["cant_tell"]
    assert verdict_reasons(replace(unclear, more_answers=120))[-1] == "About 120 more answers would help."
    assert verdict_reasons(replace(unclear, more_answers=None))[-1] == catalogue.REASONS["more_answers_no"]
    no_activity = decide(made_evidence(absent=("activity",), r={"support": 0.3}))
    assert verdict_reasons(no_activity) == (catalogue.REASONS["cant_tell_activity"],)
    no_answers = decide(made_evidence(absent=("support",)))
    assert verdict_reasons(no_answers) == (catalogue.REASONS["cant_tell_answers"],)
    assert sureness(no_answers) == catalogue.SURENESS["low_not_compared"]


def test_no_driver_stands_out_names_what_was_measured() -> None:
    text = verdict_reasons(verdicts()["none"])[0]
    assert text.endswith("Skills and know-how, Direction, Drive, Support, Recorded activity.")


def test_people_says_whether_activity_or_skill() -> None:
    by_skill = decide(made_evidence(r={"capability": 0.45}))
    assert verdict_reasons(by_skill)[0] == catalogue.REASONS["people_skill"]
    assert verdict_reasons(verdicts()["people"])[0] == catalogue.REASONS["people_activity"]


def test_how_sure_has_a_reason_for_every_form() -> None:
    texts = {form: sureness(verdict) for form, verdict in verdicts().items()}
    assert texts["fix_patch"] == catalogue.SURENESS["high"]
    assert texts["support_over_activity"] == catalogue.SURENESS["medium_records_not_measured"]
    assert texts["quota"] == catalogue.SURENESS["medium_quota"]
    assert texts["people"] == texts["other_condition"] == catalogue.SURENESS["medium_people"]
    assert texts["cant_tell"] == catalogue.SURENESS["low"]
    assert texts["both"] == catalogue.SURENESS["low_both"]
    assert texts["none"] == catalogue.SURENESS["low_none"]
    small = replace(verdicts()["fix_patch"], sureness="medium")
    assert sureness(small) == catalogue.SURENESS["medium_small"]


def test_driver_titles_state_the_finding() -> None:
    titles = {form: drivers_title(verdict) for form, verdict in verdicts().items()}
    assert titles["other_condition"] == "Direction goes with results more than the rest"
    assert titles["cant_tell"] == titles["quota"] == catalogue.DRIVER_TITLES["open"]


def test_every_explanation_is_told_in_every_state() -> None:
    for (form, verdict), name in product(verdicts().items(), catalogue.EXPLANATIONS):
        row = explanation_words(verdict.explanation(name), verdict)
        assert row.name == catalogue.EXPLANATIONS[name], form
        assert row.state in catalogue.EXPLANATION_STATES.values()
        assert "{" not in row.would_see + row.seen + row.next_step


def test_explanations_show_their_figures() -> None:
    verdict = verdicts()["fix_patch"]
    seen = {found.name: explanation_words(found, verdict).seen for found in verdict.explanations}
    assert seen["territory"] == "Support goes with results at 0.40 (0.30 to 0.50, includes privacy noise)."
    assert seen["effort"].endswith("(-0.06 to 0.14, company records).")
    assert seen["quota"].startswith("45 % hit quota (range 41 to 49 %, company records).")


def test_ratings_without_records_behind_them_are_called_that() -> None:
    verdict = decide(made_evidence(indicators=(made_indicator(0.0),), r=SEEDS))
    row = explanation_words(verdict.explanation("territory"), verdict)
    assert row.state == "Not enough evidence"
    assert row.seen.endswith(catalogue.SEEN["territory_unconfirmed"])


def test_quota_without_conditions_says_so() -> None:
    verdict = decide(made_evidence(best=None))
    text = explanation_words(verdict.explanation("quota"), verdict).seen
    assert text == "45 % hit quota (company records). The conditions beside it were not all measured."
    against = decide(replace(made_evidence(best=None), hit_share=Share(0.7, 0.02)))
    assert explanation_words(against.explanation("quota"), against).seen.startswith("70 % hit quota")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (-0.004, "0.00"), (0.995, "0.99"), (0.996, "1.0"), (-1.27, "-1.3"), (0.05, "0.05")],
)
def test_figures_have_at_most_two_significant_digits(value: float, text: str) -> None:
    assert figure(value) == text
    assert len(text.lstrip("-0.").replace(".", "")) <= 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_printed(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        figure(value)


def test_states_in_words() -> None:
    value = Value(62.3, 14.0, 4.0, 60.0)
    assert state_words(Reading("shown", Value(62.3, 6.0, 2.0, 200.0)), k=10) == "62 (56-68)"
    assert state_words(Reading("wide", value), k=10) == (
        "About 62. The range is wide (48-76): treat as a hint."
    )
    assert "The limit is 10;" in state_words(Reading("held"), k=10)
    for state in ("no_separate_reading", "not_released", "not_asked", "no_data"):
        assert state_words(Reading(state), k=10) == catalogue.STATES[state]


def test_drivers_say_where_they_come_from() -> None:
    assert driver_words(made_driver(0.4), exact=False) == "0.40 (0.30 to 0.50, includes privacy noise)"
    assert driver_words(made_driver(0.4), exact=True) == "0.40 (0.30 to 0.50, company records)"
    assert driver_name("motivation") == "Drive"
    assert driver_name(None) == ""
