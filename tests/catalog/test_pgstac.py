"""What is the pgstac catalog's own: other programs at the same database, its functions and schema, what can break."""

import json
import math
import os
import random
import sys
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pydantic import ValidationError

from api.installation import Installation
from api.settings import Settings
from catalog import pgstac_database, pgstac_schema
from catalog.errors import (
    CatalogError,
    ExistsError,
    InvalidItemError,
    InvalidSearchError,
    NotFoundError,
    PreconditionError,
)
from catalog.extent import BBox, TimeWindow, microseconds, parse_time
from catalog.filter_reader import read_filter
from catalog.folding import accenti, casei, words
from catalog.pgstac import PgstacCatalog
from catalog.pgstac_base import ABSENT, merge, strip
from catalog.pgstac_items import cut_out
from catalog.pgstac_search import Query, narrowed, read_scope
from catalog.search import Condition, Search, SortKey
from catalog.sqlite_filter import arithmetic
from tests.catalog.documents import box, collection, item
from tests.postgres import pypgstac

BANDS = {"red": {"type": "image/tiff", "title": "Red", "roles": ["data"], "bands": [{"name": "B4", "gsd": 10}]},
         "blue": {"type": "image/tiff", "title": "Blue", "roles": ["data"]}}  # fmt: skip
"""A collection's item_assets."""


@pytest.fixture(scope="module")
def dsn(postgres):
    return postgres()


@pytest.fixture(scope="module")
def kept(dsn):
    made = PgstacCatalog(dsn)
    yield made
    made.close()


@pytest.fixture
def catalog(kept):
    """With the collection ``scenes``, and empty but for it."""
    for body in kept.view().collections():
        kept.delete(json.loads(body)["id"])
    kept.put([collection()])
    return kept


@pytest.fixture
def opened(postgres):
    """Open catalogs that are closed again, on a database of their own."""
    made = []

    def open_(dsn=None):
        made.append(PgstacCatalog(dsn or postgres()))
        return made[-1]

    yield open_
    for catalog in made:
        catalog.close()


def execute(dsn, statement, *values):
    with psycopg.connect(dsn, autocommit=True, options="-csearch_path=pgstac,public") as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else None


def load(dsn, folder, kind, documents, method="upsert"):
    """Have pgstac's own loader take documents."""
    path = folder / f"{kind}.ndjson"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    pypgstac("load", kind, path, "--method", method, dsn=dsn)


def ids(page):
    return [json.loads(body)["id"] for body in page.items]


def find(catalog, **conditions):
    return ids(catalog.view().search(Search(**{"limit": 1000, **conditions})))


def found(catalog, text):
    return sorted(find(catalog, filter=read_filter(text)))


def plain(body):
    """A document without the links of our tree."""
    document = json.loads(body)
    tree = ("self", "root", "parent", "collection", "items")
    return {**document, "links": [link for link in document["links"] if link["rel"] not in tree]}


def searched(dsn, **search):
    """What pgstac's own search says."""
    ((answer,),) = execute(dsn, "SELECT pgstac.search(%s::jsonb)", json.dumps({"limit": 100, **search}))
    return answer["features"]


def banded(name, **more):
    """An item with assets as its collection announces them, but for what it says itself."""
    red = {**BANDS["red"], "href": f"{name}/red.tif", "bands": [{"name": "B4"}], "title": None}
    return {**item(name, **more), "assets": {"red": red, "metadata": {"href": f"{name}.xml", "roles": []}}}


# --- other programs ---


def test_what_pypgstac_loads_is_read_as_it_was(catalog, dsn, tmp_path):
    with_links = {**item("b", geometry=box(1, 1, 2, 2), gsd=2), "links": [
        {"rel": "license", "href": "https://example.org/licence"}, {"rel": "self", "href": "https://example.org/b"},
    ], "stac_version": "1.0.0"}  # fmt: skip
    items = [item("a", title="Mont Ventoux", gsd=1), with_links, {**item("c", gsd=3), "stac_extensions": ["x"]}]
    load(dsn, tmp_path, "items", items)
    view = catalog.view()
    assert [plain(body) for body in view.search(Search()).items] == [
        {**one, "links": one["links"][:1]} for one in reversed(items)
    ]
    document = view.get("scenes", "a")
    assert document.modified is None
    assert document.etag == view.get("scenes", "a").etag != view.get("scenes", "b").etag
    assert find(catalog, text=("mont ventoux",)) == ["a"]
    assert found(catalog, "gsd >= 2") == ["b", "c"]


def test_a_collection_that_pypgstac_filled_is_looked_at_when_somebody_asks(opened, postgres, tmp_path):
    dsn = postgres()
    load(dsn, tmp_path, "collections", [collection("theirs")])
    load(dsn, tmp_path, "items", [item("a", collection="theirs", own=1, geometry=box(1, 2, 3, 4))])
    catalog = opened(dsn)
    assert found(catalog, "own = 1") == ["a"]
    (body,) = catalog.view(frozenset()).collections()
    assert json.loads(body)["extent"]["spatial"]["bbox"] == [[1, 2, 3, 4]]
    assert catalog.view().summaries()["theirs"].count == 1
    # What comes behind our back is found; it counts from the next refresh on.
    load(dsn, tmp_path, "items", [item("b", collection="theirs", other=1, geometry=box(1, 2, 9, 4))])
    assert find(catalog) == ["b", "a"]
    assert catalog.view().summaries()["theirs"].count == 1
    assert catalog.refresh("theirs") == 0
    assert catalog.view().summaries()["theirs"].count == 2
    assert found(catalog, "other = 1") == ["b"]


def test_items_with_announced_assets_come_back_whole(catalog, dsn, tmp_path):
    catalog.put([collection("bands", item_assets=BANDS)])
    odd = {**item("c", collection="bands"), "assets": {"red": {**BANDS["red"], "href": "c", "bands": [5]}}}
    items = [banded("a", collection="bands"), item("b", collection="bands"), odd]
    catalog.put(items)
    assert [plain(body) for body in catalog.view().search(Search()).items] == items[::-1]
    ((content,),) = execute(dsn, "SELECT content FROM pgstac.items WHERE id = 'c'")
    assert content["assets"]["blue"] == ABSENT
    assert "type" not in content["assets"]["red"]
    theirs = [{**one, "id": f"their-{one['id']}"} for one in items[1:]]
    load(dsn, tmp_path, "items", theirs)
    assert [plain(body) for body in catalog.view().search(Search(ids=("their-b", "their-c"))).items] == theirs[::-1]
    # A change of what is announced changes no item.
    catalog.put([collection("bands", item_assets={"red": {"title": "Rouge", "type": "image/png", "gsd": 1}})])
    catalog.put([banded("d", collection="bands")])
    expected = [banded("d", collection="bands"), *items[::-1]]
    assert [plain(body) for body in catalog.view().search(Search(ids=("a", "b", "c", "d"))).items] == expected


def test_what_is_put_here_is_searched_by_pgstac(catalog, dsn):
    catalog.put([collection("bands", item_assets=BANDS)])
    span = {**item("span", at=None, start_datetime="2026-02-01T00:00:00Z", end_datetime="2026-03-01T00:00:00Z")}
    items = [
        item("a", gsd=1),
        span,
        {**banded("b", collection="bands"), "assets": {"red": BANDS["red"] | {"href": "x"}}},
    ]
    catalog.put(items)
    answer = searched(dsn)
    assert [one["id"] for one in answer] == ids(catalog.view().search(Search()))
    assert {one["id"]: {**one, "links": []} for one in answer} == {one["id"]: one for one in map(no_nulls, items)}
    assert [one["id"] for one in searched(dsn, datetime="2026-02-10T00:00:00Z/..")] == ["span"]
    catalog.put([item("a", gsd=2, at="2020-01-01T00:00:00Z")])
    assert [one["id"] for one in searched(dsn, filter={"op": "=", "args": [{"property": "gsd"}, 2]})] == ["a"]


def no_nulls(one):
    """As pgstac's functions give it."""
    return {**one, "properties": {key: value for key, value in one["properties"].items() if value is not None}}


def test_who_changes_an_item_takes_its_etag_away(catalog, dsn, tmp_path):
    catalog.put([item("a", title="ours"), item("b", title="ours")])
    ours = catalog.view().get("scenes", "a")
    assert ours.modified is not None
    load(dsn, tmp_path, "items", [item("a", title="theirs now")])
    theirs = catalog.view().get("scenes", "a")
    assert json.loads(theirs.body)["properties"]["title"] == "theirs now"
    assert theirs.etag != ours.etag
    assert theirs.modified is None
    assert find(catalog, text=("theirs now",)) == ["a"]
    assert find(catalog, text=("ours",)) == ["b"]
    with pytest.raises(PreconditionError):
        catalog.put([item("a")], condition=Condition(etags=frozenset({ours.etag})))
    catalog.put([item("a", title="ours")], condition=Condition(etags=frozenset({theirs.etag})))
    assert catalog.view().get("scenes", "a").etag == ours.etag


def test_who_changes_a_collection_takes_its_date_away(catalog, dsn, tmp_path):
    assert catalog.view().get("scenes").modified is not None
    load(dsn, tmp_path, "collections", [collection(title="theirs")])
    document = catalog.view().get("scenes")
    assert document.modified is None
    assert json.loads(document.body)["title"] == "theirs"


def test_refresh_cuts_what_others_drew_across_the_antimeridian(catalog, dsn, tmp_path):
    around = item("around", geometry=box(-170, 0, 170, 1), bbox=[170, 0, -170, 1])
    beyond = item("beyond", geometry=box(175, 10, 185, 11), bbox=[175, 10, -175, 11])
    bowtie = {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]}
    load(dsn, tmp_path, "items", [around, beyond, item("bowtie", geometry=bowtie), item("fine")])
    etags = {name: catalog.view().get("scenes", name).etag for name in ("around", "beyond", "bowtie", "fine")}
    assert catalog.refresh() == 3
    assert find(catalog, bbox=BBox.of([0, 0, 10, 0.5])) == ["bowtie"]
    assert find(catalog, bbox=BBox.of([179, 0, -179, 20])) == ["beyond", "around"]
    assert find(catalog, bbox=BBox.of([-179, 10.5, -176, 11])) == ["beyond"]
    assert plain(catalog.view().get("scenes", "beyond").body) == beyond
    assert {name: catalog.view().get("scenes", name).etag for name in etags} == etags
    west, _, east, _ = catalog.view().summaries()["scenes"].extent.bbox
    assert (west, east) == (0, -170)
    assert catalog.refresh() == 0


def test_nothing_in_other_programs_data_ends_a_search(catalog, dsn):
    execute(dsn, "SELECT pgstac.create_item(%s::jsonb)", json.dumps(item("bowtie", geometry={
        "type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]})))  # fmt: skip
    for name, written in {
        "huge": "1e999",
        "tiny": "1e-999",
        "text": '"1e999"',
        "null": "null",
        "list": "[1e999]",
    }.items():
        document = json.dumps(item(name, gsd="?")).replace('"?"', written)
        execute(dsn, "SELECT pgstac.create_item(%s::jsonb)", document)
    assert found(catalog, "gsd + 1 = 1") == ["tiny"]
    assert found(catalog, "gsd <= 0 or gsd > 0") == ["tiny"]
    assert find(catalog, sortby=(SortKey("gsd"),))[:2] == ["tiny", "text"]
    assert found(catalog, "a_contains(gsd, (1))") == []
    for op in ("s_within", "s_crosses", "s_touches", "s_overlaps", "s_equals", "s_intersects"):
        shape = "POLYGON((1 1, 3 3, 3 1, 1 1))" if op != "s_crosses" else "LINESTRING(0 1, 4 1)"
        assert isinstance(found(catalog, f"{op}(geometry, {shape})"), list)
    assert "bowtie" in found(catalog, "s_contains(geometry, POINT(3.5 2))")


def test_a_shape_that_postgis_cannot_compare_is_mended_first(catalog, dsn):
    knot = [[4, 3], [4, 0], [3, 1], [5, 3], [3, 5], [1, 2], [4, 5], [4, 3]]
    place = "POLYGON((1 1, 4 1, 4 4, 1 4, 1 1))"
    with pytest.raises(psycopg.errors.InternalError_, match="TopologyException"):
        execute(dsn, "SELECT ST_Overlaps(ST_GeomFromGeoJSON(%s), ST_GeomFromText(%s, 4326))",
                json.dumps({"type": "Polygon", "coordinates": [knot]}), place)  # fmt: skip
    drawn = {"type": "Polygon", "coordinates": [knot]}
    execute(dsn, "SELECT pgstac.create_item(%s::jsonb)", json.dumps(item("knot", geometry=drawn)))
    assert found(catalog, f"s_overlaps(geometry, {place})") == ["knot"]
    for op in ("s_within", "s_contains", "s_touches", "s_crosses", "s_equals"):
        assert found(catalog, f"{op}(geometry, {place})") == []


def test_a_collection_that_could_not_be_put_is_shown(catalog, dsn):
    odd = {
        "id": "odd/one",
        "stac_version": "0.9.0",
        "links": [{"rel": "self", "href": "x"}, {"rel": "about", "href": "y"}],
    }
    execute(dsn, "SELECT pgstac.create_collection(%s::jsonb)", json.dumps(odd))
    shown = json.loads(catalog.view().get("odd/one").body)
    assert shown["type"] == "Collection"
    assert [link["rel"] for link in shown["links"]] == ["self", "root", "parent", "items", "about"]
    assert shown["links"][0]["href"].endswith("/stac/collections/odd%2Fone")


def test_a_catalog_of_pgstac_0_9(opened, postgres, tmp_path):
    dsn = bare_database(postgres, "before")
    pypgstac("migrate", "--toversion", "0.9.11", dsn=dsn)
    catalog = opened(dsn)
    catalog.put(
        [collection("bands", item_assets=BANDS), banded("a", collection="bands"), item("b", collection="bands")]
    )
    assert [plain(body) for body in catalog.view().search(Search()).items] == [
        item("b", collection="bands"), banded("a", collection="bands"),
    ]  # fmt: skip
    assert [one["id"] for one in searched(dsn)] == ["b", "a"]
    execute(dsn, "SELECT pgstac.create_item(%s::jsonb)", json.dumps(item("c", collection="bands")))
    assert find(catalog, datetime=TimeWindow.parse("2026-01-01T00:00:00Z")) == ["c", "b", "a"]
    catalog.delete("bands", "a")
    assert [one["id"] for one in searched(dsn)] == ["c", "b"]


# --- items as they are kept ---

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-5, 5, allow_nan=False)
    | st.sampled_from(["", "a", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return [without_nulls(one) for one in value if one is not None] if isinstance(value, list) else value


@given(own=objects.map(without_nulls), base=objects)
def test_what_was_stripped_by_a_base_item_is_merged_with_it_again(own, base):
    merged = merge(strip(own, base), base)
    assert json.dumps(merged, sort_keys=True) == json.dumps(own, sort_keys=True)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(announced=objects, own=st.lists(st.tuples(objects, objects), min_size=1, max_size=4))
def test_an_item_comes_back_as_it_was_put(kept, announced, own):
    assets = {key: {"type": "x", **(value if isinstance(value, dict) else {})} for key, value in announced.items()}
    kept.put([collection("any", item_assets=assets)])
    items = []
    for number, (properties, more) in enumerate(own):
        one = item(f"i{number}", collection="any", **{f"x:{key}": value for key, value in properties.items()})
        one["assets"] = {
            key: {**(value if isinstance(value, dict) else {}), "href": "h"} for key, value in more.items()
        }
        items.append({**one, **{f"y:{key}": value for key, value in more.items()}})
    kept.put(items)
    shown = [plain(kept.view().get("any", one["id"]).body) for one in items]
    assert json.dumps(as_doubles(shown), sort_keys=True) == json.dumps(as_doubles(items), sort_keys=True)


def as_doubles(value):
    """With 5 as 5.0, and -0.0 as 0.0: they are the same numbers, and PostgreSQL writes the shorter ones."""
    return json.loads(json.dumps(value), parse_float=lambda text: float(text) + 0.0, parse_int=float)


@pytest.mark.parametrize("geometry", [
    None,
    {"type": "Point", "coordinates": [5.0, 44.0, 1200.5]},
    {"type": "Point", "coordinates": [1.2345678901234567e-07, 5e-324]},
    {"type": "Point", "coordinates": [179.12345678901234, -89.98765432109876]},
    {"type": "LineString", "coordinates": [[170, 0], [-170, 1]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, box(1, 1, 2, 2)]},
    {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]},
    {**box(0, 0, 1, 1), "crs": {"type": "name"}},
])  # fmt: skip
def test_a_geometry_comes_back_as_it_was_drawn(catalog, geometry):
    one = {**item("a"), "geometry": geometry, "bbox": [0, -90, 180, 90]}
    catalog.put([one])
    assert plain(catalog.view().get("scenes", "a").body) == one
    assert found(catalog, "geometry is null") == (["a"] if geometry is None else [])


def test_an_item_without_a_geometry_is_nowhere(catalog, dsn):
    catalog.put([{**item("a"), "geometry": None, "bbox": None}])
    assert find(catalog, bbox=BBox.of([-180, -90, 180, 90])) == []
    assert found(catalog, "not s_intersects(geometry, POINT(0 0))") == []
    assert [one["id"] for one in searched(dsn)] == ["a"]


@pytest.mark.parametrize("name", ["zz", "b", "linkz", "stac_version_of_mine", "zzzzzzzzzzzzzzzzzzzzzzzzzz"])
@pytest.mark.parametrize("links", [[], [{"rel": "about", "href": 'https://example.org/é\\"links": []'}]])
def test_members_of_any_name_may_stand_beside_the_links(catalog, name, links):
    odd = {"links": [], "stac_version": "x", "bbox": [1, ["]", '"links": [']]}
    one = {**item("a", note='", "links": [], "stac_version": "9"}', odd=odd), name: odd, "links": links}
    for document in (one, {**one, "stac_version": "1.0.0"}, {**one, "stac_version": "1.0.0", "stac_extensions": ["é"]}):
        catalog.put([document])
        assert plain(catalog.view().get("scenes", "a").body) == document


def test_a_document_is_cut_without_parsing_it():
    cut = cut_out(b'{"bbox": [1, 2], "links": [], "assets": {}, "properties": {}}')
    assert (cut.members, cut.links, cut.has_version) == (b'"bbox": [1, 2], "assets": {}, "properties": {}', b"", False)
    cut = cut_out(b'{"links": [{"rel": "self", "href": "a"}, {"rel": "b"}], "assets": {}, "stac_version": "1.0.0"}')
    assert (cut.members, cut.links, cut.has_version) == (
        b'"assets": {}, "stac_version": "1.0.0"',
        b'{"rel":"b"},',
        True,
    )
    assert cut_out(b'{"links": [], "assets": {"stac_version": "1"}, "properties": {}}') is None


def test_what_postgresql_cannot_keep_is_refused(catalog):
    with pytest.raises(InvalidItemError, match=r"U\+0000"):
        catalog.put([item("a", title="a\0b")])
    with pytest.raises(InvalidItemError, match=r"U\+0000"):
        catalog.put([collection(title="a\0b")])
    letters = random.Random(1)
    long = "".join(chr(letters.randrange(0x4E00, 0x9FFF)) for _ in range(500))
    with pytest.raises(InvalidItemError, match="too large"):
        catalog.put([collection(long), item(long, collection=long)])
    assert [json.loads(body)["id"] for body in catalog.view().collections()] == ["scenes"]
    assert catalog.view().search(Search(ids=("a\0", "b"), collections=("\0",))).items == ()


# --- moments ---


def test_a_moment_outside_of_its_span_orders_the_item(catalog):
    span = {"start_datetime": "2026-02-01T00:00:00Z", "end_datetime": "2026-02-01T00:00:00Z"}
    catalog.put(
        [item("early", **span), item("late", at="2026-05-01T00:00:00Z", **span), item("mid", at="2026-03-01T00:00:00Z")]
    )
    assert find(catalog) == ["late", "mid", "early"]
    assert sorted(find(catalog, datetime=TimeWindow.parse("2026-02-01T00:00:00Z"))) == ["early", "late"]
    assert find(catalog, datetime=TimeWindow.parse("2026-04-01T00:00:00Z/..")) == []


def test_a_longer_span_than_any_before_is_found_by_who_has_searched_before(catalog, dsn, tmp_path):
    window = TimeWindow.parse("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z")
    catalog.put([item("a")])
    assert find(catalog, datetime=window) == ["a"]
    long = {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2030-01-01T00:00:00Z"}
    load(dsn, tmp_path, "items", [item("theirs", at="2029-01-01T00:00:00Z", **long), item("ends", at=None, **long)])
    assert find(catalog, datetime=window) == ["theirs", "a", "ends"]


@pytest.mark.parametrize("trunc", ["year", "month"])
def test_a_collection_with_a_table_for_every_month(catalog, dsn, trunc):
    execute(dsn, "UPDATE pgstac.collections SET partition_trunc = %s WHERE id = 'scenes'", trunc)
    months = [item(f"m{month:02d}", at=f"2026-{month:02d}-28T23:59:59.999999Z") for month in range(1, 13)]
    catalog.put([*months, item("first", at="2026-01-01T00:00:00Z"), item("old", at="0001-01-01T00:00:00Z")])
    span = {"start_datetime": "2026-01-15T00:00:00Z", "end_datetime": "2026-07-15T00:00:00Z"}
    catalog.put([item("span", at=None, **span)])
    assert find(catalog, datetime=TimeWindow.parse("2026-06-01T00:00:00Z/2026-07-01T00:00:00Z")) == ["m06", "span"]
    catalog.put([item("m06", at="2027-01-01T00:00:00Z")])
    assert find(catalog)[:2] == ["m06", "m12"]
    assert len(find(catalog)) == 15
    assert [one["id"] for one in searched(dsn, limit=2)] == ["m06", "m12"]
    ((tables,),) = execute(dsn, "SELECT count(*) FROM pgstac.partition_stats WHERE collection = 'scenes'")
    assert tables == {"year": 3, "month": 14}[trunc]


# --- our functions ---


def asked(dsn, expression, *columns):
    """An expression of SQL for every row of some columns."""
    names = ", ".join("abc"[: len(columns)])
    types = {str: "text", float: "float8"}
    arrays = ", ".join(f"%s::{types[type(column[0])]}[]" for column in columns)
    rows = execute(
        dsn, f"SELECT {expression} FROM unnest({arrays}) WITH ORDINALITY AS u ({names}, n) ORDER BY n", *columns
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("fold", [casei, accenti, words])
def test_folding_is_pythons(kept, dsn, fold):
    codes = [*range(1, 0xD800), *range(0xE000, sys.maxunicode + 1)]
    changed = [chr(code) for code in codes if (fold(chr(code)) != chr(code)) != (fold is words)]
    sample = random.Random(4).sample(changed, min(len(changed), 3000))
    texts = [
        *sample,
        *(f"Straße {a}{b}  İ{c}" for a, b, c in zip(sample, sample[1:], sample[2:], strict=False)),
        "",
        " ",
        "a",
    ]
    assert asked(dsn, f"overflight.{fold.__name__}(a)", texts) == [fold(text) for text in texts]


def test_moments_are_pythons(kept, dsn):
    pick = random.Random(5)
    texts = [
        f"{pick.choice(['0000', '0001', '9999', '2020', '1900', '2000', '1969'])}-{pick.randrange(14):02d}"
        f"-{pick.randrange(33):02d}{pick.choice('Tt x')}{pick.randrange(26):02d}:{pick.randrange(62):02d}"
        f":{pick.randrange(62):02d}{pick.choice(['', '.', '.1', '.123456', '.1234567'])}"
        f"{pick.choice(['Z', 'z', '', '+00:00', '-23:59', '+24:00', '+01:30'])}"
        for _ in range(4000)
    ]
    texts += ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z\n", "١٩٩٩-01-01T00:00:00Z", "2016-12-31T23:59:60Z"]

    def read(text):
        try:
            return microseconds(parse_time(text)) if text == text.strip() else None
        except CatalogError:
            return None

    expected = [read(text) for text in texts]
    assert sum(one is not None for one in expected) > 500
    assert asked(dsn, "overflight.instant(a)", texts) == expected
    assert asked(dsn, "overflight.micros(overflight.stamp(overflight.instant(a)))", texts) == expected


SPECIAL = [0.0, 1.0, -1.0, 0.5, 3.0, 1e308, -1.7976931348623157e308, 8.98846567431158e307, 5e-324,
           2.2250738585072014e-308, 1e-200, 1e200, 9007199254740993.0, 0.1, 5.3, 1023.0, -1074.0, 1 / 3]  # fmt: skip


def test_arithmetic_is_pythons(kept, dsn):
    pick = random.Random(6)

    def number():
        kind = pick.random()
        if kind < 0.6:
            return pick.choice(SPECIAL) if kind < 0.4 else float(pick.randrange(-1000, 1000))
        return math.ldexp(pick.uniform(-1, 1), pick.randrange(-1074, 1024))

    operators = [pick.choice(["+", "-", "*", "/", "%", "div", "^"]) for _ in range(6000)]
    left, right = [number() for _ in operators], [number() for _ in operators]
    expected = [arithmetic(a, b, op) for op, a, b in zip(operators, left, right, strict=True)]
    assert asked(dsn, "overflight.arithmetic(a, b, c)", operators, left, right) == expected


# --- the database under load ---


def test_writers_to_one_collection_count_every_item(catalog, dsn):
    second = PgstacCatalog(dsn)
    try:

        def put(number):
            store = (catalog, second)[number % 2]
            store.put(
                [item(f"i{number}-{one}", own=f"v{number % 7}") for one in range(5)] + [item("shared", own=str(number))]
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(32)))
    finally:
        second.close()
    summary = catalog.view().summaries()["scenes"]
    assert summary.count == len(find(catalog)) == 161
    assert sum(summary.properties["own"].values.values()) == 161


def test_writers_across_collections_and_a_deleter_end(catalog):
    names = [f"c{number}" for number in range(4)]

    def work(number):
        picked = random.Random(number)
        for _ in range(6):
            name = picked.choice(names)
            try:
                if picked.random() < 0.3:
                    catalog.delete(name)
                else:
                    catalog.put([collection(name), *(item(f"{n}", collection=n) for n in picked.sample(names, 2))])
            except (NotFoundError, InvalidItemError):
                pass  # somebody else deleted it

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
    for name, summary in catalog.view().summaries().items():
        assert summary.count == len(find(catalog, collections=(name,)))


def test_a_reader_sees_all_of_a_write_or_nothing(catalog):
    stop = threading.Event()
    seen = set()

    def read():
        while not stop.is_set():
            page = catalog.view().search(Search(limit=1000, count=True))
            seen.add((len(page.items), page.matched))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(10):
        catalog.put([item(f"i{turn}-{number}") for number in range(50)])
    stop.set()
    reader.join()
    assert seen <= {(50 * turn, 50 * turn) for turn in range(11)}


def test_pypgstac_loads_while_we_put(catalog, dsn, tmp_path):
    loader = threading.Thread(
        target=load,
        args=(dsn, tmp_path, "items", [item(f"t{n}", at=f"20{n % 30:02d}-01-01T00:00:00Z") for n in range(300)]),
    )
    loader.start()
    for turn in range(40):
        catalog.put([item(f"o{turn}", at=f"19{turn + 10}-01-01T00:00:00Z")])
    loader.join()
    assert len(find(catalog)) == 340


def test_lost_connections_are_replaced(catalog, dsn):
    catalog.put([item("a")])

    def end_all():
        execute(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            assert set(map(tuple, pool.map(lambda _: find(catalog), range(8)))) == {("a",)}
        end_all()
    catalog.put([item("b")])
    end_all()
    assert catalog.view().get("scenes", "b")


def test_a_writer_that_loses_its_connection_starts_again(catalog, dsn):
    with psycopg.connect(dsn) as blocker:
        blocker.execute("SELECT FROM overflight.collections WHERE id = 'scenes' FOR UPDATE")
        writer = threading.Thread(target=catalog.put, args=([item("a")],), kwargs={"condition": Condition(absent=True)})
        writer.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while not (rows := execute(dsn, waiting)):
            time.sleep(0.01)
        execute(dsn, "SELECT pg_terminate_backend(%s)", rows[0][0])
    writer.join()
    assert find(catalog) == ["a"]
    with pytest.raises(ExistsError):
        catalog.put([item("a")], condition=Condition(absent=True))


def test_a_search_that_takes_too_long_is_refused(opened, monkeypatch):
    monkeypatch.setattr(pgstac_database, "SEARCH_S", 0.2)
    catalog = opened()
    catalog.put([collection(), item("a")])
    with psycopg.connect(catalog.postgres.dsn) as blocker:
        blocker.execute("LOCK TABLE pgstac.items IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(InvalidSearchError, match="took too long"):
            find(catalog)
    assert find(catalog) == ["a"]


def test_a_database_that_goes_away_is_told(opened, postgres, monkeypatch):
    monkeypatch.setattr(pgstac_database, "CONNECT_S", 0.5)
    dsn = postgres()
    catalog = opened(dsn)
    execute(dsn.rpartition("/")[0] + "/postgres",
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(dsn.rpartition("/")[2])))  # fmt: skip
    for _ in range(2):
        with pytest.raises(CatalogError, match=r"database 'pgstac_.*' at 127\.0\.0\.1"):
            find(catalog)
    with pytest.raises(CatalogError, match=r"database 'pgstac_.*' at 127\.0\.0\.1"):
        catalog.put([collection()])


def test_a_process_that_was_forked_has_connections_of_its_own(catalog):
    catalog.put([item("a")])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if find(catalog) == ["a"] else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert find(catalog) == ["a"]


def test_who_has_searched_before_sees_no_collection_that_is_another_tenants_now(catalog, dsn):
    catalog.put([item("a")])
    view = catalog.view(frozenset({"us"}))
    assert ids(view.search(Search())) == ["a"]
    second = PgstacCatalog(dsn)
    try:
        second.delete("scenes")
        second.put([collection(), item("a")], tenant="them")
    finally:
        second.close()
    assert ids(view.search(Search())) == []
    assert ids(view.search(Search(collections=("scenes",)))) == []
    assert view.collections() == ()


# --- plans ---


def placed(n):
    """One of many items, each with a place and a moment of its own."""
    point = {"type": "Point", "coordinates": [n % 170, n % 83]}
    return item(f"i{n}", at=f"2026-01-{n % 28 + 1:02d}T00:00:{n % 60:02d}Z", gsd=n % 50, geometry=point)


class Explaining:
    """A connection that keeps the plan of the last statement."""

    def __init__(self, connection):
        self._connection = connection

    def execute(self, statement, values=()):
        rows = self._connection.execute(b"EXPLAIN " + statement, values).fetchall()
        self.plan = "\n".join(row[0] for row in rows)
        return self._connection.execute(statement, values)


IN_TIME, IN_PLACE, BY_ID = "moment_collection_id_idx", "geometry_idx", "_pk"


@pytest.mark.parametrize(("conditions", "index", "sorts"), [
    ({}, IN_TIME, False),
    ({"collections": ("scenes",)}, IN_TIME, False),
    ({"sortby": (SortKey("datetime"),)}, IN_TIME, False),
    ({"datetime": TimeWindow.parse("2026-01-01T00:00:00Z/2026-01-03T00:00:00Z")}, IN_TIME, False),
    ({"filter": read_filter("datetime > timestamp('2026-01-05T00:00:00Z') and gsd < 5")}, IN_TIME, False),
    ({"bbox": BBox.of([1, 1, 1.01, 1.01])}, IN_PLACE, True),
    ({"filter": read_filter("s_within(geometry, POLYGON((0.9 0.9, 1.1 0.9, 1.1 1.3, 0.9 0.9)))")}, IN_PLACE, True),
    ({"ids": ("i1", "i2")}, BY_ID, True),
    ({"filter": read_filter("id = 'i1'")}, BY_ID, True),
])  # fmt: skip
def test_the_indexes_serve(catalog, dsn, conditions, index, sorts):
    if len(find(catalog)) < 2000:
        catalog.put([placed(n) for n in range(2000)])
        execute(dsn, "ANALYZE pgstac.items")
    search, place = narrowed(Search(**conditions))

    def plan(connection):
        explaining = Explaining(connection)
        query = Query(search, place, read_scope(connection, search, None))
        assert query.page(explaining, None)[1]
        return explaining.plan

    shown = catalog.postgres.read(plan)
    assert index in shown
    assert ("Sort Key" in shown) == sorts


def test_a_later_page_starts_at_its_place_in_the_index(catalog, dsn):
    catalog.put([item(f"i{n}", at="2026-01-01T00:00:00Z") for n in range(500)])
    execute(dsn, "ANALYZE pgstac.items")
    first = catalog.view().search(Search(limit=100))
    search = Search(limit=100, token=first.next_token)

    def plan(connection):
        from catalog.token import read_token

        explaining = Explaining(connection)
        Query(search, None, read_scope(connection, search, None)).page(
            explaining, read_token(search.token, search, None, catalog.key)
        )
        return explaining.plan

    shown = catalog.postgres.read(plan)
    assert "Index Cond: (ROW(" in shown
    assert "Sort" not in shown
    assert ids(catalog.view().search(replace(search)))[0] not in ids(first)


# --- the schema ---


def bare_database(postgres, name):
    """A database with nothing in it."""
    dsn = postgres()
    admin, fresh = dsn.rpartition("/")[0] + "/postgres", f"{dsn.rpartition('/')[2]}_{name}"
    execute(admin, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(fresh)))
    return dsn.rpartition("/")[0] + f"/{fresh}"


def test_pgstac_is_installed_where_there_is_none(opened, postgres):
    dsn = bare_database(postgres, "empty")
    with ThreadPoolExecutor(3) as pool:
        catalogs = list(pool.map(opened, [dsn] * 3))
    catalogs[0].put([collection(), item("a")])
    assert find(catalogs[2]) == ["a"]
    assert len({one.key for one in catalogs}) == 1


def test_a_database_without_postgis_is_refused(postgres):
    dsn = bare_database(postgres, "no_postgis")
    # PostgreSQL has it here; hide it as the server would that has not.
    execute(dsn, "CREATE SCHEMA hiding")
    execute(
        dsn,
        "CREATE VIEW hiding.pg_available_extensions AS"
        " SELECT * FROM pg_catalog.pg_available_extensions WHERE name <> 'postgis'",
    )
    with pytest.raises(CatalogError, match="no PostGIS; install it"):
        PgstacCatalog(f"{dsn}?options=-csearch_path%3Dhiding,pg_catalog")


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(CatalogError, match=r"database 'd' at 127.0.0.1:1 cannot be reached") as refused:
        PgstacCatalog("postgresql://someone:secret@127.0.0.1:1/d")
    assert "secret" not in str(refused.value)


def test_another_version_of_pgstac_is_refused(postgres):
    dsn = postgres()
    execute(dsn, "SELECT pgstac.set_version('0.8.6')")
    with pytest.raises(
        CatalogError, match=r"pgstac 0\.8\.6 .* is not known here; bring it to 0\.10\.x by pypgstac migrate"
    ):
        PgstacCatalog(dsn)


def test_another_encoding_is_refused(postgres):
    dsn = postgres()
    name = f"{dsn.rpartition('/')[2]}_ascii"
    execute(
        dsn,
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").format(sql.Identifier(name)),
    )
    with pytest.raises(CatalogError, match="encoding is not UTF8"):
        PgstacCatalog(f"{dsn.rpartition('/')[0]}/{name}")


def test_a_role_that_may_not_make_our_schema_is_told_what_it_needs(postgres):
    dsn = postgres()
    role = f"reader_{dsn.rpartition('_')[2]}"
    execute(dsn, sql.SQL("CREATE ROLE {} LOGIN IN ROLE pgstac_read").format(sql.Identifier(role)))
    with pytest.raises(CatalogError, match="needs CREATE on the database, and pgstac_admin"):
        PgstacCatalog(dsn.replace("postgres@", f"{role}@"))


def test_the_roles_that_pgstac_knows_are_enough(opened, postgres):
    dsn = postgres()
    number = dsn.rpartition("_")[2]
    for role, member, more in (
        (f"keeper_{number}", "pgstac_admin", True),
        (f"feeder_{number}", "pgstac_ingest", False),
    ):
        execute(dsn, f"CREATE ROLE {role} LOGIN IN ROLE {member}")
        if more:
            execute(dsn, f"GRANT CREATE ON DATABASE {dsn.rpartition('/')[2]} TO {role}")
    catalog = opened(dsn.replace("postgres@", f"keeper_{number}@"))
    catalog.put([collection(), item("a"), item("b")])
    catalog.delete("scenes", "b")
    span = {"start_datetime": "2000-01-01T00:00:00Z", "end_datetime": "2030-01-01T00:00:00Z"}
    feeder = dsn.replace("postgres@", f"feeder_{number}@")
    execute(feeder, "SELECT pgstac.create_item(%s::jsonb)", json.dumps(item("theirs", **span)))
    execute(feeder, "SELECT pgstac.upsert_item(%s::jsonb)", json.dumps(item("a", gsd=1)))
    assert find(catalog, datetime=TimeWindow.parse("2020-01-01T00:00:00Z")) == ["theirs"]
    assert catalog.view().get("scenes", "a").modified is None
    catalog.delete("scenes")


def test_an_installation_keeps_its_catalog_there(postgres, tmp_path):
    given = Settings(data=tmp_path, catalog=postgres(), embedded_worker=False)
    with Installation.open(given) as installation:
        installation.catalog.put([collection()])
    with Installation.open(given) as installation:
        assert installation.catalog.view().get("scenes")
    assert not (tmp_path / "catalog.db").exists()


@pytest.mark.parametrize("wrong", ["catalog.db", "mysql://host/name", "postgresql://host", "postgresql:///"])
def test_a_setting_that_names_no_database_is_refused(wrong):
    with pytest.raises(ValidationError, match="give a database of PostgreSQL, as postgresql://"):
        Settings(catalog=wrong)


def test_our_schema_is_kept_up_to_date(opened, postgres):
    dsn = postgres()
    catalog = opened(dsn)
    catalog.put([collection(), item("a")])
    token = catalog.view().search(Search(limit=1)).next_token
    assert token is None
    before = execute(dsn, "SELECT key FROM overflight.state")
    # Of an older Unicode, or with a part gone.
    execute(dsn, "UPDATE overflight.state SET version = '1/9.0.0'")
    execute(dsn, "DROP INDEX pgstac.overflight_moment")
    execute(
        dsn, "CREATE OR REPLACE FUNCTION overflight.casei(written text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$"
    )
    again = opened(dsn)
    assert execute(
        dsn, "SELECT version, (SELECT to_regclass('pgstac.overflight_moment')::text) FROM overflight.state"
    ) == [(f"{pgstac_schema.VERSION}/{unicodedata.unidata_version}", "overflight_moment")]
    assert execute(dsn, "SELECT key FROM overflight.state") == before
    assert find(again, filter=read_filter("casei(id) = casei('A')")) == ["a"]
    execute(dsn, "UPDATE overflight.state SET version = '99/9.0.0'")
    with pytest.raises(CatalogError, match=r"schema overflight 99/9\.0\.0 .* is newer than 1"):
        PgstacCatalog(dsn)


def test_pgstac_maintains_its_tables_with_our_index_on_them(catalog, dsn):
    catalog.put([item("a")])
    execute(dsn, "SELECT pgstac.maintain_partitions('items', true)")
    execute(dsn, "SELECT pgstac.update_partition_stats('_items_' || key::text)"
                 " FROM pgstac.collections WHERE id = 'scenes'")  # fmt: skip
    ((there,),) = execute(dsn, "SELECT count(*) FROM pg_indexes WHERE indexname LIKE '\\_items%moment%'")
    assert there == 1
    catalog.put([item("b", at="1990-01-01T00:00:00Z")])
    assert find(catalog) == ["a", "b"]


def test_our_index_and_triggers_need_no_search_path(catalog, dsn):
    """As while a dump is restored."""
    span = {"start_datetime": "2026-01-01T00:00:00Z", "end_datetime": "2026-03-01T00:00:00Z"}
    catalog.put([item("a", at="2026-02-01T00:00:00Z", **span)])
    with psycopg.connect(dsn, autocommit=True, options="-csearch_path=") as connection:
        connection.execute("REINDEX INDEX pgstac.overflight_moment")
        connection.execute("UPDATE pgstac.items SET content = content || '{\"x\": 1}', end_datetime = '2026-03-31Z'")
    assert plain(catalog.view().get("scenes", "a").body)["x"] == 1
    assert find(catalog, datetime=TimeWindow.parse("2026-03-30T00:00:00Z/..")) == ["a"]
