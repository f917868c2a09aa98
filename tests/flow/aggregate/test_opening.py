"""Proposals and manifests: budget is reserved once, keys are made once, one manifest is countersigned."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.aggregate.core.ledger import BudgetExceeded
from services.protocol.encoding import unb64
from services.protocol.manifest import Group, written
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.plan import COIN_EPSILON_MICRO, PlanTable
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument, check_document
from tests.flow.aggregate.factories import (
    BALANCED,
    COMPANY,
    FLAG_SHEET,
    GROUP_SHEET,
    IDENTITIES,
    NOW,
    SMALL,
    make_groups,
    make_large_proposal,
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


def group(name: str, parent: str | None = "all", *, invited: int = 20, level: str = "group") -> Group:
    """Return one group of a tree."""
    return Group.model_validate(
        {"id": name, "parent": parent, "name": name, "level": level, "invited": invited}
    )


ALL = group("all", None, invited=40, level="company")


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
        {"groups": ()},
        {"groups": (ALL,)},
        {"groups": (ALL, group("g0"), group("g0"))},
        {"groups": (ALL, group("g0"), group("g1", "nobody"))},
        {"groups": (group("g0"), ALL, group("g1"))},
        {"groups": (ALL, group("g0"), group("g1", invited=19))},
        {"groups": (ALL, group("g0", invited=31), group("g1", invited=9))},
        {"company": " \u200b\t"},
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
    world.clock.now = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
    assert flow.propose(balanced(5, opens="2027-01-04T08:00:00Z")).opening_keys
    assert world.micro(flow, 2027)["answers"] == (2_000_000, 0)


def test_the_opening_does_not_choose_the_year(world: World) -> None:
    """25 openings in 25 years must not find 25 untouched accounts."""
    flow = world.flow()
    for year in range(2001, 2026):
        with pytest.raises(Problem, match="in the past") as refusal:
            flow.propose(balanced(year, opens=f"{year}-06-01T09:00:00Z"))
        assert refusal.value.kind == "input"
    assert world.key_files() == []
    world.clock.now = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
    for number in range(4):
        flow.propose(balanced(number, opens="2027-01-15T09:00:00Z"))
    with pytest.raises(BudgetExceeded):
        flow.propose(balanced(4, opens="2027-01-15T09:00:00Z"))
    assert world.micro(flow)["answers"] == (8_000_000, 0)
    assert world.micro(flow, 2027) == UNTOUCHED


SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("opens", "refused"),
    [(-DAY - SECOND, "in the past"), (-DAY, ""), (90 * DAY, ""), (90 * DAY + SECOND, "90 days away")],
)
def test_a_cycle_opens_about_when_it_is_proposed(world: World, opens: timedelta, refused: str) -> None:
    proposal = make_proposal(opens=written(NOW + opens))
    if not refused:
        assert world.flow().propose(proposal).opening_keys
        return
    with pytest.raises(Problem, match=refused):
        world.flow().propose(proposal)
    assert world.key_files() == []


def test_a_repetition_in_a_later_year_is_the_same_and_costs_nothing(world: World) -> None:
    first = world.flow().propose(make_proposal())
    world.clock.now = datetime(2027, 5, 3, 9, 0, tzinfo=UTC)
    flow = world.flow()
    assert flow.propose(make_proposal()) == first
    assert world.micro(flow)["answers"] == (350_000, 0)
    assert world.micro(flow, 2027) == UNTOUCHED


SPELLINGS = (COMPANY, f" {COMPANY.upper()} ", f"{COMPANY}\u200b", COMPANY.replace(" ", "\u00a0\n"))


def test_spellings_of_a_name_share_one_account(world: World) -> None:
    flow = world.flow()
    for number, company in enumerate(SPELLINGS):
        flow.propose(balanced(number, company=company))
    for company in SPELLINGS:
        with pytest.raises(BudgetExceeded):
            flow.propose(balanced(9, company=company))
        answers = flow.ledger(company, 2026).accounts[0]
        assert (answers.company, answers.reserved_micro) == (company, 8_000_000)
    assert [world.parts().store.cycle(f"balanced-{n}").proposal.company for n in range(4)] == list(SPELLINGS)
    flow.void("balanced-1", "The wrong roster.")
    assert world.micro(flow)["answers"] == (6_000_000, 0)
    assert flow.ledger("Another company", 2026).accounts[0].reserved_micro == 0
    with pytest.raises(Problem, match="needs a name"):
        flow.ledger("\u200b", 2026)


def test_a_release_under_another_spelling_is_spent_from_the_same_account(world: World) -> None:
    flow = world.flow()
    flow.propose(make_proposal("summer-2026"))
    manifest = world.closed(flow, make_proposal(company=SPELLINGS[1]))
    flow.release(manifest.cycle)
    assert world.micro(flow)["answers"] == (350_000, 350_000)
    release = world.release(manifest.cycle)
    assert release.company == SPELLINGS[1]
    assert [line.spent_micro for line in release.ledger] == [350_000, COIN_EPSILON_MICRO]


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
    parts.keyring = Crashing(parts.keyring, "make", after=True)
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal())
    flow = world.flow()
    assert world.micro(flow) == UNTOUCHED
    left = [path.read_bytes() for path in world.key_files()]
    assert len(left) == 2
    reply = flow.propose(make_proposal())
    assert [path.read_bytes() for path in world.key_files()] == left
    assert flow.propose(make_proposal()) == reply
    assert world.micro(flow)["answers"] == (350_000, 0)


def test_a_half_written_key_is_made_again(world: World) -> None:
    parts = world.parts()
    parts.keyring = Crashing(parts.keyring, "make", after=True)
    with pytest.raises(Crash):
        world.flow(parts).propose(make_proposal())
    broken = world.key_files()[0]
    broken.write_bytes(b"half")
    flow = world.flow()
    flow.propose(make_proposal())
    assert len(broken.read_bytes()) == 32


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


@pytest.mark.parametrize(("days", "accepted"), [(180, True), (181, False)])
def test_a_cycle_is_open_for_at_most_180_days(world: World, days: int, accepted: bool) -> None:
    flow = world.flow()
    proposal = make_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    upload = make_upload(manifest.model_copy(update={"latest_close": written(NOW + days * DAY)}))
    if accepted:
        assert flow.accept_manifest(proposal.cycle, upload).document == upload.signed.document
        return
    with pytest.raises(Problem, match="180 days after the opening"):
        flow.accept_manifest(proposal.cycle, upload)


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
    proposal = make_large_proposal()
    manifest = make_manifest(proposal, flow.propose(proposal).opening_keys)
    upload = make_upload(manifest)
    leaves = upload.commitments[GROUP_SHEET]
    for wrong in (
        {},
        {FLAG_SHEET: leaves},
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
