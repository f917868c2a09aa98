"""Proposals and manifests: budget is reserved once, keys are made once, one manifest is countersigned."""

from collections.abc import Callable
from typing import Any

import pytest

from services.aggregate.core.ledger import BudgetExceeded
from services.protocol.encoding import unb64
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.plan import COIN_EPSILON_MICRO, PlanTable
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument, check_document
from tests.flow.aggregate.factories import (
    BALANCED,
    FLAG_SHEET,
    GROUP_SHEET,
    IDENTITIES,
    SMALL,
    make_groups,
    make_manifest,
    make_proposal,
    make_upload,
)
from tests.flow.aggregate.world import Crash, Crashing, World

UNTOUCHED = {"answers": (0, 0), "participation": (0, 0)}


def test_a_proposal_reserves_and_makes_keys(world: World) -> None:
    flow = world.flow()
    reply = flow.propose(make_proposal())
    assert set(reply.opening_keys) == {GROUP_SHEET, FLAG_SHEET}
    assert all(len(unb64(point)) == 65 for point in reply.opening_keys.values())
    assert world.micro(flow) == {"answers": (350_000, 0), "participation": (COIN_EPSILON_MICRO, 0)}
    assert [path.stat().st_mode & 0o777 for path in world.key_files()] == [0o600, 0o600]
    assert {path.parent.stat().st_mode & 0o777 for path in world.key_files()} == {0o700}


def test_the_same_proposal_again_costs_nothing(world: World) -> None:
    flow = world.flow()
    first = flow.propose(make_proposal())
    assert world.flow().propose(make_proposal()) == first
    assert world.micro(flow)["answers"] == (350_000, 0)


def test_another_proposal_for_the_cycle_is_refused(world: World) -> None:
    flow = world.flow()
    flow.propose(make_proposal())
    with pytest.raises(Problem, match="Another proposal"):
        flow.propose(make_proposal(k=12))
    assert world.micro(flow)["answers"] == (350_000, 0)


def table(**changes: Any) -> PlanTable:
    """Return one table of the small plan, changed."""
    return SMALL.tables[0].model_copy(update=changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": SMALL.model_copy(update={"tables": ()})},
        {"plan": SMALL.model_copy(update={"tables": (table(sheet="../../identity"),)})},
        {"plan": SMALL.model_copy(update={"tables": (table(table="F"),)})},
        {"plan": SMALL.model_copy(update={"tables": (table(), table())})},
        {"plan": SMALL.model_copy(update={"mechanism_version": "none"})},
        {"opens": "tomorrow"},
        {"groups": make_groups((30, 30))},
    ],
)
def test_a_proposal_that_could_not_become_a_cycle_is_refused(world: World, changes: dict[str, Any]) -> None:
    flow = world.flow()
    with pytest.raises(Problem) as refusal:
        flow.propose(make_proposal(**changes))
    assert refusal.value.kind == "input"
    assert world.micro(flow) == UNTOUCHED
    assert world.key_files() == []


def balanced(number: int, **changes: Any) -> Proposal:
    """Return the proposal of a balanced cycle: 2 on answers, 1 on participation."""
    return make_proposal(f"balanced-{number}", plan=BALANCED, **changes)


def test_the_year_affords_four_balanced_cycles(world: World) -> None:
    flow = world.flow()
    for number in range(4):
        flow.propose(balanced(number))
    keys = world.key_files()
    with pytest.raises(BudgetExceeded):
        flow.propose(balanced(4))
    assert world.micro(flow) == {"answers": (8_000_000, 0), "participation": (4_000_000, 0)}
    assert world.key_files() == keys
    assert flow.propose(balanced(5, opens="2027-01-04T08:00:00Z")).opening_keys
    assert world.micro(flow, 2027)["answers"] == (2_000_000, 0)


def test_a_void_cycle_gives_its_budget_back(world: World) -> None:
    flow = world.flow()
    for number in range(4):
        flow.propose(balanced(number))
    assert flow.void("balanced-2", "The wrong roster.").state == "void"
    assert flow.void("balanced-2", "Again.").state == "void"
    assert world.micro(flow) == {"answers": (6_000_000, 0), "participation": (3_000_000, 0)}
    assert not [path for path in world.key_files() if path.parent.name == "balanced-2"]
    flow.propose(balanced(4))
    with pytest.raises(Problem, match="made void"):
        flow.propose(balanced(2))
    for ask in (flow.ask_release, flow.release):
        with pytest.raises(Problem, match="made void"):
            ask("balanced-2")


def test_a_crash_before_the_reservation_is_completed_by_a_retry(world: World) -> None:
    parts = world.parts()
    parts.store = Crashing(parts.store, "add_cycle")
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal())
    flow = world.flow()
    assert world.micro(flow) == UNTOUCHED
    left = [path.read_bytes() for path in world.key_files()]
    reply = flow.propose(make_proposal())
    assert [path.read_bytes() for path in world.key_files()] == left
    assert flow.propose(make_proposal()) == reply
    assert world.micro(flow)["answers"] == (350_000, 0)


def test_a_half_written_key_is_made_again(world: World) -> None:
    parts = world.parts()
    parts.store = Crashing(parts.store, "add_cycle")
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal())
    broken = world.key_files()[0]
    broken.write_bytes(b"half")
    flow = world.flow()
    flow.propose(make_proposal())
    assert len(broken.read_bytes()) == 32


def test_keys_of_a_cycle_that_was_never_recorded_are_destroyed_at_the_start(world: World) -> None:
    parts = world.parts()
    parts.store = Crashing(parts.store, "add_cycle")
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal("never-2026"))
    flow = world.flow()
    flow.propose(make_proposal())
    flow.finish_destruction()
    assert {path.parent.name for path in world.key_files()} == {"spring-2026"}


def test_a_manifest_is_countersigned_once(world: World) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    signed = flow.accept_manifest(proposal.cycle, make_upload(manifest))
    check_document(signed, "manifest", {name: IDENTITIES[name].public for name in ("survey", "aggregate")})
    assert flow.accept_manifest(proposal.cycle, make_upload(manifest)) == signed
    assert world.published().manifest(proposal.cycle) == signed
    other = manifest.model_copy(update={"title": "Another title"})
    with pytest.raises(Problem, match="Another manifest"):
        flow.accept_manifest(proposal.cycle, make_upload(other))
    assert world.published().manifest(proposal.cycle) == signed


Tamper = Callable[[dict[str, Any]], object]


def swap_opening_keys(document: dict[str, Any]) -> None:
    """Have each sheet sealed for the other's key."""
    first, second = document["sheets"]
    first["opening_key"], second["opening_key"] = second["opening_key"], first["opening_key"]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda document: document.update(k=9),
        lambda document: document.update(company="Another company"),
        lambda document: document.update(invited=41),
        lambda document: document.update(cycle="summer-2026"),
        lambda document: document.update(opens="2026-03-01T09:00:00Z"),
        lambda document: document["plan"]["tables"][0].update(epsilon_micro=300_000),
        lambda document: document["plan"].update(coin_delta=1e-5),
        lambda document: document["groups"][1].update(name="Renamed"),
        lambda document: document["groups"][1].update(invited=19),
        swap_opening_keys,
        lambda document: document["sheets"][0]["commitments"].pop(),
        lambda document: document.update(comment="unknown key"),
        lambda document: document.pop("format"),
    ],
)
def test_a_tampered_manifest_is_refused(world: World, tamper: Tamper) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    document = manifest.model_dump(mode="json")
    tamper(document)
    with pytest.raises(Problem) as refusal:
        flow.accept_manifest(proposal.cycle, make_upload(manifest, document=document))
    assert refusal.value.kind in ("input", "conflict")
    with pytest.raises(Problem, match="nothing at this address"):
        world.published().manifest(proposal.cycle)
    assert flow.accept_manifest(proposal.cycle, make_upload(manifest)).document == manifest.model_dump(
        mode="json"
    )


def test_a_manifest_of_another_signer_is_refused(world: World) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    with pytest.raises(Problem, match="not signed by survey"):
        flow.accept_manifest(proposal.cycle, make_upload(manifest, signer="report"))
    unsigned = SignedDocument(document=manifest.model_dump(mode="json"), signatures={})
    with pytest.raises(Problem, match="not signed by survey"):
        flow.accept_manifest(proposal.cycle, ManifestUpload(signed=unsigned, commitments={}))


def test_commitments_under_a_root_are_checked(world: World) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys, root=True)
    upload = make_upload(manifest)
    leaves = upload.commitments[GROUP_SHEET]
    for wrong in (
        {},
        {GROUP_SHEET: leaves},
        upload.commitments | {GROUP_SHEET: leaves[::-1]},
        upload.commitments | {GROUP_SHEET: leaves[:1]},
        upload.commitments | {GROUP_SHEET: ("short", *leaves[1:])},
        upload.commitments | {"another-sheet": leaves},
    ):
        with pytest.raises(Problem, match="ommitments"):
            flow.accept_manifest(proposal.cycle, ManifestUpload(signed=upload.signed, commitments=wrong))
    assert flow.accept_manifest(proposal.cycle, upload).signatures.keys() == {"survey", "aggregate"}


def test_what_does_not_exist_is_not_found(world: World) -> None:
    flow = world.flow()
    upload = make_upload(make_manifest(make_proposal(), flow.propose(make_proposal()).opening_keys))
    for ask in (
        lambda: flow.accept_manifest("nowhere", upload),
        lambda: flow.ask_release("nowhere"),
        lambda: flow.release("nowhere"),
        lambda: flow.void("nowhere", "No reason."),
        lambda: flow.state("nowhere"),
        lambda: world.published().manifest("spring-2026"),
        lambda: world.published().release("spring-2026"),
    ):
        with pytest.raises(Problem, match="nothing at this address"):
            ask()


def test_a_cycle_without_manifest_is_not_released(world: World) -> None:
    flow = world.flow()
    flow.propose(make_proposal())
    with pytest.raises(Problem, match="no manifest yet"):
        flow.ask_release("spring-2026")
    assert flow.state("spring-2026").state == "open"
    with pytest.raises(Problem, match="no manifest yet"):
        flow.release("spring-2026")


def test_a_void_cycle_takes_no_manifest(world: World) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    flow.void(proposal.cycle, "The wrong roster.")
    with pytest.raises(Problem, match="made void"):
        flow.accept_manifest(proposal.cycle, make_upload(manifest))
