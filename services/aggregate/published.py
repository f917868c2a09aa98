"""What everybody may read: manifest, release, and what became of a sheet."""

from typing import Protocol

from services.aggregate.store import Cycle
from services.protocol.messages import ReceiptLists
from services.protocol.problems import Problem
from services.protocol.receipts import Outcome, prefix_digits
from services.protocol.release import Release
from services.protocol.signed import SignedDocument


class PublishedStore(Protocol):
    """What public reads need of the store."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def release(self, cycle_id: str) -> tuple[str, str] | None:
        """Return hash and signed document of a cycle's release."""

    def receipts(self, cycle_id: str, low: bytes, high: bytes) -> list[tuple[str, bytes, Outcome]]:
        """Return the published lines (sheet, hash, outcome) between two hashes."""


class Published:
    """The public documents of cycles."""

    def __init__(self, store: PublishedStore) -> None:
        self._store = store

    def manifest(self, cycle_id: str) -> SignedDocument:
        """Return the manifest with both signatures."""
        cycle = self._store.cycle(cycle_id)
        if cycle is None or cycle.manifest is None:
            raise Problem("not-found")
        return cycle.manifest

    def release(self, cycle_id: str) -> SignedDocument:
        """Return the signed release of a cycle."""
        released = self._store.release(cycle_id)
        if released is None:
            raise Problem("not-found")
        return SignedDocument.model_validate_json(released[1])

    def receipts(self, cycle_id: str, prefix: str) -> ReceiptLists:
        """Return what became of the sheets whose hash begins with ``prefix``.

        Without a prefix, long lists answer only how many digits to ask by.
        """
        release = Release.model_validate(self.release(cycle_id).document)
        # One length for all sheets, by the shortest list: no bucket of any sheet is a small one.
        digits = min(prefix_digits(totals.received) for totals in release.sheets.values())
        if prefix == "" and digits > 0:
            return ReceiptLists(digits=digits, sheets={})
        if len(prefix) != digits:
            raise Problem("input", f"Ask by {digits} hex digits of a hash.")
        lists: dict[str, list[tuple[str, Outcome]]] = {name: [] for name in release.sheets}
        low, high = (bytes.fromhex(prefix.ljust(64, end)) for end in "0f")
        for sheet, envelope_hash, outcome in self._store.receipts(cycle_id, low, high):
            lists[sheet].append((envelope_hash.hex(), outcome))
        return ReceiptLists(digits=digits, sheets={name: tuple(lines) for name, lines in lists.items()})
