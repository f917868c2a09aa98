"""What panels print: rounded, with a range, and never more than the numbers behind them allow."""

from dataclasses import replace

import pytest

from services.protocol.plan import make_plan
from services.report.cells import day, days, index, key_cells, percent, reading_cell, tint_key
from services.report.core import catalogue
from services.report.core.chart import tint
from services.report.core.evidence import Evidence
from services.report.core.explanations import Verdict, decide
from services.report.core.findings import Findings, find
from services.report.core.groups import Reading as GroupReading
from services.report.core.scores import Value
from services.report.core.wording import indicator_name
from services.report.method import Odds, number, odds, plan_lines
from services.report.overview import (
    VerdictPanel,
    below_company,
    cards,
    group_notes,
    teams_title,
    verdict_panel,
)
from services.report.panels import share_rows, shares_missing
from services.report.reading import read
from tests.flow.report.factories import ATTAINMENT, make_frame, make_manifest, make_release, make_table
from tests.unit.report.core.made import made_evidence, made_indicator


def test_a_shown_value_has_its_range_and_its_tint() -> None:
    cell = reading_cell(GroupReading("shown", Value(62.4, 6.2, 2.0, 120.0)), k=10)
    assert (cell.value, cell.range, cell.tint) == ("62", "56-69", "tint-4")


def test_a_wide_value_is_about_and_has_no_tint() -> None:
    cell = reading_cell(GroupReading("wide", Value(62.4, 14.0, 9.0, 40.0)), k=10)
    assert (cell.value, cell.range, cell.tint) == ("About 62", "48-76", "")


@pytest.mark.parametrize("state", ["no_separate_reading", "held", "not_released", "not_asked", "no_data"])
def test_a_state_without_value_has_neither_range_nor_tint(state: str) -> None:
    cell = reading_cell(GroupReading(state), k=10)  # type: ignore[arg-type]
    assert (cell.range, cell.tint) == ("", "")
    assert cell in key_cells(10)


def test_the_key_of_tints_fits_the_tints() -> None:
    assert tint_key() == (
        ("tint-1", "under 35"),
        ("tint-2", "35 to 45"),
        ("tint-3", "45 to 55"),
        ("tint-4", "55 to 65"),
        ("tint-5", "65 and more"),
    )
    assert [tint(score) for score in (34.9, 35, 45, 55, 65)] == [name for name, _ in tint_key()]


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-03-02T08:00:00Z", "2026-03-02T18:00:00Z", "2 March 2026"),
        ("2026-03-02T08:00:00Z", "2026-03-16T18:00:00Z", "2 to 16 March 2026"),
        ("2026-02-16T08:00:00Z", "2026-03-02T18:00:00Z", "16 February to 2 March 2026"),
        ("2025-12-29T08:00:00Z", "2026-01-12T18:00:00Z", "29 December 2025 to 12 January 2026"),
    ],
)
def test_a_period_says_nothing_twice(first: str, last: str, words: str) -> None:
    assert days(first, last) == words


def test_a_report_says_when_the_survey_really_closed() -> None:
    manifest = make_manifest()
    early = make_frame(manifest).model_copy(update={"closed": "2026-02-20T12:00:00Z"})
    assert read(make_release(manifest, frame=early), manifest).heading.asked == "16 to 20 February 2026"


@pytest.mark.parametrize(("value", "words"), [(99.44, "99"), (103.5, "104"), (0.876, "0.88"), (1.0, "1.00")])
def test_a_territory_index_has_the_digits_of_its_scale(value: float, words: str) -> None:
    assert index(value) == words


def test_dates_shares_and_budgets_are_short() -> None:
    assert day("2026-03-02T18:00:00Z") == "2 March 2026"
    assert percent(0.449) == "45 %"
    assert [number(value) for value in (4.0, 0.35, 1 / 3)] == ["4", "0.35", "0.333333"]


CONTEXTS = ("attainment", "activity", "hit", "group")


@pytest.mark.parametrize(
    ("name", "one", "everything"),
    [("stronger", "85", "88"), ("balanced", "83", "98"), ("finer", "97", "more than 99")],
)
def test_printed_odds_are_those_of_the_published_text(name: str, one: str, everything: str) -> None:
    release = make_release(make_manifest(plan=make_plan(name, frame=400, contexts=CONTEXTS)))
    assert odds(release) == Odds(one, everything, "73", "1 in 1,000,000")


def test_odds_are_read_from_what_the_release_spent_and_not_from_the_name_of_its_plan() -> None:
    plan = make_plan("balanced", frame=400, contexts=CONTEXTS)
    release = make_release(make_manifest(plan=plan.model_copy(update={"name": "stronger"})))
    answers, coins = release.ledger
    for line, changed, expected in (
        (answers, {"epsilon_micro": 500_000}, Odds("83", "73", "73", "1 in 1,000,000")),
        (coins, {"epsilon_micro": 2_000_000}, Odds("83", "98", "88", "1 in 1,000,000")),
        (coins, {"delta": 5e-6}, Odds("83", "98", "73", "1 in 200,000")),
    ):
        lines = [one.model_copy(update=changed) if one == line else one for one in (answers, coins)]
        assert odds(release.model_copy(update={"ledger": tuple(lines)})) == expected
    without_driver_table = release.model_copy(update={"tables": release.tables[1:]})
    assert odds(without_driver_table).one == "67", "x = 2 x .35: Capability feeds one table"


def test_lines_of_one_account_and_their_deltas_are_added() -> None:
    release = make_release(make_manifest(plan=make_plan("stronger", frame=400, contexts=CONTEXTS)))
    twice = release.model_copy(update={"ledger": release.ledger * 2})
    assert odds(twice) == Odds("85", "98", "88", "1 in 500,000")


def test_where_no_coin_was_tossed_nothing_is_said_of_hidden_groups() -> None:
    release = make_release(make_manifest())
    found = odds(release.model_copy(update={"ledger": release.ledger[:1]}))
    assert (found.shown, found.exception) == ("", "")


def test_certainty_is_never_printed() -> None:
    assert odds(make_release(make_manifest())).all == "more than 99"


def test_the_shares_of_a_plan_are_of_its_own_budget() -> None:
    plan = make_plan("stronger", frame=400, contexts=("attainment", "activity", "hit", "group"))
    assert [line.share for line in plan_lines(plan)] == ["40 %", "10 %", "35 %", "15 %"]


def test_indicators_that_were_turned_round_are_named_so_that_more_is_better() -> None:
    assert indicator_name("first_response_hours") == "Fast first response"
    assert indicator_name("territory_index") == "Territory index"
    assert indicator_name("x_site_visits") == "Site visits"


def test_hit_shares_are_those_of_the_rows() -> None:
    manifest = make_manifest()
    rows = share_rows(make_release(manifest), manifest)
    hit = [(14 + 6) / 117, (20 + 30) / 113, (17 + 66) / 109]
    assert [row.value for row in rows] == [f"{round(100 * share)} %" for share in hit]


def test_bands_merged_across_quota_give_no_hit_share() -> None:
    manifest = make_manifest()
    mixed = manifest.bands | {"attainment": ATTAINMENT.model_copy(update={"merged_into": (0, 2, 2, 3)})}
    merged = manifest.model_copy(update={"bands": mixed})
    assert share_rows(make_release(manifest), merged) == ()
    assert shares_missing(make_release(manifest), merged) == catalogue.NOTES["shares_mixed"]


def test_missing_hit_shares_say_why() -> None:
    manifest = make_manifest(plan=make_plan("finer", frame=400, contexts=("activity", "hit", "group")))
    assert shares_missing(make_release(manifest), manifest) == catalogue.NOTES["shares_not_released"]
    manifest = make_manifest()
    tables = tuple(
        table.model_copy(update={"state": "held", "noisy_counts": None})
        if table.sheet == "support-result"
        else table
        for table in make_release(manifest).tables
    )
    words = shares_missing(make_release(manifest, tables=tables), manifest)
    assert words.startswith("Hidden. Too few answers")


def test_a_reading_is_a_function_of_its_documents() -> None:
    manifest = make_manifest()
    first, second = (read(make_release(manifest), manifest) for _ in range(2))
    assert first == second
    assert first != replace(first, cycle="other")


def test_an_indicator_of_fewer_than_k_people_is_not_drawn() -> None:
    manifest = make_manifest()
    frame = make_frame(manifest)
    few = tuple(found.model_copy(update={"n": 9}) for found in frame.records.indicators)
    changed = frame.model_copy(update={"records": frame.records.model_copy(update={"indicators": few})})
    names = [row.name for row in read(make_release(manifest, frame=changed), manifest).drivers]
    assert "Territory index" not in names
    assert "Recorded activity" in names


def test_a_group_is_called_low_only_if_its_whole_range_lies_below_the_companys() -> None:
    manifest = make_manifest()
    release = make_release(manifest)
    assert below_company(find(release, manifest), manifest) == ()
    table = make_table(manifest, manifest.plan.table("support-group"))
    assert table.noisy_counts is not None
    # North, the first column: nearly everybody low.
    low = tuple((cell, *row[1:]) for cell, row in zip((110, 12, 6), table.noisy_counts, strict=True))
    tables = tuple(
        table.model_copy(update={"noisy_counts": low}) if t.sheet == table.sheet else t
        for t in release.tables
    )
    findings = find(make_release(manifest, tables=tables), manifest)
    assert below_company(findings, manifest) == ("North <team>",)
    assert cards(findings, manifest)[1].figures == ("North <team>",)
    assert teams_title(findings, manifest) == "Support is lower in North <team> than across the company"


def findings_of(verdict: Verdict, evidence: Evidence) -> Findings:
    """Return findings that hold a verdict and what it rests on."""
    return replace(find(make_release(make_manifest()), make_manifest()), verdict=verdict, evidence=evidence,
                   drivers=evidence.drivers)  # fmt: skip


def panel_of(evidence: Evidence) -> VerdictPanel:
    """Return the verdict on made-up evidence in words."""
    return verdict_panel(findings_of(decide(evidence), evidence), make_manifest())


def test_a_decision_stands_with_what_it_rests_on() -> None:
    strong = {"support": 0.4, "capability": 0.25, "alignment": 0.1, "motivation": 0.1, "activity": 0.04}
    panel = panel_of(made_evidence(indicators=(made_indicator(0.3),), r=strong))
    assert panel.title == "Fix the patch first"
    assert panel.supports == (
        "Support goes with results at 0.40 (0.30 to 0.50, includes privacy noise).",
        "Territory index goes with results at 0.40 (0.30 to 0.50, company records).",
    )
    assert panel.doubts[0].endswith(catalogue.RECORD_CHECK["passed"])


def test_a_verdict_beyond_the_five_explanations_has_its_basis_too() -> None:
    panel = panel_of(made_evidence(r={"motivation": 0.45}))
    assert panel.supports == ("Drive goes with results at 0.45 (0.35 to 0.55, includes privacy noise).",)
    assert panel.decision == "Ask reps what is missing in Drive before you spend."
    assert panel.doubts[0] == catalogue.DOUBTS["condition"]


def test_ahead_in_activity_or_in_skill_are_two_decisions() -> None:
    activity, skill = (panel_of(made_evidence(r={name: 0.45})) for name in ("activity", "capability"))
    assert activity.title == skill.title
    assert activity.decision == catalogue.DECISIONS["people_activity"]
    assert skill.decision == catalogue.DECISIONS["people_skill"]
    assert "company records" in activity.supports[0]


def test_where_nothing_is_claimed_nobody_is_told_of_a_check_of_claims() -> None:
    panel = panel_of(made_evidence())
    assert panel.is_open
    assert panel.supports == (catalogue.BASIS["nothing"],)
    assert panel.doubts == (catalogue.DOUBTS["hidden"],)


def test_too_few_results_are_counted() -> None:
    plan = make_plan("finer", frame=50, contexts=("attainment", "activity", "hit", "group"))
    manifest = make_manifest(plan=plan, frame=50)
    reasons = read(make_release(manifest), manifest).verdict.reasons
    assert reasons[-1] == "50 invited reps have results; 60 are needed to compare drivers."


def test_of_many_low_groups_a_card_names_three() -> None:
    manifest = make_manifest()
    table = make_table(manifest, manifest.plan.table("support-group"))
    assert table.noisy_counts is not None
    counts = ((90, 70, 60, None, 90), (30, 2, 2, None, 3), (9, 1, 1, None, 1))
    tables = tuple(
        table.model_copy(update={"noisy_counts": counts}) if t.sheet == table.sheet else t
        for t in make_release(manifest).tables
    )
    findings = find(make_release(manifest, tables=tables), manifest)
    card = cards(findings, manifest)[1]
    assert card.figures == ("North <team>", "South <team>", "East <team>", "and 1 more")
    assert not card.is_long
    assert teams_title(findings, manifest) == "Support is lower in 4 of 5 groups than across the company"
    assert any("Lakes" in note for note in group_notes(findings, manifest))


def test_without_table_of_groups_the_heading_says_so() -> None:
    manifest = make_manifest(plan=make_plan("finer", frame=400, contexts=("attainment", "activity")))
    reading = read(make_release(manifest), manifest)
    assert reading.teams_title == catalogue.TEAMS["not_released"]
    assert reading.group_notes == (catalogue.STATES["not_released"],)
    assert reading.cards[1].figures == (catalogue.CARDS["where_unread"],)


def test_no_sentence_says_what_brings_results_about() -> None:
    manifest = make_manifest()
    reading = read(make_release(manifest), manifest)
    words = " ".join(
        [*(card.words for card in reading.cards), reading.verdict.decision, *reading.method.rule]
    )
    assert "cause" not in words
    assert "predict" not in words
