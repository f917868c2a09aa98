"""The bodies of the calls between phone, survey, aggregate and report."""

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from services.protocol.manifest import Group, Identifier, Part, Text
from services.protocol.plan import Plan
from services.protocol.receipts import Outcome
from services.protocol.signed import SignedDocument

Code = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Blob = Annotated[str, Field(max_length=4096, pattern=r"^[A-Za-z0-9_-]*$")]
HexHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SessionRequest(Part):
    """The code of an invitation; it is posted, never part of an address."""

    code: Code


class ValueOpening(Part):
    """A public value with the secret that certifies it, and its proof where only a root is published."""

    value: StrictInt
    secret: Blob
    path: tuple[Blob, ...] | None = None


class SessionReply(Part):
    """What one phone needs: per sheet its context value, or nothing where the records have none.

    All sheets of one context carry the same value.
    """

    openings: dict[str, ValueOpening | None]


class TokenRequest(Part):
    """One blinded message per sheet of the plan."""

    code: Code
    blinded: dict[str, Blob]


class TokenReply(Part):
    """One blind signature per sheet."""

    signatures: dict[str, Blob]


class ReceiptReply(Part):
    """Survey's signature over the hash of an accepted envelope."""

    hash: str
    signature: str


class ReceiptState(Part):
    """Whether an envelope with this hash is in the box now."""

    stored: bool


class Proposal(Part):
    """What survey asks aggregate to reserve before a cycle opens."""

    cycle: Identifier
    company: Text
    k: StrictInt = Field(ge=5, le=1000)
    invited: StrictInt = Field(ge=1)
    groups: tuple[Group, ...]
    plan: Plan
    opens: str


class ProposalReply(Part):
    """The opening keys (raw public points) that aggregate made, one per sheet."""

    opening_keys: dict[str, Blob]


class ManifestUpload(Part):
    """A signed manifest, with the commitments of sheets for which it holds only a root."""

    signed: SignedDocument
    commitments: dict[str, tuple[Blob, ...]]


class ReleaseState(Part):
    """How far a release is, in words; ``release`` is its hash once it exists."""

    state: Literal["open", "running", "failed", "released", "void"]
    words: Text
    release: str | None = None


class LedgerAccount(Part):
    """One budget account of a company and ledger year [micro-epsilon]."""

    company: Text
    year: int
    account: Literal["answers", "participation"]
    reserved_micro: int
    committed_micro: int
    cap_micro: int
    delta: float


class LedgerReply(Part):
    """The accounts of a company and year."""

    accounts: tuple[LedgerAccount, ...]


class ChainReply(Part):
    """The newest release that report holds for a company."""

    head: str | None
    length: int


class ReceiptLists(Part):
    """What became of the sheets of a released cycle: per sheet (hash in hex, outcome), sorted.

    ``digits`` is how many hex digits of a hash name the bucket that a list is asked by; 0 means that
    lists come whole. ``bucket_roots`` has the Merkle roots of all buckets of each sheet, in order: with
    them the lines lead to ``receipts_root`` in the signed release.
    """

    digits: StrictInt
    sheets: dict[str, tuple[tuple[HexHash, Outcome], ...]]
    bucket_roots: dict[str, tuple[HexHash, ...]]
