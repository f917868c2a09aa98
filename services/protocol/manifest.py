"""The manifest: what reps are promised about one cycle, hashed and signed before anyone is invited."""

from typing import Any, Literal

from pydantic import Field, StrictInt, ValidationError

from services.protocol import commitments, envelope, sheet, token
from services.protocol.encoding import InvalidEncoding, canonical, sha256, unb64
from services.protocol.parts import Bands as Bands
from services.protocol.parts import Group as Group
from services.protocol.parts import Identifier as Identifier
from services.protocol.parts import Instrument as Instrument
from services.protocol.parts import InvalidManifest as InvalidManifest
from services.protocol.parts import Item as Item
from services.protocol.parts import Part as Part
from services.protocol.parts import Text as Text
from services.protocol.parts import check_bands, check_group_sizes, check_instrument, require
from services.protocol.parts import check_groups as check_groups
from services.protocol.parts import instant as instant
from services.protocol.parts import require_same as require_same
from services.protocol.parts import written as written
from services.protocol.plan import CATALOGUE, CONTEXT_WIDTH, MECHANISM_VERSION, Context, Plan

RECORDS_OF_ALL: tuple[Context, ...] = ("attainment", "hit")
"""Contexts in which everybody with results has a value."""


class SheetSpec(Part):
    """One sheet: its keys, its fields and the commitments of its public values."""

    name: str
    field: str
    field_values: StrictInt = Field(ge=2, le=255)
    context: Context
    columns: StrictInt = Field(ge=1)
    values: tuple[StrictInt, ...]
    invited: tuple[StrictInt, ...]
    commitments: tuple[str, ...] | None
    commitment_root: str | None
    issuer_key: str
    opening_key: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each field of the sheet may take."""
        return (self.field_values,)

    @property
    def spki(self) -> bytes:
        """The issuer key as SubjectPublicKeyInfo."""
        return unb64(self.issuer_key)


class Manifest(Part):
    """All that is fixed before the first invitation (system.md, section 4)."""

    format: Literal["fairpatch manifest v1"] = "fairpatch manifest v1"
    cycle: Identifier
    company: Text
    title: Text
    instrument: Instrument
    instrument_hash: str
    languages: tuple[str, ...]
    mode: Literal["sealed", "linked"]
    opens: str
    closes: str
    latest_close: str
    outcome_date: str | None
    k: StrictInt = Field(ge=5, le=1000)
    invited: StrictInt = Field(ge=1)
    frame: StrictInt = Field(ge=0)
    groups: tuple[Group, ...]
    bands: dict[Literal["attainment", "activity", "hit"], Bands]
    suite: Literal[1]
    sheets: tuple[SheetSpec, ...]
    plan: Plan
    delivery: Literal["mail", "file"]
    scripts: dict[str, str]
    retention: Text
    sample: bool
    made_up: bool
    rehearsal: bool

    @property
    def plaintext_length(self) -> int:
        """Length of every sheet's plaintext [bytes]."""
        return sheet.plaintext_length([len(spec.sizes) for spec in self.sheets])

    @property
    def envelope_length(self) -> int:
        """Length of every envelope of the cycle [bytes]."""
        return envelope.length(self.plaintext_length)

    def sheet(self, name: str) -> SheetSpec:
        """Return the sheet called ``name``."""
        return next(spec for spec in self.sheets if spec.name == name)

    def reporting_groups(self) -> tuple[Group, ...]:
        """Return the groups a sheet may name, in the order of their value."""
        return tuple(group for group in self.groups if group.level == "group")

    def separate_groups(self) -> tuple[Group, ...]:
        """Return the reporting groups that differ from the company: none where one group holds all."""
        groups = self.reporting_groups()
        return () if len(groups) == 1 and groups[0].invited == self.invited else groups

    def encode(self) -> bytes:
        """Return the canonical bytes (RFC 8785) that are hashed and signed."""
        return canonical(self.model_dump(mode="json"))

    def hash(self) -> bytes:
        """Return ``mh``, the SHA-256 of the canonical bytes."""
        return sha256(self.encode())

    def fingerprint(self) -> str:
        """Return the first eight hex digits of ``mh``, printed for everybody."""
        return self.hash().hex()[:8]


def parse(document: Any) -> Manifest:
    """Return the manifest in decoded JSON, after checking that it agrees with itself.

    Raises
    ------
    InvalidManifest
        Malformed, or a count, order, key or length that does not fit the rest.
    """
    try:
        manifest = Manifest.model_validate(document)
        require_same(document, manifest)
        check(manifest)
    except (ValidationError, InvalidEncoding, token.InvalidToken, envelope.InvalidEnvelope) as error:
        raise InvalidManifest("the manifest does not have the expected form") from error
    return manifest


def check(manifest: Manifest) -> None:
    """Raise InvalidManifest unless the manifest keeps the public rules of system.md section 4."""
    require(manifest.instrument_hash == manifest.instrument.digest().hex(), "instrument hash")
    require(manifest.plan.sheets == tuple(spec.name for spec in manifest.sheets), "sheets against plan")
    require(0 < len(set(manifest.plan.sheets)) == len(manifest.sheets), "each sheet once")
    require(0 <= manifest.frame <= manifest.invited, "frame within invited")
    opens, closes, latest = (
        instant(text) for text in (manifest.opens, manifest.closes, manifest.latest_close)
    )
    require(opens < closes <= latest, "order of dates")
    require((manifest.mode == "linked") == (manifest.outcome_date is not None), "outcome date")
    require(len({spec.issuer_key for spec in manifest.sheets}) == len(manifest.sheets), "issuer keys differ")
    require(
        len({spec.opening_key for spec in manifest.sheets}) == len(manifest.sheets), "opening keys differ"
    )
    require(manifest.plan.mechanism_version == MECHANISM_VERSION, "mechanism version")
    check_instrument(manifest.instrument)
    check_groups(manifest.groups)
    check_group_sizes(manifest.groups, manifest.invited)
    for context, bands in manifest.bands.items():
        check_bands(context, bands)
    for spec in manifest.sheets:
        check_sheet(manifest, spec)
    check_counts(manifest)


def check_counts(manifest: Manifest) -> None:
    """Check that the sheets of one record tell one story of who has it, so that nobody can be left out.

    Everybody with results has a band of attainment and has hit or missed; a phone relies on it.
    """
    counts = {spec.context: spec.invited for spec in manifest.sheets}
    same = all(spec.invited == counts[spec.context] for spec in manifest.sheets)
    require(same, "all sheets of a context have the same counts")
    for context in RECORDS_OF_ALL:
        if context in counts:
            require(
                sum(counts[context]) == manifest.frame, f"everybody with results has a value of {context}"
            )


def check_sheet(manifest: Manifest, spec: SheetSpec) -> None:
    """Check one sheet's layout, keys and commitments."""
    kind = CATALOGUE.get(spec.name)
    if kind is None:
        raise InvalidManifest("unknown sheet")
    require(
        (spec.field, spec.field_values, spec.context) == (kind.field, kind.field_values, kind.context),
        "layout",
    )
    require(manifest.plan.table(spec.name).table == kind.table, "table of the sheet")
    if kind.context == "hit":
        require(len(manifest.instrument.flags) == kind.field_values, "one reason per value of the flag")
    check_values(manifest, spec)
    check_commitments(spec)
    token.decode_key(spec.spki)
    envelope.decode_point(unb64(spec.opening_key))


def check_values(manifest: Manifest, spec: SheetSpec) -> None:
    """Check the public values of one sheet, and that at least k invited share each."""
    if spec.context == "group":
        groups = manifest.reporting_groups()
        require(spec.columns == len(groups) and spec.values == tuple(range(len(groups))), "group values")
        require(spec.invited == tuple(group.invited for group in groups), "group counts")
    else:
        bands = manifest.bands.get(spec.context)
        if bands is None:
            raise InvalidManifest("bands of a sheet are missing")
        require(spec.columns == CONTEXT_WIDTH[spec.context], "columns")
        require(spec.values == bands.live, "live bands")
    require(len(spec.values) == len(spec.invited) and len(spec.values) > 0, "one count per value")
    require(min(spec.invited) >= manifest.k, "a value is shared by fewer than k invited")
    require(sum(spec.invited) <= manifest.invited, "a rep has at most one value of a sheet")


def check_commitments(spec: SheetSpec) -> None:
    """Check that one commitment per value is listed or, where that would be long, their root."""
    few = len(spec.values) <= commitments.MERKLE_ABOVE
    require((spec.commitments is None) != (spec.commitment_root is None), "commitments or root")
    require((spec.commitments is not None) == few, "a list of few commitments, the root of many")
    if spec.commitments is not None:
        require(len(spec.commitments) == len(spec.values), "one commitment per value")
        require(len(set(spec.commitments)) == len(spec.commitments), "commitments differ")
        for text in spec.commitments:
            unb64(text, length=32)
    elif spec.commitment_root is not None:
        unb64(spec.commitment_root, length=32)
