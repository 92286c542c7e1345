"""Filters, orders, fields and counts over HTTP: every spelling of a question gets the same answer."""

import json
from datetime import UTC, datetime, timedelta

import pystac_client
import pytest

from catalog.extent import format_time
from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

COUNT = 30


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    store.put([
        collection("scenes", title="Scenes of snow", keywords=["alps"]),
        collection("maps", description="Old maps", extent={"spatial": {"bbox": [[100, 0, 110, 10]]},
                                                           "temporal": {"interval": [[None, "1950-01-01T00:00:00Z"]]}}),
    ])  # fmt: skip
    for number in range(COUNT):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        more = {"eo:cloud_cover": number * 3.0} if number % 5 else {}
        store.put([item(f"scene-{number:02}", geometry=box(number, 0, number + 0.5, 1), at=format_time(at),
                        platform=f"hr-{number % 3}", title=f"Mont Ventoux {number}", **more)])  # fmt: skip
    yield serving_all(stac_app(store))
    store.close()


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


def names(numbers):
    return [f"scene-{number:02}" for number in sorted(numbers, reverse=True)]


SOME = [number for number in range(COUNT) if number % 5 and number * 3 < 30]


def test_every_spelling_of_a_filter(client):
    text = "eo:cloud_cover < 30"
    as_json = {"op": "<", "args": [{"property": "eo:cloud_cover"}, 30]}
    answers = [
        client.get("/stac/search", params={"filter": text, "limit": 50}),
        client.get("/stac/search", params={"filter": json.dumps(as_json), "filter-lang": "cql2-json", "limit": 50}),
        client.post("/stac/search", json={"filter": as_json, "limit": 50}),
        client.post("/stac/search", json={"filter": text, "filter-lang": "cql2-text", "limit": 50}),
        client.get("/stac/search", params={"query": '{"eo:cloud_cover": {"lt": 30}}', "limit": 50}),
        client.post("/stac/search", json={"query": {"eo:cloud_cover": {"lt": 30}}, "limit": 50}),
        client.get("/stac/collections/scenes/items", params={"filter": text, "limit": 50}),
    ]
    assert [ids(answer) for answer in answers] == [names(SOME)] * len(answers)
    assert all("numberMatched" not in answer.json() for answer in answers)
    counted = client.get("/stac/search", params={"filter": text, "limit": 2, "numberMatched": "true"})
    assert counted.json()["numberMatched"] == len(SOME)


def test_a_typing_error_is_told_with_what_was_meant(client):
    answer = client.get("/stac/search", params={"filter": "eo:clod_cover < 5"})
    assert answer.status_code == 400
    assert "did you mean eo:cloud_cover?" in answer.json()["detail"]


QUERIES = {
    "eq": ({"platform": {"eq": "hr-1"}}, lambda number: number % 3 == 1),
    "neq": ({"platform": {"neq": "hr-1"}}, lambda number: number % 3 != 1),
    "between": ({"eo:cloud_cover": {"gte": 10, "lte": 40}}, lambda number: number % 5 and 10 <= number * 3 <= 40),
    "in": ({"platform": {"in": ["hr-1", "hr-2"]}}, lambda number: number % 3),
    "startsWith": ({"platform": {"startsWith": "hr"}}, lambda _: True),
    "endsWith": ({"platform": {"endsWith": "-2"}}, lambda number: number % 3 == 2),
    "contains": ({"title": {"contains": "toux 1"}}, lambda number: str(number).startswith("1")),
    "a wildcard is a letter": ({"title": {"contains": "%"}}, lambda _: False),
}


@pytest.mark.parametrize(("query", "holds"), QUERIES.values(), ids=QUERIES.keys())
def test_conditions_from_before_cql2(client, query, holds):
    expected = names(number for number in range(COUNT) if holds(number))
    assert ids(client.post("/stac/search", json={"query": query, "limit": 50})) == expected


def test_orders(client):
    cloudy = sorted((number for number in range(COUNT) if number % 5), reverse=True)
    clear = [number for number in range(COUNT) if not number % 5]
    downwards = [f"scene-{number:02}" for number in (*cloudy, *sorted(clear, reverse=True))]
    assert ids(client.get("/stac/search?sortby=-eo:cloud_cover&limit=50")) == downwards
    assert ids(client.get("/stac/search?sortby=-properties.eo:cloud_cover&limit=50")) == downwards
    upwards = [f"scene-{number:02}" for number in (*reversed(cloudy), *clear)]
    keys = [{"field": "properties.eo:cloud_cover", "direction": "asc"}]
    found, body = [], {"sortby": keys, "limit": 7}
    while body is not None:
        answer = client.post("/stac/search", json=body)
        found += ids(answer)
        onwards = [link for link in answer.json()["links"] if link["rel"] == "next"]
        body = onwards[0]["body"] if onwards else None
        assert body is None or body["sortby"] == keys
    assert found == upwards
    two = ids(client.get("/stac/search", params={"sortby": "+platform,-datetime", "limit": 50}))
    assert two == [
        f"scene-{number:02}" for rest in range(3) for number in range(COUNT - 1, -1, -1) if number % 3 == rest
    ]


def test_fields(client):
    (one,) = client.get("/stac/search?ids=scene-07&fields=id,properties.platform").json()["features"]
    known = {"type": "Feature", "stac_version": "1.1.0", "id": "scene-07", "collection": "scenes"}
    assert one == {**known, "properties": {"platform": "hr-1"}}
    answer = client.post("/stac/search", json={"ids": ["scene-07"], "fields": {"exclude": ["geometry", "links"]}})
    assert answer.headers["content-type"] == "application/geo+json"
    (one,) = answer.json()["features"]
    assert {"geometry", "links"}.isdisjoint(one)
    assert one["properties"]["title"] == "Mont Ventoux 7"
    (one,) = client.get("/stac/search?ids=scene-07&fields=platform").json()["features"]
    assert one["id"] == "scene-07"


def test_words(client):
    assert ids(client.get("/stac/search?q=ventoux 12,VENTOUX 7")) == ["scene-12", "scene-07"]
    assert ids(client.post("/stac/search", json={"q": ["ventoux mont"]})) == []
    assert len(ids(client.get("/stac/search?q=mont&limit=50"))) == COUNT


def found(client, **parameters):
    answer = client.get("/stac/collections", params=parameters)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["numberMatched"] >= document["numberReturned"] == len(document["collections"])
    return [one["id"] for one in document["collections"]]


def test_collection_search(client):
    assert found(client) == ["maps", "scenes"]
    assert found(client, q="snow") == found(client, q="alps,none") == found(client, bbox="0,0,1,1") == ["scenes"]
    assert found(client, q="old maps") == found(client, datetime="../1940-01-01T00:00:00Z") == ["maps"]
    assert found(client, bbox="105,5,106,6", datetime="2026-01-01T00:00:00Z") == []
    assert found(client, sortby="-id") == ["scenes", "maps"]
    first = client.get("/stac/collections?limit=1&sortby=-id").json()
    (onwards,) = (link["href"] for link in first["links"] if link["rel"] == "next")
    assert [one["id"] for one in client.get(onwards).json()["collections"]] == ["maps"]
    assert set(client.get("/stac/collections?q=snow&fields=id").json()["collections"][0]) < {
        "type", "stac_version", "id", "description", "license", "extent", "links", "x",
    }  # fmt: skip
    for bad in ("bbox=1", "filter=id='a'", "token=x", "limit=0", "datetime=now", "sortby=nothing"):
        assert client.get(f"/stac/collections?{bad}").status_code == 400, bad


def test_queryables_tell_what_the_data_hold(client):
    answer = client.get("/stac/collections/scenes/queryables")
    assert answer.headers["content-type"] == "application/schema+json"
    held = answer.json()["properties"]
    assert held["platform"] == {"type": "string", "enum": ["hr-0", "hr-1", "hr-2"]}
    assert (held["eo:cloud_cover"]["minimum"], held["eo:cloud_cover"]["maximum"]) == (3.0, 87.0)
    assert held["datetime"]["format"] == "date-time"
    assert "geometry" in held
    assert "geometry" not in client.get("/stac/sortables").json()["properties"]
    assert "platform" not in client.get("/stac/collections/maps/queryables").json()["properties"]
    assert client.get("/stac/collections/none/queryables").status_code == 404


def test_figures(client):
    answer = client.get(
        "/stac/aggregate?aggregations=total_count,datetime_min,datetime_frequency,platform_frequency,"
        "cloud_cover_frequency,centroid_geohash_grid_frequency,terms:title&cloud_cover_frequency_interval=30"
        "&centroid_geohash_grid_frequency_precision=1&filter=eo:cloud_cover < 30&datetime_frequency_interval=day"
    ).json()
    figures = {one["name"]: one for one in answer["aggregations"]}
    assert figures["total_count"]["value"] == len(SOME)
    assert figures["datetime_min"]["value"] == "2026-01-02T00:00:00Z"
    assert [one["key"] for one in figures["datetime_frequency"]["buckets"]] == [
        f"2026-01-{number + 1:02}T00:00:00Z" for number in SOME
    ]
    assert figures["cloud_cover_frequency"]["buckets"] == [
        {"key": "0", "data_type": "numeric", "frequency": len(SOME), "from": 0.0, "to": 30.0}
    ]
    assert sum(one["frequency"] for one in figures["platform_frequency"]["buckets"]) == len(SOME)
    assert figures["centroid_geohash_grid_frequency"]["buckets"][0]["key"] == "s"
    body = {"aggregations": ["total_count"], "filter": {"op": "=", "args": [{"property": "platform"}, "hr-1"]}}
    assert client.post("/stac/collections/scenes/aggregate", json=body).json()["aggregations"][0]["value"] == 10
    assert client.get("/stac/collections/maps/aggregate").json()["aggregations"][0]["value"] == 0
    for bad in ("aggregations=nothing", "aggregations=terms:nothing", "aggregations=total_count&total_count_interval=3",
                "aggregations=datetime_frequency&datetime_frequency_interval=week"):  # fmt: skip
        assert client.get(f"/stac/aggregate?{bad}").status_code == 400, bad
    assert client.get("/stac/collections/none/aggregate").status_code == 404


def test_pystac_client_speaks_all_of_it(client):
    api = pystac_client.Client.open(str(client.base_url.join("/stac")))
    search = api.search(
        filter="eo:cloud_cover < 30", sortby="+datetime", fields=["id", "properties", "assets"], limit=3
    )
    assert [one["id"] for one in search.items_as_dicts()] == sorted(names(SOME))
    assert api.search(collections=["scenes"]).matched() == COUNT
    assert {one.id for one in api.collection_search(q="snow").collections()} == {"scenes"}
