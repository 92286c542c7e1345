"""The tables that pgstac keeps items in: one for each collection, or one for each of its years or months."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from catalog.document import ItemDocument
from catalog.extent import moment_of
from catalog.pgstac_schema import Connection
from catalog.pgstac_summary import Kept


def wait_to_build(connection: Connection) -> None:
    """Be the only one who makes or removes tables, until the end of the transaction.

    For a partition PostgreSQL locks all items and all collections, so that two who have written to these would wait for
    each other.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_BUILDING,))


_BUILDING = 0x6F766573


def lacks_partitions(connection: Connection, items: Iterable[ItemDocument]) -> bool:
    """Whether pgstac has no table yet for one of the items."""
    starts: dict[str, set[str]] = {}
    for item in items:
        since = moment_of(item.since)
        starts.setdefault(item.collection, set()).add(f"{since.year:04}{since.month:02}")
    listed = [(collection, month) for collection, months in starts.items() for month in months]
    row = connection.execute(
        """SELECT coalesce(bool_or(to_regclass(format('pgstac.%%I', concat_ws('_', '_items', c.key,
                left(month, CASE c.partition_trunc WHEN 'year' THEN 4 WHEN 'month' THEN 6 END)))) IS NULL), FALSE)
            FROM unnest(%s::text[], %s::text[]) AS wanted (collection, month)
            JOIN pgstac.collections c ON c.id = wanted.collection""",
        ([collection for collection, _ in listed], [month for _, month in listed]),
    ).fetchone()
    return row is not None and bool(row[0])


def make_partitions(connection: Connection, kept: Kept, items: Sequence[ItemDocument]) -> None:
    """Ask pgstac for the tables that the items go to.

    Whole months are asked for, since pgstac looks at all of a table, and lets nobody read it, when its bounds change.
    """
    buckets: dict[tuple[int, ...], list[ItemDocument]] = {}
    for item in items:
        since = moment_of(item.since)
        bucket = {None: (), "year": (since.year,), "month": (since.year, since.month)}[kept.partition_trunc]
        buckets.setdefault(bucket, []).append(item)
    ranges = [
        (*_months(item.since for item in some), *_months(item.until for item in some)) for some in buckets.values()
    ]
    connection.execute(
        """SELECT pgstac.check_partition(%s, tstzrange(a, b, '[]'), tstzrange(c, d, '[]')) FROM (
            SELECT * FROM unnest(%s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
            AS r (a, b, c, d) ORDER BY a
        ) AS ordered""",
        (kept.id, *map(list, zip(*ranges, strict=True))),
    )


def _months(moments: Iterable[int]) -> tuple[datetime, datetime]:
    """First and last moment of the months of these."""
    some = list(moments)
    first, last = moment_of(min(some)), moment_of(max(some))
    start = datetime(first.year, first.month, 1, tzinfo=UTC)
    if (last.year, last.month) == (9999, 12):
        return start, datetime.max.replace(tzinfo=UTC)
    following = datetime(last.year + last.month // 12, last.month % 12 + 1, 1, tzinfo=UTC)
    return start, following - timedelta(microseconds=1)
