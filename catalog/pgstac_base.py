"""What items of a collection share, and do not each hold: pgstac's *base item*, which has the ``item_assets``.

pgstac stores what an item adds to it: a value that is the same is left out, one that the item lacks is marked. Merging
both gives the item back, or nearly: where one has JSON's null and the base item a value, it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import errors

from catalog.pgstac_schema import Connection

ABSENT = "𒍟※"
"""pgstac's mark for what the base item has and the item has not."""

TAG = "pgstac:base_item"
"""Which of its collection's base items an item was stripped by, since pgstac 0.10; without it, the first."""

OWN_COLUMNS = ("id", "geometry", "collection", "type", "links", TAG)
"""Members of an item that are not merged: each has a column, or is put in when the item is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What items of a collection share."""

    tag: int | None
    document: Mapping[str, Any]

    @property
    def has_assets(self) -> bool:
        """Whether an item has to be merged with it; else all that it has is the version."""
        return self.document.get("assets") is not None


def read_bases(connection: Connection, collection: str) -> Mapping[int | None, Base]:
    """The base items of a collection by their tags; None is that of an item without one."""
    first = connection.execute("SELECT pgstac.collection_base_item(%s::text)", (collection,)).fetchone()
    if first is None or first[0] is None:
        raise errors.SerializationFailure(f"collection {collection!r:.100} went away while its items were read")
    bases: dict[int | None, Base] = {None: Base(tag=None, document=_shared(first[0]))}
    if _knows_tags(connection):
        rows = connection.execute("SELECT id, base_item FROM pgstac.base_items WHERE collection = %s", (collection,))
        bases |= {tag: Base(tag=tag, document=_shared(base)) for tag, base in rows.fetchall()}
    return bases


def _shared(base: bytes) -> Mapping[str, Any]:
    """A base item but for what every item has in a column, or as a constant."""
    return {key: value for key, value in orjson.loads(base).items() if key not in OWN_COLUMNS}


def _knows_tags(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass('pgstac.base_items') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def current_base(connection: Connection, collection: str) -> Base:
    """What new items of a collection are stripped by."""
    if _knows_tags(connection):
        statement = "SELECT base_item_id, base_item FROM pgstac.current_base_item(%s)"
    else:
        statement = "SELECT NULL, base_item FROM pgstac.collections WHERE id = %s"
    row = connection.execute(statement, (collection,)).fetchone()
    assert row is not None
    return Base(tag=row[0], document=_shared(row[1]))


def strip(item: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What an item adds to a base item, as pgstac keeps it."""
    slim: dict[str, Any] = {}
    for key, own in item.items():
        inherited = base.get(key)
        if inherited is None:
            slim[key] = own
        elif isinstance(own, dict) and isinstance(inherited, dict):
            slim[key] = strip(own, inherited)
        elif not same(own, inherited):
            slim[key] = _strip_list(own, inherited) if _are_alike(own, inherited) else own
    return slim | {key: ABSENT for key, inherited in base.items() if inherited is not None and key not in item}


def merge(slim: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The item again, as pgstac's search would give it."""
    item = {key: inherited for key, inherited in base.items() if inherited is not None and key not in slim}
    for key, own in slim.items():
        if own != ABSENT:
            item[key] = _merge_value(own, base.get(key))
    return item


def _merge_value(own: Any, inherited: Any) -> Any:  # noqa: ANN401 - any JSON
    if own is None:
        return inherited
    if isinstance(own, dict) and isinstance(inherited, dict):
        return merge(own, inherited)
    if _are_alike(own, inherited):
        return [_merge_value(mine, theirs) for mine, theirs in zip(own, inherited, strict=True)]
    return own


def _strip_list(own: list[Any], inherited: list[Any]) -> list[Any]:
    """Only objects are stripped: pypgstac's loader reads anything else as it stands."""
    return [
        strip(mine, theirs) if isinstance(mine, dict) and isinstance(theirs, dict) else mine
        for mine, theirs in zip(own, inherited, strict=True)
    ]


def _are_alike(own: Any, inherited: Any) -> bool:  # noqa: ANN401 - any JSON
    """Lists of one length are merged element by element."""
    return isinstance(own, list) and isinstance(inherited, list) and len(own) == len(inherited)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether two values are one in JSON, in which true is no number."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
