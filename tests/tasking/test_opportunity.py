"""Oracles: skyfield with its own frames and UT1, every second; a golden list of its passes; bare geometry."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import Polygon, box
from skyfield.api import load, wgs84
from skyfield.framelib import itrs

from catalog.extent import Footprint, TimeWindow
from tasking.errors import ElementSetError, InvalidOrderError
from tasking.opportunity import Opportunity, find_opportunities
from tasking.orbit import ecef_state, ecef_to_geodetic, enu_axes, geodetic_to_ecef, sun_angles
from tasking.order import FILTER_PROPERTIES
from tasking.satellite import Satellite, read_element_sets
from tests.tasking.fleet import EPOCH, FLEET, GAOFEN_4, PLEIADES, in_skyfield, satellite

PLACES = {
    "ventoux": Footprint.of(box(5.2, 44.1, 5.36, 44.24)),
    "equator": Footprint.of(box(-70.1, -0.1, -69.9, 0.1)),
    "antimeridian": Footprint.of(box(179.9, -17.1, 180.1, -16.9)),
    "north": Footprint.of(box(10, 80, 11, 80.1)),
    "north pole": Footprint.of(Polygon([(0, 89.9), (90, 89.9), (180, 89.9), (270, 89.9)])),
    "south pole": Footprint.of(box(-180, -90, 180, -89.9)),
}


def _days(count: float, start: datetime = EPOCH) -> TimeWindow:
    return TimeWindow(start=start, end=start + timedelta(days=count))


def _find(
    area: Footprint,
    window: TimeWindow,
    satellites: Sequence[Satellite] = FLEET,
    *,
    off_nadir: float = 30.0,
    sun: float = -90.0,
) -> tuple[Opportunity, ...]:
    return find_opportunities(area, window, satellites, max_off_nadir_deg=off_nadir, min_sun_elevation_deg=sun)


def _angles(satellite: Satellite, area: Footprint, posix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Off-nadir angle and elevation by plain vectors, straight from SGP4."""
    lon, lat = area.centre
    target, up = geodetic_to_ecef(lon, lat, 0), enu_axes(lon, lat)[2]
    position, _ = ecef_state(satellite.elements, posix)
    sight = target - position
    sight /= np.linalg.norm(sight, axis=1)[:, None]
    below_lon, below_lat, _ = ecef_to_geodetic(position)
    nadir = -enu_axes(below_lon, below_lat)[:, 2]
    off_nadir = np.degrees(np.arctan2(np.linalg.norm(np.cross(sight, nadir), axis=1), (sight * nadir).sum(axis=1)))
    return off_nadir, np.degrees(np.arcsin(np.clip(-sight @ up, -1, 1)))


def _skyfield_off_nadir(elements, area: Footprint, seconds: np.ndarray) -> np.ndarray:
    """With skyfield's frames, nutation and UT1; 180 where the satellite is below the horizon."""
    lon, lat = area.centre
    timescale = load.timescale(builtin=True)
    there = in_skyfield(elements, timescale)
    place = wgs84.latlon(lat, lon)
    times = timescale.utc(EPOCH.year, EPOCH.month, EPOCH.day, 0, 0, seconds)
    seen = there.at(times)
    position = seen.frame_xyz(itrs).m.T
    below = wgs84.geographic_position_of(seen)
    phi, lam = below.latitude.radians, below.longitude.radians
    up = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
    sight = position - place.itrs_xyz.m
    angle = np.degrees(np.arctan2(np.linalg.norm(np.cross(sight, up), axis=1), (sight * up).sum(axis=1)))
    phi, lam = np.radians([lat, lon])
    vertical = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    return np.where(sight @ vertical > 0, angle, 180.0)


def _seconds(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()


@pytest.mark.parametrize("name", PLACES)
def test_passes_are_those_of_skyfield(name: str):
    area, one = PLACES[name], FLEET[name == "ventoux"]
    limit, days = (58.0, 0.25) if "pole" in name else (45.0, 0.75)
    found = _find(area, _days(days), (one,), off_nadir=limit)
    assert found
    every_second = np.arange(0, days * 86400 + 1, 1 if name == "ventoux" else 5)
    inside = np.zeros(every_second.size, dtype=bool)
    near_an_edge = np.zeros(every_second.size, dtype=bool)
    for each in found:
        first, last = _seconds(each.window.start), _seconds(each.window.end)
        inside |= (first <= every_second) & (every_second <= last)
        near_an_edge |= (abs(every_second - first) < 0.05) | (abs(every_second - last) < 0.05)
    expected = _skyfield_off_nadir(one.elements, area, every_second) <= limit
    assert (inside == expected)[~near_an_edge].all()
    for each in found:
        edges = np.array([_seconds(each.window.start), _seconds(each.window.end)])
        edges = edges[(edges > 0) & (edges < every_second[-1])]
        before, after = (_skyfield_off_nadir(one.elements, area, edges + late) - limit for late in (-0.02, 0.02))
        assert (before * after < 0).all()
        around = _seconds(each.best) + np.linspace(-5, 5, 501)
        angles = _skyfield_off_nadir(one.elements, area, around)
        if _seconds(each.window.start) < around[0] and around[-1] < _seconds(each.window.end):
            assert abs(around[angles.argmin()] - _seconds(each.best)) <= 0.05
            assert each.off_nadir_deg == pytest.approx(angles.min(), abs=0.005)


SKYFIELD_PASSES = [
    # start, end, best, off-nadir, incidence: skyfield 1.55, Pléiades 1A over 5.28° E 44.17° N, 30°
    ("2026-04-15T10:29:21.362", "2026-04-15T10:31:01.999", "2026-04-15T10:30:11.731", 18.1612, 20.2456),
    ("2026-04-15T21:35:41.197", "2026-04-15T21:37:42.174", "2026-04-15T21:36:41.611", 2.0465, 2.2721),
    ("2026-04-17T21:21:01.498", "2026-04-17T21:22:18.974", "2026-04-17T21:21:40.205", 24.0876, 26.9429),
    ("2026-04-18T10:55:41.244", "2026-04-18T10:57:10.201", "2026-04-18T10:56:25.761", 21.6088, 24.1344),
    ("2026-04-20T10:40:23.348", "2026-04-20T10:42:24.668", "2026-04-20T10:41:24.080", 0.9831, 1.0915),
    ("2026-04-20T21:47:00.215", "2026-04-20T21:48:47.332", "2026-04-20T21:47:53.713", 15.4152, 17.1628),
]


def test_golden_passes():
    """A small area, so that its centroid is the point that skyfield was given."""
    area = Footprint.of(box(5.2799, 44.1699, 5.2801, 44.1701))
    found = _find(area, _days(7), FLEET[:1])
    assert len(found) == len(SKYFIELD_PASSES)
    for one, (start, end, best, off_nadir, incidence) in zip(found, SKYFIELD_PASSES, strict=True):
        for moment, text, tolerance_s in (
            (one.window.start, start, 0.02),
            (one.window.end, end, 0.02),
            (one.best, best, 0.05),
        ):
            assert abs(moment - datetime.fromisoformat(text).replace(tzinfo=UTC)).total_seconds() < tolerance_s
        assert one.off_nadir_deg == pytest.approx(off_nadir, abs=0.003)
        assert one.incidence_deg == pytest.approx(incidence, abs=0.003)
        assert one.orbit_state == ("descending" if best[11] == "1" else "ascending")
    assert [one.satellite_id for one in _find(area, _days(7), FLEET[:1], sun=10)] == ["pleiades"] * 3


places = st.one_of(
    st.tuples(st.floats(-180, 180), st.floats(-85, 85)),
    st.tuples(st.floats(179.9, 180.1), st.floats(-85, 85)),
    st.tuples(st.floats(-180, 180), st.sampled_from([-89.95, 89.95])),
)


@settings(max_examples=40, deadline=None)
@given(
    place=places,
    which=st.sampled_from(FLEET),
    late_s=st.floats(0, 2 * 86400),
    duration_s=st.floats(0, 86400),
    limit=st.floats(0.5, 60),
    sun=st.one_of(st.just(-90.0), st.floats(-20, 60)),
)
def test_every_limit_holds_inside_and_one_fails_outside(*, place, which, late_s, duration_s, limit, sun):
    lon, lat = place
    area = Footprint.of(box(lon - 0.03, lat - 0.03, lon + 0.03, lat + 0.03))
    start = EPOCH + timedelta(seconds=round(late_s, 3))
    window = TimeWindow(start=start, end=start + timedelta(seconds=round(duration_s, 3)))
    found = _find(area, window, (which,), off_nadir=limit, sun=sun)
    assert list(found) == sorted(found, key=lambda one: one.best)
    assert len({one.id for one in found}) == len(found)
    posix = np.linspace(window.start.timestamp(), window.end.timestamp(), 4000)
    inside = np.zeros(posix.size, dtype=bool)
    edge = np.zeros(posix.size, dtype=bool)
    previous = window.start
    for one in found:
        assert previous <= one.window.start < one.window.end <= window.end
        assert one.window.start <= one.best <= one.window.end
        assert one.off_nadir_deg <= limit + 1e-6
        assert one.sun_elevation_deg >= sun - 1e-6
        previous = one.window.end
        first, last = one.window.start.timestamp(), one.window.end.timestamp()
        inside |= (first <= posix) & (posix <= last)
        edge |= (abs(posix - first) < 0.02) | (abs(posix - last) < 0.02)
        within = np.linspace(first, last, 50)
        assert one.off_nadir_deg <= _angles(which, area, within)[0].min() + 1e-5
    off_nadir, elevation = _angles(which, area, posix)
    holds = (off_nadir <= limit) & (elevation >= 0) & (sun_angles(*area.centre, posix)[1] >= sun)
    assert (holds == inside)[~edge].all()


def test_a_pass_shorter_than_a_step_is_found():
    area = PLACES["ventoux"]
    best = _find(area, _days(3), FLEET[:1])[0]
    for above, longest in ((1e-2, 5.0), (1e-4, 0.6), (1e-6, 0.1)):
        found = _find(area, _days(3), FLEET[:1], off_nadir=best.off_nadir_deg + above)
        brief = next(one for one in found if abs(one.best - best.best) < timedelta(seconds=1))
        assert timedelta(0) < brief.window.end - brief.window.start < timedelta(seconds=longest)
    missed = _find(area, _days(3), FLEET[:1], off_nadir=best.off_nadir_deg - 1e-6)
    assert all(abs(one.best - best.best) > timedelta(seconds=1) for one in missed)


def test_the_window_cuts_a_pass():
    area = PLACES["ventoux"]
    whole = _find(area, _days(3), FLEET[:1])[0]
    for start, end, best in (
        (whole.best + timedelta(seconds=10), EPOCH + timedelta(days=3), whole.best + timedelta(seconds=10)),
        (EPOCH, whole.best - timedelta(seconds=10), whole.best - timedelta(seconds=10)),
        (whole.best - timedelta(seconds=1), whole.best + timedelta(seconds=2), whole.best),
    ):
        found = _find(area, TimeWindow(start=start, end=end), FLEET[:1])
        cut = min(found, key=lambda one: abs(one.best - whole.best))
        assert abs((cut.window.start - max(start, whole.window.start)).total_seconds()) < 0.001
        assert abs((cut.window.end - min(end, whole.window.end)).total_seconds()) < 0.001
        assert abs((cut.best - best).total_seconds()) < 0.001
    assert _find(area, TimeWindow(start=whole.best, end=whole.best), FLEET[:1]) == ()


def test_nothing_is_seen_through_the_earth():
    """A satellite on the far side looks at the place with a small off-nadir angle, through the ground."""
    area = PLACES["equator"]
    fleet = [satellite(one.id, one.elements, max_off_nadir_deg=90) for one in FLEET]
    found = _find(area, _days(1), fleet, off_nadir=89)
    assert found
    for one in found:
        assert one.incidence_deg < 90.001
        which = next(each for each in fleet if each.id == one.satellite_id)
        edges = np.array([one.window.start.timestamp(), one.window.end.timestamp()])
        inner = [one.window.start > EPOCH, one.window.end < EPOCH + timedelta(days=1)]
        assert np.abs(_angles(which, area, edges)[1][inner]).max(initial=0) < 0.01


def test_a_satellite_that_stays_is_one_opportunity_a_day():
    """Geostationary, 105° E: the whole window, or its daylight."""
    area, there = Footprint.of(box(104.5, 9.5, 105.5, 10.5)), (satellite("gaofen-4", GAOFEN_4),)
    (always,) = _find(area, _days(3), there)
    assert (always.window.start, always.window.end) == (EPOCH, EPOCH + timedelta(days=3))
    by_day = _find(area, _days(3), there, sun=0)
    assert len(by_day) in (3, 4)
    assert all(timedelta(0) < one.window.end - one.window.start < timedelta(hours=13) for one in by_day)


def test_how_it_is_seen():
    """Angles against pyproj, the camera's own figures, and the sign of the track."""
    geod = Geod(ellps="WGS84")
    area = PLACES["ventoux"]
    lon, lat = area.centre
    for one in _find(area, _days(7)):
        which = next(each for each in FLEET if each.id == one.satellite_id)
        position, _ = ecef_state(which.elements, one.best.timestamp() + np.array([-1.0, 0.0, 1.0]))
        below_lon, below_lat, height = ecef_to_geodetic(position)
        azimuth, _, distance = geod.inv(below_lon[1], below_lat[1], lon, lat)
        if distance > 50_000:
            assert (one.azimuth_deg - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=0.2)
            # At the best time the camera looks square to the track.
            square = (one.azimuth_deg - one.heading_deg) % 180
            assert square == pytest.approx(90, abs=6)
        assert (one.orbit_state == "ascending") == (below_lat[2] > below_lat[0])
        assert one.incidence_deg > one.off_nadir_deg
        slant = np.linalg.norm(position[1] - geodetic_to_ecef(lon, lat, 0))
        across, along = slant / height[1], slant / height[1] / np.cos(np.radians(one.incidence_deg))
        assert one.gsd_m == pytest.approx(2.0 * np.sqrt(across * along))
        assert one.swath_m == pytest.approx(20_000 * across)
        azimuth, elevation = sun_angles(lon, lat, one.best.timestamp())
        assert (one.sun_azimuth_deg, one.sun_elevation_deg) == pytest.approx((azimuth, elevation), abs=1e-4)
        assert 6500 < one.ground_speed_m_s < 7500


def test_heading_is_the_ground_track_below_the_satellite():
    one = min(_find(PLACES["ventoux"], _days(7)), key=lambda one: one.off_nadir_deg)
    assert one.off_nadir_deg < 1
    which = next(each for each in FLEET if each.id == one.satellite_id)
    position, _ = ecef_state(which.elements, one.best.timestamp() + np.array([-0.5, 0.5]))
    lon, lat, _ = ecef_to_geodetic(position)
    azimuth, _, distance = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])
    assert one.heading_deg == pytest.approx(azimuth % 360, abs=0.2)
    assert one.ground_speed_m_s == pytest.approx(distance, rel=0.003)


def test_properties_are_what_a_filter_may_speak_of():
    one = _find(PLACES["ventoux"], _days(3))[0]
    assert one.properties.keys() == FILTER_PROPERTIES.keys()
    assert {type(value) for value in one.properties.values()} == {float, str}
    assert one.properties["platform"] == one.satellite_id


@pytest.mark.parametrize("name", PLACES)
def test_one_strip_shows_all_of_an_area_narrower_than_the_swath(name: str):
    area = PLACES[name]
    wide = satellite("wide", PLEIADES, swath_m=40_000)
    for one in _find(area, _days(1), (wide,), off_nadir=58):
        shown = one.footprint.intersection(area)
        assert shown is not None
        assert shown.area_km2 == pytest.approx(area.area_km2, rel=1e-3)
        assert shapely.is_valid(one.footprint.polygons)
        assert one.footprint.area_km2 < 40 * 4 * 40


def test_an_area_over_the_antimeridian_is_the_same_however_it_is_written():
    ways = [
        Footprint.of(box(179.9, -17.1, 180.1, -16.9)),
        Footprint.of(box(-180.1, -17.1, -179.9, -16.9)),
        Footprint.from_geojson(
            {
                "type": "Polygon",
                "coordinates": [[[179.9, -17.1], [-179.9, -17.1], [-179.9, -16.9], [179.9, -16.9], [179.9, -17.1]]],
            }
        ),
    ]
    first, *others = [_find(area, _days(2)) for area in ways]
    assert first
    for other in others:
        assert [one.satellite_id for one in other] == [one.satellite_id for one in first]
        for a, b in zip(first, other, strict=True):
            assert abs((a.best - b.best).total_seconds()) < 0.001
            assert a.footprint.bbox.crosses_antimeridian


def test_repeats_itself():
    assert _find(PLACES["ventoux"], _days(2)) == _find(PLACES["ventoux"], _days(2))


def test_the_satellites_own_limit_holds_too():
    area = PLACES["ventoux"]
    narrow = satellite("pleiades", PLEIADES, max_off_nadir_deg=10)
    assert _find(area, _days(7), (narrow,), off_nadir=45) == _find(area, _days(7), (narrow,), off_nadir=10)
    assert len(_find(area, _days(7), (narrow,))) == 2


def test_what_cannot_be_searched():
    with pytest.raises(InvalidOrderError, match="open at an end"):
        _find(PLACES["ventoux"], TimeWindow(start=EPOCH, end=None))
    with pytest.raises(ElementSetError, match="element set 40536"):
        _find(PLACES["ventoux"], _days(1, EPOCH + timedelta(days=30 * 365)))
    assert _find(PLACES["ventoux"], _days(1), ()) == ()
    apart = Footprint.of(shapely.MultiPolygon([box(0, 40, 0.1, 40.1), box(30, 40, 30.1, 40.1)]))
    with pytest.raises(InvalidOrderError, match="one order spans at most"):
        _find(apart, _days(2), off_nadir=60)


@pytest.mark.slow
def test_many_real_satellites_against_bare_geometry(shared: Path):
    """All published sets, low and high, eccentric and geostationary: what holds every 7 s is what was found."""
    area = PLACES["ventoux"]
    sets = read_element_sets(next((shared / "data" / "tle").glob("*.tle")).read_text())
    fleet = tuple(satellite(f"s{i}", elements) for i, (_, elements) in enumerate(sets[::4]))
    found = _find(area, _days(1), fleet, off_nadir=35)
    posix = EPOCH.timestamp() + np.arange(0, 86400, 7.0)
    for one in fleet:
        inside = np.zeros(posix.size, dtype=bool)
        edge = np.zeros(posix.size, dtype=bool)
        for each in found:
            if each.satellite_id == one.id:
                first, last = each.window.start.timestamp(), each.window.end.timestamp()
                inside |= (first <= posix) & (posix <= last)
                edge |= (abs(posix - first) < 0.02) | (abs(posix - last) < 0.02)
        off_nadir, elevation = _angles(one, area, posix)
        assert (((off_nadir <= 35) & (elevation >= 0)) == inside)[~edge].all()


def test_a_part_of_an_area_that_comes_within_the_limit():
    """With the centre out of reach the strip lies where the satellite can look, and the share says how much that is."""
    area = Footprint.of(box(2, 43, 8, 45))
    narrow = (satellite("pleiades", PLEIADES, swath_m=60_000),)
    limits = {"max_off_nadir_deg": 15.0, "min_sun_elevation_deg": -90.0}
    centred = find_opportunities(area, _days(7), narrow, **limits)
    found = find_opportunities(area, _days(7), narrow, **limits, any_part=True)
    assert len(found) > len(centred) > 0
    for one in centred:
        (wider,) = [other for other in found if abs(other.best - one.best) < timedelta(seconds=0.01)]
        assert wider.window.start <= one.window.start < one.window.end <= wider.window.end
        assert wider.off_nadir_deg == pytest.approx(one.off_nadir_deg, abs=1e-4)
    partial = [one for one in found if one.off_nadir_deg > 14.999]
    assert len(partial) == len(found) - len(centred)
    for one in found:
        assert one.off_nadir_deg <= 15 + 1e-4
        seen = area.intersection(one.footprint)
        assert one.covered_share == pytest.approx(0 if seen is None else seen.area_km2 / area.area_km2, abs=1e-3)
    assert 0.05 < max(one.covered_share for one in partial) < 0.5


def test_azimuths_at_both_ends_of_the_line_of_sight():
    geod = Geod(ellps="WGS84")
    area = PLACES["north"]
    checked = 0
    for one in _find(area, _days(1), off_nadir=50):
        which = next(each for each in FLEET if each.id == one.satellite_id)
        lon, lat, _ = ecef_to_geodetic(ecef_state(which.elements, one.best.timestamp())[0][0])
        there, back, distance = geod.inv(lon, lat, *area.centre)
        if distance > 50_000:
            assert (one.azimuth_deg - there + 180) % 360 - 180 == pytest.approx(0, abs=0.3)
            assert (one.satellite_azimuth_deg - back + 180) % 360 - 180 == pytest.approx(0, abs=0.3)
            checked += 1
    assert checked > 3


def test_the_outlook_comes_from_the_forecast_and_the_element_set():
    class Fair:
        def clear_sky(self, lon, lat, posix):  # noqa: ARG002
            return np.full(np.shape(posix), 0.875)

    area = PLACES["ventoux"]
    window = {"max_off_nadir_deg": 30.0, "min_sun_elevation_deg": -90.0}
    found = find_opportunities(area, _days(7), FLEET[:1], **window, forecast=Fair())
    usual = find_opportunities(area, _days(7), FLEET[:1], **window)
    assert {one.clear_sky for one in found} == {0.875}
    assert {0.2 < one.clear_sky < 0.6 for one in usual} == {True}
    ages = [one.outlook["overflight:element_set_age_days"] for one in found]
    assert ages == sorted(ages)
    # The epoch is day 103.92452051 of 2026, April 13.
    assert ages[0] == pytest.approx(
        (found[0].best - datetime(2026, 4, 13, tzinfo=UTC)).total_seconds() / 86400 - 0.9245, abs=0.01
    )
    widening = [one.outlook["overflight:widening_s"] for one in found]
    assert widening == sorted(widening)
