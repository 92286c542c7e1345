"""Which answers are made smaller, and what is said of them."""

import asyncio
import zlib

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.compression import MIN_BYTES, Compressed

TEXT = b'{"a":"b"}' * 1000


def answer(request):
    kind = request.path_params["kind"].replace("_", "/")
    headers = {"etag": request.query_params.get("etag", '"tag"')}
    return Response(TEXT[: int(request.query_params.get("size", len(TEXT)))], media_type=kind, headers=headers)


def pieces(request):
    async def some():
        for start in range(0, len(TEXT), 700):
            yield TEXT[start : start + 700]

    return StreamingResponse(some(), media_type="application/x-ndjson")


APP = Compressed(Starlette(routes=[
    Route("/files/{kind}", answer), Route("/pieces", pieces), Route("/{kind}", answer),
]))  # fmt: skip


def get(path, **headers):
    async def asked():  # without a client, which would say by itself what it accepts
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = httpx.Request("GET", f"http://test{path}", headers=given)
        answer = await httpx.ASGITransport(app=APP).handle_async_request(request)
        await answer.aread()
        return answer

    return asyncio.run(asked())


@pytest.mark.parametrize("kind", [
    "application/json", "application/geo+json", "application/schema+json", "application/problem+json",
    "application/x-ndjson", "application/vnd.oai.openapi+json;version=3.1", "text/html",
])  # fmt: skip
def test_text_is_compressed_and_its_tag_weak(kind):
    answer = get("/" + kind.replace("/", "_"), accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"] == 'W/"tag"'
    assert answer.content == TEXT
    assert int(answer.headers.get("content-length", 1)) < len(TEXT) / 10


@pytest.mark.parametrize(("path", "headers"), [
    ("/application_json", {}),
    ("/application_json", {"accept_encoding": "identity"}),
    ("/application_json", {"accept_encoding": "compress"}),
    (f"/application_json?size={MIN_BYTES - 1}", {"accept_encoding": "gzip, br, zstd"}),
    ("/files/application_json", {"accept_encoding": "gzip, br, zstd"}),
    ("/image_tiff", {"accept_encoding": "gzip, br, zstd"}),
    ("/application_vnd.apache.parquet", {"accept_encoding": "gzip, br, zstd"}),
])  # fmt: skip
def test_the_rest_goes_out_as_it_is(path, headers):
    answer = get(path, **headers)
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"] == '"tag"'
    assert answer.headers["content-length"] == str(len(answer.content))


def test_a_weak_tag_stays_as_it_is():
    assert get('/application_json?etag=W/"x"', accept_encoding="gzip").headers["etag"] == 'W/"x"'


@pytest.mark.parametrize(("accepted", "chosen"), [
    ("gzip, deflate, br, zstd", "zstd"), ("gzip, br", "br"), ("gzip", "gzip"),
])  # fmt: skip
def test_the_best_that_the_client_takes(accepted, chosen):
    assert get("/application_json", accept_encoding=accepted).headers["content-encoding"] == chosen


def test_a_stream_is_compressed_on_its_way():
    messages = []

    async def send(message):
        messages.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/pieces", "query_string": b"", "root_path": "",
             "headers": [(b"accept-encoding", b"gzip")], "asgi": {"version": "3.0", "spec_version": "2.4"}}  # fmt: skip
    asyncio.run(APP(scope, receive, send))
    bodies = [message["body"] for message in messages[1:]]
    assert zlib.decompressobj(31).decompress(b"".join(bodies)) == TEXT
    assert dict(messages[0]["headers"])[b"content-encoding"] == b"gzip"
