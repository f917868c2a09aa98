"""The gate by counting: a million decisions on groups under k, and how often coins show the others."""

import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor

from scipy.stats import chi2

from services.aggregate.core.gate import decide
from services.protocol.plan import COIN_DELTA, COIN_EPSILON_MICRO, MICRO, publish_chance
from tests.audit.bounds import at_most
from tests.audit.releasing import noise_of_the_service
from tests.audit.telling import Findings

K = 10
UNDER = tuple(range(K))
ABOVE = tuple(range(K, 2 * K + 20))
DECISIONS = 1_000_000
ALARM = 1e-6
LEAST_EXPECTED = 20.0
EPSILON = COIN_EPSILON_MICRO / MICRO


def audit(pool: Executor, decisions: int = DECISIONS) -> Findings:
    """Return how many groups under k were shown, and whether the others follow the published chance."""
    findings = Findings(f"The gate: {decisions:,} decisions on groups under k = {K}")
    rounds = math.ceil(decisions / len(UNDER) / 20)
    shown: Counter[int] = Counter()
    decided: Counter[int] = Counter()
    for future in [pool.submit(count, math.ceil(rounds / 8)) for _ in range(8)]:
        for total, part in zip((shown, decided), future.result(), strict=True):
            total.update(part)
    under, looked = sum(shown[n] for n in UNDER), sum(decided[n] for n in UNDER)
    most = float(at_most(under, looked, ALARM))
    findings.require(
        under == 0 and looked >= decisions,
        f"{under} groups under k shown in {looked:,} decisions; the chance is below {most:.1e}, "
        f"but for an error of {ALARM:g}.",
    )
    statistic, cells = fit(shown, decided)
    allowed = float(chi2.isf(ALARM, cells))
    findings.require(
        statistic < allowed,
        f"Groups from k on are shown as often as published: chi-square {statistic:.1f} over {cells} sizes, "
        f"false alarm above {allowed:.1f} (chance {ALARM:g}).",
    )
    return findings


def count(rounds: int, coin: Callable[[], float] | None = None) -> tuple[Counter[int], Counter[int]]:
    """Return, by true answers, how often groups were shown and decided on."""
    coin = coin or noise_of_the_service().uniform
    # Enough groups on both sides that the rule against one held group never moves a decision.
    counts = [*UNDER * 20, *ABOVE * 5]
    shown: Counter[int] = Counter()
    for _ in range(rounds):
        decided = decide(counts, [90] * len(counts), k=K, epsilon=EPSILON, delta=COIN_DELTA, uniform=coin)
        shown.update(n for n, is_shown in zip(counts, decided, strict=True) if is_shown)
    return shown, Counter({n: times * rounds for n, times in Counter(counts).items()})


def fit(shown: Counter[int], decided: Counter[int]) -> tuple[float, int]:
    """Return the chi-square of how often groups from k on were shown, and over how many sizes."""
    statistic, cells = 0.0, 0
    for n in ABOVE:
        chance = publish_chance(n, K, epsilon=EPSILON, delta=COIN_DELTA)
        variance = decided[n] * chance * (1 - chance)
        if variance >= LEAST_EXPECTED:
            statistic += (shown[n] - decided[n] * chance) ** 2 / variance
            cells += 1
    return statistic, cells
