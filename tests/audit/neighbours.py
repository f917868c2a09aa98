"""Neighbouring worlds: exact tallies with one rep's whole response, with a blank one, with another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from services.aggregate.core.tally import Tally
from services.protocol.manifest import Manifest, SheetSpec
from services.protocol.plan import MICRO, SUPPORT_GROUP
from services.protocol.release import GroupState, NoisyTable
from tests.unit.aggregate.factory import made_manifest, made_tally

Response = Literal["present", "blank", "other"]
COUNTED = 2_000
"""Sheets of each kind, blank ones among them; exact, public and the same in all three worlds."""

ROSTER = 90
AROUND = 12
NO_CELL = 0


@dataclass(frozen=True)
class Place:
    """Where a rep's response falls: how many others are in the rep's group, other groups and cells."""

    own: int
    siblings: tuple[int, ...] = (60, 60)
    here: int = 5

    def __str__(self) -> str:
        """Say it in words."""
        others = " and ".join(str(count) for count in self.siblings)
        return f"group of {self.own} others beside groups of {others}, {self.here} others in each cell"


@dataclass(frozen=True)
class Layout:
    """How a release is laid out as one row of integers: all cells in plan order, then the groups' states."""

    cells: tuple[tuple[str, int, int], ...]
    groups: int

    def of_sheet(self, name: str) -> list[int]:
        """Return the places of a sheet's cells."""
        return [place for place, (sheet, _, _) in enumerate(self.cells) if sheet == name]

    @property
    def states(self) -> list[int]:
        """The places of the groups' states."""
        return [len(self.cells) + group for group in range(self.groups)]


@cache
def manifest_of(plan: str, *, groups_only: bool, siblings: int = 2) -> Manifest:
    """Return a manifest of a named plan, or of its table by group alone (for the many draws of a search)."""
    made = made_manifest(groups=(ROSTER,) * (siblings + 1), name=plan)
    if not groups_only:
        return made
    tables = tuple(table for table in made.plan.tables if table.sheet == SUPPORT_GROUP)
    return made.model_copy(
        update={
            "plan": made.plan.model_copy(update={"tables": tables}),
            "sheets": (made.sheet(SUPPORT_GROUP),),
        }
    )


def tallies(manifest: Manifest, place: Place, response: Response) -> dict[str, Tally]:
    """Return the exact tallies of one world."""
    return {spec.name: _tally(spec, place, response) for spec in manifest.sheets}


def cells_of(spec: SheetSpec) -> dict[Response, tuple[int, int] | None]:
    """Return the cell that each response adds to: the value is certified, only the answer differs."""
    column = spec.values[0]
    return {"present": (0, column), "other": (spec.field_values - 1, column), "blank": None}


def layout(manifest: Manifest) -> Layout:
    """Return how releases of a manifest are laid out."""
    cells = [
        (spec.name, row, column)
        for spec in manifest.sheets
        for row in range(spec.field_values)
        for column in range(spec.columns)
    ]
    return Layout(tuple(cells), len(manifest.reporting_groups()))


def row_of(tables: Sequence[NoisyTable], states: Sequence[GroupState]) -> list[int]:
    """Return a release as one row; a cell without number is 0, its group's state tells the two apart."""
    row: list[int] = []
    for table in tables:
        if table.noisy_counts is None:
            row += [NO_CELL] * (len(table.rows) * len(table.columns))
            continue
        for line in table.noisy_counts:
            row += [NO_CELL if cell is None else cell for cell in line]
    return row + [int(state.state == "shown") for state in states]


def exact_row(manifest: Manifest, place: Place, response: Response) -> npt.NDArray[np.int32]:
    """Return what a release without noise would hold, all groups shown."""
    exact = tallies(manifest, place, response)
    parts = [exact[spec.name].exact_counts.ravel() for spec in manifest.sheets]
    parts.append(np.ones(len(manifest.reporting_groups()), dtype=np.int64))
    return np.concatenate(parts).astype(np.int32)


def epsilons(manifest: Manifest) -> npt.NDArray[np.float64]:
    """Return what each cell's table costs, in the order of the layout (states: 0)."""
    by_sheet = {table.sheet: table.epsilon_micro / MICRO for table in manifest.plan.tables}
    found = layout(manifest)
    return np.array([by_sheet[sheet] for sheet, _, _ in found.cells] + [0.0] * found.groups)


def _tally(spec: SheetSpec, place: Place, response: Response) -> Tally:
    exact = np.zeros((spec.field_values, spec.columns), dtype=np.int64)
    cells = cells_of(spec)
    rep = [cell for cell in cells.values() if cell is not None]
    if spec.context == "group":
        exact[1, 1:] = place.siblings
        here = min(place.here, place.own // 2)
        exact[1, 0] = place.own - 2 * here
    else:
        exact[:, list(spec.values)] = AROUND
        here = place.here
    for cell in rep:
        exact[cell] = here
    added = cells[response]
    if added is not None:
        exact[added] += 1
    return made_tally(exact.tolist(), blanks=COUNTED - int(exact.sum()))
