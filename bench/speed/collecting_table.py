"""What was measured of collecting as a table, and what it says about the figures of the design."""

import statistics
from collections.abc import Sequence

from bench.speed import probes
from bench.speed.collecting import FEW, MANY, Collecting, Taken
from bench.speed.verdicts import Verdict, at_least, at_most

NAMES = {
    "ours": "Fairpatch, PostgreSQL",
    "nothing": "the same, storing nothing",
    "plain": "plain SQLModel, PostgreSQL",
    "sqlite": "Fairpatch, SQLite",
}
FASTER_AT_LEAST, OF_NOTHING_AT_LEAST, SLOWEST_AT_MOST, SYNCS_AT_MOST = 5.0, 0.5, 0.5, 0.2
QUIET = 1.0
RATIOS = (
    ("sheets a second, Fairpatch / plain", "ours", "plain", "rate"),
    ("sheets a second, Fairpatch / storing nothing", "ours", "nothing", "rate"),
    ("p99, Fairpatch / plain", "ours", "plain", "p99"),
)


def lines(found: Collecting) -> list[str]:
    """Return the lines of the table."""
    head = (
        f"{'':28}{'sheets/s':>10}{'lowest':>9}{'highest':>9}{'p50 [ms]':>10}{'p99 [ms]':>10}{'CPU [us]':>10}"
    )
    rows = [_row(name, [each.taken[name] for each in found.rounds]) for name in NAMES]
    return [head, *rows, *_notes(found), "", *_ratios(found), "", *_syncs(found)]


def judge(found: Collecting) -> list[Verdict]:
    """Return for each figure of the design whether it is met."""
    faster, of_nothing, slowest = (statistics.median(_of(found, *each[1:])) for each in RATIOS)
    return [
        at_least(f"{RATIOS[0][0]}, {MANY} connections", faster, FASTER_AT_LEAST),
        at_least(f"{RATIOS[1][0]}", of_nothing, OF_NOTHING_AT_LEAST),
        at_most(f"{RATIOS[2][0]}, {MANY} connections", slowest, SLOWEST_AT_MOST),
        *(
            at_most(f"syncs a sheet at {FEW} connections, {where}", syncs, SYNCS_AT_MOST)
            for where, syncs in found.syncs.items()
            if syncs is not None
        ),
    ]


def _row(name: str, taken: Sequence[Taken]) -> str:
    rates = [each.rate for each in taken]
    cells = [
        f"{statistics.median(rates):>10,.0f}{min(rates):>9,.0f}{max(rates):>9,.0f}",
        f"{1e3 * statistics.median(each.p50 for each in taken):>10.1f}",
        f"{1e3 * statistics.median(each.p99 for each in taken):>10.1f}",
        f"{1e6 * statistics.median(each.cpu for each in taken):>10.0f}",
    ]
    return f"{NAMES[name]:28}" + "".join(cells)


def _notes(found: Collecting) -> list[str]:
    probed = [1e3 * each.sync for each in found.rounds]
    tried = ", ".join(f"{pool}: {rate:,.0f}" for pool, rate in found.pools.items())
    busy = " Others were at work: ratios suffer from that, too." if found.load_average > QUIET else ""
    return [
        f"Medians of {len(found.rounds)} rounds at {MANY} connections; client, app and PostgreSQL share "
        f"{probes.cores()} cores. Load average before: {found.load_average:.1f}.{busy}",
        f"Apart: of the app's CPU a sheet, checking token and signature takes {1e6 * found.check:.0f} us "
        f"and signing the receipt {1e6 * found.receipt:.0f} us, in every row.",
        f"Plain app's connections and sheets/s in a first try: {tried}; the rounds use the faster.",
        f"4 KiB made safe (fdatasync) before each round: {statistics.median(probed):.2f} ms "
        f"({min(probed):.2f} to {max(probed):.2f}).",
    ]


def _ratios(found: Collecting) -> list[str]:
    said = []
    for words, name, other, figure in RATIOS:
        ratios = _of(found, name, other, figure)
        middle = statistics.median(ratios)
        said.append(f"{words:46}{middle:6.2f}  ({min(ratios):.2f} to {max(ratios):.2f} by round)")
    return said


def _syncs(found: Collecting) -> list[str]:
    return [
        f"fdatasync per acknowledged sheet, {where:22}"
        + (f"{syncs:6.3f}" if syncs is not None else "  not counted: needs strace, or room in memory")
        for where, syncs in found.syncs.items()
    ]


def _of(found: Collecting, name: str, other: str, figure: str) -> list[float]:
    return [each.over(name, other, figure) for each in found.rounds]
