"""Collections and single Items, and what may be asked of them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.shortcut import Shortcuts
from api.stac import describe
from api.stac.answers import GEOJSON, JSON, ROOT, SCHEMA, link, send, send_document, send_json, view_of, with_query
from api.stac.fields import Fields
from api.stac.requests import DEFAULT_LIMIT, read_query
from api.stac.search import get
from catalog.collection_search import CollectionSearch, find_collections
from catalog.errors import InvalidSearchError
from catalog.queryables import queryables, sortables
from catalog.search import Catalog, View

COLLECTION_PARAMETERS = ("bbox", "datetime", "q", "limit", "token", "sortby", "fields", "f")


def add_collections(router: APIRouter, catalog: Catalog) -> Shortcuts:
    """Every Collection, one of them, one of its Items; gives the short way to the last."""

    @router.get("/collections", **describe.COLLECTIONS)
    def collections(request: Request) -> Response:
        view = view_of(request, catalog)
        if not request.query_params:
            links = [link("self", f"{ROOT}/collections"), link("root", ROOT), link("parent", ROOT)]
            return _listed(request, view.collections(), links)
        return _searched(request, view)

    @router.get("/children", **describe.CHILDREN)
    def children(request: Request) -> Response:
        links = orjson.dumps([link("self", f"{ROOT}/children"), link("root", ROOT), link("parent", ROOT)])
        found = view_of(request, catalog).collections()
        return send(request, b'{"children":[%b],"links":%b}' % (b",".join(found), links), JSON)

    @router.get("/collections/{collection}", **describe.COLLECTION)
    async def collection(request: Request) -> Response:
        document = await run_in_threadpool(view_of(request, catalog).get, request.path_params["collection"])
        return send_document(request, document, JSON)

    @router.get("/collections/{collection}/items/{item}", **describe.ITEM)
    async def item(request: Request) -> Response:
        names = request.path_params
        document = await get(view_of(request, catalog), names["collection"], names["item"])
        return send_document(request, document, GEOJSON)

    return {("GET", f"{router.prefix}/collections/{{}}/items/{{}}"): item}


def add_queryables(router: APIRouter, catalog: Catalog) -> None:
    """What a filter and an order may name: everywhere, and in one Collection."""

    @router.get("/queryables", **describe.QUERYABLES)
    def all_queryables(request: Request) -> Response:
        held = view_of(request, catalog).summaries()
        return send_json(request, queryables(f"{ROOT}/queryables", "Queryables", held.values()), SCHEMA)

    @router.get("/sortables", **describe.SORTABLES)
    def all_sortables(request: Request) -> Response:
        held = view_of(request, catalog).summaries()
        return send_json(request, sortables(f"{ROOT}/sortables", "Sortables", held.values()), SCHEMA)

    @router.get("/collections/{collection}/queryables", **describe.QUERYABLES_OF_COLLECTION)
    def collection_queryables(request: Request) -> Response:
        address, title, summary = _one(request, view_of(request, catalog))
        return send_json(request, queryables(f"{address}/queryables", f"Queryables of {title}", [summary]), SCHEMA)

    @router.get("/collections/{collection}/sortables", **describe.SORTABLES_OF_COLLECTION)
    def collection_sortables(request: Request) -> Response:
        address, title, summary = _one(request, view_of(request, catalog))
        return send_json(request, sortables(f"{address}/sortables", f"Sortables of {title}", [summary]), SCHEMA)


def _one(request: Request, view: View) -> tuple[str, str, Any]:
    """Address, title and summary of the Collection that is asked for."""
    name = request.path_params["collection"]
    title = orjson.loads(view.get(name).body).get("title") or name
    return f"{ROOT}/collections/{quote(name, safe='')}", title, view.summaries()[name]


def _searched(request: Request, view: View) -> Response:
    """Collections that meet conditions (STAC API – Collection Search)."""
    for name in request.query_params:
        if name not in COLLECTION_PARAMETERS:
            known = ", ".join(COLLECTION_PARAMETERS)
            raise InvalidSearchError(f"{name[:60]}: no such parameter of a collection search; known are {known}")
    asked = read_query(request)
    wanted = asked.search
    page = find_collections(
        CollectionSearch(
            bbox=wanted.bbox,
            datetime=wanted.datetime,
            text=wanted.text,
            sortby=wanted.sortby if "sortby" in asked.given else (),
            limit=DEFAULT_LIMIT if asked.most is None else wanted.limit,
            token=wanted.token,
        ),
        view.collections(),
    )
    rest = {name: value for name, value in asked.given.items() if name != "token"}
    address = f"{ROOT}/collections"
    links = [link("self", with_query(address, asked.given)), link("root", ROOT), link("parent", ROOT)]
    for rel, token in (("next", page.next_token), ("prev", page.previous_token)):
        if token is not None:
            links.append(link(rel, with_query(address, {**rest, "token": token}), method="GET"))
    return _listed(request, page.collections, links, fields=asked.fields, matched=page.matched)


def _listed(
    request: Request,
    found: Sequence[bytes],
    links: list[dict[str, Any]],
    *,
    fields: Fields | None = None,
    matched: int | None = None,
) -> Response:
    shown = found if fields is None else [fields.of_collection(body) for body in found]
    body = b'{"collections":[%b],"links":%b,"numberReturned":%d,"numberMatched":%d}' % (
        b",".join(shown), orjson.dumps(links), len(shown), len(shown) if matched is None else matched,
    )  # fmt: skip
    return send(request, body, JSON)
