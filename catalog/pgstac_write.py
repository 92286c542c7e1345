"""What a write does to a pgstac database: every statement that changes it is here.

Items go in through ``pgstac.items`` itself, so that pgstac's triggers see them; the partitions that they need are asked
of pgstac before. Who writes to a collection holds its row of ``overflight.collections`` until the end, and its summary
changes with its items.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import psycopg
import shapely
from psycopg import errors

from catalog.condition import check, not_found
from catalog.document import TREE, CollectionDocument, ItemDocument, compose_collection, etag_of, own_collection
from catalog.errors import ExistsError, InvalidItemError
from catalog.pgstac_base import current_base
from catalog.pgstac_columns import BOX, read_box
from catalog.pgstac_items import COLUMNS, Row, Shelf, collection_body, columns_of
from catalog.pgstac_partitions import lacks_partitions, make_partitions, wait_to_build
from catalog.pgstac_schema import Connection
from catalog.pgstac_summary import Kept, bump, keep, lock, renew
from catalog.search import ALWAYS, Condition
from catalog.summary import Summary

SMALLEST = 1e-4
"""Degrees; PostGIS writes 20 decimals at most, which cuts the digits of a smaller one."""


def write(
    connection: Connection,
    shelf: Shelf,
    documents: Sequence[CollectionDocument | ItemDocument],
    *,
    tenant: str | None,
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
    collections = {one.id: one for one in documents if isinstance(one, CollectionDocument)}
    items = {(one.collection, one.id): one for one in documents if isinstance(one, ItemDocument)}
    by_collection: dict[str, list[ItemDocument]] = {}
    for item in items.values():
        by_collection.setdefault(item.collection, []).append(item)
    if collections or lacks_partitions(connection, items.values()):
        wait_to_build(connection)
    kept = lock(connection, sorted({*collections, *by_collection}))
    for _, document in sorted(collections.items()):
        kept[document.id] = _put_collection(
            connection, kept.get(document.id), document, tenant=tenant, condition=condition, now=now
        )
    for name, some in sorted(by_collection.items()):
        there = kept.get(name)
        if there is None or (tenant is not None and there.tenant not in (None, tenant)):
            raise InvalidItemError(f"{some[0].id!r:.100}: collection {name!r:.100} is unknown; put it first")
        make_partitions(connection, there, some)
    # Only now: a new partition locks all items, for which two who have touched some would wait for each other.
    for name, some in sorted(by_collection.items()):
        _put_items(connection, shelf, kept[name], some, condition=condition, now=now)


def remove(connection: Connection, shelf: Shelf, collection: str, item: str | None, *, condition: Condition) -> None:
    """Remove an Item, or a Collection with all its Items.

    Raises
    ------
    NotFoundError
        There is none of that id.
    PreconditionError
        The condition does not hold.
    """
    if item is None:
        wait_to_build(connection)
    kept = lock(connection, [collection]).get(collection)
    if item is None:
        etag = None if kept is None else _etag(connection, kept, condition)
        check(condition, collection, etag, missing=not_found(collection, None))
        connection.execute("DELETE FROM pgstac.collections WHERE id = %s", (collection,))
        bump(connection)
        return
    old = next(_existing(connection, collection, [item]), None) if kept is not None else None
    etag = None if old is None else shelf.document(connection, old.row).etag
    check(condition, item, etag, missing=not_found(collection, item))
    assert kept is not None
    assert old is not None
    _delete(connection, collection, [item])
    if kept.summary is not None:
        before = len(kept.summary.properties)
        kept.summary.remove(old.properties)
        if len(kept.summary.properties) != before:
            bump(connection)
    keep(connection, kept, now=time.time_ns() // 1000)


# --- collections ---


def _put_collection(
    connection: Connection,
    kept: Kept | None,
    document: CollectionDocument,
    *,
    tenant: str | None,
    condition: Condition,
    now: int,
) -> Kept:
    check(condition, document.id, None if kept is None else _etag(connection, kept, condition))
    if kept is not None:
        document = own_collection(document, collection_body(kept.content), kept.summary or Summary())
    plain = orjson.loads(document.body)
    plain["links"] = [link for link in plain["links"] if link["rel"] not in TREE]
    content = orjson.dumps(plain)
    if kept is None:
        with _refusing(document.id):
            connection.execute("INSERT INTO pgstac.collections (content) VALUES (%s::jsonb)", (content.decode(),))
        kept = Kept(document.id, tenant, None, content, Summary())
        connection.execute("INSERT INTO overflight.collections (id, tenant) VALUES (%s, %s)", (document.id, tenant))
        bump(connection)
    elif tenant is not None and kept.tenant != tenant:
        raise ExistsError(f"{document.id!r:.100}: the id is taken; choose another one")
    elif orjson.loads(kept.content) != plain:
        with _refusing(document.id):
            connection.execute(
                "UPDATE pgstac.collections SET content = %s::jsonb WHERE id = %s", (content.decode(), kept.id)
            )
        kept.content = content
    else:
        return kept
    keep(connection, kept, now=now)
    connection.execute(
        "UPDATE overflight.collections SET content = md5(c.content::text) FROM pgstac.collections c"
        " WHERE c.id = collections.id AND c.id = %s",
        (kept.id,),
    )
    return kept


def _etag(connection: Connection, kept: Kept, condition: Condition) -> str:
    """That of the collection as it is shown, which takes its extent; any text where nobody will look at it."""
    if condition.etags is None:
        return ""
    return etag_of(compose_collection(collection_body(kept.content), renew(connection, kept)))


# --- items ---


@dataclass(frozen=True, slots=True)
class _Old:
    """An item that is there."""

    row: Row
    """For `Shelf.document`."""

    properties: Mapping[str, Any]
    place: tuple[Any, ...]
    """Its box and its span."""

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.row[0])


def _put_items(
    connection: Connection,
    shelf: Shelf,
    kept: Kept,
    items: Sequence[ItemDocument],
    *,
    condition: Condition,
    now: int,
) -> None:
    there = {old.id: old for old in _existing(connection, kept.id, [item.id for item in items])}
    changed: list[ItemDocument] = []
    for item in items:
        old = there.get(item.id)
        etag = None if old is None else shelf.document(connection, old.row).etag
        check(condition, item.id, etag)
        if etag != item.etag:
            changed.append(item)
    if not changed:
        return
    gone = [there[item.id] for item in changed if item.id in there]
    if gone:
        _delete(connection, kept.id, [old.id for old in gone])
    _insert(connection, kept.id, changed, now)
    if kept.summary is not None:
        _count(connection, kept.summary, changed, gone)
    keep(connection, kept, now=now)


def _existing(connection: Connection, collection: str, ids: Sequence[str]) -> Iterator[_Old]:
    """Items of a collection that are there, locked."""
    text = f"""SELECT {COLUMNS}, content->'properties', overflight.micros(datetime), overflight.micros(end_datetime),
            {", ".join(BOX)}
        FROM pgstac.items i WHERE collection = %s AND id = ANY (%s) ORDER BY id FOR UPDATE OF i"""  # noqa: S608
    rows = connection.execute(text.encode(), (collection, list(ids))).fetchall()
    for row in rows:
        properties, since, until, *box = row[-8:]
        yield _Old(row[:-8], orjson.loads(properties), (read_box(box), since, until))


def _delete(connection: Connection, collection: str, ids: Sequence[str]) -> None:
    connection.execute("DELETE FROM pgstac.items WHERE collection = %s AND id = ANY (%s)", (collection, list(ids)))


def _insert(connection: Connection, collection: str, items: Sequence[ItemDocument], now: int) -> None:
    base = current_base(connection, collection)
    text = "COPY pgstac.items (id, collection, datetime, end_datetime, geometry, content, private) FROM STDIN"
    with _refusing(collection), connection.cursor().copy(text) as copy:
        for item, drawn in zip(items, _drawn(items), strict=True):
            copy.write_row(columns_of(item, base, drawn, now))


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Tell of a document that PostgreSQL or pgstac does not take."""
    try:
        yield
    except errors.UntranslatableCharacter:
        raise InvalidItemError(
            f"{name!r:.100}: a text holds the character U+0000, which PostgreSQL cannot keep; leave it out"
        ) from None
    except errors.ProgramLimitExceeded as error:
        raise InvalidItemError(f"{name!r:.100}: too large for PostgreSQL ({error.diag.message_primary})") from None
    except psycopg.DataError as error:
        raise InvalidItemError(f"{name!r:.100}: pgstac does not take it ({error.diag.message_primary})") from None


def _drawn(items: Sequence[ItemDocument]) -> list[bytes | None]:
    """The outlines as the GeoJSON that PostGIS would write of them; None where that is not exact."""
    shapes = shapely.from_wkb([item.outline for item in items])
    points, owners = shapely.get_coordinates(shapes, return_index=True)
    tiny = np.unique(owners[((points != 0) & (abs(points) < SMALLEST)).any(axis=1)])
    drawn = shapely.to_geojson(shapes)
    drawn[tiny] = None
    return list(drawn)


def _count(connection: Connection, summary: Summary, new: Sequence[ItemDocument], gone: Sequence[_Old]) -> None:
    """Let a summary follow its items."""
    before = set(summary.properties)
    was_stale = "" in summary.stale
    places = {item.id: (item.box, item.since, item.until) for item in new}
    moved = any(old.place != places[old.id] for old in gone)
    for old in gone:
        summary.remove(old.properties)
    if not moved and not was_stale:
        summary.stale.discard("")
    for item in new:
        summary.add(item.properties(), item.box, item.since, item.until)
    if before != summary.properties.keys():
        bump(connection)
