"""Item search: `/search` and the items of a collection, by GET and POST, as pages or as one stream."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.shortcut import Shortcuts
from api.stac import describe
from api.stac.answers import GEOJSON, ROOT, link, send, view_of, with_query
from api.stac.export import stream, wanted_format
from api.stac.requests import Asked, read_body, read_query
from catalog.search import Catalog, Page, Search, View

LARGE_BODY = 2**16
"""A request of more bytes is read in a thread: to judge a large geometry takes longer than others should wait."""


MANY = 200
"""Items of an answer that is put together in a thread."""


def add_search(router: APIRouter, catalog: Catalog) -> Shortcuts:
    """`/search`, and the items of a collection; gives the short ways to them."""

    @router.get("/search", **describe.SEARCH_BY_QUERY)
    async def search(request: Request) -> Response:
        asked = read_query(request)
        return await _answer(request, view_of(request, catalog), asked, _links_of_query(asked, f"{ROOT}/search"))

    @router.post("/search", **describe.SEARCH_BY_BODY)
    async def search_by_body(request: Request) -> Response:
        body = await request.body()
        asked = read_body(body) if len(body) < LARGE_BODY else await run_in_threadpool(read_body, body)
        return await _answer(request, view_of(request, catalog), asked, _links_of_body(asked, f"{ROOT}/search"))

    @router.get("/collections/{collection}/items", **describe.ITEMS)
    async def items(request: Request) -> Response:
        view = view_of(request, catalog)
        collection = request.path_params["collection"]
        await get(view, collection)  # an unknown one is not found, where a search would find nothing in it
        asked = read_query(request)
        # Clients such as pystac-client repeat the collection as a parameter.
        repeated = asked.search.collections
        within = (collection,) if repeated is None or collection in repeated else ()
        asked = replace(asked, search=replace(asked.search, collections=within))
        parent = f"{ROOT}/collections/{quote(collection, safe='')}"
        links = [link("collection", parent), link("parent", parent), *_links_of_query(asked, f"{parent}/items")]
        return await _answer(request, view, asked, links)

    prefix = router.prefix
    return {
        ("GET", f"{prefix}/search"): search,
        ("POST", f"{prefix}/search"): search_by_body,
        ("GET", f"{prefix}/collections/{{}}/items"): items,
    }


async def get(view: View, collection: str, item: str | None = None) -> Any:  # noqa: ANN401 - a Document
    """Read a document: at once where that is quick, else in a thread."""
    if getattr(view, "quick", False):
        return view.get(collection, item)
    return await run_in_threadpool(view.get, collection, item)


async def _answer(request: Request, view: View, asked: Asked, links: Sequence[dict[str, Any]]) -> Response:
    form = wanted_format(request, asked)
    if form is not None:
        return await stream(request, view, asked, form)
    search = asked.search
    if asked.is_plain and getattr(view, "quick", False):
        search = replace(search, count=True)  # it is kept with the collections
    page = await _page(view, search)
    if len(page.items) > MANY or asked.fields is not None:
        return await run_in_threadpool(_feature_collection, request, page, asked, links)
    return _feature_collection(request, page, asked, links)


async def _page(view: View, search: Search) -> Page:
    """A page: at once where it is found quickly, else in a thread, so that nobody else waits for it."""
    quickly = getattr(view, "search_quickly", None)
    if quickly is not None and search.intersects is None:
        page: Page | None = quickly(search)
        if page is not None:
            return page
    return await run_in_threadpool(view.search, search)


def _feature_collection(request: Request, page: Page, asked: Asked, links: Sequence[dict[str, Any]]) -> Response:
    items = page.items if asked.fields is None else tuple(map(asked.fields.of_item, page.items))
    turns = {"next": page.next_token, "prev": page.previous_token}
    shown = [link("root", ROOT)]
    for one in links:
        if one["rel"] not in turns:
            shown.append(one)
        elif turns[one["rel"]] is not None:
            shown.append(_turned(one, str(turns[one["rel"]])))
    matched = b"" if page.matched is None else b',"numberMatched":%d' % page.matched
    body = b'{"type":"FeatureCollection","features":[%b],"links":%b,"numberReturned":%d%b}' % (
        b",".join(items), orjson.dumps(shown), len(items), matched,
    )  # fmt: skip
    return send(request, body, GEOJSON, {"vary": "Accept"})


def _links_of_query(asked: Asked, address: str) -> list[dict[str, Any]]:
    """Self, next and prev of an answer to GET, with the parameters as they came."""
    rest = {name: value for name, value in asked.given.items() if name != "token"}
    links = [link("self", with_query(address, asked.given), GEOJSON)]
    return links + [link(rel, with_query(address, rest), GEOJSON, method="GET") for rel in ("next", "prev")]


def _links_of_body(asked: Asked, address: str) -> list[dict[str, Any]]:
    """The same for POST: each link carries the whole body."""
    rest = {name: value for name, value in asked.given.items() if name != "token"}
    links = [link("self", address, GEOJSON, method="POST", body=asked.given)]
    return links + [link(rel, address, GEOJSON, method="POST", body=rest) for rel in ("next", "prev")]


def _turned(to: Mapping[str, Any], token: str) -> dict[str, Any]:
    """A link to another page."""
    if "body" in to:
        return {**to, "body": {**to["body"], "token": token}}
    sign = "&" if "?" in to["href"] else "?"
    return {**to, "href": f"{to['href']}{sign}token={token}"}
