"""Control points as people write them, right and wrong."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from processing.control import read_control
from processing.datum import VerticalDatum
from processing.errors import DeliveryError, HeightsError
from processing.refine import ControlPoint
from tests.processing.pushbroom import write_heights

ELLIPSOID = VerticalDatum.of("ellipsoid", None)

TEXT = """id,lon,lat,height,row,col,sigma_px
tower-1,5.193021,44.207114,571.42,381.6,204.25,0.5
"road, north", -174.5 , 44.2, 500, 1e2, -3,
7,5.2,-44.21,-12.5,0,0,2
"""

POINTS = (
    ControlPoint(id="tower-1", lon=5.193021, lat=44.207114, height=571.42, row=381.6, col=204.25, sigma_px=0.5),
    ControlPoint(id="road, north", lon=-174.5, lat=44.2, height=500.0, row=100.0, col=-3.0, sigma_px=1.0),
    ControlPoint(id="7", lon=5.2, lat=-44.21, height=-12.5, row=0.0, col=0.0, sigma_px=2.0),
)


def feature(**changes):
    properties = {"row": 381.6, "col": 204.25, "sigma_px": 0.5, "photo": "a.jpg"} | changes.pop("properties", {})
    made = {
        "type": "Feature",
        "id": "tower-1",
        "geometry": {"type": "Point", "coordinates": [5.193021, 44.207114, 571.42]},
        "properties": properties,
    }
    return {name: value for name, value in (made | changes).items() if value is not ...}


def write_geojson(folder, *features, **more):
    path = folder / "points.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features} | more))
    return path


def write(folder, text, name="points.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_csv(tmp_path, encoding, end):
    assert read_control(write(tmp_path, TEXT.replace("\n", end), encoding=encoding), datum=ELLIPSOID) == POINTS


def test_csv_in_any_order_and_with_more_columns(tmp_path):
    text = "photo,col,row,height,lat,lon,id\na.jpg,204.25,381.6,571.42,44.207114,5.193021,tower-1\n"
    (point,) = read_control(write(tmp_path, text), datum=ELLIPSOID)
    assert (point.row, point.col, point.lon, point.lat, point.height) == (381.6, 204.25, 5.193021, 44.207114, 571.42)
    assert point.sigma_px == 1.0


@pytest.mark.parametrize("crs", [None, {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}])
def test_geojson(tmp_path, crs):
    second = feature(id=..., properties={"id": 8, "sigma_px": None})
    found = read_control(write_geojson(tmp_path, feature(), second, **({"crs": crs} if crs else {})), datum=ELLIPSOID)
    assert found[0] == POINTS[0]
    assert (found[1].id, found[1].sigma_px) == ("8", 1.0)


@settings(max_examples=20)
@given(
    numbers=st.lists(
        st.tuples(
            st.floats(-360, 360), st.floats(-90, 90), st.floats(-500, 9000), st.floats(-9, 9e4), st.floats(-9, 9e4),
            st.floats(0.01, 50),
        ),
        min_size=1, max_size=5,
    ),
    names=st.lists(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1), min_size=5,
                   max_size=5, unique=True),
)  # fmt: skip
def test_both_kinds_say_the_same(tmp_path_factory, numbers, names):
    folder = tmp_path_factory.mktemp("points")
    with (folder / "points.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["id", "lon", "lat", "height", "row", "col", "sigma_px"])
        writer.writerows((name, *map(repr, values)) for name, values in zip(names, numbers, strict=False))
    features = [
        feature(
            id=name,
            geometry={"type": "Point", "coordinates": [lon, lat, height]},
            properties={"row": row, "col": col, "sigma_px": sigma},
        )
        for name, (lon, lat, height, row, col, sigma) in zip(names, numbers, strict=False)
    ]
    from_csv = read_control(folder / "points.csv", datum=ELLIPSOID)
    assert from_csv == read_control(write_geojson(folder, *features), datum=ELLIPSOID)
    assert [(p.lon, p.lat, p.height, p.row, p.col, p.sigma_px) for p in from_csv] == numbers


def test_counted_from_the_corner(tmp_path):
    """There the centre of the first pixel is (0.5, 0.5)."""
    text = "id,lon,lat,height,row,col\na,5,44,0,0.5,0.5\nb,5,44,0,10,20.25\n"
    found = read_control(write(tmp_path, text), datum=ELLIPSOID, origin="corner")
    assert [(point.row, point.col) for point in found] == [(0.0, 0.0), (9.5, 19.75)]
    with pytest.raises(DeliveryError, match="its origin is 'edge'; say 'centre' or 'corner' of the first pixel"):
        read_control(write(tmp_path, text), datum=ELLIPSOID, origin="edge")


def test_heights_above_a_geoid_are_raised(tmp_path):
    lat, lon = np.meshgrid(47 - 0.5 * np.arange(9), 3 + 0.5 * np.arange(9), indexing="ij")
    grid = write_heights(tmp_path / "geoid.tif", 40 + 2 * (lon - 5) - (lat - 44), west=3, north=47, step=0.5)
    datum = VerticalDatum.of("EGM2008", grid)
    text = "id,lon,lat,height,row,col\na,5.25,44.5,100,0,0\nb,-354.75,43.75,-3.5,0,0\n"
    found = read_control(write(tmp_path, text), datum=datum)
    assert [point.height for point in found] == pytest.approx([140.0, 37.25], abs=1e-9)
    text += "c,9.5,44,1,0,0\n"
    with pytest.raises(
        HeightsError, match=r"points.csv: the grid geoid.tif of EGM2008 knows nothing of .* c at lon 9.5"
    ):
        read_control(write(tmp_path, text), datum=datum)


def test_the_real_geoid_is_that_of_proj(shared, tmp_path):
    grid = shared / "data" / "geoid" / "egm96_15.gtx"
    text = "id,lon,lat,height,row,col\nventoux,5.2784,44.1739,1909,0,0\nfiji,-179.99,-17,5,0,0\n"
    found = read_control(write(tmp_path, text), datum=VerticalDatum.of("EGM96", grid))
    oracle = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        f"+step +proj=vgridshift +multiplier=1 +grids={grid} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    for point, height in zip(found, (1909, 5), strict=True):
        assert point.height == pytest.approx(oracle.transform(point.lon, point.lat, height)[2], abs=1e-9)


def test_every_bad_line_is_named(tmp_path):
    text = (
        "id,lon,lat,height,row,col,sigma_px\n"
        "a,5,44,0,1,2,\n"
        "b,5,94,0,1,2,\n"
        "c,5,44,high,1,2,\n"
        "d,5,44,0,1\n"
        "\n"
        "e,5,44,,1,2,\n"
        "a,5,44,0,1,2,\n"
        "f,5,44,0,nan,2,\n"
        "g,5,44,0,1,2,0\n"
        ",5,44,0,1,2,\n"
        "h,5,44,1_0,1,2,\n"
    )
    with pytest.raises(DeliveryError) as refusal:
        read_control(write(tmp_path, text), datum=ELLIPSOID)
    assert str(refusal.value).splitlines() == [
        "points.csv: 9 of its points cannot be used:",
        "  line 3: lat is '94'; give degrees of latitude, -90 to 90",
        "  line 4: height is 'high'; give metres, -15000 to 15000",
        "  line 5: 5 values under 7 names; give one under each",
        "  line 7: no height",
        "  line 8: id 'a' stands in line 2 too; give each point one of its own",
        "  line 9: row is 'nan'; give pixels",
        "  line 10: sigma_px is '0'; give pixels above 0",
        "  line 11: no id",
        "  line 12: height is '1_0'; give metres, -15000 to 15000",
    ]


def test_every_bad_feature_is_named(tmp_path):
    path = write_geojson(
        tmp_path,
        feature(),
        feature(id="flat", geometry={"type": "Point", "coordinates": [5, 44]}),
        feature(id="line", geometry={"type": "LineString", "coordinates": [[5, 44, 0], [6, 44, 0]]}),
        feature(id="bare", properties={"row": None}),
        feature(id=...),
        feature(id="text", properties={"col": "many"}),
        feature(id="yes", properties={"col": True}),
        feature(id="nothing") | {"properties": None},
        "feature",
        feature(id=True),
    )
    with pytest.raises(DeliveryError) as refusal:
        read_control(path, datum=ELLIPSOID)
    assert str(refusal.value).splitlines() == [
        "points.geojson: 9 of its points cannot be used:",
        "  feature 2 (flat): its position is not [lon, lat, height]; a control point needs a height",
        "  feature 3 (line): its geometry is no Point",
        "  feature 4 (bare): no row",
        "  feature 5: no id",
        "  feature 6 (text): col is 'many'; give pixels",
        "  feature 7 (yes): col is 'True'; give pixels",
        "  feature 8 (nothing): no properties; give row and col there",
        "  feature 9: no Feature",
        "  feature 10 (True): id is True; give a name or a whole number",
    ]


def test_of_very_many_bad_lines_some_are_named(tmp_path):
    text = "id,lon,lat,height,row,col\n" + "".join(f"p{k},5,100,0,1,2\n" for k in range(50))
    with pytest.raises(DeliveryError, match=r"50 of its points(.|\n)*line 21: lat(.|\n)*and 30 more$") as refusal:
        read_control(write(tmp_path, text), datum=ELLIPSOID)
    assert "line 22" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "", "line 1: no id, lon, lat, height, row, col among the names of the header; begin with a line"),
        ("p.csv", "id;lon;lat;height;row;col\n", "no id, lon, .* among the names id;lon;.*, separated by commas"),
        ("p.csv", "id,lon,lat,height,line,col\n", "line 1: no row among the names id, lon, lat, height, line, col"),
        ("p.csv", "id,lon,lat,height,row,col,row\n", "row comes twice"),
        ("p.csv", "id,lon,lat,height,row,col,sigma\n", "line 1: 'sigma' is not known; say sigma_px, in pixels"),
        ("p.csv", "id,lon,lat,height,row,col\n", "no control point in it"),
        ("p.csv", 'id,lon,lat,height,row,col\n"a,5,44,0,1,2\n', "line 2: no CSV"),
        ("p.json", "{", "no valid JSON"),
        ("p.json", "[]", "no GeoJSON FeatureCollection"),
        ("p.json", '{"type": "FeatureCollection", "features": [NaN]}', "NaN is no JSON number"),
        ("p.json", '{"type": "FeatureCollection", "features": []}', "no control point in it"),
        (
            "p.json",
            '{"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": "EPSG:32631"}}}',
            "its crs is .*EPSG:32631.*; give longitude and latitude on WGS 84",
        ),
        (
            "p.json",
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"sigma_m": 1}}]}',
            "feature 1: 'sigma_m' is not known; say sigma_px",
        ),
        ("p.txt", TEXT, "p.txt: unknown kind of file; give control points as .csv, .json or .geojson"),
    ],
)
def test_files_that_hold_none(tmp_path, name, text, message):
    with pytest.raises(DeliveryError, match=message):
        read_control(write(tmp_path, text, name), datum=ELLIPSOID)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(DeliveryError, match=r"none.csv: cannot be read \(No such file"):
        read_control(tmp_path / "none.csv", datum=ELLIPSOID)
    with pytest.raises(DeliveryError, match="no UTF-8 text"):
        read_control(write(tmp_path, TEXT.replace("road", "rüe"), encoding="latin-1"), datum=ELLIPSOID)
    monkeypatch.setattr("processing.control.MAX_BYTES", 50)
    with pytest.raises(DeliveryError, match="more than 50 bytes"):
        read_control(write(tmp_path, TEXT), datum=ELLIPSOID)
