"""The embedded catalog: one SQLite file, for many threads and processes at once."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from catalog import sqlite_write
from catalog.aggregate import Aggregate, Aggregation, columns, fold
from catalog.condition import not_found
from catalog.database import Database
from catalog.document import ReadDocument, compose_collection, etag_of, item_body, read_document
from catalog.extent import moment_of
from catalog.filter import CORE, GEOMETRY, properties_of
from catalog.queryables import check_properties
from catalog.search import ALWAYS, MAX_MATCHED, Condition, Document, Page, Search
from catalog.sqlite_filter import register
from catalog.sqlite_query import Query, aggregated, prepare
from catalog.sqlite_schema import columns as property_columns
from catalog.sqlite_schema import make
from catalog.sqlite_search import Row, find, matching
from catalog.summary import Summary
from catalog.token import Position, read_token, write_token

QUICK_STEPS = 100_000
"""Steps of SQLite's virtual machine that a quick search may take: some ten milliseconds."""

_STEPS_AT_ONCE = 5_000


class SqliteCatalog:
    """A `catalog.search.Catalog` in one file."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it where there is none.

        Raises
        ------
        CatalogError
            The file was written by a newer version of this program.
        """
        self.database = Database(path, register)
        make(self.database)
        (self.key,) = self.database.connection().execute("SELECT key FROM state").fetchone()
        self._known = Known(-1, {}, {}, set())

    def close(self) -> None:
        """Close the file in every thread; the next call opens it again."""
        self.database.close()

    def view(self, tenants: frozenset[str] | None = None) -> "SqliteView":
        """What these tenants see; see `catalog.search.Catalog.view`."""
        return SqliteView(self, tenants)

    def put(
        self,
        documents: Iterable[Mapping[str, Any] | bytes | ReadDocument],
        *,
        tenant: str | None = None,
        condition: Condition = ALWAYS,
    ) -> int:
        """Insert or replace Collections and Items; see `catalog.search.Catalog.put`."""
        # Checking takes far longer than writing, so that it is done before other writers are kept waiting.
        checked = [read_document(document) for document in documents]
        with self.database.writing() as connection:
            sqlite_write.write(connection, checked, tenant=tenant, condition=condition)
        return len(checked)

    def delete(self, collection: str, item: str | None = None, *, condition: Condition = ALWAYS) -> None:
        """Remove an Item, or a Collection with all its Items; see `catalog.search.Catalog.delete`."""
        refuse_unprintable(collection, item)
        with self.database.writing() as connection:
            sqlite_write.remove(connection, collection, item, condition=condition)

    def known(self, connection: sqlite3.Connection) -> "Known":
        """What holds at the revision that the connection sees."""
        (revision,) = connection.execute("SELECT revision FROM state").fetchone()
        known = self._known
        if known.revision != revision:
            known = self._known = Known(revision, property_columns(connection), {}, set())
        return known

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Let this thread's writes of the block be synced once for many: a power failure may take the last ones."""
        with self.database.bulk():
            yield


@dataclass(frozen=True, slots=True)
class Known:
    """What was read of the collections at one revision, and holds as long as that does."""

    revision: int
    columns: Mapping[str, str]
    names: dict[frozenset[str] | None, Mapping[str, Summary]]
    """By who sees them: of what the collections hold, here only the names of the properties matter."""

    checked: set[object]
    """Who asked for which properties of which collections, and was not refused."""


class SqliteView:
    """A `catalog.search.View` of the embedded catalog."""

    quick = True
    """`get` takes no longer than a thread's start."""

    def __init__(self, catalog: SqliteCatalog, tenants: frozenset[str] | None) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._tenants = tenants

    def get(self, collection: str, item: str | None = None) -> Document:
        """One Collection or Item; see `catalog.search.View.get`."""
        refuse_unprintable(collection, item)
        if item is None:
            return next(self._documents(collection), None) or _missing(collection)
        row = self._database.connection().execute(_GET, (collection, item)).fetchone()
        if row is None or not self._sees(row[5]):
            raise not_found(collection, item)
        head, properties, tail, etag, modified, _ = row
        body = item_body(head, properties.encode(), tail, collection, item)
        return Document(body=body, etag=etag.hex(), modified=moment_of(modified))

    def collections(self) -> Sequence[bytes]:
        """Every Collection as JSON bytes, by id; see `catalog.search.View.collections`."""
        return tuple(document.body for document in self._documents())

    def summaries(self) -> Mapping[str, Summary]:
        """What each collection holds; see `catalog.search.View.summaries`."""
        return {name: summary for name, summary, _, _ in self._held()}

    def search(self, search: Search) -> Page:
        """The items that meet every condition; see `catalog.search.View.search`."""
        position = self._position(search)
        with self._database.reading() as connection:
            return self._page(connection, search, position)

    def search_quickly(self, search: Search) -> Page | None:
        """The same, or None where it takes more than `QUICK_STEPS`: for who must not wait.

        It takes no snapshot: what is written stays under its number as it is, and what went away in between is missed,
        so that the search is left to who has the patience for one.
        """
        position = self._position(search)
        connection = self._database.connection()
        with _limited(connection, QUICK_STEPS) as spent:
            try:
                return self._page(connection, search, position)
            except KeyError:  # an item went away between two statements
                return None
            except sqlite3.OperationalError:
                if not spent():
                    raise
                return None

    def aggregate(self, search: Search, wanted: Sequence[Aggregation]) -> Sequence[Aggregate]:
        """Figures over all items that a search finds; see `catalog.search.View.aggregate`."""
        with self._database.reading() as connection:
            query = self._query(connection, search)
            rows = matching(connection, query, [aggregated(name, query) for name in columns(wanted)])
            return fold(wanted, (row[4:] for row in rows))

    def _page(self, connection: sqlite3.Connection, search: Search, position: Position | None) -> Page:
        backwards = position is not None and position.backwards
        query = self._query(connection, search)
        rows = find(connection, query, position)
        more = len(rows) > search.limit
        rows = rows[: search.limit]
        if backwards:
            rows.reverse()
        onwards, back = more or backwards, more if backwards else position is not None
        return Page(
            items=tuple(_body(row) for row in rows),
            next_token=self._token(_end(rows, position, backwards=False), search) if onwards else None,
            previous_token=self._token(_end(rows, position, backwards=True), search) if back else None,
            matched=_count(connection, query) if search.count else None,
        )

    def _query(self, connection: sqlite3.Connection, search: Search) -> Query:
        asked = frozenset((*(key.property for key in search.sortby), *properties_of(search.filter)))
        if asked <= _ALWAYS_THERE:
            return prepare(connection, search, self._tenants, {})
        known = self._catalog.known(connection)
        question = (self._tenants, search.collections, asked)
        if question not in known.checked:
            if self._tenants not in known.names:
                known.names[self._tenants] = {name: summary for name, summary, _, _ in self._held(fresh=False)}
            check_properties(search, known.names[self._tenants])
            known.checked.add(question)
        return prepare(connection, search, self._tenants, known.columns)

    def _position(self, search: Search) -> Position | None:
        if search.token is None:
            return None
        return read_token(search.token, search, self._tenants, self._catalog.key)

    def _token(self, position: Position | None, search: Search) -> str | None:
        return None if position is None else write_token(position, search, self._tenants, self._catalog.key)

    def _documents(self, collection: str | None = None) -> Iterator[Document]:
        for _, summary, modified, stored in self._held(collection):
            body = compose_collection(stored, summary)
            yield Document(body=body, etag=etag_of(body), modified=moment_of(modified))

    def _held(self, collection: str | None = None, *, fresh: bool = True) -> Iterator[tuple[str, Summary, int, bytes]]:
        """Name, summary, time of change and stored document of each collection that may be seen, by name."""
        rows = self._database.connection().execute(
            "SELECT id, tenant, modified, body, summary FROM collections WHERE ? IS NULL OR id = ? ORDER BY id",
            (collection, collection),
        )
        for name, tenant, modified, body, kept in rows.fetchall():
            if self._sees(tenant):
                summary = Summary.from_json(orjson.loads(kept))
                if fresh and summary.stale:
                    with self._database.writing() as connection:
                        summary = sqlite_write.renew(connection, name)
                yield name, summary, modified, body

    def _sees(self, tenant: str | None) -> bool:
        return tenant is None or self._tenants is None or tenant in self._tenants


_GET = """SELECT head, properties, tail, items.etag, items.modified, collections.tenant
    FROM items JOIN documents USING (seq) JOIN collections ON collections.id = items.collection
    WHERE items.collection = ? AND items.id = ?"""

_ALWAYS_THERE = CORE.keys() | {GEOMETRY}


@contextmanager
def _limited(connection: sqlite3.Connection, steps: int) -> Iterator[Callable[[], bool]]:
    """End statements that take more steps of the virtual machine; gives whether they did."""
    left = steps // _STEPS_AT_ONCE

    def count() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    connection.set_progress_handler(count, _STEPS_AT_ONCE)
    try:
        yield lambda: left < 0
    finally:
        connection.set_progress_handler(None, 0)


def refuse_unprintable(collection: str, item: str | None) -> None:
    """No document has such an id; some of them are not even text to SQLite."""
    if not (collection.isprintable() and (item is None or item.isprintable())):
        raise not_found(collection, item)


def _missing(collection: str) -> Document:
    raise not_found(collection, None)


def _end(rows: Sequence[Row], position: Position | None, *, backwards: bool) -> Position | None:
    """Where the page before these rows ends, or the one after them begins."""
    if rows:
        _, _, item, collection, *keys, _, _, _ = rows[0 if backwards else -1]
        return Position(backwards=backwards, keys=tuple(keys), id=item, collection=collection)
    # The items went away while somebody paged here; the way back is still there.
    return position.turned() if position is not None and position.backwards != backwards else None


def _count(connection: sqlite3.Connection, query: Query) -> int | None:
    if query.place is None and not query.conditions:  # it is kept with the collections
        names = None if query.collections is None else orjson.dumps(query.collections).decode()
        (counted,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM collections WHERE ? IS NULL OR id IN (SELECT value FROM json_each(?))",
            (names, names),
        ).fetchone()
        return int(counted)
    counted = sum(1 for _ in islice(matching(connection, query), MAX_MATCHED + 1))
    return counted if counted <= MAX_MATCHED else None


def _body(row: Row) -> bytes:
    head, properties, tail = row[-3:]
    return item_body(head, properties.encode(), tail, row[3], row[2])
