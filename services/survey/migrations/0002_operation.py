"""What operation needs: whether a cycle came out of a backup, and a list of what operators did."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("cycle", sa.Column("restored", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("cycle", sa.String()),
        sa.Column("reason", sa.String()),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'rows are only ever added'); END"
            )
