"""Alembic's revisions of the tables; `tasking.store.Store.migrate` runs them."""
