"""The plain app that speed is held against is no straw man: it takes and refuses the same sheets."""

import pytest
from fastapi.testclient import TestClient

from bench.speed.plain import build_plain
from services.kit.keys import load_identity
from services.survey.flow import open_cycle
from services.survey.issuers import IssuerFolder
from services.survey.store import Store
from tests.flow.survey.phones import Hand, hand_of
from tests.flow.survey.ring import Ring
from tests.stores import LENDER

STORES = ("postgresql",)
SHEET = "support-result"


@pytest.fixture
def hand(ring: Ring) -> Hand:
    """A rep with passes."""
    cycle, codes = ring.opened()
    return hand_of(ring, cycle, codes[0])


def test_it_answers_as_survey_does(ring: Ring, hand: Hand) -> None:
    database = LENDER.open(ring.folder, "survey")
    cycle = Store(database).cycle(hand.cycle)
    secrets = Store(database).secrets(hand.cycle)
    database.close()
    assert cycle is not None
    signed, manifest = ring.client.get(f"/api/cycles/{hand.cycle}/manifest"), hand.manifest
    issuers = IssuerFolder(ring.folder / "issuer-keys").load(hand.cycle, manifest.plan.sheets)
    opened = open_cycle(signed.json(), manifest, issuers, secrets)
    identity = load_identity(ring.folder / "identity.key")
    plain = build_plain(LENDER.server.make_database(), opened, identity, pool=5)
    sheet = hand.seal(SHEET, counter=5)
    sent = [
        sheet.encode(),
        sheet.encode(),
        hand.seal(SHEET, counter=5).encode(),
        hand.seal(SHEET, counter=4).encode(),
        hand.seal(SHEET, counter=6).encode(),
        sheet.encode()[:-1],
    ]
    path = f"/api/cycles/{hand.cycle}/envelopes"
    headers = {"content-type": "application/octet-stream"}
    with TestClient(plain) as client:
        answers = [client.post(path, content=each, headers=headers) for each in sent]
        other = client.post("/api/cycles/other/envelopes", content=sent[0], headers=headers)
    ours = [ring.client.post(path, content=each) for each in sent]
    assert [each.status_code for each in answers] == [201, 201, 409, 409, 201, 422]
    assert [each.status_code for each in ours] == [201, 201, 409, 409, 201, 422]
    assert [each.json() for each in answers if each.is_success] == [e.json() for e in ours if e.is_success]
    assert other.status_code == 409
