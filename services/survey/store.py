"""Every query of survey. Each verb is one transaction."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, delete, select, update

from services.kit.database import Database
from services.survey.core.cycle import Event, State, advance
from services.survey.core.draft import Draft
from services.survey.inbox import Arrival
from services.survey.tables import METADATA, MIXED, Box, Cycle, Issuance, Member, Secret
from services.survey.writing import write_batch

PAGE = 512


class Store:
    """Survey's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            if taken is not None or not _issues(session, cycle_id):
                return False
            _set_codes(session, cycle_id, codes)
            return True

    def member_of(self, cycle_id: str, code_hash: bytes) -> Member | None:
        """Return whom a code invites to an open cycle; an operator may have ended it a moment ago."""
        with self._database.reading() as session:
            if not _is_open(session, cycle_id):
                return None
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
        """Record that a rep takes the passes; return the hash that is recorded, None if none are given."""
        with self._database.transaction() as session:
            if not _issues(session, cycle_id):
                return None
            taken = session.get(Issuance, (cycle_id, number))
            if taken is not None:
                return taken.blinded_hash
            session.add(Issuance(cycle=cycle_id, number=number, blinded_hash=blinded_hash))
            return blinded_hash

    def put_envelopes(self, arrivals: list[Arrival]) -> list[str]:
        """Store checked envelopes in one transaction; the higher counter wins under one token.

        It is the only writer meanwhile: a close that was committed before is seen, and refuses them.
        """
        with self._database.transaction() as session:
            return write_batch(session.connection(), arrivals)

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
            # PostgreSQL leaves the old rows where they are; mixing follows and removes their other traces.
            self._database.rewrite(session, METADATA.tables["member"])

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

        One transaction writes the rows anew; compacting then leaves no older page or log.
        """
        with self._database.transaction() as session:
            for name in MIXED:
                self._database.rewrite(session, METADATA.tables[name])
        self._database.compact()


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


def _issues(session: Session, cycle_id: str) -> bool:
    """Return whether a cycle gives out passes: after a restore nobody knows any more who has some."""
    query = select(Cycle.restored).where(Cycle.id == cycle_id, Cycle.state == State.OPEN)
    return session.exec(query).first() is False
