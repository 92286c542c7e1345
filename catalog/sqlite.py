"""The embedded catalog: one SQLite file that holds every document as the bytes that are sent.

collections  id → body
items        what an item is found by: its place in the order of items, its span of time, its box
documents    exact outline, body
places       R*Tree over lon, lat and time; an item across the antimeridian has two rows, 2·seq and 2·seq + 1
"""

import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import shapely

from catalog import antimeridian
from catalog.database import Database
from catalog.document import CollectionDocument, ItemDocument, read_document
from catalog.errors import CatalogError, InvalidItemError, NotFoundError
from catalog.search import Page, Search
from catalog.sqlite_search import DAY_US, Row, find
from catalog.token import Position, read_token, write_token

VERSION = 1
"""Of the file's schema, kept in its `user_version`."""

_SCHEMA = (
    "CREATE TABLE collections (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    # rank is minus the moment, so that newest first and ids upwards are one ascending order; times are microseconds
    # since 1970; west > east is an item across the antimeridian.
    """CREATE TABLE items (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE,
        rank INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
        west REAL, south REAL, east REAL, north REAL,
        UNIQUE (id, collection)
    )""",
    "CREATE INDEX items_in_order ON items (rank, id, collection)",
    "CREATE INDEX items_of_collection ON items (collection, rank, id)",
    "CREATE INDEX items_by_lead ON items (since + rank)",
    "CREATE INDEX items_by_lag ON items (until + rank)",
    "CREATE TABLE documents (seq INTEGER PRIMARY KEY, shape BLOB, body BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE places USING rtree (key, west, east, south, north, since, until)",
    """CREATE TRIGGER items_gone AFTER DELETE ON items BEGIN
        DELETE FROM documents WHERE seq = old.seq;
        DELETE FROM places WHERE key IN (2 * old.seq, 2 * old.seq + 1);
    END""",
    "CREATE TABLE secret (key BLOB NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
)


class SqliteCatalog:
    """A `catalog.search.Catalog` in one file, for many threads and processes at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it where there is none.

        Raises
        ------
        CatalogError
            The file was written by a newer version of this program.
        """
        self._database = Database(path)
        self._make()
        (self._key,) = self._database.connection().execute("SELECT key FROM secret").fetchone()

    def close(self) -> None:
        """Close the file in every thread; the next call opens it again."""
        self._database.close()

    def put(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Insert or replace Collections and Items; see `catalog.search.Catalog.put`."""
        # Checking takes far longer than writing, so that it is done before other writers are kept waiting.
        checked = [read_document(document) for document in documents]
        with self._database.writing() as connection:
            for document in checked:
                if isinstance(document, CollectionDocument):
                    _put_collection(connection, document)
                else:
                    _put_item(connection, document)
        return len(checked)

    def get(self, collection: str, item: str | None = None) -> bytes:
        """One Collection or Item as JSON bytes; see `catalog.search.Catalog.get`."""
        if item is None:
            statement = "SELECT body FROM collections WHERE id = ?"
            names: tuple[str, ...] = (collection,)
        else:
            statement = "SELECT body FROM items JOIN documents USING (seq) WHERE collection = ? AND id = ?"
            names = (collection, item)
        _refuse_unprintable(collection, item)
        row = self._database.connection().execute(statement, names).fetchone()
        if row is None:
            raise _not_found(collection, item)
        return bytes(row[0])

    def delete(self, collection: str, item: str | None = None) -> None:
        """Remove an Item, or a Collection with all its Items; see `catalog.search.Catalog.delete`."""
        _refuse_unprintable(collection, item)
        with self._database.writing() as connection:
            if item is None:
                gone = connection.execute("DELETE FROM collections WHERE id = ?", (collection,))
            else:
                gone = connection.execute("DELETE FROM items WHERE collection = ? AND id = ?", (collection, item))
            if gone.rowcount == 0:
                raise _not_found(collection, item)

    def collections(self) -> tuple[bytes, ...]:
        """Every Collection as JSON bytes, by id."""
        rows = self._database.connection().execute("SELECT body FROM collections ORDER BY id")
        return tuple(body for (body,) in rows)

    def search(self, search: Search) -> Page:
        """The items that meet every condition; see `catalog.search.Catalog.search`."""
        position = None if search.token is None else read_token(search.token, search, self._key)
        backwards = position is not None and position.backwards
        place = search.place()
        with self._database.reading() as connection:
            rows = find(connection, search, place, position)
            more = len(rows) > search.limit
            rows = rows[: search.limit]
            if backwards:
                rows.reverse()
            bodies = _bodies(connection, [row[0] for row in rows])

        def token(position: Position) -> str:
            return write_token(position, search, self._key)

        if not rows:  # the items went away while somebody paged here; the way back is still there
            way_back = None if position is None else token(position.turned())
            if backwards:
                return Page(items=(), next_token=way_back)
            return Page(items=(), next_token=None, previous_token=way_back)
        onwards, back = _position(rows[-1], backwards=False), _position(rows[0], backwards=True)
        return Page(
            items=bodies,
            next_token=token(onwards) if more or backwards else None,
            previous_token=token(back) if (more if backwards else position is not None) else None,
        )

    def _make(self) -> None:
        """Make the tables of a new file; of several processes that try, one does."""
        (version,) = self._database.connection().execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        with self._database.writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise CatalogError(
                    f"{self._database.path}: its schema {version} is newer than {VERSION}, which this program knows"
                )
            if version == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))


def _not_found(collection: str, item: str | None) -> NotFoundError:
    if item is None:
        return NotFoundError(f"collection: there is no {collection!r:.200}; GET /stac/collections lists them")
    return NotFoundError(f"item: there is no {item!r:.200} in collection {collection!r:.200}")


def _refuse_unprintable(collection: str, item: str | None) -> None:
    """No document has such an id; some of them are not even text to SQLite."""
    if not (collection.isprintable() and (item is None or item.isprintable())):
        raise _not_found(collection, item)


def _put_collection(connection: sqlite3.Connection, collection: CollectionDocument) -> None:
    connection.execute(
        "INSERT INTO collections VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        (collection.id, collection.body),
    )


def _put_item(connection: sqlite3.Connection, item: ItemDocument) -> None:
    if connection.execute("SELECT 1 FROM collections WHERE id = ?", (item.collection,)).fetchone() is None:
        raise InvalidItemError(f"{item.id!r:.100}: collection {item.collection!r:.100} is unknown; put it first")
    connection.execute("DELETE FROM items WHERE id = ? AND collection = ?", (item.id, item.collection))
    box = None if item.shape is None else antimeridian.narrowest_box(item.shape)
    seq = connection.execute(
        "INSERT INTO items (id, collection, rank, since, until, west, south, east, north) VALUES (?,?,?,?,?,?,?,?,?)",
        (item.id, item.collection, -item.moment, item.since, item.until, *(box or (None,) * 4)),
    ).lastrowid
    outline = None if item.shape is None else shapely.to_wkb(item.shape)
    connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (seq, outline, item.body))
    if box is None or seq is None:
        return
    west, south, east, north = box
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    connection.executemany(
        "INSERT INTO places VALUES (?,?,?,?,?,?,?)",
        [
            (2 * seq + part, *span, south, north, item.since / DAY_US, item.until / DAY_US)
            for part, span in enumerate(spans)
        ],
    )


def _position(row: Row, *, backwards: bool) -> Position:
    return Position(backwards=backwards, rank=row[1], id=row[2], collection=row[3])


def _bodies(connection: sqlite3.Connection, seqs: list[int]) -> tuple[bytes, ...]:
    statement = "SELECT seq, body FROM documents WHERE seq IN (SELECT value FROM json_each(?))"
    bodies = dict(connection.execute(statement, (orjson.dumps(seqs).decode(),)).fetchall())
    return tuple(bodies[seq] for seq in seqs)
