"""Searches as one stream of all their items: newline-delimited JSON, GeoParquet, Arrow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.address import public_address
from api.problems import Problem
from api.stac.requests import Asked
from catalog.paging import all_items
from catalog.search import BASE, View

NDJSON = "application/x-ndjson"
GEOPARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"

AT_ONCE = 1000
"""Items that are read for one piece of a stream: some megabytes."""

FORMATS: Mapping[str, str | None] = {
    "json": None, "geojson": None, "ndjson": NDJSON, "parquet": GEOPARQUET, "geoparquet": GEOPARQUET, "arrow": ARROW,
}  # fmt: skip
"""What ``f`` takes; None is a page of GeoJSON."""

_PAGES = ("*/*", "application/*", "application/json", "application/geo+json")
_STREAMS: Mapping[str, str] = {
    NDJSON: NDJSON, "application/ndjson": NDJSON, "application/jsonl": NDJSON, "application/geo+json-seq": NDJSON,
    GEOPARQUET: GEOPARQUET, "application/x-parquet": GEOPARQUET, ARROW: ARROW,
}  # fmt: skip

Pages = Callable[[], Iterator[Sequence[bytes]]]
"""Gives the items of a search from the start, some at a time; may be called again."""


def wanted_format(request: Request, asked: Asked) -> str | None:
    """Media type of the stream that the client wants; None for a page of GeoJSON.

    Raises
    ------
    Problem
        It wants something that is not made here (406).
    """
    if asked.format is not None:
        if asked.format not in FORMATS:
            raise Problem(
                406, "not-acceptable", "No such format", f"f: {asked.format[:40]!r}; known are {', '.join(FORMATS)}"
            )
        return FORMATS[asked.format]
    accept = request.headers.get("accept")
    if not accept or accept == "*/*":
        return None
    for media_type in _preferred(accept):
        if media_type in _PAGES:
            return None
        if media_type in _STREAMS:
            return _STREAMS[media_type]
    if "text/html" in accept:  # a browser, which shows JSON too
        return None
    known = ", ".join(("application/geo+json", *dict.fromkeys(_STREAMS.values())))
    raise _not_made(f"Accept: {accept[:80]!r}; known are {known}")


def _not_made(detail: str) -> Problem:
    return Problem(406, "not-acceptable", "No such format", detail)


def _preferred(accept: str) -> list[str]:
    """Media types of an Accept header, the dearest first (RFC 9110, 12.5.1)."""
    found = []
    for place, part in enumerate(accept.split(",")[:50]):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            found.append((-float(weight), place, media_type))
        except ValueError:
            found.append((-1.0, place, media_type))
    return [media_type for weight, _, media_type in sorted(found) if weight < 0]


async def stream(request: Request, view: View, asked: Asked, media_type: str) -> Response:
    """Answer with all items of a search; a limit bounds their number."""
    name = {NDJSON: "items.ndjson", GEOPARQUET: "items.parquet", ARROW: "items.arrows"}[media_type]
    headers = {"content-disposition": f'attachment; filename="{name}"', "vary": "Accept"}
    if request.scope.get("head"):
        return Response(media_type=media_type, headers=headers)
    pieces = _pieces(pages(view, asked, public_address(request).encode()), media_type)
    # What is wrong with the search is told before the answer begins.
    first = await run_in_threadpool(next, pieces, b"")
    return StreamingResponse(chain((first,), pieces), media_type=media_type, headers=headers)


def pages(view: View, asked: Asked, address: bytes = BASE.encode()) -> Pages:
    """All items that a search finds, with the address in them."""

    def read() -> Iterator[Sequence[bytes]]:
        for items in all_items(view, asked.search, at_once=AT_ONCE, most=asked.most):
            shown = items if asked.fields is None else map(asked.fields.of_item, items)
            yield [item.replace(BASE.encode(), address) for item in shown]

    return read


def _pieces(read: Pages, media_type: str) -> Iterator[bytes]:
    if media_type == NDJSON:
        return (b"\n".join(items) + b"\n" for items in read())
    from catalog.arrow import arrow_chunks, parquet_chunks

    return parquet_chunks(read) if media_type == GEOPARQUET else arrow_chunks(read)
