"""Each service has tables of its own and no other's."""

import importlib

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from tests.architecture.source import THREE


def metadata(service: str) -> MetaData:
    """Return what a service's database is made from."""
    found = importlib.import_module(f"services.{service}.tables").METADATA
    assert isinstance(found, MetaData)
    return found


def test_no_two_services_share_metadata() -> None:
    assert len({id(metadata(service)) for service in THREE}) == len(THREE)
    assert all(metadata(service).tables for service in THREE)


def test_no_table_is_in_the_registry_that_all_would_share() -> None:
    for service in THREE:
        metadata(service)
    assert dict(SQLModel.metadata.tables) == {}


def test_aggregate_has_no_table_of_sheets() -> None:
    columns = {column.name for table in metadata("aggregate").tables.values() for column in table.columns}
    assert columns.isdisjoint({"envelope", "nonce", "token", "plaintext", "sealed", "employee_id", "email"})


def test_survey_keeps_no_time_address_or_order_of_a_sheet() -> None:
    tables = metadata("survey").tables
    for name in ("box", "issuance"):
        columns = {column.name: str(column.type) for column in tables[name].columns}
        assert not any(kind.startswith(("DATE", "TIME")) for kind in columns.values())
        assert columns.keys().isdisjoint({"id", "created", "address", "ip", "session", "sequence", "order"})
        assert tables[name].dialect_options["sqlite"]["with_rowid"] is False
