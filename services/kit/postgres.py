"""PostgreSQL: writers one after the other, and a log that keeps nothing that mixing removed."""

from typing import Any

from sqlalchemy import Connection, Engine, Table, event, text

WRITER = 0x46414952
"""Key of the advisory lock that every writing transaction of one database takes first."""
_SESSION = {
    "synchronous_commit": "on",
    "default_transaction_isolation": r"read\ committed",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10min",
    "timezone": "UTC",
}
# A host that is cut off is noticed within half a minute; the system's own patience is hours.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
# A receipt says that a sheet is on disk; a fault of the disk ends the server instead of being passed over.
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_sync_retry": "off"}
# Statements and values hold envelopes and code hashes: they are never written to a log, and no times either.
_SILENT = {
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "debug_print_plan": "off",
    "auto_explain.log_min_duration": "-1",
    "pgaudit.log": "none",
}
# An old log tells in which order sheets came: none is archived, kept, or written over later.
_FORGETFUL = {
    "archive_mode": "off",
    "wal_recycle": "off",
    "wal_keep_size": "0",
    "summarize_wal": "off",
    "track_commit_timestamp": "off",
}
_OLDEST = 15
_MAY_CHANGE_TABLES = text(
    "SELECT has_schema_privilege(current_schema(), 'CREATE') OR EXISTS (SELECT FROM pg_tables"
    " WHERE schemaname = current_schema() AND pg_has_role(current_user, tableowner, 'USAGE'))"
)
# What mixing needs, or can't work with: a question that is answered with the number of faults.
_MIXING = {
    "SELECT NOT pg_has_role(current_user, 'pg_checkpoint', 'USAGE')": "grant pg_checkpoint to survey's role",
    "SELECT NOT has_function_privilege(current_user, 'pg_switch_wal()', 'EXECUTE')": (
        "grant execution of pg_switch_wal() to survey's role"
    ),
    "SELECT NOT has_database_privilege(current_database(), 'TEMPORARY')": (
        "grant temporary tables to survey's role"
    ),
    "SELECT count(*) FROM pg_replication_slots": "drop the replication slots; they keep the old log",
    "SELECT count(*) FROM pg_stat_replication": "end the replication of the log; a copy keeps the old one",
}


class Postgres:
    """PostgreSQL behind ``Database``."""

    name = "postgresql"

    def arguments(self) -> dict[str, object]:
        """Return what ``create_engine`` needs."""
        options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
        return {
            "connect_args": {"options": options, "application_name": "fairpatch", **_NETWORK},
            "pool_size": 8,
            "max_overflow": 24,
            "pool_timeout": 10,
        }

    def prepare(self, engine: Engine) -> None:
        """Have every writing transaction wait until it is the only one, as SQLite does."""
        event.listen(engine, "begin", _begin)

    def reading(self, engine: Engine) -> Engine:
        """Return the engine for transactions that may not write.

        Not of one snapshot: mixing empties and fills tables, which an older snapshot would see empty.
        """
        return engine.execution_options(deferred=True, postgresql_readonly=True)

    def rewrite(self, connection: Connection, table: Table) -> None:
        """Write a table's rows anew in the order of its key: one file, one transaction, no older row.

        Needs no right to create or drop tables; the copy in between is temporary and never logged.
        """
        keys = ", ".join(column.name for column in table.primary_key)
        name = table.name
        for statement in (
            # Before anything is read: a reader that came first would wait for us, and we for it.
            f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE",
            f"CREATE TEMPORARY TABLE mixed ON COMMIT DROP AS SELECT * FROM {name}",  # noqa: S608
            f"TRUNCATE {name}",
            f"INSERT INTO {name} SELECT * FROM mixed ORDER BY {keys}",  # noqa: S608
            "DROP TABLE mixed",
        ):
            connection.execute(text(statement))

    def compact(self, engine: Engine) -> None:
        """End the running log file and write a checkpoint, after which older log files are removed."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SELECT pg_switch_wal()")
            connection.exec_driver_sql("CHECKPOINT")

    def complaints(self, connection: Connection, *, mixing: bool) -> list[str]:
        """Name the settings that would break durability or secrecy, and what mixing needs."""
        version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
        if version < _OLDEST:
            return [f"PostgreSQL: version {_OLDEST} or newer is needed (it is {version})."]
        said = _wrong_settings(connection, {**_DURABLE, **_SILENT, **(_FORGETFUL if mixing else {})})
        if connection.execute(_MAY_CHANGE_TABLES).scalar_one():
            said.append("PostgreSQL: use a role that can't change tables (see 'fairpatch upgrade').")
        for question, remedy in _MIXING.items() if mixing else ():
            if connection.exec_driver_sql(question).scalar_one():
                said.append(f"PostgreSQL: {remedy}.")
        return said


def _wrong_settings(connection: Connection, wanted: dict[str, str]) -> list[str]:
    query = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
    found: dict[str, str] = {row.name: row.setting for row in connection.execute(query, {"names": [*wanted]})}
    # A setting that is not there belongs to another version, or to a module that is not loaded.
    return [
        f"PostgreSQL: set {name} to {value} (it is {found[name]})."
        for name, value in wanted.items()
        if found.get(name, value) != value
    ]


def _begin(connection: Any) -> None:
    options = connection.get_execution_options()
    if not options.get("deferred") and options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
