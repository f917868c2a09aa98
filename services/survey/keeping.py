"""What an operator may do to cycles: mark what came out of a backup, void, erase.

Each verb is one transaction; what it did stands in the audit.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, or_
from sqlmodel import Session, col, delete, select, update

from services.kit.database import Database
from services.protocol.frame import Records
from services.protocol.problems import Problem
from services.survey.core.cycle import Event, InvalidTransition, State, advance, allowed
from services.survey.core.draft import Draft
from services.survey.core.retention import erased_from, retention
from services.survey.tables import Audit, Box, Cycle, Issuance, Member, Secret

OVER = (State.VOID, State.CANCELLED)


class Keeping:
    """The operator's side of survey's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, cycle_id: str) -> State | None:
        """Return the state of a cycle, if there is one of this id."""
        with self._database.reading() as session:
            cycle = session.get(Cycle, cycle_id)
            return None if cycle is None else State(cycle.state)

    def due(self, now: datetime) -> tuple[list[str], list[str]]:
        """Return the cycles whose promised time is over: those that are over too, and those that aren't."""
        with self._database.reading() as session:
            cycles = session.exec(select(Cycle).where(Cycle.state != State.ERASED).order_by(Cycle.id)).all()
            late = [cycle for cycle in cycles if (until := _kept_until(cycle)) is not None and until <= now]
            ended = {cycle.id for cycle in late if Event.ERASE in allowed(State(cycle.state))}
        return sorted(ended), [cycle.id for cycle in late if cycle.id not in ended]

    def give_up(self, cycle_id: str, day: str, reason: str) -> State:
        """Make a cycle void (a draft: cancelled) and return its state; nothing is issued or taken after it.

        The second time changes nothing. Raises Problem if it was released.
        """
        with self._database.transaction() as session:
            cycle = _found(session, cycle_id)
            before = State(cycle.state)
            if before in OVER:
                return before
            after = _advance(before, Event.CANCEL if before == State.DRAFT else Event.VOID)
            cycle.state = after
            session.add(Audit(day=day, action=after.value, cycle=cycle_id, reason=reason))
            return after

    def strip(self, cycle_id: str) -> State:
        """Delete all that tells of people in a cycle that is over, and return its state.

        What stays are the public manifest, HR's choices and the audit. Raises Problem if it is not over.
        """
        with self._database.transaction() as session:
            cycle = _found(session, cycle_id)
            state = State(cycle.state)
            if state != State.ERASED:
                _advance(state, Event.ERASE)
                for rows in (Box, Issuance, Secret, Member):
                    session.exec(delete(rows).where(col(rows.cycle) == cycle_id))
                cycle.draft = _without_records(Draft.model_validate_json(cycle.draft)).model_dump_json()
                cycle.frame = None
            return state

    def mark_erased(self, cycle_id: str, day: str) -> None:
        """Note that a cycle is erased, once no byte of what was deleted is left."""
        with self._database.transaction() as session:
            cycle = _found(session, cycle_id)
            before = State(cycle.state)
            if before != State.ERASED:
                cycle.state = _advance(before, Event.ERASE)
                reason = f"It was {before.value}."
                session.add(Audit(day=day, action=State.ERASED.value, cycle=cycle_id, reason=reason))


def mark_restored(session: Session, day: str, made_on: str) -> Sequence[str]:
    """Mark the cycles in which passes may have been given after a backup, and return them.

    Those are the open ones, drafts that were ready to open, and closed ones that were not counted yet:
    who took passes is in no backup.
    """
    ready = and_(col(Cycle.state) == State.DRAFT, col(Cycle.manifest).is_not(None))
    uncounted = and_(col(Cycle.state) == State.CLOSED, col(Cycle.frame).is_(None))
    unsure = or_(col(Cycle.state) == State.OPEN, ready, uncounted)
    marked = session.exec(select(Cycle.id).where(unsure).order_by(Cycle.id)).all()
    session.exec(update(Cycle).where(unsure).values(restored=True))
    session.add(Audit(day=day, action="restored", reason=f"From the backup of {made_on}."))
    return marked


def _found(session: Session, cycle_id: str) -> Cycle:
    cycle = session.get(Cycle, cycle_id)
    if cycle is None:
        raise Problem("input", "Survey knows no cycle of this id.")
    return cycle


def _kept_until(cycle: Cycle) -> datetime | None:
    """Return until when a roster may be kept; a draft has promised nothing yet and is kept as long."""
    if cycle.manifest is None:
        return erased_from(retention(), Draft.model_validate_json(cycle.draft).options.latest_close)
    manifest = cycle.opened()
    return erased_from(manifest.retention, manifest.latest_close)


def _without_records(draft: Draft) -> Draft:
    """Return a draft without what the results file said; all else is HR's choice or in the manifest."""
    nothing = Records(
        frame=0,
        hit_share=None,
        attainment=None,
        activity_by_attainment=None,
        icc_attainment=None,
        mean_team_size=None,
        indicators=(),
        groups=(),
        notes=(),
    )
    return draft.model_copy(update={"records": nothing, "warnings": ()})


def _advance(state: State, event: Event) -> State:
    try:
        return advance(state, event)
    except InvalidTransition as error:
        raise Problem("cycle-state", str(error)) from None
