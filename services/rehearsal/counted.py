"""After the release: what became of a phone's sheets, checked against what aggregate signed."""

import secrets
from collections import Counter
from collections.abc import Mapping

from services.protocol import messages, signed
from services.protocol.receipts import OUTCOMES, InvalidReceipts, Outcome, check_bucket, list_digits
from services.protocol.release import InvalidRelease, Release, SheetTotals, parse
from services.rehearsal.cycleview import CycleView, Line, Refused, read


async def fetch_release(line: Line, view: CycleView) -> Release:
    """Fetch the release of a cycle and check that aggregate signed it, for the manifest the phone saw."""
    cycle = view.manifest.cycle
    document = read(signed.SignedDocument, await line.call("GET", f"{view.aggregate}/api/releases/{cycle}"))
    try:
        signed.check_document(document, "release", {"aggregate": view.aggregate_key})
        release = parse(document.document)
    except (signed.InvalidSignedDocument, InvalidRelease) as error:
        raise Refused("The release is not signed by aggregate, or contradicts itself.") from error
    if (release.cycle, release.manifest_hash) != (cycle, view.manifest_hash.hex()):
        raise Refused("The release is that of another cycle or manifest.")
    if set(release.sheets) != set(view.manifest.plan.sheets):
        raise Refused("The release does not count the sheets of the manifest.")
    return release


async def fetch_outcomes(
    line: Line, view: CycleView, release: Release, hashes: Mapping[str, bytes]
) -> dict[str, Outcome | None]:
    """Return what became of envelopes, by sheet and hash; nothing for one that is in no list.

    Every reply is checked against the release. Long lists are asked by bucket, each bucket once and in
    random order, so that the questions name no envelope.
    """
    digits = list_digits(totals.received for totals in release.sheets.values())
    asked = sorted({envelope_hash.hex()[:digits] for envelope_hash in hashes.values()})
    secrets.SystemRandom().shuffle(asked)
    buckets = {prefix: await fetch_bucket(line, view, release, prefix) for prefix in asked}
    return {
        name: outcome_in(buckets[envelope_hash.hex()[:digits]].sheets[name], envelope_hash.hex())
        for name, envelope_hash in hashes.items()
    }


async def fetch_bucket(line: Line, view: CycleView, release: Release, prefix: str) -> messages.ReceiptLists:
    """Return one bucket of all lists, after checking that its lines lead to the roots in the release."""
    base = f"{view.aggregate}/api/cycles/{view.manifest.cycle}/receipts"
    address = f"{base}/{prefix}" if prefix else base
    lists = read(messages.ReceiptLists, await line.call("GET", address))
    if not set(lists.sheets) == set(lists.bucket_roots) == set(release.sheets):
        raise Refused("A list of receipts is missing.")
    for name, totals in release.sheets.items():
        lines = [(bytes.fromhex(text), outcome) for text, outcome in lists.sheets[name]]
        roots = [bytes.fromhex(text) for text in lists.bucket_roots[name]]
        try:
            root = bytes.fromhex(totals.receipts_root)
            check_bucket(lines, prefix=prefix, bucket_roots=roots, root=root)
        except (InvalidReceipts, ValueError) as error:
            raise Refused("A list of receipts is not the one in the signed release.") from error
        if not prefix and Counter(outcome for _, outcome in lines) != outcomes_of(totals):
            raise Refused("A list of receipts does not add up to the totals in the release.")
    return lists


def outcomes_of(totals: SheetTotals) -> Counter[Outcome]:
    """Return how many lines of each outcome a whole list has."""
    rejected = sum(totals.rejected.values())
    return Counter({"counted": totals.counted, "withdrawn": totals.withdrawn, "rejected": rejected})


def outcome_in(lines: tuple[tuple[str, Outcome], ...], envelope_hash: str) -> Outcome | None:
    """Return what became of an envelope; the same bytes once more in the box are rejected beside it."""
    found = {outcome for text, outcome in lines if text == envelope_hash}
    return next((outcome for outcome in OUTCOMES if outcome in found), None)
