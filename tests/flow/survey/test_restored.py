"""A cycle that came out of a backup: no passes any more, sheets as before, and a frame that says so."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.protocol.frame import parse
from services.protocol.signed import SignedDocument, check_document
from services.survey.core.cycle import State
from services.survey.keeping import mark_restored
from services.survey.tables import Cycle
from tests.flow.survey.phones import Hand, hand_of
from tests.flow.survey.ring import NOW, Ring, running_ring
from tests.stores import LENDER

DAY = NOW.date().isoformat()


def restored(ring: Ring) -> list[str]:
    """Do to a running survey what a restore does to its database: marks, no passes, no issuer keys."""
    database = LENDER.open(ring.folder, "survey")
    with database.transaction() as session:
        marked = list(mark_restored(session, DAY, "2026-03-01"))
        session.connection().exec_driver_sql("DELETE FROM issuance")
    for cycle in marked:
        shutil.rmtree(ring.folder / "issuer-keys" / cycle, ignore_errors=True)
        ring.client.app.state.phones.forget(cycle)  # type: ignore[attr-defined]
    return marked


@pytest.fixture(scope="module")
def world(
    store_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ring, Hand, list[str]]]:
    """Survey after a restore, a rep who had passes before it, and the codes of all links."""
    with running_ring(tmp_path_factory.mktemp("restored")) as ring:
        cycle, codes = ring.opened()
        hand = hand_of(ring, cycle, codes[0])
        assert hand.post(hand.seal(hand.manifest.plan.sheets[0]).encode()) == (201, "")
        assert restored(ring) == [cycle]
        yield ring, hand, codes


def test_no_passes_are_given_out(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, hand, codes = world
    for code in codes[:2]:
        answer = ring.client.post(
            f"/api/cycles/{hand.cycle}/tokens", json={"code": code, "blinded": hand.blinded}
        )
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairpatch:problem:cycle-state")
        assert "gives out none any more" in answer.json()["detail"]
    assert ring.query("SELECT count(*) FROM issuance") == [(0,)]


def test_a_link_still_cannot_be_probed(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, hand, _ = world
    body = {"code": "x" * 22, "blinded": hand.blinded}
    answer = ring.client.post(f"/api/cycles/{hand.cycle}/tokens", json=body)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:fairpatch:problem:link")


def test_links_are_not_made_anew(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, hand, _ = world
    assert ring.client.post(f"/hr/cycles/{hand.cycle}/open", headers=ring.hr).status_code == 409


def test_who_has_passes_sends_replaces_and_checks(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, hand, _ = world
    first, second = hand.manifest.plan.sheets[:2]
    assert hand.post(hand.seal(second).encode()) == (201, "")
    assert hand.post(hand.seal(first, counter=9).encode()) == (201, "")
    assert ring.query("SELECT count(*) FROM box WHERE cycle = :cycle", cycle=hand.cycle) == [(2,)]


def test_lost_issuer_keys_are_no_reason_to_be_unready(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, _, _ = world
    assert "Issuer keys" not in ring.client.get("/readyz").text


def test_the_frame_says_so(world: tuple[Ring, Hand, list[str]]) -> None:
    ring, hand, _ = world
    assert ring.client.post(f"/hr/cycles/{hand.cycle}/close", headers=ring.hr).status_code == 200
    text = str(ring.query("SELECT frame FROM cycle WHERE id = :cycle", cycle=hand.cycle)[0][0])
    signed = SignedDocument.model_validate_json(text)
    check_document(signed, "frame", {"survey": ring.survey_key})
    frame = parse(signed.document)
    assert frame.restored
    assert {counts.issued for counts in frame.sheets.values()} == {hand.manifest.invited}
    assert sum(counts.received for counts in frame.sheets.values()) == 2


def test_what_may_have_given_passes_is_marked_and_nothing_else(store_kind: str, tmp_path: Path) -> None:
    database = LENDER.open(tmp_path, "survey")
    cycles = {
        "draft": Cycle(id="draft", state=State.DRAFT, draft="{}"),
        "ready": Cycle(id="ready", state=State.DRAFT, draft="{}", manifest="{}"),
        "open": Cycle(id="open", state=State.OPEN, draft="{}", manifest="{}"),
        "uncounted": Cycle(id="uncounted", state=State.CLOSED, draft="{}", manifest="{}"),
        "closed": Cycle(id="closed", state=State.CLOSED, draft="{}", manifest="{}", frame="{}"),
        "released": Cycle(id="released", state=State.RELEASED, draft="{}", manifest="{}", frame="{}"),
        "void": Cycle(id="void", state=State.VOID, draft="{}", manifest="{}"),
    }
    with database.transaction() as session:
        session.add_all(cycles.values())
    with database.transaction() as session:
        assert list(mark_restored(session, DAY, "2026-03-01")) == ["open", "ready", "uncounted"]
    rows = LENDER.query(tmp_path, "survey", "SELECT id FROM cycle WHERE restored ORDER BY id")
    assert rows == [("open",), ("ready",), ("uncounted",)]
    audit = LENDER.query(tmp_path, "survey", "SELECT day, action, reason FROM audit")
    assert audit == [(DAY, "restored", "From the backup of 2026-03-01.")]


def test_a_draft_that_was_ready_is_not_opened(store_kind: str, tmp_path: Path) -> None:
    with running_ring(tmp_path) as ring:
        cycle = ring.draft().json()["cycle"]
        with LENDER.open(ring.folder, "survey").transaction() as session:
            session.connection().exec_driver_sql("UPDATE cycle SET manifest = '{}'")
            assert list(mark_restored(session, DAY, "2026-03-01")) == [cycle]
        answer = ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "Survey was restored when this draft was ready. Draft it again.",
        )
