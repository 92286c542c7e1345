"""What a client asks the STAC API for, by GET or by POST, as a `catalog.search.Search`.

A parameter without effect would make its sender take the answer for something else, so that an unknown one is refused
(OGC 17-069r4, 7.4). Nothing here builds models: these lines run for every request.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from api.stac.fields import Fields
from api.stac.query import query_filter
from catalog.errors import InvalidSearchError
from catalog.extent import BBox, TimeWindow
from catalog.filter import And, Predicate
from catalog.filter_reader import read_filter
from catalog.search import MAX_LIMIT, NEWEST_FIRST, Search, SortKey

DEFAULT_LIMIT = 10

MAX_ASKED = 1_000_000
"""A larger limit is a mistake."""

MAX_TERMS = 100
"""Of a search for words: a store looks for each of them, and a database takes some hundreds."""

CRS84 = ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "http://www.opengis.net/def/crs/OGC/0/CRS84h")

PARAMETERS = (
    "collections", "ids", "bbox", "intersects", "datetime", "limit", "token", "filter", "filter-lang", "filter-crs",
    "bbox-crs", "sortby", "fields", "q", "query", "numberMatched", "f",
)  # fmt: skip
"""What a search takes; the same names in a query string and in a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A search, and how its answer is to look."""

    search: Search
    fields: Fields | None
    format: str | None
    """``f`` of the query string; None leaves it to the Accept header."""

    most: int | None
    """The limit as the client gave it: of a page, or of a whole stream."""

    given: Mapping[str, Any]
    """The parameters as they came, for the links to other pages."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing but collections is asked for."""
        search = self.search
        conditions = (search.ids, search.bbox, search.intersects, search.datetime, search.filter, search.text)
        return all(condition is None for condition in conditions)


def read_query(request: Request, extra: Iterable[str] = ()) -> Asked:
    """Read a query string; an empty parameter asks for nothing.

    Raises
    ------
    CatalogError
        A parameter is unknown, given twice, or says nothing sensible; names it.
    """
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name, _ in pairs if sum(one == name for one, _ in pairs) > 1)
        raise InvalidSearchError(f"{twice[:60]}: given more than once; separate values by commas")
    _refuse_unknown(given, extra)
    asked = {name: value for name, value in given.items() if value and name in PARAMETERS}
    read = {name: _FROM_TEXT[name](value) if name in _FROM_TEXT else value for name, value in asked.items()}
    return _asked(read, given, text_filter=True)


def read_body(body: bytes, extra: Iterable[str] = ()) -> Asked:
    """Read a body of POST.

    Raises
    ------
    CatalogError
        It is no JSON object, a member is unknown, or says nothing sensible; names it.
    """
    given = read_json(body)
    _refuse_unknown(given, extra)
    if given.get("fields", {}) is None:
        raise InvalidSearchError("fields: null; leave it out, or give an object of include and exclude")
    read = {name: value for name, value in given.items() if value is not None and name in PARAMETERS}
    for name in ("collections", "ids", "q"):  # some clients write a list of one as text
        if isinstance(read.get(name), str):
            read[name] = read[name].split(",")
    for name, (kind, wanted) in _IN_BODY.items():
        if name in read and (not isinstance(read[name], kind) or (kind is int and isinstance(read[name], bool))):
            raise InvalidSearchError(f"{name}: {orjson.dumps(read[name])[:60].decode(errors='replace')} is no {wanted}")
    read = {name: _FROM_JSON[name](value) if name in _FROM_JSON else value for name, value in read.items()}
    return _asked(read, given, text_filter=False)


def read_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InvalidSearchError
        It is none.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidSearchError(f"body: no JSON (RFC 8259): {error}") from None
    if not isinstance(given, dict):
        raise InvalidSearchError("body: no JSON object")
    return given


def _asked(read: Mapping[str, Any], given: Mapping[str, Any], *, text_filter: bool) -> Asked:
    limit = read.get("limit", DEFAULT_LIMIT)
    search = Search(
        collections=read.get("collections"),
        ids=read.get("ids"),
        bbox=read.get("bbox"),
        intersects=read.get("intersects"),
        datetime=read.get("datetime"),
        filter=_filter(read, text_filter=text_filter),
        text=_terms(read.get("q")),
        sortby=read.get("sortby") or NEWEST_FIRST,
        limit=_page_limit(limit),
        token=read.get("token"),
        count=read.get("numberMatched", False),
    )
    return Asked(
        search=search,
        fields=read.get("fields"),
        format=read.get("f"),
        most=limit if "limit" in read else None,
        given=given,
    )


def _terms(terms: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if terms is not None and len(terms) > MAX_TERMS:
        raise InvalidSearchError(f"q: {len(terms)} terms; give up to {MAX_TERMS}")
    return terms


def _page_limit(limit: int) -> int:
    """More than a page holds is no mistake, but is answered by a page (OGC 17-069r4, 7.15.2)."""
    if limit > MAX_ASKED:
        raise InvalidSearchError(f"limit: {limit:.3g} is out of bounds; give 1 to {MAX_ASKED}")
    return min(limit, MAX_LIMIT)


def _refuse_unknown(given: Iterable[str], extra: Iterable[str]) -> None:
    for name in given:
        if name not in PARAMETERS and name not in extra:
            known = ", ".join((*PARAMETERS, *extra))
            raise InvalidSearchError(f"{name[:60]}: no such parameter here; known are {known}")


def _filter(read: Mapping[str, Any], *, text_filter: bool) -> Predicate | None:
    language = read.get("filter-lang", "cql2-text" if text_filter else "cql2-json")
    if language not in ("cql2-text", "cql2-json"):
        raise InvalidSearchError(f"filter-lang: {language!r:.40} is not spoken here; write cql2-text or cql2-json")
    for name in ("filter-crs", "bbox-crs"):
        if read.get(name, CRS84[0]) not in CRS84:
            raise InvalidSearchError(f"{name}: {read[name]!r:.80}; this catalog knows {CRS84[0]} only")
    parts: list[Predicate] = []
    if "query" in read:
        parts.append(query_filter(read["query"]))
    if "filter" in read:
        written = read["filter"]
        if language == "cql2-json" and isinstance(written, str):
            written = _json("filter", written)
        elif language == "cql2-text" and not isinstance(written, str):
            raise InvalidSearchError("filter: CQL2 text is a string; or leave filter-lang out")
        parts.append(read_filter(written))
    return And(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _box(text: str) -> BBox:
    try:
        return BBox.of([float(edge) for edge in text.split(",")])
    except ValueError:
        raise InvalidSearchError(f"bbox: {text!r:.80} is not four numbers; give west,south,east,north") from None


def _json(name: str, text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidSearchError(f"{name}: no JSON ({error})") from None


def _geometry(text: str) -> Mapping[str, Any]:
    geometry = _json("intersects", text)
    if not isinstance(geometry, dict):
        raise InvalidSearchError("intersects: no JSON object; give a GeoJSON geometry")
    return geometry


def _limit(text: str) -> int:
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
        raise InvalidSearchError(f"limit: {text!r:.40} is no whole number; give 1 to {MAX_LIMIT}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidSearchError(f"numberMatched: {text!r:.40}; give true or false")
    return text == "true"


def _texts(name: str) -> Callable[[list[Any]], tuple[str, ...]]:
    def texts(values: list[Any]) -> tuple[str, ...]:
        if not all(isinstance(value, str) for value in values):
            raise InvalidSearchError(f"{name}: an array of texts is due")
        return tuple(values)

    return texts


def _sort_keys(values: list[Any]) -> tuple[SortKey, ...]:
    keys = []
    for value in values:
        field, direction = (
            (value.get("field"), value.get("direction", "asc")) if isinstance(value, dict) else (value, "asc")
        )
        if not isinstance(field, str) or direction not in ("asc", "desc"):
            raise InvalidSearchError('sortby: write [{"field": "properties.gsd", "direction": "desc"}]')
        keys.append(SortKey.parse(("-" if direction == "desc" else "+") + field if isinstance(value, dict) else field))
    return tuple(keys)


def _fields(value: dict[str, Any]) -> Fields | None:
    include, exclude = value.get("include"), value.get("exclude")
    if not all(isinstance(part, list | None) for part in (include, exclude)):
        raise InvalidSearchError('fields: write {"include": ["properties.gsd"], "exclude": ["assets"]}')
    return Fields.of([] if include is None and "include" in value else include, exclude or [])


_FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    "collections": _names,
    "ids": _names,
    "bbox": _box,
    "intersects": _geometry,
    "datetime": TimeWindow.parse,
    "limit": _limit,
    "sortby": lambda text: tuple(SortKey.parse(part) for part in text.split(",")),
    "fields": Fields.parse,
    "q": lambda text: tuple(part for part in text.split(",") if part),
    "query": lambda text: _json("query", text),
    "numberMatched": _flag,
}

_FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "collections": _texts("collections"),
    "ids": _texts("ids"),
    "bbox": BBox.of,
    "datetime": TimeWindow.parse,
    "sortby": _sort_keys,
    "fields": _fields,
    "q": _texts("q"),
}

_IN_BODY: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "collections": (list, "array of ids"),
    "ids": (list, "array of ids"),
    "bbox": (list, "array of numbers: west, south, east, north"),
    "intersects": (dict, "GeoJSON geometry"),
    "datetime": (str, "text: an RFC 3339 moment or interval"),
    "limit": (int, f"whole number from 1 to {MAX_LIMIT}"),
    "token": (str, "text: the token of an earlier page"),
    "filter": ((dict, bool, str), "CQL2"),
    "filter-lang": (str, "text: cql2-json or cql2-text"),
    "filter-crs": (str, "text"),
    "bbox-crs": (str, "text"),
    "sortby": (list, "array of fields with their direction"),
    "fields": (dict, "object of include and exclude"),
    "q": (list, "array of texts"),
    "query": (dict, "object of properties with their conditions"),
    "numberMatched": (bool, "true or false"),
    "f": (str, "text"),
}
