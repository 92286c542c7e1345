"""Items as GeoParquet and Arrow: what goes in comes out, and others read it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import geopandas
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import stac_geoparquet.arrow
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import arrow_rows, arrow_shape
from catalog.arrow import FIRST_ROWS, GROUP, ROWS, arrow_chunks, parquet_chunks
from catalog.arrow_items import items_of
from catalog.arrow_shape import JSON, REST, TIME
from catalog.errors import InvalidItemError
from catalog.extent import format_time, parse_time
from tests.catalog.documents import box, collection, item

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"datetime", "start_datetime", "end_datetime", "created", "updated", "expires", "published", "unpublished"}


def pages(items, size=7):
    found = [orjson.dumps(one) for one in items]
    return lambda: iter([found[place : place + size] for place in range(0, len(found), size)])


def parquet(items, **more):
    return b"".join(parquet_chunks(pages(items), **more))


def table(items, **more):
    return pq.read_table(io.BytesIO(parquet(items, **more)))


def back(found):
    """Items of a table, as JSON; what cannot be JSON is seen here."""
    return [orjson.loads(orjson.dumps(one)) for batch in found.to_batches() for one in items_of(batch)]


def stream(items, **more):
    return pa.ipc.open_stream(b"".join(arrow_chunks(pages(items), **more))).read_all()


# --- the exact exceptions: what JSON tells apart and a table does not ---


def normal(document, path=()):
    """An Item as it comes back: no members that are null, moments in one spelling."""
    if isinstance(document, dict):
        return {
            name: normal(value, (*path, name))
            for name, value in document.items()
            if value is not None or (*path, name) in {("geometry",), ("properties", "datetime")}
        }
    if isinstance(document, list):
        return [normal(value, (*path, "*")) for value in document]
    if len(path) == 2 and path[0] == "properties" and path[1] in TIMES:
        return spelled(document)
    return document


def spelled(value):
    try:
        moment = parse_time(value)
    except Exception:  # noqa: BLE001 - no moment: it comes back as it is
        return value
    if len(value.partition(".")[2].rstrip("Zz")) > 6:  # finer than a microsecond: as it is
        return value
    text = format_time(moment)
    return text.replace("000Z", "Z") if "." in text else text


def same(one, other):
    """Equal as JSON, which Python is not quite: True is 1 there."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def assert_same(found, items):
    assert len(found) == len(items)
    for one, other in zip(found, items, strict=True):
        assert same(normal(one), normal(other)), (one, other)


# --- round trips ---

names = st.sampled_from(
    ["a", "b", "a.b", "", "é", "A", "id", "type", "geometry", "links", "properties", "datetime ", REST, "proj:geometry"]
)
texts = st.sampled_from(["", "a", "null", "é\u2028\U0001f6f0", '"', "1", "2026-01-01T00:00:00Z", "{}", "\\u0000", "\0"])
numbers = st.sampled_from([0, 1, -1, 2**31, -(2**53), 0.5, 1.0, -0.0, 1e300, 5e-324, 0.1, 2**63, 2**64 - 1])
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
positions = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(list)
geometries = st.sampled_from([
    None,
    box(0, 0, 1, 1),
    {"type": "Point", "coordinates": [5.3, 44.2]},
    {"type": "Point", "coordinates": [5.3, 44.2, 310.5]},
    {"type": "Point", "coordinates": [5.3, 44.2, 310.5, 7]},
    {"type": "LineString", "coordinates": [[0, 0], [1, 1, 9]]},
    {"type": "MultiPoint", "coordinates": [[0, 0], [1e-7, 0.1]]},
    {"type": "MultiPolygon", "coordinates": [box(179, 0, 180, 1)["coordinates"], box(-180, 0, -179, 1)["coordinates"]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [5.3, 44.2]}]},
    {"type": "Point", "coordinates": [5.3, 44.2], "precision": 1},
])  # fmt: skip
boxes = st.sampled_from([None, [0, 0, 1, 1], [179, 0, -179, 1.5], [0, 0, -5, 1, 1, 5]])
moments = st.sampled_from([
    "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.101Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.000001Z",
    "2026-01-01T01:00:00+01:00", "2026-01-01t00:00:00z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "2016-12-31T23:59:60Z", "2026-01-01T00:00:00.123456789Z",
])  # fmt: skip
odd_moments = moments | st.sampled_from(["2026-01-01", "soon", "2026-13-01T00:00:00Z", 5, True, None])
assets = st.dictionaries(
    st.sampled_from(["data", "thumb", "a.b"]),
    st.dictionaries(names, values | geometries, max_size=3).map(lambda more: {"href": "x.tif", **more}),
    max_size=3,
)


@st.composite
def items(draw):
    document = item("one", at=draw(moments))
    document["properties"] |= draw(st.dictionaries(names, values | geometries, max_size=4))
    document["properties"] |= draw(st.dictionaries(st.sampled_from(["created", "end_datetime"]), odd_moments))
    document |= {"geometry": draw(geometries), "bbox": draw(boxes), "assets": draw(assets)}
    document["links"] = draw(st.lists(st.fixed_dictionaries({"href": texts, "rel": texts}, optional={"x": values})))
    top = draw(st.dictionaries(st.sampled_from(["extra", "more", "datetime", "created"]), values, max_size=2))
    return {**top, **document}


@given(st.lists(items(), min_size=1, max_size=12))
@settings(max_examples=300)
def test_what_goes_in_comes_out(some):
    assert_same(back(table(some)), some)
    assert_same(back(stream(some)), some)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=2, max_size=30))
def test_the_order_of_shapes_does_not_matter_to_the_columns(some):
    documents = [item(str(place), **properties) for place, properties in enumerate(some)]
    one, other = (pa.struct(list(table(order).schema)) for order in (documents, documents[::-1]))
    assert in_order(one) == in_order(other)


def in_order(kind):
    if pa.types.is_struct(kind):
        return sorted((field.name, in_order(field.type)) for field in kind)
    return str(kind) if not pa.types.is_list(kind) else ["list", in_order(kind.value_type)]


def test_batches_of_different_types_become_one(monkeypatch):
    monkeypatch.setattr("catalog.arrow.ROWS", 2)
    monkeypatch.setattr("catalog.arrow.FIRST_ROWS", 1)
    some = [
        item("0", a=1, b=None, c={"x": 1}, d=[]),
        item("1", a=2, b="text", c={"y": [1]}, d=["one"], e={}),
        item("2", a=0.5, b="text", c={}, d=[None], e={}),
        item("3", a=3, b=5, c={"x": 2.5}, d=[{"z": 1}]),
        item("4", f={"deep": {}}, g=[{}]),
        item("5", f={"deep": {"er": 1}}, g=[{"h": True}]),
    ]
    found = table(some)
    assert_same(back(found), some)
    kinds = {field.name: field.type for field in found.schema}
    assert kinds["a"] == pa.float64()
    assert kinds["b"] == JSON
    assert kinds["c"].field("x").type == pa.float64()
    assert kinds["d"].value_type == JSON
    assert kinds["e"] == JSON  # Parquet has no struct without members
    assert kinds["f"].field("deep").type.field("er").type == pa.int64()
    assert pq.ParquetFile(io.BytesIO(parquet(some))).schema.column(found.schema.get_field_index("b")) is not None


def test_more_members_than_columns_are_kept_as_json(monkeypatch):
    monkeypatch.setattr(arrow_rows, "MAX_COLUMNS", 4)
    monkeypatch.setattr(arrow_shape, "MAX_MEMBERS", 3)
    some = [
        {**item(str(place), **{f"p{place}": place}, o={f"m{place % 5}": 1}), "assets": {f"a{place}": {"href": "x"}}}
        for place in range(10)
    ]
    found = table(some)
    assert_same(back(found), some)
    kinds = {field.name: field.type for field in found.schema}
    assert kinds["assets"] == kinds["o"] == kinds[REST] == JSON
    assert sum(name.startswith("p") for name in kinds) < 5


def test_wide_documents_cost_no_more_than_so_many_columns():
    wide = {f"o{place}": {f"m{inner}": {"x": 1} for inner in range(150)} for place in range(100)}
    found = table([item("0", **wide), item("1", **wide)])
    assert len(pq.ParquetFile(io.BytesIO(parquet([item("0", **wide)]))).schema) < arrow_shape.MAX_SHAPES
    assert_same(back(found), [item("0", **wide), item("1", **wide)])


def test_a_deep_document_is_no_deep_type():
    deep = {"x": 1}
    for _ in range(200):
        deep = {"x": deep}
    assert_same(back(table([item("0", deep=deep)])), [item("0", deep=deep)])


def test_large_whole_numbers_stay_exact_beside_whole_numbers():
    some = [item(str(number), n=number) for number in (2**53 + 1, -(2**63), 2**63 - 1)]
    assert_same(back(table(some)), some)


def test_nothing_is_a_table_too():
    found = table([])
    assert found.num_rows == 0
    assert found.schema.field("datetime").type == TIME
    assert back(found) == back(stream([])) == []


def test_many_batches_keep_their_order():
    some = [
        item(f"{place:05}", n=place if place % 997 else place + 0.5) for place in range(FIRST_ROWS + ROWS * GROUP + 3)
    ]
    data = parquet(some)
    assert_same(back(pq.read_table(io.BytesIO(data))), some)
    assert pq.ParquetFile(io.BytesIO(data)).num_row_groups == 2


def test_large_items_make_small_batches(monkeypatch):
    monkeypatch.setattr("catalog.arrow.BYTES", 10_000)
    monkeypatch.setattr("catalog.arrow.FIRST_ROWS", 1)
    some = [item(f"{place:03}", note="x" * (6_000 if place % 3 else 30)) for place in range(50)]
    assert_same(back(table(some)), some)
    sizes = [batch.num_rows for batch in pa.ipc.open_stream(b"".join(arrow_chunks(pages(some))))]
    assert sum(sizes) == 50
    assert max(sizes) <= 4


def test_pages_may_be_of_any_size_and_are_read_once():
    calls = []

    def some():
        calls.append(1)
        yield [orjson.dumps(item("0"))]
        yield []
        yield [orjson.dumps(item(str(place))) for place in range(1, 200)]

    found = pq.read_table(io.BytesIO(b"".join(parquet_chunks(some))))
    assert found["id"].to_pylist() == [str(place) for place in range(200)]
    assert calls == [1]


def test_parts_of_items_make_rows_too():
    """The fields of a search may leave members out."""
    some = [
        {"id": "0", "geometry": box(0, 0, 1, 1)},
        {"id": "1", "properties": {"datetime": "2026-01-01T00:00:00Z", "a": {}}},
        {"id": "2", "type": "Feature", "assets": {"data": {"href": "x"}}},
    ]
    found = table(some)
    assert found["id"].to_pylist() == ["0", "1", "2"]
    assert [one.is_valid for one in found["geometry"]] == [True, False, False]
    assert [one.get("assets") for one in back(found)] == [{}, {}, {"data": {"href": "x"}}]
    assert pq.read_table(io.BytesIO(parquet(some[:1]))).num_rows == stream(some[:1]).num_rows == 1


def test_a_text_with_white_space_and_escapes():
    spaced = json.dumps(item("one", note='a\n"b"\\'), indent=2).encode()
    odd = orjson.dumps(item("two")).replace(b'"id"', b'"\\u0069d"')
    found = pq.read_table(io.BytesIO(b"".join(parquet_chunks(lambda: iter([[spaced, odd]])))))
    assert_same(back(found), [item("one", note='a\n"b"\\'), item("two")])


# --- metadata ---


def geo(data):
    return json.loads(pq.ParquetFile(io.BytesIO(data)).schema_arrow.metadata[b"geo"])


def test_metadata_of_geoparquet():
    some = [item("0", geometry=box(0, 1, 2, 3)), item("1", geometry={"type": "Point", "coordinates": [-5, 60]})]
    found = geo(parquet(some))
    assert found["version"] == "1.1.0"
    assert found["primary_column"] == "geometry"
    about = found["columns"]["geometry"]
    assert about["encoding"] == "WKB"
    assert about["geometry_types"] == ["Point", "Polygon"]
    assert about["bbox"] == [-5, 1, 2, 60]
    assert about["covering"]["bbox"] == {edge: ["bbox", edge] for edge in ("xmin", "ymin", "xmax", "ymax")}
    assert "crs" not in about  # so it is OGC:CRS84


def test_heights_and_missing_geometries_in_the_metadata():
    point = {"type": "Point", "coordinates": [1, 2, 3]}
    about = geo(parquet([item("0", geometry=point), {**item("1"), "geometry": None, "bbox": None}]))
    assert about["columns"]["geometry"]["geometry_types"] == ["Point Z"]
    assert "bbox" not in about["columns"]["geometry"]
    nowhere = geo(parquet([{**item("1"), "geometry": None, "bbox": None}]))
    assert nowhere["columns"]["geometry"]["geometry_types"] == []


def test_the_covering_covers_where_a_bbox_crosses_the_antimeridian():
    halves = [box(170, 0, 180, 1)["coordinates"], box(-180, 0, -170, 1)["coordinates"]]
    crossing = item("0", geometry={"type": "MultiPolygon", "coordinates": halves}, bbox=[170, 0, -170, 1])
    some = [crossing, item("1"), {**item("2"), "geometry": None, "bbox": None}]
    data = parquet(some)
    cover = geo(data)["columns"]["geometry"]["covering"]["bbox"]["xmin"][0]
    found = pq.read_table(io.BytesIO(data))
    assert found[cover].to_pylist()[:2] == [
        {"xmin": -180.0, "ymin": 0.0, "xmax": 180.0, "ymax": 1.0},
        {"xmin": 5.0, "ymin": 44.0, "xmax": 5.0, "ymax": 44.0},
    ]
    assert found["bbox"].to_pylist()[0]["xmin"] == 170
    assert_same(back(found), some)
    assert list(geopandas.read_parquet(io.BytesIO(data), bbox=(174, 0, 175, 1))["id"]) == ["0"]


def test_collections_go_into_the_metadata():
    documents = [collection("scenes"), collection("others")]
    for found in (
        table([item()], collections=[orjson.dumps(one) for one in documents]),
        stream([item()], collections=[orjson.dumps(one) for one in documents]),
    ):
        about = json.loads(found.schema.metadata[b"stac-geoparquet"])
        assert about == {"version": "1.0.0", "collections": {one["id"]: one for one in documents}}
    assert json.loads(table([item()]).schema.metadata[b"stac-geoparquet"]) == {"version": "1.0.0"}


def test_columns_have_the_types_of_the_specification():
    found = table([item("0", created="2026-01-01T00:00:00Z", gsd=1, instruments=["a"])]).schema
    assert found.field("created").type == found.field("datetime").type == pa.timestamp("us", tz="UTC")
    assert found.field("geometry").type == pa.binary()
    assert found.field("geometry").metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"
    assert found.field("stac_extensions").type.value_type == pa.string()
    assert {field.name for field in found.field("links").type.value_type} == {"href", "rel", "type", "title"}
    assert [field.name for field in found.field("bbox").type] == ["xmin", "ymin", "xmax", "ymax"]
    assert found.field("gsd").type == pa.int64()
    assert "properties" not in found.names


# --- other people's readers and writers ---

PLAIN = [
    {
        **item("0", geometry=box(0, 0, 1, 1), created="2026-01-01T00:00:00Z", gsd=10, note="x"),
        "assets": {"data": {"href": "https://example.org/0.tif", "roles": ["data"], "proj:shape": [2, 3]}},
        "links": [{"rel": "license", "href": "https://example.org", "type": "text/html", "title": "terms"}],
    },
    {
        **item("1", geometry=box(2, 0, 3, 1), gsd=0.5, **{"proj:geometry": box(10, 10, 20, 20)}),
        "assets": {"other": {"href": "https://example.org/1.tif", "proj:geometry": box(10, 10, 20, 20)}},
    },
    item("2", geometry={"type": "MultiPolygon", "coordinates": [box(4, 0, 5, 1)["coordinates"]]}),
]


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def test_stac_geoparquet_reads_it():
    # It knows no null proj:geometry, so that the Items are of one kind here.
    for some in (PLAIN[:1] + PLAIN[2:], PLAIN[1:2]):
        found = [without_nulls(one) for one in stac_geoparquet.arrow.stac_table_to_items(table(some))]
        for one, other in zip(found, some, strict=True):
            moments = [document["properties"]["datetime"] for document in (one, other)]
            assert parse_time(moments[0]) == parse_time(moments[1])
            one["properties"]["datetime"] = other["properties"]["datetime"]  # they write six decimals
            assert normal(one) == normal(other)


def test_its_files_are_read(tmp_path):
    path = tmp_path / "theirs.parquet"
    reader = stac_geoparquet.arrow.parse_stac_items_to_arrow(PLAIN[:1] + PLAIN[2:])
    stac_geoparquet.arrow.to_parquet(reader, path)
    assert_same(back(pq.read_table(path)), PLAIN[:1] + PLAIN[2:])


def test_geopandas_reads_it():
    found = geopandas.read_parquet(io.BytesIO(parquet(PLAIN)))
    assert found.crs == "OGC:CRS84"
    assert list(found["id"]) == ["0", "1", "2"]
    assert found.geometry.iloc[0].equals(shapely.box(0, 0, 1, 1))
    assert str(found["datetime"].dtype).startswith("datetime64")
    assert list(geopandas.read_parquet(io.BytesIO(parquet(PLAIN)), bbox=(2.5, 0, 2.6, 1))["id"]) == ["1"]


def test_geopandas_files_are_read(tmp_path):
    path = tmp_path / "frame.parquet"
    features = [{**one, "properties": {**one["properties"], "id": one["id"]}} for one in PLAIN]
    frame = geopandas.GeoDataFrame.from_features(features, crs="OGC:CRS84")
    frame["stac_version"] = "1.1.0"
    frame["gsd"] = [1.0, float("nan"), 2.0]
    frame.to_parquet(path)
    found = back(pq.read_table(path))
    assert [one["id"] for one in found] == ["0", "1", "2"]
    assert found[1]["properties"].get("gsd") is None
    assert same(found[0]["geometry"], PLAIN[0]["geometry"])


def test_duckdb_reads_it(tmp_path):
    path = tmp_path / "items.parquet"
    mixed = [*PLAIN, item("3", note=5), item("4", note={"a": [1]})]
    path.write_bytes(parquet(mixed))
    database = duckdb.connect()
    rows = database.execute(
        "SELECT id, gsd, year(datetime), geometry, assets.data.href, note FROM read_parquet(?) ORDER BY id", [str(path)]
    ).fetchall()
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[1][1:3] == (0.5, 2026)
    assert shapely.from_wkb(bytes(rows[0][3])).equals(shapely.box(0, 0, 1, 1))
    assert rows[0][4] == "https://example.org/0.tif"
    assert [None if row[5] is None else json.loads(row[5]) for row in rows] == ["x", None, None, 5, {"a": [1]}]
    (kind,) = database.execute("SELECT DISTINCT typeof(note) FROM read_parquet(?)", [str(path)]).fetchone()
    assert kind == "JSON"
    inside = "SELECT id FROM read_parquet(?) WHERE bbox.xmin <= 2.5 AND bbox.xmax >= 2.5"
    assert database.execute(inside, [str(path)]).fetchall() == [("1",)]


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.duration("s"), pa.decimal128(9, 2)])
def test_what_json_has_no_word_for_names_the_column(kind):
    batch = pa.record_batch({"id": ["one"], "odd": pa.nulls(1, kind)})
    with pytest.raises(InvalidItemError, match=r"column 'odd'.*no word"):
        list(items_of(batch))


def test_bytes_that_are_no_geometry():
    with pytest.raises(InvalidItemError, match=r"column 'odd'.*no WKB"):
        list(items_of(pa.record_batch({"id": ["one"], "odd": [b"xx"]})))


# --- cost ---

MEASURE = """
import sys
from pathlib import Path
import orjson, shapely, numpy
from catalog.arrow import arrow_chunks, parquet_chunks
from tests.catalog.documents import box, item

def document(place):
    one = item(f"{place:07}", geometry=box(place % 300 - 150, 0, place % 300 - 149, 1), gsd=place % 7, note="x" * 40)
    band = {"type": "image/tiff", "roles": ["data"], "proj:shape": [10980, 10980], "title": "a band of the scene"}
    assets = {f"b{band_}": {**band, "href": f"https://example.org/{place}/{band_}.tif"} for band_ in range(14)}
    return orjson.dumps({**one, "assets": assets})

def pages():
    for start in range(0, 40_000, 1000):
        yield [document(place) for place in range(start, start + 1000)]

def peak_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

Path("/proc/self/clear_refs").write_text("5")
idle = peak_mb()
size = sum(len(chunk) for chunk in {"parquet": parquet_chunks, "arrow": arrow_chunks}[sys.argv[1]](pages))
print(peak_mb() - idle, size, len(document(7)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux: it tells a process's peak memory")
@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_memory_does_not_grow_with_the_items(format_):
    command = [sys.executable, "-c", MEASURE, format_]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=ROOT)
    grown, size, one = map(float, done.stdout.split())
    assert one > 2000
    assert size > 1_000_000
    assert grown < 200  # all of the Items would be 120 MB as text, and several times that as objects


def test_encoding_loads_no_pandas():
    """It takes a second and 60 MB, and Arrow loads it for a conversion or two."""
    program = (
        "import sys, orjson; from catalog.arrow import parquet_chunks; from tests.catalog.documents import item\n"
        "print(len(b''.join(parquet_chunks(lambda: iter([[orjson.dumps(item())] * 60])))))\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split()[1] == "False"
