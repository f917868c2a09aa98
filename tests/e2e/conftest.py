"""One stage for the tests of a whole cycle: it is set up once, and what happened on it is only read."""

from collections.abc import Iterator

import pytest

from tests.e2e.played import Played, play
from tests.e2e.silent import SilentCycle, stay_silent
from tests.e2e.stages import Services, running_services


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Return survey, aggregate and report, running in a process of their own."""
    with running_services(tmp_path_factory.mktemp("e2e") / "stage") as running:
        yield running


@pytest.fixture(scope="session")
def played(services: Services) -> Played:
    """Return a cycle that was opened, answered, closed and released."""
    return play(services)


@pytest.fixture(scope="session")
def silent(services: Services, played: Played) -> SilentCycle:
    """Return the company's next cycle, which HR and operators tried to change and nobody answered."""
    return stay_silent(services, played)
