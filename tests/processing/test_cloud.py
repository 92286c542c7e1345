"""Clouds and shadows in scenes made by hand, and in the sandbox's, whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Proj

from catalog.item import View
from processing.cloud import (
    CLEAR,
    CLOUD,
    NAMES,
    SHADOW,
    UNKNOWN,
    Angles,
    VisibleNirDetector,
    cloudy,
    dark,
    expand,
    on_grid,
)
from processing.errors import ProcessingError
from processing.grid import OutputGrid
from tests.bench.clouds import PLACES, detect, draw, score

GSD_M = 30.0
SIZE = 240


def fields(seed=1):
    """Meadows, woods, bare soil and a few roofs under a clear sky: reflectance (4, rows, columns)."""
    chance = np.random.default_rng(seed)
    kinds = np.array([[0.085, 0.12, 0.08, 0.40], [0.07, 0.075, 0.045, 0.27], [0.125, 0.14, 0.165, 0.22]])
    patches = np.kron(chance.integers(0, 3, (SIZE // 6, SIZE // 6)), np.ones((6, 6), dtype=int))
    bands = np.moveaxis(kinds[patches], -1, 0) * chance.uniform(0.9, 1.1, (SIZE, SIZE))
    roofs = chance.integers(0, SIZE - 2, (40, 2))
    for row, col in roofs:
        bands[:, row : row + 2, col : col + 2] = 0.34
    return bands


def disk(row, col, radius):
    y, x = np.indices((SIZE, SIZE))
    return np.hypot(y - row, x - col) <= radius


def with_cloud(bands, angles, *, height_m, at=(120, 110), radius=16):
    """A cloud as the map shows it, and its shadow; both as masks, too."""
    down, right = (round(part * height_m / GSD_M) for part in angles.shadow_offset())
    cloud = disk(*at, radius)
    shadow = disk(at[0] + down, at[1] + right, radius) & ~cloud
    return np.where(cloud, 0.6, np.where(shadow, 0.3, 1.0) * bands), cloud, shadow


def find(bands, angles, *, nodata=None, names=NAMES, detector=None):
    nodata = np.zeros(bands.shape[1:], dtype=bool) if nodata is None else nodata
    return (detector or VisibleNirDetector()).detect(bands, names=names, nodata=nodata, angles=angles, gsd_m=GSD_M)


SOUTH = Angles(sun_azimuth_deg=180.0, sun_elevation_deg=45.0)


# ── where shadows fall ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        (SOUTH, (-1.0, 0.0)),  # the sun in the south: shadows to the north, upwards
        (Angles(sun_azimuth_deg=90.0, sun_elevation_deg=45.0), (0.0, -1.0)),
        (
            Angles(sun_azimuth_deg=180.0, sun_elevation_deg=90.0, sensor_azimuth_deg=90.0, incidence_deg=45.0),
            (0.0, 1.0),
        ),
        (Angles(sun_azimuth_deg=90.0, sun_elevation_deg=45.0, sensor_azimuth_deg=90.0, incidence_deg=45.0), (0.0, 0.0)),
        (Angles(sun_azimuth_deg=135.0, sun_elevation_deg=30.0), (-np.sqrt(1.5), -np.sqrt(1.5))),
    ],
)
def test_a_shadow_lies_away_from_the_sun_and_towards_the_sensor(angles, expected):
    """Sensor and sun in one direction: the cloud hides its own shadow."""
    assert angles.shadow_offset() == pytest.approx(expected, abs=1e-12)


@given(lon=st.floats(-3, 9), lat=st.floats(-80, 84), azimuth=st.floats(0, 360))
@settings(max_examples=30, deadline=None)
def test_an_azimuth_on_the_grid_differs_by_the_convergence_of_meridians(lon, lat, azimuth):
    utm = Proj("EPSG:32631")
    x, y = utm(lon, lat)
    grid = OutputGrid(crs="EPSG:32631", transform=(10, 0, x - 500, 0, -10, y + 500), height=100, width=100)
    expected = azimuth - utm.get_factors(lon, lat).meridian_convergence
    assert (on_grid(azimuth, grid) - expected + 180) % 360 - 180 == pytest.approx(0, abs=2e-3)


def test_near_the_pole_north_is_anywhere():
    grid = OutputGrid(crs="EPSG:3031", transform=(10, 0, 1e6, 0, -10, 500), height=100, width=100)
    # At 90° east in the Antarctic the map's right is north.
    assert on_grid(0.0, grid) == pytest.approx(90.0, abs=0.1)


def test_the_sensor_stands_opposite_to_stacs_azimuth():
    """STAC's angle starts below the sensor and leads to the scene."""
    grid = OutputGrid(crs="EPSG:32631", transform=(10, 0, 499_500, 0, -10, 5e6), height=100, width=100)
    view = View(
        azimuth_deg=100.0, incidence_deg=20.0, off_nadir_deg=18.0, sun_azimuth_deg=150.0, sun_elevation_deg=40.0
    )
    angles = Angles.of(view, grid)
    assert angles.sensor_azimuth_deg == pytest.approx(280.0, abs=0.01)
    assert angles.sun_azimuth_deg == pytest.approx(150.0, abs=0.01)
    assert (angles.incidence_deg, angles.sun_elevation_deg) == (20.0, 40.0)
    from_above = Angles.of(View(sun_azimuth_deg=150.0, sun_elevation_deg=40.0), grid)
    assert from_above.incidence_deg == 0
    with pytest.raises(ProcessingError, match="does not say where the sun stood"):
        Angles.of(View(), grid)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sun_elevation_deg": 0.0}, "a sun elevation of 0.0°"),
        ({"sun_elevation_deg": np.nan}, "a sun elevation of nan°"),
        ({"incidence_deg": 90.0}, "an incidence of 90.0°"),
        ({"sun_azimuth_deg": np.inf}, "an azimuth is no number"),
    ],
)
def test_angles_are_valid_once_they_exist(change, message):
    with pytest.raises(ProcessingError, match=message):
        Angles(**{"sun_azimuth_deg": 10.0, "sun_elevation_deg": 40.0} | change)


# ── scenes made by hand ─────────────────────────────────────────────────────────────────────────────────────────────


@given(
    sun_azimuth=st.floats(0, 360),
    sun_elevation=st.floats(30, 70),
    sensor_azimuth=st.floats(0, 360),
    incidence=st.floats(0, 30),
    height_m=st.floats(800, 1600),
)
@settings(max_examples=12, deadline=None)
def test_a_cloud_and_its_shadow_are_found(sun_azimuth, sun_elevation, sensor_azimuth, incidence, height_m):
    angles = Angles(
        sun_azimuth_deg=sun_azimuth,
        sun_elevation_deg=sun_elevation,
        sensor_azimuth_deg=sensor_azimuth,
        incidence_deg=incidence,
    )
    bands, cloud, shadow = with_cloud(fields(), angles, height_m=height_m)
    found = find(bands, angles)
    assert score(found == CLOUD, cloud).iou > 0.97
    if shadow.sum() > 150:  # the others are mostly behind the cloud
        assert score(found == SHADOW, shadow).iou > 0.4


def test_two_clouds_of_two_heights():
    bands, low, low_shadow = with_cloud(fields(), SOUTH, height_m=1000, at=(150, 60))
    bands, high, high_shadow = with_cloud(bands, SOUTH, height_m=2600, at=(180, 170))
    found = find(bands, SOUTH)
    assert score(found == CLOUD, low | high).iou > 0.97
    assert score(found == SHADOW, low_shadow | high_shadow).iou > 0.8


def test_clear_ground_and_roofs_are_no_clouds():
    assert (find(fields(), SOUTH) == CLEAR).all()
    roofs = find(fields(), SOUTH, detector=VisibleNirDetector(least_radius_m=0.0)) == CLOUD
    assert 0 < roofs.sum() <= 160


def test_snow_is_told_by_its_near_infrared():
    bands, cloud, _ = with_cloud(fields(), SOUTH, height_m=1500)
    snow = disk(60, 60, 30)
    bands[:, snow] = np.array([0.80, 0.80, 0.79, 0.66])[:, None]
    found = find(bands, SOUTH)
    assert not (found[snow] == CLOUD).any()
    assert score(found == CLOUD, cloud).iou > 0.97


def test_an_overcast_scene_is_all_cloud():
    chance = np.random.default_rng(2)
    bands = 0.55 + 0.05 * chance.random((1, SIZE, SIZE)) + 0.01 * chance.random((4, SIZE, SIZE))
    assert (find(bands, SOUTH) == CLOUD).all()


def test_haze_over_all_of_a_scene_is_its_clear_ground():
    """The threshold goes with the scene: what is a little bluer and brighter everywhere is not cloud."""
    haze = np.array([0.05, 0.03, 0.02, 0.01])[:, None, None]
    bands, cloud, _ = with_cloud(fields() + haze, SOUTH, height_m=1200)
    assert score(find(bands, SOUTH) == CLOUD, cloud).iou > 0.9


def test_the_margin_widens_both():
    bands, _, _ = with_cloud(fields(), SOUTH, height_m=1300)
    narrow = find(bands, SOUTH)
    broad = find(bands, SOUTH, detector=VisibleNirDetector(margin_m=90.0))
    assert (broad[narrow == CLOUD] == CLOUD).all()
    assert (broad[disk(120, 110, 18.5)] == CLOUD).all()
    assert (broad == SHADOW).sum() > (narrow == SHADOW).sum()
    assert (broad[~disk(120, 110, 20.5)] != CLOUD).all()


def test_what_shows_nothing_is_unknown_and_changes_nothing_else():
    bands, cloud, _ = with_cloud(fields(), SOUTH, height_m=1300)
    nodata = np.indices((SIZE, SIZE)).sum(axis=0) < 100
    bands[2, 200, 200] = np.nan
    bands[:, nodata] = -999.0
    found = find(bands, SOUTH, nodata=nodata)
    assert (found[nodata] == UNKNOWN).all()
    assert found[200, 200] == UNKNOWN
    assert (found == UNKNOWN).sum() == nodata.sum() + 1
    assert score(found == CLOUD, cloud).iou > 0.97
    assert (find(bands, SOUTH, nodata=np.ones_like(nodata)) == UNKNOWN).all()


def test_bands_are_taken_by_name_and_missing_ones_are_told_of():
    bands, _, _ = with_cloud(fields(), SOUTH, height_m=1300)
    mixed = np.concatenate([bands[[3, 2]], np.full((1, SIZE, SIZE), 7.0), bands[[1, 0]]])
    names = ("nir", "red", None, "green", "blue")
    assert np.array_equal(find(mixed, SOUTH, names=names), find(bands, SOUTH))
    with pytest.raises(ProcessingError, match="no band is blue or nir"):
        find(bands[1:3], SOUTH, names=("green", "red"))


def test_black_pixels_divide_nothing():
    black = np.zeros((4, SIZE, SIZE))
    assert (find(black, SOUTH) == CLEAR).all()


def test_same_input_same_output():
    bands, _, _ = with_cloud(fields(), SOUTH, height_m=1300)
    before = bands.copy()
    assert np.array_equal(find(bands, SOUTH), find(bands, SOUTH))
    assert np.array_equal(bands, before)


def test_dark_ground_is_what_lies_below_all_its_surroundings():
    """A pit in a slope, and where the slope goes out of the picture below what is dark for this scene."""
    nir = np.broadcast_to(np.linspace(0.2, 0.4, 40), (40, 40)).copy()
    nir[10:14, 20:25] -= 0.05
    everywhere = np.ones((40, 40), dtype=bool)
    expected = nir < np.percentile(nir, 17.5) - 0.02
    expected[10:14, 20:25] = True
    assert 0 < expected[:, 0].sum() == expected[:, :3].sum() / 3
    assert np.array_equal(dark(nir, everywhere, everywhere), expected)


def test_white_is_bright_in_all_visible_bands():
    values = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.2, 0.1, 0.5], [0.1, 0.1, 0.1, 0.1], [0.4, 0.42, 0.41, 0.45]])
    blue, green, red, nir = values.T[:, :, None]
    known = np.ones((4, 1), dtype=bool)
    assert cloudy(blue, green, red, nir, known).ravel().tolist() == [True, False, False, True]


# ── out to the pixels ───────────────────────────────────────────────────────────────────────────────────────────────


@given(data=st.data())
@settings(max_examples=30)
def test_every_block_gets_its_classes(data):
    factor = data.draw(st.sampled_from([1, 3, 4, 8]))
    height, width = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    classes = np.random.default_rng(0).integers(0, 3, (-(-height // factor), -(-width // factor))).astype(np.uint8)
    whole = np.kron(classes, np.ones((factor, factor), dtype=np.uint8))[:height, :width]
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    shape = data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - col))
    found = expand(classes, factor, row=row, col=col, shape=shape)
    assert np.array_equal(found, whole[row : row + shape[0], col : col + shape[1]])


# ── the sandbox's scenes ────────────────────────────────────────────────────────────────────────────────────────────

SMALL = {"side_m": 9_600.0, "rays": 2}


def place(name):
    return next(one for one in PLACES if one.name == name)


@pytest.mark.parametrize(
    ("name", "least_cloud", "least_shadow"), [("some, far aside", 0.85, 0.5), ("many, winter", 0.92, 0.75)]
)
def test_the_sandboxs_clouds_are_found(name, least_cloud, least_shadow):
    picture = draw(place(name), **SMALL)
    found = detect(picture)
    clouds, shadows = score(found == CLOUD, picture.clouds), score(found == SHADOW, picture.shadows)
    assert clouds.recall > 0.97
    assert clouds.f1 > least_cloud
    assert shadows.f1 > least_shadow


def test_the_direction_to_the_sensor_matters():
    picture = draw(place("many, winter"), **SMALL)
    right = score(detect(picture) == SHADOW, picture.shadows).f1
    angles = picture.angles
    turned = Angles(
        sun_azimuth_deg=angles.sun_azimuth_deg,
        sun_elevation_deg=angles.sun_elevation_deg,
        sensor_azimuth_deg=angles.sensor_azimuth_deg + 180,
        incidence_deg=angles.incidence_deg,
    )
    assert score(detect(picture._replace(angles=turned)) == SHADOW, picture.shadows).f1 < right - 0.1


def test_a_clear_sandbox_scene_has_none():
    picture = draw(place("clear, mid-latitudes"), **SMALL)
    assert not picture.clouds.any()
    assert (detect(picture) != CLEAR).mean() < 0.01
