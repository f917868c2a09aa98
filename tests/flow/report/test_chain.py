"""Report's doors: signed manifests and releases come in once, in order, and are never replaced."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.protocol.problems import Problem
from services.protocol.release import FIRST, Release
from services.protocol.signed import SignedDocument, check_document
from services.report.store import ManifestRecord, ReleaseRecord, Store
from tests.flow.report.factories import (
    AGGREGATE,
    COMPANY,
    CYCLE,
    HELD,
    IDENTITIES,
    STRANGER,
    SURVEY,
    House,
    make_frame,
    make_house,
    make_manifest,
    make_release,
    make_released_house,
    sign,
    signed_manifest,
    signed_release,
)
from tests.stores import LENDER

MANIFEST_DOOR = f"/internal/cycles/{CYCLE}/manifest"
RELEASE_DOOR = "/internal/releases"


def chain(house: House) -> dict[str, object]:
    """Ask for the chain of the company as aggregate does."""
    answer = house.send("GET", f"/internal/chain?company={COMPANY.replace(' ', '%20')}", peer="aggregate")
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def test_a_manifest_is_kept_and_the_same_one_gets_the_same_answer(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    first, second = house.put_manifest(manifest), house.put_manifest(manifest)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {"hash": manifest.hash().hex()}


def test_another_manifest_of_a_cycle_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    answer = house.put_manifest(make_manifest(title="Another title"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairpatch:problem:conflict")
    assert house.get(f"/api/cycles/{CYCLE}/manifest").json()["document"]["title"] == manifest.title


def test_a_manifest_needs_both_signatures(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    for signers in (("survey",), ("aggregate",), ()):
        body = sign(manifest, "manifest", *signers)
        assert house.send("PUT", MANIFEST_DOOR, peer="survey", body=body).status_code == 401
    forged = signed_manifest(manifest).model_copy(
        update={"signatures": {name: STRANGER.sign("manifest", manifest.encode()) for name in IDENTITIES}}
    )
    assert house.send("PUT", MANIFEST_DOOR, peer="survey", body=forged).status_code == 401
    assert house.get(f"/api/cycles/{CYCLE}/manifest").status_code == 404


def test_a_signature_for_another_purpose_does_not_count(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    body = sign(manifest, "release", "survey", "aggregate")
    assert house.send("PUT", MANIFEST_DOOR, peer="survey", body=body).status_code == 401


def test_a_changed_byte_breaks_the_signature(tmp_path: Path) -> None:
    house, signed = make_house(tmp_path), signed_manifest(make_manifest())
    changed = signed.model_copy(update={"document": signed.document | {"invited": 401}})
    assert house.send("PUT", MANIFEST_DOOR, peer="survey", body=changed).status_code == 401


def test_a_signed_manifest_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    loose = make_manifest().model_copy(update={"k": 200})
    answer = house.send("PUT", MANIFEST_DOOR, peer="survey", body=signed_manifest(loose))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:fairpatch:problem:malformed")


def test_a_manifest_at_the_address_of_another_cycle_is_refused(tmp_path: Path) -> None:
    house, body = make_house(tmp_path), signed_manifest(make_manifest())
    answer = house.send("PUT", "/internal/cycles/another-cycle/manifest", peer="survey", body=body)
    assert answer.status_code == 422


def test_only_the_right_peer_may_call(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    manifest_body, release_body = signed_manifest(manifest), signed_release(make_release(manifest))
    for answer in (
        house.send("PUT", MANIFEST_DOOR, body=manifest_body),
        house.send("PUT", MANIFEST_DOOR, peer="survey", identity=STRANGER, body=manifest_body),
        house.send("POST", RELEASE_DOOR, body=release_body),
        house.send("POST", RELEASE_DOOR, peer="survey", body=release_body),
        house.send("GET", f"/internal/chain?company={COMPANY}"),
        house.send("GET", "/internal/chain?company=Other", peer="survey"),
        house.send("PUT", MANIFEST_DOOR, peer="aggregate", identity=STRANGER, body=manifest_body),
    ):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:fairpatch:problem:unauthorized")


def test_aggregate_may_bring_a_manifest_that_both_signed(tmp_path: Path) -> None:
    house, body = make_house(tmp_path), signed_manifest(make_manifest())
    half = body.model_copy(update={"signatures": {"aggregate": body.signatures["aggregate"]}})
    assert house.send("PUT", MANIFEST_DOOR, peer="aggregate", body=half).status_code == 401
    assert house.send("PUT", MANIFEST_DOOR, peer="aggregate", body=body).status_code == 200


def test_a_release_is_new_once_and_known_afterwards(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    release = make_release(manifest)
    answers = [house.post_release(release) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert {answer.json()["hash"] for answer in answers} == {release.hash().hex()}
    assert chain(house) == {"head": release.hash().hex(), "length": 1}


def test_a_release_is_never_replaced(tmp_path: Path) -> None:
    manifest = make_manifest()
    house = make_released_house(tmp_path, manifest)
    before = house.get(f"/reports/{CYCLE}/release.json").content
    other = make_release(manifest, released_on="2026-03-04")
    assert house.post_release(other).status_code == 409
    following = make_release(manifest, previous=str(chain(house)["head"]))
    assert house.post_release(following).status_code == 409
    assert house.get(f"/reports/{CYCLE}/release.json").content == before


def test_releases_of_a_company_form_one_chain(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    assert chain(house) == {"head": None, "length": 0}
    head = FIRST
    for number, cycle in enumerate(("spring-2026", "autumn-2026", "winter-2026"), start=1):
        manifest = make_manifest(cycle=cycle)
        house.put_manifest(manifest)
        if number > 1:
            assert house.post_release(make_release(manifest, previous=FIRST)).status_code == 409
        assert house.post_release(make_release(manifest, previous="f" * 64)).status_code == 409
        release = make_release(manifest, previous=head)
        assert house.post_release(release).status_code == 201
        head = release.hash().hex()
        assert chain(house) == {"head": head, "length": number}


def test_companies_have_chains_of_their_own(tmp_path: Path) -> None:
    house = make_released_house(tmp_path)
    other = make_manifest(cycle="other-2026", company="Other Works")
    house.put_manifest(other)
    assert house.post_release(make_release(other, previous=FIRST)).status_code == 201
    assert chain(house)["length"] == 1


def test_a_dry_run_has_no_place_in_the_chain_and_no_report(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    assert house.post_release(make_release(manifest, kind="dry_run", ledger=())).status_code == 201
    assert chain(house) == {"head": None, "length": 0}
    assert "Collecting until" in house.get(f"/reports/{CYCLE}/").text
    assert house.post_release(make_release(manifest)).status_code == 201
    assert chain(house)["length"] == 1


def test_a_release_waits_for_its_manifest(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    answer = house.post_release(make_release(manifest))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairpatch:problem:cycle-state")
    house.put_manifest(manifest)
    assert house.post_release(make_release(manifest)).status_code == 201


@pytest.mark.parametrize("identity", [STRANGER, SURVEY])
def test_a_release_needs_the_signature_of_aggregate(tmp_path: Path, identity: object) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    release = make_release(manifest)
    signature = identity.sign("release", release.encode())  # type: ignore[attr-defined]
    body = SignedDocument(document=release.model_dump(mode="json"), signatures={"aggregate": signature})
    assert house.send("POST", RELEASE_DOOR, peer="aggregate", body=body).status_code == 401


def spend_more(release: Release) -> Release:
    """Change the budget of a table."""
    first, *rest = release.tables
    changed = first.model_copy(update={"epsilon_micro": 400_000, "scale": 2.5})
    return release.model_copy(update={"tables": (changed, *rest)})


def show_a_held_group(release: Release) -> Release:
    """Say that a held group is shown."""
    states = tuple(state.model_copy(update={"state": "shown"}) for state in release.groups)
    return release.model_copy(update={"groups": states})


def hide_nothing_of_a_held_group(release: Release) -> Release:
    """Leave the numbers of a group in its table although its state is held."""
    states = tuple(
        state.model_copy(update={"state": "held" if state.id != HELD else "shown"})
        for state in release.groups
    )
    return release.model_copy(update={"groups": states})


def another_group(release: Release) -> Release:
    """Name a group that the manifest does not have."""
    first, *rest = release.groups
    return release.model_copy(update={"groups": (first.model_copy(update={"id": "moon"}), *rest)})


def change_of_line(place: int, **changed: object) -> Callable[[Release], Release]:
    """Return a change of one ledger line: a release that was paid for in another way than promised."""

    def change(release: Release) -> Release:
        lines = list(release.ledger)
        lines[place] = lines[place].model_copy(update=changed)
        return release.model_copy(update={"ledger": tuple(lines)})

    return change


CHANGES: dict[str, Callable[[Release], Release]] = {
    "less spent on answers than promised": change_of_line(0, epsilon_micro=1_000_000),
    "less spent on coins than promised": change_of_line(1, epsilon_micro=500_000),
    "another delta": change_of_line(1, delta=1e-7),
    "nothing spent": lambda release: release.model_copy(update={"ledger": ()}),
    "a line twice": lambda release: release.model_copy(update={"ledger": release.ledger * 2}),
    "epsilon": spend_more,
    "held group shown": show_a_held_group,
    "numbers of a held group": hide_nothing_of_a_held_group,
    "unknown group": another_group,
    "a table less": lambda release: release.model_copy(update={"tables": release.tables[1:]}),
    "a table twice": lambda release: release.model_copy(
        update={"tables": (*release.tables, release.tables[0])}
    ),
    "a sheet less": lambda release: release.model_copy(
        update={"sheets": dict(list(release.sheets.items())[1:])}
    ),
    "company": lambda release: release.model_copy(update={"company": "Other Works"}),
    "manifest": lambda release: release.model_copy(update={"manifest_hash": "0" * 64}),
    "frame of another manifest": lambda release: release.model_copy(
        update={"frame": make_frame(make_manifest(title="Another title"))}
    ),
    "activity of another shape": lambda release: release.model_copy(
        update={"frame": make_frame(make_manifest(), activity_by_attainment=((1, 2), (3, 4)))}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_signed_release_that_breaks_its_manifest_is_refused(
    tmp_path: Path, change: Callable[[Release], Release]
) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    answer = house.post_release(change(make_release(manifest)))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:fairpatch:problem:malformed")
    assert chain(house)["length"] == 0


def test_the_public_manifest_is_readable_from_everywhere_and_its_signatures_fit(tmp_path: Path) -> None:
    house, manifest = make_house(tmp_path), make_manifest()
    house.put_manifest(manifest)
    answer = house.get(f"/api/cycles/{CYCLE}/manifest", origin="https://phone.test")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    signed = SignedDocument.model_validate(answer.json())
    check_document(signed, "manifest", {name: identity.public for name, identity in IDENTITIES.items()})
    assert house.get("/api/cycles/unknown-cycle/manifest").status_code == 404


def test_the_signed_release_can_be_checked_by_a_reader(tmp_path: Path) -> None:
    house = make_released_house(tmp_path)
    answer = house.get(f"/reports/{CYCLE}/release.json")
    check_document(SignedDocument.model_validate(answer.json()), "release", {"aggregate": AGGREGATE.public})
    assert "access-control-allow-origin" not in answer.headers
    assert house.get("/reports/unknown-cycle/release.json").status_code == 404


def test_nothing_of_a_refused_body_is_repeated(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    body = SignedDocument(document={"cycle": CYCLE, "secret": "canary-7193"}, signatures={})
    for method, path, peer in (("PUT", MANIFEST_DOOR, "survey"), ("POST", RELEASE_DOOR, "aggregate")):
        answer = house.send(method, path, peer=peer, body=body)  # type: ignore[arg-type]
        assert answer.status_code in (401, 422)
        assert "canary" not in answer.text


def test_of_two_releases_for_one_place_exactly_one_is_kept(tmp_path: Path) -> None:
    store = Store(LENDER.open(tmp_path, "report"))
    cycles = [f"cycle-{number}" for number in range(8)]
    for cycle in cycles:
        store.add_manifest(ManifestRecord(cycle, COMPANY, f"manifest of {cycle}", "{}"))

    def add(cycle: str) -> bool:
        try:
            return store.add_release(
                ReleaseRecord(cycle, "release", COMPANY, f"hash of {cycle}", FIRST, "{}")
            )
        except Problem:
            return False

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert sum(pool.map(add, cycles)) == 1
    assert store.head(COMPANY).length == 1


def test_health_and_description_answer(tmp_path: Path) -> None:
    house = make_house(tmp_path)
    assert house.get("/healthz").json() == {"status": "ok"}
    assert house.get("/readyz").json() == {"ready": True, "reasons": []}
    assert "/internal/releases" in house.get("/openapi.json").json()["paths"]
