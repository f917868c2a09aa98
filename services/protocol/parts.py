"""The parts of signed documents, and the rules that each part of a manifest keeps by itself."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from services.protocol.encoding import InvalidEncoding, canonical, sha256
from services.protocol.plan import CONTEXT_WIDTH


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


def check_instrument(instrument: Instrument) -> None:
    """Check that items can be told apart and that every mean has exactly one band."""
    ids = [item.id for item in instrument.items]
    require(len(set(ids)) == len(ids), "item ids")
    require(1 <= instrument.low_at_most < instrument.high_at_least <= 5, "band edges of the items")
    require(0 < instrument.answered_share <= 1, "answered share")


def check_groups(groups: tuple[Group, ...]) -> None:
    """Check that the groups are one tree of two levels: the company, and right below it all others."""
    ids = [group.id for group in groups]
    require(len(set(ids)) == len(ids), "group ids")
    require(groups[:1] != () and groups[0].level == "company", "company first")
    company, below = groups[0], groups[1:]
    require(company.parent is None, "company on top")
    require(all(group.level == "group" for group in below), "one company")
    require(all(group.parent == company.id for group in below), "groups right below the company")


def check_group_sizes(groups: tuple[Group, ...], invited: int) -> None:
    """Check that the company holds all invited and, where there are reporting groups, that those do too."""
    company, *below = groups
    require(company.invited == invited, "the company holds all invited")
    require(not below or sum(group.invited for group in below) == invited, "groups hold all invited")


def check_bands(context: str, bands: Bands) -> None:
    """Check that bands lie in order on one scale and that only neighbours were merged."""
    width, merged = CONTEXT_WIDTH[context], bands.merged_into
    require(width == len(bands.scores) == len(merged) == len(bands.labels), "bands")
    require(len(bands.edges) == width - 1, "one edge between two bands")
    require(all(low < high for low, high in pairwise(bands.edges)), "edges rise")
    in_place = all(0 <= into < width and merged[into] == into for into in merged)
    require(in_place, "bands merge into bands that stand")
    # A map that never falls and leaves what stands in place takes whole ranges of bands together.
    require(all(low <= high for low, high in pairwise(merged)), "bands merge with their neighbours")


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
