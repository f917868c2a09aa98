"""From the box to the release: what is counted, what is refused, and what may be read afterwards."""

import pytest

from services.protocol import commitments, envelope, sheet
from services.protocol.manifest import Manifest, SheetSpec
from services.protocol.release import FIRST
from services.protocol.signed import check_document
from tests.flow.aggregate.factories import (
    FLAG_SHEET,
    GROUP_SHEET,
    IDENTITIES,
    issuer_key,
    make_frame,
    make_large_proposal,
    make_proposal,
    value_secret,
)
from tests.flow.aggregate.phones import Hand, answer
from tests.flow.aggregate.world import World


def test_a_whole_cycle(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    state = flow.release(manifest.cycle)
    release = world.release(manifest.cycle)
    assert (state.state, state.release) == ("released", release.hash().hex())
    check_document(
        world.published().release(manifest.cycle), "release", {"aggregate": IDENTITIES["aggregate"].public}
    )
    assert release.manifest_hash == manifest.hash().hex()
    assert release.previous == FIRST
    assert release.released_on == "2026-03-02"
    totals = release.sheets[GROUP_SHEET]
    assert (totals.issued, totals.received, totals.counted) == (25, 25, 25)
    assert (totals.withdrawn, totals.rejected) == (0, {})
    table = release.table(GROUP_SHEET)
    assert table is not None
    assert table.noisy_counts == ((1004, 1004), (1004, 1004), (1004, 1004))
    assert [group.state for group in release.groups] == ["shown", "shown"]
    assert world.report.chains == {manifest.company: [state.release]}


def test_the_ledger_says_what_the_release_cost(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    plan = manifest.plan
    assert world.micro(flow) == {
        "answers": (plan.answers_micro, 0),
        "participation": (plan.participation_micro, 0),
    }
    flow.release(manifest.cycle)
    assert world.micro(flow) == {
        "answers": (0, plan.answers_micro),
        "participation": (0, plan.participation_micro),
    }
    lines = {line.account: line for line in world.release(manifest.cycle).ledger}
    assert lines["answers"].spent_micro == lines["answers"].epsilon_micro == plan.answers_micro
    assert lines["participation"].delta == plan.coin_delta
    assert {line.year for line in lines.values()} == {2026}


def test_the_second_release_names_the_first(world: World) -> None:
    flow = world.flow()
    first = world.closed(flow)
    second = world.closed(flow, make_proposal("summer-2026"))
    flow.release(first.cycle)
    flow.release(second.cycle)
    releases = [world.release(cycle) for cycle in (first.cycle, second.cycle)]
    assert releases[1].previous == releases[0].hash().hex()
    spent = [next(line for line in one.ledger if line.account == "answers").spent_micro for one in releases]
    assert spent[1] == 2 * spent[0] == 2 * first.plan.answers_micro
    assert len(world.report.chains[first.company]) == 2


def bad_sheets(manifest: Manifest, spec: SheetSpec) -> dict[str, list[bytes]]:
    """Return one bad sheet per reason; a duplicate needs the honest one it repeats."""
    hand, twice = Hand(manifest, spec), Hand(manifest, spec)
    honest = answer(spec, (0, 0))
    wrong_secret = sheet.Sheet((0,), commitments.encode_value(0), value_secret(spec.name, 1))
    no_such_value = sheet.Sheet((0,), commitments.encode_value(9), value_secret(spec.name, 0))
    out_of_range = sheet.encode(
        sheet.Sheet((7,), honest.value, honest.secret), length=manifest.plaintext_length
    )
    signed = Hand(manifest, spec).seal(honest)
    at = envelope.HEADER_BYTES - 1
    return {
        "form": [b"\x09" + Hand(manifest, spec).seal(honest)[1:]],
        "token": [Hand(manifest, spec, issuer=issuer_key("of another company")).seal(honest)],
        "signature": [signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]],
        "duplicate": [twice.seal(honest, counter=1), twice.seal(honest, counter=2)],
        "sealing": [hand.seal(honest, name=FLAG_SHEET)],
        "range": [Hand(manifest, spec).seal(out_of_range)],
        "value": [Hand(manifest, spec).seal(no_such_value)],
        "commitment": [Hand(manifest, spec).seal(wrong_secret)],
    }


@pytest.mark.parametrize("chunk_envelopes", [1, 512])
def test_bad_sheets_are_counted_by_reason(world: World, chunk_envelopes: int) -> None:
    flow = world.flow(world.parts(chunk_envelopes=chunk_envelopes))
    manifest = world.closed(flow)
    spec = manifest.sheet(GROUP_SHEET)
    bad = bad_sheets(manifest, spec)
    box = world.survey.boxes[manifest.cycle][GROUP_SHEET]
    box.extend(sealed for several in bad.values() for sealed in several)
    box.append(Hand(manifest, spec).seal(sheet.blank(1), kind=envelope.WITHDRAWAL))
    world.survey.close(manifest.cycle)
    flow.release(manifest.cycle)
    totals = world.release(manifest.cycle).sheets[GROUP_SHEET]
    assert totals.rejected == dict.fromkeys(bad, 1)
    assert (totals.received, totals.counted, totals.withdrawn) == (35, 26, 1)
    table = world.release(manifest.cycle).table(GROUP_SHEET)
    assert table is not None
    assert table.noisy_counts is not None
    assert table.noisy_counts[0] == (1005, 1004)


def test_a_repeat_far_away_in_a_box_out_of_order_counts_once(world: World) -> None:
    flow = world.flow(world.parts(chunk_envelopes=1))
    manifest = world.closed(flow)
    boxes = world.survey.boxes[manifest.cycle]
    boxes[GROUP_SHEET].append(boxes[GROUP_SHEET][0])
    world.survey.frames[manifest.cycle] = make_frame(manifest, boxes)
    flow.release(manifest.cycle)
    totals = world.release(manifest.cycle).sheets[GROUP_SHEET]
    assert (totals.counted, totals.rejected) == (25, {"duplicate": 1})


def test_an_empty_box_is_released_without_numbers(world: World) -> None:
    flow = world.flow()
    manifest = world.opened(flow)
    world.survey.fill(manifest, {})
    world.survey.close(manifest.cycle)
    flow.release(manifest.cycle)
    release = world.release(manifest.cycle)
    assert [totals.received for totals in release.sheets.values()] == [0, 0]
    assert [table.state for table in release.tables] == ["held", "held"]
    assert [group.state for group in release.groups] == ["held", "held"]


def test_sheets_with_a_published_root_are_counted(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow, make_large_proposal())
    flow.release(manifest.cycle)
    assert world.release(manifest.cycle).sheets[GROUP_SHEET].rejected == {}
