"""Every flow test runs on both databases; a module that looks into files names its own in ``STORES``."""

from collections.abc import Iterator

import pytest

from tests import stores


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once per database."""
    if "store_kind" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "STORES", stores.KINDS)
        metafunc.parametrize("store_kind", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def store_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have databases of one kind lent to the tests of a module."""
    with stores.kind(request.param):
        yield request.param
