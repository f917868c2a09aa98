"""Two cycles of one company as they are published, and what the published law says of telling them apart."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from services.aggregate.core.publish import Counts, draw
from services.aggregate.core.tally import Tally
from services.protocol.arithmetic import publish_chance
from services.protocol.frame import Frame, Records, SheetCounts
from services.protocol.manifest import Manifest
from services.protocol.plan import MICRO, SUPPORT_GROUP
from services.protocol.release import LedgerLine, Release, SheetTotals
from tests.audit.neighbours import Place
from tests.audit.releasing import release_function
from tests.unit.aggregate.factory import made_manifest

PLAN = "stronger"
PLACE = Place(own=22, siblings=(60, 60), here=12)
"""At the gate's edge, where a group's being shown or held tells most."""

ROSTERS = (90, 90, 90)


@cache
def manifests() -> tuple[Manifest, Manifest]:
    """Return the manifests of a cycle with the rep and of one whose roster is one shorter."""
    first, *others = ROSTERS
    return made_manifest(groups=ROSTERS, name=PLAN), made_manifest(groups=(first - 1, *others), name=PLAN)


def theory(manifest: Manifest, place: Place) -> float:
    """Return the best possible advantage: the total variation of the two worlds, by the published law."""
    plan = manifest.plan
    cells = [table.epsilon for table in plan.tables if table.sheet != SUPPORT_GROUP]
    group = plan.table(SUPPORT_GROUP).epsilon
    chances = [
        publish_chance(n, manifest.k, epsilon=plan.coin_epsilon_micro / MICRO, delta=plan.coin_delta)
        for n in (place.own + 1, place.own)
    ]
    shown = _variation([*cells, group], *chances)
    return shown + _variation(cells, 1 - chances[0], 1 - chances[1])


def _variation(costs: Sequence[float], first: float, second: float) -> float:
    """Return the sum of what the first world has more of: each cell lies on the one side or the other."""
    total = 0.0
    for sides in product((True, False), repeat=len(costs)):
        likely, rare = first, second
        for epsilon, is_above in zip(costs, sides, strict=True):
            q = math.exp(-epsilon)
            likely *= (1 if is_above else q) / (1 + q)
            rare *= (q if is_above else 1) / (1 + q)
        total += max(0.0, likely - rare)
    return total


def make_release(
    manifest: Manifest, exact: dict[str, Tally], previous: str, *, counted: int, fault: str
) -> Release:
    """Return a release, drawn by the real function unless a fault is planted."""
    if fault == "same noise":
        tables, groups = _same_noise(manifest, exact)
    else:
        tables, groups = release_function("real")(exact, manifest)
    totals = {
        name: _totals(int(exact[name].exact_counts.sum()) if fault == "blanks not counted" else counted)
        for name in manifest.plan.sheets
    }
    return Release(
        kind="release",
        cycle=manifest.cycle,
        company=manifest.company,
        manifest_hash=manifest.hash().hex(),
        previous=previous,
        released_on=manifest.closes[:10],
        sheets=totals,
        tables=tables,
        groups=groups,
        ledger=_ledger(manifest),
        frame=_frame(manifest, counted),
    )


def _totals(counted: int) -> SheetTotals:
    return SheetTotals(
        issued=counted, received=counted, counted=counted, withdrawn=0, rejected={}, receipts_root="0" * 64
    )


def _same_noise(manifest: Manifest, exact: dict[str, Tally]) -> Any:
    """Draw from a generator that starts from the company's name: both cycles get the same noise."""
    generator = np.random.default_rng(list(manifest.company.encode()))

    def seeded(counts: Counts, *, epsilon: float) -> Counts:
        q = -np.expm1(-epsilon)
        return counts + generator.geometric(q, counts.shape) - generator.geometric(q, counts.shape)

    return draw(exact, manifest, laplace=seeded, uniform=generator.random)


def _ledger(manifest: Manifest) -> tuple[LedgerLine, ...]:
    plan = manifest.plan
    costs = {"answers": (plan.answers_micro, 0.0), "participation": (plan.participation_micro, plan.delta)}
    return tuple(
        LedgerLine.model_validate(
            {
                "account": account,
                "year": 2026,
                "key": "0" * 64,
                "epsilon_micro": micro,
                "delta": delta,
                "spent_micro": micro,
                "cap_micro": 8 * MICRO,
            }
        )
        for account, (micro, delta) in costs.items()
    )


def _frame(manifest: Manifest, counted: int) -> Frame:
    records = dict.fromkeys(Records.model_fields) | {"frame": manifest.frame}
    empty = {"indicators": (), "groups": (), "notes": ()}
    return Frame(
        cycle=manifest.cycle,
        manifest_hash=manifest.hash().hex(),
        closed=manifest.closes,
        sheets=dict.fromkeys(manifest.plan.sheets, SheetCounts(issued=counted, received=counted)),
        records=Records.model_validate(records | empty),
    )
