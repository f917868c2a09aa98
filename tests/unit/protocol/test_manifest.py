"""The manifest: every public rule broken once is refused, and its hash names one text."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from services.protocol import manifest
from services.protocol.encoding import b64, canonical, sha256, unb64
from services.protocol.manifest import InvalidManifest
from tests.unit.protocol.builders import manifest_document, sample_manifest
from tests.vectors import reference as ref
from tests.vectors.sample import sheet_spec

Document = dict[str, Any]
Change = Callable[[Document], Any]
FORM: dict[str, Change] = {
    "not the format": lambda d: d.update(format="fairpatch manifest v2"),
    "unknown key": lambda d: d.update(seed=1),
    "key missing": lambda d: d.pop("retention"),
    "default left out": lambda d: d.pop("format"),
    "default left out of the plan": lambda d: d["plan"].pop("low_power"),
    "cycle id": lambda d: d.update(cycle="../x"),
    "long text": lambda d: d.update(title="x" * 401),
    "lone surrogate": lambda d: d.update(title="\ud800"),
    "k under 5": lambda d: d.update(k=4),
    "k is a fraction": lambda d: d.update(k=10.5),
    "k is a text": lambda d: d.update(k="10"),
    "k is true": lambda d: d.update(k=True),
    "number as text": lambda d: d["instrument"].update(low_at_most="2.75"),
    "truth as number": lambda d: d.update(sample=0),
    "not a number": lambda d: d["bands"]["hit"].update(scores=[0.0, math.nan]),
    "infinite": lambda d: d["bands"]["hit"].update(edges=[math.inf]),
    "no invited": lambda d: d.update(invited=0),
    "suite": lambda d: d.update(suite=2),
    "mode": lambda d: d.update(mode="open"),
    "short commitment": lambda d: sheet(d, 2, commitments=[b64(bytes(32)), b64(bytes(31))]),
    "padded commitment": lambda d: sheet(d, 2, commitments=[b64(bytes(32)), b64(b"\x01" * 32) + "="]),
    "issuer key is none": lambda d: sheet(d, 0, issuer_key=b64(bytes(300))),
    "issuer key with a tail": lambda d: sheet(
        d, 0, issuer_key=b64(unb64(d["sheets"][0]["issuer_key"]) + b"x")
    ),
    "opening key too short": lambda d: sheet(d, 0, opening_key=b64(bytes(64))),
    "opening key off the curve": lambda d: sheet(d, 0, opening_key=b64(b"\x04" + bytes(64))),
    "budget over the cap": lambda d: d["plan"]["tables"][0].update(epsilon_micro=8_000_001),
    "budget is a text": lambda d: d["plan"]["tables"][0].update(epsilon_micro="400000"),
    "budget is a fraction": lambda d: d["plan"]["tables"][0].update(epsilon_micro=0.4),
    "another mechanism": lambda d: d["plan"]["tables"][0].update(mechanism="none"),
    "delta as text": lambda d: d["plan"].update(coin_delta="1e-6"),
}
BELOW = "groups right below the company"
WIDTH_3 = {"scores": [-1.0, 0.0, 1.0], "merged_into": [0, 1, 2], "labels": ["a", "b", "c"]}
RULES: dict[str, tuple[str, Change]] = {
    "instrument hash": ("instrument hash", lambda d: d.update(instrument_hash="0" * 64)),
    "other wording under the same hash": (
        "instrument hash",
        lambda d: d["instrument"]["items"][0].update(text="Other"),
    ),
    "item twice": ("item ids", lambda d: instrument(d, items=[d["instrument"]["items"][0]] * 2)),
    "band edges": ("band edges of the items", lambda d: instrument(d, low_at_most=3.75)),
    "band edges out of scale": ("band edges of the items", lambda d: instrument(d, high_at_least=5.5)),
    "answered share": ("answered share", lambda d: instrument(d, answered_share=0.0)),
    "too few reasons": ("one reason per value of the flag", lambda d: instrument(d, flags=["one"])),
    "frame over invited": ("frame within invited", lambda d: d.update(frame=131)),
    "sealed with outcome date": ("outcome date", lambda d: d.update(outcome_date="2026-06-30T00:00:00Z")),
    "linked without outcome date": ("outcome date", lambda d: d.update(mode="linked")),
    "closes before it opens": ("order of dates", lambda d: d.update(closes=d["opens"])),
    "latest close before close": ("order of dates", lambda d: d.update(latest_close=d["opens"])),
    "date without zeros": (
        "a time is written as 2026-01-31T12:00:00Z",
        lambda d: d.update(opens="2026-3-2T8:0:0Z"),
    ),
    "date in other digits": (
        "a time is written as 2026-01-31T12:00:00Z",
        lambda d: d.update(opens="２０２６-03-02T08:00:00Z"),
    ),
    "date with offset": (
        "a time is not written as 2026-01-31T12:00:00Z",
        lambda d: d.update(opens="2026-03-02T08:00:00+00:00"),
    ),
    "date without zone": (
        "a time is not written as 2026-01-31T12:00:00Z",
        lambda d: d.update(opens="2026-03-02T08:00:00"),
    ),
    "no such date": (
        "a time is not written as 2026-01-31T12:00:00Z",
        lambda d: d.update(opens="2026-02-30T08:00:00Z"),
    ),
    "sheet without table": ("sheets against plan", lambda d: d["plan"]["tables"].pop()),
    "table without sheet": ("sheets against plan", lambda d: d["sheets"].pop()),
    "order of sheets": ("sheets against plan", lambda d: d["sheets"].reverse()),
    "no sheet at all": ("each sheet once", lambda d: (d.update(sheets=[]), d["plan"].update(tables=[]))),
    "unknown sheet": ("unknown sheet", lambda d: rename(d, 0, "salary-result")),
    "sheet twice": ("each sheet once", lambda d: rename(d, 0, "support-group")),
    "same issuer key": ("issuer keys differ", lambda d: sheet(d, 0, issuer_key=d["sheets"][1]["issuer_key"])),
    "same opening key": (
        "opening keys differ",
        lambda d: sheet(d, 0, opening_key=d["sheets"][1]["opening_key"]),
    ),
    "another field": ("layout", lambda d: sheet(d, 0, field="flag")),
    "more field values": ("layout", lambda d: sheet(d, 0, field_values=4)),
    "another context": ("layout", lambda d: sheet(d, 0, context="hit")),
    "table of the sheet": ("table of the sheet", lambda d: d["plan"]["tables"][0].update(table="C")),
    "columns": ("columns", lambda d: sheet(d, 0, columns=5)),
    "group columns": ("group values", lambda d: sheet(d, 1, columns=3)),
    "group values": ("group values", lambda d: sheet(d, 1, values=[1, 0])),
    "group counts": ("group counts", lambda d: sheet(d, 1, invited=[61, 64])),
    "bands missing": ("bands of a sheet are missing", lambda d: d["bands"].pop("hit")),
    "score too few": ("bands", lambda d: d["bands"]["hit"].update(scores=[0.0])),
    "label too few": ("bands", lambda d: d["bands"]["hit"].update(labels=["missed"])),
    "merged band still a value": (
        "live bands",
        lambda d: sheet(d, 0, values=[0, 1, 2, 3], invited=[40, 45, 20, 15]),
    ),
    "band merged out of the table": (
        "bands merge into bands that stand",
        lambda d: merge(d, [0, 1, 9, 9], [0, 1, 9]),
    ),
    "band merged below the table": (
        "bands merge into bands that stand",
        lambda d: merge(d, [-1, 1, 2, 2], [-1, 1, 2]),
    ),
    "band merged into a merged one": (
        "bands merge into bands that stand",
        lambda d: merge(d, [0, 1, 3, 2], [0, 1, 2, 3]),
    ),
    "count too few": ("one count per value", lambda d: sheet(d, 0, invited=[40, 45])),
    "value under k": (
        "a value is shared by fewer than k invited",
        lambda d: sheet(d, 0, invited=[40, 45, 9]),
    ),
    "more values than reps": (
        "a rep has at most one value of a sheet",
        lambda d: sheet(d, 0, invited=[40, 45, 46]),
    ),
    "no commitment": ("commitments or root", lambda d: sheet(d, 0, commitments=None)),
    "commitments and a root": ("commitments or root", lambda d: sheet(d, 0, commitment_root=b64(bytes(32)))),
    "commitment too few": ("one commitment per value", lambda d: d["sheets"][0]["commitments"].pop()),
    "commitment too many": (
        "one commitment per value",
        lambda d: d["sheets"][0]["commitments"].append(b64(bytes(32))),
    ),
    "commitment twice": ("commitments differ", lambda d: sheet(d, 2, commitments=[b64(bytes(32))] * 2)),
    "no group": ("company first", lambda d: d.update(groups=[])),
    "company is not first": ("company first", lambda d: d["groups"].reverse()),
    "company below itself": ("company on top", lambda d: d["groups"][0].update(parent="company")),
    "company with fewer than invited": (
        "the company holds all invited",
        lambda d: d["groups"][0].update(invited=129),
    ),
    "group twice": ("group ids", lambda d: d["groups"][2].update(id="north")),
    "second company": ("one company", lambda d: d["groups"][2].update(level="company")),
    "parent is none": (BELOW, lambda d: d["groups"][1].update(parent=None)),
    "no such parent": (BELOW, lambda d: d["groups"][1].update(parent="west")),
    "parent is itself": (BELOW, lambda d: d["groups"][1].update(parent="north")),
    "group below a group": (BELOW, lambda d: d["groups"][2].update(parent="north")),
    "invited in no group": ("groups hold all invited", lambda d: group_of(d, 1, invited=69)),
    "invited in two groups": ("groups hold all invited", lambda d: group_of(d, 1, invited=71)),
    "attainment of more than the frame": (
        "everybody with results has a value of attainment",
        lambda d: sheet(d, 0, invited=[40, 45, 36]),
    ),
    "attainment of fewer than the frame": (
        "everybody with results has a value of attainment",
        lambda d: sheet(d, 0, invited=[40, 45, 34]),
    ),
    "hit of fewer than the frame": (
        "everybody with results has a value of hit",
        lambda d: sheet(d, 2, invited=[70, 49]),
    ),
    "frame without a value": (
        "everybody with results has a value of attainment",
        lambda d: d.update(frame=121),
    ),
    "another count on another sheet of attainment": (
        "all sheets of a context have the same counts",
        lambda d: second_sheet(d, invited=[45, 40, 35]),
    ),
    "edge too few": (
        "one edge between two bands",
        lambda d: d["bands"]["attainment"].update(edges=[0.7, 1.0]),
    ),
    "edge too many": ("one edge between two bands", lambda d: d["bands"]["hit"].update(edges=[0.9, 1.0])),
    "edges fall": ("edges rise", lambda d: d["bands"]["attainment"].update(edges=[0.7, 1.2, 1.0])),
    "edge twice": ("edges rise", lambda d: d["bands"]["attainment"].update(edges=[0.7, 0.7, 1.2])),
    "bands merged across a third": (
        "bands merge with their neighbours",
        lambda d: merge(d, [0, 1, 0, 3], [0, 1, 3]),
    ),
    "bands merged crosswise": (
        "bands merge with their neighbours",
        lambda d: merge(d, [3, 1, 1, 3], [1, 3]),
    ),
    "bands of a record without a sheet": (
        "one edge between two bands",
        lambda d: d["bands"].update(activity=d["bands"]["attainment"] | WIDTH_3),
    ),
    "root of few commitments": (
        "a list of few commitments, the root of many",
        lambda d: sheet(d, 2, commitments=None, commitment_root=b64(bytes(32))),
    ),
    "another mechanism version": (
        "mechanism version",
        lambda d: d["plan"].update(mechanism_version="discrete-laplace/opendp-0.17.0/1"),
    ),
}


def sheet(document: Document, at: int, **changes: Any) -> None:
    document["sheets"][at].update(changes)


def group_of(document: Document, at: int, *, invited: int) -> None:
    """Change a reporting group in the tree and in its sheet."""
    document["groups"][at + 1]["invited"] = document["sheets"][1]["invited"][at] = invited


def second_sheet(document: Document, **changes: Any) -> None:
    """Add a second sheet by attainment to the plan and the manifest."""
    name = "capability-result"
    made = document["sheets"][0] | {"name": name, "field": "capability_band"} | keys_of(7) | changes
    document["sheets"].append(made)
    document["plan"]["tables"].append(document["plan"]["tables"][0] | {"sheet": name, "table": "D"})


def keys_of(number: int) -> dict[str, str]:
    """Return keys that no other sheet has."""
    return {
        "issuer_key": b64(ref.spki(ref.made_up_modulus(f"modulus {number}"), 65537)),
        "opening_key": b64(ref.point(ref.private_key(f"key {number}"))),
    }


def rename(document: Document, at: int, name: str) -> None:
    document["sheets"][at]["name"] = document["plan"]["tables"][at]["sheet"] = name


def instrument(document: Document, **changes: Any) -> None:
    document["instrument"].update(changes)
    document["instrument_hash"] = ref.sha256(canonical(document["instrument"])).hex()


def merge(document: Document, merged_into: list[int], values: list[int]) -> None:
    document["bands"]["attainment"]["merged_into"] = merged_into
    made = [b64(ref.made_up(f"value {value}")) for value in values]
    sheet(document, 0, values=values, invited=[20] * len(values), commitments=made)


def test_the_sample_manifest_keeps_all_rules() -> None:
    assert manifest.parse(manifest_document()) == sample_manifest()


def test_two_sheets_of_one_context_may_stand_beside_each_other() -> None:
    document = manifest_document()
    second_sheet(document)
    assert len(manifest.parse(document).sheets) == 4


@pytest.mark.parametrize("merged", [[0, 0, 0, 0], [3, 3, 3, 3], [1, 1, 2, 2], [0, 2, 2, 3], [0, 1, 3, 3]])
def test_neighbouring_bands_may_merge_into_any_of_them(merged: list[int]) -> None:
    document = manifest_document()
    merge(document, merged, sorted(set(merged)))
    live = len(set(merged))
    sheet(document, 0, invited=[120 // live] * live)
    assert manifest.parse(document).bands["attainment"].live == tuple(sorted(set(merged)))


def test_a_manifest_says_whether_it_is_a_rehearsal() -> None:
    document = manifest_document()
    before = manifest.parse(document).hash()
    assert manifest.parse(document | {"rehearsal": True}).hash() != before
    del document["rehearsal"]
    with pytest.raises(InvalidManifest):
        manifest.parse(document)


@pytest.mark.parametrize("form", FORM)
def test_another_form_is_refused(form: str) -> None:
    document = manifest_document()
    FORM[form](document)
    with pytest.raises(InvalidManifest, match="expected form"):
        manifest.parse(document)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_broken_once_is_refused_by_its_name(rule: str) -> None:
    document = manifest_document()
    words, change = RULES[rule]
    change(document)
    with pytest.raises(InvalidManifest, match=f"{words}$"):
        manifest.parse(document)


@pytest.mark.parametrize("document", [None, [], "x", 7, {}, {"format": "fairpatch manifest v1"}])
def test_what_is_no_manifest_is_refused(document: Any) -> None:
    with pytest.raises(InvalidManifest):
        manifest.parse(document)


def test_a_round_trip_through_json_gives_the_same_bytes() -> None:
    cycle = sample_manifest()
    spaced = json.dumps(json.loads(cycle.encode()), indent=3, ensure_ascii=True)
    again = manifest.parse(json.loads(spaced))
    assert again.encode() == cycle.encode()
    assert again.hash() == cycle.hash()
    assert again.fingerprint() == cycle.hash().hex()[:8]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every number, text and truth value in a document."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    below = [leaf for key, child in children for leaf in leaves(child, (*path, key))]
    return below or [path]


def changed(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def test_the_hash_changes_with_every_single_value() -> None:
    document = manifest_document()
    seen = {sha256(canonical(document))}
    paths = leaves(document)
    for path in paths:
        other = copy.deepcopy(document)
        place = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changed(place[path[-1]])
        seen.add(sha256(canonical(other)))
    assert len(seen) == len(paths) + 1 > 150


def test_lengths_follow_from_the_sheets() -> None:
    cycle = sample_manifest()
    assert (cycle.plaintext_length, cycle.envelope_length) == (49, 620)
    assert [group.id for group in cycle.reporting_groups()] == ["north", "south"]
    assert cycle.bands["attainment"].live == (0, 1, 2)
    assert cycle.sheet("flag-result").sizes == (11,)


def test_a_manifest_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        sample_manifest().k = 1


def test_above_two_hundred_values_a_root_stands_for_the_list() -> None:
    document = manifest_document()
    teams = [
        {"id": f"team-{i}", "parent": "company", "name": f"Team {i}", "level": "group", "invited": 10}
        for i in range(201)
    ]
    document.update(groups=[document["groups"][0], *teams], invited=2010)
    document["groups"][0]["invited"] = 2010
    made = sheet_spec("support-group") | {"columns": 201, "values": list(range(201)), "invited": [10] * 201}
    document["sheets"][1] = made | {"commitments": None, "commitment_root": b64(bytes(32))}
    assert manifest.parse(document).sheets[1].commitment_root == b64(bytes(32))
    document["sheets"][1]["commitment_root"] = b64(bytes(31))
    with pytest.raises(InvalidManifest, match="expected form"):
        manifest.parse(document)
    document["sheets"][1] = made | {"commitments": [b64(ref.made_up(f"value {i}")) for i in range(201)]}
    with pytest.raises(InvalidManifest, match="a list of few commitments, the root of many"):
        manifest.parse(document)
