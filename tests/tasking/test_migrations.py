"""The tables that the revisions build are those that are declared, both ways."""

import sqlite3
import threading

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tasking.schema import METADATA
from tasking.store import Store


def _schema(path) -> dict[tuple[str, str], str]:
    """Statement by kind and name, of everything in a file, in one spelling."""
    connection = sqlite3.connect(path)
    rows = connection.execute("select type, name, sql from sqlite_master where name not like 'sqlite_%'").fetchall()
    connection.close()
    return {(kind, name): " ".join((sql or "").split()) for kind, name, sql in rows if name != "alembic_version"}


def _columns(path) -> dict[str, list]:
    connection = sqlite3.connect(path)
    tables = [name for (kind, name) in _schema(path) if kind == "table"]
    found = {
        table: [
            *connection.execute(f"select name, type, [notnull], dflt_value, pk from pragma_table_info('{table}')"),
            *sorted(connection.execute(f"select [table], [from], [to] from pragma_foreign_key_list('{table}')")),
            *sorted(connection.execute(f"select name, [unique], partial from pragma_index_list('{table}')")),
        ]
        for table in tables
    }
    connection.close()
    return found


def test_the_migrated_tables_are_the_declared_ones(tmp_path, migrated):
    declared = tmp_path / "declared.db"
    engine = sa.create_engine(f"sqlite:///{declared}")
    METADATA.create_all(engine)
    engine.dispose()
    assert _schema(migrated).keys() == _schema(declared).keys()
    assert _columns(migrated) == _columns(declared)
    rest = {key: sql for key, sql in _schema(migrated).items() if key[0] != "table"}
    assert rest == {key: sql for key, sql in _schema(declared).items() if key[0] != "table"}
    for table, sql in ((name, sql) for (kind, name), sql in _schema(declared).items() if kind == "table"):
        assert ("AUTOINCREMENT" in sql) == ("AUTOINCREMENT" in _schema(migrated)["table", table])
        assert sql.count("CHECK") == _schema(migrated)["table", table].count("CHECK")


def test_alembic_sees_no_difference(migrated):
    engine = sa.create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_up_down_and_up_again(tmp_path, migrated):
    path = tmp_path / "tasking.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.migrate()  # at the head already
    store.migrate("base")
    assert _schema(path) == {}
    store.migrate()
    assert _schema(path) == _schema(migrated)
    store.ping()
    store.close()


def test_processes_that_start_together_migrate_once(tmp_path, migrated):
    """The server and a worker come up on a fresh folder at the same moment."""
    path = tmp_path / "tasking.db"
    errors: list[Exception] = []
    stores = [Store(f"sqlite:///{path}") for _ in range(3)]
    barrier = threading.Barrier(3)

    def migrate(store: Store) -> None:
        barrier.wait()
        try:
            store.migrate()
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=migrate, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert errors == []
    assert _schema(path) == _schema(migrated)


def test_the_tables_can_be_built_on_postgresql():
    """Every type and index has a spelling there; SQLite-only options fall away."""
    dialect = postgresql.dialect()
    text = "".join(str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables)
    text += "".join(
        str(CreateIndex(index).compile(dialect=dialect)) for table in METADATA.sorted_tables for index in table.indexes
    )
    assert "id BIGSERIAL NOT NULL" in text
    assert "WHERE state = 'open'" in text
    assert "AUTOINCREMENT" not in text
