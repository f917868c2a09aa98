"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None
WIDE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _cycles()
    _ledger()
    _releases()


def _cycles() -> None:
    op.create_table(
        "cycle",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("company", sa.String(), nullable=False, index=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposal", sa.String(), nullable=False),
        sa.Column("opening_keys", sa.String(), nullable=False),
        sa.Column("manifest", sa.String()),
        sa.Column("commitments", sa.String()),
        sa.Column("void_reason", sa.String()),
        sa.CheckConstraint("state IN ('open', 'released', 'void')", name="cycle_state"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("company", sa.String(), primary_key=True),
        sa.Column("year", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(), primary_key=True),
        *(
            sa.Column(name, WIDE, nullable=False)
            for name in (
                "cap_micro",
                "cap_delta_pico",
                "reserved_micro",
                "committed_micro",
                "reserved_delta_pico",
                "committed_delta_pico",
            )
        ),
        sa.CheckConstraint("reserved_micro >= 0 AND committed_micro >= 0", name="no_debt"),
        sa.CheckConstraint("reserved_delta_pico >= 0 AND committed_delta_pico >= 0", name="no_delta_debt"),
        sa.CheckConstraint("reserved_micro + committed_micro <= cap_micro", name="epsilon_cap"),
        sa.CheckConstraint("reserved_delta_pico + committed_delta_pico <= cap_delta_pico", name="delta_cap"),
    )
    op.create_table(
        "ledger_line",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), nullable=False, index=True),
        sa.Column("micro", WIDE, nullable=False),
        sa.Column("delta_pico", WIDE, nullable=False),
        sa.UniqueConstraint("key", "account", "event", name="one_event_per_key"),
        sa.CheckConstraint("event IN ('reserved', 'committed', 'void')", name="line_event"),
        sa.CheckConstraint("micro > 0 AND delta_pico >= 0", name="line_amount"),
    )


def _releases() -> None:
    op.create_table(
        "release",
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), primary_key=True),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False, unique=True),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.UniqueConstraint("company", "sequence", name="one_place_in_chain"),
        sa.UniqueConstraint("company", "previous", name="no_fork"),
    )
    op.create_table(
        "outbox",
        sa.Column("release", sa.String(), sa.ForeignKey("release.hash"), primary_key=True),
        sa.Column("delivered", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "receipt_list",
        sa.Column("cycle", sa.String(), sa.ForeignKey("cycle.id"), primary_key=True),
        sa.Column("sheet", sa.String(), primary_key=True),
        sa.Column("leaf", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.CheckConstraint("outcome IN ('counted', 'withdrawn', 'rejected')", name="receipt_outcome"),
        sa.Index("receipt_lookup", "cycle", "hash"),
    )
