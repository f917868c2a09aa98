"""Rules are the manifest's, with exactly its commitments."""

import pickle

import pytest

from services.aggregate.core.rules import InvalidRules, rules_of
from services.protocol import token
from tests.unit.aggregate.factory import made_commitments, made_manifest

SHEET = "support-result"


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


@pytest.mark.parametrize("root", [False, True])
def test_other_commitments_are_refused(root: bool) -> None:
    manifest, right = made_manifest(root=root), made_commitments(SHEET)
    assert rules_of(manifest, SHEET, right).commitments == tuple(right)
    for wrong in (right[:-1], [*right, right[0]], right[::-1], [bytes(32), *right[1:]], []):
        with pytest.raises(InvalidRules):
            rules_of(manifest, SHEET, wrong)


def test_record_values_of_linked_cycles_are_not_certified_here() -> None:
    manifest = made_manifest(linked=True)
    with pytest.raises(InvalidRules):
        rules_of(manifest, SHEET, made_commitments(SHEET))
    groups = made_commitments("support-group", range(2))
    assert rules_of(manifest, "support-group", groups).columns == 2
