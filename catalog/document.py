"""What a catalog takes in: a STAC document, checked, as the bytes that will be sent and what it is found by.

An Item is kept in three pieces, the middle one its properties, so that a store can look into those without another copy
of them. The links of our tree follow from its name and are added when it is sent.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.antimeridian import Box
from catalog.errors import InvalidExtentError, InvalidItemError
from catalog.extent import BBox, microseconds, parse_time
from catalog.folding import words
from catalog.geometry import mend_geometry, parse_geometry, plain_quadrilateral
from catalog.search import BASE
from catalog.summary import MAX_VALUES, PropertySummary, Summary

STAC = f"{BASE}/stac"
"""Root of the tree of documents."""

QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
SORTABLES = "http://www.opengis.net/def/rel/ogc/1.0/sortables"

TREE = frozenset(
    (
        "self",
        "root",
        "parent",
        "collection",
        "items",
        "item",
        "child",
        "next",
        "prev",
        "aggregate",
        "aggregations",
        QUERYABLES,
        SORTABLES,
    )
)
"""Links that the catalog sets itself."""

MAX_ID = 512

_BEFORE = ("type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox")
"""Members of an Item that are written before its properties."""


_APART = frozenset((*_BEFORE, "properties", "links"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDocument:
    """A Collection, ready to send but for `BASE` and what its items say of it."""

    id: str
    body: bytes
    etag: str


class ItemDocument(NamedTuple):
    """An Item, with what it is found by; a tuple, which goes from process to process faster than other classes."""

    id: str
    collection: str
    moment: int
    """Its datetime, else its start; microseconds since 1970, as are the next two."""

    since: int
    """First moment of its span."""

    until: int
    """Last moment of its span."""

    outline: bytes | None
    """Its geometry cut at the antimeridian, as WKB; None where it has none."""

    box: Box | None
    """The narrowest box around it; west > east crosses the antimeridian."""

    text: str | None
    """The words of its title, description and keywords (`catalog.folding.words`); None where there are none."""

    head: bytes
    """JSON up to its properties."""

    properties_json: bytes
    tail: bytes
    """JSON from behind its properties up to the links of the tree."""

    etag: str

    def properties(self) -> dict[str, Any]:
        """Its properties, read anew."""
        read: dict[str, Any] = orjson.loads(self.properties_json)
        return read

    @property
    def body(self) -> bytes:
        """The whole of it, ready to send but for `BASE`."""
        return item_body(self.head, self.properties_json, self.tail, self.collection, self.id)

    @property
    def shape(self) -> BaseGeometry | None:
        """Its geometry cut at the antimeridian; None where it has none."""
        return None if self.outline is None else shapely.from_wkb(self.outline)


ReadDocument = CollectionDocument | ItemDocument


def read_document(document: Mapping[str, Any] | bytes | ReadDocument, *, collection: str | None = None) -> ReadDocument:
    """Check a STAC Collection or Item and make it ready to send; one that was read already stays as it is.

    Where a ``collection`` is given, only Items of it are taken, and those that name none are taken for its own.

    Raises
    ------
    InvalidItemError
        It is neither, or one that could not be served; names the document and the reason.
    """
    if isinstance(document, ItemDocument | CollectionDocument):
        return document
    plain = _parsed(document)
    kind = plain.get("type") if isinstance(plain, dict) else None
    try:
        if kind == "Feature":
            return _read_item(plain if collection is None else _joined(plain, collection))
        if kind == "Collection" and collection is None:
            return _read_collection(plain)
    except (InvalidItemError, InvalidExtentError) as error:
        raise InvalidItemError(f"{_name(plain)}: {error}") from None
    wrong = "give a STAC Feature or Collection" if collection is None else "no STAC Item, whose type is Feature"
    raise InvalidItemError(f"{_name(plain)}: type {kind!r:.60}; {wrong}")


def _joined(item: dict[str, Any], collection: str) -> dict[str, Any]:
    named = item.get("collection")
    if named is not None and named != collection:
        raise InvalidItemError(f"its collection is {named!r:.100}, not {collection!r:.100}")
    item["collection"] = collection
    return item


def _parsed(document: Mapping[str, Any] | bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return orjson.loads(document if isinstance(document, bytes) else _encode(document))
    except orjson.JSONDecodeError as error:
        raise InvalidItemError(f"no JSON ({error})") from None
    except InvalidItemError as error:
        raise InvalidItemError(f"{_name(document)}: no JSON ({error})") from None


def _name(document: object) -> str:
    return repr(document.get("id"))[:100] if isinstance(document, Mapping) else "document"


def item_body(head: bytes, properties_json: bytes, tail: bytes, collection: str, item: str) -> bytes:
    """Put the pieces of an Item together, with the links of the tree; ready to send but for `BASE`."""
    before, after = _tree_links(collection)
    return b"".join((head, properties_json, tail, before, _in_address(item), after))


def compose_collection(body: bytes, summary: Summary) -> bytes:
    """A Collection with its extent and its summaries as its items have them; as it was put where it has no items."""
    extent = summary.extent.geojson()
    if extent is None:
        return body
    document = orjson.loads(body)
    own = document.get("summaries")
    held = {name: shown for name, one in summary.properties.items() if (shown := _shown(name, one)) is not None}
    return orjson.dumps({**document, "extent": extent, "summaries": {**(own if isinstance(own, dict) else {}), **held}})


def own_collection(document: CollectionDocument, stored: bytes, summary: Summary) -> CollectionDocument:
    """What of a Collection is its own, where one comes back that was shown: not what its items say of it."""
    new, kept, shown = (orjson.loads(body) for body in (document.body, stored, compose_collection(stored, summary)))
    if new["extent"] == shown["extent"]:
        new["extent"] = kept["extent"]
    own, held, given = kept.get("summaries") or {}, shown.get("summaries") or {}, new.get("summaries")
    if isinstance(given, dict) and isinstance(own, dict):
        same = {name for name, value in given.items() if held.get(name) == value}
        rest = {
            name: own[name] if name in same else value for name, value in given.items() if name not in same - own.keys()
        }
        new.pop("summaries")
        new |= {"summaries": rest} if rest or "summaries" in kept else {}
    body = orjson.dumps(new)
    return CollectionDocument(id=document.id, body=body, etag=etag_of(body))


_UNSUMMARISED = re.compile(r"datetime|start_datetime|end_datetime|title|description|keywords|proj:(?!code\Z|epsg\Z).*")
"""Properties whose range says nothing of a collection that its extent does not."""


def _shown(name: str, one: PropertySummary) -> Any:  # noqa: ANN401 - any JSON
    """One of STAC's summaries: a range or all values; None where neither would say anything."""
    if _UNSUMMARISED.fullmatch(name):
        return None
    if one.low is not None:
        return {"minimum": one.low, "maximum": one.high}
    if one.first is not None:
        return {"minimum": one.first, "maximum": one.last}
    return sorted(one.values) if one.values and len(one.values) <= MAX_VALUES else None


def item_address(collection: str, item: str) -> str:
    """Address of an Item as documents hold it."""
    return f"{collection_address(collection)}/items/{quote(item, safe='')}"


def collection_address(collection: str) -> str:
    """Address of a Collection as documents hold it."""
    return f"{STAC}/collections/{quote(collection, safe='')}"


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.~-]+", flags=re.ASCII)


def _in_address(name: str) -> bytes:
    return (name if _PLAIN_NAME.fullmatch(name) else quote(name, safe="")).encode()


@lru_cache(maxsize=1024)
def _tree_links(collection: str) -> tuple[bytes, bytes]:
    """What stands before and after an Item's name in the links of the tree."""
    parent = collection_address(collection)
    before = f'{{"rel":"self","type":"application/geo+json","href":"{parent}/items/'
    others = [_link("root", STAC, "application/json"), _link("parent", parent, "application/json")]
    others.append(_link("collection", parent, "application/json"))
    return before.encode(), b'"},' + orjson.dumps(others)[1:] + b"}"


def _read_collection(document: Mapping[str, Any]) -> CollectionDocument:
    identity = _identity(document, "id")
    _version(document)
    for key in ("description", "license"):
        if not isinstance(document.get(key), str):
            raise InvalidItemError(f"{key}: missing; a Collection needs it (STAC Collection specification)")
    extent = document.get("extent")
    if not isinstance(extent, Mapping) or not {"spatial", "temporal"} <= extent.keys():
        raise InvalidItemError("extent: missing; a Collection needs its spatial and temporal extent")
    self_ = collection_address(identity)
    links = [
        _link("self", self_, "application/json"),
        _link("root", STAC, "application/json"),
        _link("parent", STAC, "application/json"),
        _link("items", f"{self_}/items", "application/geo+json"),
        _link(QUERYABLES, f"{self_}/queryables", "application/schema+json"),
        _link(SORTABLES, f"{self_}/sortables", "application/schema+json"),
        _link("aggregate", f"{self_}/aggregate", "application/json"),
        _link("aggregations", f"{self_}/aggregations", "application/json"),
        *_other_links(document),
    ]
    body = orjson.dumps({**document, "links": links})
    _refuse_nul(document)
    return CollectionDocument(id=identity, body=body, etag=etag_of(body))


def _read_item(document: Mapping[str, Any]) -> ItemDocument:
    identity, collection = _identity(document, "id"), _identity(document, "collection")
    _version(document)
    assets = document.get("assets")
    if not isinstance(assets, dict):
        raise InvalidItemError("assets: missing; an Item has an object of them, if need be an empty one")
    for key, asset in assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            raise InvalidItemError(f"assets/{key}: it has no href")
    properties = document.get("properties")
    if not isinstance(properties, dict) or "datetime" not in properties:
        raise InvalidItemError("properties/datetime: missing; null is allowed beside start_datetime and end_datetime")
    moment, since, until = _times(properties)
    outline, box = _place(document)
    head = orjson.dumps({key: document[key] for key in _BEFORE if key in document})[:-1] + b',"properties":'
    properties_json = orjson.dumps(properties)
    others = {key: value for key, value in document.items() if key not in _APART}
    links = b"".join(orjson.dumps(link) + b"," for link in _other_links(document))
    tail = b"," + orjson.dumps(others)[1:-1] + b',"links":[' + links
    if b"\\u0000" in head or b"\\u0000" in properties_json or b"\\u0000" in tail:
        _refuse_nul(document)
    return ItemDocument(
        id=identity,
        collection=collection,
        moment=moment,
        since=since,
        until=until,
        outline=outline,
        box=box,
        text=_text(properties),
        head=head,
        properties_json=properties_json,
        tail=tail,
        etag=etag_of(head, properties_json, tail),
    )


def _refuse_nul(document: Mapping[str, Any]) -> None:
    """U+0000 is text in JSON, but in no database."""
    if _holds_nul(document):
        raise InvalidItemError("U+0000 in a text: no database can hold it")


def _holds_nul(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_holds_nul(name) or _holds_nul(one) for name, one in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def etag_of(*pieces: bytes) -> str:
    """A name for exactly these bytes."""
    return blake2b(b"".join(pieces), digest_size=12).hexdigest()


def _text(properties: Mapping[str, Any]) -> str | None:
    """Words of what people read."""
    keywords = properties.get("keywords")
    texts = [properties.get("title"), properties.get("description"), *(keywords if isinstance(keywords, list) else ())]
    return "".join(words(text) for text in texts if isinstance(text, str)) or None


def _identity(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidItemError(f"{key}: {value!r:.60} is no text")
    if len(value) > MAX_ID or not value.isprintable() or "/" in value or set(value) == {"."}:
        raise InvalidItemError(
            f"{key}: {value!r:.60} cannot stand in an address; leave out / and what cannot be printed"
        )
    return value


def _version(document: Mapping[str, Any]) -> None:
    version = document.get("stac_version")
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidItemError(f"stac_version: {version!r:.60}; this catalog holds STAC 1.x")


def _times(properties: Mapping[str, Any]) -> tuple[int, int, int]:
    """Moment and span; an Item without a datetime has a start and an end (STAC Item specification)."""
    moment, start, end = (_time(properties, key) for key in ("datetime", "start_datetime", "end_datetime"))
    if start is not None and end is not None:
        if start > end:
            raise InvalidItemError("properties/start_datetime: it lies after end_datetime")
        return (start if moment is None else moment), start, end
    if moment is None:
        raise InvalidItemError("properties/datetime: null; then start_datetime and end_datetime are needed")
    return moment, moment, moment


def _time(properties: Mapping[str, Any], key: str) -> int | None:
    value = properties.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidItemError(f"properties/{key}: {value!r:.60} is no RFC 3339 date-time")
    try:
        return microseconds(parse_time(value))
    except InvalidExtentError as error:
        raise InvalidItemError(f"properties/{key}: {error}") from None


def _place(document: Mapping[str, Any]) -> tuple[bytes | None, Box | None]:
    """Outline and box."""
    geometry = document.get("geometry")
    if geometry is None:
        return None, None
    box = _drawn_box(document.get("bbox"))
    quadrilateral = plain_quadrilateral(geometry)
    if quadrilateral is not None:  # as most scenes; it needs no library to see that it is well drawn
        return quadrilateral
    shape = _shape(geometry, box)
    bounds: Box = shape.bounds
    # One of at most half the Earth is the narrowest already, unless it goes on behind the antimeridian.
    is_narrowest = -180 < bounds[0] and bounds[2] < 180 and bounds[2] - bounds[0] <= 180
    return shapely.to_wkb(shape), bounds if is_narrowest else antimeridian.narrowest_box(shape)


def _drawn_box(bbox: Any) -> BBox:  # noqa: ANN401 - any JSON
    if not isinstance(bbox, list) or not all(map(_is_number, bbox)):
        raise InvalidItemError("bbox: missing; an Item with a geometry needs west, south, east, north")
    return BBox.of(bbox)


def _shape(geometry: Mapping[str, Any], box: BBox) -> BaseGeometry:
    """The geometry on the globe; where its bbox says that it is a wide box, its long edges do not run the short way."""
    if box.east - box.west > 180:
        drawn = parse_geometry(geometry)
        whole = shapely.box(*box.as_tuple())
        if drawn.geom_type == "Polygon" and drawn.equals(whole):
            return whole
    return mend_geometry(geometry)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _link(rel: str, href: str, media_type: str) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media_type}


def _other_links(document: Mapping[str, Any]) -> list[Any]:
    """The document's own links that do not belong to the tree: licence, derived_from, about."""
    links = document.get("links") or []
    if not isinstance(links, list):
        raise InvalidItemError("links: not an array of objects")
    for link in links:
        if not isinstance(link, dict):
            raise InvalidItemError("links: not an array of objects")
        if not isinstance(link.get("rel"), str) or not isinstance(link.get("href"), str):
            raise InvalidItemError("links: each one needs a rel and a href")
    return [link for link in links if link["rel"] not in TREE]


def _encode(document: Mapping[str, Any]) -> bytes:
    """JSON of RFC 8259: the standard library's encoder names a NaN, where orjson would write null for it."""
    try:
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidItemError(str(error)) from None
