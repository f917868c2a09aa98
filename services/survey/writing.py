"""A batch of checked envelopes on its way into the box: one read, one rule, one write.

Whoever calls holds the lock of the one writer, so nothing changes between the read and the write.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Connection, Row

from services.survey.core.cycle import State
from services.survey.inbox import Arrival

Key = tuple[str, str, bytes]
"""Cycle, sheet and nonce: what one token spends."""
Held = tuple[int, bytes]
"""Counter and hash of the envelope that is stored under a token."""
Rows = Sequence[Row[str, str | None, bytes, int, bytes]]

# Open cycles and spent tokens in one answer: each question costs a round trip while others wait.
_OPEN = f"SELECT id, NULL, NULL, NULL, NULL FROM cycle WHERE state = '{State.OPEN.value}' UNION ALL"  # noqa: S608
_HELD = "SELECT cycle, sheet, nonce, counter, envelope_hash FROM"
_COLUMNS = "cycle, sheet, nonce, counter, envelope_hash, envelope"
_REPLACE = (
    "ON CONFLICT (cycle, sheet, nonce) DO UPDATE SET"
    " counter = excluded.counter, envelope_hash = excluded.envelope_hash, envelope = excluded.envelope"
)


def write_batch(connection: Connection, arrivals: Sequence[Arrival]) -> list[str]:
    """Write what is to be written of a batch; return the outcome of each arrival."""
    box = BOXES[connection.dialect.name]
    open_cycles, held = set[str](), dict[Key, Held]()
    for cycle, sheet, nonce, counter, digest in box.read(connection, [(a[0], a[1], a[2]) for a in arrivals]):
        if sheet is None:
            open_cycles.add(cycle)
        else:
            held[cycle, sheet, nonce] = (counter, digest)
    outcomes, written = judge(arrivals, held, open_cycles)
    if written:
        # In key order: not even within a batch does anything stored tell which came first.
        box.put(connection, [written[key] for key in sorted(written)])
    return outcomes


def judge(
    arrivals: Iterable[Arrival], held: Mapping[Key, Held], open_cycles: Collection[str]
) -> tuple[list[str], dict[Key, Arrival]]:
    """Return the outcome of each arrival, and what to write, as if they had come one after the other.

    Under one token the higher counter wins; the same bytes are acknowledged again. Each is judged by
    itself: a bad one among them changes nothing for the others.
    """
    outcomes, newest, written = [], dict(held), dict[Key, Arrival]()
    for arrival in arrivals:
        key = (arrival.cycle, arrival.sheet, arrival.nonce)
        outcome = _outcome(newest.get(key), arrival) if arrival.cycle in open_cycles else "closed"
        if outcome == "stored":
            newest[key] = (arrival.counter, arrival.envelope_hash)
            written[key] = arrival
        outcomes.append(outcome)
    return outcomes, written


def _outcome(held: Held | None, arrival: Arrival) -> str:
    if held is None:
        return "stored"
    counter, envelope_hash = held
    if envelope_hash == arrival.envelope_hash:
        return "again"
    if counter == arrival.counter:
        return "conflict"
    return "stale" if counter > arrival.counter else "stored"


def _read_in_sqlite(connection: Connection, keys: Sequence[Key]) -> Rows:
    # A cross join keeps this order: each token is looked up by key. With IN the whole box would be read.
    places = ", ".join(["(?, ?, ?)"] * len(keys))
    query = (
        f"{_OPEN} {_HELD} (VALUES {places}) AS asked CROSS JOIN box"
        " ON (cycle, sheet, nonce) = (asked.column1, asked.column2, asked.column3)"
    )
    return connection.exec_driver_sql(query, tuple(chain.from_iterable(keys))).all()


def _put_in_sqlite(connection: Connection, rows: Sequence[Arrival]) -> None:
    query = f"INSERT INTO box ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) {_REPLACE}"  # noqa: S608
    connection.exec_driver_sql(query, [tuple(row) for row in rows])


# PostgreSQL takes a batch as one array per column: one message each way, however long the batch is.
def _read_in_postgresql(connection: Connection, keys: Sequence[Key]) -> Rows:
    # With LIMIT each token is looked up by key. A join would be planned once, while the box is empty, and
    # read the whole box for each batch from then on.
    query = (
        f"{_OPEN} SELECT held.* FROM unnest(%b::text[], %b::text[], %b::bytea[]) AS asked (a, b, c)"  # noqa: S608
        f" CROSS JOIN LATERAL ({_HELD} box WHERE (cycle, sheet, nonce) = (asked.a, asked.b, asked.c) LIMIT 1)"
        " AS held"
    )
    return connection.exec_driver_sql(query, _by_column(keys)).all()


def _put_in_postgresql(connection: Connection, rows: Sequence[Arrival]) -> None:
    query = (
        f"INSERT INTO box ({_COLUMNS}) SELECT * FROM unnest("  # noqa: S608
        f"%b::text[], %b::text[], %b::bytea[], %b::bigint[], %b::bytea[], %b::bytea[]) {_REPLACE}"
    )
    connection.exec_driver_sql(query, _by_column(rows))


def _by_column(rows: Iterable[tuple[object, ...]]) -> tuple[list[object], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


@dataclass(frozen=True)
class BoxStatements:
    """How one database reads and writes many envelopes at once."""

    read: Callable[[Connection, Sequence[Key]], Rows]
    put: Callable[[Connection, Sequence[Arrival]], None]


BOXES = {
    "sqlite": BoxStatements(_read_in_sqlite, _put_in_sqlite),
    "postgresql": BoxStatements(_read_in_postgresql, _put_in_postgresql),
}
