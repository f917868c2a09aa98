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


ADDED_ONLY = {
    "survey": ("audit",),
    "aggregate": ("ledger_line", "release", "receipt_bucket", "audit"),
    "report": ("manifest", "release"),
}


def test_every_table_has_rights_and_rows_that_stay_are_only_added() -> None:
    for service in THREE:
        grants = importlib.import_module(f"services.{service}.tables").GRANTS
        assert set(grants) == set(metadata(service).tables)
        assert all("SELECT" in rights for rights in grants.values())
        for table in ADDED_ONLY[service]:
            assert grants[table] == ("SELECT", "INSERT")


def test_only_what_holds_traces_of_people_can_be_emptied() -> None:
    emptied = {
        table
        for service in THREE
        for table, rights in importlib.import_module(f"services.{service}.tables").GRANTS.items()
        if "TRUNCATE" in rights
    }
    assert emptied == {"member", "issuance", "box"}
