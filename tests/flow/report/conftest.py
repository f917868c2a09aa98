"""No test of this folder leaves a database open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.report.factories import HOUSES
from tests.stores import LENDER


@pytest.fixture(autouse=True)
def closed_houses(tmp_path: Path) -> Iterator[None]:
    """Close every house a test made, and give its database back."""
    yield
    while HOUSES:
        HOUSES.pop().app.state.database.close()
    LENDER.take_back(tmp_path)
