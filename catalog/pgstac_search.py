"""What a search finds in a pgstac database: one statement for its items, with every value bound.

pgstac's own ``search`` is not called: it takes tens of milliseconds, and other than this it holds no place in an order
while items come and go. PostgreSQL finds the items by the index that promises the fewest: pgstac's over the geometry or
its one over ids, or a walk along ours, which is the order of time itself.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import shapely
from psycopg import errors

from catalog.extent import TimeWindow, microseconds
from catalog.filter import CORE, And, Comparison, Constant, Instant, Membership, Predicate, Property, Spatial, conjuncts
from catalog.filter_sql import FALSE, Sql, around, compile_filter, joined
from catalog.folding import words
from catalog.pgstac_columns import Pick
from catalog.pgstac_filter import COLUMNS, MOMENT, PgstacDialect, names, shape, stamp
from catalog.pgstac_items import COLUMNS as DOCUMENT
from catalog.pgstac_order import Found, Order
from catalog.pgstac_schema import Connection
from catalog.place import Place
from catalog.search import MAX_MATCHED, Search
from catalog.token import Position

_AT_ONCE = 5000
"""Rows that are read on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a search may look, as the tables say it."""

    collections: tuple[str, ...] | None
    """Those of the search that may be seen; None is every one of the database."""

    lead: int
    """How far the moment of an item lies behind its start at most, in microseconds."""

    lag: int
    """How far the end of an item lies behind its moment at most, in microseconds."""

    is_split: bool
    """Whether pgstac keeps items in a table for every month or year."""


def read_scope(connection: Connection, search: Search, tenants: frozenset[str] | None) -> Scope:
    """Look up what limits a search of those collections; it holds as long as the revision does."""
    conditions = [Sql("TRUE")]
    if tenants is not None:
        conditions.append(visible("o.tenant", tenants))
    if search.collections is not None:
        conditions.append(around("c.id = ANY ({})", names(search.collections)))
    listed = "array_agg(c.id)" if tenants is not None else "NULL"
    where = joined(" AND ", conditions)
    row = connection.execute(
        f"""SELECT {listed}, coalesce(max(s.lead), 0), coalesce(max(s.lag), 0),
                coalesce(bool_or(c.partition_trunc IS NOT NULL), FALSE)
            FROM pgstac.collections c LEFT JOIN overflight.collections o USING (id)
            LEFT JOIN overflight.spans s ON s.collection = c.id
            WHERE {where.text}""".encode(),  # noqa: S608 - every value is bound
        where.values,
    ).fetchone()
    assert row is not None
    return Scope(
        collections=search.collections if tenants is None else tuple(row[0] or ()),
        lead=row[1],
        lag=row[2],
        is_split=row[3],
    )


def visible(tenant: str, tenants: frozenset[str] | None) -> Sql:
    """Whether a collection of that tenant, a column, may be seen."""
    if tenants is None:
        return Sql("TRUE")
    return around(f"({tenant} IS NULL OR {tenant} = ANY ({{}}))", names(sorted(tenants)))


class Query:
    """A search, made ready for statements."""

    def __init__(self, search: Search, place: Place | None, scope: Scope, *, mend: bool = False) -> None:
        """Take what `narrowed` gives; ``mend`` to compare shapes that other programs have drawn across themselves."""
        self._dialect = PgstacDialect(mend=mend)
        self._search = search
        self._place = place
        self._conditions = [
            *_in_collections(scope.collections),
            *_in_ids(search.ids),
            *_in_time(search.datetime, scope),
            *self._in_place(),
            *_implied(search.filter),
        ]
        if search.filter is not None:
            self._conditions.append(compile_filter(search.filter, self._dialect))
        if search.text is not None:
            self._conditions.append(_with_words(search.text))

    def page(self, connection: Connection, position: Position | None) -> tuple[int, list[Found]]:
        """The items of a page, and one more where there is one, in the direction of reading; and at which revision."""
        order = Order(self._search, self._dialect, backwards=position is not None and position.backwards)
        conditions = list(self._conditions)
        if position is not None:
            conditions.append(order.beyond(position))
        inner = around(
            f"SELECT i.*, {', '.join(order.selected())} {{}} ORDER BY {order.text()} LIMIT {self._search.limit + 1}",
            self._source(conditions),
        )
        keys = ", ".join(order.values())
        found = around(f"SELECT {DOCUMENT}, {keys} FROM ({{}}) AS items", inner)  # noqa: S608 - every value is bound
        statement = around("SELECT now.revision, found.* FROM (SELECT overflight.revision()) AS now (revision)"
                           " LEFT JOIN ({}) AS found ON TRUE", found)  # fmt: skip
        rows = connection.execute(statement.text.encode(), statement.values).fetchall()
        items = [(row[1 : -order.width], order.keys(row[-order.width :])) for row in rows if row[1] is not None]
        return rows[0][0], items

    def count(self, connection: Connection) -> int | None:
        """How many items there are on all pages; None where they are more than `MAX_MATCHED`."""
        source = self._source(self._conditions)
        text = f"SELECT count(*) FROM (SELECT {source.text} LIMIT {MAX_MATCHED + 1}) AS found"  # noqa: S608
        row = connection.execute(text.encode(), source.values).fetchone()
        assert row is not None
        return row[0] if row[0] <= MAX_MATCHED else None

    def columns(
        self, connection: Connection, wanted: Sequence[str], *, within_s: float
    ) -> Iterator[tuple[object, ...]]:
        """Of every item, what `catalog.aggregate.columns` names, as the items are found.

        Raises
        ------
        QueryCanceled
            Not all were found in time.
        """
        picks = [Pick(name, self._dialect) for name in wanted]
        chosen = ", ".join(column for pick in picks for column in pick.columns) or "NULL"
        source = self._source(self._conditions)
        with connection.cursor("aggregate") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(f"SELECT {chosen} {source.text}".encode(), source.values)
            end = time.monotonic() + within_s
            for number, row in enumerate(cursor):
                if number % _AT_ONCE == 0 and time.monotonic() > end:
                    raise errors.QueryCanceled(f"reading took more than {within_s:.0f} s")
                rest = iter(row)
                yield tuple(pick.value([next(rest) for _ in pick.columns]) for pick in picks)

    def _source(self, conditions: Sequence[Sql]) -> Sql:
        where = joined(" AND ", conditions) if conditions else Sql("TRUE")
        return around("FROM pgstac.items i {} WHERE {}", self._dialect.sources(), where)

    def _in_place(self) -> list[Sql]:
        if self._place is None:
            return []
        touching = self._dialect.touching(self._place.outline)
        if not is_scattered(self._place):
            return [touching]
        boxes = (around("i.geometry && {}", shape(shapely.box(*box))) for box in self._place.boxes)
        return [joined(" OR ", boxes), touching]


def is_scattered(place: Place | None) -> bool:
    """Whether a place is in several boxes: around all of them, as across the antimeridian, is often all of the world.

    PostgreSQL puts together what an index has for each of them by bitmaps, which it has to be allowed.
    """
    return place is not None and len(place.boxes) > 1


def narrowed(search: Search) -> tuple[Search, Place | None]:
    """Let what a filter says of ids and the place find the items, as if it had been asked for there."""
    place = Place.of(search)
    ids = search.ids
    rest: list[Predicate] = []
    for part in conjuncts(search.filter):
        match part:
            case Spatial("s_intersects", drawn) if place is None:
                place = Place(shape=drawn)
            case Comparison("=", Property("id"), Constant(str(name))) if ids is None:
                ids = (name,)
            case Membership(Property("id"), some, "text") if ids is None:
                ids = tuple(str(name) for name in some)
            case _:
                rest.append(part)
    left = And(tuple(rest)) if len(rest) > 1 else next(iter(rest), None)
    return replace(search, filter=left, ids=ids), place


# --- conditions ---


def _in_collections(collections: tuple[str, ...] | None) -> list[Sql]:
    if collections is None:
        return []
    if len(collections) == 1 and collections[0].isprintable():
        return [Sql("i.collection = %s", collections)]
    return [around("i.collection = ANY ({})", names(collections))]


def _in_ids(ids: tuple[str, ...] | None) -> list[Sql]:
    return [] if ids is None else [around("i.id = ANY ({})", names(ids))]


def _in_time(window: TimeWindow | None, scope: Scope) -> list[Sql]:
    """The item's span meets the window; and what follows of its moment, so that a walk starts and ends there.

    No span starts further before its item's moment than the lead, nor ends further after it than the lag. Where both
    are nothing, every span is a moment.
    """
    if window is None:
        return []
    start = None if window.start is None else microseconds(window.start)
    end = None if window.end is None else microseconds(window.end)
    conditions = []
    if end is not None:
        conditions.append(around(f"{MOMENT} <= {{}}", stamp(end + scope.lead)))
    if start is not None:
        conditions.append(around(f"{MOMENT} >= {{}}", stamp(start - scope.lag)))
    has_spans = scope.lead > 0 or scope.lag > 0
    if end is not None and (has_spans or scope.is_split):
        conditions.append(around("i.datetime <= {}", stamp(end)))
    if start is not None and has_spans:
        conditions.append(around("i.end_datetime >= {}", stamp(start)))
    if start is not None and scope.is_split:
        conditions.append(around("i.datetime >= {}", stamp(start - scope.lag - scope.lead)))
    return conditions


def _implied(predicate: Predicate | None) -> list[Sql]:
    """What a filter says for which there is an index: in its own words that would not be seen."""
    conditions = []
    for part in conjuncts(predicate):
        match part:
            case Spatial(op, drawn) if op not in ("s_disjoint", "s_intersects"):
                conditions.append(around("i.geometry && {}", shape(drawn)))
            case Comparison(op, Property(name), Instant(moment)) if CORE.get(name) == "instant" and op != "<>":
                conditions.append(around(f"{COLUMNS[name]} {op} {{}}", stamp(moment)))
    return conditions


def _with_words(terms: Sequence[str]) -> Sql:
    """The words of an item of ours stand beside it; of another program's item they are made for every search."""
    wanted = [words(term) for term in terms if words(term)]
    if not wanted:
        return FALSE
    return around(
        """(SELECT bool_or(strpos(held.words, term) > 0) FROM unnest({}) AS term, (SELECT
            CASE WHEN i.private->'overflight' ? 'etag' THEN i.private->'overflight'->>'words'
            ELSE overflight.item_words(i.content->'properties') END AS words) AS held)""",
        Sql("%s::text[]", (wanted,)),
    )
