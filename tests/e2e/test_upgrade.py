"""Upgrades of full databases that end in the middle: the old version whole, or the new one; never less.

100,000 sheets of an open cycle at survey, 100,000 lines of receipt lists at aggregate, on both databases.
"""

import asyncio
import hashlib
import random
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from services.aggregate.published import Published
from services.aggregate.store import Store
from services.folder import KINDS as SETTINGS
from services.kit.database import Database
from services.kit.settings import load_settings, save_settings
from services.protocol.messages import ReceiptState
from services.protocol.receipts import bucket_root, check_bucket, leaf, list_digits, prefixes
from services.protocol.release import Release
from services.rehearsal.cycleview import read
from services.rehearsal.phone import Line, Phone
from tests.e2e.old import LISTS, ROWS, SHEETS, Answered, answered, receipt_lists, released_cycles
from tests.e2e.upgrading import (
    Cut,
    Place,
    Seen,
    Specimen,
    fill,
    heavy_steps,
    steps_until,
)
from tests.postgres import running_server
from tests.stores import make_role, migrations, role

STATEMENTS, FROM_OUTSIDE = 8, 3
ROOT = Path(__file__).parents[2]
KINDS = ("survey", "heavy", "aggregate")


@pytest.fixture(scope="module")
def cycle(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """Return services with an open cycle, some hundred real sheets in it, and many made-up ones."""
    return answered(tmp_path_factory.mktemp("upgrade") / "stage")


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return where databases are made."""
    folder = tmp_path_factory.mktemp("databases")
    if request.param == "sqlite":
        yield Place(folder)
        return
    with running_server() as server:
        yield Place(folder, server)


@pytest.fixture(scope="module")
def specimens(place: Place, cycle: Answered) -> dict[str, Specimen]:
    """Return full databases of the first version, and for the heavy step one of the second."""
    survey, aggregate = place.empty(), place.empty()
    if place.server is not None:
        make_role(place.server, survey, "survey")
        make_role(place.server, aggregate, "aggregate")
    fill(survey, "survey", cycle.rows, place.folder)
    fill(aggregate, "aggregate", released_cycles(), place.folder)
    second = place.copy(survey)
    steps = steps_until("survey", "0002", place.folder)
    assert Specimen("survey", place, second, steps, rights=False).upgrade(second, Cut()).exitcode == 0
    return {
        "survey": Specimen("survey", place, survey, migrations("survey")),
        "heavy": Specimen("survey", place, second, heavy_steps(place.folder), rights=False),
        "aggregate": Specimen("aggregate", place, aggregate, migrations("aggregate")),
    }


def rows_are_those_of(seen: Seen, before: Seen) -> bool:
    """Return whether a database holds the same rows."""
    return (seen.counts, seen.digest) == (before.counts, before.digest)


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_that_ends_in_the_middle_leaves_one_version_whole(
    specimens: dict[str, Specimen], kind: str
) -> None:
    specimen = specimens[kind]
    url, before = specimen.place.copy(specimen.url), specimen.see(specimen.url)
    assert sum(before.counts.values()) > ROWS
    whole = specimen.upgrade(specimen.place.copy(specimen.url), Cut())
    assert whole.exitcode == 0
    steps = sorted({1 + number * (whole.statements - 1) // (STATEMENTS - 1) for number in range(STATEMENTS)})
    for cut in [*(Cut("statement", step) for step in steps), Cut("commit")]:
        assert specimen.upgrade(url, cut).killed, cut
        seen = specimen.see(url)
        assert seen.version == before.version, cut
        assert rows_are_those_of(seen, before), cut
    assert specimen.upgrade(url, Cut("committed")).killed
    assert specimen.see(url).version == specimen.newest
    assert specimen.upgrade(url, Cut()).exitcode == 0
    seen = specimen.see(url)
    assert seen.version == specimen.newest
    assert rows_are_those_of(seen, before)


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_that_is_killed_at_any_moment_can_be_repeated(
    specimens: dict[str, Specimen], kind: str
) -> None:
    specimen, seed = specimens[kind], secrets.randbits(32)
    print(f"seed {seed}")
    dice, before = random.Random(seed), specimen.see(specimen.url)
    takes = specimen.upgrade(specimen.place.copy(specimen.url), Cut()).seconds
    url = specimen.place.copy(specimen.url)
    for number in range(FROM_OUTSIDE):
        specimen.upgrade(url, Cut(), after_seconds=dice.random() * takes, with_server=number == 0)
        seen = specimen.see(url)
        assert seen.version in (before.version, specimen.newest)
        assert rows_are_those_of(seen, before)
    assert specimen.upgrade(url, Cut()).exitcode == 0
    seen = specimen.see(url)
    assert seen.version == specimen.newest
    assert rows_are_those_of(seen, before)


def test_receipt_lists_say_the_same_after_the_upgrade(specimens: dict[str, Specimen]) -> None:
    specimen = specimens["aggregate"]
    url = specimen.place.copy(specimen.url)
    assert specimen.upgrade(url, Cut("statement", 20)).killed
    assert specimen.upgrade(url, Cut()).exitcode == 0
    with closing(Database(url)) as database:
        published = Published(Store(database))
        for cycle in LISTS:
            release = Release.model_validate(published.release(cycle).document)
            for prefix in prefixes(list_digits([LISTS[cycle]])):
                check_lists(published, release, cycle, prefix)


def check_lists(published: Published, release: Release, cycle: str, prefix: str) -> None:
    """Check one bucket of every list: the lines that were there, leading to the root that was signed."""
    lists = published.receipts(cycle, prefix)
    for sheet in SHEETS:
        lines = [line for line in receipt_lists(cycle)[sheet] if line[0].hex().startswith(prefix)]
        expected = sorted(lines, key=lambda line: leaf(*line))
        assert list(lists.sheets[sheet]) == [(hashed.hex(), outcome) for hashed, outcome in expected]
        roots = [bytes.fromhex(text) for text in lists.bucket_roots[sheet]]
        check_bucket(
            expected,
            prefix=prefix,
            bucket_roots=roots,
            root=bytes.fromhex(release.sheets[sheet].receipts_root),
        )
        assert bucket_root(lines) in roots


def test_the_service_starts_on_what_was_upgraded_and_takes_a_sheet(
    specimens: dict[str, Specimen], place: Place, cycle: Answered
) -> None:
    specimen = specimens["survey"]
    url = place.copy(specimen.url)
    assert specimen.upgrade(url, Cut("commit")).killed
    cycle.use(as_service(url, specimen))
    if place.server is not None:
        # SQLite is upgraded by the service itself, a server's database by its owner.
        done = fairpatch(ROOT, "upgrade", "survey", "--dir", str(cycle.services.folder), "--owner", url)
        assert done.returncode == 0, done.stderr
    cycle.services.start()
    try:
        asyncio.run(look_and_answer(cycle))
    finally:
        cycle.services.stop()
    assert specimen.see(url).version == specimen.newest


async def look_and_answer(cycle: Answered) -> None:
    """Ask for every sheet that was acknowledged before the upgrade, and answer with a fresh link."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line = Line(client)
        for phone in cycle.phones:
            phone.line = line
            assert set((await phone.check_receipts()).values()) == {True}
        address = cycle.view.address(f"receipts/{cycle.made_up.hex()}")
        assert read(ReceiptState, await line.call("GET", address)).stored
        link, said = cycle.waiting.pop()
        fresh = Phone(line, cycle.view, link.code)
        await fresh.take_part(said)
        stored = await fresh.check_receipts()
        assert stored == dict.fromkeys(cycle.view.manifest.plan.sheets, True)


@pytest.mark.parametrize("kind", ["survey", "aggregate"])
def test_an_older_program_refuses_the_upgraded_database_and_leaves_it_alone(
    specimens: dict[str, Specimen], cycle: Answered, tmp_path: Path, kind: str
) -> None:
    specimen = specimens[kind]
    url, program = specimen.place.copy(specimen.url), older_program(tmp_path, specimen)
    assert specimen.upgrade(url, Cut()).exitcode == 0
    folder = shutil.copytree(cycle.services.folder / kind, tmp_path / "stage" / kind).parent
    settings = load_settings(SETTINGS[specimen.service], folder / kind)
    save_settings(settings.model_copy(update={"database": as_service(url, specimen)}))
    before = everything(specimen, url)
    done = fairpatch(program, "serve", kind, "--dir", str(folder))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"is at version {specimen.newest}, which this program does not know. " in done.stderr
    assert done.stderr.endswith(" Nothing was changed.\n")
    assert everything(specimen, url) == before


def older_program(folder: Path, specimen: Specimen) -> Path:
    """Return a copy of the program that does not know a service's newest step."""
    for package in ("services", "web"):
        shutil.copytree(
            ROOT / package, folder / "program" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    steps = folder / "program" / "services" / specimen.service / "migrations"
    (newest_file,) = steps.glob(f"{specimen.newest}_*.py")
    newest_file.unlink()
    return folder / "program"


def fairpatch(program: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of a program."""
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, cwd=program, capture_output=True, text=True, timeout=120, check=False)


def as_service(url: str, specimen: Specimen) -> str:
    """Return a database's URL as the service uses it."""
    return url.replace("//postgres@", f"//{role(specimen.service)}@")


def everything(specimen: Specimen, url: str) -> object:
    """Return what must not change: the bytes of a file; of a server's database its rows and its tables."""
    if specimen.place.server is None:
        path = Path(url.removeprefix("sqlite:///"))
        return hashlib.sha256(path.read_bytes()).hexdigest(), sorted(path.parent.glob(f"{path.name}*"))
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    )
    return specimen.see(url), specimen.place.server.execute(columns, url)
