"""What a phone may ask of survey: one pass per rep, the same answer for the same bytes, one refusal."""

import secrets
from datetime import timedelta

import pytest

from services.protocol import commitments
from services.protocol.encoding import b64, unb64
from services.protocol.signed import check
from tests.flow.survey.phones import hand_of
from tests.flow.survey.ring import NOW, Ring


def test_a_code_opens_values_that_the_manifest_certifies(ring: Ring) -> None:
    cycle, codes = ring.opened()
    manifest = ring.client.get(f"/api/cycles/{cycle}/manifest").json()["document"]
    openings = ring.client.post(f"/api/cycles/{cycle}/session", json={"code": codes[0]}).json()["openings"]
    assert set(openings) == {sheet["name"] for sheet in manifest["sheets"]}
    for sheet in manifest["sheets"]:
        opening = openings[sheet["name"]]
        value, secret = commitments.encode_value(opening["value"]), unb64(opening["secret"])
        commitment = commitments.commit(sheet["name"], value, secret)
        assert sheet["commitments"][sheet["values"].index(opening["value"])] == b64(commitment)


def test_the_same_blinded_bytes_get_the_same_answer_and_others_are_refused(ring: Ring) -> None:
    cycle, codes = ring.opened()
    hand = hand_of(ring, cycle, codes[0])
    address, body = f"/api/cycles/{cycle}/tokens", {"code": codes[0], "blinded": hand.blinded}
    first, second = (ring.client.post(address, json=body) for _ in range(2))
    assert first.status_code == 200
    assert first.json() == second.json()
    changed = {**hand.blinded, "support-result": b64((2**2000 + 12345).to_bytes(256, "big"))}
    refused = ring.client.post(address, json={"code": codes[0], "blinded": changed})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:fairpatch:problem:pass-used")


def test_a_refused_blinded_message_does_not_use_up_the_pass(ring: Ring) -> None:
    cycle, codes = ring.opened()
    sheets = ring.client.get(f"/api/cycles/{cycle}/manifest").json()["document"]["sheets"]
    address = f"/api/cycles/{cycle}/tokens"
    for bad in (b"\x00" * 256, b"\x00" * 255 + b"\x01", b"\xff" * 256, b"\x05" * 255):
        blinded = {sheet["name"]: b64(bad) for sheet in sheets}
        answer = ring.client.post(address, json={"code": codes[0], "blinded": blinded})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:fairpatch:problem:malformed")
    hand_of(ring, cycle, codes[0])


def test_every_link_that_opens_nothing_gets_one_answer(ring: Ring) -> None:
    cycle, codes = ring.opened()
    other, other_codes = ring.opened()
    ring.client.post(f"/hr/cycles/{other}/close", headers=ring.hr)
    unknown = secrets.token_urlsafe(16)
    tries = ((cycle, unknown), (cycle, other_codes[0]), (other, other_codes[0]), ("0" * 16, codes[0]))
    answers = [ring.client.post(f"/api/cycles/{where}/session", json={"code": code}) for where, code in tries]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert answers[0].status_code == 403


def test_before_and_after_the_dates_nothing_opens(ring: Ring) -> None:
    cycle, codes = ring.opened()
    for moment in (NOW - timedelta(hours=1), NOW + timedelta(days=8)):
        ring.now[0] = moment
        answer = ring.client.post(f"/api/cycles/{cycle}/session", json={"code": codes[0]})
        ring.now[0] = NOW
        assert answer.status_code == 403


def test_a_receipt_is_signed_and_can_be_checked(ring: Ring) -> None:
    cycle, codes = ring.opened()
    hand = hand_of(ring, cycle, codes[0])
    sealed = hand.seal("support-result").encode()
    receipt = ring.client.post(f"/api/cycles/{cycle}/envelopes", content=sealed).json()
    check(ring.survey_key, "receipt", bytes.fromhex(receipt["hash"]), receipt["signature"])
    address = f"/api/cycles/{cycle}/receipts/"
    assert ring.client.get(address + receipt["hash"]).json() == {"stored": True}
    assert ring.client.get(address + "0" * 64).json() == {"stored": False}
    replaced = hand.seal("support-result", counter=77).encode()
    ring.client.post(f"/api/cycles/{cycle}/envelopes", content=replaced)
    assert ring.client.get(address + receipt["hash"]).json() == {"stored": False}


@pytest.mark.parametrize("call", ["session", "tokens"])
def test_a_broken_body_is_refused_without_repeating_it(ring: Ring, call: str) -> None:
    cycle, _ = ring.opened()
    answer = ring.client.post(f"/api/cycles/{cycle}/{call}", json={"code": 5, "answer": "canary-4711"})
    assert answer.status_code == 422
    assert "canary" not in answer.text


def test_the_rep_page_is_the_same_for_every_link_and_sets_no_cookie(ring: Ring) -> None:
    cycle, _ = ring.opened()
    page = ring.client.get(f"/s/{cycle}")
    manifest = ring.client.get(f"/api/cycles/{cycle}/manifest").json()["document"]
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert f"cut into {len(manifest['sheets'])} small sealed sheets" in page.text
    closed = ring.client.get("/s/unknown-cycle")
    assert closed.status_code == 200
    assert "does not open the survey" in closed.text
