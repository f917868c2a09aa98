"""Every query of survey. Each verb is one transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Executable, bindparam, func, text, tuple_
from sqlmodel import Session, col, delete, select, update

from services.kit.database import Database, compact
from services.survey.core.cycle import Event, State, advance
from services.survey.core.draft import Draft
from services.survey.inbox import Arrival
from services.survey.tables import METADATA, MIXED, Box, Cycle, Issuance, Member, Secret

PAGE = 512
BOX = METADATA.tables["box"]
Key = tuple[str, str, bytes]
"""Cycle, sheet and nonce: what one token spends."""


class Store:
    """Survey's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(METADATA)

    def add_cycle(self, cycle: Cycle, members: Sequence[Member]) -> None:
        """Store a draft with its members."""
        with self._database.transaction() as session:
            session.add(cycle)
            session.flush()
            session.add_all(members)

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""
        with self._database.reading() as session:
            return session.get(Cycle, cycle_id)

    def cycles(self) -> list[Cycle]:
        """Return all cycles by id."""
        with self._database.reading() as session:
            return list(session.exec(select(Cycle).order_by(Cycle.id)))

    def members(self, cycle_id: str) -> list[Member]:
        """Return the members of a cycle in roster order."""
        with self._database.reading() as session:
            query = select(Member).where(Member.cycle == cycle_id).order_by(col(Member.number))
            return list(session.exec(query))

    def prepare_cycle(self, cycle_id: str, manifest: str, value_secrets: Sequence[Secret]) -> None:
        """Store the manifest and value secrets of a draft before anyone else sees them."""
        with self._database.transaction() as session:
            changed = session.exec(
                update(Cycle)
                .where(col(Cycle.id) == cycle_id, col(Cycle.manifest).is_(None))
                .values(manifest=manifest)
            )
            if changed.rowcount == 1:
                session.add_all(value_secrets)

    def open_cycle(self, cycle_id: str, manifest: str, codes: dict[int, bytes]) -> bool:
        """Open a draft with its countersigned manifest and code hashes; False if it was no draft."""
        with self._database.transaction() as session:
            changed = session.exec(
                update(Cycle)
                .where(col(Cycle.id) == cycle_id, col(Cycle.state) == State.DRAFT)
                .values(state=advance(State.DRAFT, Event.OPEN), manifest=manifest)
            )
            if changed.rowcount != 1:
                return False
            _set_codes(session, cycle_id, codes)
            return True

    def renew_codes(self, cycle_id: str, codes: dict[int, bytes]) -> bool:
        """Replace all code hashes of an open cycle; False if somebody has taken a pass already."""
        with self._database.transaction() as session:
            taken = session.exec(select(Issuance.number).where(Issuance.cycle == cycle_id)).first()
            if taken is not None or not _is_open(session, cycle_id):
                return False
            _set_codes(session, cycle_id, codes)
            return True

    def member_of(self, cycle_id: str, code_hash: bytes) -> Member | None:
        """Return whom a code invites to a cycle."""
        with self._database.reading() as session:
            query = select(Member).where(Member.cycle == cycle_id, Member.code_hash == code_hash)
            return session.exec(query).first()

    def secrets(self, cycle_id: str) -> dict[tuple[str, int], bytes]:
        """Return the value secrets of a cycle by sheet and value."""
        with self._database.reading() as session:
            rows = session.exec(select(Secret).where(Secret.cycle == cycle_id))
            return {(row.sheet, row.value): row.secret for row in rows}

    def pass_of(self, cycle_id: str, number: int) -> bytes | None:
        """Return the hash with which a rep took the passes, if so."""
        with self._database.reading() as session:
            taken = session.get(Issuance, (cycle_id, number))
            return None if taken is None else taken.blinded_hash

    def take_pass(self, cycle_id: str, number: int, blinded_hash: bytes) -> bytes | None:
        """Record that a rep takes the passes; return the hash that is recorded, None if not open."""
        with self._database.transaction() as session:
            if not _is_open(session, cycle_id):
                return None
            taken = session.get(Issuance, (cycle_id, number))
            if taken is not None:
                return taken.blinded_hash
            session.add(Issuance(cycle=cycle_id, number=number, blinded_hash=blinded_hash))
            return blinded_hash

    def put_envelopes(self, arrivals: list[Arrival]) -> list[str]:
        """Store checked envelopes in one transaction; the higher counter wins under one token."""
        with self._database.transaction() as session:
            is_open = {cycle: _is_open(session, cycle) for cycle in {a.cycle for a in arrivals}}
            stored = _stored(session, arrivals)
            before = set(stored)
            changed: dict[Key, Arrival] = {}
            outcomes = []
            for arrival in arrivals:
                key = (arrival.cycle, arrival.sheet, arrival.nonce)
                outcome = _outcome(stored.get(key), arrival) if is_open[arrival.cycle] else "closed"
                if outcome == "stored":
                    stored[key] = (arrival.counter, arrival.envelope_hash)
                    changed[key] = arrival
                outcomes.append(outcome)
            _write(session, [vars(a) for key, a in changed.items() if key not in before], BOX.insert())
            _write(session, [_by_key(a) for key, a in changed.items() if key in before], _REPLACE)
            return outcomes

    def has_envelope(self, cycle_id: str, envelope_hash: bytes) -> bool:
        """Return whether an envelope with this hash is in the box now."""
        with self._database.reading() as session:
            query = select(Box.counter).where(Box.cycle == cycle_id, Box.envelope_hash == envelope_hash)
            return session.exec(query).first() is not None

    def box(self, cycle_id: str, sheet: str) -> Iterator[bytes]:
        """Yield the box of one sheet in nonce order, a few hundred envelopes at a time."""
        last = b""
        while True:
            with self._database.reading() as session:
                query = (
                    select(Box.nonce, Box.envelope)
                    .where(Box.cycle == cycle_id, Box.sheet == sheet, col(Box.nonce) > last)
                    .order_by(col(Box.nonce))
                    .limit(PAGE)
                )
                rows = list(session.exec(query))
            if not rows:
                return
            last = rows[-1][0]
            yield b"".join(envelope for _, envelope in rows)

    def counts(self, cycle_id: str) -> tuple[int, dict[str, int]]:
        """Return how many reps took passes, and how many envelopes each sheet has."""
        with self._database.reading() as session:
            return _counts(session, cycle_id)

    def close_cycle(self, cycle_id: str, closed: str) -> bool:
        """Close an open cycle; nothing is issued or accepted afterwards. False if it was not open."""
        with self._database.transaction() as session:
            changed = session.exec(
                update(Cycle)
                .where(col(Cycle.id) == cycle_id, col(Cycle.state) == State.OPEN)
                .values(state=advance(State.OPEN, Event.CLOSE), closed=closed)
            )
            return bool(changed.rowcount == 1)

    def finish_close(self, cycle_id: str, make_frame: Callable[[int, dict[str, int]], str]) -> None:
        """Count, keep the frame made of the counts, and erase who took passes and which code was whose.

        All in one transaction and once: a second close finds the frame and changes nothing.
        """
        with self._database.transaction() as session:
            cycle = session.get_one(Cycle, cycle_id)
            if cycle.frame is not None or cycle.state != State.CLOSED:
                return
            cycle.frame = make_frame(*_counts(session, cycle_id))
            session.exec(delete(Issuance).where(col(Issuance.cycle) == cycle_id))
            session.exec(update(Member).where(col(Member.cycle) == cycle_id).values(code_hash=None))

    def mark_mixed(self, cycle_id: str) -> None:
        """Note that a closed cycle's box was mixed for the last time."""
        with self._database.transaction() as session:
            session.exec(update(Cycle).where(col(Cycle.id) == cycle_id).values(mixed=True))

    def mark_released(self, cycle_id: str) -> None:
        """Note that aggregate has released a closed cycle."""
        with self._database.transaction() as session:
            session.exec(
                update(Cycle)
                .where(col(Cycle.id) == cycle_id, col(Cycle.state) == State.CLOSED)
                .values(state=advance(State.CLOSED, Event.RELEASE))
            )

    def mixing_size(self) -> int:
        """Return how many envelopes must wait before mixing hides them: the largest k that is open."""
        with self._database.reading() as session:
            drafts = session.exec(select(Cycle.draft).where(Cycle.state == State.OPEN))
            return max((Draft.model_validate_json(draft).options.k for draft in drafts), default=1)

    def mix(self) -> None:
        """Rewrite box and issuance in the order of their keys, and leave no older page behind.

        One transaction moves the rows to new tables; compacting then rewrites the file and cuts the log.
        """
        with self._database.transaction() as session:
            connection = session.connection()
            for table in (METADATA.tables[name] for name in MIXED):
                keys = ", ".join(column.name for column in table.primary_key)
                connection.execute(text(f"ALTER TABLE {table.name} RENAME TO {table.name}_unmixed"))
                for index in list(table.indexes):
                    index.drop(connection)
                table.create(connection)
                connection.execute(
                    text(f"INSERT INTO {table.name} SELECT * FROM {table.name}_unmixed ORDER BY {keys}")  # noqa: S608
                )
                connection.execute(text(f"DROP TABLE {table.name}_unmixed"))
        compact(self._database.engine)


def _set_codes(session: Session, cycle_id: str, codes: dict[int, bytes]) -> None:
    for member in session.exec(select(Member).where(Member.cycle == cycle_id)):
        member.code_hash = codes[member.number]


def _counts(session: Session, cycle_id: str) -> tuple[int, dict[str, int]]:
    issued = session.exec(select(func.count()).select_from(Issuance).where(Issuance.cycle == cycle_id)).one()
    received = session.exec(
        select(Box.sheet, func.count()).where(Box.cycle == cycle_id).group_by(Box.sheet)
    ).all()
    return issued, dict(received)


def _is_open(session: Session, cycle_id: str) -> bool:
    state = session.exec(select(Cycle.state).where(Cycle.id == cycle_id)).first()
    return state == State.OPEN


def _stored(session: Session, arrivals: Sequence[Arrival]) -> dict[Key, tuple[int, bytes]]:
    """Return counter and hash of what is stored under the tokens of these arrivals."""
    keys = [(a.cycle, a.sheet, a.nonce) for a in arrivals]
    at = BOX.c
    wanted = BOX.select().with_only_columns(at.cycle, at.sheet, at.nonce, at.counter, at.envelope_hash)
    query = wanted.where(tuple_(at.cycle, at.sheet, at.nonce).in_(keys))
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in session.connection().execute(query)}


def _outcome(stored: tuple[int, bytes] | None, arrival: Arrival) -> str:
    if stored is None:
        return "stored"
    counter, envelope_hash = stored
    if envelope_hash == arrival.envelope_hash:
        return "again"
    if counter == arrival.counter:
        return "conflict"
    return "stale" if counter > arrival.counter else "stored"


def _write(session: Session, rows: list[dict[str, Any]], statement: Executable) -> None:
    if rows:
        session.connection().execute(statement, rows)


def _by_key(arrival: Arrival) -> dict[str, Any]:
    row = vars(arrival)
    return {f"at_{name}" if name in ("cycle", "sheet", "nonce") else name: row[name] for name in row}


_REPLACE = (
    BOX.update()
    .where(
        BOX.c.cycle == bindparam("at_cycle"),
        BOX.c.sheet == bindparam("at_sheet"),
        BOX.c.nonce == bindparam("at_nonce"),
    )
    .values(
        counter=bindparam("counter"),
        envelope_hash=bindparam("envelope_hash"),
        envelope=bindparam("envelope"),
    )
)
