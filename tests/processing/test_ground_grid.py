"""Grids of neighbouring scenes share their pixels' edges."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from processing.dem import Dem
from processing.ground import choose_grid
from processing.rpc import fit
from tests.processing.pushbroom import Pushbroom, write_heights

SHAPE = (420, 380)


@pytest.fixture(scope="module")
def dem(tmp_path_factory):
    path = tmp_path_factory.mktemp("dem") / "dem.tif"
    lon, lat = np.meshgrid(5.2 + np.arange(60) / 300, 44.2 - np.arange(60) / 300)
    write_heights(
        path, (400 + 200 * np.sin(lon * 90) * np.cos(lat * 70)).astype("f4"), west=5.2, north=44.2, step=1 / 300
    )
    return Dem.open(path, vertical_datum="ellipsoid")


@pytest.fixture(scope="module")
def neighbours():
    """Sensor models of two scenes that overlap, by no whole number of pixels."""
    cameras = (Pushbroom(lon=lon, lat=lat, rows=SHAPE[0], cols=SHAPE[1], gsd_m=1.0) for lon, lat in
               ((5.3, 44.1), (5.30217, 44.09881)))  # fmt: skip
    return [fit(**camera.points()).rpc for camera in cameras]


def offsets(one, other):
    """By how many pixels two grids are apart, to the right and downwards."""
    assert (one.crs, one.transform[0], one.transform[4]) == (other.crs, other.transform[0], other.transform[4])
    side = one.transform[0]
    return (other.transform[2] - one.transform[2]) / side, (one.transform[5] - other.transform[5]) / side


def is_whole(offset):
    return np.abs(np.array(offset) - np.round(offset)).max() < 1e-6


@pytest.mark.parametrize(
    ("crs", "resolution"),
    [(None, None), (None, 0.7), ("EPSG:3857", 1.3), ("EPSG:4326", 1.1e-5), ("EPSG:3035", 0.3), ("EPSG:32632", 2.5)],
)
def test_neighbouring_scenes_share_their_pixels_edges(neighbours, dem, crs, resolution):
    one, other = (choose_grid(rpc, SHAPE, dem, crs=crs, resolution=resolution) for rpc in neighbours)
    assert is_whole(offsets(one, other))
    assert offsets(one, other) != (0, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    off=st.tuples(*[st.floats(-60, 60)] * 4),
    side=st.sampled_from([0.3, 0.5, 0.7, 1.0, 2.5]),
)
def test_aligned_bounds_grow_by_less_than_a_pixel_and_fit(neighbours, dem, off, side):
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(5.3, 44.1)
    box = (x - 100 + off[0], y - 100 + off[1], x + 100 + off[2], y + 100 + off[3])
    whole = choose_grid(neighbours[0], SHAPE, dem, crs="EPSG:32631", resolution=side)
    part = choose_grid(neighbours[1], SHAPE, dem, crs="EPSG:32631", resolution=side, bounds=box, aligned=True)
    assert is_whole(offsets(whole, part))
    grown = np.array(box) - np.array(part.bounds)
    assert (np.array([1, 1, -1, -1]) * grown > -1e-5 * side).all()
    assert (np.abs(grown) < side * (1 + 1e-5)).all()


def test_bounds_that_are_aligned_stay(neighbours, dem):
    for side, west, north in ((0.3, 683_999.7, 4_886_000.1), (1.0, 684_000, 4_886_000)):
        box = (west, north - 90 * side, west + 120 * side, north)
        grid = choose_grid(neighbours[0], SHAPE, dem, crs="EPSG:32631", resolution=side, bounds=box, aligned=True)
        assert (grid.height, grid.width) == (90, 120)
        assert grid.bounds == pytest.approx(box, abs=1e-6)
