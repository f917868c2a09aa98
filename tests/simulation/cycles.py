"""A whole cycle of a made-up world in one call: people answer, tables get noise, the rule decides."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

import numpy as np

from services.protocol.frame import Frame as RecordFrame
from services.protocol.frame import Indicator, Records
from services.protocol.plan import MICRO, NAMED_PLANS
from services.protocol.release import Release
from services.report.core.evidence import Evidence
from services.report.core.findings import RESULT_SHEETS
from services.report.core.gathering import gather, released
from tests.simulation.worlds import Array, Frame, World, draw, noisy, table
from tests.unit.report.core.made import made_manifest, made_records, made_table

MANIFEST: Final = made_manifest(groups=())
BALANCED: Final[Mapping[str, float]] = {
    name: float(epsilon) for name, epsilon in NAMED_PLANS["balanced"].items()
}


def cycle(
    world: World,
    invited: int,
    rng: np.random.Generator,
    *,
    response: float,
    plan: Mapping[str, float] = BALANCED,
    indicators: bool = True,
) -> Evidence:
    """Return what the verdict may look at after one cycle of ``invited`` reps."""
    return evidence(play(world, invited, rng, response=response, plan=plan, indicators=indicators))


def evidence(release: Release) -> Evidence:
    """Return the evidence in a release."""
    tables = {name: released(release, MANIFEST, sheet) for name, sheet in RESULT_SHEETS.items()}
    return gather(release, MANIFEST, tables)


def play(
    world: World,
    invited: int,
    rng: np.random.Generator,
    *,
    response: float,
    plan: Mapping[str, float],
    indicators: bool,
) -> Release:
    """Return the release of one cycle in which everybody answers with the same chance."""
    frame = draw(world, invited, rng)
    answered = rng.random(invited) < response
    results, activity = frame.attainment_bands, frame.activity_bands
    tables = {
        sheet: (table(frame.condition_bands[name][answered], results[answered], (3, 4)), letter)
        for name, sheet in RESULT_SHEETS.items()
        if (letter := "B" if name == "support" else "D") in plan
    }
    shared = table(frame.condition_bands["support"][answered], activity[answered], (3, 3))
    tables["support-activity"] = (shared, "C")
    noisy_tables = {
        sheet: (noisy(exact, plan[letter], rng), plan[letter]) for sheet, (exact, letter) in tables.items()
    }
    found = (territory_index(frame),) if indicators else ()
    return released_tables(noisy_tables, records_of(frame, table(activity, results, (3, 4)), found))


def released_tables(tables: Mapping[str, tuple[Array, float]], records: Records) -> Release:
    """Return a release of noisy tables, each with its budget."""
    whole = {
        sheet: made_table(sheet, counts.astype(int).tolist(), round(epsilon * MICRO))
        for sheet, (counts, epsilon) in tables.items()
    }
    return Release.model_construct(
        tables=tuple(whole.values()), groups=(), frame=RecordFrame.model_construct(records=records)
    )


def records_of(frame: Frame, exact: Array, indicators: tuple[Indicator, ...]) -> Records:
    """Return the frame's own statistics."""
    records = made_records(exact=exact.astype(int).tolist(), indicators=indicators)
    hit_share = float((frame.attainment >= 1.0).mean())
    return records.model_copy(update={"frame": frame.attainment.size, "hit_share": hit_share})


def territory_index(frame: Frame) -> Indicator:
    """Return the territory index against attainment, bounded by Fisher's z (one indicator given)."""
    n = frame.attainment.size
    r = float(np.corrcoef(frame.territory_index, frame.attainment)[0, 1])
    z, error = math.atanh(r), 1.0 / math.sqrt(n - 3)
    two_sided, one_sided = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.95)
    return Indicator(
        name="territory_index",
        n=n,
        r=r,
        low=math.tanh(z - two_sided * error),
        high=math.tanh(z + two_sided * error),
        lower=math.tanh(z - one_sided * error),
        patch=True,
    )
