"""What a search finds in the embedded catalog: how its items are looked for, and in which order.

Three ways lead to the items of a page, and the one that should look at the fewest is taken:

few     by their ids, out of the R*Tree, or by an indexed property, where these are few: list them, sort them; the tree
        knows about when each one is, so that only those are read whose turn it may be
slices  a place, in order of time: out of the R*Tree, one slice of time after the other until the page is full
walk    along an index in the order itself, trying every item; or, where there is no such index, all of them sorted

Outlines are looked at last, and only until the page is full.
"""

import math
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any

import orjson

from catalog.extent import microseconds
from catalog.filter import CORE, Comparison, Constant, Membership, Predicate, Property, conjuncts
from catalog.filter_sql import Sql, around, joined
from catalog.place import Place
from catalog.sqlite_order import bound, order_of
from catalog.sqlite_query import Query, array, doubt, in_boxes, in_collections, keys_in_places, keys_with_times
from catalog.sqlite_schema import DAY_US
from catalog.token import Position

FEW = 512
"""So many candidates are listed and sorted rather than found in order."""

MAX_ITEMS_BY_ID = 1_000_000
"""Of so many collections an id may be in; a list of ids is never too long to sort."""

WALK_SPEED = 8.0
"""Items that a walk tries in about the time that one candidate of a list takes; both give the same page."""

Row = tuple[Any, ...]
"""seq, `doubt`, id, collection, a value for each sort key, and perhaps the pieces of the document."""

PIECES = ("head", "properties", "tail")


def find(connection: sqlite3.Connection, query: Query, position: Position | None) -> list[Row]:
    """List the items of a page, and one more where there is one, in the direction of reading; all with `PIECES`."""
    wanted = query.search.limit + 1
    found = list(islice(_exact(connection, query, _in_order(connection, query, position), wanted), wanted))
    return found if not found or len(found[0]) > 4 + len(query.keys) else _whole(connection, found)


def _whole(connection: sqlite3.Connection, rows: list[Row]) -> list[Row]:
    """The same rows with the pieces of their documents."""
    wanted = _one_of([row[0] for row in rows])
    statement = f"SELECT seq, {', '.join(PIECES)} FROM items JOIN documents USING (seq) WHERE {wanted.text}"  # noqa: S608
    pieces = {seq: pieces for seq, *pieces in connection.execute(statement, wanted.values)}
    return [(*row, *pieces[row[0]]) for row in rows]


def matching(connection: sqlite3.Connection, query: Query, columns: Sequence[Sql] = ()) -> Iterator[Row]:
    """Every item that the search finds, in no order: `Row` with those columns for its sort keys."""
    conditions = in_collections(query)
    if query.place is not None:
        conditions.append(around("seq IN ({})", keys_in_places(query)))
    rows = _rows(connection, query, conditions, columns=columns)
    return _exact(connection, query, rows, 1000)


def _in_order(connection: sqlite3.Connection, query: Query, position: Position | None) -> Iterator[Row]:
    """Items that meet every condition but perhaps the exact outline, in the direction of reading."""
    if query.place is not None and query.search.ids is None and query.search.sortby[0].property == "datetime":
        timed = _timed(connection, query)
        return _slices(connection, query, position) if timed is None else _by_turns(connection, query, position, timed)
    few = _few(connection, query)
    if few is not None:
        return _sorted(connection, query, position, few)
    if query.search.sortby[0].property != "datetime":
        return _walk_by_key(connection, query, position)
    return _walk_in_time(connection, query, position)


Timed = tuple[int, float, float]
"""seq, and the first and the last moment that the item may have, in days since 1970."""


def _timed(connection: sqlite3.Connection, query: Query) -> list[Timed] | None:
    """What is in the place, by the R*Tree; None where it is much."""
    enough = FEW + 2 * query.search.limit
    keys = keys_with_times(query)
    rows: list[Timed] = connection.execute(f"{keys.text} LIMIT ?", (*keys.values, enough + 1)).fetchall()
    return rows if len(rows) <= enough else None


def _by_turns(
    connection: sqlite3.Connection, query: Query, position: Position | None, timed: list[Timed]
) -> Iterator[Row]:
    """From the end where reading starts: a row is given once nothing that was not read yet can come before it."""
    order = order_of(query, backwards=position is not None and position.backwards)
    (_, down, _), *others = order.keys
    downwards = down != order.backwards
    if len(others) > len(TIES):  # sorted by more than time
        yield from _sorted(connection, query, position, [seq for seq, _, _ in timed])
        return
    timed.sort(key=itemgetter(2 if downwards else 1), reverse=downwards)
    at_once = query.search.limit + MORE
    waiting: list[Row] = []
    for start in range(0, len(timed), at_once):
        seqs = [seq for seq, _, _ in timed[start : start + at_once]]
        conditions = [_one_of(seqs), *in_collections(query), *([] if position is None else [order.beyond(position)])]
        waiting += _rows(connection, query, conditions, source="items NOT INDEXED", whole=True)
        waiting.sort(key=itemgetter(4, 3, 2), reverse=downwards)
        if start + at_once < len(timed):
            _, since, until = timed[start + at_once]
            end = (until if downwards else since) * DAY_US
            ready = sum(row[4] > end if downwards else row[4] < end for row in waiting)
        else:
            ready = len(waiting)
        yield from waiting[:ready]
        del waiting[:ready]


TIES = ("collection", "id")

MORE = 5
"""Rows that are read beyond those of a page: some turn out not to touch the place."""


def _one_of(seqs: Sequence[int]) -> Sql:
    """A few are bound one by one, which is faster; as many as a power of two, so that there are few statements."""
    if len(seqs) > FEW:
        return Sql("seq IN (SELECT value FROM json_each(?))", (orjson.dumps(seqs).decode(),))
    count = 1 << (len(seqs) - 1).bit_length()
    return Sql(_places(count), (*seqs, *[seqs[-1]] * (count - len(seqs))))


@cache
def _places(count: int) -> str:
    return f"seq IN ({', '.join('?' * count)})"


def _few(connection: sqlite3.Connection, query: Query) -> list[int] | None:
    """Items among which all that are wanted must be, where these are few; None where they would be too many."""
    wanted = query.search.limit + 1
    enough = max(FEW + 2 * wanted, int(math.sqrt(wanted * _total(connection) / WALK_SPEED)))
    if query.search.ids is not None:
        names = Sql("SELECT seq FROM items WHERE id IN (SELECT value FROM json_each(?))", (array(query.search.ids),))
        return _listed(connection, names, MAX_ITEMS_BY_ID)
    if query.place is not None:
        return _listed(connection, keys_in_places(query), enough)
    for part in conjuncts(query.rest):
        selective = _by_column(part, query.columns)
        if selective is not None and not _is_known_crowd(selective, enough):
            found = _listed(connection, selective, enough)
            if found is not None:
                return found
            _remember_crowd(selective, enough)
    return None


def _total(connection: sqlite3.Connection) -> int:
    """About how many items there are."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM items").fetchone()
    return int(last)


def _listed(connection: sqlite3.Connection, keys: Sql, enough: int) -> list[int] | None:
    """The items of a list; None where it is longer than that."""
    rows = connection.execute(f"{keys.text} LIMIT ?", (*keys.values, enough + 1)).fetchall()
    return [seq for (seq,) in rows] if len(rows) <= enough else None


def _sorted(connection: sqlite3.Connection, query: Query, position: Position | None, seqs: list[int]) -> Iterator[Row]:
    """What of these items meets every condition, in the direction of reading."""
    if not seqs:
        return iter(())
    order = order_of(query, backwards=position is not None and position.backwards)
    conditions = [_one_of(seqs), *in_collections(query)]
    if position is not None:
        conditions.append(order.beyond(position))
    whole = len(seqs) <= 2 * query.search.limit  # else most of what is read and sorted would be documents for nobody
    return _rows(connection, query, conditions, order=order.whole, source="items NOT INDEXED", whole=whole)


def _by_column(part: Predicate, columns: Mapping[str, str]) -> Sql | None:
    """Items that may meet a condition, by the index of a property; None where there is none or it does not help."""
    match part:
        case Comparison(op, Property(name), Constant(value), "number" | "text") if op != "<>" and name in columns:
            return Sql(f"SELECT seq FROM items WHERE {columns[name]} {op} ?", (value,))  # noqa: S608 - our own names
        case Membership(Property(name), values, "number" | "text") if name in columns:
            inside = "IN (SELECT value FROM json_each(?))"
            return Sql(f"SELECT seq FROM items WHERE {columns[name]} {inside}", (array(values),))  # noqa: S608
    return None


_CROWDS: dict[tuple[str, tuple[object, ...]], int] = {}
"""Conditions that many items meet, and how many at least: a hint, which may be out of date without harm."""


def _is_known_crowd(sql: Sql, enough: int) -> bool:
    return _CROWDS.get((sql.text, sql.values), 0) > enough


def _remember_crowd(sql: Sql, enough: int) -> None:
    if len(_CROWDS) > 1000:
        _CROWDS.clear()
    _CROWDS[sql.text, sql.values] = enough + 1


def _slices(connection: sqlite3.Connection, query: Query, position: Position | None) -> Iterator[Row]:
    """From the end where reading starts, slice of time by slice of time; each as long as the last ones suggest."""
    backwards = position is not None and position.backwards
    order = order_of(query, backwards=backwards)
    downwards = query.search.sortby[0].descending != backwards
    bounds = _moments(connection, query, position, downwards=downwards)
    if bounds is None:
        return
    low, high = bounds
    wanted = query.search.limit + 1
    assert query.place is not None
    area = sum((east - west) * (north - south) for west, south, east, north in query.place.boxes) / (360 * 180)
    length = max(1, int((high - low) * min(1.0, 2 * wanted / max(FEW, 1, _total(connection) * area))))
    while low <= high:
        start, end = (max(low, high - length), high) if downwards else (low, min(high, low + length))
        conditions = [
            Sql("moment >= ? AND moment <= ?", (start, end)),
            around("seq IN ({})", keys_in_places(query, start / DAY_US, end / DAY_US)),
            *in_collections(query),
            *([] if position is None else [order.beyond(position)]),
        ]
        found = 0
        for row in _rows(connection, query, conditions, order=order.whole, source="items NOT INDEXED"):
            found += 1
            yield row
        low, high = (low, start - 1) if downwards else (end + 1, high)
        length = max(1, int(length * min(16.0, max(0.25, 2 * wanted / (found + 0.25)))))


def _moments(
    connection: sqlite3.Connection, query: Query, position: Position | None, *, downwards: bool
) -> tuple[int, int] | None:
    """First and last moment that items of the page can have; None where there can be none.

    No span starts further before its item's moment than the largest lead, nor ends further after it than the largest
    lag.
    """
    row = connection.execute(
        "SELECT (SELECT min(moment) FROM items), (SELECT max(moment) FROM items),"
        " (SELECT coalesce(max(moment - since), 0) FROM items WHERE since < moment),"
        " (SELECT coalesce(max(until - moment), 0) FROM items WHERE until > moment)"
    ).fetchone()
    low, high, lead, lag = row
    if low is None:
        return None
    window = query.search.datetime
    if window is not None and window.end is not None:
        high = min(high, microseconds(window.end) + lead)
    if window is not None and window.start is not None:
        low = max(low, microseconds(window.start) - lag)
    if position is not None:
        there = int(position.keys[0] or 0)
        low, high = (low, min(high, there)) if downwards else (max(low, there), high)
    return low, high


def _walk_in_time(
    connection: sqlite3.Connection, query: Query, position: Position | None
) -> Generator[Row, None, None]:
    """Along the index over time: of one collection, or of all."""
    backwards = position is not None and position.backwards
    order = order_of(query, backwards=backwards)
    bounds = _moments(connection, query, position, downwards=query.search.sortby[0].descending != backwards)
    if bounds is None:
        return
    conditions = [Sql("moment >= ? AND moment <= ?", bounds)]
    if position is not None:
        conditions.append(order.beyond(position))
    if query.search.text is not None:
        source = "items INDEXED BY items_with_text"
        conditions.append(Sql("text IS NOT NULL"))
    elif query.collections is not None and len(query.collections) == 1:
        source = "items INDEXED BY items_of_collection"
    else:
        source = "items INDEXED BY items_in_order"
    conditions = [*in_collections(query), *conditions]
    yield from _rows(connection, query, conditions, order=order.whole, source=source, whole=True)


def _walk_by_key(connection: sqlite3.Connection, query: Query, position: Position | None) -> Generator[Row, None, None]:
    """By another key: first the items that have it, then those that lack it; on the way back the other way round."""
    backwards = position is not None and position.backwards
    order = order_of(query, backwards=backwards)
    first, key = query.search.sortby[0], query.keys[0]
    conditions = [*in_collections(query), *in_boxes(query)]
    if first.property in CORE:
        if position is not None:
            conditions.append(order.beyond(position))
        yield from _rows(connection, query, conditions, order=order.whole)
        return
    at = None if position is None else position.keys[0]
    valued, missing = around("({} IS NOT NULL)", key), around("({} IS NULL)", key)
    column = query.columns.get(first.property)
    walked = "items" if column is None else f"items INDEXED BY items_by_{column}"
    phases = [(valued, walked, 0), (missing, "items", 1)]
    for phase, source, skip in reversed(phases) if backwards else phases:
        here = position is not None and (at is None) == (skip == 1)
        if position is not None and not here and (at is None) != backwards:
            continue  # it lies behind us
        more = [order.beyond(position, skip=skip)] if position is not None and here else []
        if here and skip == 0:
            down = first.descending != backwards
            more.append(bound(around(f"({{}} {'<=' if down else '>='} ?)", key), len(key.values), at))
        text = order.text(skip=skip, known=skip == 0)
        yield from _rows(connection, query, [phase, *more, *conditions], order=text, source=source)


def _rows(
    connection: sqlite3.Connection,
    query: Query,
    conditions: Sequence[Sql],
    *,
    order: Sql | None = None,
    source: str = "items",
    columns: Sequence[Sql] | None = None,
    whole: bool = False,
) -> Iterator[Row]:
    """Run one statement; every value is bound, the rest of its text is this program's own."""
    doubtful, keys = doubt(query), query.keys if columns is None else columns
    where = [*conditions, *query.conditions]
    tail = around(" WHERE {}", joined(" AND ", where)) if where else Sql("")
    if order is not None:
        tail = around("{} ORDER BY {}", tail, order)
    selected = ", ".join(("seq", doubtful.text, "id", "collection", *(key.text for key in keys)))
    if whole:  # in this order, whatever SQLite thinks
        selected, source = f"{selected}, {', '.join(PIECES)}", f"{source} CROSS JOIN documents USING (seq)"
    values = [*doubtful.values, *(value for key in keys for value in key.values), *tail.values]
    return iter(connection.execute(f"SELECT {selected} FROM {source}{tail.text}", values))  # noqa: S608


def _exact(connection: sqlite3.Connection, query: Query, rows: Iterator[Row], at_once: int) -> Iterator[Row]:
    """Leave out what only seemed to touch the place."""
    if query.place is None:
        yield from rows
        return
    while some := list(islice(rows, at_once)):
        doubtful = {row[0]: row[1] for row in some if row[1] is not None}
        touching = _touching(connection, query.place, doubtful) if doubtful else ()
        yield from (row for row in some if row[1] is None or row[0] in touching)


def _touching(connection: sqlite3.Connection, place: Place, outlines: dict[int, Any]) -> set[int]:
    """Of these items, by their outlines, those that touch the place."""
    for seq, outline in outlines.items():
        if outline == 1:
            (outlines[seq],) = connection.execute("SELECT shape FROM documents WHERE seq = ?", (seq,)).fetchone()
    touches = place.touches(list(outlines.values()))
    return {seq for seq, touch in zip(outlines, touches, strict=True) if touch}
