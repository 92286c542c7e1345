"""What a write does to the tables of the embedded catalog; every statement that changes them is here."""

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from catalog.antimeridian import Box
from catalog.condition import check, not_found
from catalog.document import CollectionDocument, ItemDocument, compose_collection, etag_of, own_collection
from catalog.errors import ExistsError, InvalidItemError
from catalog.search import ALWAYS, Condition
from catalog.sqlite_schema import DAY_US, INDEXED, add_column, columns
from catalog.summary import Summary

_ITEM = (
    "seq", "id", "collection", "moment", "since", "until", "west", "south", "east", "north", "modified", "etag", "text",
    "properties",
)  # fmt: skip

_Row = tuple[Any, ...]


def write(
    connection: sqlite3.Connection,
    documents: Sequence[CollectionDocument | ItemDocument],
    *,
    tenant: str | None = None,
    condition: Condition = ALWAYS,
) -> None:
    """Insert or replace documents; the caller's transaction makes it all or none.

    Raises
    ------
    InvalidItemError
        An item's collection is unknown, or is another tenant's.
    PreconditionError
        The condition does not hold.
    """
    now = time.time_ns() // 1000
    for document in documents:
        if isinstance(document, CollectionDocument):
            _put_collection(connection, document, tenant=tenant, condition=condition, now=now)
    items = {(one.collection, one.id): one for one in documents if isinstance(one, ItemDocument)}
    by_collection: dict[str, list[ItemDocument]] = {}
    for item in items.values():
        by_collection.setdefault(item.collection, []).append(item)
    for collection, some in by_collection.items():
        _put_items(connection, collection, some, tenant=tenant, condition=condition, now=now)


def remove(connection: sqlite3.Connection, collection: str, item: str | None, *, condition: Condition) -> None:
    """Remove an Item, or a Collection with all its Items.

    Raises
    ------
    NotFoundError
        There is none of that id.
    PreconditionError
        The condition does not hold.
    """
    name = collection if item is None else item
    if item is None:
        check(condition, name, _shown_etag(connection, collection), missing=not_found(collection, item))
        connection.execute("DELETE FROM collections WHERE id = ?", (collection,))
        _bump(connection)
        return
    row = connection.execute(
        "SELECT etag, properties, seq FROM items WHERE collection = ? AND id = ?", (collection, item)
    ).fetchone()
    check(condition, name, None if row is None else row[0].hex(), missing=not_found(collection, item))
    connection.execute("DELETE FROM items WHERE seq = ?", (row[2],))
    summary = read_summary(connection, collection)
    before = len(summary.properties)
    summary.remove(orjson.loads(row[1]))
    keep_summary(connection, collection, summary, now=time.time_ns() // 1000)
    if len(summary.properties) != before:
        _bump(connection)


def read_summary(connection: sqlite3.Connection, collection: str) -> Summary:
    """What a collection holds, as it is kept; perhaps with something to look at again."""
    (kept,) = connection.execute("SELECT summary FROM collections WHERE id = ?", (collection,)).fetchone()
    return Summary.from_json(orjson.loads(kept))


def keep_summary(connection: sqlite3.Connection, collection: str, summary: Summary, *, now: int | None = None) -> None:
    """Keep it; ``now`` where the collection changes with it."""
    connection.execute(
        "UPDATE collections SET summary = ?, count = ?, modified = coalesce(?, modified) WHERE id = ?",
        (orjson.dumps(summary.to_json()), summary.count, now, collection),
    )


def renew(connection: sqlite3.Connection, collection: str) -> Summary:
    """Look again at what may have changed with items that went."""
    summary = read_summary(connection, collection)
    if not summary.stale:
        return summary
    for name in sorted(summary.stale):
        if name:
            rows = connection.execute("SELECT properties FROM items WHERE collection = ?", (collection,))
            summary.renew_property(name, (orjson.loads(properties).get(name) for (properties,) in rows))
        else:
            boxes = connection.execute(
                "SELECT west, south, east, north, since, until FROM items WHERE collection = ?", (collection,)
            )
            summary.renew_extent((None if row[0] is None else row[:4], row[4], row[5]) for row in boxes)
    keep_summary(connection, collection, summary)
    return summary


def _put_collection(
    connection: sqlite3.Connection, document: CollectionDocument, *, tenant: str | None, condition: Condition, now: int
) -> None:
    row = connection.execute("SELECT etag, tenant, body FROM collections WHERE id = ?", (document.id,)).fetchone()
    check(condition, document.id, None if row is None else _shown_etag(connection, document.id))
    if row is not None:
        document = own_collection(document, row[2], read_summary(connection, document.id))
    if row is None:
        values = (document.id, tenant, now, document.etag, document.body, orjson.dumps(Summary().to_json()))
        connection.execute("INSERT INTO collections VALUES (?, ?, 0, ?, ?, ?, ?)", values)
    elif tenant is not None and row[1] != tenant:
        raise ExistsError(f"{document.id!r:.100}: the id is taken; choose another one")
    elif row[0] != document.etag:
        statement = "UPDATE collections SET modified = ?, etag = ?, body = ? WHERE id = ?"
        connection.execute(statement, (now, document.etag, document.body, document.id))
    else:
        return
    _bump(connection)


def _shown_etag(connection: sqlite3.Connection, collection: str) -> str | None:
    """The ETag of a Collection as it is shown, with what its items say of it; None where there is none."""
    row = connection.execute("SELECT body FROM collections WHERE id = ?", (collection,)).fetchone()
    return None if row is None else etag_of(compose_collection(row[0], renew(connection, collection)))


def _put_items(
    connection: sqlite3.Connection,
    collection: str,
    items: Sequence[ItemDocument],
    *,
    tenant: str | None,
    condition: Condition,
    now: int,
) -> None:
    row = connection.execute("SELECT tenant FROM collections WHERE id = ?", (collection,)).fetchone()
    if row is None or (tenant is not None and row[0] not in (None, tenant)):
        raise InvalidItemError(f"{items[0].id!r:.100}: collection {collection!r:.100} is unknown; put it first")
    summary = read_summary(connection, collection)
    names = set(summary.properties)
    there = _there(connection, collection, items)
    for item in items:
        check(condition, item.id, None if item.id not in there else there[item.id][0].hex())
    changed = [item for item in items if item.id not in there or there[item.id][0].hex() != item.etag]
    if not changed:
        return
    for item in changed:
        if item.id in there:
            _make_room(connection, item, there[item.id], summary)
    properties = [item.properties() for item in changed]
    for item, held in zip(changed, properties, strict=True):
        summary.add(held, item.box, item.since, item.until)
    if _add_columns(connection, summary) or names != summary.properties.keys():
        _bump(connection)
    _insert(connection, changed, properties, now)
    keep_summary(connection, collection, summary, now=now)


def _there(
    connection: sqlite3.Connection, collection: str, items: Sequence[ItemDocument]
) -> dict[str, tuple[Any, ...]]:
    """What is there under the same ids."""
    rows = connection.execute(
        "SELECT id, etag, seq, properties, west, south, east, north, since, until FROM items"
        " WHERE collection = ? AND id IN (SELECT value FROM json_each(?))",
        (collection, orjson.dumps([item.id for item in items]).decode()),
    )
    return {row[0]: row[1:] for row in rows}


def _make_room(connection: sqlite3.Connection, item: ItemDocument, old: _Row, summary: Summary) -> None:
    """Take out what an item replaces."""
    _, seq, properties, *place = old
    connection.execute("DELETE FROM items WHERE seq = ?", (seq,))
    same_place = place == [*(item.box or (None,) * 4), item.since, item.until]
    was_stale = "" in summary.stale
    summary.remove(orjson.loads(properties))
    if same_place and not was_stale:
        summary.stale.discard("")


def _insert(
    connection: sqlite3.Connection, items: Sequence[ItemDocument], properties: Sequence[Mapping[str, Any]], now: int
) -> None:
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM items").fetchone()
    numbered = list(enumerate(items, start=last + 1))
    own = columns(connection)
    names = (*_ITEM, *own.values())
    nowhere: tuple[None, ...] = (None,) * 4
    connection.executemany(
        f"INSERT INTO items ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 - our own names
        [
            (
                seq, item.id, item.collection, item.moment, item.since, item.until, *(item.box or nowhere), now,
                bytes.fromhex(item.etag), item.text, item.properties_json.decode(),
                *(column_value(held.get(name)) for name in own),
            )
            for (seq, item), held in zip(numbered, properties, strict=True)
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?)",
        [(seq, item.outline, item.head, item.tail) for seq, item in numbered],
    )
    connection.executemany("INSERT INTO places VALUES (?,?,?,?,?,?,?)", _places(numbered))


def column_value(value: object) -> object:
    """What a column of a property holds, see `catalog.sqlite_schema.add_column`."""
    if isinstance(value, str | bool):
        return value
    return float(value) if isinstance(value, int | float) else None


def _places(numbered: Iterable[tuple[int, ItemDocument]]) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = []
    for seq, item in numbered:
        since, until = min(item.since, item.moment) / DAY_US, max(item.until, item.moment) / DAY_US
        for part, (west, south, east, north) in enumerate(_flat(item.box)):
            rows.append((2 * seq + part, west, east, south, north, since, until))
    return rows


def _flat(box: Box | None) -> tuple[Box, ...]:
    if box is None:
        return ()
    west, south, east, north = box
    return (box,) if west <= east else ((west, south, 180.0, north), (-180.0, south, east, north))


def _add_columns(connection: sqlite3.Connection, summary: Summary) -> bool:
    """Index what is asked for most, once its values tell items apart; whether there was any."""
    there = columns(connection)
    before = len(there)
    for name in INDEXED:
        held = summary.properties.get(name)
        if held is not None and name not in there and held.is_selective:
            there[name] = add_column(connection, name)
    return len(there) > before


def _bump(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE state SET revision = revision + 1")
