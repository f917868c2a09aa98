"""Aggregate's rows: cycles, the privacy ledger, releases. None of them can hold a sheet or a token."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Integer, MetaData, UniqueConstraint
from sqlalchemy.orm import registry
from sqlalchemy.schema import SchemaItem
from sqlmodel import Field, SQLModel

REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata
# Sums of millionths and billionths outgrow PostgreSQL's integer.
WIDE: Any = BigInteger().with_variant(Integer(), "sqlite")


class Row(SQLModel, registry=REGISTRY):
    """Base of aggregate's tables, apart from those of the other services."""


class CycleRow(Row, table=True):
    """A cycle: what was asked for, the public opening keys, the accepted manifest and its commitments."""

    __tablename__ = "cycle"
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = (
        CheckConstraint("state IN ('open', 'released', 'void')", name="cycle_state"),
    )

    id: str = Field(primary_key=True)
    company: str = Field(index=True)
    state: str
    proposal: str
    opening_keys: str
    manifest: str | None = None
    commitments: str | None = None
    void_reason: str | None = None


class AccountRow(Row, table=True):
    """One budget account; the database itself refuses to go over a cap."""

    __tablename__ = "ledger_account"
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = (
        CheckConstraint("reserved_micro >= 0 AND committed_micro >= 0", name="no_debt"),
        CheckConstraint("reserved_delta_pico >= 0 AND committed_delta_pico >= 0", name="no_delta_debt"),
        CheckConstraint("reserved_micro + committed_micro <= cap_micro", name="epsilon_cap"),
        CheckConstraint("reserved_delta_pico + committed_delta_pico <= cap_delta_pico", name="delta_cap"),
    )

    company: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    account: str = Field(primary_key=True)
    cap_micro: int = Field(sa_type=WIDE)
    cap_delta_pico: int = Field(sa_type=WIDE)
    reserved_micro: int = Field(default=0, sa_type=WIDE)
    committed_micro: int = Field(default=0, sa_type=WIDE)
    reserved_delta_pico: int = Field(default=0, sa_type=WIDE)
    committed_delta_pico: int = Field(default=0, sa_type=WIDE)


class LineRow(Row, table=True):
    """One event of the ledger; rows are only ever added."""

    __tablename__ = "ledger_line"
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = (
        UniqueConstraint("key", "account", "event", name="one_event_per_key"),
        CheckConstraint("event IN ('reserved', 'committed', 'void')", name="line_event"),
        CheckConstraint("micro > 0 AND delta_pico >= 0", name="line_amount"),
    )

    id: int | None = Field(default=None, primary_key=True)
    key: str
    event: str
    account: str
    company: str
    year: int
    cycle: str = Field(foreign_key="cycle.id", index=True)
    micro: int = Field(sa_type=WIDE)
    delta_pico: int = Field(sa_type=WIDE)


class ReleaseRow(Row, table=True):
    """A release as it was signed; releases of a company form one chain."""

    __tablename__ = "release"
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = (
        UniqueConstraint("company", "sequence", name="one_place_in_chain"),
        UniqueConstraint("company", "previous", name="no_fork"),
    )

    cycle: str = Field(primary_key=True, foreign_key="cycle.id")
    company: str
    sequence: int
    hash: str = Field(unique=True)
    previous: str
    document: str


class BucketRow(Row, table=True):
    """What became of the sheets whose envelope hash begins with ``prefix``, published after the release.

    ``lines`` is packed and in order (``core/receiptlist.py``). A bucket without lines has no row; a list
    that is short enough to be asked for whole has one, under the empty prefix.
    """

    __tablename__ = "receipt_bucket"

    cycle: str = Field(primary_key=True, foreign_key="cycle.id")
    sheet: str = Field(primary_key=True)
    prefix: str = Field(primary_key=True)
    lines: bytes


class OutboxRow(Row, table=True):
    """Whether report acknowledged a release."""

    __tablename__ = "outbox"

    release: str = Field(primary_key=True, foreign_key="release.hash")
    delivered: bool = False


class AuditRow(Row, table=True):
    """What an operator did, and why; rows are only ever added."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    day: str
    action: str
    cycle: str | None = None
    reason: str | None = None


GRANTS: dict[str, tuple[str, ...]] = {
    "cycle": ("SELECT", "INSERT", "UPDATE"),
    "ledger_account": ("SELECT", "INSERT", "UPDATE"),
    "ledger_line": ("SELECT", "INSERT"),
    "release": ("SELECT", "INSERT"),
    "receipt_bucket": ("SELECT", "INSERT"),
    "outbox": ("SELECT", "INSERT", "UPDATE"),
    "audit": ("SELECT", "INSERT"),
}
"""What aggregate's role may do on PostgreSQL: ledger, releases, receipts and audit are only ever added to."""
