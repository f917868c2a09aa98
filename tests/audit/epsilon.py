"""A black-box lower bound of epsilon: draw the real release on neighbours, and see what frequencies prove.

Nothing of the inside of a release is used: only exact inputs, which the auditor chooses, and what comes out.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product

from services.protocol.plan import MICRO
from tests.audit.bounds import Bound, best, judge
from tests.audit.neighbours import Place, Response
from tests.audit.planted import PLANTED
from tests.audit.releasing import REAL, Task, draw_all
from tests.audit.statistics import Pair, family
from tests.audit.telling import Findings

ERROR = 1e-3
"""Chance that a right release fails this part of the audit; a planted one is judged as strictly."""

SEARCH_ERROR = 0.05
LEAST_SEARCH = 80
OTHERS = (9, 10, 13, 17, 20, 21, 22, 23, 24, 26, 30)
"""Answers of the rep's group without the rep: from one under k to where a coin always shows it."""

HERE = (0, 1, 12, 40)
SIBLINGS = ((60, 60), (22, 60), (9, 60))
PAIRS: tuple[tuple[Response, Response], ...] = (("present", "blank"), ("present", "other"))


@dataclass(frozen=True)
class Effort:
    """Releases per neighbour: to judge by, to choose thresholds from, and per place in the search."""

    draws: int = 100_000
    held_out: int = 10_000
    search: int = 600


def audit(
    pool: Executor, effort: Effort, *, plan: str = "balanced", planted_plan: str = "stronger"
) -> Findings:
    """Return what the real release proves, and what planted faults prove."""
    findings = Findings(f"Epsilon from outside: {effort.draws:,} releases per neighbour, plan '{plan}'")
    place, tried = search(pool, plan, REAL, effort.search)
    findings.say(f"Of {tried} places tried, the worst for the rep: {place}.")
    worlds: tuple[Response, ...] = ("present", "blank", "other")
    size = effort.held_out + effort.draws
    drawn = dict(zip(worlds, draw_all(pool, [Task(plan, place, w, size) for w in worlds]), strict=True))
    for first, second in PAIRS:
        pair = Pair(Task(plan, place, first, 0).manifest, place, first, second)
        both = (drawn[first], drawn[second])
        bounds = judge(
            family(pair),
            (both[0][: effort.held_out], both[1][: effort.held_out]),
            (both[0][effort.held_out :], both[1][effort.held_out :]),
            delta=pair.manifest.plan.delta,
            error=ERROR / len(PAIRS),
        )
        _judge_real(findings, pair, bounds)
    for name in PLANTED:
        _judge_planted(findings, pool, planted_plan, name)
    return findings


def budget(pair: Pair) -> float:
    """Return what a release may cost: its tables and the coin against a blank, twice its tables otherwise."""
    plan = pair.manifest.plan
    if pair.second == "blank":
        return (plan.answers_micro + plan.participation_micro) / MICRO
    return 2 * plan.answers_micro / MICRO


def search(pool: Executor, plan: str, function: str, draws: int) -> tuple[Place, int]:
    """Return the place at which a small number of releases proves most, and how many were tried.

    First the size of the rep's group, on the table by group alone; then cells and other groups.
    """
    sizes = [Place(own) for own in OTHERS]
    found = _proved(pool, plan, function, sizes, 2 * draws, groups_only=True)
    own = sizes[found.index(max(found))].own
    places = [Place(own, siblings, here) for siblings, here in product(SIBLINGS, HERE)]
    found = _proved(pool, plan, function, places, draws, groups_only=False)
    return places[found.index(max(found))], len(sizes) + len(places)


def _proved(
    pool: Executor, plan: str, function: str, places: Sequence[Place], draws: int, *, groups_only: bool
) -> list[float]:
    tasks = [
        Task(plan, place, response, draws, function, groups_only) for place in places for response in PAIRS[0]
    ]
    drawn = draw_all(pool, tasks)
    half = draws // 2
    found = []
    for number, place in enumerate(places):
        first, second = drawn[2 * number : 2 * number + 2]
        pair = Pair(tasks[2 * number].manifest, place, *PAIRS[0])
        bounds = judge(
            family(pair),
            (first[:half], second[:half]),
            (first[half:], second[half:]),
            delta=pair.manifest.plan.delta,
            error=SEARCH_ERROR,
        )
        found.append(best(bounds).epsilon)
    return found


def _judge_real(findings: Findings, pair: Pair, bounds: list[Bound]) -> None:
    allowed, bound = budget(pair), best(bounds)
    findings.require(
        bound.epsilon <= allowed,
        f"Response against {_words(pair.second)}: epsilon is at least {bound.epsilon:.2f}, "
        f"{100 * (1 - ERROR):g} % sure; the ledger says {allowed:g}. Event: {_event(bound)}.",
    )


def _judge_planted(findings: Findings, pool: Executor, plan: str, name: str) -> None:
    """Judge a planted fault as the real release is judged, with fewer draws."""
    fault = PLANTED[name]
    held_out = fault.draws // 4
    place, _ = search(pool, plan, name, max(LEAST_SEARCH, fault.draws // 20))
    size = held_out + fault.draws
    tasks = [Task(plan, place, world, size, name) for world in PAIRS[0]]
    first, second = draw_all(pool, tasks, piece=size // 2 + 1)
    pair = Pair(tasks[0].manifest, place, *PAIRS[0])
    bounds = judge(
        family(pair),
        (first[:held_out], second[:held_out]),
        (first[held_out:], second[held_out:]),
        delta=pair.manifest.plan.delta,
        error=ERROR / len(PAIRS),
    )
    bound, allowed = best(bounds), budget(pair)
    findings.require(
        bound.epsilon > allowed,
        f"Planted, {fault.words}: at least {bound.epsilon:.2f}; plan '{plan}' allows {allowed:g} "
        f"({fault.draws:,} releases per neighbour). Event: {_event(bound)}.",
    )


def _words(response: Response) -> str:
    return {"blank": "a blank", "other": "another answer", "present": "itself"}[response]


def _event(bound: Bound) -> str:
    seen = " and ".join(
        f"{count:,}" for count in (bound.seen if bound.order == "first" else bound.seen[::-1])
    )
    return f"'{bound.statistic}' {bound.side} {bound.threshold:.2f}, seen {seen} times"
