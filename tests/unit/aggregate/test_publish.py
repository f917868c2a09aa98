"""A release's tables: what gets noise, what is held, and how it is labelled."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.aggregate.core.mechanisms import discrete_laplace
from services.aggregate.core.publish import Counts, InvalidTallies, draw
from services.aggregate.core.tally import Tally
from services.protocol.manifest import Manifest
from services.protocol.release import GroupState, NoisyTable
from tests.unit.aggregate.factory import made_manifest, made_tallies, made_tally

MANIFEST = made_manifest(groups=(300, 200, 100))


def add_1000(counts: Counts, *, epsilon: float) -> Counts:
    """Stand in for the mechanism: what was added can be seen."""
    return counts + 1000


def release(
    manifest: Manifest, tallies: dict[str, Tally], coin: float = 0.5
) -> tuple[dict[str, NoisyTable], tuple[GroupState, ...]]:
    """Return the tables by sheet, and the states."""
    tables, states = draw(tallies, manifest, laplace=add_1000, uniform=lambda: coin)
    assert [table.sheet for table in tables] == list(manifest.plan.sheets)
    return {table.sheet: table for table in tables}, states


def cells(table: NoisyTable) -> list[list[int | None]]:
    """Return the cells of a shown table."""
    assert table.noisy_counts is not None
    return [list(row) for row in table.noisy_counts]


def test_every_cell_of_a_shown_table_went_through_the_mechanism() -> None:
    tallies = made_tallies(MANIFEST, counted=400)
    tables, states = release(MANIFEST, tallies)
    for sheet, table in tables.items():
        assert table.state == "shown"
        assert cells(table) == (tallies[sheet].exact_counts + 1000).tolist()
    assert [(state.id, state.state) for state in states] == [(f"g{i}", "shown") for i in range(3)]


def test_labels_scale_and_budget_are_those_of_the_manifest() -> None:
    tables, _ = release(MANIFEST, made_tallies(MANIFEST, counted=400))
    support, flags, groups = (tables[s] for s in ("support-result", "flag-result", "support-group"))
    assert support.rows == ("low", "middle", "high")
    assert support.columns == MANIFEST.bands["attainment"].labels
    assert (flags.rows, flags.columns) == (MANIFEST.instrument.flags, MANIFEST.bands["hit"].labels)
    assert groups.columns == ("g0", "g1", "g2")
    assert (support.epsilon_micro, support.scale, support.mechanism) == (500_000, 2.0, "discrete_laplace")


def test_an_emptied_column_is_zero_and_gets_no_noise() -> None:
    manifest = made_manifest(groups=(300, 200), merged=True)
    tables, _ = release(manifest, made_tallies(manifest, counted=400))
    for sheet in ("support-result", "capability-result", "alignment-result", "motivation-result"):
        assert [row[3] for row in cells(tables[sheet])] == [0, 0, 0]
        assert all(cell is not None and cell >= 1000 for row in cells(tables[sheet]) for cell in row[:3])


def test_a_table_of_fewer_than_k_sheets_is_held_whole() -> None:
    tallies = made_tallies(MANIFEST, counted=400)
    for sheet in ("support-result", "support-group"):
        tallies[sheet] = replace(tallies[sheet], counted=9)
    tables, states = release(MANIFEST, tallies)
    for sheet in ("support-result", "support-group"):
        assert (tables[sheet].state, tables[sheet].noisy_counts) == ("held", None)
    assert tables["support-activity"].state == "shown"
    assert {state.state for state in states} == {"held"}


def test_blanks_count_towards_a_table_but_not_towards_a_group() -> None:
    tallies = made_tallies(MANIFEST, counted=400)
    tallies["support-result"] = made_tally([[0, 0, 0, 0]] * 3, blanks=10)
    tallies["support-group"] = made_tally([[80, 40, 3], [0, 40, 3], [0, 40, 3]], blanks=50)
    tables, states = release(MANIFEST, tallies)
    assert tables["support-result"].state == "shown"
    # g2 has 9 answers; held alone it could be had by subtraction, so g1 goes with it.
    assert [state.state for state in states] == ["shown", "held", "held"]
    assert cells(tables["support-group"]) == [[1080, None, None], [1000, None, None], [1000, None, None]]


def test_one_group_that_is_the_company_follows_the_companys_rule() -> None:
    tallies = {"support-group": made_tally([[3], [2], [1]], blanks=4)}

    def no_coin() -> float:
        raise AssertionError("no coin is needed")

    for elsewhere, expected in ((0, "shown"), (1, "held")):
        manifest = made_manifest(groups=(120,), elsewhere=elsewhere)
        everything = {**made_tallies(manifest, counted=100), **tallies}
        uniform = no_coin if elsewhere == 0 else lambda: 0.0
        _, states = draw(everything, manifest, laplace=add_1000, uniform=uniform)
        assert [state.state for state in states] == [expected]


def test_a_plan_without_groups_has_no_states() -> None:
    plan = MANIFEST.plan
    fewer = plan.model_copy(update={"tables": tuple(t for t in plan.tables if t.table != "H")})
    sheets = tuple(spec for spec in MANIFEST.sheets if spec.name != "support-group")
    manifest = MANIFEST.model_copy(update={"plan": fewer, "sheets": sheets})
    tables, states = release(manifest, made_tallies(manifest, counted=400))
    assert states == ()
    assert "support-group" not in tables


def test_what_does_not_fit_the_manifest_is_refused_before_any_noise() -> None:
    def no_noise(counts: Counts, *, epsilon: float) -> Counts:
        raise AssertionError("nothing may be drawn")

    good = made_tallies(MANIFEST, counted=400)
    missing = {sheet: tally for sheet, tally in good.items() if sheet != "flag-result"}
    misshapen = {**good, "flag-result": good["support-result"]}
    merged = made_manifest(groups=(300, 200, 100), merged=True)
    for tallies, manifest in ((missing, MANIFEST), (misshapen, MANIFEST), (good, merged)):
        with pytest.raises(InvalidTallies):
            draw(tallies, manifest, laplace=no_noise, uniform=lambda: 0.5)


@pytest.mark.parametrize("change", [lambda c: c[:, :1], lambda c: c + 0.5, lambda c: c.ravel()])
def test_a_mechanism_that_changes_shape_or_type_is_refused(change: Any) -> None:
    def other(counts: Counts, *, epsilon: float) -> Counts:
        changed: Counts = change(counts)
        return changed

    with pytest.raises(InvalidTallies):
        draw(made_tallies(MANIFEST, counted=400), MANIFEST, laplace=other, uniform=lambda: 0.5)


def test_real_noise_leaves_the_tallies_as_they_are() -> None:
    tallies = made_tallies(MANIFEST, counted=400)
    before = {sheet: tally.exact_counts.copy() for sheet, tally in tallies.items()}
    tables, _ = draw(tallies, MANIFEST, laplace=discrete_laplace, uniform=lambda: 0.5)
    assert all((tallies[sheet].exact_counts == before[sheet]).all() for sheet in before)
    drawn = np.concatenate([np.array(t.noisy_counts).ravel() for t in tables if t.noisy_counts])
    exact = np.concatenate([before[t.sheet].ravel() for t in tables])
    # 88 cells at epsilon <= .5: that none moved has a chance below 1e-50.
    assert (drawn != exact).any()
