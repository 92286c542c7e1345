"""The tables of the embedded catalog, and how a file of an earlier version becomes one of this.

collections  the document as it was put, whose it is, and what its items say of it (`catalog.summary`)
items        what an item is found by: its place in time, its span, its box, its properties
documents    exact outline, and the JSON before and behind the properties
places       R*Tree over lon, lat and time; an item across the antimeridian has two rows, 2·seq and 2·seq + 1
columns      properties with a column and an index of their own among the items
"""

import secrets
import sqlite3
from collections.abc import Iterator

from catalog.database import Database
from catalog.document import ItemDocument, read_document
from catalog.errors import CatalogError

VERSION = 2
"""Of the schema, kept in the file's `user_version`."""

DAY_US = 86_400e6
"""The R*Tree holds 32-bit floats, rounded outwards; in days they tell minutes apart."""

_SCHEMA = (
    """CREATE TABLE collections (
        id TEXT PRIMARY KEY, tenant TEXT, count INTEGER NOT NULL, modified INTEGER NOT NULL, etag TEXT NOT NULL,
        body BLOB NOT NULL, summary BLOB NOT NULL
    ) WITHOUT ROWID""",
    # Times are microseconds since 1970; west > east is an item across the antimeridian.
    """CREATE TABLE items (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE,
        moment INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
        west REAL, south REAL, east REAL, north REAL,
        modified INTEGER NOT NULL, etag BLOB NOT NULL,
        text TEXT, properties TEXT NOT NULL,
        UNIQUE (id, collection)
    )""",
    "CREATE INDEX items_in_order ON items (moment, collection, id)",
    "CREATE INDEX items_of_collection ON items (collection, moment, id)",
    "CREATE INDEX items_with_text ON items (moment, collection, id) WHERE text IS NOT NULL",
    "CREATE INDEX items_by_lead ON items (moment - since) WHERE since < moment",
    "CREATE INDEX items_by_lag ON items (until - moment) WHERE until > moment",
    "CREATE TABLE documents (seq INTEGER PRIMARY KEY, shape BLOB, head BLOB NOT NULL, tail BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE places USING rtree (key, west, east, south, north, since, until)",
    """CREATE TRIGGER items_gone AFTER DELETE ON items BEGIN
        DELETE FROM documents WHERE seq = old.seq;
        DELETE FROM places WHERE key IN (2 * old.seq, 2 * old.seq + 1);
    END""",
    "CREATE TABLE columns (property TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID",
    # revision: changes with the collections, their tenants, and the names of the properties that they hold.
    "CREATE TABLE state (key BLOB NOT NULL, revision INTEGER NOT NULL)",
)


def make(database: Database) -> None:
    """Make the tables of a new file, or bring those of an old one up to date; of several processes that try, one does.

    Raises
    ------
    CatalogError
        The file was written by a newer version of this program.
    """
    (version,) = database.connection().execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    with database.writing() as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise CatalogError(
                f"{database.path}: its schema {version} is newer than {VERSION}, which this program knows"
            )
        if version == 0:
            _create(connection, secrets.token_bytes(32))
        elif version == 1:
            _from_first(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _create(connection: sqlite3.Connection, key: bytes) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO state VALUES (?, 0)", (key,))


def _from_first(connection: sqlite3.Connection) -> None:
    """Version 1 kept whole documents, and nothing of what collections hold: put every one again."""
    from catalog.sqlite_write import write  # it needs the tables that are made here

    (key,) = connection.execute("SELECT key FROM secret").fetchone()
    for index in ("items_in_order", "items_of_collection", "items_by_lead", "items_by_lag"):
        connection.execute(f"DROP INDEX {index}")
    connection.execute("DROP TRIGGER items_gone")
    connection.execute("DROP TABLE places")
    for table in ("collections", "items", "documents"):
        connection.execute(f"ALTER TABLE {table} RENAME TO first_{table}")
    _create(connection, key)
    collections = connection.execute("SELECT body FROM first_collections").fetchall()
    write(connection, [read_document(bytes(body)) for (body,) in collections])
    for batch in _batches(connection.execute("SELECT body FROM first_documents ORDER BY seq")):
        write(connection, batch)
    for table in ("first_documents", "first_items", "first_collections", "secret"):
        connection.execute(f"DROP TABLE {table}")


def _batches(rows: sqlite3.Cursor) -> Iterator[list[ItemDocument]]:
    while some := rows.fetchmany(1000):
        documents = [read_document(bytes(body)) for (body,) in some]
        yield [document for document in documents if isinstance(document, ItemDocument)]


# --- columns of properties ---

INDEXED = (
    "eo:cloud_cover",
    "view:off_nadir",
    "gsd",
    "s2:mgrs_tile",
    "grid:code",
    "platform",
    "sar:product_type",
    "order:id",
)
"""What clients filter and sort by most; one whose values tell a collection's items apart gets an index."""


def columns(connection: sqlite3.Connection) -> dict[str, str]:
    """Properties that have a column, and its name."""
    return dict(connection.execute("SELECT property, name FROM columns").fetchall())


def add_column(connection: sqlite3.Connection, name: str) -> str:
    """Give a property a column and an index: a number as REAL, true and false as INTEGER, text; else NULL."""
    column = f"p{len(columns(connection)) + 1}"
    connection.execute(f"ALTER TABLE items ADD COLUMN {column}")
    connection.execute(
        f"""UPDATE items SET {column} = (
            SELECT CASE WHEN type IN ('integer', 'real') THEN CAST(atom AS REAL) ELSE atom END
            FROM json_each(properties) WHERE key = ?
        )""",  # noqa: S608 - the name of the column is our own
        (name,),
    )
    # With the boxes in it, a walk along the index need not look at the items that lie elsewhere.
    covering = f"{column}, collection, west, south, east, north"
    connection.execute(f"CREATE INDEX items_by_{column} ON items ({covering}) WHERE {column} IS NOT NULL")
    connection.execute("INSERT INTO columns VALUES (?, ?)", (name, column))
    return column
