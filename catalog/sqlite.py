"""The embedded catalog: one SQLite file that holds every document as the bytes that are sent.

    collections  id → body
    items        what an item is found by: its place in the order of items, its span of time, its box
    documents    exact outline, body
    places       R*Tree over lon, lat and time; an item across the antimeridian has two rows, 2·seq and 2·seq + 1

A search takes its candidates in order: by id, out of the R*Tree, or, where that would yield a crowd, by a walk along
the order itself. It looks at their outlines only until the page is full, and reads the bodies of that page.
"""

import heapq
import math
import secrets
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.antimeridian import Box
from catalog.database import Database
from catalog.document import CollectionDocument, ItemDocument, microseconds, read_document
from catalog.errors import CatalogError, InvalidItemError, NotFoundError
from catalog.extent import TimeWindow
from catalog.search import Page, Search
from catalog.token import Position, read_token, write_token

VERSION = 1
"""Of the file's schema, kept in its `user_version`."""

WALK_SPEED = 6.0
"""Items that a walk along the order looks at in the time that one candidate out of the R*Tree takes (measured)."""

_DAY_US = 86_400e6
"""The R*Tree holds 32-bit floats, rounded outwards; in days they tell minutes apart."""

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

_Row = tuple[int, int, str, str, int]
"""seq, rank, id, collection, and whether the boxes alone show that the item touches the place."""


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
            rows = _find(connection, search, place, position)
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
            (2 * seq + part, *span, south, north, item.since / _DAY_US, item.until / _DAY_US)
            for part, span in enumerate(spans)
        ],
    )


def _position(row: _Row, *, backwards: bool) -> Position:
    return Position(backwards=backwards, rank=row[1], id=row[2], collection=row[3])


def _bodies(connection: sqlite3.Connection, seqs: list[int]) -> tuple[bytes, ...]:
    statement = "SELECT seq, body FROM documents WHERE seq IN (SELECT value FROM json_each(?))"
    bodies = dict(connection.execute(statement, (orjson.dumps(seqs).decode(),)).fetchall())
    return tuple(bodies[seq] for seq in seqs)


def _find(
    connection: sqlite3.Connection, search: Search, place: BaseGeometry | None, position: Position | None
) -> list[_Row]:
    """The items of a page, and one more where there is one, in the direction of reading."""
    wanted = search.limit + 1
    if place is None:
        with closing(_candidates(connection, search, None, position)) as rows:
            return list(islice(rows, wanted))
    place = antimeridian.with_seams(place)
    shapely.prepare(place)
    found: list[_Row] = []
    with closing(_candidates(connection, search, antimeridian.boxes(place), position)) as rows:
        while len(found) < wanted and (some := list(islice(rows, wanted))):
            touching = _touching(connection, [row[0] for row in some if not row[4]], place)
            found += [row for row in some if row[4] or row[0] in touching]
    return found[:wanted]


def _touching(connection: sqlite3.Connection, seqs: list[int], place: BaseGeometry) -> set[int]:
    """Of these items, those whose outline touches the place."""
    if not seqs:
        return set()
    statement = "SELECT seq, shape FROM documents WHERE seq IN (SELECT value FROM json_each(?))"
    rows = connection.execute(statement, (orjson.dumps(seqs).decode(),)).fetchall()
    touches = shapely.intersects(place, shapely.from_wkb([shape for _, shape in rows]))
    return {seq for (seq, _), touch in zip(rows, touches, strict=True) if touch}


def _candidates(
    connection: sqlite3.Connection, search: Search, boxes: tuple[Box, ...] | None, position: Position | None
) -> Generator[_Row, None, None]:
    """Items that meet every condition but perhaps the exact outline, in the direction of reading."""
    few: list[_Condition] = []
    keys = _keys(connection, search, boxes) if boxes is not None and search.ids is None else None
    if search.ids is not None:
        few.append(("id IN (SELECT value FROM json_each(?))", (_array(search.ids),)))
    elif keys is not None:
        few.append(("seq IN (SELECT value FROM json_each(?))", (_array(keys),)))
    if few:
        if search.collections is not None:
            few.append(("collection IN (SELECT value FROM json_each(?))", (_array(search.collections),)))
        few += _time_conditions(search.datetime) + _place_in_order(position)
        # The plus signs keep SQLite from walking along the order here.
        yield from _select(connection, search, boxes, position, few, order="+rank {0}, +id {0}, +collection {0}")
        return
    conditions = _time_conditions(search.datetime) + _ranks(connection, search.datetime, position)
    if boxes is not None:
        conditions.append(_any_of(_IN_BOX, [(e, w, e, w, n, s) for w, s, e, n in boxes]))
    if search.collections is None:
        conditions += _place_in_order(position)
        yield from _select(connection, search, boxes, position, conditions, index="items_in_order")
        return
    listed = connection.execute(
        "SELECT id FROM collections WHERE id IN (SELECT value FROM json_each(?))", (_array(search.collections),)
    ).fetchall()
    walks = [
        _select(
            connection,
            search,
            boxes,
            position,
            [("collection = ?", (collection,)), *conditions, *_place_in_order(position, collection)],
            index="items_of_collection",
        )
        for (collection,) in listed
    ]
    yield from heapq.merge(*walks, key=itemgetter(1, 2, 3), reverse=position is not None and position.backwards)


_Condition = tuple[str, tuple[object, ...]]
"""A piece of a WHERE clause and its bound values."""

_IN_BOX = """CASE WHEN west <= east THEN west <= ? AND east >= ? ELSE west <= ? OR east >= ? END
AND south <= ? AND north >= ?"""

_INSIDE_BOX = "west <= east AND west >= ? AND south >= ? AND east <= ? AND north <= ?"


def _select(
    connection: sqlite3.Connection,
    search: Search,
    boxes: tuple[Box, ...] | None,
    position: Position | None,
    conditions: list[_Condition],
    *,
    index: str | None = None,
    order: str = "rank {0}, id {0}, collection {0}",
) -> Iterator[_Row]:
    """Rows of the items table; every value is bound, the rest of the text is this file's own."""
    sure: _Condition = ("TRUE", ()) if boxes is None else ("FALSE", ())
    if boxes is not None and search.bbox is not None:  # then the boxes are the place itself
        sure = _any_of(_INSIDE_BOX, list(boxes))
    text = f"""SELECT seq, rank, id, collection, {sure[0]} FROM items {"" if index is None else f"INDEXED BY {index}"}
        WHERE {" AND ".join(condition for condition, _ in conditions) or "TRUE"}
        ORDER BY {order.format("DESC" if position is not None and position.backwards else "ASC")}"""  # noqa: S608
    return connection.execute(text, [*sure[1], *(value for _, values in conditions for value in values)])


def _any_of(condition: str, choices: list[tuple[float, ...]]) -> _Condition:
    text = "(" + " OR ".join(f"({condition})" for _ in choices) + ")"
    return text, tuple(value for choice in choices for value in choice)


def _array(values: Iterable[str | int]) -> str:
    """A JSON array, which is one bound value however long; a name that no document can have is left out."""
    return orjson.dumps([value for value in values if isinstance(value, int) or value.isprintable()]).decode()


def _time_conditions(window: TimeWindow | None) -> list[_Condition]:
    conditions: list[_Condition] = []
    if window is not None and window.end is not None:
        conditions.append(("since <= ?", (microseconds(window.end),)))
    if window is not None and window.start is not None:
        conditions.append(("until >= ?", (microseconds(window.start),)))
    return conditions


def _place_in_order(position: Position | None, collection: str | None = None) -> list[_Condition]:
    """Only what lies beyond the position; of one collection only, so that its index serves."""
    if position is None:
        return []
    sign = "<" if position.backwards else ">"
    if collection is None:
        sign += "=" if position.inclusive else ""
        return [(f"(rank, id, collection) {sign} (?, ?, ?)", (position.rank, position.id, position.collection))]
    ties = (
        position.inclusive
        if collection == position.collection
        else ((collection < position.collection) == position.backwards)
    )
    return [(f"(rank, id) {sign}{'=' if ties else ''} (?, ?)", (position.rank, position.id))]


def _ranks(connection: sqlite3.Connection, window: TimeWindow | None, position: Position | None) -> list[_Condition]:
    """Where in the order the items of a time window can lie, so that a walk neither starts nor ends outside of it.

    No span starts further before its item's moment than the largest lead, nor ends further after it than the largest
    lag. The end of the walk at which the position lies needs no further bound.
    """
    if window is None:
        return []
    lead, lag = connection.execute(
        "SELECT (SELECT min(since + rank) FROM items), (SELECT max(until + rank) FROM items)"
    ).fetchone()
    conditions: list[_Condition] = []
    if window.end is not None and lead is not None and (position is None or position.backwards):
        conditions.append(("rank >= ?", (lead - microseconds(window.end),)))
    if window.start is not None and lag is not None and (position is None or not position.backwards):
        conditions.append(("rank <= ?", (lag - microseconds(window.start),)))
    return conditions


def _keys(connection: sqlite3.Connection, search: Search, boxes: tuple[Box, ...]) -> list[int] | None:
    """Items whose box touches one of the boxes, out of the R*Tree; None when a walk is quicker than so many."""
    window = search.datetime
    time: list[_Condition] = []
    if window is not None and window.end is not None:
        time.append(("since <= ?", (microseconds(window.end) / _DAY_US,)))
    if window is not None and window.start is not None:
        time.append(("until >= ?", (microseconds(window.start) / _DAY_US,)))
    text = " AND ".join(["west <= ? AND east >= ? AND south <= ? AND north >= ?", *(piece for piece, _ in time)])
    more = [value for _, values in time for value in values]
    # To fill a page, a walk looks at limit · total / n items where n of them touch the boxes; the R*Tree lists all n.
    (total,) = connection.execute("SELECT coalesce(max(seq), 0) FROM items").fetchone()
    crowd = int(math.sqrt(search.limit * total / WALK_SPEED))
    found: list[int] = []
    for west, south, east, north in boxes:
        rows = connection.execute(
            f"SELECT key / 2 FROM places WHERE {text} LIMIT ?",  # noqa: S608 - every value is bound
            (east, west, north, south, *more, crowd + 1),
        )
        found += [seq for (seq,) in rows]
        if len(found) > crowd:  # rows, not items: an item across the antimeridian may stand here twice
            return None
    return sorted(set(found))
