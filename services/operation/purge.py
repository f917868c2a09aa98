"""Erasing what survey knows of people in cycles that are over, down to the bytes of its database."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import OperationalError

from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.migrations import require_current
from services.operation.backup import Pause, mix
from services.operation.rooms import Room, open_room
from services.protocol.problems import Problem
from services.survey.core.cycle import State
from services.survey.issuers import IssuerFolder
from services.survey.keeping import Keeping
from services.survey.settings import SurveySettings

SCRAPED = ("cycle", "member", "secret")
"""Tables with rows that mixing doesn't write anew."""
BACKUPS = "Backups made before still hold all of it: delete them."


def purge(
    folder: Path,
    cycle: str | None,
    *,
    owner: str = "",
    clock: Clock,
    pause: Pause = time.sleep,
) -> list[str]:
    """Erase one cycle, or without one all whose promised time is over; say what was done. Safe to repeat.

    PostgreSQL frees the bytes of deleted rows for a table's owner only, so ``owner`` is needed there.
    """
    room = open_room(folder, "survey")
    room.owner_url(owner)
    assert isinstance(room.settings, SurveySettings)
    with room.database() as database:
        require_current(database, room.migrations)
        keeping, now = Keeping(database), clock()
        chosen, said = ([cycle], []) if cycle is not None else _due(keeping, now)
        states = {each: keeping.strip(each) for each in chosen}
        for each in states:
            IssuerFolder(room.settings.issuer_keys).destroy(each)
        if states:
            # Before they are marked: a purge that breaks off finds them again.
            _free(room, owner, pause)
        for each in states:
            keeping.mark_erased(each, now.date().isoformat())
    said += [
        f"Cycle {each} {'was erased before' if state == State.ERASED else 'is erased'}."
        for each, state in states.items()
    ]
    return [*said, BACKUPS] if states else said


def _due(keeping: Keeping, now: datetime) -> tuple[Sequence[str], list[str]]:
    chosen, unfinished = keeping.due(now)
    said = [f"Cycle {each} is kept longer than promised: release it, or make it void." for each in unfinished]
    return chosen, said if chosen or said else ["No cycle is due."]


def _free(room: Room, owner: str, pause: Pause) -> None:
    """Leave no bytes of deleted rows in the database's files and logs."""
    if not room.is_sqlite:
        with room.as_owner(owner) as database:
            _scrape(database)
    # Box and issuance are written anew; on SQLite the whole file is.
    mix(room, pause)


def _scrape(database: Database) -> None:
    try:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in SCRAPED:
                connection.exec_driver_sql(f"VACUUM (FULL) {table}")
    except OperationalError:
        raise Problem("busy", "Something holds survey's tables. Run the command again.") from None
