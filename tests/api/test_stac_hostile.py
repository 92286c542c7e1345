"""What is huge, deep or odd is refused, or answered, and is never our fault."""

import pytest

from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import collection, item

MANY = 100_000
ITEMS = "/stac/collections/scenes/items"


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    store.put([collection("scenes"), collection("{}"), item("one", gsd=1, title="a b"), item("{}", collection="{}")])
    yield serving_all(stac_app(store, writes=True))
    store.close()


def refused(answer, status=400):
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert 10 < len(answer.json()["detail"]) < 1000


TEXTS = {
    "not": ("NOT ", "gsd = 1", ""), "brackets": ("(", "gsd = 1", ")"), "open brackets": ("(", "", ""),
    "signs": ("gsd = -", "1", ""), "calls": ("CASEI(", "title", ")"), "unknown calls": ("f(", "1", ")"),
    "sums": ("1+", "1", ""), "and": ("gsd = 1 AND ", "gsd = 1", ""), "digits": ("9", "= gsd", ""),
}  # fmt: skip


@pytest.mark.parametrize("times", [3000, MANY], ids=["long", "too long"])
@pytest.mark.parametrize(("before", "inner", "after"), TEXTS.values(), ids=TEXTS.keys())
def test_filters_without_end(client, before, inner, after, times):
    text = before * times + inner + after * times
    refused(client.post("/stac/search", json={"filter": text, "filter-lang": "cql2-text"}))


FILTERS = {
    "an unknown function": {"op": "=", "args": [{"op": "foo", "args": []}, 1]},
    "an operator that is a list": {"op": [], "args": []},
    "no arguments": {"op": "="},
    "arguments that are an object": {"op": "=", "args": {}},
    "nulls": {"op": "=", "args": [None, None]},
    "a property that is a number": {"op": "=", "args": [{"property": 1}, 1]},
    "a property of NUL": {"op": "=", "args": [{"property": "a\0"}, "x"]},
    "text of NUL": {"op": "=", "args": [{"property": "title"}, "\0"]},
    "a place of a number": {"op": "s_intersects", "args": [{"property": "gsd"}, {"bbox": [0, 0, 1, 1]}]},
    "half a box": {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1]}]},
    "a time that is none": {"op": "t_after", "args": [{"property": "datetime"}, {"timestamp": "x"}]},
    "in nothing": {"op": "in", "args": [{"property": "gsd"}, []]},
    "between one": {"op": "between", "args": [{"property": "gsd"}, 1]},
    "a thousand conditions": {"op": "or", "args": [{"op": "=", "args": [{"property": "gsd"}, 1]}] * 1000},
}


@pytest.mark.parametrize("written", FILTERS.values(), ids=FILTERS.keys())
def test_filters_that_are_none(client, written):
    refused(client.post("/stac/search", json={"filter": written}))


def test_words_without_end(client):
    refused(client.post("/stac/search", json={"q": ["a"] * 101}))
    refused(client.get("/stac/search", params={"q": ",".join("a" * 101)}))
    refused(client.get("/stac/collections", params={"q": ",".join("a" * 101)}))
    assert len(client.post("/stac/search", json={"q": ["a"] * 100}).json()["features"]) == 1
    assert client.post("/stac/search", json={"q": ["a " * MANY]}).status_code == 200
    for odd in ("\0", "*", '"', "a AND", "(", "", "NEAR(a b)", "title:a", "-a", "^a"):
        assert client.post("/stac/search", json={"q": [odd]}).status_code == 200, odd


@pytest.mark.parametrize("name", ["ids", "collections"])
def test_many_names(client, name):
    assert client.post("/stac/search", json={name: [f"n{one}" for one in range(MANY)]}).json()["features"] == []


@pytest.mark.parametrize("path", ["/stac/collections/%7B%7D/items", "/stac/collections/%7B%7D/items/%7B%7D"])
def test_a_name_that_is_a_pattern(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/stac/collections/fresh", f"{ITEMS}/fresh"])
def test_what_is_new_can_be_put_once(client, path):
    document = item("fresh") if "items" in path else collection("fresh")
    headers = {"if-none-match": "*"}
    refused(client.put(path, json=document), 404)
    assert client.put(path, json=document, headers=headers).status_code == 201
    for method in ("PUT", "PATCH"):
        refused(client.request(method, path, json=document, headers=headers), 412)
    assert client.delete(path, headers=headers).status_code in (409, 412)
    assert client.get(path).status_code == 200
