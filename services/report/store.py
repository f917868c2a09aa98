"""Every query of report; each public verb is one transaction."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from services.kit.database import Database
from services.protocol.problems import Problem
from services.protocol.release import FIRST
from services.report.tables import ManifestRow, ReleaseRow

RELEASE = "release"


@dataclass(frozen=True)
class ManifestRecord:
    """A stored manifest: its hash and its signed canonical text."""

    cycle: str
    company: str
    hash: str
    signed: str


@dataclass(frozen=True)
class ReleaseRecord:
    """A stored release: its hash, the one before it, and its signed canonical text."""

    cycle: str
    kind: str
    company: str
    hash: str
    previous: str
    signed: str


@dataclass(frozen=True)
class Head:
    """The end of a company's chain of releases; ``hash`` is absent while there is none."""

    hash: str | None
    length: int


class Store:
    """Manifests and releases; both are added once and never replaced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_manifest(self, record: ManifestRecord) -> bool:
        """Keep a cycle's manifest; False if it is here already, a problem if another one is."""
        try:
            with self._database.transaction() as session:
                present = session.get(ManifestRow, record.cycle)
                if present is None:
                    session.add(ManifestRow(**vars(record)))
                    return True
        except IntegrityError:
            raise Problem("conflict", "Another manifest was recorded at this moment.") from None
        if present.hash != record.hash:
            raise Problem("conflict", "Another manifest is recorded for this cycle.")
        return False

    def add_release(self, record: ReleaseRecord) -> bool:
        """Add a release at the end of its company's chain; False if it is here already.

        Raises
        ------
        Problem
            ``conflict`` if the cycle has another release, or ``previous`` is not the chain's head.
        """
        try:
            with self._database.transaction() as session:
                present = session.get(ReleaseRow, (record.cycle, record.kind))
                if present is None:
                    session.add(_linked(record, _head(session, record.company)))
                    return True
        except IntegrityError:
            # Two releases reached for the same place; the peer sends the later one again.
            raise Problem("conflict", "Another release was recorded at this moment.") from None
        if present.hash != record.hash:
            raise Problem("conflict", "Another release is recorded for this cycle. A release never changes.")
        return False

    def manifest(self, cycle: str) -> ManifestRecord | None:
        """Return a cycle's manifest."""
        with self._database.transaction() as session:
            row = session.get(ManifestRow, cycle)
            return None if row is None else ManifestRecord(row.cycle, row.company, row.hash, row.signed)

    def manifests(self) -> list[ManifestRecord]:
        """Return all manifests, by cycle."""
        with self._database.transaction() as session:
            rows = session.exec(select(ManifestRow).order_by(col(ManifestRow.cycle))).all()
            return [ManifestRecord(row.cycle, row.company, row.hash, row.signed) for row in rows]

    def release(self, cycle: str) -> ReleaseRecord | None:
        """Return a cycle's release (never a dry run)."""
        with self._database.transaction() as session:
            row = session.get(ReleaseRow, (cycle, RELEASE))
            return None if row is None else _record(row)

    def head(self, company: str) -> Head:
        """Return the end of a company's chain."""
        with self._database.transaction() as session:
            return _head(session, company)


def _head(session: Session, company: str) -> Head:
    query = (
        select(ReleaseRow)
        .where(ReleaseRow.company == company, col(ReleaseRow.sequence).is_not(None))
        .order_by(col(ReleaseRow.sequence).desc())
        .limit(1)
    )
    row = session.exec(query).first()
    return Head(None, 0) if row is None or row.sequence is None else Head(row.hash, row.sequence)


def _linked(record: ReleaseRecord, head: Head) -> ReleaseRow:
    """Return the row of a new release, placed behind ``head``; a dry run takes no place."""
    if record.kind != RELEASE:
        return ReleaseRow(**vars(record), sequence=None)
    if record.previous != (head.hash or FIRST):
        raise Problem("conflict", "The release does not continue this company's chain.")
    return ReleaseRow(**vars(record), sequence=head.length + 1)


def _record(row: ReleaseRow) -> ReleaseRecord:
    return ReleaseRecord(row.cycle, row.kind, row.company, row.hash, row.previous, row.signed)
