"""What HTTP offers around the STAC API: validators, encodings, other origins, other formats."""

import gzip
import io
import json
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import brotli
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stac_geoparquet
import zstandard

from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

COUNT = 40


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    store.put([collection("scenes", title="Scenes", keywords=["snow"])])
    store.put([
        item(f"scene-{number:02}", geometry=box(number, 0, number + 1, 1), at=f"2026-01-{1 + number % 28:02}T00:00:00Z",
             gsd=number % 4 + 0.5)
        for number in range(COUNT)
    ])  # fmt: skip
    yield serving_all(stac_app(store))
    store.close()


ITEM = "/stac/collections/scenes/items/scene-03"


@pytest.mark.parametrize("address", [ITEM, "/stac/collections/scenes"])
def test_who_holds_it_is_told_so(client, address):
    answer = client.get(address, headers={"accept-encoding": "identity"})  # a compressed one's is weak
    tag, changed = answer.headers["etag"], answer.headers["last-modified"]
    assert tag.startswith('"')
    for headers in ({"if-none-match": tag}, {"if-none-match": f'"x", W/{tag}'}, {"if-none-match": "*"},
                    {"if-modified-since": changed}):  # fmt: skip
        again = client.get(address, headers=headers | {"accept-encoding": "identity"})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    before = format_datetime(parsedate_to_datetime(changed) - timedelta(seconds=1), usegmt=True)
    for headers in ({"if-none-match": '"x"'}, {"if-modified-since": before}, {"if-modified-since": "yesterday"},
                    {"if-none-match": '"x"', "if-modified-since": changed}):  # fmt: skip
        assert client.get(address, headers=headers).status_code == 200


DECODERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


@pytest.mark.parametrize("encoding", DECODERS)
@pytest.mark.parametrize("address", ["/stac/search?limit=40", "/stac/search?f=ndjson", "/stac/collections/scenes"])
def test_answers_are_compressed(client, address, encoding):
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", address, headers={"accept-encoding": encoding}) as answer:
        body = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == encoding
        assert "accept-encoding" in answer.headers["vary"].lower()
        if "etag" in plain.headers:
            assert answer.headers["etag"] == f"W/{plain.headers['etag']}"
    assert DECODERS[encoding](body) == plain.content
    assert len(body) < len(plain.content) / 2


def test_pages_of_other_origins_may_read(client):
    origin = {"origin": "https://example.org"}
    assert client.get(ITEM, headers=origin).headers["access-control-allow-origin"] == "*"
    assert "ETag" in client.get(ITEM, headers=origin).headers["access-control-expose-headers"]
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    answer = client.options("/stac/search", headers=asked)
    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(("method", "address"), [
    ("DELETE", "/stac/collections/scenes"), ("POST", "/stac/collections/scenes/items"),
    ("POST", "/stapi/products/x/orders"),
])  # fmt: skip
def test_pages_of_other_origins_change_nothing(client, method, address):
    asked = {"origin": "https://evil.example", "access-control-request-method": method}
    answer = client.options(address, headers=asked)
    assert answer.status_code >= 400
    assert method not in answer.headers.get("access-control-allow-methods", "")


def test_head_is_answered(client):
    answer = client.head(ITEM)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == client.get(ITEM).headers["etag"]


def paged(client, **conditions):
    return client.post("/stac/search", json={**conditions, "limit": 1000}).json()["features"]


@pytest.mark.parametrize("asked", [{"accept": "application/x-ndjson"}, {}], ids=["by the header", "by the parameter"])
def test_all_items_as_lines(client, asked):
    answer = client.get(f"/stac/search?sortby=id{'' if asked else '&f=ndjson'}", headers=asked)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [orjson.loads(line) for line in answer.content.splitlines()] == paged(
        client, sortby=[{"field": "id", "direction": "asc"}]
    )
    some = client.post("/stac/search", json={"limit": 7, "f": "ndjson"})
    assert [orjson.loads(line)["id"] for line in some.content.splitlines()] == [one["id"] for one in paged(client)[:7]]
    assert client.get("/stac/collections/scenes/items?f=ndjson&bbox=0,0,0.5,1").text.count("\n") == 1
    assert client.get("/stac/search?f=ndjson&ids=none").content == b""


def test_all_items_as_geoparquet_and_arrow(client):
    answer = client.get("/stac/search", headers={"accept": "application/vnd.apache.parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(answer.content))
    expected = paged(client)
    assert table.column("id").to_pylist() == [one["id"] for one in expected]
    theirs = list(stac_geoparquet.arrow.stac_table_to_items(table))
    assert [one["properties"]["gsd"] for one in theirs] == [one["properties"]["gsd"] for one in expected]
    stream = client.get("/stac/search?f=arrow")
    assert pa.ipc.open_stream(stream.content).read_all().column("id").to_pylist() == table.column("id").to_pylist()


def test_head_of_a_stream_reads_nothing(client):
    answer = client.head("/stac/search?f=parquet")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert "Accept" in answer.headers["vary"]


def test_what_is_wrong_is_told_before_a_stream_begins(client):
    for form in ("ndjson", "parquet", "arrow"):
        assert client.get(f"/stac/search?f={form}&filter=nothing=1").status_code == 400
    for headers, address in (({"accept": "image/png"}, "/stac/search"), ({}, "/stac/search?f=shapefile")):
        answer = client.get(address, headers=headers)
        assert answer.status_code == 406
        assert "ndjson" in answer.json()["detail"]
    assert client.get("/stac/search", headers={"accept": "text/html,*/*;q=0.8"}).status_code == 200


def test_a_million_positions_are_refused_at_once(client):
    ring = b",".join(b"[%d,%d]" % (number % 180, number % 90) for number in range(1_000_000))
    body = b'{"intersects":{"type":"Polygon","coordinates":[[%b,[0,0]]]}}' % ring
    for content in (body, body * 2):
        answer = client.post("/stac/search", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 413)
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_same_without_the_short_way(client, serving):
    """The router answers what the short way answers; behind a prefix it is the only one."""
    bad = client.get("/stac/search?filter=nothing=1")
    assert bad.headers["content-type"] == "application/problem+json"
    assert json.loads(bad.content)["type"].endswith("invalid-search")
    assert client.get("/stac/collections/scenes/items/").status_code in (200, 307, 404)
    assert client.get("/stac/collections//items").status_code == 404
