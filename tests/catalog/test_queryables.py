"""What may be named, as JSON Schema: every item that is there must meet it."""

import jsonschema
import pytest

from catalog.errors import InvalidSearchError
from catalog.filter import CORE
from catalog.filter_reader import read_filter
from catalog.queryables import STANDARD, check_properties, known_properties, queryables, sortables
from catalog.search import Search, SortKey
from catalog.sqlite import SqliteCatalog
from tests.catalog.documents import collection, item


@pytest.fixture
def held(tmp_path):
    store = SqliteCatalog(tmp_path / "catalog.db")
    store.put([collection("scenes"), collection("maps"), collection("empty"), *ITEMS])
    yield store.view().summaries()
    store.close()


ITEMS = [
    item("a", gsd=1, platform="hr-1", mine=True, bands=["red"], **{"processing:datetime": "2026-01-01T00:00:00Z"}),
    item("b", gsd=2.5, platform="hr-2", mine="x"),
    item("c", collection="maps", gsd=8, scale=1000, legend={"a": 1}),
    item("d", collection="maps", gsd=9, scale=500),
]


def test_types_ranges_and_values(held):
    schema = queryables("https://example.org/q", "Queryables", [held["scenes"]])
    shown = schema["properties"]
    assert shown["gsd"] == {"type": "number", "minimum": 1, "maximum": 2.5}
    assert shown["platform"] == {"type": "string", "enum": ["hr-1", "hr-2"]}
    assert shown["mine"] == {"type": ["boolean", "string"]}
    assert shown["bands"] == {"type": "array"}
    assert shown["processing:datetime"] == {"type": "string", "format": "date-time"}
    assert "scale" not in shown
    both = queryables("https://example.org/q", "Queryables", held.values())["properties"]
    assert both["gsd"] == {"type": "number", "minimum": 1, "maximum": 9}
    assert both["scale"] == {"type": "integer", "minimum": 500, "maximum": 1000}
    assert schema["$id"] == "https://example.org/q"


def test_every_item_meets_it(held):
    """Of OGC 19-079r2, 6.2.1: the dialect is named, and it is a schema in it."""
    schema = queryables("https://example.org/q", "Queryables", held.values())
    assert schema["$schema"] == "https://json-schema.org/draft/2019-09/schema"
    jsonschema.Draft201909Validator.check_schema(schema)
    plain = {**schema, "properties": {**schema["properties"], "geometry": {}}}
    validator = jsonschema.Draft201909Validator(plain)
    for one in ITEMS:
        validator.validate({"id": one["id"], "collection": one["collection"], "geometry": one["geometry"],
                            **one["properties"]})  # fmt: skip
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"gsd": 10})


def test_an_order_names_no_lists_and_no_places(held):
    shown = sortables("https://example.org/s", "Sortables", held.values())["properties"]
    assert {"geometry", "bands", "legend"}.isdisjoint(shown)
    assert {"id", "collection", "datetime", "gsd", "mine", "platform"} <= set(shown)


def test_what_may_be_named(held):
    known = known_properties(held, ["maps"])
    assert {*CORE, *STANDARD, "geometry", "scale"} <= known
    assert "mine" not in known
    assert "mine" in known_properties(held)
    assert known_properties(held, ["none"]) == known_properties(held, ["empty"])
    check_properties(Search(filter=read_filter("mine = TRUE AND eo:snow_cover < 1"), sortby=(SortKey("gsd"),)), held)


@pytest.mark.parametrize(("search", "said"), [
    ({"filter": "platfrom = 'x'"}, "filter: no item here has a property 'platfrom'; did you mean platform?"),
    ({"filter": "cloud_cover < 5"}, "did you mean eo:cloud_cover?"),
    ({"sortby": (SortKey("zzzzzz"),)}, "sortby: no item here has a property 'zzzzzz'; the queryables list"),
    ({"filter": "mine = TRUE", "collections": ("maps",)}, "filter: no item here has a property 'mine'"),
    ({"filter": f"{'x' * 500} = 1"}, f"property '{'x' * 60}'"),
])  # fmt: skip
def test_an_unknown_name_is_refused(held, search, said):
    if "filter" in search:
        search = {**search, "filter": read_filter(search["filter"])}
    with pytest.raises(InvalidSearchError) as refused:
        check_properties(Search(**search), held)
    assert said in str(refused.value)
