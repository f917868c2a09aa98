"""Key files and power cuts: a key that somebody relies on is there, one that was destroyed stays gone (P5).

A kill -9 leaves what was written, so it can't show a missing sync. Here the power goes before every single
sync, and of what was not synced nothing comes through, some of it, or all.
"""

import random
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.aggregate.keyring import Keyring, public_point
from services.survey import issuers
from services.survey.core.issuer import IssuerKey
from services.survey.issuers import IssuerFolder
from tests.simulation.disk import ForgetfulDisk, files, run, write_tree

CYCLE, SHEETS = "cycle-1", ("support-group", "flag-result")
LUCKS = [(0.0, 1), *((0.5, seed) for seed in range(4)), (1.0, 1)]
Make = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def ready_made() -> list[IssuerKey]:
    """Return more issuer keys than one attempt hands out: making each anew takes too long."""
    return [IssuerKey.from_private_key(rsa.generate_private_key(65537, 2048)) for _ in range(3 * len(SHEETS))]


@pytest.fixture(autouse=True)
def quick_keys(ready_made: list[IssuerKey], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have issuer keys taken from those, each time the next ones."""
    turns = cycle(ready_made)
    monkeypatch.setattr(issuers, "_generate", lambda _sheet: next(turns))


def opening_keys(root: Path) -> dict[str, bytes]:
    """Make aggregate's opening keys; return their public points."""
    return Keyring(root / "aggregate" / "opening-keys").make(CYCLE, SHEETS)


def issuer_keys(root: Path) -> dict[str, bytes]:
    """Make survey's issuer keys; return their public halves."""
    made = IssuerFolder(root / "survey" / "issuer-keys").make(CYCLE, SHEETS)
    return {sheet: key.spki for sheet, key in made.items()}


def service_folders(root: Path) -> Path:
    """Return a folder as ``fairpatch init`` leaves it: durable, and without keys of cycles."""
    for service in ("survey", "aggregate"):
        (root / service).mkdir(parents=True)
    return root


def back(folder: Path, disk: ForgetfulDisk) -> Path:
    """Return the folder that is found when the power is back."""
    folder.mkdir()
    write_tree(folder, disk.after_a_cut())
    return folder


@pytest.mark.parametrize("make", [opening_keys, issuer_keys])
@pytest.mark.parametrize(("luck", "seed"), LUCKS)
def test_keys_that_were_handed_out_survive_a_power_cut(
    tmp_path: Path, make: Make, luck: float, seed: int
) -> None:
    disk = ForgetfulDisk(service_folders(tmp_path / "before"), luck=luck, dice=random.Random(seed))
    handed_out: list[dict[str, bytes]] = []
    assert run(disk, lambda: handed_out.append(make(disk.root)))
    assert [make(back(tmp_path / "after", disk))] == handed_out


@pytest.mark.parametrize("make", [opening_keys, issuer_keys])
def test_keys_of_a_broken_attempt_are_durable_once_they_are_handed_out(tmp_path: Path, make: Make) -> None:
    for number in range(1, syncs_of(make, tmp_path / "count") + 1):
        disk = ForgetfulDisk(service_folders(tmp_path / f"before {number}"), end_before=number)
        assert not run(disk, lambda disk=disk: make(disk.root))  # type: ignore[misc]
        handed_out: list[dict[str, bytes]] = []
        assert run(disk, lambda disk=disk, to=handed_out: to.append(make(disk.root)))  # type: ignore[misc]
        assert [make(back(tmp_path / f"after {number}", disk))] == handed_out


# Reading RSA keys takes long, so survey's come with the worst luck only.
@pytest.mark.parametrize(
    ("make", "luck", "seed"), [*((opening_keys, *each) for each in LUCKS), (issuer_keys, *LUCKS[0])]
)
def test_a_power_cut_while_keys_are_made_never_stops_the_next_attempt(
    tmp_path: Path, make: Make, luck: float, seed: int
) -> None:
    for number in range(1, syncs_of(make, tmp_path / "count") + 1):
        disk = ForgetfulDisk(
            service_folders(tmp_path / f"before {number}"), number, luck=luck, dice=random.Random(seed)
        )
        assert not run(disk, lambda disk=disk: make(disk.root))  # type: ignore[misc]
        after = tmp_path / f"after {number}"
        write_tree(after, disk.left)
        first = make(after)
        assert set(first) == set(SHEETS)
        assert make(after) == first


@pytest.mark.parametrize(("luck", "seed"), LUCKS)
def test_destroyed_keys_are_not_back_after_a_power_cut(tmp_path: Path, luck: float, seed: int) -> None:
    root = service_folders(tmp_path / "before")
    points = set(opening_keys(root).values())
    disk = ForgetfulDisk(root, luck=luck, dice=random.Random(seed))
    assert run(disk, lambda: Keyring(root / "aggregate" / "opening-keys").destroy(CYCLE))
    found = [*files(disk.after_a_cut()), *disk.remains()]
    assert [left for left in found if is_one_of(left, points)] == []


@pytest.mark.parametrize(("luck", "seed"), LUCKS)
def test_a_broken_destruction_is_finished_by_the_next_one(tmp_path: Path, luck: float, seed: int) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        root = service_folders(tmp_path / f"before {number}")
        opening_keys(root)
        disk = ForgetfulDisk(root, number, luck=luck, dice=random.Random(seed))
        ended = run(disk, lambda root=root: Keyring(root / "aggregate" / "opening-keys").destroy(CYCLE))  # type: ignore[misc]
        after = back(tmp_path / f"after {number}", disk)
        keyring = Keyring(after / "aggregate" / "opening-keys")
        keyring.destroy(CYCLE)
        assert not keyring.holds(CYCLE)
    assert number > len(SHEETS)


def syncs_of(make: Make, folder: Path) -> int:
    """Return how many syncs making the keys takes."""
    disk = ForgetfulDisk(service_folders(folder))
    run(disk, lambda: make(disk.root))
    assert disk.syncs > len(SHEETS)
    return disk.syncs


def is_one_of(left: bytes, points: set[bytes]) -> bool:
    """Return whether a file holds the private half of one of these points."""
    return len(left) == 32 and any(left) and public_point(left) in points
