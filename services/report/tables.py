"""Rows of report: signed manifests and signed releases. No table knows a sheet, a rep or a token."""

from typing import ClassVar

from sqlalchemy import MetaData, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata


class Row(SQLModel, registry=REGISTRY):
    """Base of report's tables, apart from those of the other services."""


class ManifestRow(Row, table=True):
    """The one manifest of a cycle; ``signed`` is its canonical text with both signatures."""

    __tablename__ = "manifest"

    cycle: str = Field(primary_key=True)
    company: str = Field(index=True)
    hash: str = Field(unique=True)
    signed: str


class ReleaseRow(Row, table=True):
    """One release of a cycle; ``sequence`` is its place in the company's chain.

    A dry run (made-up answers, no line in the ledger) has no place in the chain.
    """

    __tablename__ = "release"
    __table_args__: ClassVar[tuple[UniqueConstraint, ...]] = (
        UniqueConstraint("company", "sequence", name="one_place_in_chain"),
    )

    cycle: str = Field(primary_key=True, foreign_key="manifest.cycle")
    kind: str = Field(primary_key=True)
    company: str
    sequence: int | None
    hash: str = Field(unique=True)
    previous: str
    signed: str


GRANTS: dict[str, tuple[str, ...]] = {"manifest": ("SELECT", "INSERT"), "release": ("SELECT", "INSERT")}
"""What report's role may do on PostgreSQL: nothing that was added is ever replaced."""
