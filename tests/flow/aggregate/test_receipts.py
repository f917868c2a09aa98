"""The published lists: what became of each sheet."""

import pytest

from services.aggregate.published import Published
from services.protocol import frame
from services.protocol.encoding import b64
from services.protocol.messages import ReceiptLists
from services.protocol.problems import Problem
from services.protocol.receipts import Outcome, list_root, receipt_hash
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


def test_long_receipt_lists_are_asked_by_prefix(world: World) -> None:
    store = LongLists(5000)
    published = Published(store)
    assert published.receipts("long", "") == ReceiptLists(digits=1, sheets={})
    bucket = dict(published.receipts("long", "a").sheets[GROUP_SHEET])
    assert bucket == {line.hex(): "counted" for line in store.hashes if line.hex()[0] == "a"}
    assert len(bucket) >= 256


POINTS = {name: b64(bytes(65)) for name in (GROUP_SHEET, FLAG_SHEET)}


class LongLists:
    """A store with one released cycle whose lists are long."""

    def __init__(self, lines: int) -> None:
        self.hashes = sorted(receipt_hash(number.to_bytes(4, "big")) for number in range(lines))

    def cycle(self, cycle_id: str) -> None:
        """There is no manifest to read."""

    def release(self, cycle_id: str) -> tuple[str, str]:
        """Return a release that says how long the lists are."""
        manifest = make_manifest(make_proposal("long"), POINTS)
        totals = SheetTotals(
            issued=len(self.hashes),
            received=len(self.hashes),
            counted=len(self.hashes),
            withdrawn=0,
            rejected={},
            receipts_root="",
        )
        release = Release(
            kind="release",
            cycle="long",
            company=manifest.company,
            manifest_hash=manifest.hash().hex(),
            previous=FIRST,
            released_on="2026-03-02",
            sheets={GROUP_SHEET: totals},
            tables=(),
            groups=(),
            ledger=(),
            frame=frame.parse(make_frame(manifest, {GROUP_SHEET: []}).document),
        )
        signed = SignedDocument(document=release.model_dump(mode="json"), signatures={})
        return release.hash().hex(), signed.model_dump_json()

    def receipts(self, cycle_id: str, low: bytes, high: bytes) -> list[tuple[str, bytes, Outcome]]:
        """Return the lines between two hashes."""
        return [(GROUP_SHEET, line, "counted") for line in self.hashes if low <= line <= high]
