"""Puppets: somebody controls all members of a group but one or two. What is shown, what can be learnt?"""

import math
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from services.protocol.arithmetic import publish_chance
from services.protocol.manifest import Manifest
from services.protocol.plan import MICRO, SUPPORT_GROUP
from tests.audit.bounds import Draws, at_least
from tests.audit.neighbours import Place, Response, exact_row, layout
from tests.audit.releasing import Task, draw_all
from tests.audit.telling import Findings

PLAN = "balanced"
DRAWS = 10_000
ALARM = 1e-6
"""Chance that one comparison here fails although the release is right; six are made."""

LARGE = 60


@dataclass(frozen=True)
class Game:
    """The attacker's group, the two worlds to be told apart, and how sure theory lets anybody become."""

    words: str
    others: int
    worlds: tuple[Response, Response]
    epsilon: float
    delta: float

    @property
    def most(self) -> float:
        """The best chance of a right guess between two equally likely worlds."""
        return (1 + self.delta) / (1 + math.exp(-self.epsilon))


def audit(pool: Executor, draws: int = DRAWS) -> Findings:
    """Return what puppets see of a group of k and of k + 1, and what they learn where a group is shown."""
    findings = Findings(f"Puppets: {draws:,} releases each, table of Support by group, plan '{PLAN}'")
    manifest = Task(PLAN, Place(0), "present", 0, groups_only=True).manifest
    for members in (manifest.k, manifest.k + 1):
        _small_group(findings, pool, manifest, members, draws)
    for game in games(manifest):
        _play(findings, pool, manifest, game, draws)
    return findings


def games(manifest: Manifest) -> tuple[Game, ...]:
    """Return the games on groups that may be shown."""
    plan, edge = manifest.plan, gate_edge(manifest)
    table, coin = plan.table(SUPPORT_GROUP).epsilon, plan.coin_epsilon_micro / MICRO
    return (
        Game(
            "whether the one other took part, at the gate's edge",
            edge,
            ("present", "blank"),
            table + coin,
            plan.coin_delta,
        ),
        Game("what the one other answered, at the gate's edge", edge, ("present", "other"), 2 * table, 0.0),
        Game(f"what the one other of {LARGE} answered", LARGE - 1, ("present", "other"), 2 * table, 0.0),
    )


def gate_edge(manifest: Manifest) -> int:
    """Return the number of others at which one answer more moves a group's chance to be shown most."""
    plan = manifest.plan

    def chance(n: int) -> float:
        return publish_chance(n, manifest.k, epsilon=plan.coin_epsilon_micro / MICRO, delta=plan.coin_delta)

    return max(range(manifest.k, 4 * manifest.k), key=lambda n: chance(n + 1) - chance(n))


def _small_group(findings: Findings, pool: Executor, manifest: Manifest, members: int, draws: int) -> None:
    """Say how often a group is shown of which all but one, or two, are puppets."""
    plan, puppets = manifest.plan, manifest.k - 1
    task = Task(PLAN, Place(members - 1), "present", draws, groups_only=True)
    (drawn,) = draw_all(pool, [task])
    shown = int(drawn[:, layout(manifest).states[0]].sum())
    chance = publish_chance(
        members, manifest.k, epsilon=plan.coin_epsilon_micro / MICRO, delta=plan.coin_delta
    )
    likely = float(at_least(shown, draws, ALARM))
    findings.require(
        likely <= chance,
        f"{puppets} puppets in a group of {members}: shown {shown} times in {draws:,} "
        f"(published chance {chance:.1e}). "
        "Held, it carries no number, so they learn nothing of what the others answered.",
    )


def _play(findings: Findings, pool: Executor, manifest: Manifest, game: Game, draws: int) -> None:
    """Guess from every release, as well as can be done, and say how often that was right."""
    tasks = [Task(PLAN, Place(game.others), world, draws, groups_only=True) for world in game.worlds]
    drawn = draw_all(pool, tasks)
    right = [int((guess(manifest, game, rows) == number).sum()) for number, rows in enumerate(drawn)]
    rates = [at_least(hits, draws, ALARM / 2) for hits in right]
    surely, seen = float(sum(rates)) / 2, sum(right) / (2 * draws)
    findings.require(
        surely <= game.most,
        f"{game.others} puppets guess {game.words}: right {100 * seen:.1f} times in 100; "
        f"theory allows {100 * game.most:.1f}.",
    )


def guess(manifest: Manifest, game: Game, rows: Draws) -> "np.typing.NDArray[np.int64]":
    """Return the likelier world of each release: 0 or 1, by the published law of noise and coin."""
    place, states = Place(game.others), layout(manifest).states
    exact = [exact_row(manifest, place, world) for world in game.worlds]
    epsilon = manifest.plan.table(SUPPORT_GROUP).epsilon
    is_shown = rows[:, states[0]] == 1
    cells = [place for place, (_, _, column) in enumerate(layout(manifest).cells) if column == 0]
    apart = [np.abs(rows[:, cells] - one[cells]).sum(axis=1) for one in exact]
    told = np.where(is_shown, epsilon * (apart[1] - apart[0]), 0.0)
    chances = [_chance(manifest, game.others + (world != "blank")) for world in game.worlds]
    shown = math.log(chances[0] / chances[1])
    held = math.log((1 - chances[0]) / (1 - chances[1])) if max(chances) < 1 else 0.0
    total = told + np.where(is_shown, shown, held)
    return np.asarray(total < 0, dtype=np.int64)


def _chance(manifest: Manifest, n: int) -> float:
    plan = manifest.plan
    return publish_chance(n, manifest.k, epsilon=plan.coin_epsilon_micro / MICRO, delta=plan.coin_delta)
