"""No samples of what is in rows: PostgreSQL keeps some values of each column for its planner.

They would outlive their rows: who took passes after the close, names after a purge. And while a cycle is
open they say which passes and sheets there were at one moment, which mixing doesn't reach.
"""

from alembic import op

revision, down_revision = "0003", "0002"
UNSAMPLED = {
    "cycle": ("draft", "manifest", "frame"),
    "member": (
        "number",
        "employee_id",
        "email",
        "language",
        "group",
        "attainment",
        "activity",
        "hit",
        "code_hash",
    ),
    "secret": ("value", "secret"),
    "issuance": ("number", "blinded_hash"),
    "box": ("nonce", "counter", "envelope_hash", "envelope"),
}


def upgrade() -> None:
    """Have PostgreSQL take no samples of these columns."""
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in UNSAMPLED.items():
            for column in columns:
                op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STATISTICS 0')
