"""One aggregate per test, with its settings on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.aggregate.world import World
from tests.flow.operation.ledgers import Ledger, settled, worked


@pytest.fixture
def ledger(store_kind: str, tmp_path: Path) -> Iterator[Ledger]:
    """Aggregate with a released cycle and an open one."""
    world = settled(World(tmp_path / "old" / "aggregate"))
    worked(world)
    yield Ledger(world, tmp_path / "backups")
    world.stop()
