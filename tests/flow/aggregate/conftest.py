"""One aggregate per test, in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.aggregate.world import World


@pytest.fixture
def world(store_kind: str, tmp_path: Path) -> Iterator[World]:
    """Return a world whose databases are closed at the end."""
    made = World(tmp_path / "aggregate")
    yield made
    made.stop()
