"""``verify`` at survey: sheets that were touched, counts that don't fit, keys that are lost."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from services.kit.database import Database
from services.operation.verify import Verification, verify_installation
from tests.flow.operation.surveys import Survey, running_survey
from tests.flow.survey.phones import hand_of
from tests.stores import LENDER

WHOLE = "every sheet in the box is whole, under its own token"
SIGNED = f"{WHOLE}, and signed"
SIGNATURE_AT = 7 + 354 + 65 + 10


@dataclass
class Filled:
    """Survey with one sheet in an open cycle and one in a closed cycle."""

    survey: Survey
    open: str
    closed: str

    def change(self, statement: str, **values: object) -> None:
        """Change rows behind the program's back."""
        database = Database(LENDER.owner_url(self.survey.ring.folder, "survey"))
        try:
            with database.transaction() as session:
                assert session.connection().execute(text(statement), values).rowcount == 1
        finally:
            database.close()

    def envelope(self) -> bytes:
        """Return the sheet of the open cycle."""
        rows = self.survey.ring.query("SELECT envelope FROM box WHERE cycle = :cycle", cycle=self.open)
        return bytes(rows[0][0])  # type: ignore[arg-type]

    def wrong(self, *, deep: bool) -> dict[str, tuple[str, ...]]:
        """Return what is wrong, by what should hold."""
        found: dict[str, tuple[str, ...]] = {}
        verified = Verification(lambda _about, check: found.update({check.holds: check.wrong}))
        verify_installation(self.survey.folder, ["survey"], verified, deep=deep)
        wrong = {holds: told for holds, told in found.items() if told}
        assert verified.well == (wrong == {})
        return wrong


@pytest.fixture(scope="module")
def filled(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Survey with two cycles; whatever a test breaks, it mends."""
    with running_survey(tmp_path_factory.mktemp("verify")) as survey:
        cycles = []
        for _ in range(2):
            cycle, codes = survey.opened()
            hand = hand_of(survey.ring, cycle, codes[0])
            assert hand.post(hand.seal(hand.manifest.plan.sheets[0]).encode()) == (201, "")
            cycles.append(cycle)
        survey.close(cycles[1])
        yield Filled(survey, *cycles)


def test_a_sound_survey_passes_and_damage_is_told(filled: Filled) -> None:
    assert filled.wrong(deep=True) == filled.wrong(deep=False) == {}
    good = filled.envelope()
    touched = bytearray(good)
    touched[SIGNATURE_AT] ^= 1
    put = "UPDATE box SET envelope = :envelope, envelope_hash = :hash WHERE cycle = :cycle"
    # Another envelope under the old hash: seen without looking at signatures.
    filled.change(
        "UPDATE box SET envelope = :envelope WHERE cycle = :cycle", envelope=bytes(touched), cycle=filled.open
    )
    assert filled.wrong(deep=False) == {
        WHOLE: (
            f"Cycle {filled.open}: 1 sheets are damaged. Restore the newest backup, or make the cycle void.",
        )
    }
    # With its hash put right, only the signature tells.
    filled.change(put, envelope=bytes(touched), hash=hashlib.sha256(touched).digest(), cycle=filled.open)
    assert filled.wrong(deep=False) == {}
    assert set(filled.wrong(deep=True)) == {SIGNED}
    filled.change(put, envelope=good, hash=hashlib.sha256(good).digest(), cycle=filled.open)
    assert filled.wrong(deep=True) == {}
    for column, value in (("counter", 6), ("nonce", bytes(32)), ("sheet", "support-group")):
        before = filled.survey.ring.query(f"SELECT {column} FROM box WHERE cycle = :cycle", cycle=filled.open)
        change = f"UPDATE box SET {column} = :value WHERE cycle = :cycle"
        filled.change(change, value=value, cycle=filled.open)
        assert set(filled.wrong(deep=False)) == {WHOLE}, column
        filled.change(change, value=before[0][0], cycle=filled.open)


def test_a_box_that_is_not_what_its_frame_says_is_told(filled: Filled) -> None:
    move = "UPDATE box SET cycle = :to WHERE cycle = :cycle"
    filled.change(move, cycle=filled.closed, to="elsewhere")
    wrong = filled.wrong(deep=False)
    said = f"The box of cycle {filled.closed} does not hold what its frame says."
    assert wrong["closed cycles hold as many sheets as their frames say"][0].startswith(said)
    assert wrong[WHOLE][0].startswith("Cycle elsewhere: 1 sheets are damaged.")
    filled.change(move, cycle="elsewhere", to=filled.closed)


@pytest.mark.parametrize(
    ("column", "old", "new", "sentence"),
    [
        ("manifest", '"k":10', '"k":11', "The manifest of cycle {} is not signed by both services."),
        ("frame", '"issued":1', '"issued":9', "The frame of cycle {} is not signed by survey."),
    ],
)
def test_documents_that_were_changed_are_told(
    filled: Filled, column: str, old: str, new: str, sentence: str
) -> None:
    change = f"UPDATE cycle SET {column} = replace({column}, :old, :new) WHERE id = :cycle"
    filled.change(change, old=old, new=new, cycle=filled.closed)
    told = [each for wrong in filled.wrong(deep=False).values() for each in wrong]
    assert any(each.startswith(sentence.format(filled.closed)) for each in told)
    filled.change(change, old=new, new=old, cycle=filled.closed)
    assert filled.wrong(deep=False) == {}


def test_issuer_keys_that_are_lost_or_open_to_others_are_told(filled: Filled) -> None:
    keys = sorted((filled.survey.ring.folder / "issuer-keys" / filled.open).iterdir())
    keys[0].chmod(0o644)
    (told,) = filled.wrong(deep=False).values()
    assert "not for their owner only" in told[0]
    keys[0].unlink()
    (told,) = filled.wrong(deep=False).values()
    assert told == (
        f"Issuer keys of cycle {filled.open} are lost: no passes can be given out. Uploads still work.",
    )
