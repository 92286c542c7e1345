"""Footprints, boxes and time windows against the plane's own rules, pyproj's geodesics and projections."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from shapely import affinity

from catalog.errors import InvalidExtentError
from catalog.extent import BBox, Footprint, TimeWindow, format_time, parse_time
from catalog.geometry import MAX_VERTICES
from tests.catalog.documents import Drawn, box, drawn, plain

GEOD = Geod(ellps="WGS84")
EQUAL_AREA = Transformer.from_crs("EPSG:4326", "+proj=cea +ellps=WGS84", always_xy=True)
POLYGONS = ("Polygon", "Box", "MultiPolygon")


def cap(latitude, step=30):
    lons = [*range(-180, 180, step), -180]
    return {"type": "Polygon", "coordinates": [[[lon, latitude] for lon in lons]]}


def with_hole(outer, hole):
    return {"type": "Polygon", "coordinates": [outer["coordinates"][0], hole["coordinates"][0]]}


def parts(*polygons):
    return {"type": "MultiPolygon", "coordinates": [polygon["coordinates"] for polygon in polygons]}


def equal_area_km2(polygon):
    """In an equal-area projection, edges cut into pieces of a thousandth of a degree."""
    dense = shapely.segmentize(polygon, 0.001)
    return shapely.transform(dense, lambda xy: np.column_stack(EQUAL_AREA.transform(xy[:, 0], xy[:, 1]))).area / 1e6


# --- area ---


@pytest.mark.parametrize("polygon", [
    shapely.Polygon([(0, 40), (1, 40.5), (0.3, 41)]),
    shapely.Polygon([(10, 80), (14, 81), (11, 83)]),
    shapely.Polygon([(0, 0), (3, 0), (3, 3), (0, 3)], [[(1, 1), (2, 1), (2, 2), (1, 2)]]),
    shapely.Polygon([(-70, -50), (-60, -55), (-65, -40)]),
])  # fmt: skip
def test_area_against_an_equal_area_projection(polygon):
    assert Footprint.of(polygon).area_km2 == pytest.approx(equal_area_km2(polygon), rel=1e-8)


@given(drawn(POLYGONS))
def test_area_against_geodesics(shape):
    assume(abs(shape.shape.bounds[1]) < 85 and abs(shape.shape.bounds[3]) < 85)
    dense = shapely.segmentize(shapely.orient_polygons(shape.shape), 0.02)
    assume(shape.shape.geom_type == "Polygon")
    geodesic = abs(GEOD.geometry_area_perimeter(dense)[0]) / 1e6
    assert Footprint.of(shape.shape).area_km2 == pytest.approx(geodesic, rel=2e-5)


def test_area_of_the_whole_earth():
    """510,065,621.724 km²: the surface of the WGS 84 ellipsoid (NIMA TR8350.2, table 3.3)."""
    assert Footprint.from_geojson(box(-180, -90, 180, 90)).area_km2 == pytest.approx(510_065_621.724, rel=1e-12)


@pytest.mark.parametrize("latitude", [60, 80, 89])
def test_polar_caps_are_what_the_rest_of_the_earth_leaves(latitude):
    footprint = Footprint.from_geojson(cap(latitude))
    rest = Footprint.from_geojson(box(-180, -90, 180, latitude)).area_km2
    assert footprint.area_km2 == pytest.approx(510_065_621.724 - rest, rel=1e-6)
    assert footprint.bbox.as_tuple() == (-180, latitude, 180, 90)
    assert footprint.centre[1] == pytest.approx(90, abs=1e-6)
    south = Footprint.from_geojson(cap(-latitude))
    assert south.area_km2 == pytest.approx(footprint.area_km2, rel=1e-12)
    assert south.bbox.as_tuple() == (-180, -90, 180, -latitude)


def test_a_ring_around_the_pole_with_a_hole_over_it():
    outer, inner = cap(60)["coordinates"][0], cap(80)["coordinates"][0][::-1]
    ring = Footprint.from_geojson({"type": "Polygon", "coordinates": [outer, inner]})
    band = Footprint.from_geojson(box(-180, 60, 180, 80))
    assert ring.area_km2 == pytest.approx(band.area_km2, rel=1e-12)
    assert ring.bbox.as_tuple() == (-180, 60, 180, 80)


# --- the antimeridian ---


@given(drawn(POLYGONS), st.sampled_from(["beyond", "back"]), st.integers(0, 1439))
def test_nothing_but_the_longitudes_changes_when_the_earth_is_turned(shape, spelling, quarters):
    here = Footprint.from_geojson(shape.geojson(spelling))
    shift = quarters / 4 - 180
    there = Footprint.from_geojson(
        Drawn(affinity.translate(shape.shape, -shape.shape.bounds[0] + shift)).geojson(spelling)
    )
    assert there.area_km2 == pytest.approx(here.area_km2, rel=1e-9)
    assert there.centre[1] == pytest.approx(here.centre[1], abs=1e-3)  # great circles between the vertices
    width_here, width_there = ((one.bbox.east - one.bbox.west) % 360 for one in (here, there))
    assert width_there == pytest.approx(width_here)


@given(
    drawn(POLYGONS), st.sampled_from(["beyond", "back"]), st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
)
def test_holds_the_points_that_the_drawing_holds(shape, spelling, points):
    footprint = Footprint.from_geojson(shape.geojson(spelling))
    west, south, east, north = footprint.polygons.bounds
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90
    assert footprint.polygons.is_valid
    for lon, lat in points:
        inside = Drawn(shapely.Point(lon, lat))
        if shape.shape.boundary.distance(inside.shape) > 1e-6 and abs(abs(lat) - 90) > 1e-6:
            turns = [affinity.translate(shape.shape, 360 * turn) for turn in (-2, -1, 0, 1, 2)]
            assert footprint.polygons.intersects(inside.shape) == any(turn.intersects(inside.shape) for turn in turns)


@given(drawn(POLYGONS))
def test_its_own_geojson_reads_back_as_itself(shape):
    footprint = Footprint.of(shape.shape)
    again = Footprint.from_geojson(json.loads(json.dumps(footprint.geojson)))
    assert shapely.equals(again.polygons, footprint.polygons)
    assert all(polygon.exterior.is_ccw for polygon in footprint.polygons.geoms)


@pytest.mark.parametrize("spelling", [
    box(179, 10, -179, 11),
    box(179, 10, 181, 11),
    box(-181, 10, -179, 11),
    parts(box(179, 10, 180, 11), box(-180, 10, -179, 11)),
])  # fmt: skip
def test_every_spelling_of_a_box_across_the_antimeridian(spelling):
    footprint = Footprint.from_geojson(spelling)
    assert footprint.bbox.as_tuple() == (179, 10, -179, 11)
    assert footprint.geojson["type"] == "MultiPolygon"
    assert footprint.centre[0] == pytest.approx(180) or footprint.centre[0] == pytest.approx(-180)
    assert footprint.area_km2 == pytest.approx(2 * Footprint.from_geojson(box(5, 10, 6, 11)).area_km2)


def test_a_hole_across_the_antimeridian():
    footprint = Footprint.from_geojson(with_hole(box(170, -10, -170, 10), box(179, -1, -179, 1)))
    straight = Footprint.from_geojson(with_hole(box(0, -10, 20, 10), box(9, -1, 11, 1)))
    assert footprint.area_km2 == pytest.approx(straight.area_km2, rel=1e-12)


def test_a_hole_in_the_eastern_half_of_a_wide_ring():
    """A hole is moved to the turn of its ring by the ring's middle, not by the mean of its vertices."""
    ring = [
        [-170, 0],
        [-160, 0],
        [-150, 0],
        [-140, 0],
        [0, 0],
        [150, 0],
        [175, 0],
        [175, 20],
        [0, 20],
        [-170, 20],
        [-170, 0],
    ]
    footprint = Footprint.from_geojson(
        {"type": "Polygon", "coordinates": [ring, box(170, 5, 172, 6)["coordinates"][0]]}
    )
    full = Footprint.from_geojson({"type": "Polygon", "coordinates": [ring]})
    assert full.area_km2 - footprint.area_km2 == pytest.approx(Footprint.from_geojson(box(0, 5, 2, 6)).area_km2)


@given(drawn(POLYGONS))
def test_the_box_is_the_narrowest(shape):
    footprint = Footprint.of(shape.shape)
    width = (footprint.bbox.east - footprint.bbox.west) % 360 or 360.0
    parts = footprint.polygons.geoms
    assert all(
        shapely.box(*side.as_tuple()).intersects(part)
        for part in parts
        for side in footprint.bbox.parts()[:1]
        if not footprint.bbox.crosses_antimeridian
    )
    covered = shapely.union_all([shapely.box(*side.as_tuple()) for side in footprint.bbox.parts()])
    assert covered.covers(footprint.polygons)
    # Brute force: start the box at any vertex and go east until all is inside.
    lons = np.unique(shapely.get_coordinates(footprint.polygons)[:, 0])
    spans = [(part.bounds[0], part.bounds[2]) for part in parts]
    widths = []
    for start in lons:
        if any(west < start < east for west, east in spans):
            continue
        widths.append(max(((east - start) % 360 or 360.0) if west != east else 0.0 for west, east in spans))
    assert width == pytest.approx(min(widths))


# --- sets ---


@given(drawn(POLYGONS), drawn(POLYGONS))
def test_what_is_shared_and_what_is_left_make_the_whole(one, other):
    one, other = Footprint.of(one.shape), Footprint.of(other.shape)
    shared, left, both = one.intersection(other), one.minus(other), one.union(other)
    shared_km2 = 0.0 if shared is None else shared.area_km2
    left_km2 = 0.0 if left is None else left.area_km2
    # New vertices lie on the old edges to within rounding; each pole's degree holds little area.
    assert shared_km2 + left_km2 == pytest.approx(one.area_km2, rel=1e-6, abs=1e-3)
    assert both.area_km2 == pytest.approx(one.area_km2 + other.area_km2 - shared_km2, rel=1e-6, abs=1e-3)


def test_nothing_is_left_of_a_footprint_without_itself():
    footprint = Footprint.from_geojson(box(179, 10, -179, 11))
    assert footprint.minus(footprint) is None
    assert footprint.intersection(Footprint.from_geojson(box(0, 0, 1, 1))) is None


# --- centre ---


@given(st.floats(-179, 179), st.floats(-80, 80), st.floats(0.01, 1))
def test_centre_of_a_small_box_is_its_middle(lon, lat, size):
    centre = Footprint.of(shapely.box(lon, lat, lon + size, lat + size)).centre
    assert abs((centre[0] - lon - size / 2 + 180) % 360 - 180) < 1e-6
    assert centre[1] == pytest.approx(lat + size / 2, abs=0.02 * size)


def test_centre_is_the_mean_of_evenly_spread_points():
    """Monte Carlo on the sphere: points of a polygon in an equal-area projection, their mean vector."""
    polygon = shapely.Polygon([(-20, 40), (40, 50), (30, 75), (-30, 60)])
    random = np.random.default_rng(1)
    lon, sine = (
        random.uniform(-30, 40, 400_000),
        random.uniform(math.sin(math.radians(40)), math.sin(math.radians(75)), 400_000),
    )
    lat = np.degrees(np.arcsin(sine))
    inside = shapely.contains_xy(polygon, lon, lat)
    lon, lat = np.radians(lon[inside]), np.radians(lat[inside])
    x, y, z = (np.cos(lat) * np.cos(lon)).mean(), (np.cos(lat) * np.sin(lon)).mean(), np.sin(lat).mean()
    mean = math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
    assert Footprint.of(polygon).centre == pytest.approx(mean, abs=0.1)


# --- bad input ---


BAD = {
    "no geometry": None,
    "a list": [1, 2],
    "a point": {"type": "Point", "coordinates": [0, 0]},
    "no coordinates": {"type": "Polygon"},
    "empty": {"type": "Polygon", "coordinates": []},
    "an empty ring": {"type": "Polygon", "coordinates": [[]]},
    "text": {"type": "Polygon", "coordinates": "0,0"},
    "text in a position": {"type": "Polygon", "coordinates": [[["a", 0], [1, 0], [1, 1], ["a", 0]]]},
    "none in a position": {"type": "Polygon", "coordinates": [[[None, 0], [1, 0], [1, 1], [None, 0]]]},
    "one number": {"type": "Polygon", "coordinates": [[[0], [1], [2], [0]]]},
    "three positions": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]},
    "not closed": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
    "crosses itself": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
    "no area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]},
    "below a square centimetre": box(0, 0, 1e-8, 1e-8),
    "off the Earth": box(0, 0, 1, 91),
    "swapped": {"type": "Polygon", "coordinates": [[[44, 175], [45, 175], [45, 176], [44, 175]]]},
    "turned twice": box(361, 0, 362, 1),
    "not a number": {"type": "Polygon", "coordinates": [[[math.nan, 0], [1, 0], [1, 1], [math.nan, 0]]]},
    "infinite": {"type": "Polygon", "coordinates": [[[math.inf, 0], [1, 0], [1, 1], [math.inf, 0]]]},
    "a huge integer": {"type": "Polygon", "coordinates": [[[10**400, 0], [1, 0], [1, 1], [10**400, 0]]]},
    "a hole outside": with_hole(box(0, 0, 1, 1), box(5, 5, 6, 6)),
    "overlapping parts": parts(box(0, 0, 2, 2), box(1, 1, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("geometry", BAD.values(), ids=BAD.keys())
def test_bad_geometry_is_named(geometry):
    with pytest.raises(InvalidExtentError, match=r"^geometry: "):
        Footprint.from_geojson(geometry)


def test_too_many_vertices():
    angles = np.linspace(0, 2 * math.pi, MAX_VERTICES + 2)
    ring = np.column_stack([np.cos(angles), np.sin(angles)]).tolist()
    ring[-1] = ring[0]
    with pytest.raises(InvalidExtentError, match="vertices"):
        Footprint.from_geojson({"type": "Polygon", "coordinates": [ring]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["type", "coordinates", "x"]), inner),
    max_leaves=20,
)
positions = st.lists(st.floats(-400, 400) | st.integers(-200, 200) | st.none(), min_size=1, max_size=3)


@given(
    st.sampled_from(["Polygon", "MultiPolygon", "Point", None]),
    json_values | st.lists(st.lists(positions, max_size=6)) | st.lists(st.lists(st.lists(positions, max_size=6))),
)
def test_whatever_comes_is_a_footprint_or_is_named(kind, coordinates):
    try:
        footprint = Footprint.from_geojson({"type": kind, "coordinates": coordinates})
    except InvalidExtentError as error:
        message = str(error)
        assert len(message) < 500
    else:
        assert footprint.area_km2 > 0


# --- boxes ---


def test_box_of_six_numbers_sets_heights_aside():
    assert BBox.of([1, 2, -5, 3, 4, 900]).as_tuple() == (1, 2, 3, 4)


@pytest.mark.parametrize("values", [
    [], [1, 2, 3], [1, 2, 3, 4, 5], [0, 10, 1, 5], [0, -91, 1, 0], [0, 0, 1, 90.1], [-181, 0, 0, 1], [0, 0, 180.5, 1],
    [math.nan, 0, 1, 1], [0, 0, math.inf, 1], ["a", 0, 1, 1], [None, 0, 1, 1], [10**400, 0, 1, 1],
])  # fmt: skip
def test_bad_boxes(values):
    with pytest.raises(InvalidExtentError, match=r"^bbox: "):
        BBox.of(values)


def test_a_box_with_west_beyond_east_has_two_parts():
    assert [part.as_tuple() for part in BBox.of([170, -5, -170, 5]).parts()] == [(170, -5, 180, 5), (-180, -5, -170, 5)]


# --- time ---


EARLIEST, LATEST = datetime(2, 1, 1), datetime(9998, 12, 31)  # noqa: DTZ001 - hypothesis adds the offset


@given(st.datetimes(EARLIEST, LATEST), st.integers(-14 * 60, 14 * 60))
def test_times_read_back_in_utc(moment, offset):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_time(format_time(aware)) == aware
    assert parse_time(aware.isoformat()) == aware
    assert format_time(aware).endswith("Z")


@pytest.mark.parametrize(("text", "moment"), [
    ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("2026-01-31T12:00:00.5Z", datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
    ("2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
    ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
])  # fmt: skip
def test_spellings_of_a_moment(text, moment):
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", [
    "", "..", "/", "../..", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "2026-02-30T00:00:00Z",
    "2026-01-31T24:00:01Z", "2026-01-31T12:00:00Z/2026-01-30T12:00:00Z", "a/b/c", "2026-01-31T12:00:00+25:00",
    "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "2026-01-31T12:00:00Z/2026-02-01", "٢٠٢٦-01-31T12:00:00Z",
])  # fmt: skip
def test_bad_times(text):
    with pytest.raises(InvalidExtentError, match=r"^datetime: "):
        TimeWindow.parse(text)


def test_naive_ends_are_refused():
    with pytest.raises(InvalidExtentError, match="no UTC offset"):
        TimeWindow(start=datetime(2026, 1, 1), end=None)  # noqa: DTZ001 - what is refused


ends = st.none() | st.integers(0, 6).map(lambda day: datetime(2026, 1, 1 + day, tzinfo=UTC))


@given(ends, ends, ends, ends)
def test_windows_overlap_where_they_share_a_moment(a, b, c, d):
    assume(a or b)
    assume(c or d)
    assume(not (a and b and a > b))
    assume(not (c and d and c > d))
    one, other = TimeWindow(start=a, end=b), TimeWindow(start=c, end=d)
    moments = [datetime(2025, 12, 1, tzinfo=UTC) + timedelta(hours=12 * step) for step in range(140)]
    shared = any(one.contains(moment) and other.contains(moment) for moment in moments)
    assert one.overlaps(other) == other.overlaps(one) == shared
    assert TimeWindow.parse(str(one)) == one


@given(drawn())
def test_plain_geojson_has_no_tuples(shape):
    assert json.loads(json.dumps(plain(shape.shape))) == plain(shape.shape)


def test_a_thin_spike_changes_neither_area_nor_centre():
    """GEOS 3.14 densifies this valid polygon to an empty one; its centre came out as 0, 0."""
    spike = shapely.Polygon([(20.77, 35.78), (5.57, 49.88), (14.191940567843188, 41.88201565746125), (11.86, 23.0)])
    blunt = shapely.Polygon([(20.77, 35.78), (14.191940567843188, 41.88201565746125), (11.86, 23.0)])
    assert shapely.segmentize(spike, 1.0).is_empty
    assert Footprint.of(spike).area_km2 == pytest.approx(Footprint.of(blunt).area_km2, rel=1e-6)
    assert Footprint.of(spike).centre == pytest.approx(Footprint.of(blunt).centre, abs=1e-3)


@pytest.mark.parametrize("dust", [5e-324, 2.2e-16, -1e-13])
def test_digits_that_no_ground_has_do_not_confuse_areas(dust):
    area = Footprint.of(shapely.box(160.5, dust, 161.2, 0.4))
    part = Footprint.of(shapely.box(160.4, -0.1, 160.9, 0.2))
    left, both = area.minus(part), area.intersection(part)
    assert left.area_km2 + both.area_km2 == pytest.approx(area.area_km2, rel=1e-9)
    assert area.union(part).area_km2 == pytest.approx(area.area_km2 + part.area_km2 - both.area_km2, rel=1e-9)
