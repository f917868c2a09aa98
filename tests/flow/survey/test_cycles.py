"""What HR may ask of survey: all of a file or none of it, links once, a close that can be repeated."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from services.protocol.encoding import canonical, unb64
from services.protocol.frame import Frame, parse
from services.protocol.signed import SignedDocument, check
from tests.flow.survey.phones import hand_of
from tests.flow.survey.ring import NOW, WORKFORCE, Ring, options


def rows(ring: Ring, table: str, cycle: str) -> int:
    """Return how many rows of a cycle a table has."""
    ((count,),) = ring.query(f"SELECT count(*) FROM {table} WHERE cycle = :cycle", cycle=cycle)
    assert isinstance(count, int)
    return count


def stored_frame(ring: Ring, cycle: str) -> Frame:
    """Return the frame of a closed cycle, after checking its signature."""
    ((text,),) = ring.query("SELECT frame FROM cycle WHERE id = :cycle", cycle=cycle)
    signed = SignedDocument.model_validate_json(str(text))
    check(ring.survey_key, "frame", canonical(signed.document), signed.signatures["survey"])
    return parse(signed.document)


def test_hr_needs_the_key(ring: Ring) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "door"}):
        assert ring.client.get("/hr/cycles/x", headers=headers).status_code == 401


def test_a_bad_line_refuses_the_whole_file_with_its_place(ring: Ring) -> None:
    before = ring.query("SELECT count(*) FROM cycle")
    lines = WORKFORCE.results_csv.split(b"\n")
    columns = lines[0].split(b",")
    cells = lines[5].split(b",")
    cells[columns.index(b"quota")] = b"-1"
    lines[5] = b",".join(cells)
    answer = ring.draft(results=b"\n".join(lines))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("results.csv, line 6, quota: ")
    assert ring.query("SELECT count(*) FROM cycle") == before


def test_every_value_is_shared_by_k_invited(ring: Ring) -> None:
    for k in (5, 10, 25):
        cycle = ring.draft(options(k=k)).json()["cycle"]
        ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
        manifest = ring.client.get(f"/api/cycles/{cycle}/manifest").json()["document"]
        for sheet in manifest["sheets"]:
            assert min(sheet["invited"]) >= k


def test_a_lost_answer_with_links_can_be_asked_again_until_somebody_takes_part(ring: Ring) -> None:
    cycle, lost = ring.opened()
    assert len(set(lost)) == 80
    again = ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
    codes = [link["link"].split("#")[1] for link in again.json()["links"]]
    assert not set(codes) & set(lost)
    old = ring.client.post(f"/api/cycles/{cycle}/session", json={"code": lost[0]})
    assert old.status_code == 403
    hand_of(ring, cycle, codes[0])
    late = ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr)
    assert (late.status_code, late.json()["type"]) == (409, "urn:fairpatch:problem:cycle-state")
    assert ring.client.post(f"/api/cycles/{cycle}/session", json={"code": codes[1]}).status_code == 200


def test_nobody_closes_before_the_promised_time(ring: Ring) -> None:
    cycle = ring.draft(options(rehearsal=False)).json()["cycle"]
    assert ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr).status_code == 200
    early = ring.client.post(f"/hr/cycles/{cycle}/close", headers=ring.hr)
    assert (early.status_code, early.json()["type"]) == (409, "urn:fairpatch:problem:cycle-state")
    assert "promised" in early.json()["detail"]
    ring.now[0] = NOW + timedelta(days=7)
    in_time = ring.client.post(f"/hr/cycles/{cycle}/close", headers=ring.hr)
    ring.now[0] = NOW
    assert in_time.json()["state"] == "closed"


def test_a_late_close_is_dated_at_the_latest_close(ring: Ring) -> None:
    cycle, _ = ring.opened()
    ring.now[0] = NOW + timedelta(days=30)
    ring.client.post(f"/hr/cycles/{cycle}/close", headers=ring.hr)
    ring.now[0] = NOW
    assert stored_frame(ring, cycle).closed == options().latest_close


def test_two_closes_at_once_count_once(ring: Ring) -> None:
    cycle, codes = ring.opened()
    for code in codes[:12]:
        hand = hand_of(ring, cycle, code)
        hand.post(hand.seal("support-result").encode())
    with ThreadPoolExecutor(4) as pool:
        address = f"/hr/cycles/{cycle}/close"
        answers = list(pool.map(lambda _: ring.client.post(address, headers=ring.hr), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    frame = stored_frame(ring, cycle)
    assert frame.sheets["support-result"].model_dump() == {"issued": 12, "received": 12}


def test_a_draft_that_breaks_a_rule_costs_nothing(ring: Ring) -> None:
    for change in ({"k": 3}, {"title": "x" * 401}, {"closes": "soon"}, {"response": 0.0}, {"plan": "loud"}):
        chosen = options().model_copy(update=change)
        calls = len(ring.peers.calls)
        answer = ring.draft(chosen)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:fairpatch:problem:input")
        assert len(ring.peers.calls) == calls


def test_hr_is_asked_for_the_key_before_its_files_are_read(ring: Ring) -> None:
    answer = ring.client.post("/hr/cycles", files={"roster": ("r.csv", b"x" * 2_000_000)})
    assert answer.status_code == 401
    incomplete = ring.client.post("/hr/cycles", headers=ring.hr, files={"roster": ("r.csv", b"x")})
    assert (incomplete.status_code, incomplete.json()["type"]) == (422, "urn:fairpatch:problem:malformed")


def test_a_foreign_host_name_gets_nothing(ring: Ring) -> None:
    cycle, _ = ring.opened()
    for name in ("evil.example", "[", "survey.evil.example", "survey@evil.example"):
        answer = ring.client.get(f"/api/cycles/{cycle}/manifest", headers={"host": name})
        assert (answer.status_code, answer.json()["type"]) == (421, "urn:fairpatch:problem:host")
    assert ring.client.get("/healthz", headers={"host": "survey:8141"}).status_code == 200


def test_opening_survives_a_peer_that_is_away(ring: Ring) -> None:
    cycle = ring.draft().json()["cycle"]
    for _ in range(2):
        ring.peers.fail_next = 503
        assert ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr).status_code == 503
    assert ring.client.get(f"/api/cycles/{cycle}/manifest").status_code == 404
    assert ring.client.post(f"/hr/cycles/{cycle}/open", headers=ring.hr).status_code == 200
    assert ring.client.get(f"/api/cycles/{cycle}/manifest").status_code == 200


def test_live_counts_are_rounded_down_and_hidden_below_k(ring: Ring) -> None:
    cycle, codes = ring.opened()
    for code in codes[:7]:
        hand_of(ring, cycle, code)
    assert ring.client.get(f"/hr/cycles/{cycle}", headers=ring.hr).json()["live"]["passes"] is None
    other, codes = ring.opened()
    for code in codes[:13]:
        hand_of(ring, other, code)
    live = ring.client.get(f"/hr/cycles/{other}", headers=ring.hr).json()["live"]
    assert live["passes"] == 10
    hand_of(ring, other, codes[13])
    hand_of(ring, other, codes[14])
    assert ring.client.get(f"/hr/cycles/{other}", headers=ring.hr).json()["live"] == live


def test_the_close_freezes_a_signed_frame_and_erases_who_took_passes(ring: Ring) -> None:
    cycle, codes = ring.opened()
    hand = hand_of(ring, cycle, codes[0])
    hand.post(hand.seal("support-result").encode())
    assert rows(ring, "issuance", cycle) == 1
    for _ in range(2):
        assert ring.client.post(f"/hr/cycles/{cycle}/close", headers=ring.hr).json()["state"] == "closed"
    assert rows(ring, "issuance", cycle) == 0
    assert ring.query("SELECT count(code_hash) FROM member WHERE cycle = :cycle", cycle=cycle) == [(0,)]
    frame = stored_frame(ring, cycle)
    assert frame.sheets["support-result"].model_dump() == {"issued": 1, "received": 1}
    assert frame.sheets["flag-result"].model_dump() == {"issued": 1, "received": 0}
    assert frame.manifest_hash == hand.manifest.hash().hex()
    status, kind = hand.post(hand.seal("flag-result").encode())
    assert (status, kind) == (409, "cycle-state")


def test_box_and_frame_open_to_signed_calls_only(ring: Ring) -> None:
    cycle, _ = ring.opened()
    for path in ("frame", "box?sheet=support-result"):
        assert ring.client.get(f"/internal/cycles/{cycle}/{path}").status_code == 401


def test_secrets_are_the_same_for_all_who_share_a_value(ring: Ring) -> None:
    cycle, codes = ring.opened()
    seen: dict[tuple[str, int], set[bytes]] = {}
    for code in codes[:30]:
        reply = ring.client.post(f"/api/cycles/{cycle}/session", json={"code": code}).json()
        for sheet, opening in reply["openings"].items():
            seen.setdefault((sheet, opening["value"]), set()).add(unb64(opening["secret"]))
    assert all(len(shared) == 1 for shared in seen.values())
    assert len({next(iter(shared)) for shared in seen.values()}) == len(seen)
