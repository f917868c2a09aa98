"""Rules are the manifest's, with exactly its commitments."""

import pickle

import pytest

from services.aggregate.core.rules import InvalidRules, rules_of
from services.protocol import token
from tests.unit.aggregate.factory import made_commitments, made_manifest

SHEET, BY_GROUP = "support-result", "support-group"


def test_rules_say_what_the_manifest_says_and_travel() -> None:
    manifest = made_manifest()
    rules = rules_of(manifest, SHEET, made_commitments(SHEET))
    assert (rules.sheet, rules.suite, rules.sizes, rules.columns) == (SHEET, 1, (3,), 4)
    assert rules.challenge == token.challenge(manifest.hash(), SHEET)
    assert rules.envelope_length == manifest.envelope_length
    assert pickle.loads(pickle.dumps(rules)) == rules


def test_an_emptied_band_is_no_value() -> None:
    rules = rules_of(made_manifest(merged=True), SHEET, made_commitments(SHEET, range(3)))
    assert (rules.values, rules.columns) == ((0, 1, 2), 4)


@pytest.mark.parametrize("groups", [2, 201])
def test_other_commitments_than_those_listed_or_under_the_root_are_refused(groups: int) -> None:
    manifest, right = made_manifest(groups=(20,) * groups), made_commitments(BY_GROUP, range(groups))
    assert (manifest.sheet(BY_GROUP).commitments is None) == (groups > 200)
    assert rules_of(manifest, BY_GROUP, right).commitments == tuple(right)
    for wrong in (right[:-1], [*right, right[0]], right[::-1], [bytes(32), *right[1:]], []):
        with pytest.raises(InvalidRules):
            rules_of(manifest, BY_GROUP, wrong)


def test_record_values_of_linked_cycles_are_not_certified_here() -> None:
    manifest = made_manifest(linked=True)
    with pytest.raises(InvalidRules):
        rules_of(manifest, SHEET, made_commitments(SHEET))
    groups = made_commitments(BY_GROUP, range(2))
    assert rules_of(manifest, BY_GROUP, groups).columns == 2
