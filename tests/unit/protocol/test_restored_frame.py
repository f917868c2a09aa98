"""The frame's ``restored``: in writing only where it is so, and in one form."""

import pytest

from services.protocol.encoding import canonical
from services.protocol.frame import Frame, InvalidFrame, parse
from tests.flow.report.factories import make_frame, make_manifest


def frame(*, restored: bool) -> Frame:
    """Return a frame."""
    return make_frame(make_manifest()).model_copy(update={"restored": restored})


def test_a_usual_frame_has_the_bytes_it_always_had() -> None:
    document = frame(restored=False).model_dump(mode="json")
    assert "restored" not in document
    assert parse(document) == frame(restored=False)


def test_a_restored_frame_says_so() -> None:
    document = frame(restored=True).model_dump(mode="json")
    assert document["restored"] is True
    assert parse(document).restored
    assert canonical(parse(document).model_dump(mode="json")) == canonical(document)


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_no_other_spelling_is_taken(value: object) -> None:
    document = frame(restored=False).model_dump(mode="json")
    with pytest.raises(InvalidFrame):
        parse({**document, "restored": value})
