"""The frame: what the company's own records say of all invited reps; exact, and no survey answer in it."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, StrictInt, ValidationError, model_serializer

from services.protocol.encoding import InvalidEncoding
from services.protocol.manifest import Identifier, Part, Text, require_same


class InvalidFrame(ValueError):
    """The frame is malformed or does not fit its manifest."""


class SheetCounts(Part):
    """Company-wide totals of one sheet at the close [sheets]."""

    issued: StrictInt = Field(ge=0)
    received: StrictInt = Field(ge=0)


class Indicator(Part):
    """A recorded indicator's Pearson r with attainment over reps who have both.

    ``lower`` is the one-sided bound in the favourable direction at level 1 - .05/m, m = ``patch``
    indicators given; ``r`` is signed so that a favourable relation is positive.
    """

    name: Text
    n: StrictInt
    r: float
    low: float
    high: float
    lower: float
    patch: bool


class GroupRecords(Part):
    """Exact record statistics of one group; a value over fewer than k reps is absent."""

    id: str
    with_results: StrictInt
    hit_share: float | None
    median_attainment: float | None
    territory_index: float | None


class Records(Part):
    """Record statistics of the frame (statistics.md, sections 5 and 6)."""

    frame: StrictInt = Field(ge=0)
    hit_share: float | None
    attainment: tuple[StrictInt, ...] | None
    activity_by_attainment: tuple[tuple[StrictInt, ...], ...] | None
    icc_attainment: float | None
    mean_team_size: float | None
    indicators: tuple[Indicator, ...]
    groups: tuple[GroupRecords, ...]
    notes: tuple[Text, ...]


class Frame(Part):
    """What survey hands aggregate at the close, signed by survey.

    ``restored`` says that survey came out of a backup while the cycle was open: ``issued`` is then the
    number of invited, because how many passes were given is not known any more. Only a restored frame has
    the field in writing, so that all others keep their bytes.
    """

    format: Literal["fairpatch frame v1"] = "fairpatch frame v1"
    cycle: Identifier
    manifest_hash: str
    closed: str
    sheets: dict[str, SheetCounts]
    records: Records
    restored: bool = False

    @model_serializer(mode="wrap")
    def _in_one_form(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if not self.restored:
            document.pop("restored", None)
        return document


def parse(document: Any) -> Frame:
    """Return the frame in decoded JSON, or raise InvalidFrame."""
    try:
        frame = Frame.model_validate(document)
        require_same(document, frame)
    except (ValidationError, InvalidEncoding) as error:
        raise InvalidFrame("the frame does not have the expected form") from error
    return frame
