"""Oracle: proj's azimuthal equidistant plane. Property: strips cover the area, whatever its shape and place."""

import itertools
import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import MultiPolygon, Polygon, box

from catalog.extent import Footprint
from tasking.errors import InvalidOrderError
from tasking.strip import TrackPlane, coverage, free_heading_deg, strips

GEOD = Geod(ellps="WGS84")


def _star(lon: float, lat: float, radii_m: list[float]) -> Footprint:
    """A polygon around a place, by distance and direction."""
    azimuths = np.linspace(0, 360, len(radii_m), endpoint=False)
    outline = [GEOD.fwd(lon, lat, azimuth, radius)[:2] for azimuth, radius in zip(azimuths, radii_m, strict=True)]
    # A polygon around a pole has to be fine: GeoJSON's edges run along parallels there.
    lons, lats = np.array(outline).T
    if abs(lat) > 89:
        lons, lats = [], []
        for (lon0, lat0), (lon1, lat1) in zip(outline, [*outline[1:], outline[0]], strict=True):
            between = GEOD.npts(lon0, lat0, lon1, lat1, 30)
            lons += [lon0, *(one[0] for one in between)]
            lats += [lat0, *(one[1] for one in between)]
    return Footprint.of(Polygon(list(zip(lons, lats, strict=True))))


def _in_proj(area: Footprint, centre: tuple[float, float], heading_deg: float) -> np.ndarray:
    """Along and across of an area's dense outline, by proj."""
    plane = pyproj.Proj(proj="aeqd", lon_0=centre[0], lat_0=centre[1], ellps="WGS84")
    x, y = plane(*shapely.get_coordinates(shapely.segmentize(area.polygons, 0.05)).T)
    turn = math.radians(heading_deg)
    return np.stack([x * math.sin(turn) + y * math.cos(turn), x * math.cos(turn) - y * math.sin(turn)], axis=1)


places = st.one_of(
    st.tuples(st.floats(-180, 180), st.floats(-80, 80)),
    st.tuples(st.floats(179.5, 180.5), st.floats(-80, 80)),
    st.tuples(st.floats(-180, 180), st.sampled_from([-90.0, 90.0, 89.7, -89.8])),
)


@settings(max_examples=60, deadline=None)
@given(
    place=places,
    radii=st.lists(st.floats(10_000, 90_000), min_size=4, max_size=12),
    heading=st.floats(0, 360),
    swath=st.floats(8_000, 60_000),
    overlap=st.floats(0, 2_000),
)
def test_strips_cover_the_area_and_no_more(place, radii, heading, swath, overlap):
    area = _star(*place, radii)
    pieces = strips(area, heading_deg=heading, swath_m=swath, overlap_m=overlap)
    assert shapely.union_all([piece.polygons for piece in pieces]).symmetric_difference(
        area.polygons
    ).area == pytest.approx(0, abs=1e-9 * area.polygons.area)
    outline = _in_proj(area, area.centre, heading)
    width = np.ptp(outline[:, 1])
    least = max(1, math.ceil((width - overlap - 1) / (swath - overlap)))
    assert len(pieces) in (least, least + (width + 100 > least * (swath - overlap) + overlap))
    for piece in pieces:
        # Straight between vertices is straight on the ground only to some metres, close to a pole more.
        assert np.ptp(_in_proj(piece, area.centre, heading)[:, 1]) <= swath + 260


def test_a_spike_does_not_vanish():
    """GEOS 3.14 densifies this valid polygon to an empty one, where its spike turns into a line."""
    spike = Polygon([(5.674485830502327, 44.37470302050164), (5.438961630044563, 44.50842648824998),
                     (5.491143756002167, 44.478799066422546), (5.520938417613145, 43.393255094964225)])  # fmt: skip
    assert shapely.segmentize(spike, 0.01).is_empty
    area = Footprint.of(spike)
    west = TrackPlane.over(area, 270.0).extent(area)[1]
    assert west == pytest.approx(GEOD.inv(*area.centre, 5.438961630044563, area.centre[1])[2], rel=0.01)
    pieces = strips(area, heading_deg=10.0, swath_m=8_000, overlap_m=0)
    assert sum(piece.area_km2 for piece in pieces) >= area.area_km2 * 0.9999


def test_left_comes_first_and_neighbours_overlap():
    area = Footprint.of(box(5.0, 44.0, 5.5, 44.3))
    pieces = strips(area, heading_deg=0.0, swath_m=15_000, overlap_m=600)
    assert len(pieces) == 3
    wests = [piece.bbox.west for piece in pieces]
    assert wests == sorted(wests)
    for left, right in itertools.pairwise(pieces):
        shared = left.intersection(right)
        assert shared is not None
        assert shared.area_km2 > 0.6 * 33
    # Flown the other way, left is east.
    wests = [piece.bbox.west for piece in strips(area, heading_deg=180.0, swath_m=15_000, overlap_m=600)]
    assert wests == sorted(wests, reverse=True)


def test_an_area_no_wider_than_the_swath_stays_whole():
    area = Footprint.of(box(5.0, 40.0, 5.2, 44.3))
    assert strips(area, heading_deg=1.0, swath_m=40_000, overlap_m=500) == (area,)
    assert len(strips(area, heading_deg=30.0, swath_m=40_000, overlap_m=500)) > 1


def test_strips_of_a_polar_cap_meet_at_the_pole():
    """Two strips without overlap share an edge through the pole itself."""
    for cap in (box(-180, 89.8, 180, 90), box(-180, -90, 180, -89.8)):
        area = Footprint.of(cap)
        pieces = strips(area, heading_deg=0.0, swath_m=22_400, overlap_m=0)
        assert len(pieces) == 2
        assert sum(piece.area_km2 for piece in pieces) == pytest.approx(area.area_km2, rel=0.01)
        covered = pieces[0].union(pieces[1])
        assert covered.area_km2 == pytest.approx(area.area_km2, rel=1e-6)


def test_parts_of_one_area_share_strips():
    parts = MultiPolygon([box(179.7, 10, 179.9, 10.2), box(-179.9, 10, -179.7, 10.2)])
    area = Footprint.of(parts)
    pieces = strips(area, heading_deg=90.0, swath_m=30_000, overlap_m=100)
    assert pieces == (area,)
    assert 2 <= len(strips(area, heading_deg=0.0, swath_m=30_000, overlap_m=100)) <= 3


@given(
    place=places,
    heading=st.floats(0, 360),
    along=st.floats(-300_000, 300_000),
    across=st.floats(-300_000, 300_000),
)
def test_plane_there_and_back(place, heading, along, across):
    plane = TrackPlane(lon=place[0], lat=place[1], heading_deg=heading)
    there = plane.locate(np.array([along]), np.array([across]))
    back = plane.project(*there)
    np.testing.assert_allclose(np.ravel(back), [along, across], atol=1e-3)


def test_plane_at_a_golden_place():
    """From 44° to 45° N are 111,122.0083 m, a degree of longitude at the equator is 111,319.49 m (GeographicLib)."""
    lon, lat = TrackPlane(lon=5.0, lat=44.0, heading_deg=0.0).locate(np.array([111_122.0083]), np.array([0.0]))
    assert (lon[0], lat[0]) == pytest.approx((5.0, 45.0), abs=1e-6)
    lon, lat = TrackPlane(lon=5.0, lat=0.0, heading_deg=90.0).locate(np.array([111_319.49]), np.array([0.0]))
    assert (lon[0], lat[0]) == pytest.approx((6.0, 0.0), abs=1e-6)
    plane = TrackPlane(lon=5.0, lat=44.0, heading_deg=90.0)
    _, south = plane.locate(np.array([0.0]), np.array([10_000.0]))
    assert south[0] < 44  # right of a flight to the east is south


def test_what_cannot_be_cut():
    far = Footprint.of(MultiPolygon([box(0, 0, 1, 1), box(60, 0, 61, 1)]))
    with pytest.raises(
        InvalidOrderError, match=r"reaches 3,\d{3} km from its centre; one order spans at most 1,000 km"
    ):
        strips(far, heading_deg=0, swath_m=20_000, overlap_m=500)
    with pytest.raises(ValueError, match="overlap 20000 m"):
        strips(Footprint.of(box(0, 0, 1, 1)), heading_deg=0, swath_m=20_000, overlap_m=20_000)


@settings(max_examples=25, deadline=None)
@given(
    place=st.tuples(st.floats(-180, 180), st.floats(-80, 80)),  # see `strips` on cuts that run over a pole
    radii=st.lists(st.floats(10_000, 90_000), min_size=4, max_size=10),
    heading=st.floats(0, 360),
    longest=st.floats(20_000, 200_000),
)
def test_pieces_no_longer_than_asked_cover_the_area(place, radii, heading, longest):
    area = _star(*place, radii)
    pieces = strips(area, heading_deg=heading, swath_m=20_000, overlap_m=1_000, max_length_m=longest)
    shown, left = coverage(area, pieces)
    assert shown is not None
    assert shown.area_km2 == pytest.approx(area.area_km2, rel=1e-5)
    assert left is None or left.area_km2 < 1e-5 * area.area_km2
    whole = strips(area, heading_deg=heading, swath_m=20_000, overlap_m=1_000)
    assert len(pieces) >= len(whole)
    for piece in pieces:
        along, across = _in_proj(piece, area.centre, heading).T
        assert np.ptp(across) <= 20_000 + 60
        assert np.ptp(along) <= longest + 60


def test_pieces_along_overlap_as_asked():
    area = _star(10, 45, [60_000] * 12)
    pieces = strips(area, heading_deg=30, swath_m=200_000, overlap_m=2_000, max_length_m=50_000)
    ends = sorted((np.min(one), np.max(one)) for one in (_in_proj(p, area.centre, 30)[:, 0] for p in pieces))
    assert len(pieces) == 3
    for (_, before), (after, _) in itertools.pairwise(ends):
        assert before - after >= 2_000 - 60
    with pytest.raises(ValueError, match="longest piece"):
        strips(area, heading_deg=30, swath_m=20_000, overlap_m=2_000, max_length_m=2_000)


@pytest.mark.parametrize("place", [(10.0, 45.0), (179.9, -60.0), (20.0, 0.0)])
@pytest.mark.parametrize("lie", [0.0, 35.0, 120.0])
def test_a_free_direction_runs_along_a_narrow_area(place, lie):
    """A coast of 160 by 15 km: one strip along it, nine along a track that crosses it."""
    corners = []
    for along, across in ((80e3, 7.5e3), (80e3, -7.5e3), (-80e3, -7.5e3), (-80e3, 7.5e3)):
        azimuth = lie + math.degrees(math.atan2(across, along))
        corners.append(GEOD.fwd(*place, azimuth, math.hypot(along, across))[:2])
    area = Footprint.of(Polygon(corners))
    across = lie + 90
    cut = {"swath_m": 20_000, "overlap_m": 500}
    chosen = free_heading_deg(area, track_deg=across, **cut)
    assert len(strips(area, heading_deg=chosen, **cut)) == 1 < len(strips(area, heading_deg=across, **cut))
    assert min((chosen - lie) % 180, (lie - chosen) % 180) <= 4
    # What may turn only a little gets no worse than the track, and does not turn where that brings nothing.
    little = free_heading_deg(area, track_deg=across, turn_deg=20, **cut)
    assert len(strips(area, heading_deg=little, **cut)) <= len(strips(area, heading_deg=across, **cut))
    assert free_heading_deg(area, track_deg=lie, **cut) == lie


def test_coverage_of_some_of_the_strips():
    area = _star(10, 45, [60_000] * 12)
    first, *others = strips(area, heading_deg=10, swath_m=30_000, overlap_m=1_000)
    shown, left = coverage(area, [first])
    assert (shown.area_km2 + left.area_km2) == pytest.approx(area.area_km2, rel=1e-6)
    assert shown.area_km2 == pytest.approx(first.area_km2, rel=1e-6)
    assert coverage(area, []) == (None, area)
    assert len(others) == 3 or len(others) == 4
