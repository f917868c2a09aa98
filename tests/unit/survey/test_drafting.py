"""Drafts: what the records allow is planned, what they don't is left out and said."""

import pytest

from services.protocol import manifest as manifests
from services.survey.core.cells import InputError
from services.survey.core.draft import make_manifest
from services.survey.core.drafting import draft_cycle
from tests.unit.survey.drafts import small_draft, small_files, stand_in_keys


@pytest.mark.parametrize("plan", ["stronger", "balanced", "finer"])
@pytest.mark.parametrize("reps", [30, 80, 400])
def test_a_draft_makes_a_manifest_that_keeps_the_public_rules(reps: int, plan: str) -> None:
    draft = small_draft(reps, plan=plan)
    manifest = make_manifest(draft, cycle="spring-2026", **stand_in_keys(draft))
    assert manifests.parse(manifest.model_dump(mode="json")) == manifest
    assert all(min(spec.invited) >= draft.options.k for spec in manifest.sheets)


def test_values_of_members_add_up_to_the_public_counts() -> None:
    roster, results, options = small_files(400)
    draft, values = draft_cycle(roster, results, options)
    for context, counts in draft.value_counts.items():
        held = [value.of(context) for value in values if value.of(context) is not None]
        assert tuple(held.count(column) for column in range(len(counts))) == counts
    assert sum(group.invited for group in draft.groups[1:]) == draft.invited


def test_a_small_company_spends_nothing_on_drivers_and_is_told() -> None:
    draft = small_draft(40)
    assert {table.table for table in draft.plan.tables} <= {"H", "F"}
    assert any("Too small to compare Support with activity" in words for words in draft.warnings)


def test_a_group_that_is_the_whole_company_gets_no_table_of_its_own() -> None:
    draft = small_draft(100)
    assert "support-group" not in draft.plan.sheets
    assert len(draft.groups) == 1
    assert draft.plan.participation_micro == 0
    assert any("Only company-wide results" in words for words in draft.warnings)


def test_too_few_people_are_refused_in_a_sentence() -> None:
    roster, results, options = small_files(30, k=40)
    with pytest.raises(InputError, match="fewer than 40 people"):
        draft_cycle(roster, results, options)


def test_without_activity_support_is_not_set_against_it() -> None:
    roster, results, options = small_files(400)
    bare = [row.__class__(**{**vars(row), "calls": None, "demos": None}) for row in results.rows]
    draft, _ = draft_cycle(roster, results.__class__(tuple(bare), results.columns), options)
    assert "support-activity" not in draft.plan.sheets
    assert "support-result" in draft.plan.sheets
    assert draft.records.activity_by_attainment is None
    assert any("Calls and demos are missing" in words for words in draft.warnings)
