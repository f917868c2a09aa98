"""``purge``: nothing of people is left, in no table and in no byte of the database's files and logs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.kit.clock import Clock
from services.operation import purge as purging
from services.operation.purge import BACKUPS, purge
from services.protocol.manifest import Manifest
from services.protocol.problems import Problem
from services.survey.core.retention import RETENTION_DAYS
from tests.flow.operation.surveys import Survey, running_survey
from tests.flow.survey.phones import Hand, hand_of
from tests.flow.survey.ring import NOW
from tests.stores import LENDER

LONG_AFTER = NOW + timedelta(days=9 + RETENTION_DAYS + 1)


@pytest.fixture(scope="module")
def survey(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    """Survey, running."""
    with running_survey(tmp_path_factory.mktemp("purge")) as survey:
        yield survey


def answered(survey: Survey) -> tuple[Hand, bytes]:
    """Return a rep of an open cycle who sent one sheet, and that sheet."""
    cycle, codes = survey.opened()
    hand = hand_of(survey.ring, cycle, codes[0])
    data = hand.seal(hand.manifest.plan.sheets[0]).encode()
    assert hand.post(data) == (201, "")
    return hand, data


def released(survey: Survey, cycle: str) -> None:
    """Take a cycle to its release."""
    survey.close(cycle)
    survey.ring.client.app.state.store.mark_released(cycle)  # type: ignore[attr-defined]


def erase(survey: Survey, cycle: str | None, clock: Clock = lambda: NOW) -> list[str]:
    """Purge a cycle, or all that are due."""
    return purge(survey.folder, cycle, owner=survey.owner, clock=clock)


def files(survey: Survey) -> list[Path]:
    """Return every file in which the database may have left something."""
    folder = survey.ring.folder if LENDER.kind == "sqlite" else LENDER.server.data
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"]


def holding(survey: Survey, needle: bytes) -> list[Path]:
    """Return the files with these bytes."""
    found = []
    for path in files(survey):
        try:
            if needle in path.read_bytes():
                found.append(path)
        except FileNotFoundError:
            # The server removes files of its own.
            continue
    return found


def secret_of(survey: Survey, cycle: str) -> bytes:
    """Return one value secret of a cycle."""
    rows = survey.ring.query("SELECT secret FROM secret WHERE cycle = :cycle", cycle=cycle)
    return bytes(rows[0][0])  # type: ignore[arg-type]


def test_no_byte_of_people_is_left(survey: Survey) -> None:
    hand, data = answered(survey)
    cycle = hand.cycle
    if LENDER.kind == "postgresql":
        # The server's planner would keep samples of what it finds in columns.
        LENDER.server.execute("ANALYZE", survey.owner)
    canaries = {
        "address": survey.mark.encode(),
        "sheet": data[80:300],
        "secret": secret_of(survey, cycle),
    }
    released(survey, cycle)
    assert {name for name, needle in canaries.items() if holding(survey, needle)} == set(canaries)
    said = erase(survey, cycle)
    assert said == [f"Cycle {cycle} is erased.", BACKUPS]
    assert {name: holding(survey, needle) for name, needle in canaries.items()} == {
        name: [] for name in canaries
    }
    for table in ("member", "secret", "box", "issuance"):
        count = survey.ring.query(f"SELECT count(*) FROM {table} WHERE cycle = :cycle", cycle=cycle)
        assert count == [(0,)], table
    assert not (survey.ring.folder / "issuer-keys" / cycle).exists()


def test_what_pages_need_stays(survey: Survey) -> None:
    hand, _ = answered(survey)
    released(survey, hand.cycle)
    erase(survey, hand.cycle)
    client = survey.ring.client
    shown = client.get(f"/hr/cycles/{hand.cycle}", headers=survey.ring.hr).json()
    assert shown["state"] == "erased"
    assert set(shown["live"].values()) == {None}
    manifest = client.get(f"/api/cycles/{hand.cycle}/manifest").json()["document"]
    assert Manifest.model_validate(manifest) == hand.manifest
    draft = str(survey.ring.query("SELECT draft FROM cycle WHERE id = :cycle", cycle=hand.cycle)[0][0])
    assert '"title":"Spring"' in draft
    assert '"indicators":[]' in draft
    assert '"frame":0' in draft
    assert client.get(f"/s/{hand.cycle}").status_code == 200


def test_it_is_noted_and_can_be_repeated(survey: Survey) -> None:
    hand, _ = answered(survey)
    released(survey, hand.cycle)
    erase(survey, hand.cycle)
    noted = survey.audit()
    assert noted[-1] == (NOW.date().isoformat(), "erased", hand.cycle, "It was released.")
    assert erase(survey, hand.cycle)[0] == f"Cycle {hand.cycle} was erased before."
    assert survey.audit() == noted


@pytest.mark.parametrize("state", ["draft", "open", "closed"])
def test_a_cycle_that_is_not_over_is_refused(survey: Survey, state: str) -> None:
    cycle = survey.ring.draft().json()["cycle"] if state == "draft" else survey.opened()[0]
    if state == "closed":
        survey.close(cycle)
    with pytest.raises(Problem, match=f"A {state} cycle doesn't allow 'erase'"):
        erase(survey, cycle)
    assert survey.ring.query("SELECT count(*) FROM member WHERE cycle = :cycle", cycle=cycle) == [(80,)]


def test_an_unknown_cycle_is_a_sentence(survey: Survey) -> None:
    with pytest.raises(Problem, match="knows no cycle"):
        erase(survey, "0123456789abcdef")


def test_due_cycles_go_and_overdue_ones_are_named(store_kind: str, tmp_path: Path) -> None:
    with running_survey(tmp_path) as survey:
        over, open_still = survey.opened()[0], survey.opened()[0]
        released(survey, over)
        assert erase(survey, None) == ["No cycle is due."]
        said = erase(survey, None, lambda: LONG_AFTER)
        assert said == [
            f"Cycle {open_still} is kept longer than promised: release it, or make it void.",
            f"Cycle {over} is erased.",
            BACKUPS,
        ]
        assert (survey.state(over), survey.state(open_still)) == ("erased", "open")


def test_the_owner_is_needed_where_tables_have_one(survey: Survey) -> None:
    if LENDER.kind == "sqlite":
        with pytest.raises(Problem, match="leave --owner out"):
            purge(survey.folder, None, owner="postgresql+psycopg://o@h/d", clock=lambda: NOW)
    else:
        with pytest.raises(Problem, match="belong to another role"):
            purge(survey.folder, None, clock=lambda: NOW)


def test_the_database_keeps_no_samples_of_people_or_sheets(survey: Survey) -> None:
    answered(survey)
    if LENDER.kind == "sqlite":
        assert survey.ring.query("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'") == []
        return
    # What autovacuum does by itself: samples would outlive their rows, and no purge would reach them.
    LENDER.server.execute("ANALYZE", survey.owner)
    kept = LENDER.server.execute(
        "SELECT tablename, attname FROM pg_stats WHERE schemaname = 'public'", survey.owner
    )
    assert {("member", "cycle"), ("box", "sheet")} <= set(kept)
    assert {column for table, column in kept if table in ("member", "secret", "issuance", "box")} == {
        "cycle",
        "sheet",
    }


def test_a_purge_that_breaks_off_is_taken_up_again(
    store_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_survey(tmp_path) as survey:
        cycle = survey.opened()[0]
        released(survey, cycle)

        def breaks_off(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(purging, "_free", breaks_off)
            with pytest.raises(ZeroDivisionError):
                erase(survey, None, lambda: LONG_AFTER)
        assert (survey.state(cycle), survey.audit()) == ("released", [])
        assert erase(survey, None, lambda: LONG_AFTER) == [f"Cycle {cycle} is erased.", BACKUPS]
        assert holding(survey, survey.mark.encode()) == []
