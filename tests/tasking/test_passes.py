"""Many places, many satellites: brute force over time, points and areas; shapes that tell edges from insides."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon, box

from catalog.extent import Footprint
from tasking.orbit import ecef_state, ecef_to_geodetic, geodetic_to_ecef
from tasking.passes import Passes, Places, Target, find_passes
from tests.tasking.fleet import EPOCH, FLEET, GAOFEN_4, PLEIADES

START = EPOCH.timestamp()
DAY_S = 86400.0


def _spans(found: Passes, place: int, satellite: int) -> list[tuple[float, float]]:
    mine = (found.place == place) & (found.satellite == satellite)
    return list(zip(found.first[mine], found.last[mine], strict=True))


def _least_over(area: Footprint, elements, posix: np.ndarray) -> np.ndarray:
    """Least angle to a densely drawn outline; 0 over the inside, which shapely tells."""
    outline = shapely.get_coordinates(shapely.segmentize(area.polygons, 0.4 if abs(area.bbox.south) > 70 else 0.05))
    least = np.concatenate([_least_off_nadir(elements, *outline.T, part) for part in np.array_split(posix, 40)])
    lon, lat, _ = ecef_to_geodetic(ecef_state(elements, posix)[0])
    return np.where(shapely.contains_xy(area.polygons, lon, lat), 0.0, least)


def _least_off_nadir(elements, lon: np.ndarray, lat: np.ndarray, posix: np.ndarray) -> np.ndarray:
    """Of all points above whose horizon the satellite stands, by bare vectors; 180 where there is none."""
    position, _ = ecef_state(elements, posix)
    below_lon, below_lat, _ = ecef_to_geodetic(position)
    nadir = geodetic_to_ecef(below_lon, below_lat, 0.0) - position
    nadir /= np.linalg.norm(nadir, axis=1)[:, None]
    up = geodetic_to_ecef(lon, lat, 1.0) - geodetic_to_ecef(lon, lat, 0.0)
    sight = geodetic_to_ecef(lon, lat, 0.0) - position[:, None]
    away = np.linalg.norm(sight, axis=2)
    angle = np.degrees(np.arccos(np.clip(np.einsum("tpi,ti->tp", sight, nadir) / away, -1, 1)))
    return np.where(np.einsum("tpi,pi->tp", sight, up) < 0, angle, 180.0).min(axis=1)


def _shape(name: str) -> Footprint:
    outline = box(4, 43, 8, 46)
    hole = box(4.1, 43.1, 7.9, 45.9)
    shapes = {
        "square": outline,
        "frame": Polygon(outline.exterior, [hole.exterior]),
        "comb": Polygon(
            [(3, 42), (9, 42), (9, 50), (8.7, 50), (8.7, 42.2), (6, 42.2), (6, 50), (5.8, 50), (5.8, 42.2), (3, 42.2)]
        ),
        "islands": MultiPolygon([box(5, 36, 5.2, 36.2), box(5.4, 39, 5.6, 39.2), box(6, 44, 6.2, 44.2)]),
        "antimeridian": box(178, -19, 183, -16),
        "pole": Polygon([(0, 79), (90, 81), (180, 80), (270, 81)]),
        "south pole": Polygon([(0, -80), (90, -81), (180, -79), (270, -81)]),
    }
    return Footprint.of(shapes[name])


@pytest.mark.parametrize("name", ["square", "frame", "comb", "islands", "antimeridian", "pole", "south pole"])
@pytest.mark.parametrize("limit", [1.0, 12.0])
def test_areas_are_seen_when_any_of_their_points_is(name: str, limit: float):
    """A narrow limit sees through holes and gaps: spans in the middle of which only the inside is below."""
    area = _shape(name)
    found = find_passes(
        [one.elements for one in FLEET], Places.areas([area]), limit, start=START, end=START + 2 * DAY_S
    )
    assert found.place.size
    for index, one in enumerate(FLEET[:2]):
        spans = _spans(found, 0, index)
        around = [np.arange(first - 40, last + 40, 2.0) for first, last in spans[:8]]
        posix = np.concatenate([np.arange(START, START + DAY_S / 4, 60.0), *around])
        posix = np.unique(posix[(posix > START) & (posix < START + 2 * DAY_S)])
        inside = np.zeros(posix.size, dtype=bool)
        edge = np.zeros(posix.size, dtype=bool)
        for first, last in spans:
            inside |= (first <= posix) & (posix <= last)
            edge |= (abs(posix - first) < 0.1) | (abs(posix - last) < 0.1)
        least = _least_over(area, one.elements, posix)
        # What lies between two points, 3 km apart, may be seen while neither is.
        near_limit = (least > limit) & (least < limit + 0.15)
        assert (inside == (least <= limit))[~edge & ~near_limit].all()


def test_the_edges_of_a_span_are_exact():
    """At both ends the best point of a densely drawn outline stands at the limit."""
    area = Footprint.of(Polygon([(5, 44), (5.3, 44.1), (5.2, 44.4), (4.9, 44.2)]))
    outline = shapely.get_coordinates(shapely.segmentize(area.polygons, 1e-3))
    found = find_passes([PLEIADES], Places.areas([area]), 30.0, start=START, end=START + 7 * DAY_S)
    edges = np.concatenate([found.first, found.last])
    assert edges.size >= 12
    least = _least_off_nadir(PLEIADES, *outline.T, edges)
    np.testing.assert_allclose(least, 30.0, atol=2e-3)  # 2 ms of a pass


def test_two_islands_apart_are_two_spans():
    found = find_passes([PLEIADES], Places.areas([_shape("islands")]), 12.0, start=START, end=START + 20 * DAY_S)
    gaps = found.first[1:] - found.last[:-1]
    assert (gaps > 0).all()
    assert (gaps < 300).any()


def test_over_the_inside_no_edge_is_seen():
    """A satellite that looks straight down over a wide area, from a window that begins and ends over its inside."""
    area = Footprint.of(box(-20, -20, 20, 20))
    whole = find_passes([PLEIADES], Places.areas([area]), 1.0, start=START, end=START + DAY_S)
    longest = int(np.argmax(whole.last - whole.first))
    first, last = whole.first[longest], whole.last[longest]
    assert last - first > 300
    cut = find_passes([PLEIADES], Places.areas([area]), 1.0, start=first + 100, end=last - 100)
    assert _spans(cut, 0, 0) == [(pytest.approx(first + 100), pytest.approx(last - 100))]


places = st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None)
@given(where=places, limit=st.floats(0.5, 65), hours=st.floats(0.001, 12))
def test_many_places_are_as_one_by_one_and_as_brute_force(where, limit: float, hours: float):
    lon, lat = np.array(where).T
    elements, end = [one.elements for one in FLEET], START + 3600 * hours
    found = find_passes(elements, Places.points(lon, lat), limit, start=START, end=end)
    order = np.lexsort((found.first, found.place))
    assert (order == np.arange(order.size)).all()
    posix = np.linspace(START, end, 1500)
    for place in range(lon.size):
        alone = find_passes(elements, Places.points(lon[place], lat[place]), limit, start=START, end=end)
        for index in range(len(elements)):
            spans = _spans(found, place, index)
            assert spans == _spans(alone, 0, index)
            inside, edge = np.zeros((2, posix.size), dtype=bool)
            for first, last in spans:
                inside |= (first <= posix) & (posix <= last)
                edge |= (abs(posix - first) < 0.01) | (abs(posix - last) < 0.01)
            target, (position, _) = Target(lon[place], lat[place]), ecef_state(elements[index], posix)
            holds = (target.off_nadir_deg(position) <= limit) & (target.elevation_deg(position) >= 0)
            assert (holds == inside)[~edge].all()


@settings(max_examples=15, deadline=None)
@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-89, 89),
    size=st.floats(1e-4, 1.0),
    limit=st.floats(1, 40),
    turn=st.floats(0, 90),
)
def test_a_larger_area_is_seen_for_longer(lon: float, lat: float, size: float, limit: float, turn: float):
    def around(half: float) -> Footprint:
        angles = np.radians(turn + np.arange(0, 360, 60))
        stretch = 1 / max(np.cos(np.radians(lat)), 0.05)
        points = np.stack([lon + half * stretch * np.cos(angles), lat + half * np.sin(angles)], axis=1)
        return Footprint.of(Polygon(points))

    elements = [one.elements for one in FLEET]
    sizes = [around(size), around(size / 3)]
    found = find_passes(elements, Places.areas(sizes), limit, start=START, end=START + DAY_S)
    for index in range(len(elements)):
        large, small = (_spans(found, place, index) for place in (0, 1))
        for first, last in small:
            assert any(a <= first + 1e-3 and last - 1e-3 <= b for a, b in large)


def test_hovering_and_nothing_at_all():
    found = find_passes(
        [GAOFEN_4, PLEIADES], Places.points([105.0, -75.0], [10.0, 10.0]), 8.0, start=START, end=START + DAY_S
    )
    assert _spans(found, 0, 0) == [(START, START + DAY_S)]
    assert _spans(found, 1, 0) == []
    assert find_passes([], Places.points(0, 0), 8.0, start=START, end=START + 1).place.size == 0
    assert find_passes([PLEIADES], Places.points(0, 0), 8.0, start=START, end=START).place.size == 0
    assert find_passes([PLEIADES], Places.areas([]), 8.0, start=START, end=START + 99).place.size == 0
