"""Bands of the records: coarse values that a sheet may carry, each shared by at least k people."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

from services.protocol.manifest import Bands

BandContext = Literal["attainment", "activity", "hit"]

HIT_FROM = 1.0
EDGES: dict[BandContext, tuple[float, ...]] = {
    "attainment": (0.70, 1.00, 1.20),
    "activity": (1 / 3, 2 / 3),
    "hit": (HIT_FROM,),
}
"""Lower edges of every band but the first: attainment [1.0 = quota met], activity [share of peers]."""

SCORES: dict[BandContext, tuple[float, ...]] = {
    "attainment": (-1.0, -1 / 3, 1 / 3, 1.0),
    "activity": (-1.0, 0.0, 1.0),
    "hit": (-1.0, 1.0),
}
LABELS: dict[BandContext, tuple[str, ...]] = {
    "attainment": ("under 70 %", "70 to 100 %", "100 to 120 %", "120 % and more"),
    "activity": ("lower third", "middle third", "upper third"),
    "hit": ("missed quota", "hit quota"),
}


def band(context: BandContext, value: float) -> int:
    """Return the band of a raw record before merging; a value on an edge is in the upper band.

    Parameters
    ----------
    context : str
        ``attainment`` or ``hit`` [ratio, 1.0 = quota met], ``activity`` [share of peers below].
    value : float
        The record.

    Returns
    -------
    int
        Index into the bands of the context, lowest first.

    Notes
    -----
    Privacy: exact; the value itself stays in survey.
    Source: statistics.md, section 1.

    Examples
    --------
    >>> [band("attainment", value) for value in (0.699, 0.70, 1.0, 1.2)]
    [0, 1, 2, 3]
    """
    return bisect_right(EDGES[context], value)


def merge_bands(
    counts: Sequence[int], scores: Sequence[float], k: int, *, apart: int = 0
) -> tuple[tuple[int, ...], tuple[float, ...]] | None:
    """Merge neighbouring bands until at least k people share each.

    The band with the fewest people goes first (the lower one on a tie). It joins the neighbour with
    fewer people (the lower one on a tie), and that repeats until every standing band has k. Bands below
    ``apart`` join those from it on only where one side has fewer than k people altogether.

    Parameters
    ----------
    counts : sequence of int
        Invited people per band [reps], shape ``(m,)``.
    scores : sequence of float
        Score of each band, shape ``(m,)``.
    k : int
        Smallest number of people who may share a band [reps].
    apart : int
        First band on the other side of a count that is published too; 0 if there is none.

    Returns
    -------
    tuple of (merged_into, new_scores) or None
        ``merged_into[i]`` is the band that took in band i. All bands merged together keep their mean
        score, weighted by people, so the mean over the frame doesn't move. None if all bands together
        hold fewer than ``k``.

    Notes
    -----
    Privacy: exact; ensures that a band sealed in is shared by k invited people. How many made quota is
    published too: a merged band that mixed both sides would give away, by subtraction, the small band.
    Source: statistics.md, section 1.

    Examples
    --------
    >>> merge_bands([4, 40, 30, 30], [-1.0, -0.5, 0.5, 1.0], 10)[0]
    (1, 1, 2, 3)
    >>> merge_bands([40, 20, 4, 30], [-1.0, -0.5, 0.5, 1.0], 10, apart=2)[0]
    (0, 1, 3, 3)
    >>> merge_bands([3, 3], [-1.0, 1.0], 10) is None
    True
    """
    if sum(counts) < k:
        return None
    blocks: list[tuple[int, list[int]]] = [(index, [index]) for index in range(len(counts))]

    def people(block: tuple[int, list[int]]) -> int:
        return sum(counts[index] for index in block[1])

    while people(least := min(blocks, key=people)) < k:
        at = blocks.index(least)
        beside = [place for place in (at - 1, at + 1) if 0 <= place < len(blocks)]
        into = min(beside, key=lambda place: (_mixes(blocks[place], least, apart), people(blocks[place])))
        blocks[into] = (blocks[into][0], sorted(blocks[into][1] + least[1]))
        del blocks[at]
    return _described(blocks, counts, scores)


def _mixes(one: tuple[int, list[int]], other: tuple[int, list[int]], apart: int) -> bool:
    """Whether joining two blocks would mix bands of both sides, and neither is mixed already."""
    sides = [{index >= apart for index in members} for _, members in (one, other)]
    return sides[0] != sides[1] and all(len(side) == 1 for side in sides)


def _described(
    blocks: Sequence[tuple[int, list[int]]], counts: Sequence[int], scores: Sequence[float]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    merged_into, new_scores = list(range(len(counts))), list(scores)
    for standing, members in blocks:
        total = sum(counts[index] for index in members)
        mean = sum(counts[index] * scores[index] for index in members) / total
        for index in members:
            merged_into[index] = standing
            if len(members) > 1:
                new_scores[index] = mean
    return tuple(merged_into), tuple(new_scores)


def make_bands(context: BandContext, counts: Sequence[int], k: int) -> Bands | None:
    """Return the bands of one record, merged so that k people share each.

    Parameters
    ----------
    context : str
        ``attainment``, ``activity`` or ``hit``.
    counts : sequence of int
        Invited people per raw band [reps], lowest band first.
    k : int
        Smallest number of people who may share a band [reps].

    Returns
    -------
    Bands or None
        With labels that say what a merged band holds. None drops the context: too few people have the
        record, or all fall into one band of attainment or activity, where nothing can be compared. One
        band of ``hit`` is kept: reasons on the patch say something without the comparison.

    Notes
    -----
    Privacy: exact; only public counts enter.
    Source: statistics.md, section 1.

    Examples
    --------
    >>> make_bands("attainment", [30, 40, 25, 6], 10).labels
    ('under 70 %', '70 to 100 %', '100 % and more', '100 % and more')
    """
    quota = EDGES[context].index(HIT_FROM) + 1 if context == "attainment" else 0
    merged = merge_bands(counts, SCORES[context], k, apart=quota)
    if merged is None:
        return None
    merged_into, scores = merged
    if len(set(merged_into)) < 2 and context != "hit":
        return None
    labels = tuple(_label(context, merged_into, place) for place in range(len(counts)))
    return Bands(edges=EDGES[context], scores=scores, merged_into=merged_into, labels=labels)


def _label(context: BandContext, merged_into: Sequence[int], place: int) -> str:
    members = [index for index, into in enumerate(merged_into) if into == merged_into[place]]
    first, last, top = members[0], members[-1], len(merged_into) - 1
    if first == last:
        return LABELS[context][place]
    if (first, last) == (0, top):
        return "all"
    if context != "attainment":
        return " and ".join(LABELS[context][index] for index in members)
    edges = [f"{edge:.0%}".replace("%", " %") for edge in EDGES["attainment"]]
    if first == 0:
        return f"under {edges[last]}"
    return f"{edges[first - 1]} and more" if last == top else f"{edges[first - 1][:-2]} to {edges[last]}"
