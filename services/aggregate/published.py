"""What everybody may read: manifest, release, and what became of a sheet."""

from functools import lru_cache
from threading import Lock
from typing import Protocol

from services.aggregate.core.receiptlist import bucket_root, unpack
from services.aggregate.store import Cycle
from services.protocol.messages import ReceiptLists
from services.protocol.problems import Problem
from services.protocol.receipts import list_digits, prefixes
from services.protocol.release import Release
from services.protocol.signed import SignedDocument

CYCLES_IN_MEMORY = 16
"""Of so many cycles the roots of receipt lists are kept."""


class PublishedStore(Protocol):
    """What public reads need of the store."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def release(self, cycle_id: str) -> tuple[str, str] | None:
        """Return hash and signed document of a cycle's release."""

    def receipts(self, cycle_id: str, prefix: str) -> dict[str, bytes]:
        """Return the packed lines of one bucket, by sheet."""


class Published:
    """The public documents of cycles."""

    def __init__(self, store: PublishedStore) -> None:
        self._store = store
        # A release never changes, so its roots are made once; the lock lets the first readers wait for that.
        self._roots = lru_cache(maxsize=CYCLES_IN_MEMORY)(self._make_roots)
        self._making_roots = Lock()

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
        digits = list_digits(totals.received for totals in release.sheets.values())
        if prefix == "" and digits > 0:
            return ReceiptLists(digits=digits, sheets={}, bucket_roots={})
        if len(prefix) != digits:
            raise Problem("input", f"Ask by {digits} hex digits of a hash.")
        bucket = self._store.receipts(cycle_id, prefix)
        with self._making_roots:
            roots = self._roots(cycle_id, tuple(release.sheets), digits)
        return ReceiptLists(
            digits=digits,
            sheets={
                name: tuple((hashed.hex(), outcome) for hashed, outcome in unpack(bucket.get(name, b"")))
                for name in release.sheets
            },
            bucket_roots=roots,
        )

    def _make_roots(self, cycle_id: str, sheets: tuple[str, ...], digits: int) -> dict[str, tuple[str, ...]]:
        """Return the roots of all buckets of each sheet, reading one bucket at a time."""
        roots: dict[str, list[str]] = {name: [] for name in sheets}
        for prefix in prefixes(digits):
            bucket = self._store.receipts(cycle_id, prefix)
            for name in sheets:
                roots[name].append(bucket_root(bucket.get(name, b"")).hex())
        return {name: tuple(each) for name, each in roots.items()}
