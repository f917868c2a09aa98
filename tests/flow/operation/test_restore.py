"""Backups and restores: whole or not at all, onto empty hosts only, and never an older ledger."""

import json
import shutil
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from services.aggregate.settings import AggregateSettings
from services.kit.archive import Counts
from services.kit.database import Database
from services.kit.keys import load_identity, new_identity
from services.kit.migrations import BASELINE, _config
from services.kit.settings import load_settings, save_settings
from services.operation import backup as backups
from services.operation import restore as restores
from services.operation.label import LABEL, ROWS, digest_of, read_label, write_label
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import COMPANY, make_proposal
from tests.flow.aggregate.world import World
from tests.flow.operation.ledgers import TODAY, Ledger
from tests.stores import LENDER, migrations

TABLES = ("cycle", "ledger_account", "ledger_line", "release", "receipt_bucket", "outbox")


def rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what an operator finds in aggregate's database, but for the audit."""
    return {
        table: sorted(LENDER.query(folder, "aggregate", f"SELECT * FROM {table}"), key=repr)
        for table in TABLES
    }


def refusal(ledger: Ledger, backup: Path, to: Path, *heads: str, **options: bool) -> Problem:
    """Return why a restore is refused, after checking that it left nothing."""
    with pytest.raises(Problem) as refused:
        ledger.restore(backup, to, *heads, **options)
    assert not to.exists() or list(to.rglob("*")) == []
    return refused.value


def relabel(backup: Path, **changes: object) -> None:
    """Change the label of a backup and sign it again, as whoever has the backup could."""
    label, _ = read_label(backup, "aggregate")
    identity = load_identity(backup / "identity.key")
    (backup / LABEL).unlink()
    write_label(backup, label.model_copy(update=changes), identity)


def test_what_is_restored_is_what_was_backed_up(ledger: Ledger, tmp_path: Path) -> None:
    backup, before = ledger.back_up("one"), rows(ledger.world.folder)
    new = tmp_path / "new"
    ledger.restore(backup, new, ledger.head)
    assert rows(new / "aggregate") == before
    assert (
        new / "aggregate" / "identity.key"
    ).read_bytes() == ledger.world.settings.identity_file.read_bytes()
    settings = load_settings(AggregateSettings, new / "aggregate")
    assert settings.peers == ledger.world.settings.peers
    modes = {path.stat().st_mode & 0o077 for path in new.rglob("*")}
    assert modes == {0}
    audit = LENDER.query(new / "aggregate", "aggregate", "SELECT day, action, cycle, reason FROM audit")
    assert audit == [(TODAY, "restored", None, f"From the backup of {TODAY}.")]


def test_a_label_names_all_that_is_in_it_and_no_key_that_opens_anything(ledger: Ledger) -> None:
    inside = ledger.back_up("one") / "aggregate"
    label, _ = read_label(inside, "aggregate")
    assert sorted(path.name for path in inside.iterdir()) == [LABEL, "identity.key", ROWS, "settings.json"]
    assert set(label.files) == {"identity.key", ROWS, "settings.json"}
    assert (label.service, label.created) == ("aggregate", TODAY)
    assert label.rows["cycle"] == 2
    assert [(chain.company, chain.head, chain.length) for chain in label.chains] == [
        (COMPANY, ledger.head, 1)
    ]
    opening = [path.read_bytes() for path in ledger.world.key_files()]
    assert len(opening) == 2
    whole = b"".join(path.read_bytes() for path in inside.iterdir())
    assert not any(key in whole or key.hex().encode() in whole for key in opening)


def test_a_restored_ledger_goes_on_where_it_was(ledger: Ledger, tmp_path: Path) -> None:
    backup, new = ledger.back_up("one"), tmp_path / "new"
    ledger.restore(backup, new, ledger.head)
    database = Database(LENDER.url(new / "aggregate", "aggregate"))
    world = World(tmp_path / "other" / "aggregate")
    world.report = ledger.world.report
    parts = world.parts()
    parts.store = type(parts.store)(database)
    flow = world.flow(parts)
    flow.compare_chains()
    flow.propose(make_proposal("next-2026"))
    lines = LENDER.query(
        new / "aggregate", "aggregate", "SELECT count(*), count(DISTINCT id) FROM ledger_line"
    )
    assert lines[0][0] == lines[0][1]
    database.close()
    world.stop()


@pytest.mark.parametrize("heads", [(), ("none",), ("{head}", "none"), ("{head}", "{head}"), ("f" * 64,)])
def test_the_newest_head_of_every_company_is_needed(
    ledger: Ledger, tmp_path: Path, heads: tuple[str, ...]
) -> None:
    backup = ledger.back_up("one")
    given = [head.format(head=ledger.head) for head in heads]
    refused = refusal(ledger, backup, tmp_path / "new", *given)
    assert refused.kind == ("conflict" if heads else "input")
    assert (
        "does not hold" if heads == ("f" * 64,) else f"the newest release of '{COMPANY}'"
    ) in refused.detail
    # It has to come from outside: a refusal must not hand it over.
    assert ledger.head not in refused.detail


def test_an_older_backup_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("older")
    flow = ledger.world.flow()
    flow.release(ledger.world.closed(flow, make_proposal("summer-2026")).cycle)
    refused = refusal(ledger, backup, tmp_path / "new", ledger.head)
    assert refused.kind == "conflict"
    assert refused.detail == (
        f"This backup of aggregate (made on {TODAY}) does not hold the release {ledger.head}: it is older. "
        "Use a newer backup: an older one would forget budget that is spent."
    )


def test_an_older_head_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    older = ledger.head
    flow = ledger.world.flow()
    flow.release(ledger.world.closed(flow, make_proposal("summer-2026")).cycle)
    refused = refusal(ledger, ledger.back_up("newer"), tmp_path / "new", older)
    assert "is not the newest in this backup" in refused.detail
    assert ledger.head not in refused.detail


def test_a_company_without_a_release_wants_to_be_named(ledger: Ledger, tmp_path: Path) -> None:
    flow = ledger.world.flow()
    ledger.world.opened(flow, make_proposal("other-2026", company="Other company"))
    backup = ledger.back_up("one")
    refused = refusal(ledger, backup, tmp_path / "new", ledger.head)
    assert "Say --chain-head none for 'Other company'" in refused.detail
    ledger.restore(backup, tmp_path / "new", "none", ledger.head.upper())


def test_a_backup_from_before_the_first_cycle_wants_it_said(tmp_path: Path) -> None:
    world = World(tmp_path / "old" / "aggregate")
    save_settings(world.settings)
    world.parts()
    ledger = Ledger(world, tmp_path / "backups")
    backup = ledger.back_up("empty")
    assert "knows no company" in refusal(ledger, backup, tmp_path / "new").detail
    assert "does not hold" in refusal(ledger, backup, tmp_path / "new", "f" * 64).detail
    ledger.restore(backup, tmp_path / "new", "none")
    world.stop()


def test_only_reports_may_be_behind(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("one")
    assert "for report only" in refusal(ledger, backup, tmp_path / "new", ledger.head, behind=True).detail


def test_open_cycles_are_told_with_their_keys(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("one")
    lost = ledger.restore(backup, tmp_path / "lost", ledger.head)
    assert "These cycles can only be made void" in lost[-1]
    assert "open-2026" in lost[-1]
    kept = tmp_path / "kept"
    shutil.copytree(ledger.world.settings.keys_folder, kept / "aggregate" / "opening-keys")
    before = {path.name: path.read_bytes() for path in (kept / "aggregate").rglob("*.key")}
    said = ledger.restore(backup, kept, ledger.head)
    assert "Opening keys are on this host for: open-2026." in said[-1]
    assert {
        path.name: path.read_bytes() for path in (kept / "aggregate" / "opening-keys").rglob("*.key")
    } == before


@pytest.mark.parametrize("name", [ROWS, "identity.key", "settings.json"])
def test_a_file_that_was_changed_is_refused(ledger: Ledger, tmp_path: Path, name: str) -> None:
    backup = ledger.back_up("one")
    damaged = bytearray((backup / "aggregate" / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (backup / "aggregate" / name).write_bytes(damaged)
    refused = refusal(ledger, backup, tmp_path / "new", ledger.head)
    assert f"{name} in" in refused.detail
    assert "was changed after the backup" in refused.detail


def test_a_label_that_was_changed_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    inside = ledger.back_up("one") / "aggregate"
    document = json.loads((inside / LABEL).read_text())
    document["document"]["created"] = "2020-01-01"
    (inside / LABEL).write_text(json.dumps(document))
    assert (
        "not signed by the identity" in refusal(ledger, inside.parent, tmp_path / "new", ledger.head).detail
    )


def test_a_label_that_leads_out_of_its_folder_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    inside = ledger.back_up("one") / "aggregate"
    label, _ = read_label(inside, "aggregate")
    relabel(inside, files={**label.files, "../../secret": "0" * 64})
    assert "outside its folder" in refusal(ledger, inside.parent, tmp_path / "new", ledger.head).detail


def test_rows_that_are_not_as_many_as_the_label_says_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    inside = ledger.back_up("one") / "aggregate"
    label, _ = read_label(inside, "aggregate")
    relabel(inside, rows={**label.rows, "cycle": 3})
    assert "not as many" in refusal(ledger, inside.parent, tmp_path / "new", ledger.head).detail


def test_the_backup_of_another_service_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("one")
    (backup / "aggregate").rename(backup / "report")
    with pytest.raises(Problem, match="of aggregate, not of report"):
        ledger.restore(backup, tmp_path / "new", ledger.head, service="report")
    with pytest.raises(Problem, match="Is this the folder of a backup"):
        ledger.restore(tmp_path / "nowhere", tmp_path / "new", ledger.head)


def test_a_newer_version_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    inside = ledger.back_up("one") / "aggregate"
    copy = Database(f"sqlite:///{inside / ROWS}")
    with copy.transaction() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    copy.close()
    label, _ = read_label(inside, "aggregate")
    files = {**label.files, ROWS: digest_of(inside / ROWS)}
    relabel(inside, version="9999", files=files)
    assert (
        "which this program doesn't know"
        in refusal(ledger, inside.parent, tmp_path / "new", ledger.head).detail
    )


def test_a_host_that_has_a_database_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    backup, new = ledger.back_up("one"), tmp_path / "new"
    ledger.restore(backup, new, ledger.head)
    before = rows(new / "aggregate")
    with pytest.raises(Problem, match="holds something already"):
        ledger.restore(backup, new, ledger.head)
    assert rows(new / "aggregate") == before


def test_another_installation_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    backup, new = ledger.back_up("one"), tmp_path / "new"
    other = new_identity(new / "aggregate" / "identity.key")
    with pytest.raises(Problem, match="Choose an empty folder"):
        ledger.restore(backup, new, ledger.head)
    assert load_identity(new / "aggregate" / "identity.key").public == other.public


def test_settings_of_the_host_stay(ledger: Ledger, tmp_path: Path) -> None:
    backup, new = ledger.back_up("one"), tmp_path / "new"
    moved = ledger.world.settings.model_copy(update={"folder": new / "aggregate", "port": 4711})
    (new / "aggregate").mkdir(parents=True)
    save_settings(moved)
    ledger.restore(backup, new, ledger.head)
    assert load_settings(AggregateSettings, new / "aggregate").port == 4711


def test_a_restore_that_breaks_off_leaves_nothing_and_can_be_repeated(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, new, before = ledger.back_up("one"), tmp_path / "new", rows(ledger.world.folder)

    def breaks_off(*_: object, **__: object) -> list[str]:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(restores, "mark", breaks_off)
        with pytest.raises(ZeroDivisionError):
            ledger.restore(backup, new, ledger.head)
    assert not (new / "aggregate").exists()
    ledger.restore(backup, new, ledger.head)
    assert rows(new / "aggregate") == before


def test_a_backup_that_breaks_off_leaves_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(*_: object) -> Counts:
        raise ZeroDivisionError

    monkeypatch.setattr(backups, "write_archive", breaks_off)
    with pytest.raises(ZeroDivisionError):
        ledger.back_up("one")
    assert list(ledger.backups.iterdir()) == []


def test_a_name_that_is_taken_is_refused(ledger: Ledger) -> None:
    kept = ledger.back_up("one")
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    with pytest.raises(Problem, match="needs a new name"):
        ledger.back_up("one")
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before


def test_passwords_are_refused_on_the_command_line(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("one")
    for options in (
        ("postgresql+psycopg://a:b@h/d", ""),
        ("postgresql+psycopg://a@h/d", "postgresql://o:p@h/d"),
    ):
        asked = restores.Restoring("aggregate", backup, tmp_path / "new", (ledger.head,), False, *options)
        with pytest.raises(Problem, match="holds a password"):
            restores.restore(asked, clock=ledger.world.clock, say=lambda words: None)
    assert not (tmp_path / "new").exists()


def test_an_older_version_is_upgraded_on_the_way(ledger: Ledger, tmp_path: Path) -> None:
    inside = ledger.back_up("one") / "aggregate"
    (inside / ROWS).unlink()
    old = Database(f"sqlite:///{inside / ROWS}")
    with old.engine.begin() as connection:
        command.upgrade(_config(migrations("aggregate"), connection), BASELINE)
        proposal = make_proposal("first-2026")
        values = {"company": proposal.company, "proposal": proposal.model_dump_json()}
        connection.execute(
            text(
                "INSERT INTO cycle VALUES ('first-2026', :company, 'open', :proposal, '{}', NULL, NULL, NULL)"
            ),
            values,
        )
    old.close()
    label, _ = read_label(inside, "aggregate")
    files = {**label.files, ROWS: digest_of(inside / ROWS)}
    relabel(inside, version=BASELINE, files=files, rows={"cycle": 1, "receipt_list": 0}, chains=())
    before = (inside / ROWS).read_bytes()
    ledger.restore(inside.parent, tmp_path / "new", "none")
    found = LENDER.query(tmp_path / "new" / "aggregate", "aggregate", "SELECT id, state FROM cycle")
    assert found == [("first-2026", "open")]
    assert (inside / ROWS).read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_a_sentence(ledger: Ledger, tmp_path: Path) -> None:
    backup = ledger.back_up("one")
    (tmp_path / "new").write_text("A file, not a folder.")
    with pytest.raises(Problem, match="can't be restored to"):
        ledger.restore(backup, tmp_path / "new", ledger.head)
