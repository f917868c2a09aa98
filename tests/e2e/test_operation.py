"""Backup under load and restore on an empty host, with real processes and uploads going on meanwhile."""

import asyncio
from collections.abc import Iterator

import pytest

from services.folder import SERVICES
from services.kit.clock import system_clock
from services.operation.checks import Check
from services.operation.restore import Restoring, restore
from services.operation.verify import Verification, verify_backups, verify_installation
from services.protocol.problems import Problem
from services.protocol.release import Release
from services.rehearsal.phone import Declined, Phone
from tests.e2e.books import box
from tests.e2e.operating import (
    ACTIVE,
    REPS,
    SOME_SHEETS,
    Drill,
    Moved,
    close_and_release,
    drilled,
    fairpatch,
    noting,
    released,
    rows_of,
)
from tests.e2e.played import get
from tests.e2e.soak import STORES
from tests.e2e.working import again


def today() -> str:
    """Return the day as labels have it."""
    return system_clock().date().isoformat()


NO_MORE = ("cycle-state", 409)


@pytest.fixture(scope="module", params=STORES)
def drill(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """A backup that was made under load, restored on an empty host."""
    with drilled(tmp_path_factory.mktemp("operation") / "drill", request.param) as drill:
        yield drill


@pytest.fixture(scope="module")
def moved(drill: Drill) -> Iterator[Moved]:
    """The restored services, running."""
    moved = Moved(drill.new)
    try:
        moved.start()
        yield moved
    finally:
        moved.stop()


@pytest.fixture(scope="module")
def second(drill: Drill, moved: Moved) -> Release:
    """The release of the cycle that was open when the backup was made, after phones went on with it."""

    async def go_on() -> list[tuple[str, int]]:
        async with noting(drill.cycle.journal) as line:
            refused = []
            for link in drill.cycle.links[ACTIVE:]:
                drill.cycle.journal.closing = True
                late = Phone(line, drill.cycle.journal.opened, link.code)
                await late.session()
                late.answer(drill.cycle.said[link.employee_id])
                try:
                    await late.take_tokens()
                except Declined as declined:
                    refused.append((declined.kind, declined.status))
            for phone in drill.cycle.phones:
                phone.line = line
                await again(phone.send)
            return refused

    refused = asyncio.run(go_on())
    assert refused == [NO_MORE] * (REPS - ACTIVE)
    return close_and_release(moved, drill.cycle)


def test_every_command_went_well(drill: Drill) -> None:
    assert drill.backed_up.code == 0, drill.backed_up
    assert f"The backup is whole: {drill.full}" in drill.backed_up.out
    for service, done in drill.restored.items():
        assert (done.code, done.err) == (0, ""), done
        assert f"{service} is restored." in done.out
    assert drill.cycle.id in drill.restored["survey"].out
    assert f"Opening keys are on this host for: {drill.cycle.id}" in drill.restored["aggregate"].out


def test_the_backup_and_what_was_restored_of_it_pass_every_check(drill: Drill) -> None:
    told = list[tuple[str, str]]()
    for verified in (
        lambda found: verify_backups(drill.full, found, deep=True),
        lambda found: verify_installation(drill.new, SERVICES, found, deep=True),
    ):
        found = Verification(lambda about, check: told.append((about, check.holds)))
        verified(found)
        assert found.well, told
    for about, words in (
        ("aggregate", "every account is the sum of its lines"),
        ("survey", "every sheet in the box is whole, under its own token, and signed"),
        ("report", "every company's releases are one unbroken chain"),
    ):
        assert told.count((about, words)) == 2
    assert told[-1] == ("aggregate and report", "report's chains are aggregate's")


def test_an_older_backup_is_refused_without_the_newest_chain_head(drill: Drill) -> None:
    empty = drill.new.with_name("never")
    asked = ("restore", "aggregate", "--from", drill.early, "--dir", empty)
    older = fairpatch(*asked, "--chain-head", drill.head)
    assert (older.code, older.out) == (1, "")
    assert older.err == (
        f"This backup of aggregate (made on {today()}) does not hold the release {drill.head}: it is older. "
        "Use a newer backup: an older one would forget budget that is spent.\n"
    )
    without = Restoring("aggregate", drill.early, empty)
    with pytest.raises(Problem, match="Restoring aggregate needs --chain-head once for each company"):
        restore(without, clock=system_clock, say=lambda words: None)
    assert not empty.exists()


def test_counts_ledger_and_chain_are_equal(drill: Drill) -> None:
    found = rows_of(Moved(drill.new))
    assert {name: len(rows) for name, rows in found.items()} == {
        name: len(rows) for name, rows in drill.rows.items()
    }
    assert found == drill.rows


def test_every_sheet_acknowledged_before_the_backup_is_there_once(drill: Drill) -> None:
    rows = box(Moved(drill.new))[drill.cycle.id]
    journal = drill.cycle.journal
    assert len(drill.acknowledged) >= SOME_SHEETS
    assert journal.lost(rows, drill.acknowledged) == 0
    assert journal.strange(rows) == 0


def test_who_took_passes_is_in_no_backup(drill: Drill) -> None:
    assert Moved(drill.new).query("survey", "SELECT * FROM issuance") == []
    names = sorted(path.name for path in (drill.full / "survey").iterdir())
    assert names == ["backup.json", "hr.key", "identity.key", "rows.db", "settings.json"]
    assert {path.stat().st_mode & 0o077 for path in drill.full.rglob("*")} == {0}


def test_phones_saw_nothing_of_the_backup(drill: Drill) -> None:
    assert drill.cycle.journal.faults == []


def test_the_earlier_release_is_what_it_was(drill: Drill, moved: Moved) -> None:
    assert get(f"{moved.url('aggregate')}/api/releases/{drill.release.cycle}").is_success
    assert get(f"{moved.url('report')}/reports/{drill.release.cycle}/release.json").is_success


def test_a_restored_cycle_gives_out_no_passes_and_takes_sheets(drill: Drill, second: Release) -> None:
    for totals in second.sheets.values():
        assert (totals.counted, totals.issued) == (ACTIVE, REPS)
    assert second.frame.restored
    assert second.previous == drill.head
    assert released(drill.cycle) == second


def test_readers_are_told(moved: Moved, second: Release) -> None:
    page = get(f"{moved.url('report')}/reports/{second.cycle}/method").text
    assert "restored from a backup" in page
    assert f"at most {REPS}" in page


def test_the_restored_installation_passes_every_check_afterwards(moved: Moved, second: Release) -> None:
    told = list[Check]()
    found = Verification(lambda _about, check: told.append(check))
    verify_installation(moved.folder, SERVICES, found, deep=True)
    assert found.well, told
