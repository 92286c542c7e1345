"""The large catalog: a PostgreSQL database with PostGIS and pgstac, which other programs may go on reading and writing.

pgstac.items         items, as pgstac keeps them (`catalog.pgstac_items`)
pgstac.collections   collections, the same
overflight.*         whose a collection is, what its items say of it, and functions that searches need
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from psycopg import errors

from catalog import pgstac_summary, pgstac_write
from catalog.aggregate import Aggregate, Aggregation, columns, fold
from catalog.condition import not_found
from catalog.document import compose_collection, etag_of, read_document
from catalog.extent import moment_of
from catalog.filter import CORE, GEOMETRY, properties_of
from catalog.filter_sql import Sql, around, joined
from catalog.pgstac_database import SEARCH_S, Postgres
from catalog.pgstac_filter import names
from catalog.pgstac_items import COLUMNS, Row, Shelf, collection_body
from catalog.pgstac_order import Found, ends
from catalog.pgstac_schema import Connection, make
from catalog.pgstac_search import Query, Scope, is_scattered, narrowed, read_scope, visible
from catalog.pgstac_summary import read_summary
from catalog.queryables import check_properties
from catalog.search import ALWAYS, Condition, Document, Page, Search
from catalog.summary import Summary
from catalog.token import Position, read_token, write_token

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Reading(Protocol[T_co]):
    """Something to be read, with shapes mended or as they are."""

    def __call__(self, connection: Connection, *, mend: bool) -> T_co: ...


class PgstacCatalog:
    """A `catalog.search.Catalog` in a pgstac database."""

    def __init__(self, dsn: str) -> None:
        """Open the database; pgstac is installed where there is none, and what we need of our own is made.

        Raises
        ------
        CatalogError
            It cannot be reached, is no database that a catalog can be kept in, or was made by a newer program.
        """
        make(dsn)
        self.postgres = Postgres(dsn)
        self.shelf = Shelf()
        self.key = self.postgres.read(lambda connection: _one(connection, "SELECT key FROM overflight.state"))
        self.known = Known(-1, {}, {}, set())
        """Perhaps outdated; every page tells its revision."""

    def close(self) -> None:
        """Close every connection; the next call opens one again."""
        self.postgres.close()

    def view(self, tenants: frozenset[str] | None = None) -> "PgstacView":
        """What these tenants see; see `catalog.search.Catalog.view`."""
        return PgstacView(self, tenants)

    def put(
        self,
        documents: Iterable[Mapping[str, Any] | bytes],
        *,
        tenant: str | None = None,
        condition: Condition = ALWAYS,
    ) -> int:
        """Insert or replace Collections and Items; see `catalog.search.Catalog.put`."""
        checked = [read_document(document) for document in documents]
        self.postgres.write(
            lambda connection: pgstac_write.write(connection, self.shelf, checked, tenant=tenant, condition=condition)
        )
        return len(checked)

    def delete(self, collection: str, item: str | None = None, *, condition: Condition = ALWAYS) -> None:
        """Remove an Item, or a Collection with all its Items; see `catalog.search.Catalog.delete`."""
        if not _are_printable(collection, item):
            raise not_found(collection, item)
        self.postgres.write(
            lambda connection: pgstac_write.remove(connection, self.shelf, collection, item, condition=condition)
        )

    def refresh(self, collection: str | None = None) -> int:
        """Take in what other programs have written, to one collection or to all of them; how many items were mended.

        Their geometries are cut at the antimeridian and mended where they cross themselves, as those of items that are
        put here are; what the items are like for who reads them stays the same. Then the collection is looked at anew.
        Without this, a search is right about all other items, but a collection's extent, its summaries and what can be
        asked for know only what was there when somebody first asked.

        Raises
        ------
        NotFoundError
            There is no such collection.
        """
        there = self.postgres.read(lambda connection: _collection_ids(connection, collection))
        if collection is not None and not there:
            raise not_found(collection, None)
        return sum(self.postgres.write(partial(pgstac_summary.refresh, self.shelf, name)) for name in there)

    def renewed(self, collection: str) -> Summary:
        """What a collection holds, looked at again where that is needed."""

        def renew(connection: Connection) -> Summary:
            kept = pgstac_summary.lock(connection, [collection]).get(collection)
            return Summary() if kept is None else pgstac_summary.renew(connection, kept)

        return self.postgres.write(renew)

    def look(self, connection: Connection) -> "Known":
        """See whether what is `known` still holds, and give what does."""
        revision = _one(connection, "SELECT overflight.revision()")
        known = self.known
        if known.revision != revision:
            known = self.known = Known(revision, {}, {}, set())
        return known


@dataclass(frozen=True, slots=True)
class Known:
    """What was read of the collections at one revision, and holds as long as that does."""

    revision: int
    scopes: dict[object, Scope]
    """By who searches in which collections."""

    names: dict[frozenset[str] | None, Mapping[str, Summary]]
    """By who sees them: of what the collections hold, here only the names of the properties matter."""

    checked: set[object]
    """Who asked for which properties of which collections, and was not refused."""


class PgstacView:
    """A `catalog.search.View` of a pgstac database."""

    def __init__(self, catalog: PgstacCatalog, tenants: frozenset[str] | None) -> None:
        self._catalog = catalog
        self._postgres = catalog.postgres
        self._shelf = catalog.shelf
        self._tenants = tenants

    def get(self, collection: str, item: str | None = None) -> Document:
        """One Collection or Item; see `catalog.search.View.get`."""
        if not _are_printable(collection, item):
            raise not_found(collection, item)
        if item is None:
            found = next(self._documents(collection), None)
        else:
            found = self._postgres.read(lambda connection: self._item(connection, collection, item))
        if found is None:
            raise not_found(collection, item)
        return found

    def collections(self) -> Sequence[bytes]:
        """Every Collection as JSON bytes, by id; see `catalog.search.View.collections`."""
        return tuple(document.body for document in self._documents())

    def summaries(self) -> Mapping[str, Summary]:
        """What each collection holds; see `catalog.search.View.summaries`."""
        return {row[0]: self._summary(row) for row in self._rows()}

    def search(self, search: Search) -> Page:
        """The items that meet every condition; see `catalog.search.View.search`."""
        position = None if search.token is None else read_token(search.token, search, self._tenants, self._catalog.key)
        asked, place = narrowed(search)

        def read(connection: Connection, *, mend: bool) -> Page | None:
            if is_scattered(place):
                connection.execute(_WITH_BITMAPS)
            query = Query(asked, place, self._scope(connection, known, asked), mend=mend)
            revision, found = query.page(connection, position)
            if revision != known.revision:
                return None
            return self._page(connection, search, position, found, query.count(connection) if search.count else None)

        while True:
            known = self._checked(search)
            # One statement sees one state of the database by itself.
            page = self._mending(read, snapshot=search.count or is_scattered(place))
            if page is not None:
                return page
            self._postgres.read(self._catalog.look)

    def aggregate(self, search: Search, wanted: Sequence[Aggregation]) -> Sequence[Aggregate]:
        """Figures over all items that a search finds; see `catalog.search.View.aggregate`."""
        self._postgres.read(self._catalog.look)
        self._checked(search)
        asked, place = narrowed(search)

        def read(connection: Connection, *, mend: bool) -> Sequence[Aggregate]:
            connection.execute(_WITH_BITMAPS)
            query = Query(asked, place, read_scope(connection, asked, self._tenants), mend=mend)
            return fold(wanted, query.columns(connection, columns(wanted), within_s=SEARCH_S))

        return self._mending(read, snapshot=True)

    def _mending(self, work: "_Reading[T]", *, snapshot: bool) -> T:
        """Ask again with mended shapes where one that another program wrote cannot be compared."""
        try:
            return self._postgres.read(partial(work, mend=False), snapshot=snapshot)
        except errors.InternalError_:
            return self._postgres.read(partial(work, mend=True), snapshot=snapshot)

    def _scope(self, connection: Connection, known: "Known", search: Search) -> Scope:
        """What limits a search, as far as it is known, and perhaps outdated like that."""
        who = (self._tenants, search.collections)
        if who not in known.scopes:
            if len(known.scopes) > MAX_SCOPES:
                known.scopes.clear()
            known.scopes[who] = read_scope(connection, search, self._tenants)
        return known.scopes[who]

    def _page(
        self,
        connection: Connection,
        search: Search,
        position: Position | None,
        found: Sequence[Found],
        matched: int | None,
    ) -> Page:
        backwards = position is not None and position.backwards
        more = len(found) > search.limit
        rows = found[: search.limit][:: -1 if backwards else 1]
        onwards, back = ends(rows, position)
        return Page(
            items=tuple(self._shelf.body(connection, row) for row, _ in rows),
            next_token=self._token(onwards, search) if more or backwards else None,
            previous_token=self._token(back, search) if (more if backwards else position is not None) else None,
            matched=matched,
        )

    def _checked(self, search: Search) -> "Known":
        """Refuse a property that none of the collections has; gives what is known of them, perhaps outdated.

        What every item has takes no looking up.
        """
        known = self._catalog.known
        asked = frozenset((*(key.property for key in search.sortby), *properties_of(search.filter)))
        question = (self._tenants, search.collections, asked)
        if not asked <= _ALWAYS_THERE and question not in known.checked:
            known = self._postgres.read(self._catalog.look)
            if self._tenants not in known.names:
                known.names[self._tenants] = {row[0]: self._summary(row, fresh=False) for row in self._rows()}
            check_properties(search, known.names[self._tenants])
            known.checked.add(question)
        return known

    def _token(self, position: Position | None, search: Search) -> str | None:
        return None if position is None else write_token(position, search, self._tenants, self._catalog.key)

    def _item(self, connection: Connection, collection: str, item: str) -> Document | None:
        where = [Sql("collection = %s AND id = %s", (collection, item))]
        if self._tenants is not None:
            seen = visible("o.tenant", self._tenants)
            where.append(
                around("NOT EXISTS (SELECT FROM overflight.collections o WHERE o.id = collection AND NOT {})", seen)
            )
        condition = joined(" AND ", where)
        statement = f"SELECT {COLUMNS} FROM pgstac.items WHERE {condition.text}"  # noqa: S608 - every value is bound
        row = connection.execute(statement.encode(), condition.values).fetchone()
        return None if row is None else self._shelf.document(connection, row)

    def _documents(self, collection: str | None = None) -> Iterator[Document]:
        for row in self._rows(collection):
            _, content, modified, _ = row
            body = compose_collection(collection_body(content), self._summary(row))
            yield Document(body=body, etag=etag_of(body), modified=None if modified is None else moment_of(modified))

    def _summary(self, row: Row, *, fresh: bool = True) -> Summary:
        """What a collection holds; looked at where nobody has before, or where a ``fresh`` look is needed."""
        summary = None if row[3] is None else read_summary(row[3])
        if summary is None or (fresh and summary.stale):
            return self._catalog.renewed(row[0])
        return summary

    def _rows(self, collection: str | None = None) -> list[Row]:
        """Id, document, time of change and summary of each collection that may be seen, by id."""
        wanted = [visible("o.tenant", self._tenants)]
        if collection is not None:
            wanted.append(Sql("c.id = %s", (collection,)))
        where = joined(" AND ", wanted)
        statement = f"""SELECT c.id, c.content,
                CASE WHEN o.content = md5(c.content::text) THEN o.modified END, o.summary
            FROM pgstac.collections c LEFT JOIN overflight.collections o USING (id)
            WHERE {where.text} ORDER BY c.id COLLATE "C\""""  # noqa: S608 - every value is bound
        return self._postgres.read(lambda connection: connection.execute(statement.encode(), where.values).fetchall())


MAX_SCOPES = 10_000
"""Kept at once."""

_WITH_BITMAPS = b"SET LOCAL enable_bitmapscan TO on"

_ALWAYS_THERE = CORE.keys() | {GEOMETRY}


def _one(connection: Connection, statement: str) -> Any:  # noqa: ANN401 - any column
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def _collection_ids(connection: Connection, collection: str | None) -> list[str]:
    where = Sql("TRUE") if collection is None else around("id = ANY ({})", names([collection]))
    statement = f"SELECT id FROM pgstac.collections WHERE {where.text} ORDER BY id"  # noqa: S608 - every value is bound
    return [row[0] for row in connection.execute(statement.encode(), where.values).fetchall()]


def _are_printable(collection: str, item: str | None) -> bool:
    """No document has another id; some are not even text to PostgreSQL."""
    return collection.isprintable() and (item is None or item.isprintable())
