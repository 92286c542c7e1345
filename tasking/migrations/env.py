"""Run by alembic: `tasking.store.Store.migrate` hands it a connection inside a transaction."""

from alembic import context

from tasking.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
