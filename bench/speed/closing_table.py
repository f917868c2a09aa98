"""What was measured of a close as a table, and what it says about the figures of the design."""

import statistics
from collections.abc import Callable, Sequence

from bench.speed import probes
from bench.speed.close_once import WORKERS, Figures, Round

OPENING_AT_MOST, CHECK_AT_MOST = 2.0, 5.0
"""Key exchanges a sheet, per core."""
EFFICIENT_AT_LEAST = 0.85
GROWTH_AT_MOST = 1.5
"""Memory at ten times the sheets."""
WORKER_AT_MOST = 256 * probes.MIB

Figure = Callable[[Figures], float]


def of_rounds(figure: Callable[[Round], float]) -> Figure:
    """Return the median of a figure over all rounds."""
    return lambda measured: statistics.median(figure(each) for each in measured.rounds)


def larger_worker(measured: Figures) -> float:
    """Return the peak memory of the worker that needed more [bytes]."""
    return max(measured.worker_bytes)


OPENING = of_rounds(lambda each: each.opening_ratio.wall)
CHECK = of_rounds(lambda each: each.check_two_ratio.wall)
EFFICIENCY = of_rounds(lambda each: each.efficiency)
ROWS: tuple[tuple[str, Figure, int], ...] = (
    ("sheets", lambda each: each.sheets, 0),
    ("rounds, medians of which follow", lambda each: len(each.rounds), 0),
    ("key exchange [us]", of_rounds(lambda each: 1e6 * each.exchange), 1),
    ("opening alone, one process [s]", of_rounds(lambda each: each.opening.wall), 2),
    ("  in key exchanges a sheet", OPENING, 2),
    ("  the same by processor time", of_rounds(lambda each: each.opening_ratio.cpu), 2),
    ("full check, one process [s]", of_rounds(lambda each: each.check_one.wall), 2),
    ("  in key exchanges a sheet", of_rounds(lambda each: each.check_one_ratio.wall), 2),
    ("  the same by processor time", of_rounds(lambda each: each.check_one_ratio.cpu), 2),
    (f"full check, {WORKERS} processes [s]", of_rounds(lambda each: each.check_two.wall), 2),
    ("  in key exchanges a sheet, per core", CHECK, 2),
    ("  the same by processor time of all", of_rounds(lambda each: each.check_two_ratio.cpu), 2),
    (f"efficiency of {WORKERS} processes", EFFICIENCY, 2),
    ("start of the processes [s]", lambda each: each.start_workers, 2),
    ("root of the receipt list [s]", lambda each: each.root, 3),
    ("release and list into SQLite [s]", lambda each: each.publish, 3),
    ("  on disk [MiB]", lambda each: each.database_bytes / probes.MIB, 1),
    ("4 KiB made safe (fdatasync) [ms]", lambda each: 1e3 * each.sync, 2),
    ("peak memory, service [MiB]", lambda each: each.main_bytes / probes.MIB, 1),
    ("peak memory, larger worker [MiB]", lambda each: larger_worker(each) / probes.MIB, 1),
)


def table(measured: Sequence[Figures]) -> list[str]:
    """Return the lines of the table, a column for each size."""
    columns = [[f"{figure(each):,.{digits}f}" for _, figure, digits in ROWS] for each in measured]
    widths = [max(len(cell) for cell in column) for column in columns]
    names = max(len(name) for name, _, _ in ROWS)
    lines = [
        f"{name:<{names}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for (name, _, _), row in zip(ROWS, zip(*columns, strict=True), strict=True)
    ]
    return [*lines, f"{probes.cores()} cores; key exchanges by {measured[0].source}."]


def judge(measured: Sequence[Figures]) -> list[tuple[bool, str]]:
    """Return for each figure of the design whether it is met, and that in words."""
    said = []
    for each in measured:
        size = f"{each.sheets:,} sheets"
        said.append(_at_most(f"opening, {size}", OPENING(each), OPENING_AT_MOST))
        said.append(_at_most(f"full check, {size}", CHECK(each), CHECK_AT_MOST))
        said.append(_at_least(f"efficiency, {size}", EFFICIENCY(each), EFFICIENT_AT_LEAST))
        said.append(
            _at_most(f"a worker's MiB, {size}", larger_worker(each) / probes.MIB, WORKER_AT_MOST / probes.MIB)
        )
    by_size = {each.sheets: each for each in measured}
    for small, large in ((one, by_size[10 * one.sheets]) for one in measured if 10 * one.sheets in by_size):
        size = f"{large.sheets:,} against {small.sheets:,} sheets"
        said.append(
            _at_most(f"memory of the service, {size}", large.main_bytes / small.main_bytes, GROWTH_AT_MOST)
        )
        grown = larger_worker(large) / larger_worker(small)
        said.append(_at_most(f"memory of a worker, {size}", grown, GROWTH_AT_MOST))
    return said


def _at_most(what: str, figure: float, limit: float) -> tuple[bool, str]:
    met = figure <= limit
    return met, f"{'met   ' if met else 'MISSED'}  {what}: {figure:.2f} (at most {limit:g})"


def _at_least(what: str, figure: float, limit: float) -> tuple[bool, str]:
    met = figure >= limit
    return met, f"{'met   ' if met else 'MISSED'}  {what}: {figure:.2f} (at least {limit:g})"
