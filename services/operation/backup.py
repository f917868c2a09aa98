"""Backups: all rows of a service in one state, with the files it can't be started without.

Opening keys are never in one (promise P5), nor issuer keys, nor who took passes.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.kit.archive import Say, write_archive
from services.kit.clock import Clock
from services.kit.keys import sync_folder, write_secret
from services.kit.migrations import newest
from services.operation.chains import chains_of
from services.operation.label import ROWS, Label, digest_of, write_label
from services.operation.rooms import Room, open_room
from services.protocol.problems import Problem
from services.protocol.signed import Service
from services.survey.store import Store

ORDER: tuple[Service, ...] = ("survey", "report", "aggregate")
"""Report before aggregate: of two backups, aggregate's must not be the older one."""
FILES: tuple[str, ...] = ("identity.key", "settings.json", "hr.key")
"""What is copied of a service's folder, where it is there; nothing else ever is."""
MIX_ATTEMPTS, MIX_PAUSE_SECONDS = 10, 1.0
Pause = Callable[[float], None]


def back_up(
    folder: Path, services: Sequence[Service], to: Path, *, clock: Clock, say: Say, pause: Pause = time.sleep
) -> None:
    """Write backups of services into the new folder ``to``, which appears when it is whole.

    Works while the services run. Raises Problem; then nothing is left at ``to``.
    """
    if to.exists() or to.is_symlink():
        raise Problem("input", f"{to} exists already. A backup needs a new name.")
    rooms = [open_room(folder, service) for service in ORDER if service in services]
    building = _new_folder(to)
    try:
        for room in rooms:
            inside = building / room.service
            inside.mkdir(mode=0o700)
            _back_up_room(room, inside, clock().date().isoformat(), say, pause)
        sync_folder(building)
        building.rename(to)
        sync_folder(to.parent)
    except OSError:
        raise Problem("input", f"{to} can't be written. Is there room, and may you write there?") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def mix(room: Room, pause: Pause = time.sleep) -> None:
    """Remove the traces of order from survey's database; readers in between make it try again."""
    with room.database() as database:
        for left in reversed(range(MIX_ATTEMPTS)):
            try:
                Store(database).mix()
            except Problem as problem:
                if problem.kind != "busy" or not left:
                    raise Problem(
                        "busy", "Survey's box can't be mixed: something holds its database. Try again."
                    ) from None
                pause(MIX_PAUSE_SECONDS)
            else:
                return


def _new_folder(to: Path) -> Path:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    except OSError:
        raise Problem("input", f"{to} can't be made. Choose another place for the backup.") from None


def _back_up_room(room: Room, inside: Path, day: str, say: Say, pause: Pause) -> None:
    if room.service == "survey":
        say("survey: mixing the box")
        mix(room, pause)
    with room.snapshot() as source:
        rows = write_archive(
            source, room.copied, inside / ROWS, room.migrations, lambda words: say(f"{room.service}: {words}")
        )
        chains = chains_of(source, room.service)
    for name in FILES:
        if (room.folder / name).exists():
            write_secret(inside / name, (room.folder / name).read_bytes())
    write_label(
        inside,
        Label(
            service=room.service,
            version=newest(room.migrations),
            created=day,
            rows=rows,
            files={path.name: digest_of(path) for path in sorted(inside.iterdir())},
            chains=chains,
        ),
        room.identity,
    )
