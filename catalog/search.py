"""What can be asked of a catalog, and the protocol that every catalog answers.

Documents go in as plain STAC dictionaries and come out as the bytes that are sent: no dictionary is built on a read.
Every address in them that points into this installation begins with `BASE`; the door that sends them puts the public
address in its place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from catalog.errors import InvalidSearchError
from catalog.extent import BBox, TimeWindow
from catalog.geometry import read_geometry

BASE = "https://overflight.invalid"
"""Stands for the public address of this installation in stored documents (RFC 2606: never resolves)."""

MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a client asks for; None leaves a condition out, an empty tuple matches nothing."""

    collections: tuple[str, ...] | None = None
    """Ids of collections; items of any of them."""

    ids: tuple[str, ...] | None = None
    """Ids of items."""

    bbox: BBox | None = None
    """Items whose geometry touches the box."""

    intersects: Mapping[str, Any] | None = None
    """A GeoJSON geometry of any type; items whose geometry touches it."""

    datetime: TimeWindow | None = None
    """Items whose moment or span shares a moment with the window."""

    limit: int = 10
    """Most items of one page, 1 to `MAX_LIMIT`."""

    token: str | None = None
    """Where the page starts, as an earlier page said."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidSearchError(f"limit: {self.limit} is out of bounds; give 1 to {MAX_LIMIT}")
        if self.bbox is not None and self.intersects is not None:
            raise InvalidSearchError("bbox and intersects: give one of the two (STAC API – Item Search)")

    def place(self) -> BaseGeometry | None:
        """Where to look, cut at the antimeridian; None is everywhere.

        Raises
        ------
        InvalidExtentError
            `intersects` is no valid GeoJSON geometry on Earth.
        """
        if self.intersects is not None:
            return read_geometry(self.intersects)
        if self.bbox is not None:
            return shapely.union_all([_rectangle(part) for part in self.bbox.parts()])
        return None


def _rectangle(box: BBox) -> BaseGeometry:
    """The box as a polygon, or as the line or the point that one without width or height is."""
    if box.west < box.east and box.south < box.north:
        return shapely.box(*box.as_tuple())
    corners = [(box.west, box.south), (box.east, box.north)]
    return shapely.Point(corners[0]) if corners[0] == corners[1] else shapely.LineString(corners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the items that a search finds, newest first, then by id."""

    items: tuple[bytes, ...]
    """STAC Items as JSON, ready to send but for `BASE`."""

    next_token: str | None
    """For `Search.token` to go on; None on the last page."""

    previous_token: str | None = None
    """For `Search.token` to go back; None on the first page."""


class Catalog(Protocol):
    """Scenes at rest. Implementations are safe to use from many threads and processes."""

    def put(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Insert or replace Collections and Items, all or none, and say how many; durable when it returns.

        Raises
        ------
        InvalidItemError
            A document is no STAC Collection or Item, or its collection is unknown; names the document and the reason.
        """
        ...

    def get(self, collection: str, item: str | None = None) -> bytes:
        """One Collection or Item as JSON bytes.

        Raises
        ------
        NotFoundError
            There is none of that id.
        """
        ...

    def delete(self, collection: str, item: str | None = None) -> None:
        """Remove an Item, or a Collection with all its Items.

        Raises
        ------
        NotFoundError
            There is none of that id.
        """
        ...

    def search(self, search: Search) -> Page:
        """The items that meet every condition, newest first, ties by id.

        Raises
        ------
        InvalidSearchError
            The token is not one of this search.
        """
        ...

    def collections(self) -> tuple[bytes, ...]:
        """Every Collection as JSON bytes, by id."""
        ...
