"""Changes over HTTP: what is written is there, what was seen by somebody else first is not lost."""

import threading

import pytest

from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import collection, item

ITEMS = "/stac/collections/scenes/items"


@pytest.fixture
def client(serving, tmp_path):
    store = SqliteCatalog(tmp_path / "catalog.db")
    store.put([collection("scenes"), item("one", gsd=1)])
    yield serving(stac_app(store, writes=True))
    store.close()


def properties(client, name="one"):
    return client.get(f"{ITEMS}/{name}").json()["properties"]


def test_insert(client):
    answer = client.post(ITEMS, json=item("two", gsd=2))
    assert answer.status_code == 201
    assert answer.json()["id"] == "two"
    assert client.get(answer.headers["location"]).headers["etag"] == answer.headers["etag"]
    assert client.post(ITEMS, json=item("two")).status_code == 409
    assert properties(client, "two")["gsd"] == 2
    lonely = item("three")
    del lonely["collection"]
    features = {"type": "FeatureCollection", "features": [lonely, item("four")]}
    assert client.post(ITEMS, json=features).json()["written"] == 2
    some = {"type": "FeatureCollection", "features": [item("five"), item("four")]}
    assert client.post(ITEMS, json=some).status_code == 409
    assert client.get(f"{ITEMS}/five").status_code == 404  # all or none


def test_replace_and_remove(client):
    assert client.put(f"{ITEMS}/one", json=item("one", gsd=5)).status_code == 200
    assert properties(client)["gsd"] == 5
    assert client.put(f"{ITEMS}/none", json=item("none")).status_code == 404
    assert client.put(f"{ITEMS}/one", json=item("other")).status_code == 400
    assert client.put(f"{ITEMS}/one", json=item("one", collection="other")).status_code == 400
    assert client.delete(f"{ITEMS}/one").status_code == 204
    assert client.delete(f"{ITEMS}/one").status_code == 404


def test_patch(client):
    client.patch(f"{ITEMS}/one", json={"properties": {"title": "A", "gsd": None}})
    assert properties(client) == {"datetime": "2026-01-01T00:00:00Z", "title": "A"}
    assert client.patch(f"{ITEMS}/one", json={"properties": None}).status_code == 400
    assert client.patch(f"{ITEMS}/one", json={"id": "two"}).status_code == 400
    assert client.patch(f"{ITEMS}/none", json={}).status_code == 404
    assert properties(client)["title"] == "A"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_only_what_was_seen_is_changed(client, method):
    seen = client.get(f"{ITEMS}/one").headers["etag"]
    client.put(f"{ITEMS}/one", json=item("one", gsd=7))
    more = {} if method == "delete" else {"json": item("one", gsd=8)}
    for tag in (seen, '"nonsense"'):
        answer = client.request(method, f"{ITEMS}/one", headers={"if-match": tag}, **more)
        assert answer.status_code == 412
        assert properties(client)["gsd"] == 7
    now = client.get(f"{ITEMS}/one").headers["etag"]
    answer = client.request(method, f"{ITEMS}/one", headers={"if-match": f'"x", W/{now}'}, **more)
    assert answer.status_code in (200, 204)
    more = {"json": item("none")} if more else {}
    gone = client.request(method, f"{ITEMS}/none", headers={"if-match": now}, **more)
    assert gone.status_code in (404, 412)


def test_create_only(client):
    headers = {"if-none-match": "*"}
    assert client.put(f"{ITEMS}/new", json=item("new"), headers=headers).status_code == 201
    assert client.put(f"{ITEMS}/new", json=item("new"), headers=headers).status_code == 412


def test_no_patch_is_lost_in_a_race(client):
    def patch(number):
        answer = client.patch(f"{ITEMS}/one", json={"properties": {f"note-{number}": number}})
        results.append(answer.status_code)

    results = []
    threads = [threading.Thread(target=patch, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes = {name for name in properties(client) if name.startswith("note-")}
    assert len(notes) == results.count(200) >= 1
    assert set(results) <= {200, 412}


def test_collections(client):
    assert client.post("/stac/collections", json=collection("new")).status_code == 201
    assert client.post("/stac/collections", json=collection("new")).status_code == 409
    assert client.post("/stac/collections", json=item()).status_code == 400
    answer = client.patch("/stac/collections/new", json={"title": "New"})
    assert answer.json()["title"] == "New"
    tag = client.get("/stac/collections/scenes").headers["etag"]
    for headers, status in (({"if-match": '"x"'}, 412), ({"if-match": tag}, 200)):
        changed = collection("scenes", title="S")
        assert client.put("/stac/collections/scenes", json=changed, headers=headers).status_code == status
    assert client.delete("/stac/collections/scenes").status_code == 204
    assert client.get(f"{ITEMS}/one").status_code == 404
    assert client.post(ITEMS, json=item("two")).status_code == 404


def test_bulk(client):
    address = "/stac/collections/scenes/bulk_items"
    items = {f"n{number}": item(f"n{number}") for number in range(100)}
    assert client.post(address, json={"items": items}).json()["written"] == 100
    assert client.post(address, json={"items": {"n1": item("n1"), "m": item("m")}}).status_code == 409
    again = {"items": {"n1": item("n1", gsd=9)}, "method": "upsert"}
    assert client.post(address, json=again).status_code == 200
    assert properties(client, "n1")["gsd"] == 9
    for bad in ({}, {"items": []}, {"items": {"a": item("b")}}, {"items": {"a": 1}}, {"items": items, "method": "x"}):
        assert client.post(address, json=bad).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"type": "Feature"}', b'{"type": "FeatureCollection"}'])
def test_bodies_that_are_none(client, body):
    answer = client.post(ITEMS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_items_say_of_a_collection_does_not_become_its_own(client):
    """A Collection that is read and written back, or patched, keeps its own extent for when its items are gone."""
    before = collection("scenes")["extent"]
    shown = client.get("/stac/collections/scenes").json()
    assert shown["extent"] != before
    assert client.put("/stac/collections/scenes", json=shown).status_code == 200
    assert client.patch("/stac/collections/scenes", json={"title": "T"}).json()["summaries"]["gsd"]
    assert client.delete(f"{ITEMS}/one").status_code == 204
    after = client.get("/stac/collections/scenes").json()
    assert after["extent"] == before
    assert after["title"] == "T"
    assert "summaries" not in after


def test_what_is_read_and_written_back_is_the_same(client):
    """Addresses of this installation are kept without the name that it is reached by."""
    own = {"href": str(client.base_url.join("/files/scenes/one/a.tif"))}
    client.put(f"{ITEMS}/one", json=item("one") | {"assets": {"a": own}})
    before = client.get(f"{ITEMS}/one", headers={"accept-encoding": "identity"})
    again = client.put(f"{ITEMS}/one", content=before.content, headers={"content-type": "application/json"})
    assert again.headers["etag"].removeprefix("W/") == before.headers["etag"]
    other = client.get(f"{ITEMS}/one", headers={"host": "elsewhere.example"}).json()
    assert other["assets"]["a"]["href"] == "http://elsewhere.example/files/scenes/one/a.tif"
