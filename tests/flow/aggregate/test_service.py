"""The whole service in process: signed calls, public reads, real processes and real noise."""

import json
import time

import pytest

from services.protocol.encoding import canonical
from services.protocol.manifest import Manifest
from services.protocol.messages import LedgerReply, Proposal, ProposalReply, ReceiptLists, ReleaseState
from services.protocol.receipts import receipt_hash
from services.protocol.release import Release, parse
from services.protocol.signed import SignedDocument, check_document
from tests.flow.aggregate.factories import (
    BALANCED,
    COMPANY,
    IDENTITIES,
    make_groups,
    make_manifest,
    make_proposal,
    make_upload,
)
from tests.flow.aggregate.world import Running, World

PROPOSAL = make_proposal()
BODY = canonical(PROPOSAL.model_dump(mode="json"))
CALLS = [
    ("POST", "/internal/cycles", BODY),
    ("PUT", "/internal/cycles/spring-2026/manifest", b"{}"),
    ("POST", "/internal/cycles/spring-2026/release", None),
    ("GET", "/internal/cycles/spring-2026", None),
    ("POST", "/internal/cycles/spring-2026/void", b'{"reason": "None."}'),
    ("GET", "/internal/ledger?company=Made-up+company&year=2026", None),
]


def open_through_http(running: Running, proposal_body: bytes, cycle: str) -> Manifest:
    """Take a cycle to its accepted manifest."""
    answer = running.call("POST", "/internal/cycles", proposal_body)
    assert answer.status_code == 201
    keys = ProposalReply.model_validate_json(answer.content).opening_keys
    manifest = make_manifest(Proposal.model_validate_json(proposal_body), keys)
    upload = canonical(make_upload(manifest).model_dump(mode="json"))
    answer = running.call("PUT", f"/internal/cycles/{cycle}/manifest", upload)
    assert answer.status_code == 200
    signed = SignedDocument.model_validate_json(answer.content)
    check_document(signed, "manifest", {"aggregate": IDENTITIES["aggregate"].public})
    return manifest


def wait(running: Running, cycle: str) -> ReleaseState:
    """Ask until a release is over."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        answer = running.call("GET", f"/internal/cycles/{cycle}")
        state = ReleaseState.model_validate_json(answer.content)
        if state.state != "running":
            return state
        time.sleep(0.05)
    raise AssertionError("the release did not end")


def test_a_whole_cycle_through_http(world: World) -> None:
    proposal = make_proposal("balanced-1", plan=BALANCED, invited=80, groups=make_groups((40, 40)))
    with world.service() as running:
        manifest = open_through_http(running, canonical(proposal.model_dump(mode="json")), "balanced-1")
        cells = {
            spec.name: [(i % spec.field_values, spec.values[i % len(spec.values)]) for i in range(40)]
            for spec in manifest.sheets
        }
        world.survey.fill(manifest, cells)
        world.survey.close("balanced-1")
        assert running.call("POST", "/internal/cycles/balanced-1/release").status_code == 202
        state = wait(running, "balanced-1")
        assert state.state == "released", state.words
        again = running.call("POST", "/internal/cycles/balanced-1/release")
        assert (again.status_code, again.json()["release"]) == (200, state.release)
        release = read_release(running, "balanced-1")
        assert release.hash().hex() == state.release
        assert [table.table for table in release.tables] == ["B", "C", "D", "D", "D", "H", "F"]
        assert world.report.documents == [release.model_dump(mode="json")]
        lists = running.client.get("/api/cycles/balanced-1/receipts")
        assert lists.headers["access-control-allow-origin"] == "*"
        lines = ReceiptLists.model_validate_json(lists.content).sheets
        for name, box in world.survey.boxes["balanced-1"].items():
            assert dict(lines[name]) == {receipt_hash(one).hex(): "counted" for one in box}
        ledger = LedgerReply.model_validate_json(
            running.call("GET", f"/internal/ledger?company={COMPANY.replace(' ', '+')}&year=2026").content
        )
        assert [account.committed_micro for account in ledger.accounts] == [2_000_000, 1_000_000]
    assert world.key_files() == []


def read_release(running: Running, cycle: str) -> Release:
    """Return the published release after checking its signature and totals."""
    signed = SignedDocument.model_validate_json(running.client.get(f"/api/releases/{cycle}").content)
    check_document(signed, "release", {"aggregate": IDENTITIES["aggregate"].public})
    return parse(signed.document)


def test_noise_is_real(world: World) -> None:
    """The flag table's 22 cells at epsilon .15 all equal their exact counts with chance below 1e-20."""
    with world.service() as running:
        manifest = open_through_http(running, BODY, "spring-2026")
        cells = {spec.name: [(0, 0)] * 30 for spec in manifest.sheets}
        world.survey.fill(manifest, cells)
        world.survey.close("spring-2026")
        running.call("POST", "/internal/cycles/spring-2026/release")
        assert wait(running, "spring-2026").state == "released"
        table = read_release(running, "spring-2026").table("flag-result")
    assert table is not None
    assert table.noisy_counts is not None
    exact = tuple((30, 0) if row == 0 else (0, 0) for row in range(11))
    assert table.noisy_counts != exact
    assert abs(table.noisy_counts[0][0] or 0) < 330


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_calls_that_are_not_survey_s_are_refused(
    world: World, method: str, path: str, body: bytes | None
) -> None:
    with world.service() as running:
        right = running.signature(method, path, body)
        other = running.signature(method, path, body, peer="report")
        other_body = running.signature(method, path, (body or b"") + b" ")
        other_path = running.signature(method, "/internal/cycles/summer-2026", body)
        stale = running.signature(method, path, body)
        for signature in (None, "", "survey 1 2 3", right + "x", other, other_body, other_path):
            assert running.send(method, path, body, signature).status_code == 401
        world.clock.move(61)
        assert running.send(method, path, body, stale).status_code == 401
        fresh = running.signature(method, path, body)
        assert running.send(method, path, body, fresh).status_code != 401
        assert running.send(method, path, body, fresh).status_code == 401


def test_a_refusal_says_nothing_of_the_request(world: World) -> None:
    with world.service() as running:
        body = b'{"cycle": "canary-value", "company": NaN}'
        answer = running.call("POST", "/internal/cycles", body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert b"canary" not in answer.content
        for bad in (b'{"reason": ""}', b'{"reason": "' + b"x" * 401 + b'"}'):
            assert running.call("POST", "/internal/cycles/spring-2026/void", bad).status_code == 422


def test_a_budget_that_is_used_up_is_a_conflict(world: World) -> None:
    with world.service() as running:
        for number in range(5):
            proposal = make_proposal(f"balanced-{number}", plan=BALANCED)
            answer = running.call("POST", "/internal/cycles", canonical(proposal.model_dump(mode="json")))
            assert answer.status_code == (201 if number < 4 else 409)
        assert answer.json()["type"] == "urn:fairpatch:problem:budget"


def test_a_cycle_is_made_void_through_http(world: World) -> None:
    with world.service() as running:
        running.call("POST", "/internal/cycles", BODY)
        answer = running.call("POST", "/internal/cycles/spring-2026/void", b'{"reason": "The wrong roster."}')
        assert answer.json()["state"] == "void"
        answer = running.call("GET", "/internal/cycles/spring-2026")
        assert answer.json()["words"] == "This cycle was made void. Nothing was counted."


def test_a_released_cycle_can_not_be_made_void(world: World) -> None:
    manifest = world.closed(world.flow())
    world.flow().release(manifest.cycle)
    with world.service() as running:
        answer = running.call("POST", "/internal/cycles/spring-2026/void", b'{"reason": "Regret."}')
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairpatch:problem:cycle-state")
        assert read_release(running, "spring-2026").cycle == "spring-2026"


def test_public_reads(world: World) -> None:
    with world.service() as running:
        for path in ("cycles/spring-2026/manifest", "releases/spring-2026", "cycles/spring-2026/receipts"):
            assert running.client.get(f"/api/{path}").status_code == 404
        open_through_http(running, BODY, "spring-2026")
        answer = running.client.get("/api/cycles/spring-2026/manifest")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert set(json.loads(answer.content)["signatures"]) == {"survey", "aggregate"}
        assert "access-control-allow-origin" not in running.client.get("/healthz").headers
        for prefix in ("g", "A", "0" * 65):
            assert running.client.get(f"/api/cycles/spring-2026/receipts/{prefix}").status_code == 422


def test_the_service_is_ready_once_chains_are_compared(world: World) -> None:
    manifest = world.closed(world.flow())
    world.report.down = True
    with world.service() as running:
        answer = running.client.get("/readyz")
        assert answer.status_code == 503
        assert "chain of releases" in answer.text
        assert running.call("POST", f"/internal/cycles/{manifest.cycle}/release").status_code == 503
        world.report.down = False
        until = time.monotonic() + 20
        while running.client.get("/readyz").status_code != 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert running.client.get("/readyz").status_code == 200


def test_a_start_finishes_what_a_crash_left(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    world.report.down = True
    flow.release(manifest.cycle)
    leftover = world.settings.keys_folder / manifest.cycle / "support-group.key"
    leftover.parent.mkdir()
    leftover.write_bytes(bytes(32))
    world.report.down = False
    with world.service() as running:
        assert world.key_files() == []
        until = time.monotonic() + 20
        while not world.report.documents and time.monotonic() < until:
            time.sleep(0.05)
        assert world.report.documents == [read_release(running, manifest.cycle).model_dump(mode="json")]
