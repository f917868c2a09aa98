"""The operator's commands: ``fairpatch upgrade | backup | restore | verify | purge | void``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.folder import SERVICES
from services.kit.clock import system_clock
from services.operation.checks import Check
from services.protocol.problems import Problem
from services.protocol.signed import Service


class One(StrEnum):
    """A service."""

    SURVEY = "survey"
    AGGREGATE = "aggregate"
    REPORT = "report"


class Some(StrEnum):
    """A service, or all three."""

    SURVEY = "survey"
    AGGREGATE = "aggregate"
    REPORT = "report"
    ALL = "all"


Folder = Annotated[Path, typer.Option("--dir", help="Folder of the services' data.")]
Owner = Annotated[
    str,
    typer.Option(help="PostgreSQL only: URL of the database as its owner, without a password in it."),
]
Cycle = Annotated[str | None, typer.Option("--cycle", help="Id of the cycle.")]


def upgrade(which: Some, folder: Folder, owner: Owner = "") -> None:
    """Bring databases to this program's version, and give each service's role its rights."""
    from services.operation.rooms import room_of
    from services.operation.upgrade import upgrade_room

    for room in [room_of(folder, service) for service in _chosen(which)]:
        _say(f"{room.service}: the database {upgrade_room(room, owner).words}.")


def backup(
    which: Some,
    folder: Folder,
    to: Annotated[Path, typer.Option(help="A new folder; it appears when the backup is whole.")],
) -> None:
    """Write a backup while the services run. It is as secret as the host it came from."""
    from services.operation.backup import back_up

    back_up(folder, _chosen(which), to, clock=system_clock, say=_say)
    _say(f"The backup is whole: {to}")


def restore(
    which: One,
    source: Annotated[Path, typer.Option("--from", help="Folder of a backup.")],
    folder: Folder,
    chain_head: Annotated[
        list[str] | None,
        typer.Option(help="Aggregate and report: newest release of each company, or 'none'. Repeat it."),
    ] = None,
    behind: Annotated[
        bool, typer.Option("--behind", help="Report: take an older backup; aggregate hands on the rest.")
    ] = False,
    database: Annotated[str, typer.Option(help="URL of another database than in the backup.")] = "",
    owner: Owner = "",
) -> None:
    """Restore a service onto a host that has none."""
    from services.operation.restore import Restoring
    from services.operation.restore import restore as restore_service

    asked = Restoring(which.value, source, folder, tuple(chain_head or ()), behind, database, owner)
    for words in restore_service(asked, clock=system_clock, say=_say):
        _say(words)
    _say(f"{which.value} is restored. Check it with: fairpatch verify {which.value} --dir {folder}")


def verify(
    which: Annotated[Some, typer.Argument(help="Which services to look at.")] = Some.ALL,
    folder: Annotated[Path | None, typer.Option("--dir", help="Folder of the services' data.")] = None,
    backups: Annotated[Path | None, typer.Option("--backup", help="Folder of a backup instead.")] = None,
    deep: Annotated[bool, typer.Option(help="Verify every sheet's token and signature as well.")] = False,
) -> None:
    """Check databases, ledger, chains, receipts, box and keys; or a backup. Changes nothing."""
    from services.operation.verify import Verification, verify_backups, verify_installation

    found = Verification(_tell)
    if (folder is None) == (backups is None):
        raise Problem("input", "Say either --dir or --backup.")
    if folder is not None:
        verify_installation(folder, _there(folder, which), found, deep=deep)
    elif backups is not None:
        verify_backups(backups, found, deep=deep)
    if not found.well:
        raise Problem("conflict", "Something is wrong; the lines above say what, and what to do.")
    _say("All is well.")


def purge(
    folder: Folder,
    cycle: Cycle = None,
    due: Annotated[bool, typer.Option("--due", help="All cycles whose promised time is over.")] = False,
    owner: Owner = "",
) -> None:
    """Erase roster, sheets and results of cycles that are over, down to the bytes. Releases stay."""
    from services.operation.purge import purge as erase

    if (cycle is None) != due:
        raise Problem("input", "Say either --cycle or --due.")
    for words in erase(folder, cycle, owner=owner, clock=system_clock):
        _say(words)


def void(
    folder: Folder,
    cycle: Annotated[str, typer.Option("--cycle", help="Id of the cycle.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept. Name nobody in it.")],
) -> None:
    """Give a cycle up before its release: nothing is counted, its budget returns, its keys are destroyed."""
    from services.operation.void import make_void

    for words in make_void(folder, cycle, reason, clock=system_clock):
        _say(words)


COMMANDS = (upgrade, backup, restore, verify, purge, void)
"""What the command line adds to its own."""


def _chosen(which: Some) -> list[Service]:
    return [service for service in SERVICES if which is Some.ALL or which.value == service]


def _there(folder: Path, which: Some) -> list[Service]:
    """Return the chosen services; of all three those that are on this host."""
    if which is not Some.ALL:
        return _chosen(which)
    there = [service for service in SERVICES if (folder / service).is_dir()]
    if not there:
        raise Problem("input", f"{folder} holds no service of Fairpatch.")
    return there


def _tell(about: str, check: Check) -> None:
    _say(f"{'wrong' if check.wrong else 'ok   '}  {about}: {check.holds}")
    for words in check.wrong:
        _say(f"       {words}")


def _say(words: str) -> None:
    Console(soft_wrap=True).print(words, highlight=False, markup=False)
