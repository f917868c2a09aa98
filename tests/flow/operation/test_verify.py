"""``verify``: silent about what is well, and a sentence for each thing that was broken by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from services.kit.database import Database
from services.kit.keys import new_identity
from services.operation.checks import MOST_TOLD, Check, check
from services.operation.verify import WHOLE, Verification, verify_backups, verify_installation
from services.protocol.problems import Problem
from tests.flow.operation.ledgers import Ledger
from tests.stores import LENDER

Wrong = dict[str, tuple[str, ...]]


def found(ledger: Ledger) -> Wrong:
    """Return what is wrong with aggregate, by what should hold."""
    wrong: Wrong = {}

    def tell(_about: str, each: Check) -> None:
        if each.wrong:
            wrong[each.holds] = each.wrong

    verified = Verification(tell)
    verify_installation(ledger.folder, ["aggregate"], verified, deep=True)
    assert verified.well == (wrong == {})
    return wrong


def change(ledger: Ledger, *statements: str) -> None:
    """Change rows behind the program's back, with no rule in the way."""
    database = Database(LENDER.owner_url(ledger.world.folder, "aggregate"))
    rules = (
        "PRAGMA ignore_check_constraints=ON" if database.is_sqlite else "SET session_replication_role=replica"
    )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(rules)
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            triggers = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            for name in triggers.scalars().all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def test_a_sound_installation_passes_every_check(ledger: Ledger) -> None:
    assert found(ledger) == {}


SPENT = "every account is the sum of its lines"
SUMS = "every line was reserved once and then committed or given back, at most once"
STATES = "what became of each cycle's budget fits the cycle"
SIGNED = "every release has its hash and aggregate's signature"
LINKED = "every company's releases are one unbroken chain"
RECEIPTS = "the receipt lists are those of the releases"
DAMAGE: dict[str, tuple[str, set[str]]] = {
    "budget taken back": ("UPDATE ledger_account SET committed_micro = 0 WHERE account = 'answers'", {SPENT}),
    "a line removed": (
        "DELETE FROM ledger_line WHERE event = 'committed' AND account = 'answers'",
        {SPENT, STATES},
    ),
    "a line made smaller": ("UPDATE ledger_line SET micro = 1 WHERE event = 'committed'", {SPENT, SUMS}),
    "a cycle opened again": ("UPDATE cycle SET state = 'open' WHERE state = 'released'", {STATES}),
    "a cycle given up": ("UPDATE cycle SET state = 'void' WHERE state = 'open'", {STATES}),
    "a release changed": (
        """UPDATE release SET document = replace(document, '"state":"shown"', '"state":"held"')""",
        {SIGNED},
    ),
    "a signature changed": (
        'UPDATE release SET document = replace(document, \'"aggregate":"\', \'"aggregate":"AA\')',
        {SIGNED},
    ),
    "another hash": (f"UPDATE release SET hash = '{'f' * 64}'", {SIGNED}),
    "another place": ("UPDATE release SET sequence = 2", {LINKED}),
    "a receipt lost": (
        "DELETE FROM receipt_bucket WHERE sheet = (SELECT min(sheet) FROM receipt_bucket)",
        {RECEIPTS},
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told(ledger: Ledger, name: str) -> None:
    statement, expected = DAMAGE[name]
    change(ledger, statement)
    wrong = found(ledger)
    # Some damage breaks a rule of the database, or leaves keys where none should be, as well.
    beside = {"open cycles have their opening keys, all others have none", WHOLE}
    assert set(wrong) - beside == expected
    assert all(sentence.endswith((".", "?")) for told in wrong.values() for sentence in told)


def test_an_account_above_its_cap_is_told(ledger: Ledger) -> None:
    if LENDER.kind == "postgresql":
        change(ledger, "ALTER TABLE ledger_account DROP CONSTRAINT epsilon_cap")
    change(ledger, "UPDATE ledger_account SET committed_micro = cap_micro + 1 WHERE account = 'answers'")
    wrong = found(ledger)
    if LENDER.kind == "postgresql":
        change(ledger, "UPDATE ledger_account SET committed_micro = 0", RULE)
    assert "ledger_account: the rule epsilon_cap is broken." in wrong[WHOLE][-1]
    assert (
        "The account 'answers' of 2026 is above its cap (micro)." in wrong["no account is above its cap"][0]
    )


RULE = (
    "ALTER TABLE ledger_account ADD CONSTRAINT epsilon_cap "
    "CHECK (reserved_micro + committed_micro <= cap_micro)"
)


def test_a_row_that_leads_nowhere_is_told(ledger: Ledger) -> None:
    change(ledger, "UPDATE outbox SET release = 'nowhere'")
    assert "rule" in found(ledger)[WHOLE][-1]


def test_lost_keys_are_told(ledger: Ledger) -> None:
    for path in ledger.world.key_files():
        path.unlink()
    (told,) = found(ledger).values()
    assert told == ("Opening keys of cycle open-2026 are lost. It can only be made void (fairpatch void).",)


def test_keys_and_settings_that_others_can_read_are_told(ledger: Ledger) -> None:
    settings = ledger.world.settings
    for path in (ledger.world.key_files()[0], settings.identity_file, settings.folder / "settings.json"):
        path.chmod(0o640)
    said = [sentence for told in found(ledger).values() for sentence in told]
    assert len(said) == 3
    assert all("not for its owner only" in each or "not for their owner only" in each for each in said)


def test_keys_that_should_be_gone_are_told(ledger: Ledger) -> None:
    for cycle in ("spring-2026", "unknown-2026"):
        folder = ledger.world.settings.keys_folder / cycle
        folder.mkdir()
        (folder / "a.key").write_bytes(bytes(32))
    (told,) = found(ledger).values()
    assert "Cycle spring-2026 is released and still has opening keys." in told[0]
    assert "opening keys of cycle unknown-2026, which this database doesn't know" in told[1]


def test_another_identity_is_told(ledger: Ledger) -> None:
    ledger.world.settings.identity_file.unlink()
    new_identity(ledger.world.settings.identity_file)
    assert "Is this the right key" in found(ledger)[SIGNED][0]


@pytest.mark.parametrize("break_it", [lambda inside: (inside / "rows.db").unlink(), lambda inside: None])
def test_a_backup_is_checked_as_well(ledger: Ledger, break_it: Callable[[Path], None]) -> None:
    backup = ledger.back_up("one")
    break_it(backup / "aggregate")
    whole = (backup / "aggregate" / "rows.db").exists()
    before = {path: path.stat().st_mtime_ns for path in backup.rglob("*")}
    verified = Verification(lambda about, each: None)
    verify_backups(backup, verified, deep=True)
    assert verified.well == whole
    assert {path: path.stat().st_mtime_ns for path in backup.rglob("*")} == before


def test_no_backup_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds no backup"):
        verify_backups(tmp_path, Verification(lambda about, each: None), deep=False)


def test_of_many_faults_a_few_are_told() -> None:
    many = check("all is well", [f"Fault {number}." for number in range(20)])
    assert many.wrong == (*(f"Fault {number}." for number in range(MOST_TOLD)), "And 15 more of this kind.")
    assert check("all is well", []).wrong == ()
