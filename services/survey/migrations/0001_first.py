"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None
WIDE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "cycle",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("draft", sa.String(), nullable=False),
        sa.Column("manifest", sa.String()),
        sa.Column("closed", sa.String()),
        sa.Column("frame", sa.String()),
        sa.Column("mixed", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "member",
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("employee_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("group", sa.Integer()),
        sa.Column("attainment", sa.Integer()),
        sa.Column("activity", sa.Integer()),
        sa.Column("hit", sa.Integer()),
        sa.Column("code_hash", sa.LargeBinary(), unique=True),
    )
    op.create_table(
        "secret",
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), primary_key=True),
        sa.Column("sheet", sa.String(), primary_key=True),
        sa.Column("value", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "issuance",
        sa.Column("cycle", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("blinded_hash", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "box",
        sa.Column("cycle", sa.String(), primary_key=True),
        sa.Column("sheet", sa.String(), primary_key=True),
        sa.Column("nonce", sa.LargeBinary(), primary_key=True),
        sa.Column("counter", WIDE, nullable=False),
        sa.Column("envelope_hash", sa.LargeBinary(), nullable=False, index=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
