"""The routes of the STAC API as the OpenAPI description tells of them: what they take and what they answer.

The routes read their parameters themselves (`api.stac.requests`), so that nothing here runs for a request.
"""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from api.stac.answers import GEOJSON, JSON, SCHEMA
from api.stac.export import ARROW, FORMATS, GEOPARQUET, NDJSON
from api.stac.requests import MAX_ASKED
from catalog.search import MAX_LIMIT

Kwargs = dict[str, Any]
"""Arguments of `fastapi.APIRouter.get` and its like."""

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}

_PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "collections": (_TEXT, "ids, separated by commas"),
    "ids": (_TEXT, "ids, separated by commas"),
    "bbox": (_TEXT, "west,south,east,north; west > east crosses the antimeridian"),
    "intersects": (_TEXT, "a GeoJSON geometry of any type"),
    "datetime": (_TEXT, "RFC 3339 moment or interval: 2026-01-01T00:00:00Z/.."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_ASKED},
        f"most items of a page, which holds up to {MAX_LIMIT}, or of a stream",
    ),
    "token": (_TEXT, "where the page starts, from a link of an earlier page"),
    "filter": (_TEXT, "CQL2: eo:cloud_cover < 20 AND platform LIKE 'hr-%'"),
    "filter-lang": ({"type": "string", "enum": ["cql2-text", "cql2-json"]}, "of the filter"),
    "filter-crs": (_TEXT, "of the filter's geometries: CRS84 only"),
    "bbox-crs": (_TEXT, "of the bbox: CRS84 only"),
    "sortby": (_TEXT, "-datetime,+properties.gsd: properties with their direction, separated by commas"),
    "fields": (_TEXT, "id,properties.gsd,-geometry: members to have and, behind a minus, to leave out"),
    "q": (_TEXT, "words of titles, descriptions and keywords; any of several, separated by commas"),
    "query": (_TEXT, 'conditions by property, as JSON: {"eo:cloud_cover": {"lt": 10}}'),
    "numberMatched": ({"type": "boolean"}, "whether to count what there is on all pages"),
    "f": ({"type": "string", "enum": sorted(FORMATS)}, "format of the answer, in place of an Accept header"),
}

_BODY: dict[str, dict[str, Any]] = {
    "collections": _TEXTS,
    "ids": _TEXTS,
    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
    "intersects": {"type": "object", "description": _PARAMETERS["intersects"][1]},
    "datetime": _TEXT,
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_ASKED},
    "token": _TEXT,
    "filter": {"description": "CQL2 JSON; or text, where filter-lang says so"},
    "filter-lang": {"type": "string", "enum": ["cql2-json", "cql2-text"]},
    "filter-crs": _TEXT,
    "bbox-crs": _TEXT,
    "sortby": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["field"],
            "properties": {"field": _TEXT, "direction": {"type": "string", "enum": ["asc", "desc"]}},
        },
    },
    "fields": {"type": "object", "properties": {"include": _TEXTS, "exclude": _TEXTS}},
    "q": _TEXTS,
    "query": {"type": "object", "additionalProperties": {"type": "object"}},
    "numberMatched": {"type": "boolean"},
    "f": {"type": "string", "enum": sorted(FORMATS)},
}


def parameter(name: str, description: str) -> dict[str, Any]:
    """Describe a parameter of a query string."""
    return {"name": name, "in": "query", "required": False, "schema": _TEXT, "description": description}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": _TEXT, "description": description}


REVALIDATION = (
    _header("If-None-Match", "ETags that the client holds: 304 where one of them is current"),
    _header("If-Modified-Since", "an HTTP date: 304 where nothing changed since"),
)
PRECONDITIONS = (
    _header("If-Match", "ETags, or *: 412 where none of them is current"),
    _header("If-None-Match", "*: 412 where it is there already"),
)


def route(
    summary: str,
    *media_types: str,
    path: Iterable[str] = (),
    query: Iterable[str] = (),
    body: dict[str, Any] | None = None,
    status: int = 200,
    more: Iterable[dict[str, Any]] = (),
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> Kwargs:
    """Describe a route that takes nothing but the request."""
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in path]
    for name in query:
        schema, description = _PARAMETERS[name]
        parameters.append(
            {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
        )
    parameters += more
    extra: dict[str, Any] = {"parameters": parameters} if parameters else {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    content: dict[str, dict[str, Any]] = {media_type: {} for media_type in media_types}
    answers = {status: {"description": "Success", "content": content}, **(responses or {})}
    return {
        "summary": summary, "openapi_extra": extra, "responses": answers, "response_class": Response,
        "status_code": status, "response_model": None,
    }  # fmt: skip


UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client holds this very one"}}

_SEARCHED = (GEOJSON, NDJSON, GEOPARQUET, ARROW)
_OF_COLLECTION = ("collection",)

SEARCH_BODY: dict[str, Any] = {"type": "object", "properties": _BODY, "additionalProperties": False}
SEARCH_PARAMETERS = tuple(_PARAMETERS)

SEARCH_BY_QUERY = route("Items that meet every condition", *_SEARCHED, query=_PARAMETERS)
SEARCH_BY_BODY = route("Items that meet every condition", *_SEARCHED, body=SEARCH_BODY)
ITEMS = route("Items of a Collection", *_SEARCHED, path=_OF_COLLECTION, query=_PARAMETERS)
COLLECTIONS = route(
    "Collections, all or those that meet conditions",
    JSON,
    query=("bbox", "datetime", "q", "limit", "token", "sortby", "fields", "f"),
)
CHILDREN = route("What stands directly below the landing page", JSON)
COLLECTION = route("A Collection", JSON, path=_OF_COLLECTION, more=REVALIDATION, responses=UNCHANGED)
ITEM = route("An Item", GEOJSON, path=("collection", "item"), more=REVALIDATION, responses=UNCHANGED)
QUERYABLES = route("What a filter may name", SCHEMA)
SORTABLES = route("What an order may name", SCHEMA)
QUERYABLES_OF_COLLECTION = route("What a filter may name in a Collection", SCHEMA, path=_OF_COLLECTION)
SORTABLES_OF_COLLECTION = route("What an order may name in a Collection", SCHEMA, path=_OF_COLLECTION)
LANDING = route("Landing page: a STAC Catalog", JSON)
CONFORMANCE = route("What this interface conforms to", JSON)
