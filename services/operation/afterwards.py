"""What a restore leaves to be known and done: marks in the database, and sentences for the operator."""

import json
from pathlib import Path

from sqlmodel import Session, select

from services.aggregate.settings import AggregateSettings
from services.operation.rooms import METADATA, Room
from services.survey.keeping import mark_restored

CYCLES = METADATA["aggregate"].tables["cycle"]
AUDIT = METADATA["aggregate"].tables["audit"]


def mark(room: Room, session: Session, *, made_on: str, day: str) -> list[str]:
    """Note a restore in the database it filled, and return what the operator has to know.

    ``made_on`` is the day of the backup, ``day`` today.
    """
    if room.service == "survey":
        return _survey_words(list(mark_restored(session, day, made_on)))
    if room.service == "aggregate":
        assert isinstance(room.settings, AggregateSettings)
        reason = f"From the backup of {made_on}."
        session.connection().execute(AUDIT.insert(), {"day": day, "action": "restored", "reason": reason})
        return _aggregate_words(cycles_without_keys(session, room.settings.keys_folder))
    return ["If it is behind, aggregate hands on what it lacks: at its next start, or with its next release."]


def cycles_without_keys(session: Session, keys: Path) -> dict[str, bool]:
    """Return the open cycles of aggregate, each with whether an opening key of it is missing."""
    at = CYCLES.c
    query = select(at.id, at.opening_keys).where(at.state == "open").order_by(at.id)
    rows = session.connection().execute(query)
    return {
        row.id: not all((keys / row.id / f"{sheet}.key").is_file() for sheet in json.loads(row.opening_keys))
        for row in rows
    }


def _survey_words(marked: list[str]) -> list[str]:
    said = ["Sheets that came after the backup are not in it: their reps see that, and can send them again."]
    if marked:
        said.append(
            "No passes are given out any more in these cycles, because nobody knows who has some: "
            f"{', '.join(marked)}. Who has passes can still send, replace and withdraw."
        )
    return said


def _aggregate_words(lost: dict[str, bool]) -> list[str]:
    said = ["It knows no cycle that was proposed or opened after the backup: make those void."]
    gone = [cycle for cycle, is_lost in lost.items() if is_lost]
    kept = [cycle for cycle, is_lost in lost.items() if not is_lost]
    if kept:
        said.append(f"Opening keys are on this host for: {', '.join(kept)}. They can be released.")
    if gone:
        said.append(
            "Opening keys are lost, because no backup has them: "
            f"{', '.join(gone)}. These cycles can only be made void (fairpatch void)."
        )
    return said
