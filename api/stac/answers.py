"""How the STAC API answers: bytes of the catalog with the public address in them, validators, links."""

from collections.abc import Mapping
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.address import public_address
from catalog.search import BASE, Catalog, Document, View

ROOT = f"{BASE}/stac"

JSON = "application/json"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"

_BASE = BASE.encode()


def view_of(_request: Request, catalog: Catalog) -> View:
    """What whoever asks may see; as long as there is no login, that is everything."""
    return catalog.view()


def link(rel: str, href: str, media_type: str = JSON, **more: object) -> dict[str, Any]:
    """Build a link object; ``more`` such as method, body, title."""
    return {"rel": rel, "href": href, "type": media_type, **more}


def with_query(address: str, parameters: Mapping[str, str]) -> str:
    """An address with a query string."""
    return f"{address}?{urlencode(parameters)}" if parameters else address


def send(request: Request, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with bytes of the catalog, the public address in the place of `BASE`."""
    return Response(body.replace(_BASE, public_address(request).encode()), media_type=media_type, headers=headers)


def send_json(request: Request, document: object, media_type: str = JSON) -> Response:
    """Answer with what was put together here."""
    return send(request, orjson.dumps(document), media_type)


def send_document(request: Request, document: Document, media_type: str) -> Response:
    """Answer with a Collection or an Item, or say that the client holds this very one (RFC 9110, 13)."""
    headers = validators(document)
    if is_held(request, document):
        return Response(status_code=304, headers=headers)
    return send(request, document.body, media_type, headers)


def validators(document: Document) -> dict[str, str]:
    """Headers by which a client can ask again, or change just what it has seen."""
    headers = {"etag": f'"{document.etag}"', "cache-control": "no-cache"}
    if document.modified is not None:
        headers["last-modified"] = format_datetime(document.modified, usegmt=True)
    return headers


def is_held(request: Request, document: Document) -> bool:
    """Whether the client has it; an ETag decides before a date (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or document.etag in etags(tags)
    since = request.headers.get("if-modified-since")
    if since is None or document.modified is None:
        return False
    try:
        held = parsedate_to_datetime(since)
        return document.modified.replace(microsecond=0) <= held
    except (ValueError, TypeError):  # no date, or one without a zone
        return False


def etags(header: str) -> frozenset[str]:
    """Entity tags of a header. Ours name the content, so that a weakened one of an encoded answer is as good."""
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))
