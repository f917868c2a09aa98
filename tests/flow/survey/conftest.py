"""One survey for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.flow.survey.ring import Ring, running_ring


@pytest.fixture(scope="module")
def ring(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Survey with doubles of its peers; cycles of a module share it."""
    with running_ring(tmp_path_factory.mktemp("ring")) as running:
        yield running
