"""What operation needs: receipt lists by bucket, and a list of what operators did.

The rules of the wire are repeated here, as they were when the old rows were written: a step that has run
somewhere must not change with the program.
"""

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

ADDED_ONLY = ("ledger_line", "release", "audit")
OUTCOMES = {"counted": 0, "withdrawn": 1, "rejected": 2}
WHOLE_LIST_UP_TO, BUCKET_AT_LEAST, HASH_DIGITS = 4096, 256, 64

RELEASES = sa.text("SELECT cycle, document FROM release ORDER BY cycle")
LINES = sa.text(
    "SELECT sheet, hash, outcome FROM receipt_list WHERE cycle = :cycle AND hash BETWEEN :low AND :high"
)
BUCKET = sa.text(
    "INSERT INTO receipt_bucket (cycle, sheet, prefix, lines) VALUES (:cycle, :sheet, :prefix, :lines)"
)


def upgrade() -> None:
    """Put the lines of each bucket into one row, and add the audit."""
    op.create_table(
        "receipt_bucket",
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), primary_key=True),
        sa.Column("sheet", sa.String(), primary_key=True),
        sa.Column("prefix", sa.String(), primary_key=True),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
    )
    _convert(op.get_bind())
    op.drop_table("receipt_list")
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("cycle", sa.String()),
        sa.Column("reason", sa.String()),
    )
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes()


def _refuse_changes() -> None:
    """On PostgreSQL the service's role has no right to change these rows; SQLite has no roles."""
    for table in ADDED_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'rows are only ever added'); END"
            )


def _convert(connection: sa.Connection) -> None:
    for cycle, document in connection.execute(RELEASES).all():
        sheets = json.loads(document)["document"]["sheets"]
        for prefix in _prefixes(_digits(min(totals["received"] for totals in sheets.values()))):
            for sheet, lines in _bucket(connection, cycle, prefix).items():
                packed = b"".join(sorted(lines))
                connection.execute(
                    BUCKET, {"cycle": cycle, "sheet": sheet, "prefix": prefix, "lines": packed}
                )


def _bucket(connection: sa.Connection, cycle: str, prefix: str) -> dict[str, list[bytes]]:
    low, high = (bytes.fromhex(prefix.ljust(HASH_DIGITS, end)) for end in "0f")
    lines: dict[str, list[bytes]] = {}
    for sheet, hashed, outcome in connection.execute(LINES, {"cycle": cycle, "low": low, "high": high}):
        lines.setdefault(sheet, []).append(bytes(hashed) + bytes([OUTCOMES[outcome]]))
    return lines


def _digits(shortest: int) -> int:
    digits = 0
    while shortest > WHOLE_LIST_UP_TO and shortest // 16 ** (digits + 1) >= BUCKET_AT_LEAST:
        digits += 1
    return digits


def _prefixes(digits: int) -> list[str]:
    return [f"{number:0{digits}x}" if digits else "" for number in range(16**digits)]
