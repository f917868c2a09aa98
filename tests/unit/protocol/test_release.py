"""Release and frame: exact totals add up, tables have their shape, and one text is one release."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from services.protocol import frame, release
from services.protocol.release import InvalidRelease

Document = dict[str, Any]
Change = Callable[[Document], Any]


def frame_document() -> Document:
    """Return a frame of 120 invited reps with results."""
    return {
        "format": "fairpatch frame v1",
        "cycle": "vectors-2026",
        "manifest_hash": "ab" * 32,
        "closed": "2026-03-16T18:00:00Z",
        "sheets": {"support-group": {"issued": 90, "received": 88}},
        "records": {
            "frame": 120,
            "hit_share": 0.42,
            "attainment": [20, 30, 20, 10, 20, 12, 8],
            "activity_by_attainment": [[10, 10, 10, 10], [10, 10, 10, 10], [10, 10, 10, 10]],
            "icc_attainment": 0.04,
            "mean_team_size": 10.0,
            "indicators": [
                {"name": "leads", "n": 120, "r": 0.3, "low": 0.1, "high": 0.5, "lower": 0.12, "patch": True}
            ],
            "groups": [
                {
                    "id": "north",
                    "with_results": 60,
                    "hit_share": 0.4,
                    "median_attainment": 0.9,
                    "territory_index": None,
                }
            ],
            "notes": [],
        },
    }


def release_document() -> Document:
    """Return a release of one table whose second group is held."""
    return {
        "format": "fairpatch release v1",
        "kind": "release",
        "cycle": "vectors-2026",
        "company": "Kestrel",
        "manifest_hash": "ab" * 32,
        "previous": release.FIRST,
        "released_on": "2026-03-17",
        "sheets": {
            "support-group": {
                "issued": 90,
                "received": 88,
                "counted": 80,
                "withdrawn": 5,
                "rejected": {"range": 2, "commitment": 1},
                "receipts_root": "cd" * 32,
            }
        },
        "tables": [
            {
                "sheet": "support-group",
                "table": "H",
                "state": "shown",
                "rows": ["low", "middle", "high"],
                "columns": ["north", "south"],
                "noisy_counts": [[21, None], [-1, None], [19, None]],
                "mechanism": "discrete_laplace",
                "scale": 1e6 / 350_000,
                "epsilon_micro": 350_000,
            }
        ],
        "groups": [{"id": "north", "state": "shown"}, {"id": "south", "state": "held"}],
        "ledger": [
            {
                "account": "answers",
                "year": 2026,
                "key": "ef" * 32,
                "epsilon_micro": 350_000,
                "delta": 0.0,
                "spent_micro": 350_000,
                "cap_micro": 8_000_000,
            }
        ],
        "frame": frame_document(),
    }


def totals(document: Document, **changes: Any) -> None:
    document["sheets"]["support-group"].update(changes)


def table(document: Document, **changes: Any) -> None:
    document["tables"][0].update(changes)


RULES: dict[str, tuple[str, Change]] = {
    "unknown key": ("form", lambda d: d.update(answers=[])),
    "default left out": ("form", lambda d: d.pop("format")),
    "fraction of a count": ("form", lambda d: table(d, noisy_counts=[[1.5, None]] * 3)),
    "count too large for JSON": ("form", lambda d: table(d, noisy_counts=[[2**60, None]] * 3)),
    "not a number": ("form", lambda d: table(d, scale=math.nan)),
    "no budget": ("form", lambda d: table(d, epsilon_micro=0)),
    "negative rejected": ("form", lambda d: totals(d, rejected={"range": 9, "token": -6})),
    "negative counted": ("form", lambda d: totals(d, counted=-1)),
    "broken frame": ("form", lambda d: d["frame"].pop("closed")),
    "one sheet is lost": ("add up", lambda d: totals(d, counted=79)),
    "one sheet too many": ("add up", lambda d: totals(d, withdrawn=6)),
    "reason nobody knows": ("add up", lambda d: totals(d, rejected={"mood": 3})),
    "row too few": ("shape", lambda d: table(d, noisy_counts=[[1, None]] * 2)),
    "column too many": ("shape", lambda d: table(d, noisy_counts=[[1, None, 3]] * 3)),
    "held with counts": ("exactly if", lambda d: table(d, state="held")),
    "shown without counts": ("exactly if", lambda d: table(d, noisy_counts=None)),
    "half a column held": ("in every row", lambda d: table(d, noisy_counts=[[1, None], [1, 2], [1, None]])),
    "less noise than paid for": ("noise of a table", lambda d: table(d, scale=1.0)),
    "table twice": ("two tables", lambda d: d["tables"].append(d["tables"][0])),
}


def test_a_good_release_is_read_and_keeps_its_bytes() -> None:
    read = release.parse(release_document())
    again = release.parse(json.loads(json.dumps(json.loads(read.encode()), indent=2)))
    assert again == read
    assert again.hash() == read.hash()
    found = read.table("support-group")
    assert found is not None
    assert found.noisy_counts == ((21, None), (-1, None), (19, None))
    assert read.table("flag-result") is None


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_broken_once_is_refused(rule: str) -> None:
    document = release_document()
    words, change = RULES[rule]
    change(document)
    with pytest.raises(InvalidRelease, match=words):
        release.parse(document)


def test_a_held_table_has_no_counts() -> None:
    document = release_document()
    table(document, state="held", noisy_counts=None)
    assert release.parse(document).tables[0].noisy_counts is None


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_what_is_no_release_or_frame_is_refused(document: Any) -> None:
    with pytest.raises(InvalidRelease):
        release.parse(document)
    with pytest.raises(frame.InvalidFrame):
        frame.parse(document)


def test_a_good_frame_is_read() -> None:
    assert frame.parse(frame_document()).records.frame == 120


FRAME_RULES: dict[str, Change] = {
    "unknown key": lambda d: d.update(employees=[]),
    "default left out": lambda d: d.pop("format"),
    "count as text": lambda d: d["records"].update(frame="120"),
    "share as text": lambda d: d["records"].update(hit_share="0.42"),
    "not a number": lambda d: d["records"].update(icc_attainment=math.nan),
    "infinite": lambda d: d["records"]["indicators"][0].update(r=math.inf),
    "negative": lambda d: d["sheets"]["support-group"].update(received=-1),
    "fraction": lambda d: d["records"].update(attainment=[0.5]),
}


@pytest.mark.parametrize("rule", FRAME_RULES)
def test_a_broken_frame_is_refused(rule: str) -> None:
    document = frame_document()
    FRAME_RULES[rule](document)
    with pytest.raises(frame.InvalidFrame):
        frame.parse(document)
