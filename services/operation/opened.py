"""Backups as they are read again: checked against their label, in this program's version."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, text

from services.kit.archive import open_archive
from services.kit.database import Database
from services.kit.keys import load_identity
from services.kit.migrations import newest, upgrade, version_of
from services.operation.label import ROWS, Label, check_files, check_signature, read_label
from services.operation.rooms import migrations_of
from services.protocol.problems import Problem
from services.protocol.signed import Service

UNKNOWN = (
    "This backup of {} is of version {}, which this program doesn't know. Restore it with the program that "
    "made it, or a newer one."
)
COUNTS = "The rows in this backup of {} are not as many as its label says. Use another backup."


def checked_label(backup: Path, service: Service) -> Label:
    """Return the label of a backup, after checking every file against it and the label's signature.

    The signature is that of the identity inside the backup: it shows that nothing was mixed up or damaged,
    not that whoever holds the backup left it alone.
    """
    label, signed = read_label(backup, service)
    if not {ROWS, "identity.key", "settings.json"} <= label.files.keys():
        raise Problem("input", f"The backup in {backup} lacks a file that every backup has.")
    check_files(backup, label.files)
    try:
        identity = load_identity(backup / "identity.key")
    except (OSError, ValueError):
        raise Problem("input", f"The identity key in {backup} can't be read.") from None
    check_signature(signed, service, identity.public)
    return label


@contextmanager
def current_rows(backup: Path, label: Label, scratch: Path) -> Iterator[Connection]:
    """Yield the rows of a backup in this program's version; an older one is upgraded in a copy.

    ``scratch`` is a folder for that copy, which is gone afterwards.
    """
    migrations = migrations_of(label.service)
    _check_rows(backup / ROWS, label)
    if label.version == newest(migrations):
        with open_archive(backup / ROWS) as rows:
            yield rows
        return
    with TemporaryDirectory(prefix=".upgrading-", dir=scratch) as folder:
        copy = Path(copyfile(backup / ROWS, Path(folder) / ROWS))
        _upgrade(copy, label, migrations)
        with open_archive(copy) as rows:
            yield rows


def releases_in(backup: Path) -> Sequence[str]:
    """Return the hashes of all releases in a backup of aggregate or report, of whichever version."""
    with open_archive(backup / ROWS) as rows:
        return rows.execute(text("SELECT hash FROM release")).scalars().all()


def _check_rows(path: Path, label: Label) -> None:
    with open_archive(path) as rows:
        if version_of(rows) != label.version:
            raise Problem("conflict", COUNTS.format(label.service))
        known = {
            name for (name,) in rows.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'"))
        }
        for name, count in label.rows.items():
            # Only names that are there become part of a statement.
            query = f"SELECT count(*) FROM {name}"  # noqa: S608
            if name not in known or rows.execute(text(query)).scalar_one() != count:
                raise Problem("conflict", COUNTS.format(label.service))


def _upgrade(copy: Path, label: Label, migrations: Path) -> None:
    database = Database(f"sqlite:///{copy}")
    try:
        upgrade(database, migrations)
    except Problem:
        raise Problem("conflict", UNKNOWN.format(label.service, label.version)) from None
    finally:
        database.close()
