"""Composite workforces: what was asked for is what the files hold."""

import io
from dataclasses import astuple
from functools import cache
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from services.protocol.problems import Problem
from services.rehearsal.answers import ITEMS, parse_answers
from services.rehearsal.workforce import Workforce, make_workforce
from services.rehearsal.worlds import (
    ACTIVITY,
    INDEX,
    PREVIOUS,
    RESULT,
    SUPPORT,
    VARIABLES,
    WORLDS,
    attainment,
    correlations,
    draw_latents,
)
from services.survey.core.results import parse_results
from services.survey.core.roster import parse_roster

MANY = 20_000
# Four standard errors of a correlation at 20,000 reps, with room for 24 regions that share some of it.
TOLERANCE = 0.04
RELIABILITY = 0.85
SCALES = {letter: [item for item in ITEMS if item[0] == letter] for letter in "CAMS"}
Numbers = NDArray[np.float64]


@cache
def made(world: str, reps: int = MANY, seed: int = 11, response: float = 0.85) -> Workforce:
    return make_workforce(reps=reps, world=world, seed=seed, response=response)


def read(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data))


@cache
def joined(world: str) -> pd.DataFrame:
    """Return all files of a workforce in one table, with what tests ask about every rep."""
    files = made(world)
    previous = read(files.previous_csv)
    table = read(files.roster_csv).merge(read(files.results_csv), on="employee_id", validate="1:1")
    table = table.merge(read(files.answers_csv), on="employee_id", how="left", validate="1:1")
    table["attainment"] = table["credited"] / table["quota"]
    table["result"] = normal_scores(table["attainment"].to_numpy())
    table["previous"] = normal_scores((previous["credited"] / previous["quota"]).to_numpy())
    for letter, items in SCALES.items():
        table[letter] = table[items].mean(axis=1)
    by_role = table.groupby("role")[["calls", "demos"]]
    standardised = (table[["calls", "demos"]] - by_role.transform("mean")) / by_role.transform("std")
    table["activity"] = standardised.sum(axis=1)
    return table


def normal_scores(values: Numbers) -> Numbers:
    """Return standard normal numbers in the order of ``values``; this undoes any spread."""
    order = np.argsort(np.argsort(values))
    grid = np.array([NormalDist().inv_cdf((i + 0.5) / len(values)) for i in range(len(values))])
    scores: Numbers = grid[order]
    return scores


def r(table: pd.DataFrame, a: str, b: str) -> float:
    return float(table[a].corr(table[b]))


def partial(table: pd.DataFrame, a: str, b: str, given: str) -> float:
    ab, ag, bg = r(table, a, b), r(table, a, given), r(table, b, given)
    return float((ab - ag * bg) / ((1 - ag**2) * (1 - bg**2)) ** 0.5)


# Latents


@pytest.mark.parametrize("world", WORLDS)
def test_latents_have_the_stated_correlations_and_unit_variance(world: str) -> None:
    reps = np.arange(MANY)
    drawn = draw_latents(np.random.default_rng(5), WORLDS[world], region=reps // 800, team=reps // 10)

    assert np.abs(np.corrcoef(drawn.T) - correlations(WORLDS[world])).max() < TOLERANCE
    assert np.abs(drawn.var(axis=0) - 1).max() < 0.1


def test_the_worlds_are_those_of_the_design() -> None:
    stated = {
        "seeds": (0.15, 0.13, 0.13, 0.47, 0.05, 0.40, 0.60),
        "skill": (0.47, 0.13, 0.10, 0.15, 0.05, 0.10, 0.30),
        "process": (0.13, 0.47, 0.13, 0.15, 0.05, 0.10, 0.30),
        "effort": (0.10, 0.08, 0.15, 0.05, 0.47, 0.05, 0.30),
        "tie": (0.36, 0.13, 0.10, 0.36, 0.05, 0.30, 0.50),
        "both": (0.12, 0.12, 0.15, 0.36, 0.36, 0.30, 0.50),
        "null": (0.0,) * 7,
        "quota": (0.10, 0.08, 0.06, 0.10, 0.08, 0.08, 0.30),
        "healthy": (0.10, 0.08, 0.06, 0.10, 0.08, 0.08, 0.30),
        "reverse": (0.15, 0.13, 0.13, 0.47, 0.05, 0.02, 0.02),
        "enablement": (0.15, 0.13, 0.13, 0.47, 0.05, 0.08, 0.15),
    }
    assert {name: astuple(world)[:7] for name, world in WORLDS.items()} == stated
    for name, world in WORLDS.items():
        matrix = correlations(world)
        assert tuple(matrix[RESULT, 1:7]) == stated[name][:6]
        assert matrix[SUPPORT, INDEX] == stated[name][6]
        assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "reverse"])
def test_last_period_shares_the_rep_and_not_the_patch(world: str) -> None:
    matrix = correlations(WORLDS[world])
    assert matrix[PREVIOUS, INDEX] == 0.0
    assert 0.2 < matrix[PREVIOUS, RESULT] < 0.55
    # Support goes with last period only through the conditions and activity it is related to.
    assert abs(matrix[PREVIOUS, SUPPORT]) < 0.15


def test_every_spread_keeps_the_order_and_stays_above_zero() -> None:
    latent = np.linspace(-4, 4, 101)
    for spread in (None, NormalDist(0.82, 0.20)):
        ratios = attainment(latent, spread)
        assert (np.diff(ratios) >= 0).all()
        assert ratios.min() > 0


# Files


def test_columns_are_those_of_the_design() -> None:
    files = made("seeds", reps=60)
    heads = [
        data.splitlines()[0].decode().split(",")
        for data in (files.roster_csv, files.results_csv, files.previous_csv, files.answers_csv)
    ]
    sales = ["employee_id", "period_start", "period_end", "quota", "credited", "currency", "territory"]
    assert heads == [
        [
            "employee_id",
            "email",
            "team",
            "region",
            "manager_email",
            "segment",
            "role",
            "start_date",
            "language",
        ],
        [
            *sales,
            *("calls", "demos", "territory_index", "leads_assigned", "first_response_hours"),
            *("stage_conversion", "median_days_in_stage"),
        ],
        sales,
        ["employee_id", *ITEMS, "flag"],
    ]


@pytest.mark.parametrize("reps", [20, 25, 39, 400])
def test_survey_reads_the_files_without_a_remark(reps: int) -> None:
    files = made("seeds", reps=reps)
    roster = parse_roster(files.roster_csv, file="roster.csv")
    results = parse_results(files.results_csv, file="results.csv", roster=roster)
    previous = parse_results(files.previous_csv, file="previous.csv", roster=roster)
    answers = parse_answers(files.answers_csv, file="answers.csv", employee_ids=roster.by_id)

    assert len(roster.reps) == len(results.rows) == len(previous.rows) == reps
    assert (roster.warnings, results.warnings, previous.warnings) == ((), (), ())
    assert len(answers) == round(0.85 * reps)
    assert all(rep.email.endswith("@sample.example") for rep in roster.reps)


@pytest.mark.parametrize(("reps", "regions"), [(20, 2), (150, 2), (400, 5), (20_000, 24)])
def test_teams_are_about_ten_and_regions_differ_in_size(reps: int, regions: int) -> None:
    roster = read(made("seeds", reps=reps).roster_csv)
    teams, sizes = roster["team"].value_counts(), roster["region"].value_counts()

    assert 8 <= teams.min() <= teams.max() <= 12
    assert len(sizes) == regions
    assert (roster.groupby("team")["region"].nunique() == 1).all()
    assert (roster.groupby("team")["manager_email"].nunique() == 1).all()
    assert reps == 20 or sizes.max() > 1.5 * sizes.min()


def test_a_seed_fixes_people_and_answers_and_the_response_changes_no_person() -> None:
    first, again = (make_workforce(reps=60, world="seeds", seed=3, response=0.8) for _ in range(2))
    fewer = make_workforce(reps=60, world="seeds", seed=3, response=0.4)
    other = make_workforce(reps=60, world="seeds", seed=4, response=0.8)

    assert (first.roster_csv, first.results_csv, first.previous_csv, first.answers_csv) == (
        again.roster_csv,
        again.results_csv,
        again.previous_csv,
        again.answers_csv,
    )
    assert (first.roster_csv, first.results_csv) == (fewer.roster_csv, fewer.results_csv)
    assert first.results_csv != other.results_csv


@pytest.mark.parametrize(
    "change", [{"reps": 19}, {"world": "made-up"}, {"seed": -1}, {"response": 0.0}, {"response": 1.2}]
)
def test_what_cannot_be_made_is_refused_in_a_sentence(change: dict[str, object]) -> None:
    asked = {"reps": 40, "world": "seeds", "seed": 1, "response": 0.5} | change
    with pytest.raises(Problem) as caught:
        make_workforce(**asked)  # type: ignore[arg-type]
    assert caught.value.kind == "input"


# Realised figures, from the files alone


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "enablement"])
def test_answers_and_records_go_with_results_as_stated(world: str) -> None:
    table, stated = joined(world), WORLDS[world]
    heard = RELIABILITY**0.5

    for letter, latent in zip(
        "CAMS", (stated.capability, stated.alignment, stated.motivation, stated.support), strict=True
    ):
        assert r(table, "result", letter) == pytest.approx(heard * latent, abs=TOLERANCE)
    assert r(table, "result", "activity") == pytest.approx(stated.activity, abs=TOLERANCE)
    assert r(table, "result", "territory_index") == pytest.approx(stated.index_result, abs=TOLERANCE)
    assert r(table, "S", "territory_index") == pytest.approx(heard * stated.index_support, abs=TOLERANCE)
    assert r(table, "C", "A") == pytest.approx(heard**2 * 0.25, abs=TOLERANCE)
    assert r(table, "M", "activity") == pytest.approx(heard * 0.15, abs=TOLERANCE)


def test_on_bands_the_seeds_world_has_its_headline_figures() -> None:
    table = joined("seeds").dropna(subset=["S"])
    support = np.digitize(table["S"], [2.75 + 1e-9, 3.75]) - 1
    result = np.array([-1, -1 / 3, 1 / 3, 1])[np.digitize(table["attainment"], [0.7, 1.0, 1.2])]
    activity = np.digitize(table["activity"], table["activity"].quantile([1 / 3, 2 / 3])) - 1

    assert np.corrcoef(support, result)[0, 1] == pytest.approx(0.38, abs=0.03)
    assert np.corrcoef(activity, result)[0, 1] == pytest.approx(0.045, abs=0.03)


@pytest.mark.parametrize("letter", "CAMS")
def test_scales_have_an_alpha_of_about_85(letter: str) -> None:
    items = joined("seeds")[SCALES[letter]].dropna()
    k = items.shape[1]
    alpha = k / (k - 1) * (1 - items.var().sum() / items.sum(axis=1).var())
    assert alpha == pytest.approx(RELIABILITY, abs=0.015)


def test_answers_use_one_to_five_around_their_mean_with_few_blanks() -> None:
    answers = read(made("seeds").answers_csv)
    assert set(np.unique(answers[list(ITEMS)].to_numpy())[:5]) == {1, 2, 3, 4, 5}
    assert answers[list(ITEMS)].mean().between(3.2, 3.35).all()
    assert answers[list(ITEMS)].isna().mean().between(0.015, 0.025).all()
    assert answers["flag"].isna().mean() == pytest.approx(0.04, abs=0.01)


def test_in_the_enablement_world_only_the_last_three_support_items_matter() -> None:
    table = joined("enablement").copy()
    table["patch"], table["help"] = (
        table[["S1", "S2", "S3"]].mean(axis=1),
        table[["S4", "S5", "S6"]].mean(axis=1),
    )

    assert r(table, "result", "patch") == pytest.approx(0.0, abs=TOLERANCE)
    assert r(table, "result", "help") > 0.55
    assert r(table, "result", "S") == pytest.approx(0.42, abs=TOLERANCE)
    assert r(table, "result", "territory_index") == pytest.approx(0.08, abs=TOLERANCE)


def test_attainment_has_two_humps_unless_said() -> None:
    humped = joined("seeds")["attainment"]
    shares = np.histogram(humped, [0, 0.5, 0.7, 0.85, 1.0, 1.2, 9])[0] / len(humped)
    expected = [
        sum(NormalDist(m, s).cdf(b) - NormalDist(m, s).cdf(a) for m, s in ((0.6, 0.15), (1.2, 0.18))) / 2
        for a, b in ((-9, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.0), (1.0, 1.2), (1.2, 9))
    ]
    assert shares == pytest.approx(expected, abs=0.02)
    for world, mean, deviation in (("quota", 0.82, 0.20), ("healthy", 1.04, 0.17)):
        single = joined(world)["attainment"]
        assert (single.mean(), single.std()) == pytest.approx((mean, deviation), abs=0.02)


@pytest.mark.parametrize("world", WORLDS)
def test_teams_share_little_of_their_results(world: str) -> None:
    by_team = joined(world).groupby("team")["attainment"]
    size, teams = by_team.size().mean(), by_team.ngroups
    within = by_team.var().mean()
    between = size * by_team.mean().var()
    icc = (between - within) / (between + (size - 1) * within)
    assert teams > 1900
    assert 0.02 < icc <= 0.1


def test_who_responds_depends_on_nothing() -> None:
    table = joined("seeds").copy()
    table["responds"] = (
        table["employee_id"].isin(read(made("seeds").answers_csv)["employee_id"]).astype(float)
    )
    assert table["responds"].sum() == 0.85 * MANY
    for record in ("attainment", "activity", "territory_index"):
        assert r(table, "responds", record) == pytest.approx(0.0, abs=0.03)


def test_last_period_explains_an_echo_and_not_a_patch() -> None:
    assert partial(joined("reverse"), "result", "S", "previous") == pytest.approx(0.0, abs=TOLERANCE)
    assert r(joined("reverse"), "previous", "result") == pytest.approx(0.7, abs=TOLERANCE)
    assert partial(joined("seeds"), "result", "S", "previous") > 0.38
    assert abs(r(joined("seeds"), "previous", "territory_index")) < TOLERANCE


def test_leads_and_response_times_go_weakly_with_the_index() -> None:
    table = joined("seeds")
    assert 0.2 < r(table, "leads_assigned", "territory_index") < 0.4
    assert -0.35 < r(table, "first_response_hours", "territory_index") < -0.15
    assert 0.02 < r(table, "leads_assigned", "result") < 0.2
    assert 0.2 < r(table, "stage_conversion", "C") < 0.45
    assert -0.4 < r(table, "median_days_in_stage", "A") < -0.15


def test_a_low_reading_of_support_and_a_missed_quota_make_patch_reasons_likelier() -> None:
    table = joined("seeds").dropna(subset=["flag", "S"])
    fair = table["flag"] == "F11"
    hit = table["attainment"] >= 1
    low, high = table["S"] <= 2.75, table["S"] >= 3.75
    assert 0.05 < fair[low].mean() < fair[high].mean() < 0.6
    assert fair[~hit].mean() < fair[hit].mean()
    assert table["flag"].nunique() == 11


def test_the_activity_latent_is_what_calls_and_demos_add_up_to() -> None:
    table = joined("effort")
    assert r(table, "calls", "demos") > 0.3
    assert r(table, "result", "activity") == pytest.approx(WORLDS["effort"].activity, abs=TOLERANCE)
    assert VARIABLES[ACTIVITY] == "activity"
