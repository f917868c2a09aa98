"""A box of sheets that were checked, and what aggregate should be sent of it."""

import secrets

from services.kit.database import Database
from services.survey.core.cycle import State
from services.survey.inbox import Arrival
from services.survey.store import PAGE, Store
from services.survey.tables import Cycle

CYCLE, SHEET, LENGTH = "c" * 16, "support-result", 200
# More than two pages of the box, so that mixing falls between them.
SHEETS = 2 * PAGE + 100


def arrival() -> Arrival:
    """Return a sheet that was checked."""
    return Arrival(
        CYCLE, SHEET, secrets.token_bytes(32), 1, secrets.token_bytes(32), secrets.token_bytes(LENGTH)
    )


def filled(database: Database, sheets: int = SHEETS) -> tuple[Store, list[Arrival]]:
    """Return a store with an open cycle and a box."""
    store = Store(database)
    store.add_cycle(Cycle(id=CYCLE, state=State.OPEN, draft="{}"), [])
    arrivals = [arrival() for _ in range(sheets)]
    assert set(store.put_envelopes(arrivals)) == {"stored"}
    return store, arrivals


def content(store: Store) -> bytes:
    """Return all envelopes of the box, as aggregate is sent them."""
    return b"".join(store.box(CYCLE, SHEET))


def expected(arrivals: list[Arrival]) -> bytes:
    """Return the same, in nonce order."""
    return b"".join(each.envelope for each in sorted(arrivals, key=lambda each: each.nonce))
