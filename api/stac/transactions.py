"""Changes over HTTP: Items and Collections, one by one or in bulk, with `If-Match` (STAC API – Transaction)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.address import public_address
from api.problems import Problem
from api.stac.answers import GEOJSON, JSON, etags, send, send_json, validators, view_of
from api.stac.describe import PRECONDITIONS, Kwargs, route
from api.stac.requests import read_json
from catalog.document import collection_address, item_address
from catalog.errors import ExistsError, InvalidItemError, PreconditionError
from catalog.search import BASE, Catalog, Condition, Document

CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/ogcapi-features/extensions/transaction",
    "https://api.stacspec.org/v1.0.0/collections/extensions/transaction",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/simpletx",
)

RETRIES = 5
"""How often a patch is put onto what somebody else has just changed."""

Work = Callable[[Request, Catalog, bytes], Response]
"""What a route does with a request and its body, in a thread."""

READ_ONLY = Problem(
    403,
    "read-only",
    "The catalog takes no changes",
    "changes over HTTP are off: set OVERFLIGHT_CATALOG_WRITES=true where whoever reaches the server may make them",
)


def add_transactions(router: APIRouter, catalog: Catalog, *, allowed: bool) -> None:
    """Every route that changes something; where that is not allowed, it says how to allow it."""
    for method, path, work, said in _ROUTES:
        endpoint = _endpoint(catalog, work, allowed=allowed)
        router.add_api_route(path, endpoint, methods=[method], name=work.__name__.strip("_"), **said)


def _endpoint(catalog: Catalog, work: Work, *, allowed: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # What was read here has the public address in it, and is kept without.
        body = (await request.body()).replace(public_address(request).encode(), BASE.encode())
        if not allowed:
            raise READ_ONLY
        return await run_in_threadpool(work, request, catalog, body)

    return endpoint


def _post_items(request: Request, catalog: Catalog, body: bytes) -> Response:
    collection = request.path_params["collection"]
    view_of(request, catalog).get(collection)
    given = read_json(body)
    if given.get("type") != "FeatureCollection":
        item = _within(given, collection)
        catalog.put([item], condition=Condition(absent=True))
        return _written(request, catalog, collection, item["id"], status=201)
    features = given.get("features")
    if not isinstance(features, list) or not features:
        raise InvalidItemError("features: an array of Items is due")
    items = [_within(item, collection) for item in features]
    if len({repr(item.get("id")) for item in items}) < len(items):
        raise InvalidItemError("features: two Items have the same id")
    count = catalog.put(items, condition=Condition(absent=True))
    return _counted(request, collection, count, status=201)


def _post_bulk(request: Request, catalog: Catalog, body: bytes) -> Response:
    collection = request.path_params["collection"]
    view_of(request, catalog).get(collection)
    given = read_json(body)
    items, method = given.get("items"), given.get("method", "insert")
    if not isinstance(items, dict) or not items:
        raise InvalidItemError("items: an object of Items by their ids is due")
    if method not in ("insert", "upsert"):
        raise InvalidItemError(f"method: {method!r:.40}; give insert or upsert")
    for name, item in items.items():
        if not isinstance(item, dict) or item.get("id", name) != name:
            raise InvalidItemError(f"items/{name[:60]}: it is no Item of that id")
    whole = [_within({**item, "id": name}, collection) for name, item in items.items()]
    count = catalog.put(whole, condition=Condition(absent=method == "insert"))
    return _counted(request, collection, count)


def _put_item(request: Request, catalog: Catalog, body: bytes) -> Response:
    collection, name = request.path_params["collection"], request.path_params["item"]
    view_of(request, catalog).get(collection)
    item = _named(_within(read_json(body), collection), name)
    created = _put(request, catalog, item)
    return _written(request, catalog, collection, name, status=201 if created else 200)


def _patch_item(request: Request, catalog: Catalog, body: bytes) -> Response:
    collection, name = request.path_params["collection"], request.path_params["item"]

    def change(held: dict[str, Any]) -> dict[str, Any]:
        return _named(_within(_patched(held, read_json(body)), collection), name)

    _patch(request, catalog, (collection, name), change)
    return _written(request, catalog, collection, name)


def _delete_item(request: Request, catalog: Catalog, _body: bytes) -> Response:
    collection, name = request.path_params["collection"], request.path_params["item"]
    view_of(request, catalog).get(collection)
    catalog.delete(collection, name, condition=_of_what_is_there(request))
    return Response(status_code=204)


def _post_collection(request: Request, catalog: Catalog, body: bytes) -> Response:
    document = _a_collection(read_json(body))
    catalog.put([document], condition=Condition(absent=True))
    return _written(request, catalog, document["id"], status=201)


def _put_collection(request: Request, catalog: Catalog, body: bytes) -> Response:
    name = request.path_params["collection"]
    created = _put(request, catalog, _named(_a_collection(read_json(body)), name))
    return _written(request, catalog, name, status=201 if created else 200)


def _patch_collection(request: Request, catalog: Catalog, body: bytes) -> Response:
    name = request.path_params["collection"]
    _patch(request, catalog, (name,), lambda held: _named(_a_collection(_patched(held, read_json(body))), name))
    return _written(request, catalog, name)


def _delete_collection(request: Request, catalog: Catalog, _body: bytes) -> Response:
    name = request.path_params["collection"]
    view_of(request, catalog).get(name)
    catalog.delete(name, condition=_of_what_is_there(request))
    return Response(status_code=204)


def _put(request: Request, catalog: Catalog, document: dict[str, Any]) -> bool:
    """Write one document under the condition of the request; whether it is new. Without one, it has to be there."""
    condition = _condition(request)
    try:
        catalog.put([document], condition=condition)
    except ExistsError as error:
        raise PreconditionError(f"If-None-Match: {error}") from None
    return condition.absent


def _condition(request: Request) -> Condition:
    """What `If-Match` and `If-None-Match` ask for; without them, it only has to be there (RFC 9110, 13.1)."""
    match = request.headers.get("if-match")
    if request.headers.get("if-none-match") == "*":
        return Condition(absent=True)
    if match is None or match.strip() == "*":
        return Condition(present=True)
    return Condition(etags=etags(match))


def _of_what_is_there(request: Request) -> Condition:
    condition = _condition(request)
    if condition.absent:
        raise PreconditionError("If-None-Match: this changes what is there; leave the header out")
    return condition


def _patch(
    request: Request, catalog: Catalog, names: tuple[str, ...], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Change what was read only if it is still the same; without `If-Match`, read again when it is not."""
    asked = _of_what_is_there(request)
    for last in (*(False,) * (RETRIES - 1), True):
        held = view_of(request, catalog).get(*names)
        if asked.etags is not None and held.etag not in asked.etags:
            raise PreconditionError(
                f"{names[-1]!r:.100}: it has changed since you read it; read again before you write"
            )
        try:
            catalog.put([change(orjson.loads(held.body))], condition=Condition(etags=frozenset({held.etag})))
        except PreconditionError:
            if last or asked.etags is not None:
                raise
        else:
            return


def _patched(held: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """A merge patch (RFC 7396): null removes, objects are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(held) if isinstance(held, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _patched(merged.get(name), value)
    return merged


def _within(item: Any, collection: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(item, Mapping) or item.get("type") != "Feature":
        raise InvalidItemError("no STAC Item; its type must be Feature")
    named = item.get("collection", collection)
    if named != collection:
        raise InvalidItemError(f"its collection is {named!r:.100}, that of the address {collection!r:.100}")
    return {**item, "collection": collection}


def _a_collection(document: dict[str, Any]) -> dict[str, Any]:
    if document.get("type") != "Collection":
        raise InvalidItemError("no STAC Collection; its type must be Collection")
    return document


def _named(document: dict[str, Any], name: str) -> dict[str, Any]:
    if document.get("id", name) != name:
        raise InvalidItemError(f"its id is {document.get('id')!r:.100}, that of the address {name!r:.100}")
    return {**document, "id": name}


def _written(request: Request, catalog: Catalog, *names: str, status: int = 200) -> Response:
    """What is there now, with its address and its ETag."""
    document: Document = view_of(request, catalog).get(*names)
    address = item_address(*names) if len(names) == 2 else collection_address(*names)
    headers = {**validators(document), "location": address.replace(BASE, public_address(request))}
    response = send(request, document.body, GEOJSON if len(names) == 2 else JSON, headers)
    response.status_code = status
    return response


def _counted(request: Request, collection: str, count: int, *, status: int = 200) -> Response:
    response = send_json(request, {"collection": collection, "written": count})
    response.status_code = status
    return response


_OBJECT: dict[str, Any] = {"type": "object"}
_BULK: dict[str, Any] = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "object", "additionalProperties": _OBJECT},
        "method": {"type": "string", "enum": ["insert", "upsert"]},
    },
}

_COLLECTIONS = "/collections"
_COLLECTION = "/collections/{collection}"
_ITEMS = "/collections/{collection}/items"
_ITEM = "/collections/{collection}/items/{item}"


def _said(summary: str, path: str, media_type: str | None, body: dict[str, Any] | None, status: int = 200) -> Kwargs:
    names = [name for name in ("collection", "item") if f"{{{name}}}" in path]
    media_types = [media_type] if media_type else []
    content: dict[str, Any] = {name: {} for name in media_types}
    created: dict[int | str, dict[str, Any]] = {201: {"description": "It is new", "content": content}}
    return route(
        summary,
        *media_types,
        path=names,
        body=body,
        status=status,
        more=() if summary.startswith("Insert") else PRECONDITIONS,
        responses=created if summary.startswith("Replace") else None,
    )


_ROUTES: tuple[tuple[str, str, Work, Kwargs], ...] = (
    ("POST", _ITEMS, _post_items, _said("Insert an Item or a FeatureCollection", _ITEMS, GEOJSON, _OBJECT, 201)),
    ("POST", f"{_COLLECTION}/bulk_items", _post_bulk, _said("Insert many Items, all or none", _ITEMS, JSON, _BULK)),
    ("PUT", _ITEM, _put_item, _said("Replace an Item", _ITEM, GEOJSON, _OBJECT)),
    ("PATCH", _ITEM, _patch_item, _said("Change members of an Item (RFC 7396)", _ITEM, GEOJSON, _OBJECT)),
    ("DELETE", _ITEM, _delete_item, _said("Remove an Item", _ITEM, None, None, 204)),
    ("POST", _COLLECTIONS, _post_collection, _said("Insert a Collection", _COLLECTIONS, JSON, _OBJECT, 201)),
    ("PUT", _COLLECTION, _put_collection, _said("Replace a Collection", _COLLECTION, JSON, _OBJECT)),
    (
        "PATCH",
        _COLLECTION,
        _patch_collection,
        _said("Change members of a Collection (RFC 7396)", _COLLECTION, JSON, _OBJECT),
    ),
    (
        "DELETE",
        _COLLECTION,
        _delete_collection,
        _said("Remove a Collection and its Items", _COLLECTION, None, None, 204),
    ),
)
