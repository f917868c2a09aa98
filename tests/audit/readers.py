"""Readers: what they fetch of two cycles, and how they tell whether a rep answered in the first one."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt

from tests.audit.neighbours import cells_of
from tests.audit.publishing import PLACE, ROSTERS, manifests
from tests.audit.statistics import Pair, family

TAG = re.compile(r"<[^>]*>")
PAGES = ("", "teams", "drivers", "explanations", "method", "groups/g0", "groups/g1", "report.html")
NUMBERS = re.compile(r"([^\d]*?)(-?\d+(?:\.\d+)?)", re.DOTALL)
CONTEXT = 24
"""So many letters before a number say which number it is, wherever it stands on the page."""

Scores = npt.NDArray[np.float64]
Cells = dict[str, list[list[int | None]]]


@dataclass(frozen=True)
class Seen:
    """What was fetched in one round: cells and states of both releases, and all printed numbers."""

    answered: bool
    tables: tuple[Cells, Cells]
    shown: tuple[bool, bool]
    printed: dict[str, float]


def read(pages: Sequence[dict[str, httpx.Response]], answered: bool) -> Seen:
    """Return what a reader makes of the pages."""
    documents = [page["release.json"].json()["document"] for page in pages]
    tables = [{t["sheet"]: t["noisy_counts"] for t in document["tables"]} for document in documents]
    shown = [document["groups"][0]["state"] == "shown" for document in documents]
    printed: dict[str, float] = {}
    for cycle, page in enumerate(pages):
        for path in PAGES:
            printed |= numbers_on(f"{cycle}/{path}", page[path].text)
    return Seen(answered, (tables[0], tables[1]), (shown[0], shown[1]), printed)


def numbers_on(page: str, html: str) -> dict[str, float]:
    """Return every number that stands on a page, by the words before it, and the page's length."""
    found = {f"{page} length": float(len(html))}
    times: Counter[str] = Counter()
    for before, number in NUMBERS.findall(TAG.sub(" ", html)):
        words = sys.intern(f"{page} {' '.join(before.split())[-CONTEXT:]}")
        times[words] += 1
        found[sys.intern(f"{words} {times[words]}")] = float(number)
    return found


def subtracts(seen: Sequence[Seen]) -> Scores:
    """Say yes where the rep's cells fell from the first cycle to the second; nothing else is known."""
    manifest, _ = manifests()
    found = []
    for one in seen:
        score = float(one.shown[0]) - float(one.shown[1])
        for spec in manifest.sheets:
            row, column = cells_of(spec)["present"] or (0, 0)
            before, after = (tables[spec.name][row][column] for tables in one.tables)
            if before is not None and after is not None:
                score += manifest.plan.table(spec.name).epsilon * (before - after - 0.5)
        found.append(score)
    return np.array(found)


def knows_everybody_else(seen: Sequence[Seen]) -> Scores:
    """Say yes where the first release is likelier with the answer than with the blank."""

    manifest, _ = manifests()
    pair = Pair(manifest, PLACE, "present", "blank")
    statistic = family(pair)["claimed mechanism"](np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32))
    rows = []
    for one in seen:
        cells = [cell or 0 for spec in manifest.sheets for line in one.tables[0][spec.name] for cell in line]
        rows.append([*cells, int(one.shown[0])] + [0] * (len(ROSTERS) - 1))
    return statistic(np.array(rows, dtype=np.int32))


def learns_from_every_printed_number(seen: Sequence[Seen]) -> Scores:
    """Learn weights of printed numbers and lengths of pages from half of the rounds; judge the others."""
    answered = np.array([one.answered for one in seen])
    lesson = np.arange(len(seen)) // 2 % 2 == 0
    everywhere = sorted(set.intersection(*(set(one.printed) for one in seen)))
    features = np.array([[one.printed[name] for name in everywhere] for one in seen])
    first, second = features[lesson & answered], features[lesson & ~answered]
    spread = first.var(axis=0) + second.var(axis=0)
    far = np.abs(first.mean(axis=0) - second.mean(axis=0))
    weights = np.where(far > 0, (first.mean(axis=0) - second.mean(axis=0)) / (spread + 1e-6), 0.0)
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    return np.where(lesson, np.nan, (features - middle) @ weights)


READERS = {
    "subtracts the second cycle from the first": subtracts,
    "knows everybody else's answers": knows_everybody_else,
    "learns from every printed number": learns_from_every_printed_number,
}
