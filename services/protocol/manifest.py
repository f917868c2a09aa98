"""The manifest: what reps are promised about one cycle, hashed and signed before anyone is invited."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError

from services.protocol import commitments, envelope, sheet, token
from services.protocol.encoding import InvalidEncoding, canonical, sha256, unb64
from services.protocol.plan import CATALOGUE, CONTEXT_WIDTH, Plan


def whole_characters(text: str) -> str:
    """Return a text that has an encoding in UTF-8; JSON can carry half a character (a lone surrogate)."""
    text.encode("utf-8")
    return text


Text = Annotated[str, Field(max_length=400), AfterValidator(whole_characters)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{3,63}$")]


class InvalidManifest(ValueError):
    """The manifest is malformed or contradicts itself."""


class Part(BaseModel):
    """A frozen part of a signed document; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Item(Part):
    """One question: its id, its dimension and its wording in the first language."""

    id: str
    dimension: Literal["capability", "alignment", "motivation", "support"]
    text: Text


class Instrument(Part):
    """The versioned questions of a cycle; ``flags`` are the reasons of the patch question."""

    version: str
    items: tuple[Item, ...]
    flags: tuple[Text, ...]
    low_at_most: float
    high_at_least: float
    answered_share: float

    def digest(self) -> bytes:
        """Return the hash that names this instrument."""
        return sha256(canonical(self.model_dump(mode="json")))


class Group(Part):
    """A group of the frozen tree with its public invited count [reps]."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    parent: str | None
    name: Text
    level: Literal["company", "group"]
    invited: StrictInt = Field(ge=0)


class Bands(Part):
    """Bands of one record: edges, scores per column, and where a merged column went.

    ``merged_into[i]`` is the column that took in column ``i`` (itself if it stands). An emptied column
    stays in every array as zeros, so that shapes do not change.
    """

    edges: tuple[float, ...]
    scores: tuple[float, ...]
    merged_into: tuple[StrictInt, ...]
    labels: tuple[Text, ...]

    @property
    def live(self) -> tuple[int, ...]:
        """The columns that can hold a count, in order."""
        return tuple(sorted(set(self.merged_into)))


class SheetSpec(Part):
    """One sheet: its keys, its fields and the commitments of its public values."""

    name: str
    field: str
    field_values: StrictInt = Field(ge=2, le=255)
    context: Literal["attainment", "activity", "group", "hit"]
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
    check_instrument(manifest.instrument)
    check_groups(manifest.groups)
    for spec in manifest.sheets:
        check_sheet(manifest, spec)


def check_instrument(instrument: Instrument) -> None:
    """Check that items can be told apart and that every mean has exactly one band."""
    ids = [item.id for item in instrument.items]
    require(len(set(ids)) == len(ids), "item ids")
    require(1 <= instrument.low_at_most < instrument.high_at_least <= 5, "band edges of the items")
    require(0 < instrument.answered_share <= 1, "answered share")


def check_groups(groups: tuple[Group, ...]) -> None:
    """Check that the groups are one tree: the company first, every parent before its children."""
    ids = [group.id for group in groups]
    require(len(set(ids)) == len(ids), "group ids")
    require(groups[:1] != () and groups[0].level == "company", "company first")
    require(groups[0].parent is None, "company on top")
    require(all(group.parent in ids[:at] for at, group in enumerate(groups) if at), "parents exist")


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
    if spec.context == "group":
        groups = manifest.reporting_groups()
        require(spec.columns == len(groups) and spec.values == tuple(range(len(groups))), "group values")
        require(spec.invited == tuple(group.invited for group in groups), "group counts")
    else:
        bands = manifest.bands.get(spec.context)
        if bands is None:
            raise InvalidManifest("bands of a sheet are missing")
        require(spec.columns == CONTEXT_WIDTH[spec.context], "columns")
        require(spec.columns == len(bands.scores) == len(bands.merged_into) == len(bands.labels), "bands")
        merged = bands.merged_into
        in_place = all(0 <= into < spec.columns and merged[into] == into for into in merged)
        require(in_place, "bands merge into bands that stand")
        require(spec.values == bands.live, "live bands")
    require(len(spec.values) == len(spec.invited) and len(spec.values) > 0, "one count per value")
    require(min(spec.invited) >= manifest.k, "a value is shared by fewer than k invited")
    require(sum(spec.invited) <= manifest.invited, "a rep has at most one value of a sheet")
    require((spec.commitments is None) != (spec.commitment_root is None), "commitments or root")
    if spec.commitments is not None:
        require(
            len(spec.commitments) == len(spec.values) <= commitments.MERKLE_ABOVE, "one commitment per value"
        )
        require(len(set(spec.commitments)) == len(spec.commitments), "commitments differ")
        for text in spec.commitments:
            unb64(text, length=32)
    elif spec.commitment_root is not None:
        unb64(spec.commitment_root, length=32)
    token.decode_key(spec.spki)
    envelope.decode_point(unb64(spec.opening_key))


def require_same(document: Any, parsed: Part) -> None:
    """Refuse a document that says in other bytes what was read from it (a default left out, "1" for 1).

    Otherwise its signed bytes and its hash would name two different things.
    """
    if canonical(document) != canonical(parsed.model_dump(mode="json")):
        raise InvalidEncoding("the document is not written in its one form")


def require(condition: bool, what: str) -> None:
    """Raise InvalidManifest naming the rule that does not hold."""
    if not condition:
        raise InvalidManifest(f"manifest rule broken: {what}")


def instant(text: str) -> datetime:
    """Return a UTC time of the one form the wire uses (``2026-01-31T12:00:00Z``)."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidManifest("a time is not written as 2026-01-31T12:00:00Z") from error
    # strptime also takes other digits and leaves out zeros.
    require(written(moment) == text, "a time is written as 2026-01-31T12:00:00Z")
    return moment


def written(moment: datetime) -> str:
    """Return a time as the wire writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
