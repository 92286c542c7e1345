"""What can be asked of a catalog, and the two protocols that every catalog answers.

Documents go in as STAC dictionaries or as their JSON, and come out as bytes ready to send: no dictionary is built on a
read. Every address in them that points into this installation begins with `BASE`; the door that sends them puts the
public address in its place.

Who reads does so through a `View`, which knows the tenants whose collections may be seen: there is no way around it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shapely.geometry.base import BaseGeometry

from catalog.aggregate import Aggregate, Aggregation
from catalog.errors import InvalidSearchError
from catalog.extent import BBox, TimeWindow
from catalog.filter import Predicate, canonical
from catalog.geometry import read_geometry
from catalog.summary import Summary

BASE = "https://overflight.invalid"
"""Stands for the public address of this installation in documents (RFC 2606: never resolves)."""

MAX_LIMIT = 10_000

MAX_MATCHED = 100_000
"""Above so many items they are not counted further."""

MAX_SORT_KEYS = 5


@dataclass(frozen=True, slots=True)
class SortKey:
    """A property to sort by: numbers first, then text; what is missing, or neither, comes last in either direction."""

    property: str
    """``id``, ``collection``, ``datetime``, ``start_datetime``, ``end_datetime`` or a member of the properties."""

    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "SortKey":
        """Read ``-datetime``, ``+properties.gsd``, ``id``.

        Raises
        ------
        InvalidSearchError
            It names nothing.
        """
        name = canonical(text.strip().removeprefix("+").removeprefix("-"))
        if not name or not name.isprintable():
            raise InvalidSearchError(f"sortby: {text[:60]!r} names no property; write -datetime or +properties.gsd")
        return cls(name, text.strip().startswith("-"))


NEWEST_FIRST = (SortKey("datetime", descending=True),)


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

    filter: Predicate | None = None
    """Items for which it is true."""

    text: tuple[str, ...] | None = None
    """Items whose title, description or keywords hold the words of any of these, next to each other and in order."""

    sortby: tuple[SortKey, ...] = NEWEST_FIRST
    """Ties go by collection, then by id, in the direction of the first of them."""

    limit: int = 10
    """Most items of one page, 1 to `MAX_LIMIT`."""

    token: str | None = None
    """Where the page starts, as an earlier page said."""

    count: bool = False
    """Whether `Page.matched` is wanted."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidSearchError(f"limit: {self.limit} is out of bounds; give 1 to {MAX_LIMIT}")
        if self.bbox is not None and self.intersects is not None:
            raise InvalidSearchError("bbox and intersects: give one of the two (STAC API – Item Search)")
        if not 1 <= len(self.sortby) <= MAX_SORT_KEYS:
            raise InvalidSearchError(f"sortby: {len(self.sortby)} properties; give 1 to {MAX_SORT_KEYS}")
        if len({key.property for key in self.sortby}) < len(self.sortby):
            raise InvalidSearchError("sortby: a property stands there twice")

    def place(self) -> BaseGeometry | None:
        """Where `bbox` or `intersects` look, cut at the antimeridian; None is everywhere.

        Raises
        ------
        InvalidExtentError
            `intersects` is no valid GeoJSON geometry on Earth.
        """
        if self.intersects is not None:
            return read_geometry(self.intersects)
        return None if self.bbox is None else self.bbox.geometry()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the items that a search finds, in its order."""

    items: tuple[bytes, ...]
    """STAC Items as JSON, ready to send but for `BASE`."""

    next_token: str | None
    """For `Search.token` to go on; None on the last page."""

    previous_token: str | None = None
    """For `Search.token` to go back; None on the first page."""

    matched: int | None = None
    """How many items there are on all pages; None where that was not asked, or they are more than `MAX_MATCHED`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A Collection or an Item with what HTTP validates it by."""

    body: bytes
    """JSON, ready to send but for `BASE`."""

    etag: str
    """Changes with the body; printable ASCII without quotes."""

    modified: datetime | None
    """When the body last changed; None where the store does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold of the documents that are there for a write to take effect."""

    absent: bool = False
    """None of them is there yet."""

    present: bool = False
    """Each of them is there."""

    etags: frozenset[str] | None = None
    """Each of them is there, and in one of these states."""


ALWAYS = Condition()


class View(Protocol):
    """What some tenants may see of a catalog, and nothing else: not even that there is more.

    Implementations are safe to use from many threads and processes.
    """

    def get(self, collection: str, item: str | None = None) -> Document:
        """One Collection or Item.

        Raises
        ------
        NotFoundError
            There is none of that id to be seen.
        """
        ...

    def search(self, search: Search) -> Page:
        """The items that meet every condition, in order.

        Raises
        ------
        InvalidSearchError
            The token is not one of this search, or a property is unknown.
        """
        ...

    def collections(self) -> Sequence[bytes]:
        """Every Collection as JSON bytes, by id, with its extent and summaries as its items have them."""
        ...

    def summaries(self) -> Mapping[str, Summary]:
        """What each collection holds, by its id."""
        ...

    def aggregate(self, search: Search, wanted: Sequence[Aggregation]) -> Sequence[Aggregate]:
        """Figures over all items that a search finds; its limit, order and token do not matter.

        Raises
        ------
        InvalidSearchError
            A property is unknown.
        """
        ...


class Catalog(Protocol):
    """Scenes at rest. Implementations are safe to use from many threads and processes."""

    def view(self, tenants: frozenset[str] | None = None) -> View:
        """What these tenants see: their collections and those of nobody; None sees all."""
        ...

    def put(
        self,
        documents: Iterable[Any],
        *,
        tenant: str | None = None,
        condition: Condition = ALWAYS,
    ) -> int:
        """Insert or replace Collections and Items, all or none, and say how many; durable when it returns.

        They come as dictionaries, as their JSON, or as `catalog.document.read_document` gives them.

        A new collection belongs to the tenant, or to nobody, so that everybody sees it; one that is there stays whose
        it is.

        Raises
        ------
        InvalidItemError
            A document is no STAC Collection or Item, or its collection is unknown; names the document and the reason.
        PreconditionError
            The condition does not hold.
        """
        ...

    def delete(self, collection: str, item: str | None = None, *, condition: Condition = ALWAYS) -> None:
        """Remove an Item, or a Collection with all its Items.

        Raises
        ------
        NotFoundError
            There is none of that id.
        PreconditionError
            The condition does not hold.
        """
        ...
