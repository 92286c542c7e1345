"""The STAC API over real HTTP: real clients, the specifications' schemas, and nothing a client sends is our fault."""

import asyncio
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jsonschema
import orjson
import pystac
import pystac_client
import pytest
import referencing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.extent import BBox, format_time
from catalog.search import BASE, Search
from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

COUNT = 57


def scenes():
    """Small boxes along the equator, all around the Earth; every third of one time."""
    for number in range(COUNT):
        west = -180 + 360 * number / COUNT
        east = west + 6 if west + 6 <= 180 else west - 354
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number // 3)
        yield item(f"scene-{number:02}", geometry=box(west, -1, east, 1), bbox=[west, -1, east, 1], at=format_time(at))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    odd = item("é ü&?", collection="other", geometry={"type": "Point", "coordinates": [7, 50]})
    nowhere = {**item("nowhere", collection="other"), "geometry": None}
    del nowhere["bbox"]
    store.put([collection("scenes", title="Scenes"), collection("other"), *scenes(), odd, nowhere])
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(serving_all, store):
    return serving_all(stac_app(store))


def links_of(document):
    return {link["rel"]: link for link in document["links"]}


def ids(document):
    return [feature["id"] for feature in document["features"]]


# --- the specifications' own schemas ---


@pytest.fixture(scope="module")
def valid(shared):
    def retrieve(uri):
        parts = urlsplit(uri)
        return referencing.Resource.from_contents(
            json.loads((shared / "schemas" / parts.netloc / parts.path[1:]).read_text())
        )

    registry = referencing.Registry(retrieve=retrieve)

    def valid(document, kind):
        schema = f"https://schemas.stacspec.org/v1.1.0/{kind}-spec/json-schema/{kind}.json"
        jsonschema.Draft7Validator({"$ref": schema}, registry=registry).validate(document)
        for extension in document.get("stac_extensions", []):
            jsonschema.Draft7Validator({"$ref": extension}, registry=registry).validate(document)

    return valid


def test_what_is_served_is_valid(client, valid):
    valid(client.get("/stac").json(), "catalog")
    for document in client.get("/stac/collections").json()["collections"]:
        valid(document, "collection")
        valid(client.get(links_of(document)["self"]["href"]).json(), "collection")
    for document in client.get("/stac/search?limit=100").json()["features"]:
        valid(document, "item")
        assert client.get(links_of(document)["self"]["href"]).json() == document
    with pytest.raises(jsonschema.ValidationError):
        valid({**document, "assets": None}, "item")


# --- addresses ---


def test_every_address_is_ours_and_leads_somewhere(client):
    seen, todo = set(), [str(client.base_url.join("/stac"))]
    while todo:
        address = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert BASE not in answer.text
        document = answer.json()
        if address.endswith("/api"):
            continue
        for link in document.get("links", []):
            assert link["href"].startswith(str(client.base_url)), link
            if link.get("method", "GET") == "GET" and not link["href"].endswith("/docs"):
                todo.append(link["href"])
        todo += [links_of(feature)["self"]["href"] for feature in document.get("features", [])]
    assert len(seen) > COUNT + 20  # each item once, and the pages


def test_media_types(client):
    for address, media_type in {
        "/stac": "application/json",
        "/stac/conformance": "application/json",
        "/stac/collections": "application/json",
        "/stac/collections/scenes": "application/json",
        "/stac/collections/scenes/items": "application/geo+json",
        "/stac/collections/scenes/items/scene-00": "application/geo+json",
        "/stac/search": "application/geo+json",
        "/stac/api": "application/vnd.oai.openapi+json;version=3.1",
    }.items():
        assert client.get(address).headers["content-type"] == media_type, address
    landing = client.get("/stac").json()
    assert (
        client.get(links_of(landing)["service-desc"]["href"]).headers["content-type"]
        == (links_of(landing)["service-desc"]["type"])
    )
    assert landing["conformsTo"] == client.get("/stac/conformance").json()["conformsTo"]


def test_the_address_is_the_one_that_is_set_or_the_one_that_was_asked(store):
    app = stac_app(store, settings=SimpleNamespace(public_url="https://example.org/overflight"))
    transport = httpx.ASGITransport(app=app)
    assert _self(transport, "inside:8000") == "https://example.org/overflight/stac"
    app.state.settings = SimpleNamespace(public_url=None)
    assert _self(transport, "inside:8000") == "http://inside:8000/stac"
    assert _self(transport, "[::1]:8000") == "http://[::1]:8000/stac"
    for host in ('evil"host', "a b", "evil.example/path", "a@b", ""):
        assert _get(transport, host).status_code == 400, host


def _self(transport, host):
    return links_of(_get(transport, host).json())["self"]["href"]


def _get(transport, host):
    async def get():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/stac", headers={"host": host})

    return asyncio.run(get())


# --- pages ---


def follow(client, answer):
    """Every page of a search, by its links alone."""
    pages = [answer]
    while "next" in links_of(pages[-1]):
        link = links_of(pages[-1])["next"]
        pages.append(client.request(link["method"], link["href"], json=link.get("body")).json())
    return pages


def back(client, answer):
    pages = [answer]
    while "prev" in links_of(pages[0]):
        link = links_of(pages[0])["prev"]
        pages.insert(0, client.request(link["method"], link["href"], json=link.get("body")).json())
    return pages


@pytest.mark.parametrize("limit", [1, 10, 19, 57, 100])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_forwards_and_back(client, method, limit):
    conditions = {"collections": ["scenes"], "limit": limit, "datetime": "2026-01-01T00:00:00Z/.."}
    if method == "POST":
        first = client.post("/stac/search", json=conditions).json()
    else:
        first = client.get("/stac/search", params={**conditions, "collections": "scenes"}).json()
    pages = follow(client, first)
    seen = [name for page in pages for name in ids(page)]
    newest_first = sorted(range(COUNT), reverse=True)  # the ids go with the days, and ties downwards
    assert seen == [f"scene-{number:02}" for number in newest_first]
    assert all(page["numberReturned"] == len(page["features"]) for page in pages)
    assert [ids(page) for page in back(client, pages[-1])] == [ids(page) for page in pages]


def test_pages_of_a_collection(client):
    pages = follow(client, client.get("/stac/collections/scenes/items?limit=10&bbox=-180,-90,180,90").json())
    assert len({name for page in pages for name in ids(page)}) == COUNT
    link = links_of(pages[0])["next"]["href"]
    assert urlsplit(link).path == "/stac/collections/scenes/items"
    assert "bbox=" in link
    assert ids(client.get("/stac/collections/scenes/items?ids=scene-03&collections=scenes").json()) == ["scene-03"]
    assert ids(client.get("/stac/collections/scenes/items?collections=other").json()) == []


def test_get_and_post_answer_alike(client):
    geometry = box(170, -5, -170, 5)
    by_post = client.post("/stac/search", json={"intersects": geometry, "limit": 50}).json()
    by_get = client.get("/stac/search", params={"intersects": json.dumps(geometry), "limit": 50}).json()
    by_box = client.get("/stac/search?bbox=170,-5,-170,5&limit=50").json()
    high = client.post("/stac/search", json={"bbox": [170, -5, -100, -170, 5, 100], "limit": 50}).json()
    expected = {"scene-00", "scene-01", "scene-55", "scene-56"}
    assert [set(ids(answer)) for answer in (by_post, by_get, by_box, high)] == [expected] * 4


def test_ids_and_collections(client):
    assert ids(client.get("/stac/search?ids=scene-03,none,scene-01").json()) == ["scene-03", "scene-01"]
    assert ids(client.get("/stac/search?collections=other").json()) == ["é ü&?", "nowhere"]
    assert ids(client.get("/stac/search?collections=unknown").json()) == []
    assert ids(client.post("/stac/search", json={"ids": []}).json()) == []
    odd = client.get(f"/stac/collections/other/items/{quote('é ü&?', safe='')}")
    assert odd.json()["id"] == "é ü&?"


def test_the_bytes_are_those_of_the_store(client, store):
    """No dictionary is built on a read: the answer holds the stored bytes, but for the address."""
    page = store.view().search(Search(bbox=BBox.of([0, -5, 30, 5]), limit=5))
    answer = client.get("/stac/search?bbox=0,-5,30,5&limit=5").content
    address = str(client.base_url).rstrip("/").encode()
    assert b'"features":[' + b",".join(page.items).replace(BASE.encode(), address) + b"]" in answer


# --- bad input ---


BAD_GET = {
    "reversed bbox": {"bbox": "0,5,1,1"},
    "short bbox": {"bbox": "0,5,1"},
    "bbox of words": {"bbox": "a,b,c,d"},
    "bbox of NaN": {"bbox": "nan,0,1,1"},
    "bbox off the Earth": {"bbox": "0,0,1,91"},
    "naive datetime": {"datetime": "2026-01-01T00:00:00"},
    "reversed datetime": {"datetime": "2026-02-01T00:00:00Z/2026-01-01T00:00:00Z"},
    "datetime open at both ends": {"datetime": "../.."},
    "limit 0": {"limit": "0"},
    "negative limit": {"limit": "-1"},
    "huge limit": {"limit": "1000000000"},
    "endless limit": {"limit": "9" * 5000},
    "limit of words": {"limit": "ten"},
    "foreign token": {"token": "AAAAAAAAAAAAAAAAAAAAAAAA"},
    "broken token": {"token": "%%%"},
    "a place in the order that is none": {"token": "é"},
    "broken intersects": {"intersects": "{"},
    "intersects of NaN": {"intersects": '{"type":"Point","coordinates":[NaN,0]}'},
    "intersects of another type": {"intersects": "[1]"},
    "self-crossing intersects": {"intersects": json.dumps(box(0, 0, 1, 1)).replace("[1, 0]", "[0, 1.5]")},
    "bbox and intersects": {"bbox": "0,0,1,1", "intersects": json.dumps(box(0, 0, 1, 1))},
    "a filter that is none": {"filter": "eo:cloud_cover <"},
    "a property that nothing has": {"filter": "eo:clod_cover < 5"},
    "a function": {"filter": "buffer(geometry, 1) = 3"},
    "a filter of two types": {"filter": "gsd = 1 AND gsd = TRUE = 'x'"},
    "a filter in another language": {"filter": "gsd=1", "filter-lang": "sql"},
    "a filter in another system": {"filter": "gsd=1", "filter-crs": "EPSG:3857"},
    "a deep filter": {"filter": "NOT " * 5000 + "gsd = 1"},
    "a filter of brackets": {"filter": "(" * 9000 + "gsd = 1" + ")" * 9000},
    "an order by nothing": {"sortby": ","},
    "an order by what nothing has": {"sortby": "-properties.nothing"},
    "an order by too much": {"sortby": "id,collection,datetime,gsd,platform,mission"},
    "a query that is none": {"query": "[1]"},
    "a query by an unknown operator": {"query": '{"gsd": {"near": 1}}'},
    "a count of words": {"numberMatched": "perhaps"},
    "a typing error": {"colections": "scenes"},
}


@pytest.mark.parametrize("parameters", BAD_GET.values(), ids=BAD_GET.keys())
def test_bad_parameters(client, parameters):
    _is_refused(client.get(f"/stac/search?{urlencode(parameters)}"))


def test_a_repeated_parameter(client):
    _is_refused(client.get("/stac/search?ids=a&ids=b"))


BAD_POST = {
    "nothing": b"",
    "broken JSON": b"{",
    "no object": b"[1]",
    "text that is no UTF-8": b'{"ids": ["\xff"]}',
    "reversed bbox": b'{"bbox": [0, 5, 1, 1]}',
    "bbox of NaN": b'{"bbox": [NaN, 0, 1, 1]}',
    "bbox of infinity": b'{"bbox": [1e999, 0, 1, 1]}',
    "bbox of text": b'{"bbox": "0,0,1,1"}',
    "bbox of five": b'{"bbox": [0, 0, 1, 1, 1]}',
    "endless number in bbox": b'{"bbox": [%b, 0, 1, 1]}' % (b"9" * 400),
    "limit 0": b'{"limit": 0}',
    "huge limit": b'{"limit": 1000000000}',
    "endless limit": b'{"limit": %b}' % (b"9" * 400),
    "limit of NaN": b'{"limit": NaN}',
    "half a character": b'{"ids": ["\\ud800"]}',
    "half a limit": b'{"limit": 1.5}',
    "naive datetime": b'{"datetime": "2026-01-01T00:00:00"}',
    "datetime of a number": b'{"datetime": 2026}',
    "foreign token": b'{"token": "AAAAAAAAAAAAAAAAAAAAAAAA"}',
    "token of half a character": b'{"token": "\\ud800"}',
    "intersects of NaN": b'{"intersects": {"type": "Point", "coordinates": [NaN, 0]}}',
    "intersects of text": b'{"intersects": "POINT(0 0)"}',
    "intersects that is no geometry": b'{"intersects": {"type": "Circle"}}',
    "ids of numbers": b'{"ids": [1]}',
    "a filter of one": b'{"filter": {"op": "=", "args": [1]}}',
    "a filter of types that differ": b'{"filter": {"op": "=", "args": [1, "a"]}}',
    "a filter that calls": b'{"filter": {"op": "sleep", "args": [1]}}',
    "a filter of a number": b'{"filter": 5}',
    "an order that is none": b'{"sortby": [{"field": 3}]}',
    "an order to the side": b'{"sortby": [{"field": "gsd", "direction": "left"}]}',
    "fields that are none": b'{"fields": {"include": "id"}}',
    "a deep filter": b'{"filter": ' + b'{"op":"not","args":[' * 100_000 + b"true" + b"]}" * 100_000 + b"}",
    "a wide filter": b'{"filter": {"op": "or", "args": ['
    + b",".join([b'{"op":"=","args":[{"property":"gsd"},1]}'] * 3000)
    + b"]}}",
    "deep": b'{"intersects": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "deep arrays": b'{"bbox": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_POST.values(), ids=BAD_POST.keys())
def test_bad_bodies(client, body):
    _is_refused(client.post("/stac/search", content=body, headers={"content-type": "application/json"}))


def test_an_outline_of_too_many_vertices(client):
    ring = [[number % 180, (number * 7) % 90] for number in range(300_000)]
    body = orjson.dumps({"intersects": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}})
    _is_refused(client.post("/stac/search", content=body, headers={"content-type": "application/json"}))


def _is_refused(answer):
    assert answer.status_code == 400, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert 10 < len(problem["detail"]) < 1000


@pytest.mark.parametrize("address", [
    "/stac/collections/none", "/stac/collections/none/items", "/stac/collections/scenes/items/none",
    "/stac/collections/none/items/scene-00", "/stac/none", "/stac/collections/%00",
    "/stac/collections/scenes/items/%FF",
    "/stac/collections/..%2fscenes",
])  # fmt: skip
def test_what_is_not_there(client, address):
    answer = client.get(address)
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_methods_that_are_none(client):
    assert client.delete("/stac/search").status_code == 405


def test_changes_are_refused_until_they_are_allowed(client):
    for method, address in (("DELETE", "/stac/collections/scenes"), ("POST", "/stac/collections/scenes/items")):
        answer = client.request(method, address, json=None if method == "DELETE" else item())
        assert answer.status_code == 403
        assert "OVERFLIGHT_CATALOG_WRITES" in answer.json()["detail"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["collections", "ids", "bbox", "intersects", "datetime", "limit", "token", "other"]),
        json_values
        | st.lists(st.floats(-200, 200), min_size=4, max_size=6)
        | st.fixed_dictionaries({"type": st.sampled_from(["Polygon", "Point"]), "coordinates": json_values}),
        max_size=4,
    )
)
def test_whatever_is_sent_is_answered_or_refused(client, body):
    answer = client.post("/stac/search", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400), answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["collections", "ids", "bbox", "intersects", "datetime", "limit", "token"]),
        st.text(max_size=20) | st.sampled_from(["1,2,3,4", "{}", "[]", "..", "10", "2026-01-01T00:00:00Z", "null"]),
        max_size=4,
    )
)
def test_whatever_is_asked_is_answered_or_refused(client, parameters):
    parameters = {name: value.encode("utf-8", "surrogatepass") for name, value in parameters.items()}
    answer = client.get(f"/stac/search?{urlencode(parameters)}")
    assert answer.status_code in (200, 400), answer.text


# --- real clients ---


def test_pystac_client(client):
    api = pystac_client.Client.open(str(client.base_url.join("/stac")))
    assert {one.id for one in api.get_collections()} == {"scenes", "other"}
    for method in ("GET", "POST"):
        search = api.search(collections=["scenes"], limit=10, method=method, max_items=None)
        found = list(search.items())
        assert len({one.id for one in found}) == COUNT
        assert all(isinstance(one, pystac.Item) for one in found)
        around = api.search(intersects=box(170, -5, -170, 5), method=method)
        assert {one.id for one in around.items()} == {"scene-00", "scene-01", "scene-55", "scene-56"}
        day = api.search(datetime="2026-01-03", bbox=[-180, -90, 180, 90], method=method)
        assert {one.id for one in day.items()} == {"scene-06", "scene-07", "scene-08"}
    scenes = api.get_collection("scenes")
    assert len(list(scenes.get_items())) == COUNT
    assert scenes.get_item("scene-05").get_collection().id == "scenes"


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="needs GDAL's command line")
def test_gdal_opens_the_features(client):
    address = str(client.base_url.join("/stac"))
    run = subprocess.run(
        ["ogrinfo", "-ro", "-al", "-so", f"OAPIF:{address}", "scenes"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert f"Feature Count: {COUNT}" in run.stdout
