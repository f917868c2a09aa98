"""From a release and its manifest to everything a report says."""

import pytest

from services.protocol.manifest import Bands
from services.protocol.release import Release
from services.report.core.drivers import compare
from services.report.core.findings import find
from services.report.core.groups import Reading
from tests.unit.report.core.made import (
    ATTAINMENT,
    EVEN,
    EXACT,
    RISING,
    TABLES,
    made_indicator,
    made_manifest,
    made_records,
    made_release,
)

GROUPS = {"support-group": ((20, 70), (40, 40), (70, 20))}


def whole_release() -> Release:
    records = made_records(indicators=(made_indicator(0.3),))
    return made_release({**TABLES, **GROUPS}, records=records, shown=("north", "south"))


def test_a_whole_release_gives_verdict_drivers_groups_and_company() -> None:
    found = find(whole_release(), made_manifest())
    assert found.verdict.form == "fix_patch"
    assert list(found.drivers) == ["capability", "alignment", "motivation", "support", "activity"]
    assert set(found.weighted) == {"support", "capability", "alignment", "motivation"}
    assert {name: reading.state for name, reading in found.groups.items()} == {
        "north": "shown",
        "south": "shown",
    }
    assert {reading.state for reading in found.company.values()} == {"shown"}
    assert found.lowest is None


def test_the_verdict_carries_the_difference_of_compare() -> None:
    found = find(whole_release(), made_manifest())
    expected = compare(RISING, EVEN, EXACT, epsilon_attainment=0.5, epsilon_activity=0.5)
    assert found.verdict.difference == expected.difference
    assert found.verdict.interval == expected.interval
    assert found.drivers["support"] == expected.support
    assert found.drivers["activity"] == expected.activity


def test_weighted_drivers_are_widened_for_shared_teams() -> None:
    found = find(whole_release(), made_manifest())
    assert found.weighted["support"].sampling_variance > found.drivers["support"].sampling_variance


def test_an_empty_release_still_says_everything_it_does_not_say() -> None:
    found = find(made_release({}), made_manifest())
    assert found.verdict.form == "cant_tell"
    assert list(found.drivers) == ["activity"]
    assert found.weighted == {}
    assert {reading.state for reading in found.company.values()} == {"not_released"}
    assert set(found.groups.values()) == {Reading("not_released")}


def test_held_tables_and_held_groups_look_alike() -> None:
    whole = find(made_release({"support-group": None}), made_manifest())
    one = find(
        made_release({"support-group": ((20, None), (40, None), (70, None))}, shown=("north",)),
        made_manifest(),
    )
    assert whole.groups == {"north": Reading("held"), "south": Reading("held")}
    assert one.groups["south"] == Reading("held")
    assert one.groups["north"].state != "held"


def test_numbers_under_a_group_that_is_held_are_not_read() -> None:
    release = made_release({"support-group": ((20, 70), (40, 40), (70, 20))}, shown=("north",))
    assert find(release, made_manifest()).groups["south"] == Reading("held")


def test_company_support_falls_back_to_groups_only_if_all_are_shown() -> None:
    every = find(made_release(GROUPS, shown=("north", "south")), made_manifest())
    some = find(made_release({"support-group": ((20, None), (40, None), (70, None))}), made_manifest())
    assert every.company["support"].state == "shown"
    assert some.company["support"].state == "not_released"


def test_without_activity_nothing_is_compared() -> None:
    found = find(made_release(TABLES, records=made_records(exact=None)), made_manifest())
    assert found.verdict.difference is None
    assert "activity" not in found.drivers
    assert found.weighted == {}
    nobody = find(made_release(TABLES, records=made_records(exact=[[0] * 4] * 3)), made_manifest())
    assert "activity" not in nobody.drivers


@pytest.mark.parametrize(("into", "emptied", "measured"), [((0, 0, 2, 3), 1, True), ((0, 1, 1, 3), 2, False)])
def test_merged_bands_are_masked_and_hit_shares_kept_apart(
    into: tuple[int, ...], emptied: int, measured: bool
) -> None:
    """Bands merged across 100 % can't tell who hit quota."""
    bands = Bands(
        edges=ATTAINMENT.edges, scores=ATTAINMENT.scores, merged_into=into, labels=ATTAINMENT.labels
    )

    def without(rows: tuple[tuple[int, ...], ...]) -> list[list[int]]:
        return [[0 if place == emptied else cell for place, cell in enumerate(row)] for row in rows]

    tables = {name: rows if name == "support-activity" else without(rows) for name, rows in TABLES.items()}
    records = made_records(exact=without(EXACT))
    found = find(made_release(tables, records=records), made_manifest(attainment=bands))
    assert ("support" in found.evidence.best_thirds) is measured
    whole = find(made_release(TABLES), made_manifest())
    assert found.drivers["support"].noise_variance != whole.drivers["support"].noise_variance
    half_width = found.company["support"].value
    assert half_width is not None
    assert half_width.noisy_n == sum(map(sum, tables["support-result"]))
