"""What a pgstac database knows of its collections: kept as items come and go, looked up anew where nobody kept it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import shapely

from catalog.document import ItemDocument, read_document
from catalog.errors import InvalidExtentError, InvalidItemError
from catalog.geometry import mend_geometry
from catalog.pgstac_columns import BOX, read_box
from catalog.pgstac_items import COLUMNS, Row, Shelf, ewkb
from catalog.pgstac_schema import Connection
from catalog.summary import Summary

AT_ONCE = 2000
"""Rows that are read on from a large collection."""


@dataclass(slots=True)
class Kept:
    """A collection's row, locked until the end of the transaction."""

    id: str
    tenant: str | None
    partition_trunc: str | None
    content: bytes
    summary: Summary | None
    """None where other programs filled the collection, and nobody has asked yet."""


def lock(connection: Connection, collections: Sequence[str]) -> dict[str, Kept]:
    """Keep other writers of those collections waiting; those that are there, by name."""
    connection.execute(
        "INSERT INTO overflight.collections (id) SELECT id FROM pgstac.collections WHERE id = ANY (%s)"
        " ON CONFLICT DO NOTHING",
        (list(collections),),
    )
    rows = connection.execute(
        """SELECT o.id, o.tenant, c.partition_trunc, c.content, o.summary
            FROM overflight.collections o JOIN pgstac.collections c USING (id)
            WHERE o.id = ANY (%s) ORDER BY o.id FOR UPDATE OF o""",
        (list(collections),),
    ).fetchall()
    return {
        name: Kept(name, tenant, trunc, content, None if kept is None else read_summary(kept))
        for name, tenant, trunc, content, kept in rows
    }


def read_summary(kept: bytes) -> Summary:
    """A summary as it is kept."""
    return Summary.from_json(orjson.loads(kept))


def keep(connection: Connection, kept: Kept, *, now: int | None = None) -> None:
    """Keep a summary; ``now`` where the collection changes with it."""
    summary = None if kept.summary is None else orjson.dumps(kept.summary.to_json()).decode()
    connection.execute(
        "UPDATE overflight.collections SET summary = %s::jsonb, modified = coalesce(%s, modified) WHERE id = %s",
        (summary, now, kept.id),
    )


def renew(connection: Connection, kept: Kept, *, whole: bool = False) -> Summary:
    """Look again at what may have changed, or at the ``whole`` collection; it is looked at where nobody has before."""
    if kept.summary is None or whole:
        summary = kept.summary = Summary()
        for properties, since, until, *box in _streamed(
            connection,
            kept.id,
            "i.content->'properties', overflight.micros(i.datetime), overflight.micros(i.end_datetime)",
        ):
            summary.add(orjson.loads(properties or b"{}"), read_box(box), since, until)
        bump(connection)
    summary = kept.summary
    for name in sorted(summary.stale):
        if name:
            values = _streamed(connection, kept.id, "i.content->'properties'->%s", name)
            summary.renew_property(name, (orjson.loads(row[0]) for row in values if row[0] is not None))
        else:
            spans = _streamed(connection, kept.id, "overflight.micros(i.datetime), overflight.micros(i.end_datetime)")
            summary.renew_extent((read_box(box), since, until) for since, until, *box in spans)
    keep(connection, kept)
    return summary


def _streamed(connection: Connection, collection: str, chosen: str, *values: object) -> Iterator[Row]:
    """Of every item of a collection what is chosen, then its box."""
    with connection.cursor("items") as cursor:
        cursor.itersize = AT_ONCE
        statement = f"SELECT {chosen}, {', '.join(BOX)} FROM pgstac.items i WHERE i.collection = %s"  # noqa: S608
        cursor.execute(statement.encode(), (*values, collection))
        yield from cursor


def bump(connection: Connection) -> None:
    """Tell every process that the collections, or the names of the properties that they hold, have changed."""
    connection.execute("SELECT overflight.change()")


def refresh(shelf: Shelf, collection: str, connection: Connection) -> int:
    """Take in what other programs have written to a collection; how many items were mended."""
    kept = lock(connection, [collection]).get(collection)
    if kept is None:  # it is gone
        return 0
    mended = 0
    statement = f"SELECT {COLUMNS} FROM pgstac.items WHERE collection = %s AND {_IS_ODD}"  # noqa: S608 - our own text
    for row in connection.execute(statement.encode(), (collection,)).fetchall():
        outline = _mended(shelf.body(connection, row), row[3])
        if outline is not None:
            connection.execute(_MEND, (ewkb(outline), row[3], collection, row[0]))
            mended += 1
    renew(connection, kept, whole=True)
    return mended


_IS_ODD = """(private->'overflight') IS NULL AND (
    ST_XMin(geometry) < -180 OR ST_XMax(geometry) > 180 OR ST_XMax(geometry) - ST_XMin(geometry) > 180
    OR NOT ST_IsValid(geometry)
)"""
"""Of an item of another program: perhaps its geometry is not what it looks like on the map."""

_MEND = """UPDATE pgstac.items SET geometry = %s::geometry, private = coalesce(private, '{}')
        || jsonb_build_object('overflight', jsonb_build_object('geometry', %s::text))
    WHERE collection = %s AND id = %s"""


def _mended(body: bytes, geometry: str) -> bytes | None:
    """An item's outline as that of one that is put here; None where it is no shape on Earth."""
    try:
        read = read_document(body)
    except InvalidItemError:  # as without a bbox
        try:
            return bytes(shapely.to_wkb(mend_geometry(orjson.loads(geometry))))
        except InvalidExtentError:
            return None
    return read.outline if isinstance(read, ItemDocument) else None
