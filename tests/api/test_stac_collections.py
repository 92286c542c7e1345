"""Collections over HTTP: searches among them, what may be asked of them, and figures that agree with their items."""

import random
from collections import Counter
from urllib.parse import quote

import pytest

from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import collection, item

COUNT = 60
NAMES = [f"c-{number:02}" for number in range(7)]
ODD = "é ü&?"


def items():
    chance = random.Random(5)
    for number in range(COUNT):
        at = f"202{chance.randrange(4)}-{1 + chance.randrange(12):02}-{1 + chance.randrange(28):02}T00:00:00Z"
        place = {"type": "Point", "coordinates": [chance.uniform(-179, 179), chance.uniform(-80, 80)]}
        more = {"eo:cloud_cover": chance.randrange(100)} if chance.random() < 0.7 else {}
        yield item(f"i-{number:02}", collection=chance.choice(NAMES[:2]), at=at, geometry=place,
                   platform=chance.choice(["hr-1", "hr-2", "hr-3"]), **more)  # fmt: skip


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    store = SqliteCatalog(tmp_path_factory.mktemp("stac") / "catalog.db")
    store.put([*(collection(name, title=f"No. {name[-1]}") for name in NAMES), collection(ODD), *items()])
    store.put([item("odd", collection=ODD, scale=7)])
    yield serving_all(stac_app(store))
    store.close()


def links_of(document):
    return {link["rel"]: link["href"] for link in document["links"]}


@pytest.mark.parametrize("limit", [1, 3, 8, 10])
def test_pages_of_collections_forwards_and_back(client, limit):
    pages = [client.get(f"/stac/collections?limit={limit}&sortby=-id").json()]
    while "next" in links_of(pages[-1]):
        pages.append(client.get(links_of(pages[-1])["next"]).json())
    assert [one["id"] for page in pages for one in page["collections"]] == [ODD, *reversed(NAMES)]
    assert {page["numberMatched"] for page in pages} == {len(NAMES) + 1}
    back = [pages[-1]]
    while "prev" in links_of(back[0]):
        back.insert(0, client.get(links_of(back[0])["prev"]).json())
    assert [page["collections"] for page in back] == [page["collections"] for page in pages]


def test_children_are_the_collections(client):
    landing = client.get("/stac").json()
    answer = client.get(links_of(landing)["children"])
    assert answer.json()["children"] == client.get("/stac/collections").json()["collections"]
    assert sorted(link["href"] for link in landing["links"] if link["rel"] == "child") == sorted(
        links_of(child)["self"] for child in answer.json()["children"]
    )


@pytest.mark.parametrize("kind", ["queryables", "sortables"])
def test_what_may_be_named_is_what_is_understood(client, kind):
    for name in (None, "c-00", ODD):
        address = "/stac" if name is None else f"/stac/collections/{quote(name, safe='')}"
        schema = client.get(f"{address}/{kind}")
        assert schema.headers["content-type"] == "application/schema+json"
        assert schema.json()["$id"] == str(client.base_url.join(f"{address}/{kind}"))
        within = {} if name is None else {"collections": name}
        for one in schema.json()["properties"]:
            asked = {"sortby": f"-{one}"} if kind == "sortables" else {"filter": f'"{one}" IS NOT NULL'}
            answer = client.get("/stac/search", params={**asked, **within})
            assert answer.status_code == 200, (one, answer.text)
        assert ("scale" in schema.json()["properties"]) == (name != "c-00")
    assert client.get(f"/stac/collections/none/{kind}").status_code == 404


CONDITIONS = {
    "all": ({}, lambda _: True),
    "a collection": ({"collections": "c-01"}, lambda one: one["collection"] == "c-01"),
    "a filter": ({"filter": "platform <> 'hr-2'"}, lambda one: one["properties"]["platform"] != "hr-2"),
    "a time": ({"datetime": "2021-01-01T00:00:00Z/2022-12-31T23:59:59Z"},
               lambda one: one["properties"]["datetime"][:4] in ("2021", "2022")),
    "a box": ({"bbox": "0,0,180,90"}, lambda one: min(one["geometry"]["coordinates"]) >= 0),
}  # fmt: skip


@pytest.mark.parametrize(("conditions", "holds"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_figures_are_what_one_counts(client, conditions, holds):
    found = [one for one in items() if holds(one)]
    conditions = {"collections": ",".join(NAMES), **conditions}
    asked = "total_count,collection_frequency,platform_frequency,datetime_frequency,cloud_cover_frequency,datetime_max"
    answer = client.get("/stac/aggregate", params={**conditions, "aggregations": asked})
    figures = {one["name"]: one for one in answer.json()["aggregations"]}
    assert list(figures) == asked.split(",")
    assert figures["total_count"]["value"] == len(found)
    assert figures["datetime_max"]["value"] == max(one["properties"]["datetime"] for one in found)
    clouds = [one["properties"]["eo:cloud_cover"] for one in found if "eo:cloud_cover" in one["properties"]]
    expected = {
        "collection_frequency": Counter(one["collection"] for one in found),
        "platform_frequency": Counter(one["properties"]["platform"] for one in found),
        "datetime_frequency": Counter(f"{one['properties']['datetime'][:7]}-01T00:00:00Z" for one in found),
        "cloud_cover_frequency": Counter(str(cloud // 10 * 10) for cloud in clouds),
    }
    for name, counts in expected.items():
        assert {bucket["key"]: bucket["frequency"] for bucket in figures[name]["buckets"]} == counts, name
    body = {**conditions, "aggregations": asked.split(","), "collections": conditions["collections"].split(",")}
    if "bbox" in body:
        body["bbox"] = [float(edge) for edge in body["bbox"].split(",")]
    if "filter" in body:
        body["filter-lang"] = "cql2-text"
    assert client.post("/stac/aggregate", json=body).json()["aggregations"] == answer.json()["aggregations"]
