"""What a catalog takes in: a STAC document, checked, with the links of our tree, as the bytes that will be sent."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import shapely
from shapely.geometry.base import BaseGeometry

from catalog.errors import InvalidExtentError, InvalidItemError
from catalog.extent import BBox, parse_time
from catalog.geometry import mend_geometry, parse_geometry
from catalog.search import BASE

STAC = f"{BASE}/stac"
"""Root of the tree of documents."""

_TREE = frozenset({"self", "root", "parent", "collection", "items", "item", "child", "next", "prev"})
"""Links that the catalog sets itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_ID = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDocument:
    """A Collection, ready to send but for `BASE`."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDocument:
    """An Item, ready to send but for `BASE`, with what it is found by."""

    id: str
    collection: str
    moment: int
    """Its datetime, else its start; microseconds since 1970, as are the next two."""

    since: int
    """First moment of its span."""

    until: int
    """Last moment of its span."""

    shape: BaseGeometry | None
    """Its geometry cut at the antimeridian; None where it has none."""

    body: bytes


def read_document(document: Mapping[str, Any]) -> CollectionDocument | ItemDocument:
    """Check a STAC Collection or Item and make it ready to send.

    Raises
    ------
    InvalidItemError
        It is neither, or one that could not be served; names the document and the reason.
    """
    kind = document.get("type") if isinstance(document, Mapping) else None
    name = repr(document.get("id"))[:100] if isinstance(document, Mapping) else "document"
    if kind not in ("Feature", "Collection"):
        raise InvalidItemError(f"{name}: type {kind!r:.60}; give a STAC Feature or Collection")
    try:
        return _read_item(document) if kind == "Feature" else _read_collection(document)
    except (InvalidItemError, InvalidExtentError) as error:
        raise InvalidItemError(f"{name}: {error}") from None


def item_address(collection: str, item: str) -> str:
    """Address of an Item as documents hold it."""
    return f"{collection_address(collection)}/items/{quote(item, safe='')}"


def collection_address(collection: str) -> str:
    """Address of a Collection as documents hold it."""
    return f"{STAC}/collections/{quote(collection, safe='')}"


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact for every year of the calendar."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


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
        *_other_links(document),
    ]
    return CollectionDocument(id=identity, body=_encode({**document, "links": links}))


def _read_item(document: Mapping[str, Any]) -> ItemDocument:
    identity, collection = _identity(document, "id"), _identity(document, "collection")
    _version(document)
    if not isinstance(document.get("assets"), Mapping):
        raise InvalidItemError("assets: missing; an Item has an object of them, if need be an empty one")
    for key, asset in document["assets"].items():
        if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
            raise InvalidItemError(f"assets/{key}: it has no href")
    moment, since, until = _times(document.get("properties"))
    self_, parent = item_address(collection, identity), collection_address(collection)
    links = [
        _link("self", self_, "application/geo+json"),
        _link("root", STAC, "application/json"),
        _link("parent", parent, "application/json"),
        _link("collection", parent, "application/json"),
        *_other_links(document),
    ]
    return ItemDocument(
        id=identity,
        collection=collection,
        moment=moment,
        since=since,
        until=until,
        shape=_shape(document),
        body=_encode({**document, "links": links}),
    )


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


def _times(properties: Any) -> tuple[int, int, int]:  # noqa: ANN401 - any JSON
    """Moment and span; an Item without a datetime has a start and an end (STAC Item specification)."""
    if not isinstance(properties, Mapping) or "datetime" not in properties:
        raise InvalidItemError("properties/datetime: missing; null is allowed beside start_datetime and end_datetime")
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


def _shape(document: Mapping[str, Any]) -> BaseGeometry | None:
    """The geometry on the globe; where its bbox says that it is a wide box, its long edges do not run the short way."""
    geometry, bbox = document.get("geometry"), document.get("bbox")
    if geometry is None:
        return None
    if not isinstance(bbox, list | tuple) or not all(_is_number(edge) for edge in bbox):
        raise InvalidItemError("bbox: missing; an Item with a geometry needs west, south, east, north")
    box = BBox.of(bbox)
    if box.east - box.west > 180:
        drawn = parse_geometry(geometry)
        whole = shapely.box(*box.as_tuple())
        if drawn.geom_type == "Polygon" and drawn.equals(whole):
            return whole
    return mend_geometry(geometry)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _link(rel: str, href: str, media_type: str) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media_type}


def _other_links(document: Mapping[str, Any]) -> list[Any]:
    """The document's own links that do not belong to the tree: licence, derived_from, about."""
    links = document.get("links") or []
    if not isinstance(links, list | tuple) or not all(isinstance(link, Mapping) for link in links):
        raise InvalidItemError("links: not an array of objects")
    for link in links:
        if not isinstance(link.get("rel"), str) or not isinstance(link.get("href"), str):
            raise InvalidItemError("links: each one needs a rel and a href")
    return [dict(link) for link in links if link["rel"] not in _TREE]


def _encode(document: Mapping[str, Any]) -> bytes:
    """JSON of RFC 8259: the standard library's encoder names a NaN, where orjson would write null for it."""
    try:
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidItemError(f"no JSON: {error}") from None
