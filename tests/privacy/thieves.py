"""What a thief of a PostgreSQL server takes: every file below the data folder, its log, its views, a dump."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.postgres import Server
from tests.privacy.linking import CYCLE, MARK, REPS, Stolen, Traces, values_in

PAGE = 8192
TABLES = ("issuance", "box")
FILES = (
    "SELECT c.relname, pg_relation_filepath(c.oid) FROM pg_class c"
    " LEFT JOIN pg_index i ON i.indexrelid = c.oid"
    " WHERE coalesce(i.indrelid, c.oid)::regclass::text = ANY (ARRAY['issuance', 'box'])"
    " UNION ALL SELECT 'toast of ' || relname, pg_relation_filepath(reltoastrelid) FROM pg_class"
    " WHERE relname = 'box' AND reltoastrelid <> 0"
)
Found = Mapping[str, list[tuple[int, bytes]]]
"""Marked values with their offsets, by file."""
Row = tuple[Any, ...]
"""Place, transaction and pass or nonce of a row."""


@dataclass(frozen=True)
class Theft:
    """All that was taken at one moment."""

    found: Found
    spelled: frozenset[str]
    """Files that hold a marked value in letters."""
    own: Mapping[str, str]
    """Files of the two tables and their indexes, by name."""
    pages: Mapping[str, bytes]
    """Content of those files, by name."""
    rows: Mapping[str, list[Row]]
    """By table, in the order in which a query gives them."""
    dump: str

    @property
    def elsewhere(self) -> set[str]:
        """Files, other than the tables' own, in which anything of a pass or an envelope can be read."""
        return (set(self.found) | self.spelled) - set(self.own.values())


def steal(server: Server, url: str, *, checkpointed: bool) -> Theft:
    """Take everything: at once, or after the checkpointer was there, as it is every few minutes."""
    if checkpointed:
        server.execute("CHECKPOINT")
    # Files first: a query notes on the pages it reads which transactions are over, and logs such pages.
    own = {str(name): str(path) for name, path in server.execute(FILES, url)}
    contents = {str(path.relative_to(server.data)): read(path) for path in server.data.rglob("*")}
    contents["log"] = read(server.folder / "log")
    views = "SELECT a::text FROM pg_stat_activity a UNION ALL SELECT s::text FROM pg_stats s"
    contents["views"] = repr(server.execute(views, url)).encode()
    return Theft(
        found={name: found for name, data in contents.items() if (found := values_in(data))},
        spelled=frozenset(name for name, data in contents.items() if MARK.hex().encode() in data),
        own=own,
        pages={name: contents[path] for name, path in own.items() if contents[path]},
        rows={
            "issuance": server.execute("SELECT ctid::text, xmin::text, blinded_hash FROM issuance", url),
            "box": server.execute("SELECT ctid::text, xmin::text, nonce FROM box", url),
        },
        dump=dumped(server, url),
    )


def read(path: Path) -> bytes:
    """Return a file's bytes; the server may remove it meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def dumped(server: Server, url: str) -> str:
    """Return a dump of both tables, as PostgreSQL's own program makes it."""
    command = [str(server.binaries / "pg_dump"), "--data-only", "-h", str(server.folder), "-U", "postgres"]
    command += [part for table in TABLES for part in ("-t", table)] + [str(make_url(url).database)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Where each source says that a row is


def sources(theft: Theft, stolen: Stolen) -> dict[str, Traces]:
    """Return the order of passes and of envelopes, as each source tells it."""
    return {
        "places of rows": stolen.places(_from_rows(theft, lambda row: _ctid(row[0]))),
        "transactions": stolen.places(_from_rows(theft, lambda row: (int(row[1]),))),
        "order of a query": stolen.places(_in_query_order(theft)),
        "order of a dump": stolen.places(_in_dump(theft, stolen)),
        "write-ahead log": stolen.places(_in_log(theft)),
        "pages of tables": stolen.places({**_in_pages(theft, "issuance"), **_in_pages(theft, "box")}),
        "pages of indexes": _in_indexes(theft, stolen),
        "pages of long values": _in_long_values(theft, stolen),
    }


def _ctid(written: object) -> tuple[int, ...]:
    return tuple(int(part) for part in str(written).strip("()").split(","))


def _from_rows(theft: Theft, place: Callable[[Row], object]) -> dict[bytes, object]:
    return {bytes(row[2]): place(row) for table in TABLES for row in theft.rows[table]}


def _in_query_order(theft: Theft) -> dict[bytes, object]:
    return {bytes(row[2]): (place,) for table in TABLES for place, row in enumerate(theft.rows[table])}


def _in_dump(theft: Theft, stolen: Stolen) -> dict[bytes, object]:
    wanted = [*stolen.passes.values(), *stolen.owner]
    return {value: (theft.dump.index(value.hex()),) for value in wanted}


def _in_log(theft: Theft) -> dict[bytes, object]:
    places: dict[bytes, object] = {}
    for name in sorted(name for name in theft.found if name.startswith("pg_wal")):
        for at, value in theft.found[name]:
            places.setdefault(value, (int(Path(name).name, 16), at))
    return places


def _in_pages(theft: Theft, name: str) -> dict[bytes, tuple[int, int]]:
    """Return the oldest place of each value; within a page the later row lies further in front."""
    places: dict[bytes, tuple[int, int]] = {}
    for at, value in values_in(theft.pages.get(name, b"")):
        place = (at // PAGE, -(at % PAGE))
        places[value] = min(place, places.get(value, place))
    return places


def _in_indexes(theft: Theft, stolen: Stolen) -> Traces:
    """Return places within index pages, where entries lie in the order in which they were put there."""
    envelopes, issued = _in_pages(theft, "box_pkey"), theft.pages["issuance_pkey"]
    # An entry of the other index: the cycle, three bytes to the next multiple of four, the number.
    entries = {n: CYCLE.encode() + bytes(3) + n.to_bytes(4, "little") for n in range(REPS)}
    passes = {
        n: (at // PAGE, -(at % PAGE)) for n, entry in entries.items() if (at := issued.find(entry)) >= 0
    }
    return Traces(
        {number: passes.get(number, (0, 0)) for number in stolen.passes},
        {nonce: envelopes.get(nonce, (0, 0)) for nonce in stolen.owner},
    )


def _in_long_values(theft: Theft, stolen: Stolen) -> Traces:
    """Return places of envelopes that are too long for a row; passes by their rows."""
    long = _in_pages(theft, "toast of box")
    rows = stolen.places(_from_rows(theft, lambda row: _ctid(row[0])))
    envelopes = {nonce: long.get(stolen.envelopes[nonce], (0, 0)) for nonce in stolen.owner}
    return Traces(rows.passes, envelopes)


# What pages hold beside the time of their writing


def masked(theft: Theft) -> dict[str, bytes]:
    """Return the tables' pages without what tells only when they were written."""
    return {name: b"".join(_masked_pages(data, name)) for name, data in theft.pages.items()}


def _masked_pages(data: bytes, name: str) -> list[bytes]:
    pages = [bytearray(data[at : at + PAGE]) for at in range(0, len(data), PAGE)]
    for page in pages:
        # The position in the log, the checksum, and the oldest transaction that could be cleaned up.
        page[0:10], page[20:24] = bytes(10), bytes(4)
        for start in _rows_of(page) if name in TABLES else ():
            # One transaction wrote all rows: its number, and hints whether it is known to be over.
            page[start : start + 4] = bytes(4)
            page[start + 21] &= 0xF0
    return [bytes(page) for page in pages]


def _rows_of(page: bytearray) -> list[int]:
    pointers_end = int.from_bytes(page[12:14], "little")
    pointers = [int.from_bytes(page[at : at + 4], "little") for at in range(24, pointers_end, 4)]
    return [pointer & 0x7FFF for pointer in pointers if pointer >> 15 & 3 == 1]


def writers(theft: Theft) -> set[str]:
    """Return the transactions that wrote the rows there are."""
    return {row[1] for table in TABLES for row in theft.rows[table]}
