"""Survey's rows: who is invited, who took passes, and the box of sealed sheets.

Box and issuance have no row ids, times or sequences; their only order is by nonce and by roster number.
"""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, MetaData, false
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.protocol.manifest import Manifest
from services.protocol.signed import SignedDocument

REGISTRY = registry()
METADATA: MetaData = REGISTRY.metadata
# Four unsigned bytes don't fit into PostgreSQL's integer.
WIDE: Any = BigInteger().with_variant(Integer(), "sqlite")


class Row(SQLModel, registry=REGISTRY):
    """Base of survey's tables, apart from those of the other services."""


class Cycle(Row, table=True):
    """A cycle: its state, its frozen options and records, and the signed manifest once it is open.

    ``restored`` says that it was open when a backup was made that is in use now: who took passes
    afterwards is not known, so none are issued any more.
    """

    id: str = Field(primary_key=True)
    state: str
    draft: str
    manifest: str | None = None
    closed: str | None = None
    frame: str | None = None
    mixed: bool = False
    restored: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    def opened(self) -> Manifest:
        """Return the manifest of a cycle that has one."""
        assert self.manifest is not None
        return Manifest.model_validate(SignedDocument.model_validate_json(self.manifest).document)


class Member(Row, table=True):
    """An invited rep of one cycle with coarse values only; ``number`` is a random place on the roster."""

    cycle: str = Field(primary_key=True, foreign_key="cycle.id")
    number: int = Field(primary_key=True)
    employee_id: str
    email: str
    language: str
    group: int | None
    attainment: int | None
    activity: int | None
    hit: int | None
    code_hash: bytes | None = Field(default=None, unique=True)


class Secret(Row, table=True):
    """The secret of one public value of one sheet; the same for all who share the value."""

    cycle: str = Field(primary_key=True, foreign_key="cycle.id")
    sheet: str = Field(primary_key=True)
    value: int = Field(primary_key=True)
    secret: bytes


class Issuance(Row, table=True):
    """That a rep took the passes of a cycle, and the hash of the blinded bytes they were taken with."""

    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    cycle: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    blinded_hash: bytes


class Box(Row, table=True):
    """The newest envelope under one token; ``nonce`` is the spent token's."""

    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    cycle: str = Field(primary_key=True)
    sheet: str = Field(primary_key=True)
    nonce: bytes = Field(primary_key=True)
    counter: int = Field(sa_type=WIDE)
    envelope_hash: bytes = Field(index=True)
    envelope: bytes


class Audit(Row, table=True):
    """What an operator did, and why; rows are only ever added."""

    id: int | None = Field(default=None, primary_key=True)
    day: str
    action: str
    cycle: str | None = None
    reason: str | None = None


GRANTS: dict[str, tuple[str, ...]] = {
    "cycle": ("SELECT", "INSERT", "UPDATE"),
    "member": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"),
    "secret": ("SELECT", "INSERT", "DELETE"),
    "issuance": ("SELECT", "INSERT", "DELETE", "TRUNCATE"),
    "box": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"),
    "audit": ("SELECT", "INSERT"),
}
"""What survey's role may do on PostgreSQL; writing a table anew empties it with TRUNCATE."""

MIXED = ("issuance", "box")
"""Tables whose traces of order mixing removes."""
