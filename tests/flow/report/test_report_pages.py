"""The pages: whole and in part, with and without a release, in every state of a result."""

import re
from html import unescape
from pathlib import Path

import pytest

from services.protocol.frame import GroupRecords
from services.protocol.plan import make_plan
from tests.flow.report.factories import (
    CYCLE,
    House,
    make_frame,
    make_house,
    make_manifest,
    make_release,
    make_released_house,
    make_table,
)
from tests.flow.report.markup import check

BASE = f"/reports/{CYCLE}/"
TABS = ("", "teams", "drivers", "explanations", "method", "groups/north", "groups/west")
MADE_UP = "Rehearsal: answers are made up, no conclusion about this company"
SAMPLE = "Sample data. Composite, not a real company."
HELD_WORDS = "Too few answers to show safely. The limit is 10"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A report service with one released cycle; no test here changes it."""
    return make_released_house(tmp_path_factory.mktemp("report"))


def row_of(page: str, group: str) -> str:
    """Return one group's line of the table of teams."""
    rows: list[str] = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    return next(row for row in rows if f"groups/{group}" in row)


@pytest.mark.parametrize("tab", TABS)
def test_a_page_is_sound_and_strict(house: House, tab: str) -> None:
    answer = house.get(BASE + tab)
    assert answer.status_code == 200
    markup = check(answer.text)
    assert "style" not in markup.elements
    assert markup.fetched
    assert all(path.startswith("/static/") for path in markup.fetched)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("tab", TABS)
def test_htmx_gets_the_panel_alone_and_everybody_else_a_whole_page(house: House, tab: str) -> None:
    whole, part = house.get(BASE + tab), house.get(BASE + tab, hx_request="true")
    boosted = house.get(BASE + tab, hx_request="true", hx_boosted="true")
    check(part.text, whole=False)
    title, panel = part.text.split("</title>", 1)
    assert "<html" not in part.text
    assert title in whole.text
    assert panel.strip() in whole.text
    assert boosted.text == whole.text
    assert "hx-request" in whole.headers["vary"].lower()
    assert part.headers["content-security-policy"] == whole.headers["content-security-policy"]


def test_every_link_of_a_report_works_without_scripts(house: House) -> None:
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = house.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html") and not path.endswith("report.html"):
            links = [link for link in check(answer.text).links if link.startswith("/")]
            waiting += [link for link in links if link not in seen and link not in waiting]
    assert {BASE + tab for tab in TABS} <= seen
    assert {BASE + "report.html", BASE + "release.json"} <= seen


def test_each_htmx_link_asks_for_the_address_it_leads_to(house: House) -> None:
    page = house.get(BASE + "teams").text
    pairs = re.findall(r'href="([^"]+)" hx-get="([^"]+)"', page)
    assert len(pairs) > 5
    assert all(link == asked for link, asked in pairs)


def test_htmx_may_neither_evaluate_nor_style(house: House) -> None:
    page = house.get(BASE).text
    for setting in ('"allowEval":false', '"includeIndicatorStyles":false', '"historyCacheSize":0'):
        assert setting in page


def test_overview_says_verdict_reason_sureness_and_record_check(house: House) -> None:
    text = check(house.get(BASE).text).text
    for words in (
        "Fix the patch first",
        "includes privacy noise",
        "How sure: high",
        "Strongest driver",
        "Where it bites",
        "What not to spend on yet",
        "Before you decide on training or performance plans",
        "Your records agree",
        "340 of 400 invited",
        "85 %",
        "3 March 2026",
    ):
        assert words in text


def test_teams_lead_with_the_company_and_say_every_state_in_words(house: House) -> None:
    page = house.get(BASE + "teams").text
    rows = re.findall(r'<th scope="row"[^>]*><a[^>]*>(.*?)</a>', page)
    names = [unescape(re.sub(r"<[^>]*>", "", row)) for row in rows]
    assert names[0] == "Composite Tools"
    assert "North <team>" in names
    text = check(page).text
    for words in (
        "4 of 5 groups have a reading of their own",
        "A group needs about",
        "treat as a hint",
        HELD_WORDS,
        "No separate reading",
        "Not part of this release",
    ):
        assert words in text
    assert "state-shown" in row_of(page, "north")
    assert "About" in row_of(page, "lakes")


def test_a_held_group_has_no_number_of_its_answers(house: House) -> None:
    row = row_of(house.get(BASE + "teams").text, "west")
    support = re.findall(r'<td [^>]*class="reading.*?</td>', row, re.DOTALL)[0]
    assert "state-held" in support
    assert "<svg" not in support
    assert ">hidden<" in support
    assert not re.search(r"\d", unescape(support).replace("The limit is 10", ""))


def test_held_merged_and_unknown_groups_look_alike(house: House) -> None:
    for headers in ({}, {"hx_request": "true"}):
        answers = [
            house.get(BASE + f"groups/{name}", **headers) for name in ("west", "merged-away", "x" * 200)
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
        assert HELD_WORDS in check(answers[0].text, whole=not headers).text
        assert "West" not in answers[0].text


def test_a_shown_group_has_its_own_page(house: House) -> None:
    text = check(house.get(BASE + "groups/north").text).text
    assert "North <team>" in text
    assert "45 %" in text
    assert "Hidden" not in text


def test_drivers_stand_in_a_chart_and_in_a_table(house: House) -> None:
    page = house.get(BASE + "drivers").text
    markup = check(page)
    assert "svg" in markup.elements
    for words in (
        "Support minus activity",
        "includes privacy noise",
        "Show as a table",
        "Too small to act on",
        "Territory index",
        "company records",
        "Hit quota by Support band",
    ):
        assert words in markup.text
    shares = re.findall(r'<th scope="row">(Low|Middle|High)</th>.*?class="value">(\d+) %', page, re.DOTALL)
    assert [int(share) for _, share in shares] == sorted(int(share) for _, share in shares)
    assert len(shares) == 3


def test_all_five_explanations_stand_on_their_page(house: House) -> None:
    text = check(house.get(BASE + "explanations").text).text
    for name in (
        "Quota is unrealistic",
        "Patch is broken",
        "Skill is missing",
        "Effort is missing",
        "Process is broken",
    ):
        assert name in text


def test_method_says_what_was_promised_and_what_it_cost(house: House) -> None:
    text = check(house.get(BASE + "method").text).text
    for words in (
        "Wording of S2.",
        "Reason 11",
        "97 in 100",
        "more than 99 in 100",
        "73 in 100",
        "This year: 4 of 8",
        "At least 10 people share each band",
        "discrete-laplace",
        "What could be wrong",
        "low up to 2.75, high from 3.75",
    ):
        assert words in text
    assert "100 in 100" not in text


def test_the_exact_activity_table_is_on_no_page(tmp_path: Path) -> None:
    manifest = make_manifest()
    table = ((7193, 23, 20, 39), (50, 8217, 20, 40), (48, 24, 9341, 41))
    frame = make_frame(manifest, frame=20_000, activity_by_attainment=table)
    house = make_released_house(tmp_path, manifest, frame=frame)
    for path in (*TABS, "report.html"):
        assert not re.search("7193|8217|9341", house.get(BASE + path).text)
    assert "7193" in house.get(BASE + "release.json").text


def test_records_of_fewer_than_k_people_are_not_shown_even_if_they_were_sent(tmp_path: Path) -> None:
    manifest = make_manifest()
    few = GroupRecords(
        id="lakes", with_results=9, hit_share=0.7193, median_attainment=0.8217, territory_index=0.93
    )
    house = make_released_house(tmp_path, manifest, frame=make_frame(manifest, groups=(few,)))
    for path in ("teams", "groups/lakes", "report.html"):
        page = house.get(BASE + path).text
        assert "not shown" in page
        assert not re.search(r"\b72 %|\b82 %|\b0\.93\b", page)


def test_before_the_release_a_cycle_says_until_when_it_collects(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    for path in ("", "teams", "drivers", "method", "groups/north", "report.html"):
        answer = house.get(BASE + path)
        markup = check(answer.text)
        assert answer.status_code == 200
        assert "Collecting until 2 March 2026" in markup.text
        assert manifest.fingerprint() in markup.text
    assert "Collecting until 2 March 2026" in check(house.get("/").text).text
    assert house.get(BASE + "release.json").status_code == 404


def test_an_unknown_cycle_is_a_plain_page(house: House) -> None:
    for path in ("/reports/unknown-cycle/", "/reports/unknown-cycle/teams", BASE + "nonsense"):
        answer = house.get(path)
        assert answer.status_code == 404
        assert "There is no report at this address" in check(answer.text).text
        assert "unknown-cycle" not in answer.text


def test_the_list_of_reports_names_each_cycle_and_is_never_empty(tmp_path: Path) -> None:
    empty = make_house(tmp_path)
    assert "No reports yet" in check(empty.get("/").text).text
    empty.put_manifest(make_manifest())
    empty.post_release(make_release(make_manifest()))
    empty.put_manifest(make_manifest(cycle="autumn-2026", title="Autumn", opens="2026-02-20T08:00:00Z"))
    text = check(empty.get("/").text).text
    assert text.index("Autumn") < text.index("Spring 2026")
    assert "Released" in text


@pytest.mark.parametrize(
    "path", ["", "teams", "drivers", "explanations", "method", "groups/north", "report.html"]
)
def test_sample_and_made_up_cycles_say_so_everywhere(house: House, tmp_path: Path, path: str) -> None:
    made_up = make_released_house(tmp_path, make_manifest(sample=False, made_up=True))
    assert SAMPLE in house.get(BASE + path).text
    assert MADE_UP not in house.get(BASE + path).text
    assert MADE_UP in made_up.get(BASE + path).text
    assert SAMPLE not in made_up.get(BASE + path).text


def test_a_plan_without_groups_says_that_they_are_not_released(tmp_path: Path) -> None:
    manifest = make_manifest(plan=make_plan("finer", frame=400, contexts=("attainment", "activity")))
    house = make_released_house(tmp_path, manifest)
    page = house.get(BASE + "teams").text
    assert "not released" in row_of(page, "north")
    assert "state-shown" in row_of(page, "company")
    check(house.get(BASE + "method").text)


def test_a_plan_without_conditions_leaves_their_lines_open(tmp_path: Path) -> None:
    plan = make_plan("stronger", frame=400, contexts=("attainment", "activity", "hit", "group"))
    house = make_released_house(tmp_path, make_manifest(plan=plan))
    text = check(house.get(BASE + "drivers").text).text
    assert text.count("not released") >= 3
    assert "More activity is not the lever" in house.get(BASE).text


def test_a_frame_too_small_for_drivers_says_that_it_cannot_tell(tmp_path: Path) -> None:
    plan = make_plan("finer", frame=50, contexts=("attainment", "activity", "hit", "group"))
    house = make_released_house(tmp_path, make_manifest(plan=plan, frame=50))
    overview = check(house.get(BASE).text)
    assert "Can't tell yet" in overview.text
    assert "is-open" in overview.classes
    assert "can't be compared" in check(house.get(BASE + "drivers").text).text


def test_without_recorded_activity_its_line_says_no_data(tmp_path: Path) -> None:
    plan = make_plan("finer", frame=400, contexts=("attainment", "hit", "group"))
    manifest = make_manifest(plan=plan)
    frame = make_frame(
        manifest, activity_by_attainment=None, indicators=(), notes=("Calls are not recorded.",)
    )
    house = make_released_house(tmp_path, manifest, frame=frame)
    assert "no data" in check(house.get(BASE + "drivers").text).text
    assert "Fix the patch first" not in check(house.get(BASE).text).text
    assert "Calls are not recorded." in house.get(BASE + "method").text


def test_groups_that_noise_hides_have_no_separate_reading(tmp_path: Path) -> None:
    plan = make_plan("balanced", frame=400, contexts=("attainment", "activity", "hit", "group"))
    manifest = make_manifest(plan=plan)
    table = make_table(manifest, plan.table("support-group"))
    assert table.noisy_counts is not None
    alike = tuple(tuple(None if cell is None else 20 for cell in row) for row in table.noisy_counts)
    tables = tuple(
        table.model_copy(update={"noisy_counts": alike})
        if planned.sheet == table.sheet
        else make_table(manifest, planned)
        for planned in plan.tables
    )
    house = make_released_house(tmp_path, manifest, tables=tables)
    page = house.get(BASE + "teams").text
    row = row_of(page, "east")
    assert "state-no_separate_reading" in row
    assert "no separate reading" in row
    check(page)


def test_files_are_kept_for_good_under_their_hash(house: House) -> None:
    addresses = check(house.get(BASE).text).fetched
    assert len(addresses) == 4
    for address in addresses:
        answer = house.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert house.get(address.split("?")[0]).headers["cache-control"] == "no-cache"
        again = house.get(address, if_none_match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")


def test_a_page_says_that_it_is_on_its_way_and_what_to_do_when_it_does_not_come(house: House) -> None:
    page = house.get(BASE).text
    for words in (
        'aria-live="polite"',
        "Updating...",
        "This is taking longer than usual",
        "There is a problem",
    ):
        assert words in page
