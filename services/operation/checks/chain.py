"""Chains of releases: every hash, link and signature, and the receipt lists under each release's roots."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError
from sqlalchemy import Connection, RowMapping, Table, select

from services.aggregate.core.receiptlist import LINE_BYTES, bucket_root
from services.operation.checks import Check, check
from services.protocol.receipts import OUTCOMES, list_digits, prefixes, root_over
from services.protocol.release import FIRST, InvalidRelease, Release, SheetTotals, parse
from services.protocol.signed import InvalidSignedDocument, SignedDocument, check_document

RESTORE = "Restore the newest backup."
TEXT = {"aggregate": "document", "report": "signed"}
"""The column of the signed document, by service."""


def check_chains(
    connection: Connection, tables: Mapping[str, Table], service: str, key: bytes
) -> list[Check]:
    """Check all releases of aggregate or report; ``key`` is aggregate's public key."""
    at = tables["release"].c
    query = select(tables["release"]).order_by(at.company, at.sequence)
    rows = connection.execute(query).mappings().all()
    wrong = [said for row in rows for said in _document(row, row[TEXT[service]], key)]
    return [
        check("every release has its hash and aggregate's signature", wrong),
        check("every company's releases are one unbroken chain", list(_links(rows))),
    ]


def check_receipts(connection: Connection, tables: Mapping[str, Table]) -> Check:
    """Check the receipt lists of aggregate against the roots inside its signed releases."""
    releases = connection.execute(select(tables["release"].c.document)).scalars().all()
    wrong = []
    for document in releases:
        release = _read(document)
        if release is not None:
            digits = list_digits(totals.received for totals in release.sheets.values())
            for sheet, totals in release.sheets.items():
                if not _fits(connection, tables["receipt_bucket"], release.cycle, sheet, totals, digits):
                    wrong.append(
                        f"The receipts of {sheet} in cycle {release.cycle} are not those of its release."
                    )
    return check("the receipt lists are those of the releases", [f"{said} {RESTORE}" for said in wrong])


def heads(connection: Connection, releases: Table) -> dict[str, tuple[str, int]]:
    """Return the newest release of each company and its place."""
    at = releases.c
    query = select(at.company, at.hash, at.sequence).where(at.sequence.is_not(None)).order_by(at.sequence)
    return {row.company: (row.hash, row.sequence) for row in connection.execute(query)}


def hashes(connection: Connection, releases: Table) -> set[str]:
    """Return the hashes of all releases."""
    return set(connection.execute(select(releases.c.hash)).scalars())


def _document(row: RowMapping, text: str, key: bytes) -> Iterator[str]:
    release = _read(text)
    name = f"The release of cycle {row['cycle']}"
    if release is None:
        yield f"{name} can't be read. {RESTORE}"
        return
    fields = (release.cycle, release.company, release.hash().hex(), release.previous)
    if fields != (row["cycle"], row["company"], row["hash"], row["previous"]):
        yield f"{name} is not the one that its row names. {RESTORE}"
    try:
        check_document(SignedDocument.model_validate_json(text), "release", {"aggregate": key})
    except (InvalidSignedDocument, ValidationError):
        yield f"{name} is not signed by aggregate's identity. Is this the right key, and the right database?"


def _links(rows: Sequence[RowMapping]) -> Iterator[str]:
    expected: dict[str, tuple[int, str]] = {}
    for row in rows:
        if row["sequence"] is None:
            continue
        place, previous = expected.get(row["company"], (1, FIRST))
        if (row["sequence"], row["previous"]) != (place, previous):
            yield f"The release of cycle {row['cycle']} does not follow the one before it. {RESTORE}"
        expected[row["company"]] = (row["sequence"] + 1, row["hash"])


def _fits(
    connection: Connection, buckets: Table, cycle: str, sheet: str, totals: SheetTotals, digits: int
) -> bool:
    """Read a list bucket by bucket; return whether root and totals are those of the release."""
    at = buckets.c
    query = select(at.prefix, at.lines).where(at.cycle == cycle, at.sheet == sheet)
    roots = dict.fromkeys(prefixes(digits), bucket_root(b""))
    outcomes = [0] * len(OUTCOMES)
    for row in connection.execute(query, execution_options={"yield_per": 64}):
        lines = bytes(row.lines)
        if row.prefix not in roots or not _in_order(lines, row.prefix):
            return False
        roots[row.prefix] = bucket_root(lines)
        for at_byte in range(LINE_BYTES - 1, len(lines), LINE_BYTES):
            outcomes[lines[at_byte]] += 1
    expected = [totals.counted, totals.withdrawn, sum(totals.rejected.values())]
    return outcomes == expected and root_over(list(roots.values())).hex() == totals.receipts_root


def _in_order(lines: bytes, prefix: str) -> bool:
    """Return whether a bucket holds whole lines with known outcomes, in order, all under its prefix."""
    each = [lines[start : start + LINE_BYTES] for start in range(0, len(lines), LINE_BYTES)]
    return (
        len(lines) % LINE_BYTES == 0
        and each == sorted(each)
        and all(line.hex().startswith(prefix) and line[-1] < len(OUTCOMES) for line in each)
    )


def _read(text: str) -> Release | None:
    try:
        return parse(SignedDocument.model_validate_json(text).document)
    except (ValidationError, InvalidRelease, ValueError):
        return None
