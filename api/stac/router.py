"""Every address under ``/stac``: the landing page, what the interface conforms to, and the routes of its parts."""

from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.problems import REFUSALS
from api.shortcut import Shortcuts
from api.stac import aggregate, describe, transactions
from api.stac.answers import GEOJSON, OPENAPI, ROOT, SCHEMA, link, send_json, view_of
from api.stac.collections import add_collections, add_queryables
from api.stac.search import add_search
from catalog.document import QUERYABLES, SORTABLES
from catalog.search import BASE, Catalog, View

_STAC = "https://api.stacspec.org/v1.0.0"
_DRAFT = "https://api.stacspec.org/v1.0.0-rc.1"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
_FILTER = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"

CONFORMANCE = (
    f"{_STAC}/core",
    f"{_STAC}/collections",
    f"{_STAC}/ogcapi-features",
    f"{_STAC}/item-search",
    f"{_STAC}/browseable",
    f"{_STAC}/children",
    *(f"{_STAC}/item-search#{what}" for what in ("fields", "sort", "query", "filter")),
    *(f"{_STAC}/ogcapi-features#{what}" for what in ("fields", "sort", "query")),
    *(f"{_DRAFT}/{where}#free-text" for where in ("item-search", "ogcapi-features", "collection-search")),
    f"{_DRAFT}/collection-search",
    *(f"{_DRAFT}/collection-search#{what}" for what in ("sort", "fields")),
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/simple-query",
    *(f"{_FEATURES}/{name}" for name in ("core", "oas30", "geojson")),
    *(f"{_FILTER}/{name}" for name in ("filter", "features-filter", "queryables")),
    *(
        f"{_CQL2}/{name}"
        for name in (
            "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison",
            "accent-insensitive-comparison", "basic-spatial-functions", "basic-spatial-functions-plus",
            "spatial-functions", "temporal-functions", "array-functions", "property-property", "arithmetic",
        )
    ),
    *aggregate.CONFORMANCE,
)  # fmt: skip
"""What is always there."""


PATH_NAMES = ("collection", "item")
"""What the variable segments of a path are called."""


def stac_router(catalog: Catalog, *, writes: bool = False) -> tuple[APIRouter, Shortcuts]:
    """Serve the catalog; with ``writes``, whoever reaches it may change it. Gives the short ways too."""
    router = APIRouter(prefix="/stac", tags=["STAC"], responses=REFUSALS)
    conforms = (*CONFORMANCE, *(transactions.CONFORMANCE if writes else ()))
    shortcuts = {**add_search(router, catalog), **add_collections(router, catalog)}
    add_queryables(router, catalog)
    aggregate.add_aggregations(router, catalog)
    transactions.add_transactions(router, catalog, allowed=writes)
    _add_pages(router, catalog, conforms)
    return router, shortcuts


def _add_pages(router: APIRouter, catalog: Catalog, conforms: tuple[str, ...]) -> None:
    @router.get("", **describe.LANDING)
    def landing(request: Request) -> Response:
        return send_json(request, _landing(view_of(request, catalog), conforms))

    @router.get("/conformance", **describe.CONFORMANCE)
    def conformance(request: Request) -> Response:
        return send_json(request, {"conformsTo": conforms})

    @router.get("/api", include_in_schema=False)
    def description(request: Request) -> Response:
        return Response(orjson.dumps(request.app.openapi()), media_type=OPENAPI)


def _landing(view: View, conforms: tuple[str, ...]) -> dict[str, Any]:
    children = [orjson.loads(body) for body in view.collections()]
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": "overflight",
        "title": "Overflight",
        "description": "Scenes that this installation ordered, received and made ready for analysis.",
        "conformsTo": conforms,
        "links": [
            link("self", ROOT),
            link("root", ROOT),
            link("conformance", f"{ROOT}/conformance"),
            link("service-desc", f"{ROOT}/api", OPENAPI),
            link("service-doc", f"{BASE}/docs", "text/html"),
            link("data", f"{ROOT}/collections"),
            link("children", f"{ROOT}/children"),
            link("search", f"{ROOT}/search", GEOJSON, method="GET"),
            link("search", f"{ROOT}/search", GEOJSON, method="POST"),
            link(QUERYABLES, f"{ROOT}/queryables", SCHEMA, title="What a filter may name"),
            link(SORTABLES, f"{ROOT}/sortables", SCHEMA, title="What an order may name"),
            link("aggregate", f"{ROOT}/aggregate", title="Figures over a search"),
            link("aggregations", f"{ROOT}/aggregations", title="Which figures there are"),
            *(
                link(
                    "child", f"{ROOT}/collections/{quote(child['id'], safe='')}",
                    title=child.get("title") or child["id"],
                )
                for child in children
            ),
        ],
    }  # fmt: skip
