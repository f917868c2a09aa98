"""Properties of merging groups: a partition, k people everywhere, and no influence of the file's order."""

from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.protocol.plan import is_useful, make_plan, useful_size
from services.survey.core.classes import GroupTree, TooFewShare, check_shared, merge_groups

Listed = list[tuple[str, str, int]]

NAMES = st.text(alphabet="ABCxyz +:;", min_size=1, max_size=4)
REGIONS = st.sampled_from(["North", "South", "A+B", ":"])
ROSTERS = st.dictionaries(st.tuples(REGIONS, NAMES), st.integers(1, 90), min_size=1, max_size=14).map(
    lambda teams: [(region, team, count) for (region, team), count in teams.items()]
)


def merge(teams: Listed, *, k: int = 10, least: int = 30) -> GroupTree:
    """Merge with a plain size as the useful one."""
    return merge_groups(teams, company="Acme", k=k, useful=lambda invited: invited >= least)


def held(tree: GroupTree) -> list[tuple[str, int]]:
    """Return name and size of the reporting groups."""
    return [(group.name, group.invited) for group in tree.groups[1:]]


@given(ROSTERS, st.integers(5, 20), st.integers(1, 120))
def test_groups_are_a_partition_and_every_one_has_k(teams: Listed, k: int, least: int) -> None:
    total = sum(count for _, _, count in teams)
    if total < k:
        with pytest.raises(TooFewShare):
            merge(teams, k=k, least=least)
        return
    tree = merge(teams, k=k, least=least)
    company, *groups = tree.groups
    assert (company.id, company.parent, company.level, company.invited) == ("company", None, "company", total)
    assert tree.group_of_team.keys() == {(region, team) for region, team, _ in teams}
    sizes = [0] * len(groups)
    for region, team, count in teams:
        sizes[tree.group_of_team[region, team]] += count
    assert sizes == [group.invited for group in groups]
    assert min(sizes) >= k
    assert [group.id for group in groups] == [f"g{index}" for index in range(len(groups))]
    assert all((group.parent, group.level) == ("company", "group") for group in groups)


@given(ROSTERS, st.integers(1, 120))
def test_every_group_is_useful_or_the_only_one(teams: Listed, least: int) -> None:
    if sum(count for _, _, count in teams) >= 10:
        groups = merge(teams, least=least).groups[1:]
        assert len(groups) == 1 or all(group.invited >= least for group in groups)


@given(ROSTERS, st.randoms(use_true_random=False), st.integers(1, 120))
def test_the_order_of_the_file_does_not_matter(teams: Listed, shuffler: Random, least: int) -> None:
    shuffled = list(teams)
    shuffler.shuffle(shuffled)
    if sum(count for _, _, count in teams) >= 10:
        assert merge(shuffled, least=least) == merge(teams, least=least)


@given(ROSTERS, st.integers(1, 120))
def test_names_fit_the_page(teams: Listed, least: int) -> None:
    if sum(count for _, _, count in teams) >= 10:
        assert all(0 < len(group.name) <= 120 for group in merge(teams, least=least).groups)


@given(ROSTERS)
def test_a_team_that_is_large_enough_is_never_split_up_or_renamed_away(teams: Listed) -> None:
    if sum(count for _, _, count in teams) >= 10:
        tree = merge(teams, least=30)
        alone = [(region, team) for region, team, count in teams if count >= 30]
        if len(tree.groups) > 2:
            homes = [tree.group_of_team[team] for team in alone]
            assert len(set(homes)) == len(homes)


def test_small_teams_of_a_region_are_joined_in_the_order_of_their_names() -> None:
    teams = [("North", "C", 12), ("North", "A", 20), ("North", "B", 11), ("North", "D", 40)]
    assert held(merge(teams)) == [("North: A + B + C", 43), ("North: D", 40)]


def test_what_is_left_joins_the_smallest_group_of_the_region() -> None:
    teams = [("North", "A", 50), ("North", "B", 31), ("North", "C", 9), ("South", "D", 30)]
    assert held(merge(teams)) == [("North: A", 50), ("North: B + C", 40), ("South: D", 30)]


def test_a_region_of_small_teams_is_one_group() -> None:
    teams = [("North", "A", 16), ("North", "B", 16), ("South", "C", 60)]
    assert held(merge(teams)) == [("North", 32), ("South: C", 60)]


def test_small_regions_are_joined() -> None:
    teams = [("East", "A", 60), ("North", "B", 12), ("North", "C", 8), ("South", "D", 8), ("South", "E", 9)]
    assert held(merge(teams)) == [("East: A", 60), ("North + South", 37)]


def test_a_last_small_region_joins_the_smallest_group_there_is() -> None:
    teams = [("East", "A", 60), ("East", "B", 45), ("West", "West", 8)]
    assert held(merge(teams)) == [("East: A", 60), ("East: B; West", 53)]


def test_without_a_useful_group_there_is_the_company() -> None:
    assert held(merge([("North", "A", 12), ("South", "B", 12)])) == [("Acme", 24)]


def test_a_group_of_everybody_carries_the_company_name() -> None:
    assert held(merge([("North", "A", 20), ("North", "B", 20)])) == [("Acme", 40)]


def test_the_same_team_name_in_two_regions_is_two_teams() -> None:
    tree = merge([("North", "Sales", 40), ("South", "Sales", 35)])
    assert held(tree) == [("North: Sales", 40), ("South: Sales", 35)]
    assert tree.group_of_team == {("North", "Sales"): 0, ("South", "Sales"): 1}


def test_a_region_that_is_one_team_of_the_same_name_is_named_once() -> None:
    assert held(merge([("North", "North", 40), ("South", "South", 35)])) == [("North", 40), ("South", 35)]


def test_a_long_list_says_how_many_more() -> None:
    teams = [("North", f"Team {letter * 20}", 8) for letter in "ABCDE"] + [("North", "Z", 50)]
    names = [name for name, _ in held(merge(teams))]
    assert names[0] == f"North: Team {'A' * 20} + Team {'B' * 20} + Team {'C' * 20} + 2 more"


def test_names_of_200_characters_are_cut() -> None:
    teams = [("N" * 200, letter * 200, 9) for letter in "ABCD"] + [("N" * 200, "Z" * 200, 50)]
    names = [name for name, _ in held(merge(teams))]
    assert names[0] == f"{'N' * 35}…: {'A' * 35}… + 3 more"
    assert names[1] == f"{'N' * 35}…: {'Z' * 35}…"


def test_many_regions_say_how_many_more() -> None:
    teams = [(f"Region {i:02} {'x' * 15}", "T", 4) for i in range(10)] + [("Z", "Z", 90)]
    shown = "; ".join(f"Region {i:02} {'x' * 15}: T" for i in range(3))
    assert held(merge(teams))[0] == (f"{shown} and 7 more regions", 40)


@pytest.mark.parametrize("name", ["stronger", "balanced", "finer"])
def test_with_the_real_rule_groups_reach_the_useful_size(name: str) -> None:
    plan = make_plan(name, frame=400, contexts=("attainment", "activity", "hit", "group"))
    teams = [(f"R{region}", f"T{region}{team}", 12) for region in range(5) for team in range(7)]
    tree = merge_groups(teams, company="Acme", k=10, useful=partial(is_useful, plan=plan, k=10))
    assert len(tree.groups) > 2
    assert min(group.invited for group in tree.groups[1:]) >= useful_size(plan, k=10)


def test_the_check_of_shared_values() -> None:
    check_shared([10, 11], 10)
    check_shared([], 10)
    with pytest.raises(TooFewShare) as caught:
        check_shared([10, 9], 10)
    assert "9" not in str(caught.value)


def test_a_left_over_region_joins_a_whole_region_if_there_is_one() -> None:
    teams = [*(("North", f"N{i}", 20) for i in range(6)), ("Central", "Central", 40), ("West", "West", 60)]
    tree = merge_groups(teams, company="Acme", k=10, useful=lambda invited: invited >= 60)
    assert [group.name for group in tree.groups[1:]] == [
        "Central + West",
        "North: N0 + N1 + N2",
        "North: N3 + N4 + N5",
    ]
