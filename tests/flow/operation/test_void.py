"""``void``: aggregate first, then survey; a running survey stops at once; repeating changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.operation.void import make_void
from services.protocol.problems import Problem
from tests.flow.operation.surveys import Aggregate, Survey, running_survey
from tests.flow.survey.phones import hand_of
from tests.flow.survey.ring import NOW

REASON = "The disk with the opening keys broke."
DAY = NOW.date().isoformat()


@pytest.fixture(scope="module")
def survey(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    """Survey, running."""
    with running_survey(tmp_path_factory.mktemp("void")) as survey:
        yield survey


def void(survey: Survey, cycle: str, aggregate: Aggregate, reason: str = REASON) -> list[str]:
    """Give a cycle up."""
    return make_void(
        survey.folder, cycle, reason, clock=lambda: NOW, transport=httpx.MockTransport(aggregate)
    )


def test_a_running_survey_stops_at_once(survey: Survey) -> None:
    cycle, codes = survey.opened()
    hand = hand_of(survey.ring, cycle, codes[0])
    sheet = hand.manifest.plan.sheets[0]
    assert hand.post(hand.seal(sheet).encode()) == (201, "")
    said = void(survey, cycle, Aggregate())
    assert said[0] == "Aggregate destroyed its opening keys and gave its budget back."
    assert hand.post(hand.seal(sheet, counter=9).encode()) == (409, "cycle-state")
    for call, body in (
        ("session", {"code": codes[1]}),
        ("tokens", {"code": codes[1], "blinded": hand.blinded}),
    ):
        answer = survey.ring.client.post(f"/api/cycles/{cycle}/{call}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:fairpatch:problem:link")
    assert survey.state(cycle) == "void"
    assert (DAY, "void", cycle, REASON) in survey.audit()


def test_the_second_time_changes_nothing(survey: Survey) -> None:
    cycle, _ = survey.opened()
    aggregate = Aggregate()
    first = void(survey, cycle, aggregate)
    noted = survey.audit()
    assert void(survey, cycle, aggregate, "Again.") == first
    assert survey.audit() == noted
    assert aggregate.calls == 2


def test_a_draft_is_cancelled_and_its_budget_returns(survey: Survey) -> None:
    cycle = survey.ring.draft().json()["cycle"]
    assert "cancelled" in void(survey, cycle, Aggregate())[1]
    assert survey.state(cycle) == "cancelled"


def test_a_closed_cycle_can_be_given_up(survey: Survey) -> None:
    cycle, _ = survey.opened()
    survey.close(cycle)
    void(survey, cycle, Aggregate())
    assert survey.state(cycle) == "void"


def test_nothing_happens_while_aggregate_is_away(survey: Survey) -> None:
    cycle, _ = survey.opened()
    with pytest.raises(Problem, match="nothing was changed") as refused:
        void(survey, cycle, Aggregate(status=0))
    assert refused.value.kind == "not-ready"
    assert survey.state(cycle) == "open"


def test_a_released_cycle_is_refused_by_either_side(survey: Survey) -> None:
    cycle, _ = survey.opened()
    survey.close(cycle)
    with pytest.raises(Problem, match="A released cycle can't be made void"):
        void(survey, cycle, Aggregate(status=409, kind="cycle-state"))
    assert survey.state(cycle) == "closed"
    survey.ring.client.app.state.store.mark_released(cycle)  # type: ignore[attr-defined]
    aggregate = Aggregate()
    with pytest.raises(Problem, match="What is published stays"):
        void(survey, cycle, aggregate)
    assert (survey.state(cycle), aggregate.calls) == ("released", 0)


def test_a_cycle_that_a_restored_ledger_does_not_know(survey: Survey) -> None:
    cycle, _ = survey.opened()
    said = void(survey, cycle, Aggregate(status=404, kind="not-found"))
    assert "a restored ledger forgot it" in said[0]
    assert survey.state(cycle) == "void"


def test_a_cycle_that_a_restored_survey_does_not_know(survey: Survey) -> None:
    assert "restored from an older backup" in void(survey, "0123456789abcdef", Aggregate())[1]
    with pytest.raises(Problem, match="Neither survey nor aggregate knows"):
        void(survey, "0123456789abcdef", Aggregate(status=404, kind="not-found"))


@pytest.mark.parametrize("cycle", ["", "..", "a/b", "UPPER-CASE", "x" * 100])
def test_what_is_no_id_goes_nowhere(survey: Survey, cycle: str) -> None:
    aggregate = Aggregate()
    with pytest.raises(Problem, match="not the id of a cycle"):
        void(survey, cycle, aggregate)
    assert aggregate.calls == 0


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 401])
def test_a_reason_is_one_line(survey: Survey, reason: str) -> None:
    with pytest.raises(Problem, match="on one line"):
        void(survey, "0123456789abcdef", Aggregate(), reason)


def test_a_survey_that_aggregate_does_not_know_is_told(survey: Survey) -> None:
    cycle, _ = survey.opened()
    with pytest.raises(Problem, match="Check its peers"):
        void(survey, cycle, Aggregate(status=401, kind="unauthorized"))
    assert survey.state(cycle) == "open"


def test_the_folder_has_to_be_that_of_an_installation(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="fairpatch init"):
        make_void(tmp_path, "0123456789abcdef", REASON, clock=lambda: NOW)
