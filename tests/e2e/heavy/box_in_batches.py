"""A step that only tests know: the whole box is written anew in batches, with the length of each envelope.

The steps of the services are light so far; this one shows what a heavy one does when it is cut in the middle.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "heavy", "0002"
WIDE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BATCH = 2500
READ = sa.text(
    "SELECT cycle, sheet, nonce, counter, envelope_hash, envelope FROM box"
    " WHERE (cycle, sheet, nonce) > (:cycle, :sheet, :nonce) ORDER BY cycle, sheet, nonce LIMIT :most"
)
WRITE = sa.text(
    "INSERT INTO box_anew (cycle, sheet, nonce, counter, envelope_hash, envelope, length)"
    " VALUES (:cycle, :sheet, :nonce, :counter, :envelope_hash, :envelope, :length)"
)


def upgrade() -> None:
    """Write every row into a new table, a batch at a time, and put that in the old one's place."""
    op.create_table(
        "box_anew",
        sa.Column("cycle", sa.String(), primary_key=True),
        sa.Column("sheet", sa.String(), primary_key=True),
        sa.Column("nonce", sa.LargeBinary(), primary_key=True),
        sa.Column("counter", WIDE, nullable=False),
        sa.Column("envelope_hash", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    connection, last = op.get_bind(), {"cycle": "", "sheet": "", "nonce": b""}
    while rows := connection.execute(READ, {**last, "most": BATCH}).mappings().all():
        connection.execute(WRITE, [{**row, "length": len(row["envelope"])} for row in rows])
        last = {name: rows[-1][name] for name in last}
    op.drop_table("box")
    op.rename_table("box_anew", "box")
    op.create_index("ix_box_envelope_hash", "box", ["envelope_hash"])
