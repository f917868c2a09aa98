"""Problem documents: every kind has a status, a sentence and an address of its own."""

import pytest

from services.protocol.problems import KINDS, Problem


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_problem_document(kind: str) -> None:
    document = Problem(kind).document()
    assert document == {
        "type": f"urn:fairpatch:problem:{kind}",
        "title": KINDS[kind].title,
        "status": KINDS[kind].status,
    }
    assert 400 <= KINDS[kind].status < 600
    assert KINDS[kind].title.endswith(".")


def test_titles_tell_the_kinds_apart() -> None:
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_a_detail_is_added_and_is_the_error_text() -> None:
    problem = Problem("budget", "An epsilon is a plain decimal number.")
    assert problem.document()["detail"] == str(problem) == "An epsilon is a plain decimal number."
    assert str(Problem("busy")) == KINDS["busy"].title


def test_there_is_no_problem_of_an_unknown_kind() -> None:
    with pytest.raises(KeyError):
        Problem("whatever")
