"""Aggregate's rows: cycles, the privacy ledger, releases. None of them can hold a sheet or a token."""

from typing import ClassVar

from sqlalchemy import CheckConstraint, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import registry
from sqlalchemy.schema import SchemaItem
from sqlmodel import Field, SQLModel

REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata


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
    cap_micro: int
    cap_delta_pico: int
    reserved_micro: int = 0
    committed_micro: int = 0
    reserved_delta_pico: int = 0
    committed_delta_pico: int = 0


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
    micro: int
    delta_pico: int


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


class ReceiptRow(Row, table=True):
    """What became of one sheet of the box, published after the release; ``leaf`` is its place in the tree.

    One hash can stand twice: a box may hold the same bytes again, which are then rejected.
    """

    __tablename__ = "receipt_list"
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = (
        CheckConstraint("outcome IN ('counted', 'withdrawn', 'rejected')", name="receipt_outcome"),
        Index("receipt_lookup", "cycle", "hash"),
    )

    cycle: str = Field(primary_key=True, foreign_key="cycle.id")
    sheet: str = Field(primary_key=True)
    leaf: int = Field(primary_key=True)
    hash: bytes
    outcome: str


class OutboxRow(Row, table=True):
    """Whether report acknowledged a release."""

    __tablename__ = "outbox"

    release: str = Field(primary_key=True, foreign_key="release.hash")
    delivered: bool = False
