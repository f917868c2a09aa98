"""The published lists: what became of each sheet."""

from collections import Counter

import pytest

from services.aggregate.published import Published
from services.protocol import frame
from services.protocol.encoding import b64
from services.protocol.messages import ReceiptLists
from services.protocol.problems import Problem
from services.protocol.receipts import (
    OUTCOMES,
    Outcome,
    check_bucket,
    leaf,
    list_digits,
    list_root,
    prefixes,
    receipt_hash,
)
from services.protocol.release import FIRST, Release, SheetTotals
from services.protocol.signed import SignedDocument
from tests.flow.aggregate.factories import FLAG_SHEET, GROUP_SHEET, make_frame, make_manifest, make_proposal
from tests.flow.aggregate.world import World


def test_receipts_say_what_became_of_each_sheet(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    box = world.survey.boxes[manifest.cycle][GROUP_SHEET]
    bad = b"\x09" + box[0][1:]
    box[0] = bad
    world.survey.close(manifest.cycle)
    with pytest.raises(Problem, match="nothing at this address"):
        world.published().receipts(manifest.cycle, "")
    flow.release(manifest.cycle)
    lists = world.published().receipts(manifest.cycle, "")
    assert lists.digits == 0
    found = dict(lists.sheets[GROUP_SHEET])
    assert found.pop(receipt_hash(bad).hex()) == "rejected"
    assert found == {receipt_hash(sealed).hex(): "counted" for sealed in box if sealed != bad}
    release = world.release(manifest.cycle)
    for name, lines in lists.sheets.items():
        root = list_root((bytes.fromhex(digest), outcome) for digest, outcome in lines)
        assert root.hex() == release.sheets[name].receipts_root
    with pytest.raises(Problem, match="Ask by 0 hex digits"):
        world.published().receipts(manifest.cycle, "a")


def test_whole_lists_carry_the_root_that_stands_in_the_release(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    flow.release(manifest.cycle)
    lists = world.published().receipts(manifest.cycle, "")
    totals = world.release(manifest.cycle).sheets
    assert lists.bucket_roots == {name: (totals[name].receipts_root,) for name in totals}


def test_long_receipt_lists_are_asked_by_prefix() -> None:
    store = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 4500})
    published = Published(store)
    assert published.receipts("long", "") == ReceiptLists(digits=1, sheets={}, bucket_roots={})
    bucket = published.receipts("long", "a")
    for name, lines in store.lines.items():
        inside = [(line.hex(), outcome) for line, outcome in lines if line.hex()[0] == "a"]
        assert list(bucket.sheets[name]) == inside
        assert len(inside) >= 256
    for prefix in ("00", "aa"):
        with pytest.raises(Problem, match="Ask by 1 hex digits"):
            published.receipts("long", prefix)


def test_every_bucket_leads_to_the_root_in_the_release() -> None:
    store = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 4500})
    published = Published(store)
    totals = Release.model_validate(published.release("long").document).sheets
    for prefix in prefixes(1):
        bucket = published.receipts("long", prefix)
        for name, lines in bucket.sheets.items():
            check_bucket(
                [(bytes.fromhex(digest), outcome) for digest, outcome in lines],
                prefix=prefix,
                bucket_roots=[bytes.fromhex(root) for root in bucket.bucket_roots[name]],
                root=bytes.fromhex(totals[name].receipts_root),
            )


def test_the_shortest_list_decides_for_all() -> None:
    store = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 10})
    lists = Published(store).receipts("long", "")
    assert lists.digits == 0
    assert {name: len(lines) for name, lines in lists.sheets.items()} == {GROUP_SHEET: 5000, FLAG_SHEET: 10}


def test_all_lines_are_read_once_however_many_ask() -> None:
    store = LongLists({GROUP_SHEET: 5000, FLAG_SHEET: 4500})
    published = Published(store)
    for prefix in ("a", "b", "a"):
        published.receipts("long", prefix)
    assert len(store.asked) == 3 + 16
    # No single answer makes aggregate hold all lines.
    assert set(store.asked) == set(prefixes(1))


POINTS = {name: b64(bytes(65)) for name in (GROUP_SHEET, FLAG_SHEET)}


class LongLists:
    """A store with one released cycle whose lists are as long as told."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self.lines: dict[str, list[tuple[bytes, Outcome]]] = {
            name: sorted(
                (receipt_hash(name.encode() + number.to_bytes(4, "big")), OUTCOMES[number % 3])
                for number in range(length)
            )
            for name, length in lengths.items()
        }
        self.asked: list[str] = []

    def cycle(self, cycle_id: str) -> None:
        """There is no manifest to read."""

    def release(self, cycle_id: str) -> tuple[str, str]:
        """Return a release that says how long the lists are."""
        manifest = make_manifest(make_proposal("long"), POINTS)
        digits = list_digits(len(lines) for lines in self.lines.values())
        release = Release(
            kind="release",
            cycle="long",
            company=manifest.company,
            manifest_hash=manifest.hash().hex(),
            previous=FIRST,
            released_on="2026-03-02",
            sheets={name: totals(lines, digits) for name, lines in self.lines.items()},
            tables=(),
            groups=(),
            ledger=(),
            frame=frame.parse(make_frame(manifest, {GROUP_SHEET: []}).document),
        )
        signed = SignedDocument(document=release.model_dump(mode="json"), signatures={})
        return release.hash().hex(), signed.model_dump_json()

    def receipts(self, cycle_id: str, prefix: str) -> dict[str, bytes]:
        """Return the lines of a bucket."""
        self.asked.append(prefix)
        return {
            name: b"".join(leaf(*line) for line in lines if line[0].hex().startswith(prefix))
            for name, lines in self.lines.items()
        }


def totals(lines: list[tuple[bytes, Outcome]], digits: int) -> SheetTotals:
    """Return the totals that a release gives of a list."""
    counts = Counter(outcome for _, outcome in lines)
    return SheetTotals(
        issued=len(lines),
        received=len(lines),
        counted=counts["counted"],
        withdrawn=counts["withdrawn"],
        rejected={"sealing": counts["rejected"]},
        receipts_root=list_root(lines, digits).hex(),
    )
