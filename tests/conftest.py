"""What all tests share: property tests judge results, never the machine's speed; one PostgreSQL at most."""

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from tests.stores import LENDER

settings.register_profile("fairpatch", deadline=None)
settings.register_profile("fails-fast", deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("fairpatch")


@pytest.fixture(scope="session", autouse=True)
def lender() -> Iterator[None]:
    """Stop the server that the tests of this process may have started."""
    yield
    LENDER.stop()
