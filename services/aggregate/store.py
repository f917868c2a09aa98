"""Every query of aggregate. Each verb is one transaction."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, insert, select, update

from services.aggregate.accounts import Line, commit, give_back, read_accounts, read_lines, reserve
from services.aggregate.core.receiptlist import buckets
from services.aggregate.tables import AuditRow, BucketRow, CycleRow, OutboxRow, ReleaseRow
from services.kit.database import Database
from services.protocol.messages import LedgerAccount, Proposal
from services.protocol.release import FIRST
from services.protocol.signed import SignedDocument

State = Literal["open", "released", "void"]
_STATES: dict[str, State] = {"open": "open", "released": "released", "void": "void"}


class AlreadyRecorded(Exception):
    """Something else stands where this was to be written; nothing was changed."""


@dataclass(frozen=True)
class Cycle:
    """A cycle as aggregate knows it; opening keys are public points."""

    state: State
    proposal: Proposal
    opening_keys: dict[str, str]
    manifest: SignedDocument | None
    commitments: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Finished:
    """A signed release with the fate of every sheet, ready to be written.

    ``receipts`` are packed lists, in order; ``digits`` name their buckets.
    """

    cycle: str
    hash: str
    previous: str
    document: str
    receipts: Mapping[str, bytes | bytearray]
    digits: int


@dataclass(frozen=True)
class Noted:
    """What an operator did; ``day`` is an ISO date."""

    day: str
    action: str
    cycle: str | None
    reason: str | None


@dataclass(frozen=True)
class Waiting:
    """A release that report has not acknowledged."""

    company: str
    release: str
    document: str
    cycle: str
    manifest: str


class Store:
    """Aggregate's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""
        with self._database.transaction() as session:
            row = session.get(CycleRow, cycle_id)
        return None if row is None else _cycle(row)

    def states(self) -> dict[str, State]:
        """Return the state of every cycle."""
        with self._database.transaction() as session:
            rows = session.exec(select(CycleRow.id, CycleRow.state)).all()
        return {cycle_id: _STATES[state] for cycle_id, state in rows}

    def add_cycle(
        self, proposal: Proposal, lines: Sequence[Line], make_keys: Callable[[], Mapping[str, str]]
    ) -> None:
        """Reserve a cycle's budget, have its keys made and record it, or nothing of that.

        Keys are made before the commit: a crash leaves keys that nothing uses, never a charge for a
        cycle that has none. And after the reservation, under the lock of this transaction: no refusal
        leaves keys, and no other process makes or needs keys of this cycle meanwhile.

        Raises BudgetExceeded if an account can't pay, AlreadyRecorded if the cycle is there.
        """
        row = CycleRow(
            id=proposal.cycle,
            company=proposal.company,
            state="open",
            proposal=proposal.model_dump_json(),
            opening_keys="{}",
        )
        try:
            with self._database.transaction() as session:
                session.add(row)
                session.flush()
                for line in lines:
                    reserve(session, proposal.cycle, line)
                row.opening_keys = json.dumps(dict(make_keys()))
        except IntegrityError:
            raise AlreadyRecorded from None

    def accept_manifest(
        self, cycle_id: str, signed: SignedDocument, commitments: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Record the one manifest of an open cycle, or raise AlreadyRecorded."""
        with self._database.transaction() as session:
            changed = session.exec(
                update(CycleRow)
                .where(
                    col(CycleRow.id) == cycle_id,
                    col(CycleRow.state) == "open",
                    col(CycleRow.manifest).is_(None),
                )
                .values(manifest=signed.model_dump_json(), commitments=json.dumps(dict(commitments)))
            )
            if changed.rowcount != 1:
                raise AlreadyRecorded

    def accounts(self, company: str, year: int) -> tuple[LedgerAccount, ...]:
        """Return both accounts of a company and year."""
        with self._database.transaction() as session:
            return read_accounts(session, company, year)

    def lines(self, cycle_id: str) -> tuple[Line, ...]:
        """Return what a cycle reserved."""
        with self._database.transaction() as session:
            return read_lines(session, cycle_id)

    def void(self, cycle_id: str, reason: str, day: str) -> None:
        """Give the reserved budget of an open cycle back and note why, or raise AlreadyRecorded."""
        with self._database.transaction() as session:
            _leave_open(session, cycle_id, "void", reason)
            give_back(session, cycle_id)
            session.add(AuditRow(day=day, action="void", cycle=cycle_id, reason=reason))

    def publish(self, finished: Finished) -> None:
        """Write a release, its receipt lists, its ledger lines and its delivery, or nothing of them.

        Raises AlreadyRecorded if the cycle isn't open any more or the chain has a newer head.
        """
        try:
            with self._database.transaction() as session:
                company = _leave_open(session, finished.cycle, "released", None)
                _append(session, company, finished)
                commit(session, finished.cycle)
                for sheet, lines in finished.receipts.items():
                    _publish_list(session, finished.cycle, sheet, lines, finished.digits)
        except IntegrityError:
            raise AlreadyRecorded from None

    def head(self, company: str) -> str:
        """Return the hash of a company's newest release."""
        with self._database.transaction() as session:
            newest = _newest(session, company)
        return FIRST if newest is None else newest.hash

    def has_release(self, company: str, release_hash: str) -> bool:
        """Return whether a company's chain holds this release."""
        query = select(ReleaseRow).where(ReleaseRow.company == company, ReleaseRow.hash == release_hash)
        with self._database.transaction() as session:
            return session.exec(query).first() is not None

    def companies(self) -> set[str]:
        """Return the companies with cycles."""
        with self._database.transaction() as session:
            return set(session.exec(select(CycleRow.company).distinct()))

    def release(self, cycle_id: str) -> tuple[str, str] | None:
        """Return hash and signed document of a cycle's release."""
        with self._database.transaction() as session:
            row = session.get(ReleaseRow, cycle_id)
        return None if row is None else (row.hash, row.document)

    def receipts(self, cycle_id: str, prefix: str) -> dict[str, bytes]:
        """Return the packed lines of one bucket, by sheet; sheets without a line in it are left out."""
        query = select(BucketRow.sheet, BucketRow.lines).where(
            BucketRow.cycle == cycle_id, BucketRow.prefix == prefix
        )
        with self._database.reading() as session:
            return {sheet: bytes(lines) for sheet, lines in session.exec(query)}

    def note(self, action: str, cycle: str | None, reason: str | None, day: str) -> None:
        """Record what an operator did on a day (ISO date)."""
        with self._database.transaction() as session:
            session.add(AuditRow(day=day, action=action, cycle=cycle, reason=reason))

    def audit(self) -> list[Noted]:
        """Return what operators did, oldest first."""
        with self._database.reading() as session:
            rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
        return [Noted(row.day, row.action, row.cycle, row.reason) for row in rows]

    def undelivered(self) -> list[Waiting]:
        """Return the releases report did not acknowledge, in the order of their chains."""
        query = (
            select(ReleaseRow, CycleRow.manifest)
            .join(OutboxRow, col(OutboxRow.release) == col(ReleaseRow.hash))
            .join(CycleRow, col(CycleRow.id) == col(ReleaseRow.cycle))
            .where(col(OutboxRow.delivered).is_(False))
            .order_by(ReleaseRow.company, col(ReleaseRow.sequence))
        )
        with self._database.transaction() as session:
            return [
                Waiting(row.company, row.hash, row.document, row.cycle, manifest or "")
                for row, manifest in session.exec(query)
            ]

    def send_again(self, company: str, head: str | None) -> int:
        """Have all releases behind ``head`` (absent: all of the chain) delivered anew; return how many.

        Nothing happens if the chain doesn't hold ``head``.
        """
        at = col(ReleaseRow.sequence)
        known = select(at).where(ReleaseRow.company == company, ReleaseRow.hash == head)
        with self._database.transaction() as session:
            reached = 0 if head is None else session.exec(known).first()
            if reached is None:
                return 0
            later = select(ReleaseRow.hash).where(ReleaseRow.company == company, at > reached)
            behind = col(OutboxRow.release).in_(later) & col(OutboxRow.delivered).is_(True)
            return session.exec(update(OutboxRow).where(behind).values(delivered=False)).rowcount

    def mark_delivered(self, release: str) -> None:
        """Record that report acknowledged a release."""
        with self._database.transaction() as session:
            session.exec(update(OutboxRow).where(col(OutboxRow.release) == release).values(delivered=True))


def _cycle(row: CycleRow) -> Cycle:
    return Cycle(
        state=_STATES[row.state],
        proposal=Proposal.model_validate_json(row.proposal),
        opening_keys=json.loads(row.opening_keys),
        manifest=None if row.manifest is None else SignedDocument.model_validate_json(row.manifest),
        commitments={sheet: tuple(leaves) for sheet, leaves in json.loads(row.commitments or "{}").items()},
    )


def _leave_open(session: Session, cycle_id: str, state: State, reason: str | None) -> str:
    """Move a cycle on from open, and return its company."""
    changed = session.exec(
        update(CycleRow)
        .where(col(CycleRow.id) == cycle_id, col(CycleRow.state) == "open")
        .values(state=state, void_reason=reason)
    )
    if changed.rowcount != 1:
        raise AlreadyRecorded
    return session.exec(select(CycleRow.company).where(CycleRow.id == cycle_id)).one()


def _newest(session: Session, company: str) -> ReleaseRow | None:
    query = select(ReleaseRow).where(ReleaseRow.company == company)
    return session.exec(query.order_by(col(ReleaseRow.sequence).desc()).limit(1)).first()


def _append(session: Session, company: str, finished: Finished) -> None:
    newest = _newest(session, company)
    if finished.previous != (FIRST if newest is None else newest.hash):
        raise AlreadyRecorded
    session.add(
        ReleaseRow(
            cycle=finished.cycle,
            company=company,
            sequence=1 if newest is None else newest.sequence + 1,
            hash=finished.hash,
            previous=finished.previous,
            document=finished.document,
        )
    )
    session.flush()
    session.add(OutboxRow(release=finished.hash))
    session.flush()


def _publish_list(session: Session, cycle_id: str, sheet: str, lines: bytes | bytearray, digits: int) -> None:
    rows = [
        # Views into the one list: no second copy of a million lines is made.
        {"cycle": cycle_id, "sheet": sheet, "prefix": prefix, "lines": bucket}
        for prefix, bucket in buckets(lines, digits)
        if bucket
    ]
    if rows:
        session.connection().execute(insert(BucketRow), rows)
