"""Oracles: skyfield (frames), pyproj (ellipsoid), NREL's algorithm and astropy's ephemeris (Sun), Vallado's example."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyfield.api import load
from skyfield.framelib import itrs

from tasking import pass_kernel
from tasking.errors import ElementSetError
from tasking.orbit import (
    EQUATOR_M,
    Ephemeris,
    _sidereal_time,
    _turned,
    ecef_state,
    ecef_to_geodetic,
    enu_axes,
    geodetic_to_ecef,
    sun_angles,
    sun_direction,
    vertical,
)
from tasking.satellite import ElementSet, read_element_sets
from tests.tasking.fleet import EPOCH, GAOFEN_4, KOMPSAT, PLEIADES, SENTINEL, in_skyfield

UT1_IS_UTC = 37 + 32.184
"""TT − UT1 of a timescale whose UT1 is UTC."""

longitudes = st.floats(-180, 180)
latitudes = st.floats(-90, 90)


def _skyfield_state(elements: ElementSet, posix: np.ndarray, timescale) -> tuple[np.ndarray, np.ndarray]:
    times = timescale.from_datetimes([datetime.fromtimestamp(one, UTC) for one in posix])
    position, velocity = in_skyfield(elements, timescale).at(times).frame_xyz_and_velocity(itrs)
    return position.m.T, velocity.m_per_s.T


def _all(shared: Path | None = None) -> list[ElementSet]:
    if shared is None:
        return [PLEIADES, KOMPSAT, SENTINEL, GAOFEN_4]
    return [one for _, one in read_element_sets(next((shared / "data" / "tle").glob("*.tle")).read_text())]


def test_states_are_those_of_skyfield_where_ut1_is_utc(shared: Path):
    timescale = load.timescale(builtin=True, delta_t=UT1_IS_UTC)
    posix = EPOCH.timestamp() + np.arange(
        -86400.0, 3 * 86400, 5791
    )  # whole seconds: a datetime rounds to a microsecond
    for elements in _all(shared):
        position, velocity = ecef_state(elements, posix)
        expected, expected_velocity = _skyfield_state(elements, posix, timescale)
        np.testing.assert_allclose(position, expected, atol=0.001, rtol=0)
        np.testing.assert_allclose(velocity, expected_velocity, atol=0.001, rtol=0)


def test_ut1_moves_states_by_no_more_than_the_earth_turns():
    timescale = load.timescale(builtin=True)
    posix = EPOCH.timestamp() + np.linspace(0, 3 * 86400, 60)
    turn = abs(timescale.utc(2026, 4, 14).dut1) * 7.2921e-5
    assert turn > 0
    for elements in _all():
        position, _ = ecef_state(elements, posix)
        expected, _ = _skyfield_state(elements, posix, timescale)
        off = np.linalg.norm(position - expected, axis=1)
        assert (off <= turn * np.linalg.norm(position, axis=1) * 1.05 + 0.1).all()


def test_turning_with_the_earth_as_vallado_does():
    """Vallado et al. 2006, appendix C: TEME to PEF on 2004-04-06 07:51:28.386009 UTC, UT1 − UTC = −0.439962 s."""
    ut1 = datetime(2004, 4, 6, 7, 51, 28, 386009, tzinfo=UTC).timestamp() - 0.4399619
    angle, rate = _sidereal_time(np.array([ut1]))
    position = _turned(np.array([[5094.18016210, 6127.64465950, 6380.34453270]]), angle)[0]
    np.testing.assert_allclose(position, [-1033.47503130, 7901.30558560, 6380.34453270], atol=2e-6)
    velocity = _turned(np.array([[-4.746131487, 0.785818041, 5.531931288]]), angle)[0]
    velocity -= np.cross([0, 0, rate], position)
    np.testing.assert_allclose(velocity, [-3.2256327470, -2.8724425110, 5.5319312880], atol=2e-8)


def test_velocity_is_the_slope_of_the_position():
    start = EPOCH.timestamp()
    position, velocity = ecef_state(PLEIADES, start + np.array([-0.5, 0.0, 0.5]))
    np.testing.assert_allclose(position[2] - position[0], velocity[1], atol=0.01)


def test_interpolation_between_steps():
    """What the compiled search sees between the steps is where SGP4 has the satellite, and its vertical."""
    start = EPOCH.timestamp()
    posix = start + np.linspace(0, 86000, 1501)
    seen = np.empty(6)
    for elements in _all():
        ephemeris = Ephemeris.of(elements, start=start, end=start + 86000)
        expected, _ = ecef_state(elements, posix)
        for moment, position in zip(posix, expected, strict=True):
            pass_kernel._look(ephemeris.position_m, ephemeris.velocity_m_s, ephemeris.step_s, moment - start, seen)
            np.testing.assert_allclose(seen[:3], position, atol=0.5, rtol=0)
            np.testing.assert_allclose(seen[3:], vertical(seen[:3]), atol=1e-12, rtol=0)
        assert ephemeris.start == start
        assert ephemeris.step_s * (len(ephemeris.position_m) - 1) == pytest.approx(86000)


def test_a_decayed_satellite_is_said_to_be():
    with pytest.raises(ElementSetError, match=r"element set 40536: cannot be propagated to 2056-04-\d\dT.*newer"):
        ecef_state(KOMPSAT, EPOCH.timestamp() + np.array([0.0, 30 * 365.25 * 86400]))


@given(lon=longitudes, lat=latitudes, height=st.floats(-1e6, 4e7))
def test_ellipsoid_as_proj_has_it(lon: float, lat: float, height: float):
    proj = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    position = geodetic_to_ecef(lon, lat, height)
    np.testing.assert_allclose(position, proj.transform(lon, lat, height), atol=1e-7, rtol=1e-15)
    back_lon, back_lat, back_height = ecef_to_geodetic(position)
    np.testing.assert_allclose(geodetic_to_ecef(back_lon, back_lat, back_height), position, atol=1e-6)
    assert back_lat == pytest.approx(lat, abs=1e-11)
    assert back_height == pytest.approx(height, abs=1e-6)
    np.testing.assert_allclose(vertical(position), enu_axes(lon, lat)[2], atol=1e-12)


def test_poles_and_equator():
    positions = np.array([[0.0, 0.0, 7e6], [0.0, 0.0, -7e6], [EQUATOR_M + 1, 0, 0], [-EQUATOR_M, -0.0, 0]])
    lon, lat, height = ecef_to_geodetic(positions)
    np.testing.assert_allclose(lat, [90, -90, 0, 0])
    np.testing.assert_allclose(height, [7e6 - 6356752.314245, 7e6 - 6356752.314245, 1, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(lon[2:]), [0, 180])
    np.testing.assert_allclose(vertical(positions)[:2], [[0, 0, 1], [0, 0, -1]], atol=1e-15)


@given(lon=longitudes, lat=latitudes)
def test_axes_are_orthonormal_and_right_handed(lon: float, lat: float):
    axes = enu_axes(lon, lat)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-14)
    step = geodetic_to_ecef(lon, min(lat + 1e-5, 90), 0) - geodetic_to_ecef(lon, lat, 0)
    assert step @ axes[1] >= 0


def test_shapes_broadcast():
    assert geodetic_to_ecef([1, 2, 3], 4, 0.0).shape == (3, 3)
    assert enu_axes([1, 2, 3], 4).shape == (3, 3, 3)
    assert sun_direction(np.zeros((2, 5))).shape == (2, 5, 3)
    assert sun_angles(1, 2, np.zeros(4))[0].shape == (4,)
    assert sun_angles(np.zeros((2, 4)), 2, np.zeros(4))[1].shape == (2, 4)


@pytest.mark.parametrize(
    ("moment", "direction"),
    [
        ("2018-01-03T05:00:00+00:00", [-0.2554247, 0.8856082, -0.387887]),
        ("2024-06-20T20:51:00+00:00", [-0.6175247, -0.6785656, 0.3977587]),
        ("2026-04-13T10:30:00+00:00", [0.9113316, 0.3798684, 0.1586657]),
        ("2026-09-23T00:05:00+00:00", [-0.9985242, 0.0543084, 1.9e-06]),
        ("2030-12-21T18:00:00+00:00", [-0.0072558, -0.9174889, -0.3976953]),
    ],
)
def test_sun_as_astropy_has_it(moment: str, direction: list[float]):
    """astropy 8.0: get_body("sun") in ITRS."""
    found = sun_direction(datetime.fromisoformat(moment).timestamp())
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.degrees(np.linalg.norm(found - direction)) < 0.01


def test_sun_angles_of_nrels_example():
    """Reda & Andreas, NREL/TP-560-34302, table A5.1: zenith 50.11162°, of which refraction has taken 0.01633°."""
    posix = datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC).timestamp()
    azimuth, elevation = sun_angles(-105.1786, 39.742476, posix)
    assert azimuth == pytest.approx(194.340241, abs=0.01)
    assert elevation == pytest.approx(90 - 50.11162 - 0.01633, abs=0.01)


def test_sun_angles_at_the_subsolar_point_and_its_antipode():
    posix = EPOCH.timestamp()
    lon, lat, _ = ecef_to_geodetic(sun_direction(posix) * EQUATOR_M)
    lat = np.degrees(np.arcsin(sun_direction(posix)[2]))
    assert sun_angles(lon, lat, posix)[1] == pytest.approx(90, abs=1e-4)
    assert sun_angles(lon + 180, -lat, posix)[1] == pytest.approx(-90, abs=1e-4)
    east, west = (sun_angles(lon + turn, lat, posix)[0] for turn in (-45, 45))
    assert 0 < east < 180 < west < 360
