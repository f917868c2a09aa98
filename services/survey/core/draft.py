"""From roster and results to a draft: bands, groups, plan and what each member's sheets may carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, StrictInt, model_validator

from services.protocol import commitments
from services.protocol.encoding import b64
from services.protocol.frame import Records
from services.protocol.manifest import Bands, Group, Instrument, Manifest, Part, SheetSpec, Text, instant
from services.protocol.plan import CATALOGUE, CONTEXT_WIDTH, Plan
from services.survey.core.retention import retention


class Options(Part):
    """What HR chooses for a cycle; dates as the wire writes them.

    A rehearsal may be closed at any moment; every other cycle stays open until ``closes``.
    """

    company: Text = Field(min_length=1)
    title: Text = Field(min_length=1)
    plan: Literal["stronger", "balanced", "finer"] = "balanced"
    k: StrictInt = Field(default=10, ge=5, le=1000)
    response: float = Field(default=0.7, gt=0.0, le=1.0)
    opens: str
    closes: str
    latest_close: str
    sample: bool = False
    made_up: bool = False
    rehearsal: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> "Options":
        opens, closes, latest = (instant(text) for text in (self.opens, self.closes, self.latest_close))
        if not opens < closes <= latest:
            raise ValueError("a cycle opens before it closes")
        return self


class Draft(Part):
    """Everything of a cycle that is fixed by the records, before any key exists."""

    options: Options
    instrument: Instrument
    invited: int
    frame: int
    groups: tuple[Group, ...]
    bands: dict[str, Bands]
    plan: Plan
    records: Records
    value_counts: dict[str, tuple[int, ...]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Values:
    """The public values that one member's sheets may carry; absent where the records say nothing."""

    group: int | None
    attainment: int | None
    activity: int | None
    hit: int | None

    def of(self, context: str) -> int | None:
        """Return the value of one context."""
        value: int | None = getattr(self, context)
        return value


def sheet_values(draft: Draft, context: str) -> tuple[int, ...]:
    """Return the public values of a context.

    Parameters
    ----------
    draft : Draft
        What the records fixed.
    context : str
        ``attainment``, ``activity``, ``hit`` or ``group``.

    Returns
    -------
    tuple of int
        In manifest order; bands that were merged away are left out.

    Notes
    -----
    Privacy: exact; public values, not whose they are.
    Source: system.md, section 4.

    Examples
    --------
    >>> sheet_values(Draft.model_construct(value_counts={"group": (40, 52)}), "group")
    (0, 1)
    """
    if context == "group":
        return tuple(range(len(draft.value_counts["group"])))
    return draft.bands[context].live


def invited_counts(draft: Draft, context: str) -> tuple[int, ...]:
    """Return how many invited reps share each public value.

    Parameters
    ----------
    draft : Draft
        What the records fixed.
    context : str
        ``attainment``, ``activity``, ``hit`` or ``group``.

    Returns
    -------
    tuple of int
        One count per public value [reps], in manifest order.

    Notes
    -----
    Privacy: exact; public counts of at least k reps.
    Source: system.md, section 4.

    Examples
    --------
    >>> invited_counts(Draft.model_construct(value_counts={"group": (40, 52)}), "group")
    (40, 52)
    """
    counts = draft.value_counts[context]
    return tuple(counts[value] for value in sheet_values(draft, context))


def commit_sheet(sheet: str, values: Sequence[int], secrets: Mapping[int, bytes]) -> tuple[bytes, ...]:
    """Return one commitment per public value of a sheet.

    Parameters
    ----------
    sheet : str
        Name of the sheet.
    values : sequence of int
        Its public values, in manifest order.
    secrets : mapping of int to bytes
        The 32-byte secret of each value.

    Returns
    -------
    tuple of bytes
        32 bytes each, in the order of ``values``.

    Raises
    ------
    InvalidCommitment
        If a secret does not have 32 bytes.

    Notes
    -----
    Privacy: exact; a commitment tells nothing of its value to whoever lacks the secret.
    Source: system.md, section 4.

    Examples
    --------
    >>> [len(each) for each in commit_sheet("support-group", (0, 1), {0: bytes(32), 1: bytes(32)})]
    [32, 32]
    """
    return tuple(
        commitments.commit(sheet, commitments.encode_value(value), secrets[value]) for value in values
    )


def make_manifest(
    draft: Draft,
    *,
    cycle: str,
    issuer_keys: Mapping[str, bytes],
    opening_keys: Mapping[str, str],
    sheet_commitments: Mapping[str, Sequence[bytes]],
) -> Manifest:
    """Return the manifest of a draft with its keys and commitments.

    Parameters
    ----------
    draft : Draft
        What the records fixed.
    cycle : str
        Cycle id.
    issuer_keys : mapping of str to bytes
        SubjectPublicKeyInfo per sheet.
    opening_keys : mapping of str to str
        Aggregate's public opening key per sheet (base64url).
    sheet_commitments : mapping of str to sequence of bytes
        One commitment per public value, in manifest order.

    Returns
    -------
    Manifest
        Unsigned; ``services.protocol.manifest.check`` holds for it.

    Notes
    -----
    Privacy: exact public sizes only; every value is shared by at least k invited.
    Source: system.md, section 4.

    Examples
    --------
    >>> from tests.unit.survey.drafts import small_draft, stand_in_keys
    >>> draft = small_draft()
    >>> manifest = make_manifest(draft, cycle="spring-2026", **stand_in_keys(draft))
    >>> manifest.plan.sheets == tuple(sheet.name for sheet in manifest.sheets), manifest.invited
    (True, 80)
    """
    options = draft.options
    return Manifest(
        cycle=cycle,
        company=options.company,
        title=options.title,
        instrument=draft.instrument,
        instrument_hash=draft.instrument.digest().hex(),
        languages=("en",),
        mode="sealed",
        opens=options.opens,
        closes=options.closes,
        latest_close=options.latest_close,
        outcome_date=None,
        k=options.k,
        invited=draft.invited,
        frame=draft.frame,
        groups=draft.groups,
        bands=draft.bands,  # type: ignore[arg-type]
        suite=1,
        sheets=tuple(
            _sheet(draft, sheet, issuer_keys[sheet], opening_keys[sheet], sheet_commitments[sheet])
            for sheet in draft.plan.sheets
        ),
        plan=draft.plan,
        delivery="file",
        scripts={},
        retention=retention(),
        sample=options.sample,
        made_up=options.made_up,
        rehearsal=options.rehearsal,
    )


def _sheet(draft: Draft, sheet: str, spki: bytes, opening_key: str, committed: Sequence[bytes]) -> SheetSpec:
    kind = CATALOGUE[sheet]
    values = sheet_values(draft, kind.context)
    listed = len(committed) <= commitments.MERKLE_ABOVE
    return SheetSpec(
        name=sheet,
        field=kind.field,
        field_values=kind.field_values,
        context=kind.context,
        columns=len(values) if kind.context == "group" else CONTEXT_WIDTH[kind.context],
        values=values,
        invited=invited_counts(draft, kind.context),
        commitments=tuple(b64(commitment) for commitment in committed) if listed else None,
        commitment_root=None if listed else b64(commitments.merkle_root(committed)),
        issuer_key=b64(spki),
        opening_key=opening_key,
    )
