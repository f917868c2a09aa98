"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "manifest",
        sa.Column("cycle", sa.String(), primary_key=True),
        sa.Column("company", sa.String(), nullable=False, index=True),
        sa.Column("hash", sa.String(), nullable=False, unique=True),
        sa.Column("signed", sa.String(), nullable=False),
    )
    op.create_table(
        "release",
        sa.Column("cycle", sa.String(), sa.ForeignKey("manifest.cycle"), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer()),
        sa.Column("hash", sa.String(), nullable=False, unique=True),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("signed", sa.String(), nullable=False),
        sa.UniqueConstraint("company", "sequence", name="one_place_in_chain"),
    )
