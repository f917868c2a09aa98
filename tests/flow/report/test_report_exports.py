"""The exports: plain data and one file, with nothing in them that the pages do not show."""

import json
import re
from pathlib import Path

import pytest

from services.protocol.plan import make_plan
from services.report.exports.html import standalone
from services.report.exports.summary import summary
from services.report.reading import read
from tests.flow.report.factories import CYCLE, GROUPS, make_manifest, make_release, make_released_house
from tests.flow.report.markup import check

STATES = {"shown", "wide", "no_separate_reading", "held", "not_released", "not_asked", "no_data"}
FORMS = {
    "fix_patch", "people", "other_condition", "quota", "support_over_activity", "both", "none", "cant_tell",
}  # fmt: skip


def test_the_summary_has_its_shape_and_survives_json() -> None:
    manifest = make_manifest()
    found = summary(make_release(manifest), manifest, timings_s={"close": 1.5})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["invited"] == 400
    assert found["timings_s"] == {"close": 1.5}
    assert set(found["sheets"]) == set(found["tables"]) == set(manifest.plan.sheets)
    for totals in found["sheets"].values():
        assert set(totals) == {"issued", "received", "counted", "withdrawn", "rejected"}
        assert totals["received"] == totals["counted"] + totals["withdrawn"] + sum(
            totals["rejected"].values()
        )
    assert found["budget"]["answers"] == pytest.approx(4.0)
    assert found["budget"]["participation"] == pytest.approx(1.0)
    assert found["budget"]["delta"] == pytest.approx(1e-6)
    assert len(found["budget"]["lines"]) == 2
    table = found["tables"]["support-result"]
    assert table["mechanism"] == "discrete_laplace"
    assert table["scale"] == pytest.approx(1 / table["epsilon"])
    assert [len(row) for row in table["noisy_counts"]] == [4, 4, 4]


def test_the_summary_leads_with_the_company_and_gives_each_value_its_ranges() -> None:
    manifest = make_manifest()
    groups = summary(make_release(manifest), manifest)["groups"]
    assert [group["level"] for group in groups] == ["company"] + ["group"] * len(GROUPS)
    assert {group["state"] for group in groups} <= STATES
    for group in groups:
        if group["state"] in ("shown", "wide"):
            value = group["values"]["Support"]
            assert set(value) == {"mean", "interval", "half_width", "noise_half_width", "basis"}
            assert 0 <= value["interval"][0] <= value["mean"] <= value["interval"][1] <= 100
            assert 0 < value["noise_half_width"] < value["half_width"]
    north = next(group for group in groups if group["name"].startswith("North"))
    low, middle, high = 60, 40, 28
    assert north["values"]["Support"]["mean"] == pytest.approx(
        50 * (1 + (high - low) / (low + middle + high))
    )


def test_a_held_group_has_no_values_in_the_summary() -> None:
    manifest = make_manifest()
    found = summary(make_release(manifest), manifest)
    held = [group for group in found["groups"] if group["state"] == "held"]
    assert [group["values"] for group in held] == [{}]
    place = found["tables"]["support-group"]["columns"].index("west")
    assert [row[place] for row in found["tables"]["support-group"]["noisy_counts"]] == [None] * 3


def test_the_summary_names_verdict_and_explanations() -> None:
    manifest = make_manifest()
    found = summary(make_release(manifest), manifest)
    verdict = found["verdict"]
    assert verdict["form"] in FORMS
    assert verdict["interval"][0] < verdict["difference"] < verdict["interval"][1]
    assert (verdict["claim"], verdict["record_check"], verdict["how_sure"]) == (True, "passed", "high")
    assert verdict["sentence"] == "Fix the patch first"
    names = [explanation["name"] for explanation in found["explanations"]]
    assert names == ["quota", "territory", "skill", "effort", "process"]


def test_a_summary_without_drivers_is_whole() -> None:
    plan = make_plan("finer", frame=50, contexts=("attainment", "activity", "hit", "group"))
    manifest = make_manifest(plan=plan, frame=50)
    found = summary(make_release(manifest), manifest)
    assert found["verdict"]["form"] == "cant_tell"
    assert found["verdict"]["difference"] is None
    assert found["verdict"]["interval"] is None
    json.dumps(found, allow_nan=False)


def test_a_summary_of_made_up_answers_is_headed_so() -> None:
    manifest = make_manifest(sample=False, made_up=True)
    found = summary(make_release(manifest), manifest)
    assert next(iter(found)) == "notices"
    assert found["notices"] == ["Rehearsal: answers are made up, no conclusion about this company"]


def test_the_file_stands_alone() -> None:
    manifest = make_manifest()
    page = standalone(read(make_release(manifest), manifest))
    markup = check(page)
    assert markup.fetched == []
    assert "script" not in markup.elements
    assert all(link.startswith("#") for link in markup.links)
    assert "hx-" not in page
    assert not re.search(r"https?:|url\(|@import|@font-face", page)
    assert page.count("<style>") == 1


def test_the_file_holds_every_tab() -> None:
    manifest = make_manifest()
    text = check(standalone(read(make_release(manifest), manifest))).text
    for words in (
        "Fix the patch first",
        "Before you decide",
        "No group's Support lies clearly below the company's",
        "Support minus activity",
        "Five explanations, tested the same way",
        "Method and privacy",
        manifest.fingerprint(),
    ):
        assert words in text


def test_the_download_is_the_same_file_for_everyone(tmp_path: Path) -> None:
    manifest = make_manifest()
    house = make_released_house(tmp_path, manifest)
    answer = house.get(f"/reports/{CYCLE}/report.html")
    assert answer.text == standalone(read(make_release(manifest), manifest))
    assert "attachment" in answer.headers["content-disposition"]


def test_a_name_can_not_become_markup() -> None:
    manifest = make_manifest(company="<script>alert(1)</script>", title='"><img src=x>')
    markup = check(standalone(read(make_release(manifest), manifest)))
    assert "img" not in markup.elements
    assert "script" not in markup.elements
    assert "<script>alert(1)</script>" in markup.text
