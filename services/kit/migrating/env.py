"""Alembic runs this file: migrations go through the connection, and the transaction, that we hand in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # All steps in one transaction, on both databases: a crash leaves the old version whole.
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
