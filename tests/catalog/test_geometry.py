"""Any GeoJSON geometry: on the globe as it was drawn on a cylinder."""

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import mapping

from catalog import antimeridian
from catalog.errors import InvalidExtentError
from catalog.geometry import mend_geometry, parse_geometry, read_geometry
from tests.catalog.documents import drawn, plain

BAD = {
    "null": None,
    "no type": {"coordinates": [0, 0]},
    "a feature": {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}},
    "a type that is a list": {"type": ["Point"], "coordinates": [0, 0]},
    "too flat": {"type": "LineString", "coordinates": [0, 0]},
    "too deep": {"type": "Point", "coordinates": [[0, 0]]},
    "a line of one position": {"type": "LineString", "coordinates": [[0, 0]]},
    "lines of one position": {"type": "MultiLineString", "coordinates": [[[0, 0]]]},
    "a point at NaN": {"type": "Point", "coordinates": [float("nan"), 0]},
    "a point at infinity": {"type": "Point", "coordinates": [0, float("inf")]},
    "a true longitude": {"type": "Point", "coordinates": [True, 0]},
    "off the Earth": {"type": "Point", "coordinates": [0, 91]},
    "an empty collection": {"type": "GeometryCollection", "geometries": []},
    "a collection without": {"type": "GeometryCollection"},
    "a collection of numbers": {"type": "GeometryCollection", "geometries": [1]},
}


@pytest.mark.parametrize("geometry", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("read", [read_geometry, mend_geometry])
def test_bad_geometry_is_named(read, geometry):
    with pytest.raises(InvalidExtentError, match=r"^geometry: "):
        read(geometry)


def test_collections_in_collections_have_an_end():
    geometry = {"type": "Point", "coordinates": [0, 0]}
    for _ in range(10_000):
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}
    with pytest.raises(InvalidExtentError, match="nested"):
        read_geometry(geometry)


@given(drawn(), st.sampled_from(["beyond", "back"]))
def test_cut_at_the_antimeridian(shape, spelling):
    read = read_geometry(shape.geojson(spelling))
    west, south, east, north = read.bounds
    assert -180 <= west <= east <= 180
    assert (south, north) == (shape.shape.bounds[1], shape.shape.bounds[3])
    assert read.is_valid
    assert read.length == pytest.approx(
        shape.shape.length, abs=4 * (shape.shape.bounds[3] - shape.shape.bounds[1]) + 1e-9
    )
    assert read.area == pytest.approx(shape.shape.area)


@given(drawn(), st.sampled_from(["beyond", "back"]))
def test_mending_does_not_touch_what_is_whole(shape, spelling):
    geometry = shape.geojson(spelling)
    assert shapely.equals(mend_geometry(geometry), read_geometry(geometry))


@given(drawn())
def test_heights_are_set_aside(shape):
    high = plain(shapely.force_3d(shape.shape, 100.0))
    assert shapely.equals(parse_geometry(high), parse_geometry(plain(shape.shape)))
    assert not parse_geometry(high).has_z


def test_a_line_over_the_antimeridian_runs_the_short_way():
    line = read_geometry({"type": "LineString", "coordinates": [[179, 0], [-179, 2]]})
    assert mapping(line)["coordinates"] == (((179, 0), (180, 1)), ((-180, 1), (-179, 2)))


def test_seams_join_both_sides_of_the_antimeridian_and_every_meridian_of_a_pole():
    east = antimeridian.with_seams(shapely.box(170, 80, 180, 90))
    assert east.intersects(shapely.Point(-180, 85))
    assert not east.intersects(shapely.Point(-180, 79))
    assert east.intersects(shapely.Point(17, 90))
    inner = shapely.box(0, 0, 1, 1)
    assert antimeridian.with_seams(inner) is inner
