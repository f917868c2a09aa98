"""What the databases of the three services hold, read as an operator would."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.e2e.apart import Apart
from tests.e2e.journal import Journal, Row

BOX = "SELECT cycle, sheet, nonce, counter, envelope_hash FROM box"
DELIVERED = "SELECT release FROM outbox WHERE delivered"
RELEASES = "SELECT cycle, hash FROM release"


@dataclass(frozen=True)
class Promised:
    """What was acknowledged up to a moment: sheets, releases that were shown, releases report took."""

    sheets: dict[str, dict[bytes, int]]
    shown: frozenset[tuple[str, str]]
    delivered: frozenset[str]

    @property
    def sheets_count(self) -> int:
        """How many tokens have an acknowledged envelope."""
        return sum(len(counters) for counters in self.sheets.values())

    @classmethod
    def of(cls, journals: Iterable[Journal], delivered: frozenset[str]) -> "Promised":
        """Return what the journals say at this moment."""
        known = list(journals)
        return cls(
            {journal.cycle: journal.acknowledged() for journal in known},
            frozenset((journal.cycle, each) for journal in known for each in list(journal.releases)),
            delivered,
        )


def promised(services: Apart, journals: Iterable[Journal]) -> Promised:
    """Return what was acknowledged to phones, readers and aggregate up to now."""
    delivered = frozenset(str(row[0]) for row in services.query("aggregate", DELIVERED))
    return Promised.of(journals, delivered)


def lost_since(services: Apart, journals: Iterable[Journal], before: Promised) -> int:
    """Return how much of what was promised the databases don't hold any more."""
    rows = box(services)
    lost = sum(
        journal.lost(rows.get(journal.cycle, []), before.sheets[journal.cycle])
        for journal in list(journals)
        if journal.cycle in before.sheets
    )
    made = {(str(cycle), str(hashed)) for cycle, hashed in services.query("aggregate", RELEASES)}
    taken = {str(hashed) for _, hashed in services.query("report", RELEASES)}
    return lost + len(before.shown - made) + len(before.delivered - taken)


def strange_rows(services: Apart, journals: Iterable[Journal]) -> int:
    """Return how many rows of the box are doubled, or were never sent by a phone."""
    rows, known = box(services), {journal.cycle: journal for journal in list(journals)}
    return sum(known[cycle].strange(found) if cycle in known else len(found) for cycle, found in rows.items())


def box(services: Apart) -> dict[str, list[Row]]:
    """Return survey's box by cycle."""
    found: dict[str, list[Row]] = {}
    for cycle, sheet, nonce, counter, envelope_hash in services.query("survey", BOX):
        row = (str(sheet), as_bytes(nonce), int(str(counter)), as_bytes(envelope_hash))
        found.setdefault(str(cycle), []).append(row)
    return found


def as_bytes(value: object) -> bytes:
    """Return a column of bytes, as either driver hands it over."""
    assert isinstance(value, bytes | memoryview)
    return bytes(value)
