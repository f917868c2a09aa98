"""The embedded database is a file that can be lost or replaced; no key is destroyed because of that."""

import shutil

from tests.flow.aggregate.factories import make_proposal
from tests.flow.aggregate.test_destruction import WRONG_DATABASE, cycles_with_keys
from tests.flow.aggregate.world import World

STORES = ("sqlite",)


def lose_database(world: World) -> None:
    """Leave an empty folder where the database was."""
    world.stop()
    kept = world.folder / "kept"
    kept.mkdir()
    for path in world.folder.glob("aggregate.db*"):
        shutil.move(path, kept / path.name)


def find_database(world: World) -> None:
    """Put the database back."""
    world.stop()
    for path in world.folder.glob("aggregate.db*"):
        path.unlink()
    for path in (world.folder / "kept").iterdir():
        shutil.move(path, world.folder / path.name)


def test_a_start_on_an_empty_database_destroys_no_key(world: World) -> None:
    manifest = world.closed(world.flow())
    before = {path: path.read_bytes() for path in world.key_files()}
    lose_database(world)
    with world.service() as running:
        assert WRONG_DATABASE in running.client.get("/readyz").text
    assert {path: path.read_bytes() for path in world.key_files()} == before
    find_database(world)
    flow = world.flow()
    flow.finish_destruction()
    flow.compare_chains()
    assert flow.unready() == []
    assert flow.release(manifest.cycle).state == "released"
    assert world.key_files() == []


def test_a_start_on_an_older_database_destroys_no_key_of_a_newer_cycle(world: World) -> None:
    world.opened(world.flow())
    world.stop()
    shutil.copytree(world.folder, world.folder.with_name("older"))
    world.opened(world.flow(), make_proposal("summer-2026"))
    world.stop()
    for path in world.folder.glob("aggregate.db*"):
        path.unlink()
    for path in world.folder.with_name("older").glob("aggregate.db*"):
        shutil.copy(path, world.folder / path.name)
    before = {path: path.read_bytes() for path in world.key_files()}
    world.flow().finish_destruction()
    assert {path: path.read_bytes() for path in world.key_files()} == before
    assert cycles_with_keys(world) == {"spring-2026", "summer-2026"}
