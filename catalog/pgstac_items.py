"""Items as pgstac keeps them: without what they share with their collection, and without what has a column of its own.

An item that merging (`catalog.pgstac_base`) would not give back as it was is kept whole beside. Nearly every other one
is put together out of bytes that PostgreSQL sends, without parsing them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from catalog.document import (
    STAC,
    TREE,
    CollectionDocument,
    ItemDocument,
    collection_address,
    etag_of,
    item_body,
    read_document,
)
from catalog.errors import InvalidItemError
from catalog.extent import moment_of
from catalog.pgstac_base import ABSENT, OWN_COLUMNS, TAG, Base, merge, read_bases, same, strip
from catalog.pgstac_schema import Connection
from catalog.search import Document

COLUMNS = """
    id, collection,
    coalesce(private->'overflight'->'whole', content),
    coalesce(private->'overflight'->>'geometry', ST_AsGeoJSON(geometry, 20)),
    private->'overflight'->>'etag',
    (private->'overflight'->>'modified')::bigint,
    private->'overflight' ? 'whole',
    (SELECT xmin::text FROM pgstac.collections WHERE collections.id = collection)
"""
"""Of pgstac.items, for `Shelf.document`."""

Row = Sequence[Any]


def collection_body(content: bytes) -> bytes:
    """A Collection as pgstac has it, with the links of our tree; its own extent, whatever its items say.

    One that another program wrote need not be one that could be put here.
    """
    try:
        read = read_document(content)
    except InvalidItemError:
        document = orjson.loads(content)
        here = collection_address(str(document["id"]))
        addresses = {"self": here, "root": STAC, "parent": STAC, "items": f"{here}/items"}
        tree = [{"rel": rel, "href": href, "type": "application/json"} for rel, href in addresses.items()]
        others = b"[%b]" % other_links(document.get("links")).rstrip(b",")
        return orjson.dumps({"type": "Collection", **document, "links": [*tree, *orjson.loads(others)]})
    assert isinstance(read, CollectionDocument)
    return read.body


class Shelf:
    """Puts items together; keeps the base items of the collections that it has seen."""

    def __init__(self) -> None:
        self._bases: dict[tuple[str, str], Mapping[int | None, Base]] = {}

    def document(self, connection: Connection, row: Row) -> Document:
        """An item with what HTTP validates it by, from `COLUMNS`."""
        body, etag, modified = self.body(connection, row), row[4], row[5]
        if etag is None:
            return Document(body=body, etag=etag_of(body), modified=None)
        return Document(body=body, etag=etag, modified=None if modified is None else moment_of(modified))

    def body(self, connection: Connection, row: Row) -> bytes:
        """An item, ready to send but for `catalog.search.BASE`, from `COLUMNS`."""
        item, collection, content, geometry, _, _, whole, revision = row
        bases = self._bases_of(connection, collection, revision)
        cut = None if whole or bases[None].has_assets else cut_out(content)
        if cut is None:
            members, links = self._merged(content, bases, whole=whole)
        else:
            members, links = cut.members, cut.links
            if not cut.has_version:
                members = b'"stac_version":%b,%b' % (orjson.dumps(bases[None].document["stac_version"]), members)
        head = b'{"type":"Feature","id":%b,"collection":%b,"geometry":%b,' % (
            orjson.dumps(item),
            orjson.dumps(collection),
            b"null" if geometry is None else geometry.encode(),
        )
        return item_body(head, members, b',"links":[' + links, collection, item)

    def _merged(self, content: bytes, bases: Mapping[int | None, Base], *, whole: bool) -> tuple[bytes, bytes]:
        """The same two by way of parsing the document."""
        slim = orjson.loads(content)
        tag = slim.get(TAG)
        base = bases.get(int(tag) if isinstance(tag, int | str) and str(tag).isdecimal() else None, bases[None])
        item = slim if whole else merge(slim, base.document)
        rest = {key: value for key, value in item.items() if key not in OWN_COLUMNS}
        return orjson.dumps(rest)[1:-1], other_links(item.get("links"))

    def _bases_of(self, connection: Connection, collection: str, revision: str) -> Mapping[int | None, Base]:
        """The base items of a collection by their tags; None is that of an item without one."""
        known = self._bases.get((collection, revision))
        if known is None:
            if len(self._bases) > MAX_KEPT:
                self._bases.clear()
            known = self._bases[collection, revision] = read_bases(connection, collection)
        return known


MAX_KEPT = 2000
"""Collections of which base items are kept."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An item's document in pieces."""

    members: bytes
    """All but the links, without braces."""

    links: bytes
    """As `other_links` has them."""

    has_version: bool
    """Whether its version is its own; else it is that of the base item."""


_DECODER = json.JSONDecoder()
_BBOX, _LINKS, _VERSION = b'{"bbox": [', b'"links": [', b'"stac_version": '
_TAG, _ABSENT = f'"{TAG}": '.encode(), ABSENT.encode()
_AT_END = re.compile(_VERSION + rb'"[^"\\]+"(, "stac_extensions": \[[^][{}]*\])?\}')


def cut_out(content: bytes) -> Cut | None:
    """Cut a document in pieces as bytes; None where that takes parsing it.

    PostgreSQL writes the members of an object by the lengths of their names: ``bbox`` and ``links`` come first, the
    version and the extensions last. What looks like a name inside of a text has backslashes before its quotation marks.
    """
    start = content.find(b"]") + 3 if content.startswith(_BBOX) else 1
    if not content.startswith((b"], " + _LINKS, b"{" + _LINKS), start - (3 if start > 1 else 1)):
        return None
    if _TAG in content or _ABSENT in content:
        return None
    listed: list[Any] = []
    end = start + len(_LINKS) + 1
    if not content.startswith(b"], ", end - 1):
        text = content.decode()
        if not text.isascii():
            return None
        listed, end = _DECODER.raw_decode(text, start + len(_LINKS) - 1)
    version = content.rfind(_VERSION)
    if not content.startswith(b", ", end) or (version >= 0 and _AT_END.fullmatch(content, version) is None):
        return None
    return Cut(content[1:start] + content[end + 2 : -1], other_links(listed), version >= 0)


def other_links(links: object) -> bytes:
    """Links that do not belong to the tree, each with a comma behind it."""
    if not isinstance(links, list):
        return b""
    return b"".join(
        orjson.dumps(link) + b"," for link in links if isinstance(link, dict) and link.get("rel") not in TREE
    )


# --- what is written ---


def columns_of(item: ItemDocument, base: Base, drawn: bytes | None, modified: int) -> tuple[str, ...]:
    """Values of pgstac.items: id, collection, datetime, end_datetime, geometry, content, private; each as its text.

    ``drawn`` is the item's outline as GeoJSON, to see whether it is the geometry that was put.
    """
    first = orjson.loads(item.head + b"null}")  # all members before the properties
    geometry = first.get("geometry")
    ours: dict[str, Any] = {"etag": item.etag, "modified": modified}
    if item.text is not None:
        ours["words"] = item.text
    if item.moment != item.since:
        ours["moment"] = item.moment
    if drawn is None or orjson.loads(drawn) != geometry:
        ours["geometry"] = orjson.dumps(geometry).decode()
    own = {key: value for key, value in first.items() if key not in OWN_COLUMNS and key != "properties"}
    if not base.has_assets and own["stac_version"] == base.document["stac_version"]:
        del own["stac_version"]
    before = orjson.dumps(own)[:-1] + (b"," if own else b"")
    content = b'%b"properties":%b%b]}' % (before, item.properties_json, item.tail.removesuffix(b","))
    if base.has_assets:
        document = orjson.loads(content)
        slim = strip(document, base.document)
        if not same(merge(slim, base.document), document):
            ours["whole"] = document
        content = orjson.dumps(slim)
    if base.tag is not None:
        content = b'{"%b":%d,%b' % (TAG.encode(), base.tag, content[1:])
    return (
        item.id,
        item.collection,
        moment_of(item.since).isoformat(),
        moment_of(item.until).isoformat(),
        NOWHERE if item.outline is None else ewkb(item.outline),
        content.decode(),
        orjson.dumps({"overflight": ours}).decode(),
    )


NOWHERE = "0107000020E610000000000000"
"""An empty collection of geometries: pgstac's column wants a geometry of every item."""

_HAS_SRID = 0x20000000


def ewkb(outline: bytes) -> str:
    """A shape in degrees, given as WKB, as the text of PostGIS's type."""
    order: Literal["little", "big"] = "little" if outline[0] == 1 else "big"
    kind = int.from_bytes(outline[1:5], order) | _HAS_SRID
    return (outline[:1] + kind.to_bytes(4, order) + (4326).to_bytes(4, order) + outline[5:]).hex()
