"""What a cycle asks of which account, and its unique name."""

import pytest

from services.aggregate.core.charges import Charge, charges, ledger_year, line_key
from services.protocol.manifest import InvalidManifest
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


@pytest.mark.parametrize(("opens", "year"), [("2026-12-31T23:59:59Z", 2026), ("2027-01-01T00:00:00Z", 2027)])
def test_the_year_is_that_of_the_opening_in_utc(opens: str, year: int) -> None:
    assert ledger_year(opens) == year


def test_other_times_are_refused() -> None:
    with pytest.raises(InvalidManifest):
        ledger_year("2026-12-31 23:59:59")
