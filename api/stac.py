"""STAC API 1.0 (core, collections, features, item search) over any catalog: stored bytes go out as they are.

Only addresses change on the way: `BASE` becomes the public address of this installation.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.address import public_address
from api.problems import REFUSALS
from catalog.errors import InvalidSearchError
from catalog.extent import BBox, TimeWindow
from catalog.search import BASE, MAX_LIMIT, Catalog, Page, Search

ROOT = f"{BASE}/stac"

JSON = "application/json"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"

CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)

DEFAULT_LIMIT = 10


class SearchBody(BaseModel):
    """What POST /search takes (STAC API 1.0.0, Item Search)."""

    model_config = ConfigDict(extra="forbid")

    collections: list[str] | None = None
    ids: list[str] | None = None
    bbox: list[float] | None = Field(default=None, description="west, south, east, north; or with heights, six numbers")
    intersects: dict[str, Any] | None = Field(default=None, description="a GeoJSON geometry of any type")
    datetime: str | None = None
    limit: int | None = Field(default=None, description=f"1 to {MAX_LIMIT}")
    token: str | None = None

    def search(self) -> Search:
        """The same as a value of the catalog."""
        return Search(
            collections=None if self.collections is None else tuple(self.collections),
            ids=None if self.ids is None else tuple(self.ids),
            bbox=None if self.bbox is None else BBox.of(self.bbox),
            intersects=self.intersects,
            datetime=None if self.datetime is None else TimeWindow.parse(self.datetime),
            limit=DEFAULT_LIMIT if self.limit is None else self.limit,
            token=self.token,
        )


def stac_router(catalog: Catalog) -> APIRouter:
    """Every address under ``/stac``."""
    router = APIRouter(prefix="/stac", tags=["STAC"], responses=REFUSALS)
    _add_pages(router, catalog)
    _add_collections(router, catalog)
    _add_search(router, catalog)
    return router


def _add_pages(router: APIRouter, catalog: Catalog) -> None:
    @router.get("", summary="Landing page: a STAC Catalog", response_class=Response)
    def landing(request: Request) -> Response:
        return _json(request, _landing(catalog))

    @router.get("/conformance", summary="What this interface conforms to", response_class=Response)
    def conformance(request: Request) -> Response:
        return _json(request, {"conformsTo": CONFORMANCE})

    @router.get("/api", summary="The OpenAPI description", response_class=Response, include_in_schema=False)
    def description(request: Request) -> Response:
        return Response(orjson.dumps(request.app.openapi()), media_type=OPENAPI)


def _add_collections(router: APIRouter, catalog: Catalog) -> None:
    @router.get("/collections", summary="Every Collection", response_class=Response)
    def collections(request: Request) -> Response:
        links = [_link("self", f"{ROOT}/collections"), _link("root", ROOT), _link("parent", ROOT)]
        body = b'{"collections":[%b],"links":%b}' % (b",".join(catalog.collections()), orjson.dumps(links))
        return _send(request, body, JSON)

    @router.get("/collections/{collection}", summary="A Collection", response_class=Response)
    def collection(request: Request, collection: str) -> Response:
        return _send(request, catalog.get(collection), JSON)

    @router.get(
        "/collections/{collection}/items", summary="Items of a Collection, newest first", response_class=Response
    )
    def items(request: Request, collection: str, query: Annotated[Search, Depends(_query)]) -> Response:
        catalog.get(collection)  # an unknown one is not found, where a search would find nothing in it
        # Clients such as pystac-client repeat the collection as a parameter.
        wanted = query.collections is None or collection in query.collections
        page = catalog.search(replace(query, collections=(collection,) if wanted else ()))
        parent = f"{ROOT}/collections/{quote(collection, safe='')}"
        links = [_link("collection", parent), _link("parent", parent)]
        return _feature_collection(request, page, links + _query_links(request, page, f"{parent}/items"))

    @router.get("/collections/{collection}/items/{item}", summary="An Item", response_class=Response)
    def item(request: Request, collection: str, item: str) -> Response:
        return _send(request, catalog.get(collection, item), GEOJSON)


def _add_search(router: APIRouter, catalog: Catalog) -> None:
    @router.get("/search", summary="Items that meet every condition, newest first", response_class=Response)
    def search(request: Request, query: Annotated[Search, Depends(_query)]) -> Response:
        page = catalog.search(query)
        return _feature_collection(request, page, _query_links(request, page, f"{ROOT}/search"))

    @router.post("/search", summary="Items that meet every condition, newest first", response_class=Response)
    def search_by_body(request: Request, body: SearchBody) -> Response:
        page = catalog.search(body.search())
        given = body.model_dump(exclude_unset=True, exclude={"token"})
        links = [
            _link("self", f"{ROOT}/search", GEOJSON) | {"method": "POST", "body": body.model_dump(exclude_unset=True)}
        ]
        for rel, token in _turns(page):
            links.append(_link(rel, f"{ROOT}/search", GEOJSON) | {"method": "POST", "body": {**given, "token": token}})
        return _feature_collection(request, page, links)


def _landing(catalog: Catalog) -> dict[str, Any]:
    children = [orjson.loads(body) for body in catalog.collections()]
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": "overflight",
        "title": "Overflight",
        "description": "Scenes that this installation ordered, received and made ready for analysis.",
        "conformsTo": CONFORMANCE,
        "links": [
            _link("self", ROOT),
            _link("root", ROOT),
            _link("conformance", f"{ROOT}/conformance"),
            _link("service-desc", f"{ROOT}/api", OPENAPI),
            _link("service-doc", f"{BASE}/docs", "text/html"),
            _link("data", f"{ROOT}/collections"),
            _link("search", f"{ROOT}/search", GEOJSON) | {"method": "GET"},
            _link("search", f"{ROOT}/search", GEOJSON) | {"method": "POST"},
            *(
                _link("child", f"{ROOT}/collections/{quote(child['id'], safe='')}")
                | {"title": child.get("title") or child["id"]}
                for child in children
            ),
        ],
    }


_PARAMETERS = ("collections", "ids", "bbox", "intersects", "datetime", "limit", "token")


def _query(
    request: Request,
    *,
    collections: Annotated[str | None, Query(description="ids, separated by commas")] = None,
    ids: Annotated[str | None, Query(description="ids, separated by commas")] = None,
    bbox: Annotated[
        str | None, Query(description="west,south,east,north; west > east crosses the antimeridian")
    ] = None,
    intersects: Annotated[str | None, Query(description="a GeoJSON geometry of any type")] = None,
    datetime: Annotated[str | None, Query(description="RFC 3339 moment or interval: 2026-01-01T00:00:00Z/..")] = None,
    limit: Annotated[int, Query(description=f"most items of a page, 1 to {MAX_LIMIT}")] = DEFAULT_LIMIT,
    token: Annotated[str | None, Query(description="where the page starts, from a link of an earlier page")] = None,
) -> Search:
    """Read what a query string asks for; an empty parameter asks for nothing."""
    _refuse_ignored(request)
    return Search(
        collections=_names(collections),
        ids=_names(ids),
        bbox=_box(bbox),
        intersects=_geometry(intersects),
        datetime=TimeWindow.parse(datetime) if datetime else None,
        limit=limit,
        token=token or None,
    )


def _refuse_ignored(request: Request) -> None:
    """A parameter without effect would make its sender take the answer for something else (OGC 17-069r4, 7.4)."""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in _PARAMETERS:
            raise InvalidSearchError(f"{name[:60]}: no such parameter here; known are {', '.join(_PARAMETERS)}")
        if given.count(name) > 1:
            raise InvalidSearchError(f"{name}: given {given.count(name)} times; separate values by commas")


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(name for name in text.split(",") if name) if text else None


def _box(text: str | None) -> BBox | None:
    if not text:
        return None
    try:
        return BBox.of([float(edge) for edge in text.split(",")])
    except ValueError:
        raise InvalidSearchError(f"bbox: {text!r:.80} is not four numbers; give west,south,east,north") from None


def _geometry(text: str | None) -> Mapping[str, Any] | None:
    if not text:
        return None
    try:
        geometry = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidSearchError(f"intersects: no JSON ({error}); give a GeoJSON geometry") from None
    if not isinstance(geometry, dict):
        raise InvalidSearchError("intersects: no JSON object; give a GeoJSON geometry")
    return geometry


def _turns(page: Page) -> list[tuple[str, str]]:
    """Which links to other pages there are."""
    pairs = (("next", page.next_token), ("prev", page.previous_token))
    return [(rel, token) for rel, token in pairs if token is not None]


def _query_links(request: Request, page: Page, address: str) -> list[dict[str, Any]]:
    """Self, next and prev of an answer to GET, with the parameters as they came."""
    given = dict(request.query_params)
    links = [_link("self", _with_query(address, given), GEOJSON)]
    for rel, token in _turns(page):
        links.append(_link(rel, _with_query(address, {**given, "token": token}), GEOJSON) | {"method": "GET"})
    return links


def _with_query(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}?{urlencode(parameters)}" if parameters else address


def _link(rel: str, href: str, media_type: str = JSON) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": media_type}


def _feature_collection(request: Request, page: Page, links: list[dict[str, Any]]) -> Response:
    body = b'{"type":"FeatureCollection","features":[%b],"links":%b,"numberReturned":%d}' % (
        b",".join(page.items),
        orjson.dumps([_link("root", ROOT), *links]),
        len(page.items),
    )
    return _send(request, body, GEOJSON)


def _json(request: Request, document: Mapping[str, Any]) -> Response:
    return _send(request, orjson.dumps(document), JSON)


def _send(request: Request, body: bytes, media_type: str) -> Response:
    return Response(body.replace(BASE.encode(), public_address(request).encode()), media_type=media_type)
