"""Checking what is stored: in the databases of an installation, or inside backups. Changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection

from services.folder import KINDS
from services.kit.integrity import Unreadable, faults
from services.kit.keys import load_identity
from services.kit.settings import ServiceSettings, load_settings
from services.operation.backup import ORDER
from services.operation.checks import Check, check
from services.operation.checks.box import check_box
from services.operation.checks.chain import check_chains, check_receipts, hashes, heads
from services.operation.checks.keys import check_files, check_keys, check_peers
from services.operation.checks.ledger import check_ledger
from services.operation.opened import checked_label, current_rows
from services.operation.rooms import METADATA, Room, open_room, tables_of
from services.protocol.problems import Problem
from services.protocol.signed import Service

Keys = Mapping[Service, bytes]
WHOLE = "its database is whole"
RESTORE = "Stop the service and restore the newest backup."


@dataclass(frozen=True)
class Chains:
    """Newest release and place by company, and the hashes of all releases of one database."""

    heads: Mapping[str, tuple[str, int]]
    hashes: frozenset[str]


class Verification:
    """Tells each check as it is done, and remembers whether all was well and what has to be compared."""

    def __init__(self, tell: Callable[[str, Check], None]) -> None:
        self._tell, self.well = tell, True
        self.chains: dict[Service, Chains] = {}

    def add(self, about: str, *checks: Check) -> None:
        """Tell checks of a service."""
        for each in checks:
            self.well &= not each.wrong
            self._tell(about, each)


def verify_installation(
    folder: Path, services: Sequence[Service], report: Verification, *, deep: bool
) -> None:
    """Check services and, where both are there, aggregate's chains against report's."""
    # Report before aggregate: a release that comes meanwhile is then at most missing in report.
    rooms = [open_room(folder, service) for service in ORDER if service in services]
    public = {room.service: room.identity.public for room in rooms}
    for room in rooms:
        report.add(room.service, check_files(room.settings), check_peers(room.settings, public))
        try:
            _verify_room(room, report, deep=deep)
        except Problem as problem:
            report.add(room.service, check("its database can be read", [str(problem)]))
    _compare(report, level=True)


def verify_backups(folder: Path, report: Verification, *, deep: bool) -> None:
    """Check every backup in a folder."""
    services = [service for service in ORDER if (folder / service).is_dir()]
    if not services:
        raise Problem("input", f"{folder} holds no backup of a service.")
    for service in services:
        try:
            _verify_backup(folder / service, service, report, deep=deep)
        except Problem as problem:
            report.add(service, check("the backup is whole", [str(problem)]))
    _compare(report, level=False)


def _verify_room(room: Room, report: Verification, *, deep: bool) -> None:
    with room.snapshot() as connection:
        keys = _keys(room.settings, room.identity.public)
        if _verify_rows(room.service, connection, keys, report, deep=deep):
            checks = check_keys(connection, METADATA[room.service].tables, room.settings)
            report.add(room.service, *checks)


def _verify_backup(backup: Path, service: Service, report: Verification, *, deep: bool) -> None:
    label = checked_label(backup, service)
    report.add(service, check(f"the backup of {label.created} is whole, as its label says", []))
    settings = load_settings(KINDS[service], backup)
    keys = _keys(settings, load_identity(backup / "identity.key").public)
    with TemporaryDirectory() as scratch, current_rows(backup, label, Path(scratch)) as connection:
        _verify_rows(service, connection, keys, report, deep=deep)


def _verify_rows(
    service: Service, connection: Connection, keys: Keys, report: Verification, *, deep: bool
) -> bool:
    """Check the rows of a service; False if its database is too damaged for that."""
    tables = METADATA[service].tables
    try:
        damaged = faults(connection, tables_of(service))
    except Unreadable as unreadable:
        report.add(service, check(WHOLE, [f"{unreadable} {RESTORE}"]))
        return False
    report.add(service, check(WHOLE, [f"{said} {RESTORE}" for said in damaged]))
    if service == "survey":
        report.add(service, *check_box(connection, tables, keys, deep=deep))
        return True
    report.add(service, *check_chains(connection, tables, service, keys["aggregate"]))
    if service == "aggregate":
        report.add(service, *check_ledger(connection, tables), check_receipts(connection, tables))
    releases = tables["release"]
    report.chains[service] = Chains(heads(connection, releases), frozenset(hashes(connection, releases)))
    return True


def _compare(report: Verification, *, level: bool) -> None:
    """Compare report's chains with aggregate's; ``level`` wants them equal, else report may be behind."""
    if {"aggregate", "report"} <= report.chains.keys():
        ledger, shown = report.chains["aggregate"], report.chains["report"]
        wrong = [
            f"Report holds a release of '{company}' that aggregate doesn't: aggregate's database is "
            "an older one. Restore its newest backup."
            for company, (head, _) in sorted(shown.heads.items())
            if head not in ledger.hashes
        ]
        behind = [
            company for company, head in sorted(ledger.heads.items()) if shown.heads.get(company) != head
        ]
        if level and not wrong and behind:
            companies = ", ".join(f"'{company}'" for company in behind)
            wrong.append(f"Report lacks releases of {companies}. Aggregate hands them on while both run.")
        holds = "report's chains are aggregate's" if level else "report's chains are part of aggregate's"
        report.add("aggregate and report", check(holds, wrong))


def _keys(settings: ServiceSettings, own: bytes) -> dict[Service, bytes]:
    """Return the public keys of all three services, as one of them knows them."""
    peers: dict[Service, bytes] = {name: peer.public for name, peer in settings.peers.items()}
    return {**peers, settings.service: own}
