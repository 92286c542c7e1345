"""A search as conditions on the tables of the embedded catalog; every value in them is bound."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import orjson

from catalog import aggregate
from catalog.extent import TimeWindow, microseconds
from catalog.filter import And, Comparison, Constant, Membership, Predicate, Property, Spatial, conjuncts
from catalog.filter_sql import Sql, compile_filter, joined
from catalog.folding import words
from catalog.place import Place
from catalog.search import Search
from catalog.sqlite_filter import SqliteDialect
from catalog.sqlite_schema import DAY_US

AT_HAND = 2048
"""Bytes of an outline that is carried along with its item; a larger one is read when it is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search, prepared for the statements."""

    search: Search
    place: Place | None
    """Where to look."""

    collections: tuple[str, ...] | None
    """Those of the search that may be seen; None is every one of the catalog."""

    conditions: tuple[Sql, ...]
    """All but the place, the collections, and where the page starts."""

    keys: tuple[Sql, ...]
    """What the items are sorted by."""

    columns: Mapping[str, str]
    """Properties that have a column of their own, with an index."""

    rest: Predicate | None
    """The filter without what became part of the search itself."""


def prepare(
    connection: sqlite3.Connection, search: Search, scope: frozenset[str] | None, columns: Mapping[str, str]
) -> Query:
    """Turn a search into conditions; every value in them is bound."""
    search, place = _narrowed(search)
    dialect = SqliteDialect(columns)
    conditions = _time_conditions(search.datetime)
    if search.ids is not None and place is not None:
        conditions.append(Sql("west IS NOT NULL"))  # every other way to a place leads past what lies nowhere
    if search.ids is not None:
        conditions.append(Sql("id IN (SELECT value FROM json_each(?))", (array(search.ids),)))
    if search.filter is not None:
        conditions.append(compile_filter(search.filter, dialect))
    if search.text is not None:
        found = [Sql("instr(text, ?) > 0", (words(term),)) for term in search.text if words(term)]
        conditions.append(joined(" OR ", found) if found else Sql("FALSE"))
    return Query(
        search=search,
        place=place,
        collections=search.collections if scope is None else _seen(connection, search.collections, scope),
        conditions=tuple(conditions),
        keys=tuple(dialect.sort_value(key.property) for key in search.sortby),
        columns=columns,
        rest=search.filter,
    )


def aggregated(name: str, query: Query) -> Sql:
    """A column that `catalog.aggregate.columns` names."""
    match name:
        case "datetime":
            return Sql("moment")
        case "collection":
            return Sql("collection")
        case aggregate.LON:  # the middle of the box, also of one across the antimeridian
            return Sql("CASE WHEN west <= east THEN (west + east) / 2"
                       " ELSE (west + east + 360) / 2 - iif(west + east > 0, 360, 0) END")  # fmt: skip
        case aggregate.LAT:
            return Sql("(south + north) / 2")
        case _:
            return SqliteDialect(query.columns).sort_value(name)


def in_collections(query: Query) -> list[Sql]:
    """The item is of one of the collections."""
    if query.collections is None:
        return []
    if len(query.collections) == 1:
        return [Sql("collection = ?", query.collections)]
    return [Sql("collection IN (SELECT value FROM json_each(?))", (array(query.collections),))]


def in_boxes(query: Query) -> list[Sql]:
    """For a walk: the item's box touches one of the place's."""
    if query.place is None:
        return []
    text = """CASE WHEN west <= east THEN west <= ? AND east >= ? ELSE west <= ? OR east >= ? END
        AND south <= ? AND north >= ?"""
    return [joined(" OR ", (Sql(text, (e, w, e, w, n, s)) for w, s, e, n in query.place.boxes))]


def keys_in_places(query: Query, since: float | None = None, until: float | None = None) -> Sql:
    """Items whose boxes and times touch the query's, by the R*Tree; perhaps a slice of time in days."""
    assert query.place is not None
    window = query.search.datetime
    text = _TREE
    values: tuple[float, ...] = ()
    if window is not None and window.end is not None:
        text, values = f"{text} AND since <= ?", (microseconds(window.end) / DAY_US,)
    if window is not None and window.start is not None:
        text, values = f"{text} AND until >= ?", (*values, microseconds(window.start) / DAY_US)
    if since is not None and until is not None:
        text, values = f"{text} AND until >= ? AND since <= ?", (*values, since, until)
    boxes = query.place.boxes
    if len(boxes) == 1:
        ((west, south, east, north),) = boxes
        return Sql(text, (east, west, north, south, *values))
    of_each = [(east, west, north, south, *values) for west, south, east, north in boxes]
    return Sql(" UNION ".join([text] * len(boxes)), tuple(value for some in of_each for value in some))


_TREE = "SELECT key / 2 AS seq FROM places WHERE west <= ? AND east >= ? AND south <= ? AND north >= ?"


def keys_with_times(query: Query) -> Sql:
    """The same, with the first and the last moment that each may have, in days, a little too early and too late."""
    keys = keys_in_places(query)
    return Sql(keys.text.replace("AS seq FROM", "AS seq, since, until FROM"), keys.values)


def _time_conditions(window: TimeWindow | None) -> list[Sql]:
    conditions: list[Sql] = []
    if window is not None and window.end is not None:
        conditions.append(Sql("since <= ?", (microseconds(window.end),)))
    if window is not None and window.start is not None:
        conditions.append(Sql("until >= ?", (microseconds(window.start),)))
    return conditions


def doubt(query: Query) -> Sql:
    """Whether an item's outline has to be looked at: the outline itself, NULL where it has not, 1 for a large one.

    It has not where there is no place, and where the place is nothing but boxes and the item's box lies in one of them.
    """
    if query.place is None:
        return Sql("NULL")
    if not query.place.is_boxes:
        return Sql(_OUTLINE)
    boxes = query.place.boxes
    return Sql(_doubt_in_boxes(len(boxes)), tuple(edge for box in boxes for edge in box))


_OUTLINE = f"""(SELECT CASE WHEN length(shape) <= {AT_HAND} THEN shape ELSE 1 END
    FROM documents WHERE seq = items.seq)"""  # noqa: S608


@cache
def _doubt_in_boxes(count: int) -> str:
    inside = "west <= east AND west >= ? AND south >= ? AND east <= ? AND north <= ?"
    return f"CASE WHEN {' OR '.join([inside] * count)} THEN NULL ELSE {_OUTLINE} END"


def array(values: Iterable[object]) -> str:
    """A JSON array, which is one bound value however long; a name that no document can have is left out."""
    return orjson.dumps([value for value in values if not isinstance(value, str) or value.isprintable()]).decode()


def _narrowed(search: Search) -> tuple[Search, Place | None]:
    """Let what a filter says of ids, collections and the place find the items, as if it had been asked for there."""
    place = Place.of(search)
    if search.filter is None:
        return search, place
    narrower: dict[str, Any] = {}
    rest: list[Predicate] = []
    for part in conjuncts(search.filter):
        match part:
            case Spatial("s_intersects", shape) if place is None:
                place = Place(shape=shape)
            case Comparison("=", Property("id"), Constant(str(name))) if search.ids is None and "ids" not in narrower:
                narrower["ids"] = (name,)
            case Membership(Property("id"), names, "text") if search.ids is None and "ids" not in narrower:
                narrower["ids"] = tuple(str(name) for name in names)
            case _:
                rest.append(part)
    if len(rest) == 1 and not narrower and rest[0] is search.filter:
        return search, place
    left = And(tuple(rest)) if len(rest) > 1 else next(iter(rest), None)
    return replace(search, filter=left, **narrower), place


def _seen(connection: sqlite3.Connection, wanted: tuple[str, ...] | None, scope: frozenset[str]) -> tuple[str, ...]:
    """Those of the wanted collections, or of all, that the scope sees."""
    tenants = Sql("(tenant IS NULL OR tenant IN (SELECT value FROM json_each(?)))", (array(scope),))
    conditions = [tenants]
    if wanted is not None:
        conditions.append(Sql("id IN (SELECT value FROM json_each(?))", (array(wanted),)))
    where = joined(" AND ", conditions)
    rows = connection.execute(f"SELECT id FROM collections WHERE {where.text} ORDER BY id", where.values)  # noqa: S608
    return tuple(name for (name,) in rows)
