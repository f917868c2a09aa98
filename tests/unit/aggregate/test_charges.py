"""What a cycle asks of which account, and its unique name."""

from datetime import UTC, datetime, timedelta, timezone
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.charges import (
    Charge,
    NamelessCompany,
    charges,
    company_key,
    ledger_year,
    line_key,
)
from services.protocol.plan import make_plan
from tests.unit.aggregate.factory import made_manifest

MANIFEST = made_manifest()
GROUPS = MANIFEST.reporting_groups()


def test_balanced_asks_both_accounts() -> None:
    assert charges(MANIFEST.plan, GROUPS, invited=MANIFEST.invited) == (
        Charge("answers", 2_000_000, 0.0),
        Charge("participation", 1_000_000, 1e-6),
    )


def test_no_coin_no_participation() -> None:
    alone = made_manifest(groups=(120,))
    assert [c.account for c in charges(alone.plan, alone.reporting_groups(), invited=120)] == ["answers"]
    assert len(charges(alone.plan, alone.reporting_groups(), invited=121)) == 2
    without_groups = make_plan("balanced", frame=400, contexts=["attainment"])
    assert [c.account for c in charges(without_groups, GROUPS, invited=125)] == ["answers"]


def test_a_plan_without_tables_asks_for_nothing() -> None:
    assert charges(make_plan("balanced", frame=30, contexts=["attainment"]), (), invited=30) == ()


def test_the_key_names_all_of_the_question_and_nothing_else() -> None:
    key = line_key("Acme", "c-2026", GROUPS, MANIFEST.plan)
    assert key == line_key("Acme", "c-2026", tuple(reversed(GROUPS)), MANIFEST.plan)
    assert (len(key), bytes.fromhex(key).hex()) == (64, key)
    plan = MANIFEST.plan
    others = {
        line_key("Acme 2", "c-2026", GROUPS, plan),
        line_key("Acme", "c-2027", GROUPS, plan),
        line_key("Acme", "c-2026", GROUPS[:1], plan),
        line_key("Acme", "c-2026", made_manifest(groups=(61, 64)).reporting_groups(), plan),
        line_key("Acme", "c-2026", GROUPS, made_manifest(name="finer").plan),
        line_key("Acme", "c-2026", GROUPS, plan.model_copy(update={"tables": plan.tables[1:]})),
        line_key("Acme", "c-2026", GROUPS, plan.model_copy(update={"mechanism_version": "2"})),
        line_key("Acme", "c-2026", GROUPS, plan.model_copy(update={"coin_delta": 1e-7})),
    }
    assert len(others | {key}) == 9


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert line_key("ab", "cdef", GROUPS, MANIFEST.plan) != line_key("abc", "def", GROUPS, MANIFEST.plan)


@pytest.mark.parametrize(
    "name", ["Acme", " ACME ", "Acme\u200b", "\ufeffA\u00adcme", "Ａｃｍｅ", "aCMe\ufe0f\n"]
)
def test_spellings_of_a_name_have_one_key(name: str) -> None:
    assert company_key(name) == "acme"
    assert line_key(name, "c-2026", GROUPS, MANIFEST.plan) == line_key(
        "Acme", "c-2026", GROUPS, MANIFEST.plan
    )


def test_white_space_inside_a_name_is_one_space() -> None:
    assert {company_key(f"Acme{gap}Nord") for gap in (" ", "\t ", "\u00a0", "\u2003\u2003", "\r\n")} == {
        "acme nord"
    }
    assert company_key("Acme\u200bNord") == "acmenord"


def test_other_names_have_other_keys() -> None:
    names = ("Acme", "Acme 2", "Acmé", "Acme.", "А\u0441me", "कंपनी", "कपनी", "株式会社")
    assert len({company_key(name) for name in names}) == len(names)
    assert company_key("Straße") == company_key("STRASSE")
    assert company_key("Acme\u0301") == company_key("ACMÉ") == "acmé"


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u200b", "\u200e\u00ad \ufe0f", "\u3164\uffa0"])
def test_a_name_that_shows_nothing_is_refused(name: str) -> None:
    with pytest.raises(NamelessCompany) as refused:
        company_key(name)
    assert refused.value.kind == "input"


@given(st.text(max_size=12))
def test_a_key_is_its_own_key_in_every_canonical_form(name: str) -> None:
    try:
        key = company_key(name)
    except NamelessCompany:
        return
    assert {company_key(normalize(form, text)) for form in ("NFD", "NFKC") for text in (name, key)} == {key}


def test_the_year_is_that_of_the_clock_in_utc() -> None:
    silvester = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert ledger_year(silvester) == 2026
    assert ledger_year(silvester + timedelta(seconds=1)) == 2027
    assert ledger_year(datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == 2026


def test_a_time_without_zone_has_no_year() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ledger_year(datetime(2026, 12, 31))  # noqa: DTZ001
