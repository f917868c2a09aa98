"""What a rep can check: sheets in the box, what became of them, and that the manifest is everybody's (P9)."""

import asyncio
import copy

import httpx
import pytest

from services.protocol.encoding import canonical, sha256
from services.protocol.plan import SUPPORT_RESULT
from services.protocol.receipts import list_root
from services.protocol.signed import SignedDocument, check
from services.rehearsal.phone import Line, Phone, Refused, fetch_manifest
from tests.e2e.played import Played, get

SHEETS = 7


def test_the_published_lists_say_what_became_of_every_envelope_and_of_no_other(played: Played) -> None:
    assert played.lists.digits == 0
    for sheet in played.release.sheets:
        lines = played.lists.sheets[sheet]
        assert dict(lines) == played.fates(sheet)
        assert len(lines) == len(played.fates(sheet))
        assert list(lines) == sorted(lines)


def test_the_lists_lead_to_the_roots_in_the_signed_release(played: Played) -> None:
    for sheet, totals in played.release.sheets.items():
        lines = [(bytes.fromhex(digest), outcome) for digest, outcome in played.lists.sheets[sheet]]
        assert list_root(lines).hex() == totals.receipts_root
        assert list_root(lines[1:]).hex() != totals.receipts_root


@pytest.mark.parametrize("role", ["replaces", "withdraws", "comes back"])
def test_what_was_replaced_or_taken_back_is_in_no_list(played: Played, role: str) -> None:
    listed = {digest for lines in played.lists.sheets.values() for digest, _ in lines}
    assert len(played.gone[role]) == SHEETS
    assert not listed & set(played.gone[role].values())
    assert played.stored[role] == dict.fromkeys(played.release.sheets, True)


def test_a_sheet_taken_out_of_the_box_is_noticed_by_its_rep(played: Played) -> None:
    stored = played.stored["robbed"]
    assert {sheet for sheet, there in stored.items() if not there} == {SUPPORT_RESULT}
    mine = played.phones["robbed"].receipts[SUPPORT_RESULT].hash
    assert mine not in dict(played.lists.sheets[SUPPORT_RESULT])


def test_receipts_are_signed_by_survey_for_these_very_bytes(played: Played) -> None:
    key = played.services.identity("survey").public
    for phone in played.phones.values():
        for sheet, receipt in phone.receipts.items():
            check(key, "receipt", bytes.fromhex(receipt.hash), receipt.signature)
            assert receipt.hash == sha256(phone.sealed[sheet]).hex()


class Tampering(httpx.AsyncBaseTransport):
    """A network, or a service, that hands one phone another manifest."""

    def __init__(self, served: dict[int, SignedDocument]) -> None:
        self.served, self.asked = served, list[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with what is served at this port."""
        self.asked.append(request.url.path)
        return httpx.Response(200, content=self.served[request.url.port or 0].model_dump_json())


def one_phone(
    played: Played, survey: SignedDocument, aggregate: SignedDocument, *, fingerprint: str = ""
) -> None:
    """Have one phone fetch the manifest from services that serve these documents; it must refuse.

    Without the fingerprint of the invitation, only signatures and comparison can save it.
    """
    link = played.links[-1]
    ports = [httpx.URL(address).port or 0 for address in (link.survey, link.aggregate)]
    network = Tampering(dict(zip(ports, (survey, aggregate), strict=True)))

    async def journey() -> None:
        async with httpx.AsyncClient(transport=network) as client:
            line = Line(client, pauses_seconds=())
            view = await fetch_manifest(
                line,
                survey=link.survey,
                aggregate=link.aggregate,
                cycle=link.cycle,
                pinned=link.pinned,
                fingerprint=fingerprint,
            )
            await Phone(line, view, link.code).session()

    with pytest.raises(Refused):
        asyncio.run(journey())
    assert [path.rpartition("/")[2] for path in network.asked] == ["manifest", "manifest"]


def manifests(played: Played) -> tuple[SignedDocument, dict[str, object]]:
    """Return the true manifest and a document that promises less."""
    address = f"{played.services.stage.survey}/api/cycles/{played.cycle}/manifest"
    true = SignedDocument.model_validate(get(address).json())
    looser = copy.deepcopy(true.document)
    looser["k"] = 5
    return true, looser


def test_a_manifest_changed_on_the_way_stops_the_phone(played: Played) -> None:
    true, looser = manifests(played)
    changed = SignedDocument(document=looser, signatures=true.signatures)
    one_phone(played, changed, changed)
    one_phone(played, changed, true)


def test_a_manifest_that_survey_alone_made_for_one_phone_stops_it(played: Played) -> None:
    true, looser = manifests(played)
    mine = played.services.identity("survey").sign("manifest", canonical(looser))
    for signatures in (
        {"survey": mine},
        {**true.signatures, "survey": mine},
        {"survey": mine, "aggregate": mine},
    ):
        alone = SignedDocument.model_validate({"document": looser, "signatures": signatures})
        one_phone(played, alone, true)
        one_phone(played, alone, alone)


def test_a_manifest_that_both_operators_made_for_one_phone_does_not_fit_its_invitation(
    played: Played,
) -> None:
    _, looser = manifests(played)
    signers = {
        name: played.services.identity(name).sign("manifest", canonical(looser))
        for name in ("survey", "aggregate")
    }
    both = SignedDocument.model_validate({"document": looser, "signatures": signers})
    one_phone(played, both, both, fingerprint=played.fingerprint)
