"""Figures over searches: `/aggregate` and `/aggregations`, of the whole catalog and of one Collection."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.stac import describe
from api.stac.answers import JSON, ROOT, link, send_json, view_of
from api.stac.requests import Asked, read_body, read_json, read_query
from catalog.aggregate import (
    GENERIC,
    MAX_AGGREGATIONS,
    STANDARD,
    Aggregate,
    Aggregation,
    aggregation,
    properties_of_aggregations,
)
from catalog.errors import InvalidSearchError
from catalog.queryables import known_properties
from catalog.search import Catalog, View

CONFORMANCE = ("https://api.stacspec.org/v0.3.0/aggregation",)

AGGREGATIONS = "aggregations"
_STEPS = ("_interval", "_precision")

_PARAMETER = describe.parameter(AGGREGATIONS, "names of figures, separated by commas; /aggregations lists them")
_SEARCHED = ("collections", "ids", "bbox", "intersects", "datetime", "filter", "filter-lang", "q", "query")
_BODY = {
    "type": "object",
    "required": [AGGREGATIONS],
    "properties": {
        AGGREGATIONS: {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_AGGREGATIONS},
        **describe.SEARCH_BODY["properties"],
    },
}


def add_aggregations(router: APIRouter, catalog: Catalog) -> None:
    """What can be asked for, and the figures."""

    @router.get("/aggregations", **describe.route("Which figures there are", JSON))
    def aggregations(request: Request) -> Response:
        return send_json(request, _known(f"{ROOT}/aggregations"))

    @router.get("/aggregate", **describe.route("Figures over a search", JSON, query=_SEARCHED, more=[_PARAMETER]))
    async def aggregate(request: Request) -> Response:
        return await run_in_threadpool(_by_query, request, view_of(request, catalog), None)

    @router.post("/aggregate", **describe.route("Figures over a search", JSON, body=_BODY))
    async def aggregate_by_body(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_by_body, request, view_of(request, catalog), body, None)

    @router.get(
        "/collections/{collection}/aggregations",
        **describe.route("Which figures there are of a Collection", JSON, path=("collection",)),
    )
    def collection_aggregations(request: Request) -> Response:
        name = request.path_params["collection"]
        view_of(request, catalog).get(name)
        return send_json(request, _known(f"{_address(name)}/aggregations"))

    @router.get(
        "/collections/{collection}/aggregate",
        **describe.route(
            "Figures over a Collection", JSON, path=("collection",), query=_SEARCHED[1:], more=[_PARAMETER]
        ),
    )
    async def collection_aggregate(request: Request) -> Response:
        name = request.path_params["collection"]
        return await run_in_threadpool(_by_query, request, view_of(request, catalog), name)

    @router.post(
        "/collections/{collection}/aggregate",
        **describe.route("Figures over a Collection", JSON, path=("collection",), body=_BODY),
    )
    async def collection_aggregate_by_body(request: Request) -> Response:
        name, body = request.path_params["collection"], await request.body()
        return await run_in_threadpool(_by_body, request, view_of(request, catalog), body, name)


def _address(collection: str) -> str:
    return f"{ROOT}/collections/{quote(collection, safe='')}"


def _known(address: str) -> dict[str, Any]:
    described = [{"name": one.name, "data_type": _data_type(one)} for one in STANDARD.values()]
    described += [{"name": f"{kind}:PROPERTY", "data_type": "frequency_distribution"} for kind in GENERIC]
    links = [link("self", address), link("root", ROOT)]
    return {"type": "AggregationCollection", "aggregations": described, "links": links}


def _data_type(one: Aggregation) -> str:
    if one.figure == "count":
        return "integer"
    return "datetime" if one.figure in ("min", "max") else "frequency_distribution"


def _by_query(request: Request, view: View, collection: str | None) -> Response:
    given = request.query_params
    names = [name for name in given.get(AGGREGATIONS, "").split(",") if name]
    wanted = _wanted(names or ["total_count"], given)
    asked = read_query(request, extra=(AGGREGATIONS, *_step_names(wanted)))
    return _answer(request, view, asked, wanted, collection)


def _by_body(request: Request, view: View, body: bytes, collection: str | None) -> Response:
    given = read_json(body)
    names = given.get(AGGREGATIONS)
    if isinstance(names, str):
        names = names.split(",")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidSearchError('aggregations: an array of names is due, as ["total_count"]')
    wanted = _wanted(names, given)
    return _answer(request, view, read_body(body, extra=(AGGREGATIONS, *_step_names(wanted))), wanted, collection)


def _wanted(names: list[str], given: Mapping[str, Any]) -> list[Aggregation]:
    if not 1 <= len(names) <= MAX_AGGREGATIONS:
        raise InvalidSearchError(f"aggregations: {len(names)} of them; name 1 to {MAX_AGGREGATIONS}")
    wanted = []
    for name in dict.fromkeys(names):
        steps = [given[name + ending] for ending in _STEPS if name + ending in given]
        wanted.append(aggregation(name, str(steps[0]) if steps else None))
    return wanted


def _step_names(wanted: list[Aggregation]) -> tuple[str, ...]:
    return tuple(one.name + ending for one in wanted for ending in _STEPS)


def _answer(request: Request, view: View, asked: Asked, wanted: list[Aggregation], collection: str | None) -> Response:
    search = asked.search
    if collection is not None:
        view.get(collection)
        repeated = search.collections
        within = (collection,) if repeated is None or collection in repeated else ()
        search = replace(search, collections=within)
    named = properties_of_aggregations(wanted)
    known = known_properties(view.summaries(), search.collections) if named else frozenset()
    for name in named:
        if name not in known:
            raise InvalidSearchError(f"aggregations: no item here has a property {name[:60]!r}")
    address = ROOT if collection is None else _address(collection)
    found = [_shown(one) for one in view.aggregate(search, wanted)]
    links = [link("self", f"{address}/aggregate"), link("root", ROOT)]
    return send_json(request, {"type": "AggregationCollection", "aggregations": found, "links": links})


def _shown(one: Aggregate) -> dict[str, Any]:
    if one.buckets is None:
        return {"name": one.name, "data_type": one.data_type, "value": one.value}
    buckets = [
        {"key": bucket.key, "data_type": one.bucket_type, "frequency": bucket.frequency}
        | ({} if bucket.start is None else {"from": bucket.start, "to": bucket.end})
        for bucket in one.buckets
    ]
    return {"name": one.name, "data_type": one.data_type, "buckets": buckets, "overflow": one.overflow}
