"""The files that items point at, whole or by ranges."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from api.problems import REFUSALS
from catalog.assets import AssetFolder

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
}


def files_router(assets: AssetFolder) -> APIRouter:
    """Serve ``/files/{key}`` with ranges (RFC 9110, 14) and validators (RFC 9110, 13)."""
    router = APIRouter(prefix="/files", tags=["files"], responses=REFUSALS)

    # Two routes, since each operation of an OpenAPI document has an id of its own.
    @router.get("/{key:path}", response_class=FileResponse, summary="A file of an item, whole or by ranges")
    @router.head("/{key:path}", include_in_schema=False)
    def file(key: str, request: Request) -> Response:
        path = assets.path(key)
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}
        response = FileResponse(path, headers=headers, media_type=_media_type(path), stat_result=path.stat())
        if _is_unchanged(request, response):
            kept = {name: response.headers[name] for name in ("etag", "last-modified", "cache-control")}
            return Response(status_code=304, headers=kept)
        return response

    return router


def _media_type(path: Path) -> str:
    return MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


def _is_unchanged(request: Request, response: Response) -> bool:
    """Whether the client holds this very file; an ETag decides before a date (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in known or response.headers["etag"] in known
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        held = parsedate_to_datetime(since)
    except ValueError:
        return False
    changed = parsedate_to_datetime(response.headers["last-modified"])
    return changed <= (held if held.tzinfo else held.replace(tzinfo=UTC))
