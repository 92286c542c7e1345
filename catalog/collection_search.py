"""Which collections meet some conditions: by what their own documents say (STAC API – Collection Search).

Collections are few, so that they are looked at one by one, and a page starts at a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from catalog import antimeridian
from catalog.errors import InvalidExtentError, InvalidSearchError
from catalog.extent import BBox, TimeWindow, parse_time
from catalog.folding import words
from catalog.search import MAX_LIMIT, SortKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSearch:
    """What a client asks for; None leaves a condition out."""

    bbox: BBox | None = None
    """Collections whose extent touches the box."""

    datetime: TimeWindow | None = None
    """Collections whose interval shares a moment with the window."""

    text: tuple[str, ...] | None = None
    """Collections whose id, title, description or keywords hold the words of any of these, in order."""

    sortby: tuple[SortKey, ...] = ()
    """Members of the collection, such as ``title``; ties go by id."""

    limit: int = MAX_LIMIT
    token: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidSearchError(f"limit: {self.limit} is out of bounds; give 1 to {MAX_LIMIT}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPage:
    """Some of the collections that a search finds."""

    collections: tuple[bytes, ...]
    matched: int
    next_token: str | None
    previous_token: str | None


def find_collections(search: CollectionSearch, documents: Sequence[bytes]) -> CollectionPage:
    """Find collections among all that may be seen, given by id.

    Raises
    ------
    InvalidSearchError
        The token is none, or the order names a member that no collection has.
    """
    found = [(body, document) for body, document in ((body, orjson.loads(body)) for body in documents)
             if _matches(search, document)]  # fmt: skip
    for key in reversed(search.sortby):
        found = _sorted(found, key)
    start = _start(search.token)
    page = found[start : start + search.limit]
    return CollectionPage(
        collections=tuple(body for body, _ in page),
        matched=len(found),
        next_token=str(start + search.limit) if start + search.limit < len(found) else None,
        previous_token=str(max(0, start - search.limit)) if start else None,
    )


def _start(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 9:
        raise InvalidSearchError("token: it is not one of this search; follow the links of its pages as they are")
    return int(token)


def _matches(search: CollectionSearch, document: Mapping[str, Any]) -> bool:
    if search.text is not None and not _holds(search.text, document):
        return False
    extent = document["extent"]
    if search.datetime is not None and not _overlaps(search.datetime, extent["temporal"]):
        return False
    return search.bbox is None or _touches(search.bbox, extent["spatial"])


def _holds(text: Sequence[str], document: Mapping[str, Any]) -> bool:
    keywords = document.get("keywords")
    parts = [document.get(name) for name in ("id", "title", "description")]
    parts += keywords if isinstance(keywords, list) else []
    held = "".join(words(part) for part in parts if isinstance(part, str))
    return any(words(term) and words(term) in held for term in text)


def _overlaps(window: TimeWindow, temporal: Mapping[str, Any]) -> bool:
    """The first interval is the whole one; the others are its parts (STAC Collection specification)."""
    try:
        start, end = (None if end is None else parse_time(end) for end in temporal["interval"][0])
        return start is end is None or TimeWindow(start=start, end=end).overlaps(window)
    except (InvalidExtentError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return False  # it says no time


def _touches(box: BBox, spatial: Mapping[str, Any]) -> bool:
    """Any of its boxes but the first, which is around all of them, where there are several."""
    try:
        boxes = [BBox.of(values) for values in spatial["bbox"]]
    except (InvalidExtentError, KeyError, TypeError):
        return False  # it says no place
    wanted = antimeridian.with_seams(box.geometry())
    return any(wanted.intersects(one.geometry()) for one in (boxes[1:] or boxes))


def _sorted(found: list[tuple[bytes, dict[str, Any]]], key: SortKey) -> list[tuple[bytes, dict[str, Any]]]:
    """By one member; what is missing comes last in either direction."""
    if found and not any(key.property in document for _, document in found):
        raise InvalidSearchError(f"sortby: no collection has {key.property[:60]!r}")
    plain = [one for one in found if isinstance(one[1].get(key.property), str | int | float)]
    rest = [one for one in found if not isinstance(one[1].get(key.property), str | int | float)]
    plain.sort(key=lambda one: (isinstance(one[1][key.property], str), one[1][key.property]), reverse=key.descending)
    return plain + rest
