"""The release: all that ever leaves aggregate about a cycle's answers. Signed; it never changes."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, ValidationError

from services.protocol.arithmetic import laplace_scale
from services.protocol.encoding import InvalidEncoding, canonical, sha256
from services.protocol.frame import Frame
from services.protocol.manifest import Identifier, Part, Text, require_same

REASONS = ("form", "token", "signature", "duplicate", "sealing", "range", "value", "commitment")
"""Why a sheet of the box is not counted, in the order the checks run."""

FIRST = "0" * 64
"""The previous hash of a company's first release."""


class InvalidRelease(ValueError):
    """The release is malformed or contradicts itself."""


class SheetTotals(Part):
    """Exact company-wide totals of one sheet, and the root of the list behind the receipts."""

    issued: StrictInt = Field(ge=0)
    received: StrictInt = Field(ge=0)
    counted: StrictInt = Field(ge=0)
    withdrawn: StrictInt = Field(ge=0)
    rejected: dict[str, Annotated[StrictInt, Field(ge=0)]]
    receipts_root: str


class NoisyTable(Part):
    """A released table; ``noisy_counts[row][column]`` is absent where a column is held or empty."""

    sheet: str
    table: Literal["B", "C", "D", "H", "F"]
    state: Literal["shown", "held"]
    rows: tuple[Text, ...]
    columns: tuple[Text, ...]
    noisy_counts: tuple[tuple[StrictInt | None, ...], ...] | None
    mechanism: Literal["discrete_laplace"]
    scale: float
    epsilon_micro: StrictInt = Field(gt=0)


class GroupState(Part):
    """Whether a group's column of table H is shown; held groups look alike whatever the cause."""

    id: str
    state: Literal["shown", "held"]


class LedgerLine(Part):
    """One committed line of the ledger [micro-epsilon]."""

    account: Literal["answers", "participation"]
    year: StrictInt
    key: str
    epsilon_micro: StrictInt
    delta: float
    spent_micro: StrictInt
    cap_micro: StrictInt


class Release(Part):
    """What aggregate publishes about one cycle (system.md, section 4)."""

    format: Literal["fairpatch release v1"] = "fairpatch release v1"
    kind: Literal["release", "dry_run"]
    cycle: Identifier
    company: Text
    manifest_hash: str
    previous: str
    released_on: str
    sheets: dict[str, SheetTotals]
    tables: tuple[NoisyTable, ...]
    groups: tuple[GroupState, ...]
    ledger: tuple[LedgerLine, ...]
    frame: Frame

    def encode(self) -> bytes:
        """Return the canonical bytes (RFC 8785) that are hashed and signed."""
        return canonical(self.model_dump(mode="json"))

    def hash(self) -> bytes:
        """Return the SHA-256 of the canonical bytes; the next release names it as ``previous``."""
        return sha256(self.encode())

    def table(self, sheet: str) -> NoisyTable | None:
        """Return the table made from ``sheet``, if this release holds one."""
        return next((table for table in self.tables if table.sheet == sheet), None)


def parse(document: Any) -> Release:
    """Return the release in decoded JSON, after checking that its totals add up."""
    try:
        release = Release.model_validate(document)
        require_same(document, release)
    except (ValidationError, InvalidEncoding) as error:
        raise InvalidRelease("the release does not have the expected form") from error
    for totals in release.sheets.values():
        parts = totals.counted + totals.withdrawn + sum(totals.rejected.values())
        if parts != totals.received or not set(totals.rejected) <= set(REASONS):
            raise InvalidRelease("totals of a sheet do not add up")
    if len({table.sheet for table in release.tables}) != len(release.tables):
        raise InvalidRelease("two tables of one sheet")
    for table in release.tables:
        check_table(table)
    return release


def check_table(table: NoisyTable) -> None:
    """Raise InvalidRelease unless state, shape, held columns and scale of a table fit together."""
    counts = table.noisy_counts
    if (table.state == "shown") != (counts is not None):
        raise InvalidRelease("a table is shown exactly if it has counts")
    if table.scale != laplace_scale(table.epsilon_micro):
        raise InvalidRelease("the noise of a table is not that of its budget")
    if counts is None:
        return
    if len(counts) != len(table.rows) or any(len(row) != len(table.columns) for row in counts):
        raise InvalidRelease("a table does not have its shape")
    if any(len({cell is None for cell in column}) > 1 for column in zip(*counts, strict=True)):
        raise InvalidRelease("a column is held in every row or in none")
