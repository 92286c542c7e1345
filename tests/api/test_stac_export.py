"""A search as one stream of all its items: the same ones as its pages, however many pieces it takes."""

import io

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stac_geoparquet

from api.stac import export
from catalog.extent import parse_time
from catalog.search import MAX_LIMIT
from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

COUNT = 25
AT_ONCE = 10
"""Three pieces, the last of them short."""

NDJSON, PARQUET, ARROW = "application/x-ndjson", "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    store.put([collection("scenes"), collection("maps"), item("map", collection="maps")])
    store.put([
        item(f"scene-{number:02}", geometry=box(number, 0, number + 1, 1), at=f"2026-01-{1 + number:02}T00:00:00Z",
             gsd=number % 4 + 0.5, **({"title": f"No. {number}"} if number % 3 else {}))
        for number in range(COUNT)
    ])  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "AT_ONCE", AT_ONCE)
        yield serving_all(stac_app(store))
    store.close()


def read(answer):
    """Items of a stream, as others read them."""
    assert answer.status_code == 200, answer.text
    media_type = answer.headers["content-type"]
    if media_type == NDJSON:
        return [orjson.loads(line) for line in answer.content.splitlines()]
    if media_type == PARQUET:
        return list(stac_geoparquet.arrow.stac_table_to_items(pq.read_table(io.BytesIO(answer.content))))
    assert media_type == ARROW
    return list(stac_geoparquet.arrow.stac_table_to_items(pa.ipc.open_stream(answer.content).read_all()))


def spelled_alike(one):
    """Readers of GeoParquet give tuples, microseconds, and null for what another item has."""
    known = orjson.loads(orjson.dumps(one))
    known["properties"] = {name: value for name, value in known["properties"].items() if value is not None}
    known["properties"]["datetime"] = parse_time(known["properties"]["datetime"])
    return {name: known[name] for name in ("type", "id", "collection", "geometry", "bbox", "properties")}


@pytest.mark.parametrize("media_type", [NDJSON, PARQUET, ARROW])
@pytest.mark.parametrize("conditions", [
    {}, {"collections": "scenes"}, {"filter": "gsd < 2"}, {"sortby": "+gsd,-id"}, {"bbox": "3,0,8.5,1"},
    {"limit": 1}, {"limit": AT_ONCE}, {"limit": AT_ONCE + 1}, {"limit": COUNT + 1}, {"limit": MAX_LIMIT + 1},
], ids=str)  # fmt: skip
def test_a_stream_holds_what_the_pages_hold(client, media_type, conditions):
    pages = client.get("/stac/search", params={"limit": 100, **conditions}).json()["features"]
    found = read(client.get("/stac/search", params=conditions, headers={"accept": media_type}))
    if media_type == NDJSON:
        assert found == pages
    assert list(map(spelled_alike, found)) == list(map(spelled_alike, pages))


def test_a_body_and_a_collection_give_the_same_stream(client):
    headers = {"accept": NDJSON}
    by_body = client.post("/stac/search", json={"collections": ["scenes"]}, headers=headers)
    assert by_body.content == client.get("/stac/collections/scenes/items", headers=headers).content
    assert by_body.content.count(b"\n") == COUNT


def test_fields_of_a_stream(client):
    found = read(client.get("/stac/search?f=ndjson&fields=id,properties.gsd&collections=scenes"))
    assert len(found) == COUNT
    assert all(set(one["properties"]) == {"gsd"} and "geometry" not in one for one in found)


@pytest.mark.parametrize("form", ["ndjson", "parquet", "arrow"])
@pytest.mark.parametrize("bad", ["limit=0", "limit=-1", "limit=1000001", "limit=x", "token=%25", "sortby=nothing"])
def test_bad_questions_are_refused_before_a_stream_begins(client, form, bad):
    answer = client.get(f"/stac/search?f={form}&{bad}")
    assert answer.status_code == 400, answer.text[:200]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("form", ["ndjson", "parquet", "arrow"])
def test_a_stream_of_nothing(client, form):
    assert read(client.get(f"/stac/search?f={form}&ids=none")) == []


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("hidden", ["geometry", "properties.gsd", "assets", "links", "bbox"])
def test_a_table_without_some_fields(client, form, hidden):
    answer = client.get(f"/stac/search?f={form}&fields=-{hidden}&collections=scenes")
    if form == "parquet":
        table = pq.read_table(io.BytesIO(answer.content))
    else:
        table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column("id").to_pylist() == [f"scene-{number:02}" for number in reversed(range(COUNT))]
    column = hidden.removeprefix("properties.")
    assert column not in table.column_names or not any(table.column(column).to_pylist())
