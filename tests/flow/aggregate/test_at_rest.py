"""What lies on disk: no sheet, token, secret or opening key outside the key files, and those end."""

from pathlib import Path

from sqlalchemy import inspect

from services.aggregate.core.receiptlist import unpack
from services.protocol import sheet
from services.protocol.encoding import b64
from services.protocol.receipts import receipt_hash
from tests.flow.aggregate.factories import FLAG_SHEET, GROUP_SHEET, make_proposal, value_secret
from tests.flow.aggregate.phones import Hand, answer, nonce_of
from tests.flow.aggregate.test_crashes import with_crash
from tests.flow.aggregate.world import CELLS, Crash, World
from tests.stores import LENDER

# Looks into the files of a folder; tests/privacy does the same with a server's.
STORES = ("sqlite",)


def spellings(data: bytes) -> tuple[bytes, ...]:
    """Return the ways in which bytes could be written down."""
    return data, data.hex().encode(), data.hex().upper().encode(), b64(data).encode()


def found(needles: dict[str, bytes], folder: Path) -> set[str]:
    """Return which needles lie in a file below ``folder``, in any spelling."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"]
    assert any(contents)
    return {
        name
        for name, needle in needles.items()
        if any(spelling in content for spelling in spellings(needle) for content in contents)
    }


def secrets_of(world: World, cycle: str) -> dict[str, bytes]:
    """Return all that must not be written down, by a name for the failure message."""
    manifest = world.survey.manifests[cycle]
    needles = {f"opening key {path.name}": path.read_bytes() for path in world.key_files()}
    for name, box in world.survey.boxes[cycle].items():
        spec = manifest.sheet(name)
        for value in spec.values:
            needles[f"secret of {name} {value}"] = value_secret(name, value)
            for row in range(spec.field_values):
                needles[f"plaintext {name} {row} {value}"] = sheet.encode(
                    answer(spec, (row, value)), length=manifest.plaintext_length
                )
        for number, sealed in enumerate(box):
            needles[f"nonce {name} {number}"] = nonce_of(sealed)
            needles[f"token {name} {number}"] = sealed[7:361]
            needles[f"public key {name} {number}"] = sealed[361:426]
            needles[f"sealed {name} {number}"] = sealed[-60:]
    return needles


def test_nothing_of_a_sheet_is_written_down(world: World) -> None:
    manifest = world.closed(world.flow())
    needles = secrets_of(world, manifest.cycle)
    assert len([name for name in needles if name.startswith("opening key")]) == 2
    for step in ("laplace", "publish", "destroy"):
        try:
            world.flow(with_crash(world.parts(), step)).release(manifest.cycle)
        except Crash:
            assert found(needles, world.folder) == set()
    world.flow().release(manifest.cycle)
    assert world.key_files() == []
    assert list(world.settings.keys_folder.iterdir()) == []
    assert found(needles, world.folder) == set()


def test_the_search_would_see_it(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    flow.release(manifest.cycle)
    sealed = world.survey.boxes[manifest.cycle][GROUP_SHEET][0]
    point = manifest.sheet(GROUP_SHEET).opening_key
    shown = {"receipt": receipt_hash(sealed), "manifest hash": manifest.hash(), "absent": bytes(range(32))}
    assert found(shown, world.folder) == {"receipt", "manifest hash"}
    database = world.folder / "aggregate.db"
    assert point.encode() in database.read_bytes() + database.with_name("aggregate.db-wal").read_bytes()


def test_database_and_keys_are_for_their_owner_only(world: World) -> None:
    flow = world.flow()
    world.opened(flow)
    for path in world.folder.rglob("*"):
        if path.name != "settings.json":
            assert path.stat().st_mode & 0o077 == 0, path.name


def test_the_receipt_list_does_not_tell_the_order_of_the_box(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow)
    flow.release(manifest.cycle)
    query = "SELECT lines FROM receipt_bucket WHERE sheet = :sheet"
    ((lines,),) = LENDER.query(world.folder, "aggregate", query, sheet=FLAG_SHEET)
    assert isinstance(lines, bytes)
    hashes = [envelope_hash for envelope_hash, _ in unpack(lines)]
    assert hashes == sorted(hashes)
    assert len(hashes) == len(CELLS[FLAG_SHEET])


def test_no_table_has_a_place_for_sheets(world: World) -> None:
    tables = set(inspect(world.parts().store._database.engine).get_table_names())
    assert tables - {"alembic_version"} == {
        *("cycle", "ledger_account", "ledger_line", "release", "receipt_bucket", "outbox", "audit")
    }


def test_a_withdrawn_sheet_is_not_opened(world: World) -> None:
    flow = world.flow()
    manifest = world.closed(flow, make_proposal())
    spec = manifest.sheet(GROUP_SHEET)
    # What is sealed in a withdrawal is no sheet at all: opening it would reject it.
    world.survey.boxes[manifest.cycle][GROUP_SHEET].append(
        Hand(manifest, spec).seal(b"\xff" * manifest.plaintext_length, kind=1)
    )
    world.survey.close(manifest.cycle)
    flow.release(manifest.cycle)
    totals = world.release(manifest.cycle).sheets[GROUP_SHEET]
    assert (totals.withdrawn, totals.rejected) == (1, {})
