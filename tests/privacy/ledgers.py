"""What stands in aggregate's ledger, read as an operator would, and checked against itself."""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from services.aggregate.core.charges import company_key
from services.aggregate.tables import METADATA
from services.kit.database import Database
from services.protocol.release import Release
from tests.flow.aggregate.world import World
from tests.stores import LENDER

Rows = dict[str, list[dict[str, object]]]
Sums = tuple[int, int]
"""Reserved and committed [micro-epsilon]."""


@dataclass(frozen=True)
class Books:
    """The ledger: sums per account as they stand there, and the events of every line."""

    accounts: dict[tuple[str, str], Sums]
    caps: dict[tuple[str, str], int]
    lines: dict[tuple[str, str], tuple[str, int, frozenset[str]]]
    """By cycle and account: company, charge and events."""


def books(world: World) -> Books:
    """Return the books, after checking that no event stands twice."""
    query = LENDER.query
    found = query(
        world.folder,
        "aggregate",
        "SELECT company, account, reserved_micro, committed_micro, cap_micro FROM ledger_account",
    )
    lines = query(
        world.folder, "aggregate", "SELECT cycle, account, company, micro, event, key FROM ledger_line"
    )
    assert len(lines) == len(set(lines)), "an event of the ledger stands twice"
    events: dict[tuple[str, str], list[tuple[object, ...]]] = {}
    for cycle, account, *rest in lines:
        events.setdefault((str(cycle), str(account)), []).append(tuple(rest))
    return Books(
        accounts={(str(c), str(a)): (int(str(r)), int(str(m))) for c, a, r, m, _ in found},
        caps={(str(c), str(a)): int(str(cap)) for c, a, _, _, cap in found},
        lines={
            line: (str(rest[0][0]), int(str(rest[0][1])), frozenset(str(one[2]) for one in rest))
            for line, rest in events.items()
        },
    )


def check_books(found: Books) -> None:
    """Check that accounts are the sums of their lines, and that no cap is passed."""
    reserved: Counter[tuple[str, str]] = Counter()
    committed: Counter[tuple[str, str]] = Counter()
    for (_, account), (company, micro, events) in found.lines.items():
        assert "reserved" in events, "a line begins with its reservation"
        assert not {"committed", "void"} <= events, "a line ends once"
        if "committed" in events:
            committed[company, account] += micro
        elif "void" not in events:
            reserved[company, account] += micro
    for name, sums in found.accounts.items():
        assert sums == (reserved[name], committed[name]), "an account is the sum of its lines"
        assert sum(sums) <= found.caps[name], "no account passes its cap"
    assert set(reserved) | set(committed) <= set(found.accounts), "a charge without an account"


def spent_by_releases(releases: list[Release]) -> dict[tuple[str, str], int]:
    """Return what the releases that were ever published cost, by company and account."""
    spent: Counter[tuple[str, str]] = Counter()
    for release in releases:
        for line in release.ledger:
            spent[company_key(release.company), line.account] += line.epsilon_micro
    return dict(spent)


@dataclass(frozen=True)
class Backup:
    """A copy of aggregate's database, and what it knows."""

    folder: Path
    rows: Rows
    releases: frozenset[str]
    companies: frozenset[str]


def save(world: World, folder: Path) -> Backup:
    """Take a backup as the installation does: the file of SQLite, or the rows of PostgreSQL."""
    folder.mkdir()
    rows: Rows = {}
    database = Database(owner_url(world))
    try:
        with database.engine.connect() as connection:
            if database.is_sqlite:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql(f"VACUUM INTO '{folder / 'copy.db'}'")
                connection.exec_driver_sql("BEGIN")
            else:
                for table in METADATA.sorted_tables:
                    rows[table.name] = [dict(row) for row in connection.execute(table.select()).mappings()]
    finally:
        database.close()
    query = LENDER.query
    hashes = query(world.folder, "aggregate", "SELECT hash FROM release")
    companies = query(world.folder, "aggregate", "SELECT company FROM cycle")
    return Backup(folder, rows, frozenset(str(h) for (h,) in hashes), frozenset(str(c) for (c,) in companies))


def restore(world: World, backup: Backup) -> None:
    """Put a copy in place of the database, as an operator who restores a backup does."""
    for opened in world.databases:
        opened.close()
    if LENDER.kind == "sqlite":
        file = world.folder / "aggregate.db"
        for name in ("-wal", "-shm"):
            file.with_name(file.name + name).unlink(missing_ok=True)
        shutil.copyfile(backup.folder / "copy.db", file)
        return
    database = Database(owner_url(world))
    try:
        with database.engine.begin() as connection:
            names = ", ".join(table.name for table in METADATA.sorted_tables)
            connection.exec_driver_sql(f"TRUNCATE {names}")
            for table in METADATA.sorted_tables:
                if backup.rows[table.name]:
                    connection.execute(table.insert(), backup.rows[table.name])
    finally:
        database.close()


def owner_url(world: World) -> str:
    """Return the database's URL with all rights."""
    url = LENDER.url(world.folder, "aggregate")
    if LENDER.kind == "sqlite":
        return url
    return LENDER.server.url(LENDER._lent[world.folder.resolve(), "aggregate"])
