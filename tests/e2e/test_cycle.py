"""A whole cycle through three services, real HTTP, tokens, sealing and noise (promises P5 to P9)."""

import copy
import json
import math

import pytest

from services.protocol.encoding import canonical, sha256
from services.protocol.manifest import instant
from services.protocol.messages import ChainReply, LedgerReply
from services.protocol.plan import (
    ALIGNMENT_RESULT,
    CAPABILITY_RESULT,
    MOTIVATION_RESULT,
    SUPPORT_GROUP,
    SUPPORT_RESULT,
)
from services.protocol.release import FIRST
from services.protocol.signed import SignedDocument, check_document
from tests.e2e.hostile import FORGERIES
from tests.e2e.played import Played, get
from tests.e2e.silent import LOOSER, SilentCycle
from tests.e2e.stages import Services

SHEETS = 7
LOW, MIDDLE, HIGH = 0, 1, 2
SAID_ROW = {
    SUPPORT_RESULT: LOW,
    CAPABILITY_RESULT: HIGH,
    ALIGNMENT_RESULT: MIDDLE,
    MOTIVATION_RESULT: HIGH,
    SUPPORT_GROUP: LOW,
}
FALSE_ALARM = 1e-8
"""Chance with which one row's noise alone breaks its bound; the tests look at 15 rows."""


# One rep counts once (P8)


def test_totals_add_up_to_what_the_phones_did(played: Played) -> None:
    took_passes = len(played.phones)
    for sheet, totals in played.release.sheets.items():
        fates = list(played.fates(sheet).values())
        assert totals.issued == took_passes
        assert totals.received == len(fates)
        assert totals.counted == fates.count("counted")
        assert totals.withdrawn == fates.count("withdrawn") == 1
        assert totals.rejected == played.rejections(sheet)
        assert totals.counted + totals.withdrawn + sum(totals.rejected.values()) == totals.received
    assert len(played.release.sheets) == SHEETS


def test_old_envelopes_do_not_come_back(played: Played) -> None:
    assert played.declined["replaces"] == [("envelope-stale", 409)] * SHEETS


def test_the_same_bytes_get_the_same_receipt_and_stand_once(played: Played) -> None:
    assert played.repeated == {"resends": True}
    mine = {receipt.hash for receipt in played.phones["resends"].receipts.values()}
    listed = [digest for lines in played.lists.sheets.values() for digest, _ in lines if digest in mine]
    assert len(listed) == len(mine) == SHEETS


def test_one_link_gets_one_set_of_passes(played: Played) -> None:
    assert played.declined["votes twice"] == [("pass-used", 409)]


def test_after_the_close_nothing_is_issued_and_nothing_accepted(played: Played) -> None:
    assert played.declined["late session"] == [("link", 403)]
    assert played.declined["late sheets"] == [("cycle-state", 409)] * SHEETS


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_sheet_is_taken_sealed_and_rejected_by_reason(played: Played, name: str) -> None:
    forgery, phone = FORGERIES[name], played.phones[name]
    fates = {
        sheet: dict(played.lists.sheets[sheet])[receipt.hash] for sheet, receipt in phone.receipts.items()
    }
    assert fates == dict.fromkeys(played.release.sheets, "counted") | {forgery.sheet: "rejected"}
    assert played.release.sheets[forgery.sheet].rejected[forgery.reason] > 0


def largest_noise(epsilon: float, cells: int) -> float:
    """Return what the sum of ``cells`` discrete Laplace draws exceeds with chance ``FALSE_ALARM`` at most.

    Chernoff: P(sum >= t) <= M(s)^cells exp(-s t), M(s) = (1-q)^2 / ((1-q e^s)(1-q e^-s)), both sides.
    """
    q = math.exp(-epsilon)

    def bound(s: float) -> float:
        moment = (1 - q) ** 2 / ((1 - q * math.exp(s)) * (1 - q * math.exp(-s)))
        return (cells * math.log(moment) + math.log(2 / FALSE_ALARM)) / s

    return min(bound(epsilon * share / 200) for share in range(1, 200))


@pytest.mark.parametrize("sheet", SAID_ROW)
def test_what_was_said_is_what_was_counted(played: Played, sheet: str) -> None:
    table = played.release.table(sheet)
    assert table is not None
    assert table.noisy_counts is not None
    said, slack = played.counted_in_cells(sheet), largest_noise(table.epsilon_micro / 1e6, len(table.columns))
    # A row in the wrong place is off by all of `said`, and the noise seldom makes up for the difference.
    assert slack < 0.7 * said
    for row, cells in enumerate(table.noisy_counts):
        expected = said if row == SAID_ROW[sheet] else 0
        assert abs(sum(cell or 0 for cell in cells) - expected) <= slack


# Fixed before, and never changed (P6, P7)


def test_all_three_serve_the_same_manifest_signed_by_two(played: Played) -> None:
    stage = played.services.stage
    served = [
        get(f"{base}/api/cycles/{played.cycle}/manifest")
        for base in (stage.survey, stage.aggregate, stage.report)
    ]
    documents = [SignedDocument.model_validate(answer.json()) for answer in served]
    keys = {name: played.services.identity(name).public for name in ("survey", "aggregate")}
    for signed in documents:
        check_document(signed, "manifest", keys)  # type: ignore[arg-type]
    digests = {sha256(canonical(signed.document)).hex() for signed in documents}
    assert digests == {played.release.manifest_hash} == {played.release.frame.manifest_hash}
    assert played.release.manifest_hash[:8] == played.fingerprint
    assert len({canonical(signed.model_dump(mode="json")) for signed in documents}) == 1


def test_the_release_is_signed_by_aggregate_and_the_same_everywhere(played: Played) -> None:
    check_document(
        played.signed_release, "release", {"aggregate": played.services.identity("aggregate").public}
    )
    shown = get(f"{played.services.stage.report}/reports/{played.cycle}/release.json")
    assert canonical(shown.json()) == canonical(played.signed_release.model_dump(mode="json"))


def test_the_release_is_what_the_manifest_promised(played: Played) -> None:
    manifest, release = played.manifest, played.release
    assert [(t.sheet, t.epsilon_micro, t.mechanism) for t in release.tables] == [
        (t.sheet, t.epsilon_micro, t.mechanism) for t in manifest.plan.tables
    ]
    assert [group.id for group in release.groups] == [group.id for group in manifest.reporting_groups()]
    assert all(count >= manifest.k for spec in manifest.sheets for count in spec.invited)
    assert manifest.invited == 80


def test_asking_again_gives_the_same_release(played: Played) -> None:
    assert played.asked_again.state == "released"
    assert played.asked_again.release == played.release.hash().hex()
    with played.services.signed("survey", "aggregate") as survey:
        for _ in range(3):
            assert (
                survey.post(f"/internal/cycles/{played.cycle}/release").json()
                == played.asked_again.model_dump()
            )
    now = get(f"{played.services.stage.aggregate}/api/releases/{played.cycle}").json()
    assert now == played.signed_release.model_dump(mode="json")


def test_report_takes_no_other_release_even_from_aggregate_itself(
    played: Played, silent: SilentCycle
) -> None:
    document = copy.deepcopy(played.signed_release.document)
    document["tables"][0]["noisy_counts"][0][0] += 1
    head = silent.release.hash().hex()
    for previous in (FIRST, head):
        document["previous"] = previous
        signature = played.services.identity("aggregate").sign("release", canonical(document))
        with played.services.signed("aggregate", "report") as aggregate:
            answer = aggregate.post(
                "/internal/releases", json={"document": document, "signatures": {"aggregate": signature}}
            )
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairpatch:problem:conflict")
    shown = get(f"{played.services.stage.report}/reports/{played.cycle}/release.json").json()
    assert shown == played.signed_release.model_dump(mode="json")


def test_the_opening_keys_of_released_cycles_are_gone(played: Played, silent: SilentCycle) -> None:
    folder = played.services.folder / "aggregate" / "opening-keys"
    assert folder.is_dir()
    assert {path.name for path in folder.iterdir()} & {played.cycle, silent.manifest.cycle} == set()


@pytest.mark.parametrize("name", LOOSER)
def test_a_second_manifest_is_refused_while_the_cycle_is_open(silent: SilentCycle, name: str) -> None:
    for answer in (silent.by_aggregate[name], silent.by_report[name]):
        assert answer.status_code in (409, 422)
        assert answer.headers["content-type"] == "application/problem+json"
    assert silent.by_aggregate[name].json()["type"] == "urn:fairpatch:problem:conflict"


def test_the_first_manifest_stands(silent: SilentCycle) -> None:
    assert silent.served_after == silent.served_before
    assert SignedDocument.model_validate(silent.same_again.json()) == silent.served_before
    assert silent.release.manifest_hash == silent.manifest.hash().hex()


def test_an_empty_box_gives_no_number(silent: SilentCycle) -> None:
    assert {totals.received for totals in silent.release.sheets.values()} == {0}
    assert all(table.state == "held" and table.noisy_counts is None for table in silent.release.tables)
    assert all(group.state == "held" for group in silent.release.groups)


# The chain and the ledger


def test_releases_of_a_company_are_one_chain(played: Played, silent: SilentCycle) -> None:
    assert played.release.previous == FIRST
    assert silent.release.previous == played.release.hash().hex()
    with played.services.signed("aggregate", "report") as aggregate:
        answer = aggregate.get("/internal/chain", params={"company": "Acme"})
    assert ChainReply.model_validate(answer.json()) == ChainReply(head=silent.release.hash().hex(), length=2)


def test_every_line_of_the_ledger_is_what_the_plan_costs(played: Played, silent: SilentCycle) -> None:
    spent = {"answers": 0, "participation": 0}
    for manifest, release in ((played.manifest, played.release), (silent.manifest, silent.release)):
        costs = {"answers": manifest.plan.answers_micro, "participation": manifest.plan.participation_micro}
        lines = {line.account: line for line in release.ledger}
        assert {name: line.epsilon_micro for name, line in lines.items()} == costs
        assert lines["participation"].delta == manifest.plan.delta > 0
        for name, line in lines.items():
            spent[name] += costs[name]
            assert (line.spent_micro, line.year) == (spent[name], instant(manifest.opens).year)
    assert played.manifest.plan.answers_micro == 4_000_000


def test_the_ledger_holds_each_release_once_and_nothing_reserved(played: Played, silent: SilentCycle) -> None:
    year = instant(played.manifest.opens).year
    with played.services.signed("survey", "aggregate") as survey:
        answer = survey.get("/internal/ledger", params={"company": "Acme", "year": year})
    accounts = {account.account: account for account in LedgerReply.model_validate(answer.json()).accounts}
    plans = [played.manifest.plan, silent.manifest.plan]
    assert accounts["answers"].committed_micro == sum(plan.answers_micro for plan in plans)
    assert accounts["participation"].committed_micro == sum(plan.participation_micro for plan in plans)
    assert {account.reserved_micro for account in accounts.values()} == {0}
    assert accounts["answers"].cap_micro == 8_000_000


def test_the_frame_is_survey_s_own(played: Played) -> None:
    with played.services.signed("aggregate", "survey") as aggregate:
        answer = aggregate.get(f"/internal/cycles/{played.cycle}/frame")
    signed = SignedDocument.model_validate(answer.json())
    check_document(signed, "frame", {"survey": played.services.identity("survey").public})
    assert canonical(signed.document) == canonical(played.release.frame.model_dump(mode="json"))


LOGGED = {"level", "event", "timestamp", "cycle", "sheets", "reason", "error", "places"}
LOGGED |= {"logger", "place"}


def test_the_log_says_nothing_that_is_not_published(
    services: Services, played: Played, silent: SilentCycle
) -> None:
    lines = [json.loads(line) for line in (services.folder / "services.log").read_text("utf-8").splitlines()]
    assert {name for line in lines for name in line} <= LOGGED
    released = {line["cycle"]: line["sheets"] for line in lines if line["event"] == "released"}
    assert released == {
        release.cycle: {sheet: totals.received for sheet, totals in release.sheets.items()}
        for release in (played.release, silent.release)
    }


def test_each_service_says_that_it_is_ready(services: Services, played: Played) -> None:
    for base in (services.stage.survey, services.stage.aggregate, services.stage.report):
        assert get(f"{base}/readyz").json() == {"ready": True, "reasons": []}
