"""Restoring a backup onto an empty host: checked whole, loaded whole, and never an older ledger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import IntegrityError

from services.folder import KINDS
from services.kit.archive import Say, count_rows, load_archive
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.keys import sync_folder, write_secret
from services.kit.migrations import upgrade
from services.kit.settings import (
    FILE,
    PASSWORD_IN_URL,
    ServiceSettings,
    holds_password,
    load_settings,
    read_url,
    save_settings,
)
from services.operation.afterwards import mark
from services.operation.backup import FILES
from services.operation.chains import check_heads
from services.operation.label import Label
from services.operation.opened import checked_label, current_rows, releases_in
from services.operation.rooms import Room
from services.operation.upgrade import require_role
from services.protocol.problems import Problem
from services.protocol.signed import Service

RULE_BROKEN = (
    "The rows in this backup break a rule of the database. Nothing was restored; use another backup."
)
NO_PLACE = (
    "{} can't be restored to {}: a file can't be written there, or where the database should lie. Is there "
    "room, and may you write there?"
)
NOT_EMPTY = "{} holds something already. Restore to an empty database, on a host that has none."


@dataclass(frozen=True)
class Restoring:
    """What is to be restored: which service, from which backup, to which folder and database."""

    service: Service
    backups: Path
    folder: Path
    heads: Sequence[str] = ()
    behind: bool = False
    database: str = ""
    owner: str = ""

    @property
    def backup(self) -> Path:
        """The folder of this service's backup."""
        return self.backups / self.service

    @property
    def target(self) -> Path:
        """The folder of the service."""
        return self.folder / self.service


def restore(asked: Restoring, *, clock: Clock, say: Say) -> list[str]:
    """Restore a service; return what its operator has to know. Raises Problem; then nothing was changed."""
    label = checked_label(asked.backup, asked.service)
    settings = _settings(asked)
    room = Room(asked.service, settings)
    _check_heads(asked, label)
    _refuse_other_files(asked)
    room.owner_url(asked.owner)
    with _new_folder(asked.target):
        with (
            current_rows(asked.backup, label, asked.target) as rows,
            _empty_database(room, asked.owner) as database,
        ):
            words = _load(room, rows, database, label, clock().date().isoformat(), say)
            for name in FILES:
                if name != FILE and name in label.files and not (asked.target / name).exists():
                    write_secret(asked.target / name, (asked.backup / name).read_bytes())
        # Last of all: without settings nothing starts.
        save_settings(settings)
        sync_folder(asked.target)
    return words


@contextmanager
def _new_folder(target: Path) -> Iterator[None]:
    """Have a folder; one that was made for this is gone again if the restore breaks off."""
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except BaseException as error:
        if made:
            rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise Problem("input", NO_PLACE.format(target.name, target)) from None
        raise


def _settings(asked: Restoring) -> ServiceSettings:
    """Return the settings of the restored service: those of the host, if it has some, else the backup's."""
    kept = (asked.target / FILE).exists()
    settings = load_settings(KINDS[asked.service], asked.target if kept else asked.backup)
    settings = settings.model_copy(update={"folder": asked.target})
    if not asked.database:
        return settings
    if holds_password(asked.database):
        raise Problem("input", f"--database holds a password. {PASSWORD_IN_URL}")
    if read_url(asked.database) is None:
        raise Problem("input", "--database is not the URL of a database.")
    return settings.model_copy(update={"database": asked.database})


def _refuse_other_files(asked: Restoring) -> None:
    """Refuse a folder with another identity or HR key: it belongs to another installation."""
    for name in FILES:
        there = asked.target / name
        if name != FILE and there.exists() and there.read_bytes() != (asked.backup / name).read_bytes():
            raise Problem("conflict", f"{there} is not the one in the backup. Choose an empty folder.")


def _check_heads(asked: Restoring, label: Label) -> None:
    if asked.service == "survey":
        if asked.heads or asked.behind:
            raise Problem("input", "--chain-head and --behind are for aggregate and report.")
        return
    if asked.behind and asked.service != "report":
        raise Problem("input", "--behind is for report only: an older ledger would forget spent budget.")
    check_heads(label, releases_in(asked.backup), asked.heads, behind=asked.behind)


@contextmanager
def _empty_database(room: Room, owner: str) -> Iterator[Database]:
    """Yield an empty database with the service's tables; a file gets its name only when all went well."""
    file = room.database_file
    if file is None:
        with room.as_owner(owner) as database:
            _refuse_rows(room, database)
            upgrade(database, room.migrations, grants=room.grants, role=room.role)
            yield database
        return
    if file.exists():
        raise Problem("conflict", NOT_EMPTY.format(file))
    building = file.with_name(f".{file.name}.restoring")
    _remove(building)
    database = Database(f"sqlite:///{building}")
    try:
        upgrade(database, room.migrations)
        yield database
        database.close()
        # A link, not a rename: a database that was made meanwhile is not replaced.
        file.hardlink_to(building)
    except FileExistsError:
        raise Problem("conflict", NOT_EMPTY.format(file)) from None
    finally:
        database.close()
        _remove(building)


def _refuse_rows(room: Room, database: Database) -> None:
    with database.reading() as session:
        connection = session.connection()
        require_role(connection, room.role)
        present = set(inspect(connection).get_table_names())
        filled = count_rows(connection, [table for table in room.tables if table.name in present])
    if any(filled.values()):
        raise Problem("conflict", NOT_EMPTY.format(f"The database of {room.service}"))


def _load(room: Room, rows: Connection, database: Database, label: Label, day: str, say: Say) -> list[str]:
    """Write all rows in one transaction, with the marks of a restore; return what is to be known of it."""
    try:
        with database.transaction() as session:
            loaded = load_archive(rows, session.connection(), room.tables, say)
            if loaded != count_rows(rows, room.tables):
                raise Problem("conflict", RULE_BROKEN)
            return mark(room, session, made_on=label.created, day=day)
    except IntegrityError:
        raise Problem("conflict", RULE_BROKEN) from None


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
