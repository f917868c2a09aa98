"""Report's backups: restored as they were, and an older one only where aggregate hands on the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kit.keys import new_identity
from services.kit.settings import save_settings
from services.operation.backup import back_up
from services.operation.restore import Restoring, restore
from services.operation.verify import Verification, verify_backups
from services.protocol.problems import Problem
from services.protocol.release import Release
from tests.flow.operation.ledgers import silent, target
from tests.flow.report.factories import (
    COMPANY,
    CYCLE,
    HOUSES,
    NOW,
    House,
    make_house,
    make_manifest,
    make_release,
    make_settings,
)
from tests.stores import LENDER

LATER = "summer-2026"
ROWS = "SELECT * FROM release ORDER BY cycle, kind"


@dataclass
class Shown:
    """Report with one release, a backup of it, and the release that came after the backup."""

    house: House
    folder: Path
    backup: Path
    first: Release
    second: Release

    def restore(self, to: Path, head: str, *, behind: bool = False) -> list[str]:
        """Restore on another host."""
        asked = Restoring("report", self.backup, to, (head,), behind, *target(to / "report", "report"))
        return restore(asked, clock=lambda: NOW, say=silent)


@pytest.fixture
def shown(store_kind: str, tmp_path: Path) -> Iterator[Shown]:
    """Report, backed up between two releases."""
    folder = tmp_path / "old"
    house, manifests = make_house(folder / "report"), (make_manifest(), make_manifest(cycle=LATER))
    new_identity(folder / "report" / "identity.key")
    save_settings(make_settings(folder / "report"))
    first = make_release(manifests[0])
    second = make_release(manifests[1], previous=first.hash().hex())
    assert house.put_manifest(manifests[0]).is_success
    assert house.post_release(first).is_success
    back_up(folder, ["report"], tmp_path / "backup", clock=lambda: NOW, say=silent)
    assert house.put_manifest(manifests[1]).is_success
    assert house.post_release(second).is_success
    yield Shown(house, folder, tmp_path / "backup", first, second)
    while HOUSES:
        HOUSES.pop().app.state.database.close()
    LENDER.take_back(tmp_path)


def test_it_is_restored_as_it_was(shown: Shown, tmp_path: Path) -> None:
    shown.restore(tmp_path / "new", shown.first.hash().hex())
    rows = LENDER.query(tmp_path / "new" / "report", "report", ROWS)
    before = LENDER.query(shown.folder / "report", "report", ROWS)
    assert rows == [row for row in before if row[0] == CYCLE]
    house = make_house(tmp_path / "new" / "report")
    assert house.get(f"/reports/{CYCLE}/release.json").json()["document"] == shown.first.model_dump(
        mode="json"
    )


def test_an_older_one_is_refused_and_the_way_out_is_named(shown: Shown, tmp_path: Path) -> None:
    head = shown.second.hash().hex()
    with pytest.raises(Problem, match="If aggregate still has that release, say --behind") as refused:
        shown.restore(tmp_path / "new", head)
    assert refused.value.kind == "conflict"
    assert not (tmp_path / "new").exists()


def test_an_older_one_takes_what_aggregate_hands_on(shown: Shown, tmp_path: Path) -> None:
    shown.restore(tmp_path / "new", shown.second.hash().hex(), behind=True)
    house = make_house(tmp_path / "new" / "report")
    # As aggregate does: the manifest first, because this report has never seen the cycle.
    assert house.post_release(shown.second).status_code == 409
    assert house.put_manifest(make_manifest(cycle=LATER)).is_success
    assert house.post_release(shown.second).status_code == 201
    answer = house.send("GET", f"/internal/chain?company={COMPANY.replace(' ', '%20')}", peer="aggregate")
    assert answer.json() == {"head": shown.second.hash().hex(), "length": 2}


def test_its_backup_is_checked(shown: Shown) -> None:
    told = list[str]()
    found = Verification(lambda about, check: told.append(f"{about}: {check.holds}"))
    verify_backups(shown.backup, found, deep=True)
    assert found.well
    assert "report: every company's releases are one unbroken chain" in told
