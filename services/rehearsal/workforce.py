"""Composite workforces: made-up companies in which it is known what results depend on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.protocol.problems import Problem
from services.rehearsal.answers import (
    CHOICES,
    ITEMS,
    REASONS,
    Floats,
    draw_items,
    draw_reasons,
    draw_responders,
    make_rng,
)
from services.rehearsal.worlds import (
    ACTIVITY,
    ALIGNMENT,
    CAPABILITY,
    INDEX,
    PREVIOUS,
    RESULT,
    SUPPORT,
    WORLDS,
    World,
    attainment,
    draw_latents,
    heard_latents,
)

SMALLEST = 20
TEAM_SIZE, REGION_SIZE, MOST_REGIONS = 10, 80, 24
PERIOD = ("2025-07-01", "2025-09-30")
PREVIOUS_PERIOD = ("2025-04-01", "2025-06-30")
SEGMENT_QUOTA = {"smb": 180_000, "mid-market": 250_000, "enterprise": 400_000}
# fmt: off
REGION_NAMES = (
    "North", "South", "East", "West", "Central", "Coast", "Lakes", "Hills", "Plains", "Harbour", "Valley",
    "Islands", "Delta", "Forest", "Ridge", "Canal", "Bridge", "Meadow", "Cape", "Upland", "Border", "Garden",
    "River", "Summit",
)
SYLLABLES = (
    "bel", "cor", "dan", "fen", "gar", "hal", "jor", "kel", "lan", "mar", "nor", "pel", "ros", "sel", "tor",
    "ver",
)
# fmt: on


@dataclass(frozen=True, repr=False)
class Workforce:
    """Four CSV files of a made-up company; only responders have a line in ``answers_csv``."""

    roster_csv: bytes
    results_csv: bytes
    previous_csv: bytes
    answers_csv: bytes


@dataclass(frozen=True)
class Organisation:
    """Who works where: a team per rep (n,), and the region of each team."""

    team: NDArray[np.intp]
    region_of_team: NDArray[np.intp]

    @property
    def region(self) -> NDArray[np.intp]:
        """The region of each rep (n,)."""
        return self.region_of_team[self.team]


def make_workforce(*, reps: int, world: str, seed: int, response: float) -> Workforce:
    """Return a made-up company in which results depend on what ``world`` says.

    Parameters
    ----------
    reps : int
        Invited reps, at least 20.
    world : str
        A name in ``WORLDS``.
    seed : int
        Fixes people and answers, at least 0; never keys or noise.
    response : float
        Share of the reps who respond, above 0 and at most 1; who does is independent of all else.

    Returns
    -------
    Workforce
        Roster, results, last period's results and answers.

    Raises
    ------
    Problem
        If a number is out of range or the world is unknown.

    Notes
    -----
    Privacy: made up, nobody's records; reports drawn from it carry the sample banner.
    Latents are normal with the world's correlations, split into region, team and rep; attainment is
    their image under the world's spread. Territories were re-cut: last period shares the rep with this
    one, not the patch.
    Source: statistics.md, section 5 (worlds).

    Examples
    --------
    >>> made = make_workforce(reps=20, world="seeds", seed=7, response=0.85)
    >>> made.roster_csv.splitlines()[0]
    b'employee_id,email,team,region,manager_email,segment,role,start_date,language'
    >>> len(made.results_csv.splitlines()), len(made.answers_csv.splitlines())
    (21, 18)
    """
    if world not in WORLDS:
        raise Problem("input", f"There is no world '{world[:40]}'. Use one of: {', '.join(WORLDS)}.")
    if reps < SMALLEST:
        raise Problem("input", f"A composite workforce has at least {SMALLEST} reps.")
    people, replies = make_rng(seed, "people"), make_rng(seed, "answers")
    chosen, organisation = WORLDS[world], organise(people, reps)
    latents = draw_latents(people, chosen, region=organisation.region, team=organisation.team)
    roster = roster_columns(people, organisation)
    results = result_columns(people, latents, roster, chosen)
    previous = sales_columns(people, latents[:, PREVIOUS], roster, chosen, PREVIOUS_PERIOD)
    hit = np.array(results["credited"], dtype=float) >= np.array(results["quota"], dtype=float)
    answers = answer_columns(replies, latents, hit, roster["employee_id"], chosen, response)
    return Workforce(
        roster_csv=as_csv(roster),
        results_csv=as_csv(results),
        previous_csv=as_csv(previous),
        answers_csv=as_csv(answers),
    )


def organise(rng: np.random.Generator, reps: int) -> Organisation:
    """Return teams of about ten and regions from large to small, so that some need merging."""
    teams = max(2, round(reps / TEAM_SIZE))
    sizes = np.full(teams, reps // teams)
    sizes[: reps % teams] += 1
    pairs = teams // 2
    moved = rng.integers(-1, 2, pairs)
    sizes[: 2 * pairs : 2] += moved
    sizes[1 : 2 * pairs : 2] -= moved
    regions = min(max(2, round(reps / REGION_SIZE)), MOST_REGIONS)
    upto = np.cumsum(np.linspace(1.5, 0.5, regions))
    ends = np.rint(upto / upto[-1] * teams).astype(np.intp)
    ends = np.clip(ends, np.arange(1, regions + 1), teams - np.arange(regions)[::-1])
    region_of_team = np.searchsorted(ends, np.arange(teams), side="right")
    return Organisation(np.repeat(np.arange(teams), sizes), region_of_team)


def roster_columns(rng: np.random.Generator, organisation: Organisation) -> dict[str, list[str]]:
    """Return the roster: made-up people, teams, regions, roles and tenure."""
    reps = len(organisation.team)
    number = [f"{i:06d}" for i in range(1, reps + 1)]
    syllables = rng.choice(SYLLABLES, (4, reps)).tolist()
    tenure_days = np.minimum(100 + rng.exponential(1100.0, reps), 5500).astype(int)
    starts = np.datetime64(PERIOD[0]) - tenure_days.astype("timedelta64[D]")
    names = [REGION_NAMES[region] for region in organisation.region_of_team]
    teams = [f"{name} {team + 1:02d}" for team, name in enumerate(names)]
    return {
        "employee_id": [f"E{digits}" for digits in number],
        "email": [
            f"{a}{b}.{c}{d}.{n}@sample.example" for a, b, c, d, n in zip(*syllables, number, strict=True)
        ],
        "team": [teams[team] for team in organisation.team],
        "region": [names[team] for team in organisation.team],
        "manager_email": [f"lead.team{team + 1:05d}@sample.example" for team in organisation.team],
        "segment": rng.choice(list(SEGMENT_QUOTA), reps, p=[0.4, 0.4, 0.2]).tolist(),
        "role": np.where(rng.random(reps) < 0.25, "senior account executive", "account executive").tolist(),
        "start_date": starts.astype(str).tolist(),
        "language": ["en"] * reps,
    }


def sales_columns(
    rng: np.random.Generator,
    latent: Floats,
    roster: Mapping[str, list[str]],
    world: World,
    period: tuple[str, str],
) -> dict[str, list[str]]:
    """Return one period's quota and credited sales [whole currency] in its own territories."""
    usual = np.array([SEGMENT_QUOTA[segment] for segment in roster["segment"]])
    quota = usual * rng.integers(18, 23, len(usual)) // 20
    credited = np.rint(attainment(latent, world.spread) * quota).astype(int)
    quarter = f"{period[0][:4]}Q{(int(period[0][5:7]) + 2) // 3}"
    return {
        "employee_id": roster["employee_id"],
        "period_start": [period[0]] * len(quota),
        "period_end": [period[1]] * len(quota),
        "quota": quota.astype(str).tolist(),
        "credited": credited.astype(str).tolist(),
        "currency": ["USD"] * len(quota),
        "territory": [f"{quarter}-{place:06d}" for place in rng.permutation(len(quota)) + 1],
    }


def result_columns(
    rng: np.random.Generator,
    latents: Floats,
    roster: Mapping[str, list[str]],
    world: World,
) -> dict[str, list[str]]:
    """Return this period's results with recorded activity and indicators.

    Calls and demos carry opposite noise, so that their standardised sum is the activity latent. Leads
    and response times go weakly with the territory index, conversion with Capability, and days in
    stage with Alignment.
    """

    def partly(variable: int, r: float) -> Floats:
        heard: Floats = r * latents[:, variable] + (1 - r * r) ** 0.5 * rng.standard_normal(len(latents))
        return heard

    senior = np.array([role.startswith("senior") for role in roster["role"]])
    tilt = 0.5 * rng.standard_normal(len(latents))
    calls = np.where(senior, 380, 440) + 70 * (latents[:, ACTIVITY] + tilt)
    demos = np.where(senior, 56, 48) + 8 * (latents[:, ACTIVITY] - tilt)
    return sales_columns(rng, latents[:, RESULT], roster, world, PERIOD) | {
        "calls": written(np.maximum(calls, 0), 0),
        "demos": written(np.maximum(demos, 0), 0),
        "territory_index": written(100 + 15 * latents[:, INDEX], 1),
        "leads_assigned": written(rng.poisson(60 * np.exp(0.25 * partly(INDEX, 0.35))), 0),
        "first_response_hours": written(5 * np.exp(-0.5 * partly(INDEX, 0.30)), 2),
        "stage_conversion": written(np.clip(28 + 6 * partly(CAPABILITY, 0.40), 1, 99), 1),
        "median_days_in_stage": written(14 * np.exp(-0.3 * partly(ALIGNMENT, 0.30)), 1),
    }


def answer_columns(
    rng: np.random.Generator,
    latents: Floats,
    hit: NDArray[np.bool_],
    employee_ids: list[str],
    world: World,
    response: float,
) -> dict[str, list[str]]:
    """Return the responders' answers; ``hit`` (n,) says who met quota."""
    chosen = draw_responders(rng, len(latents), response)
    items = draw_items(rng, heard_latents(latents[chosen], world))
    reasons = draw_reasons(rng, latents[chosen, SUPPORT], hit[chosen].astype(float))
    answers = {item: np.array(["", *CHOICES])[items[:, i]].tolist() for i, item in enumerate(ITEMS)}
    return (
        {"employee_id": [employee_ids[person] for person in chosen]}
        | answers
        | {"flag": np.array([*REASONS, ""])[reasons].tolist()}
    )


def written(numbers: Floats | NDArray[np.int_], decimals: int) -> list[str]:
    """Return numbers as text with a fixed count of decimals."""
    return [f"{number:.{decimals}f}" for number in numbers.tolist()]


def as_csv(columns: Mapping[str, list[str]]) -> bytes:
    """Return columns as CSV; no cell of a composite workforce needs quoting."""
    lines = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]
    return ("\n".join(lines) + "\n").encode("ascii")
