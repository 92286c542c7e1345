"""What a search finds in the embedded catalog: all of its SQL that selects items.

Candidates come in order: by id, out of the R*Tree, or, where that would list too many, by a walk along the order
itself. Their outlines are looked at only until the page is full.
"""

import heapq
import math
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from operator import itemgetter

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.antimeridian import Box
from catalog.document import microseconds
from catalog.extent import TimeWindow
from catalog.search import Search
from catalog.token import Position

WALK_SPEED = 6.0
"""Items that a walk looks at in about the time that one candidate of the R*Tree takes; both give the same page."""

DAY_US = 86_400e6
"""The R*Tree holds 32-bit floats, rounded outwards; in days they tell minutes apart."""

Row = tuple[int, int, str, str, int]
"""seq, rank, id, collection, and whether the boxes alone show that the item touches the place."""


def find(
    connection: sqlite3.Connection, search: Search, place: BaseGeometry | None, position: Position | None
) -> list[Row]:
    """List the items of a page, and one more where there is one, in the direction of reading."""
    wanted = search.limit + 1
    if place is None:
        with closing(_candidates(connection, search, None, position)) as rows:
            return list(islice(rows, wanted))
    place = antimeridian.with_seams(place)
    shapely.prepare(place)
    found: list[Row] = []
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
) -> Generator[Row, None, None]:
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
) -> Iterator[Row]:
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
        time.append(("since <= ?", (microseconds(window.end) / DAY_US,)))
    if window is not None and window.start is not None:
        time.append(("until >= ?", (microseconds(window.start) / DAY_US,)))
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
