"""Check points of a rigorous camera over ground that is known: a plane, a dome, and both with errors that are known."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from processing.checkpoints import check_independent, measure_checks
from processing.dem import Dem
from processing.errors import SensorModelError
from processing.refine import ControlPoint, refine
from processing.rpc import fit
from tests.processing.pushbroom import Pushbroom, write_heights

GEOD = Geod(ellps="WGS84")
CAMERA = Pushbroom(lon=5.3, lat=44.1)
STEP = 0.0002
AXIS = np.arange(-120, 121) * STEP


def dome(lon, lat):
    """260 m high, 600 m across at half of its height."""
    east, north = (lon - 5.3) * 80_100, (lat - 44.1) * 111_100
    return 400 + 260 * np.exp(-(east**2 + north**2) / (2 * 255**2))


def plane(lon, lat):
    return 500 + 0 * lon


def dem_of(folder, ground, *, wrong_m=0.0):
    lon, lat = np.meshgrid(5.3 + AXIS, 44.1 - AXIS)
    path = folder / "dem.tif"
    write_heights(path, ground(lon, lat) + wrong_m, west=5.3 + AXIS[0], north=44.1 - AXIS[0], step=STEP)
    return Dem.open(path, vertical_datum="ellipsoid")


@pytest.fixture(scope="module")
def rpc():
    return fit(**CAMERA.points()).rpc


def point(name, row, col, ground, *, row_px=0.0, col_px=0.0):
    """Where the camera sees the ground first, as a check point whose image coordinates are off by so much."""

    def crossing(levels):
        """The first level below the ground, and where between it and the one before the ray meets it."""
        above = levels - ground(*CAMERA.ground(np.full(levels.shape, row), np.full(levels.shape, col), levels))
        first = int(np.argmax(above < 0))
        share = above[first - 1] / (above[first - 1] - above[first])
        return levels[first], levels[first - 1] + share * (levels[first] - levels[first - 1])

    below, _ = crossing(np.arange(900.0, 300.0, -2.0))
    _, height = crossing(np.linspace(below + 2, below, 81))
    lon, lat = CAMERA.ground(np.array(row), np.array(col), height)
    return ControlPoint(
        id=name, lon=float(lon), lat=float(lat), height=height, row=row + row_px, col=col + col_px, sigma_px=0.5
    )  # fmt: skip


@lru_cache
def grid_of(ground, **off):
    places = [(row, col) for row in np.linspace(20, 380, 5) for col in np.linspace(20, 280, 5)]
    return [point(f"p{k}", float(row), float(col), ground, **off) for k, (row, col) in enumerate(places)]


def metres(here, there):
    """East and north, m."""
    azimuth, _, length = GEOD.inv(*here, *there)
    return length * np.sin(np.radians(azimuth)), length * np.cos(np.radians(azimuth))


@pytest.mark.parametrize("ground", [plane, dome])
def test_perfect_points_on_perfect_heights(rpc, tmp_path, ground):
    found = measure_checks(rpc, grid_of(ground), source="p.csv", dem=dem_of(tmp_path, ground))
    assert found.rmse_px < 1e-3
    assert found.model.ce90_m < 2e-3
    assert found.product.count == 25
    assert found.product.ce90_m < (0.01 if ground is plane else 0.3), "a dome between its cells is a little lower"
    assert abs(found.dem_median_m) < 0.1
    assert found.errors is found.product


@settings(max_examples=5, deadline=None)
@given(wrong_m=st.floats(-40, 40))
def test_heights_that_are_wrong_move_the_orthoimage_and_not_the_model(rpc, tmp_path_factory, wrong_m):
    """On a plane by tan(incidence) of as much, towards the camera where they are too high: by the camera itself."""
    folder = tmp_path_factory.mktemp("plane")
    points = grid_of(plane)
    found = measure_checks(rpc, points, source="p.csv", dem=dem_of(folder, plane, wrong_m=wrong_m))
    for told, given_point in zip(found.points, points, strict=True):
        there = CAMERA.ground(np.array(given_point.row), np.array(given_point.col), given_point.height + wrong_m)
        east, north = metres((given_point.lon, given_point.lat), (float(there[0]), float(there[1])))
        assert told.product_east_m == pytest.approx(east, abs=0.01)
        assert told.product_north_m == pytest.approx(north, abs=0.01)
        assert told.dem_m == pytest.approx(wrong_m, abs=1e-3)
    assert found.model.ce90_m < 2e-3
    assert found.dem_rmse_m == pytest.approx(abs(wrong_m), abs=1e-3)
    assert found.dem_nmad_m == pytest.approx(0, abs=1e-3)


def test_on_a_dome_the_ray_comes_down_where_it_meets_the_wrong_surface_first(rpc, tmp_path):
    wrong = 25.0
    points = grid_of(dome)
    found = measure_checks(rpc, points, source="p.csv", dem=dem_of(tmp_path, dome, wrong_m=wrong))
    for told, given_point in zip(found.points, points, strict=True):
        there = point("q", given_point.row, given_point.col, lambda lon, lat: dome(lon, lat) + wrong)
        east, north = metres((given_point.lon, given_point.lat), (there.lon, there.lat))
        assert (told.product_east_m, told.product_north_m) == (
            pytest.approx(east, abs=0.3), pytest.approx(north, abs=0.3),
        )  # fmt: skip
    assert found.product.axis_deg == pytest.approx(102, abs=4), "the line of sight: the camera looks across 192°"
    assert found.product.nmad_across_m < 0.1


def test_pixels_are_measured_minus_modelled(rpc):
    found = measure_checks(rpc, grid_of(plane, row_px=3.0, col_px=-4.0), source="p.csv")
    assert found.rmse_px == pytest.approx(5.0, abs=2e-3)
    assert all((p.row_px, p.col_px) == (pytest.approx(3, abs=2e-3), pytest.approx(-4, abs=2e-3)) for p in found.points)
    assert found.model.rmse_m == pytest.approx(10.0, rel=0.08), "pixels of 2 m, a little longer off nadir"
    assert found.product is None
    assert found.errors is found.model


def test_a_refined_model_is_judged_by_others_and_says_what_refine_says(rpc):
    """The same points that `refine` keeps back as its check points give the same figures here."""
    points = [
        replace(one, row=one.row + dr, col=one.col + dc)
        for one, (dr, dc) in zip(
            grid_of(plane, row_px=5, col_px=2), np.random.default_rng(3).normal(0, 0.4, (25, 2)), strict=True
        )
    ]
    fitted, checks = points[:12], points[12:]
    refined = refine(rpc, points, check=[one.id for one in checks])
    found = measure_checks(refined.rpc, checks, source="p.csv")
    assert found.rmse_px == pytest.approx(refined.rmse_px, rel=1e-6)
    assert found.model.rmse_m == pytest.approx(refined.rmse_m, rel=1e-3)
    assert found.model.ce90_m == pytest.approx(refined.ce90_m, rel=1e-3)
    check_independent(checks, fitted)


def test_points_of_the_fit_do_not_check_it(rpc):
    points = grid_of(plane)
    with pytest.raises(SensorModelError, match="check point p3: the model is fitted to it"):
        check_independent(points[3:5], points[:4])
    moved = replace(points[0], id="other", lon=points[0].lon + 1e-7)
    with pytest.raises(SensorModelError, match=r"check point other: .*\(control point p0\)"):
        check_independent([moved], points)


def test_where_the_dem_ends(rpc, tmp_path):
    """Points beyond it still judge the model."""
    points = grid_of(plane)
    lon, lat = np.meshgrid(5.3 + AXIS, 44.1 - AXIS)
    heights = np.where(lon < 5.3, plane(lon, lat), np.nan)
    path = write_heights(tmp_path / "half.tif", heights, west=5.3 + AXIS[0], north=44.1 - AXIS[0], step=STEP)
    found = measure_checks(rpc, points, source="p.csv", dem=Dem.open(path, vertical_datum="ellipsoid"))
    inside = sum(one.lon < 5.2998 for one in points)
    assert found.model.count == 25
    assert inside - 2 <= found.product.count <= inside
    assert all((p.product_east_m is None) == (p.product_north_m is None) for p in found.points)


def test_nothing_to_check_by(rpc):
    with pytest.raises(SensorModelError, match=r"none in p.csv"):
        measure_checks(rpc, [], source="p.csv")
