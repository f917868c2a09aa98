"""What panels print: rounded, with a range, and never more than the numbers behind them allow."""

from dataclasses import replace

import pytest

from services.protocol.plan import make_plan
from services.report.cells import day, key_cells, percent, reading_cell, tint_key
from services.report.core.chart import tint
from services.report.core.findings import find
from services.report.core.groups import Reading as GroupReading
from services.report.core.scores import Value
from services.report.method import number, odds, plan_lines
from services.report.overview import below_company, cards, group_notes
from services.report.panels import indicator_name, share_rows
from services.report.reading import read
from tests.flow.report.factories import ATTAINMENT, make_frame, make_manifest, make_release, make_table


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


def test_dates_shares_and_budgets_are_short() -> None:
    assert day("2026-03-02T18:00:00Z") == "2 March 2026"
    assert percent(0.449) == "45 %"
    assert [number(value) for value in (4.0, 0.35, 1 / 3)] == ["4", "0.35", "0.333333"]


@pytest.mark.parametrize(("name", "one", "everything"), [("stronger", "85", "88"), ("balanced", "83", "98")])
def test_printed_odds_are_those_of_the_promise_page(name: str, one: str, everything: str) -> None:
    printed = odds(make_plan(name, frame=400, contexts=("attainment", "activity", "hit", "group")))
    assert (printed.one, printed.all) == (one, everything)


def test_certainty_is_never_printed() -> None:
    printed = odds(make_plan("finer", frame=400, contexts=("attainment", "activity", "hit", "group")))
    assert printed.all == "more than 99"


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
    assert [row.words.split(" %")[0] for row in rows] == [str(round(100 * share)) for share in hit]


def test_bands_merged_across_quota_give_no_hit_share() -> None:
    manifest = make_manifest()
    mixed = manifest.bands | {"attainment": ATTAINMENT.model_copy(update={"merged_into": (0, 2, 2, 3)})}
    assert share_rows(make_release(manifest), manifest.model_copy(update={"bands": mixed})) == ()


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
    assert cards(findings, manifest)[1].figure == "North <team>"
    assert any("Support is lowest in North" in note for note in group_notes(findings, manifest))


def test_no_sentence_says_what_brings_results_about() -> None:
    manifest = make_manifest()
    reading = read(make_release(manifest), manifest)
    words = " ".join(
        [*(card.words for card in reading.cards), reading.verdict.decision, *reading.method.rule]
    )
    assert "cause" not in words
    assert "predict" not in words
