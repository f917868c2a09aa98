"""Responses read from a file, and responses made up."""

from statistics import pvariance

import numpy as np
import pytest

from services.protocol.problems import Problem
from services.rehearsal.answers import (
    ITEMS,
    REASONS,
    Floats,
    draw_answers,
    draw_reasons,
    make_rng,
    parse_answers,
)
from services.survey.core.csvfile import InputError
from services.survey.core.instrument import FULL

HEADING = ",".join(["employee_id", *ITEMS, "flag"])
INVITED = ("E1", "E2", "E3")


def line(employee_id: str = "E1", *, flag: str = "F2", **answers: str) -> str:
    return ",".join([employee_id, *(answers.get(item, "3") for item in ITEMS), flag])


def file_of(*lines: str) -> bytes:
    return ("\n".join([HEADING, *lines]) + "\n").encode()


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_answers(data, file="answers.csv", employee_ids=INVITED)
    return caught.value


def test_items_and_reasons_are_those_of_the_instrument() -> None:
    assert tuple(item.id for item in FULL.items) == ITEMS
    assert len(FULL.flags) == len(REASONS)


def test_answers_are_read_and_empty_cells_are_absent() -> None:
    read = parse_answers(
        file_of(line(C1="5", S6=""), line("E3", flag="")), file="answers.csv", employee_ids=INVITED
    )

    assert set(read) == {"E1", "E3"}
    assert read["E1"].answers == {item: 3 for item in ITEMS if item != "S6"} | {"C1": 5}
    assert read["E1"].flag == 1
    assert read["E3"].flag is None


def test_the_flag_column_may_be_absent() -> None:
    data = (HEADING.removesuffix(",flag") + "\n" + line().removesuffix(",F2") + "\n").encode()
    assert parse_answers(data, file="answers.csv", employee_ids=INVITED)["E1"].flag is None


@pytest.mark.parametrize(
    ("lines", "at", "column"),
    [
        ([line(), line("E2", M3="7")], 3, "M3"),
        ([line(A2="0")], 2, "A2"),
        ([line(A2="2.5")], 2, "A2"),
        ([line(A2="nan")], 2, "A2"),
        ([line(flag="F12")], 2, "flag"),
        ([line(flag="3")], 2, "flag"),
        ([line(), line()], 3, "employee_id"),
        ([line("E9")], 2, "employee_id"),
        ([line("")], 2, "employee_id"),
    ],
)
def test_what_cannot_be_used_is_named_by_file_line_and_column(lines: list[str], at: int, column: str) -> None:
    error = refusal(file_of(*lines))
    assert (error.file, error.line, error.column) == ("answers.csv", at, column)


def test_a_missing_column_is_named() -> None:
    assert refusal(file_of(line()).replace(b"S4", b"other")).column == "S4"


def test_no_answer_and_no_id_is_repeated() -> None:
    assert "secret-answer" not in str(refusal(file_of(line(C2="secret-answer"))))
    assert "secret-answer" not in str(refusal(file_of(line(flag="secret-answer"))))
    assert "secret-id" not in str(refusal(file_of(line("secret-id"))))


def test_made_up_answers_are_repeatable_and_reach_the_stated_response() -> None:
    invited = [f"E{i}" for i in range(1000)]
    drawn = draw_answers(invited, response=0.7, seed=3)

    assert len(drawn) == 700
    assert list(drawn) == [name for name in invited if name in drawn]
    assert drawn == draw_answers(invited, response=0.7, seed=3)
    assert drawn.keys() != draw_answers(invited, response=0.7, seed=4).keys()


def test_made_up_answers_use_the_whole_scale_with_few_blanks() -> None:
    drawn = draw_answers([str(i) for i in range(5000)], response=1.0, seed=5)
    given = [choice for response in drawn.values() for choice in response.answers.values()]

    assert set(given) == {1, 2, 3, 4, 5}
    assert 1 - len(given) / (5000 * len(ITEMS)) == pytest.approx(0.02, abs=0.003)
    assert {response.flag for response in drawn.values()} == {None, *range(len(REASONS))}
    # Items of one condition go together: independent ones would give 18 times one item's variance.
    totals = [sum(r.answers.values()) for r in drawn.values() if len(r.answers) == len(ITEMS)]
    assert 40 < pvariance(totals) / pvariance(given) < 160


def test_reasons_follow_support_and_result_only_mildly() -> None:
    rng = make_rng(1, "answers")
    low, high = np.full(20_000, -1.0), np.full(20_000, 1.0)
    fair = len(REASONS) - 1

    def share(support: Floats, hit: float) -> float:
        return float(np.mean(draw_reasons(rng, support, np.full(20_000, hit)) == fair))

    missed_low, missed_high, hit_low = share(low, 0.0), share(high, 0.0), share(low, 1.0)
    assert 0.05 < missed_low < missed_high < 0.8
    assert missed_low < hit_low < missed_high


@pytest.mark.parametrize("response", [0.0, -0.1, 1.01, float("nan")])
def test_a_response_that_is_no_share_is_refused(response: float) -> None:
    with pytest.raises(Problem, match="share"):
        draw_answers(INVITED, response=response, seed=1)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(Problem, match="seed"):
        draw_answers(INVITED, response=0.5, seed=-1)
