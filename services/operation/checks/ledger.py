"""The ledger: accounts are the sums of their lines, no cap is passed, every line has one fate."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, Table, select

from services.operation.checks import Check, check

FATE = {"open": "reserved", "released": "committed", "void": "void"}
"""What has to have become of a cycle's lines, by its state."""
WHAT_TO_DO = "Stop aggregate and restore the newest backup."
Key = tuple[str, int, str]


def check_ledger(connection: Connection, tables: Mapping[str, Table]) -> list[Check]:
    """Check the ledger of aggregate."""
    accounts, lines, cycles = (
        connection.execute(select(tables[name])).mappings().all()
        for name in ("ledger_account", "ledger_line", "cycle")
    )
    return [
        check("every account is the sum of its lines", _sums(accounts, lines)),
        check("no account is above its cap", _caps(accounts)),
        check("every line was reserved once and then committed or given back, at most once", _fates(lines)),
        check("what became of each cycle's budget fits the cycle", _states(cycles, lines)),
    ]


def _sums(accounts: Sequence[RowMapping], lines: Sequence[RowMapping]) -> list[str]:
    reserved, committed = Counter[tuple[Key, str]](), Counter[tuple[Key, str]]()
    for line in lines:
        key = (line["company"], line["year"], line["account"])
        amounts = {"micro": line["micro"], "delta_pico": line["delta_pico"]}
        for unit, amount in amounts.items():
            # Whatever was committed or given back is no longer reserved.
            reserved[key, unit] += amount if line["event"] == "reserved" else -amount
            committed[key, unit] += amount if line["event"] == "committed" else 0
    wrong, known = [], set[Key]()
    for row in accounts:
        key = (row["company"], row["year"], row["account"])
        known.add(key)
        for unit in ("micro", "delta_pico"):
            found = (row[f"reserved_{unit}"], row[f"committed_{unit}"])
            if found != (reserved[key, unit], committed[key, unit]):
                wrong.append(f"The account {_name(row)} is not the sum of its lines ({unit}). {WHAT_TO_DO}")
    lone = {key for key, _ in reserved} - known
    return wrong + [f"Lines of {year} have no account '{account}'. {WHAT_TO_DO}" for _, year, account in lone]


def _caps(accounts: Sequence[RowMapping]) -> list[str]:
    return [
        f"The account {_name(row)} is above its cap ({unit}). {WHAT_TO_DO}"
        for row in accounts
        for unit in ("micro", "delta_pico")
        if row[f"reserved_{unit}"] + row[f"committed_{unit}"] > row[f"cap_{unit}"]
    ]


def _fates(lines: Sequence[RowMapping]) -> list[str]:
    wrong = []
    for (cycle, account, _), events in _by_key(lines).items():
        names = [line["event"] for line in events]
        amounts = {(line["micro"], line["delta_pico"], line["company"], line["year"]) for line in events}
        if names.count("reserved") != 1 or len(names) > 2 or len(amounts) != 1:
            wrong.append(f"The '{account}' lines of cycle {cycle} contradict each other. {WHAT_TO_DO}")
    return wrong


def _states(cycles: Sequence[RowMapping], lines: Sequence[RowMapping]) -> list[str]:
    states = {row["id"]: row["state"] for row in cycles}
    fates: dict[str, set[str]] = {cycle: set() for cycle in states}
    for (cycle, _, _), events in _by_key(lines).items():
        last = [line["event"] for line in events if line["event"] != "reserved"]
        fates.setdefault(cycle, set()).add(last[0] if last else "reserved")
    return [
        f"Cycle {cycle} is {states.get(cycle, 'unknown')}, its budget isn't. {WHAT_TO_DO}"
        for cycle, found in sorted(fates.items())
        if found != {FATE.get(states.get(cycle, ""), "")}
    ]


def _by_key(lines: Sequence[RowMapping]) -> dict[tuple[str, str, str], list[RowMapping]]:
    grouped: dict[tuple[str, str, str], list[RowMapping]] = {}
    for line in lines:
        grouped.setdefault((line["cycle"], line["account"], line["key"]), []).append(line)
    return grouped


def _name(row: RowMapping) -> str:
    return f"'{row['account']}' of {row['year']}"
