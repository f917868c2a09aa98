"""Made-up evidence, releases and manifests for the tests of the report's core."""

from collections.abc import Mapping, Sequence

from services.protocol.frame import Frame, Indicator, Records
from services.protocol.manifest import Bands, Group, Manifest, SheetSpec
from services.protocol.plan import CATALOGUE, MICRO
from services.protocol.release import GroupState, NoisyTable, Release
from services.report.core.drivers import Comparison, Correlation
from services.report.core.evidence import DRIVERS, Evidence, Share

ATTAINMENT = Bands(
    edges=(0.7, 1.0, 1.2),
    scores=(-1.0, -1 / 3, 1 / 3, 1.0),
    merged_into=(0, 1, 2, 3),
    labels=("under 70 %", "70 to 100 %", "100 to 120 %", "120 % and more"),
)
ACTIVITY = Bands(
    edges=(1 / 3, 2 / 3), scores=(-1.0, 0.0, 1.0), merged_into=(0, 1, 2), labels=("lower", "middle", "upper")
)

RISING = ((60, 25, 10, 5), (20, 30, 30, 20), (5, 10, 25, 60))
FLAT = ((25, 25, 25, 25), (25, 25, 25, 25), (25, 25, 25, 25))
EVEN = ((33, 33, 33), (33, 34, 33), (33, 33, 33))
EXACT = ((35, 33, 33, 34), (33, 34, 33, 33), (32, 33, 34, 33))
TABLES = {
    "support-result": RISING,
    "support-activity": EVEN,
    "capability-result": FLAT,
    "alignment-result": FLAT,
    "motivation-result": FLAT,
}


def made_driver(r: float, *, error: float = 0.05, n: float = 300.0) -> Correlation:
    """Return a driver with this r and standard error, half of its variance from noise."""
    return Correlation(r, error**2 / 2, error**2 / 2, n)


def made_comparison(support: Correlation, activity: Correlation, *, error: float = 0.07) -> Comparison:
    """Return a comparison of two drivers whose difference and sum have this standard error."""
    gap, total = support.r - activity.r, support.r + activity.r
    clear = total > 2.1 * error
    return Comparison(
        r_support=support.r,
        r_activity=activity.r,
        difference=gap,
        standard_error=error,
        interval=(gap - 1.96 * error, gap + 1.96 * error),
        claim=gap > 2.1 * error and clear,
        reverse=-gap > 2.1 * error and clear,
        r_support_activity=0.0,
        standard_error_of_sum=error,
        support=support,
        activity=activity,
    )


def made_indicator(lower: float, *, r: float = 0.4, patch: bool = True) -> Indicator:
    """Return a recorded indicator with this one-sided bound."""
    return Indicator(name="territory_index", n=400, r=r, low=r - 0.1, high=r + 0.1, lower=lower, patch=patch)


def made_evidence(
    *,
    absent: Sequence[str] = (),
    error: float = 0.05,
    indicators: tuple[Indicator, ...] = (),
    hit: float | None = 0.45,
    best: float | None = 0.5,
    best_error: float = 0.1,
    frame: int = 400,
    r: Mapping[str, float] | None = None,
) -> Evidence:
    """Return evidence in which every driver not given has an r of .02."""
    given = r or {}
    drivers = {
        name: made_driver(given.get(name, 0.02), error=error) for name in DRIVERS if name not in absent
    }
    both = "support" in drivers and "activity" in drivers
    return Evidence(
        drivers=drivers,
        comparison=made_comparison(drivers["support"], drivers["activity"]) if both else None,
        hit_share=None if hit is None else Share(hit, 0.02),
        best_thirds={} if best is None else {name: Share(best, best_error) for name in drivers},
        indicators=indicators,
        frame=frame,
    )


def made_records(
    *, exact: Sequence[Sequence[int]] | None = EXACT, indicators: tuple[Indicator, ...] = ()
) -> Records:
    """Return the record statistics of 400 reps in teams of eight."""
    return Records(
        frame=400,
        hit_share=0.45,
        attainment=None,
        activity_by_attainment=None if exact is None else tuple(tuple(row) for row in exact),
        icc_attainment=0.1,
        mean_team_size=8.0,
        indicators=indicators,
        groups=(),
        notes=(),
    )


def made_release(
    tables: Mapping[str, Sequence[Sequence[int | None]] | None],
    *,
    records: Records | None = None,
    shown: Sequence[str] = (),
    epsilon_micro: int = MICRO // 2,
) -> Release:
    """Return a release with these noisy tables; a table that is None is held whole."""
    return Release.model_construct(
        tables=tuple(made_table(name, rows, epsilon_micro) for name, rows in tables.items()),
        groups=tuple(GroupState(id=name, state="shown") for name in shown),
        frame=Frame.model_construct(records=records or made_records()),
    )


def made_table(sheet: str, rows: Sequence[Sequence[int | None]] | None, epsilon_micro: int) -> NoisyTable:
    """Return one released table."""
    width = len(rows[0]) if rows else 0
    return NoisyTable(
        sheet=sheet,
        table=CATALOGUE[sheet].table,
        state="held" if rows is None else "shown",
        rows=("low", "middle", "high"),
        columns=tuple(f"column {place}" for place in range(width)),
        noisy_counts=None if rows is None else tuple(tuple(row) for row in rows),
        mechanism="discrete_laplace",
        scale=MICRO / epsilon_micro,
        epsilon_micro=epsilon_micro,
    )


def made_manifest(*, attainment: Bands = ATTAINMENT, groups: Sequence[str] = ("north", "south")) -> Manifest:
    """Return a manifest with the parts that the report's core reads."""
    live = {"attainment": attainment.live, "activity": ACTIVITY.live, "group": tuple(range(len(groups)))}
    sheets = tuple(
        SheetSpec.model_construct(name=name, values=live[kind.context])
        for name, kind in CATALOGUE.items()
        if kind.context in live
    )
    return Manifest.model_construct(
        k=10,
        bands={"attainment": attainment, "activity": ACTIVITY},
        sheets=sheets,
        groups=tuple(
            Group(id=name, parent="company", name=name, level="group", invited=100) for name in groups
        ),
    )
