"""The made-up Earth, its satellites and their camera, held against independent arithmetic."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from sgp4.api import Satrec
from sgp4.io import compute_checksum
from shapely.geometry import box
from skyfield.api import EarthSatellite, load, wgs84

from catalog.extent import Footprint, TimeWindow
from processing.delivery import read_delivery
from processing.dem import Dem
from processing.reflectance import Sun, reflectance_factors
from tasking.errors import ProviderError
from tasking.orbit import ecef_state, ecef_to_geodetic, enu_axes, geodetic_to_ecef
from tasking.order import Attempt, AttemptStatus
from tasking.provider import Delivered, Failed, Pending
from tasking.provider.sandbox import clouds, earth
from tasking.provider.sandbox.acquire import acquire, fit_rpc
from tasking.provider.sandbox.acquisition import Acquisition
from tasking.provider.sandbox.calibration import calibration
from tasking.provider.sandbox.camera import TICK_S, Camera, Path
from tasking.provider.sandbox.constellation import PRODUCTS, SATELLITES
from tasking.provider.sandbox.landcover import reflectance
from tasking.provider.sandbox.noise import noise, noise_gradient
from tasking.provider.sandbox.provider import LATENCY, SandboxProvider

NOON = datetime(2026, 6, 15, tzinfo=UTC)
LONS, LATS = st.floats(-180, 180), st.floats(-89.9, 89.9)


def places(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spread over the globe."""
    directions = np.random.default_rng(1).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return earth.lonlat(directions)


def square(lon: float, lat: float, side_m: float) -> Footprint:
    half = side_m / 2 / 111_200
    wide = half / np.cos(np.radians(lat))
    return Footprint.of(box(lon - wide, lat - half, lon + wide, lat + half))


def camera(roll_deg: float, *, rows: int = 2000, columns: int = 2000, hour: float = 10.0) -> Camera:
    path = Path.around(SATELLITES[0].elements, (NOON + timedelta(hours=hour)).timestamp())
    return Camera(
        path=path,
        roll_deg=roll_deg,
        first_s=-0.25,
        line_s=round(2.9e-4 / TICK_S) * TICK_S,
        first_tan=-(columns - 1) / 2 * 2 / 6e5,
        pixel_tan=2 / 6e5,
        rows=rows,
        columns=columns,
    )


# ── the ground ──────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-1e5, 1e5)] * 3), st.integers(0, 100))
def test_noise_has_the_gradient_of_its_values(point, seed):
    value, *gradient = noise_gradient(*point, seed)
    step = 1e-4
    for axis in range(3):
        ahead, behind = list(point), list(point)
        ahead[axis] += step
        behind[axis] -= step
        slope = (noise(*ahead, seed) - noise(*behind, seed)) / (ahead[axis] - behind[axis])
        assert slope == pytest.approx(gradient[axis], abs=2e-6)
    assert abs(value) < 1


def test_noise_is_nil_on_its_lattice_and_differs_between_seeds():
    assert noise(3.0, -7.0, 11.0, 5) == 0
    assert noise(3.3, -7.6, 11.2, 5) != noise(3.3, -7.6, 11.2, 6)


def test_terrain_is_land_below_the_limit_and_flatter_than_any_ray():
    lon, lat = places(200_000)
    hits = earth.surface(lon, lat)
    slope = np.linalg.norm(hits[:, earth.SLOPE_X : earth.SLOPE_Z + 1], axis=1)
    assert hits[:, earth.HEIGHT].min() > 0
    assert 2000 < hits[:, earth.HEIGHT].max() < earth.MAX_HEIGHT_M
    # Incidence stays under 34°: a ray that comes down steeper than any slope meets the ground once.
    assert slope.max() < 1 / np.tan(np.radians(34))


def test_terrain_has_the_slope_of_its_heights():
    lon, lat = places(500)
    up = earth.normals(lon, lat)
    aside = np.cross(up, [0.3, -0.5, 0.8])
    aside /= np.linalg.norm(aside, axis=1)[:, None]
    step = 1e-7
    ahead, behind = (earth.terrain_height(*earth.lonlat(up + sign * step * aside)) for sign in (1, -1))
    slope = (ahead - behind) / (2 * step * earth.SPHERE_M)
    stated = np.sum(earth.surface(lon, lat)[:, earth.SLOPE_X : earth.SLOPE_Z + 1] * aside, axis=1)
    assert np.abs(slope - stated).max() < 5e-5


@settings(deadline=None)
@given(LATS)
def test_nothing_breaks_at_the_antimeridian(lat):
    west, east = earth.terrain_height([-180.0, 180.0], lat)
    assert west == pytest.approx(east, abs=1e-6)
    assert reflectance(-180.0, lat) == pytest.approx(reflectance(180.0, lat), abs=1e-6)
    # A metre to either side the ground is a slope away at most.
    step = 1 / 111_200 / np.cos(np.radians(lat))
    here, there = earth.terrain_height([180 - step, -180 + step], lat)
    assert abs(here - there) < 2 * 1.6


@settings(deadline=None)
@given(LONS, st.sampled_from([-90.0, 90.0]))
def test_nothing_breaks_at_the_poles(lon, pole):
    assert earth.terrain_height(lon, pole) == pytest.approx(earth.terrain_height(0.0, pole), abs=1e-6)


def test_a_dem_of_ten_metres_follows_the_terrain():
    lon, lat = places(100_000)
    lat = np.clip(lat, -85, 85)
    half = 5 / 111_200
    wide = half / np.cos(np.radians(lat))
    corners = [earth.terrain_height(lon + i * wide, lat + j * half) for i in (-1, 1) for j in (-1, 1)]
    miss = np.abs(np.mean(corners, axis=0) - earth.terrain_height(lon, lat))
    # At 30° off nadir a height moves the ground by 0.67 of itself; a fifth of a panchromatic pixel is 0.4 m.
    assert miss.max() * np.tan(np.radians(34)) < 0.2
    assert np.percentile(miss, 99) < 0.05


def test_the_earth_stays_as_it_is():
    """Golden: scenes ordered last year and today must show the same ground."""
    heights = earth.terrain_height([10.0, 180.0, -59.55, 0.0], [45.0, -17.2, 83.0, -90.0])
    assert heights == pytest.approx([948.068581, 525.048989, 932.216503, 1305.797156], abs=1e-5)
    assert reflectance(10.0, 45.0) == pytest.approx(
        [0.031745482, 0.054420827, 0.034013017, 0.30611715, 0.105213598], abs=1e-8
    )


def test_land_cover_is_plausible_and_has_texture_everywhere():
    lon, lat = places(300)
    spread = []
    for x, y in zip(lon, np.clip(lat, -85, 85), strict=True):
        offsets = np.linspace(-200, 200, 40) / 111_200
        values = reflectance(x + offsets[None, :] / np.cos(np.radians(y)), y + offsets[:, None])
        assert 0 < values.min()
        assert values.max() < 1.4
        spread.append(values[..., 4].std() / values[..., 4].mean())
    assert np.percentile(spread, 5) > 0.03


# ── clouds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_skies_are_mostly_clear_and_sometimes_cloudy():
    lon, lat = places(400)
    days = NOON.timestamp() + 86_400.0 * np.arange(10)
    cover = np.array([[clouds.cloud(x, y, day) for day in days] for x, y in zip(lon[:100], lat[:100], strict=True)])
    assert 0.5 < np.mean(cover == 0) < 0.95
    assert 0.03 < np.mean(cover > clouds.CLOUDY) < 0.4
    assert np.array_equal(cover[:3, 0], [clouds.cloud(x, y, days[0]) for x, y in zip(lon[:3], lat[:3], strict=True)])
    # The weather of a place changes between passes.
    changing = (cover > clouds.CLOUDY).any(axis=1) & ~(cover > clouds.CLOUDY).all(axis=1)
    assert changing.mean() > 0.2


def test_clouds_have_a_parallax():
    """A cloud straight above a place hides another one that is seen aslant."""
    time = NOON.timestamp()
    x = np.linspace(0, 60_000, 4000) / 111_200
    lon, lat, _ = next((12 + x, np.full_like(x, b), b) for b in range(-60, 60, 2) if cloudy_somewhere(12 + x, b, time))
    hits = earth.surface(lon, lat)
    hits[:, earth.HEIGHT] = 500.0
    straight = clouds.opacity(hits, hits[:, :3], time)
    east = enu_axes(lon, lat)[:, 0]
    aslant = clouds.opacity(hits, hits[:, :3] + np.tan(np.radians(30)) * east, time)
    moved_m = (clouds.CLOUD_HEIGHT_M - 500) * np.tan(np.radians(30))
    moved = round(moved_m / (15.0 * np.cos(np.radians(lat[0])) * earth.SPHERE_M / (111_200 * 180 / np.pi)))
    assert np.abs(straight[moved:] - aslant[: len(aslant) - moved]).max() < 0.05
    assert np.abs(straight - aslant).max() > 0.3


def cloudy_somewhere(lon, lat, time):
    cover = clouds.cloud(lon, lat, time)
    return cover.max() > 0.9 and cover.min() < 0.1


# ── satellites ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("satellite", SATELLITES, ids=lambda one: one.id)
def test_element_sets_are_valid(satellite):
    for line in (satellite.elements.line1, satellite.elements.line2):
        assert len(line) == 69
        assert int(line[-1]) == compute_checksum(line)
    parsed = Satrec.twoline2rv(satellite.elements.line1, satellite.elements.line2)
    assert parsed.bstar == 0
    assert parsed.error == 0


@pytest.mark.parametrize("year", [2026, 2030])
def test_satellites_pass_at_half_past_ten_going_south_at_600_km(year):
    """As skyfield sees them; mean local time is UTC + longitude / 15."""
    scale = load.timescale(builtin=True)
    satellite = EarthSatellite(SATELLITES[1].elements.line1, SATELLITES[1].elements.line2, ts=scale)
    minutes = np.arange(0, 1440, 0.2)
    times = scale.utc(year, 7, 1, 0, minutes)
    point = wgs84.subpoint(satellite.at(times))
    lat, lon, height = point.latitude.degrees, point.longitude.degrees, point.elevation.km
    south = np.flatnonzero((lat[:-1] > 0) & (lat[1:] <= 0))
    local = (minutes[south] / 60 + lon[south] / 15) % 24
    assert local == pytest.approx(10.5, abs=0.03)
    assert 590 < height.min() < height.max() < 635


def test_the_product_speaks_of_these_satellites():
    (product,) = PRODUCTS
    assert product.satellites == SATELLITES
    assert len({one.id for one in SATELLITES}) == len({one.elements.line2 for one in SATELLITES}) == 4


# ── the camera ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_path_repeats_the_propagator():
    path = camera(0).path
    seconds = np.array([-60.125, -31.5, -0.25, 0.0, 17.375, 59.0])
    position, velocity = ecef_state(path.elements, path.middle + seconds)
    found = path.state(seconds)
    assert np.abs(found[0] - position).max() < 1e-3
    assert np.abs(found[1] - velocity).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.floats(-30, 30), st.floats(0, 24), st.floats(0, 1999), st.floats(0, 1999))
def test_ground_and_image_are_inverse(roll_deg, hour, row, col):
    taken = camera(roll_deg, hour=hour)
    lon, lat, height = taken.ground(row, col)
    back = taken.image(lon, lat, height)
    assert np.allclose(back, (row, col), rtol=0, atol=1e-6)
    assert np.allclose(taken.at_height(row, col, height), (lon, lat), rtol=0, atol=1e-9)


@pytest.mark.parametrize("roll_deg", [-30.0, 0.0, 30.0])
def test_rays_meet_the_ground_to_a_millimetre(roll_deg):
    """Judged by other arithmetic: conversion by `tasking.orbit`, terrain from straight above."""
    taken = camera(roll_deg)
    row, col = np.meshgrid(np.linspace(0, 1999, 25), np.linspace(0, 1999, 25), indexing="ij")
    lon, lat, height = taken.ground(row, col)
    assert np.abs(earth.terrain_height(lon, lat) - height).max() < 1e-3
    origin, direction = taken.rays(row, col)
    away = geodetic_to_ecef(lon, lat, height) - origin
    aside = np.cross(away, direction) / np.linalg.norm(direction, axis=-1, keepdims=True)
    assert np.linalg.norm(aside, axis=-1).max() < 1e-3


def test_nothing_stands_in_front_of_what_a_ray_meets():
    """Brute force in steps of 2 m from above all mountains, over steep ground at 30° off nadir."""
    area = square(151.24, -33.5, 800)
    taken = Acquisition.plan(SATELLITES[0], area, month(NOON)).camera
    assert abs(taken.roll_deg) < 30
    aslant = Camera(**{name: getattr(taken, name) for name in taken.__dataclass_fields__} | {"roll_deg": 30.0})
    for row, col in [(10, 10), (200, 300), (350, 50)]:
        origin, direction = aslant.rays(row, col)
        direction /= np.linalg.norm(direction)
        ground = geodetic_to_ecef(*aslant.ground(row, col))
        reach = np.linalg.norm(ground - origin)
        points = origin + (reach - np.arange(4_500.0, 1.0, -2.0))[:, None] * direction
        lon, lat, height = ecef_to_geodetic(points)
        assert (height > earth.terrain_height(lon, lat)).all()


def test_a_level_camera_looks_at_the_point_below():
    taken = camera(0.0, rows=2001, columns=2001)
    lon, lat, _ = taken.ground(1000, 1000)
    position, _ = taken.path.state(np.array(taken.first_s + 1000 * taken.line_s))
    below = ecef_to_geodetic(position)
    assert (lon, lat) == pytest.approx(below[:2], abs=1e-9)
    # Rows go on along the flight, columns to its left: seen from above, as on a map turned by the heading.
    ahead, aside = (geodetic_to_ecef(*taken.ground(row, col)) for row, col in ((1500, 1000), (1000, 1500)))
    here = geodetic_to_ecef(*taken.ground(1000, 1000))
    assert np.dot(np.cross(ahead - here, aside - here), here) > 0


def test_rpcs_follow_the_camera_between_the_points_they_were_fitted_to():
    taken = camera(30.0, rows=6000, columns=10_000)
    model = fit_rpc(taken, 0.0, 2500.0)
    rng = np.random.default_rng(3)
    row, col, height = rng.uniform(0, 5999, 500), rng.uniform(0, 9999, 500), rng.uniform(0, 2500, 500)
    found = model.rpc.project(*taken.at_height(row, col, height), height)
    miss = np.hypot(found[0] - row, found[1] - col).max()
    assert miss < 0.005
    assert miss < 2 * model.max_px + 1e-6


# ── acquisition and delivery ────────────────────────────────────────────────────────────────────────────────────────


def month(start: datetime) -> TimeWindow:
    return TimeWindow(start=start, end=start + timedelta(days=20))


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delivery")
    area = square(180.0, -17.2, 700)
    return folder, area, acquire(SATELLITES[2], area, month(NOON), folder=folder, attempt="a-1", order="a")


def test_a_delivery_is_accepted(delivery):
    folder, _, acquisition = delivery
    scene = read_delivery(folder)
    assert (scene.attempt, scene.order) == ("a-1", "a")
    assert scene.platform == "sandbox-3"
    assert scene.acquired.start == acquisition.times[0]
    assert {raster.role for raster in scene.rasters} == {"multispectral", "panchromatic", "cloud-mask"}
    for raster in scene.rasters:
        assert raster.rpc_max_px is not None
        assert raster.rpc_max_px < 1e-3
    assert scene.view.off_nadir_deg == pytest.approx(abs(acquisition.camera.roll_deg), abs=1e-3)


def test_its_calibration_leads_to_the_light_that_was_painted(delivery):
    """Numbers are reflectance times 4000; sunlight is that of a black body, within an eighth of the real one."""
    scene = read_delivery(delivery[0])
    raster = scene.raster("multispectral")
    sun = Sun(elevation_deg=scene.view.sun_elevation_deg, acquired=scene.acquired.start)
    for slope, intercept in reflectance_factors(raster.calibrations, sun, 4):
        assert slope * 4000 == pytest.approx(1, abs=1e-6)
        assert intercept == 0
    # Thuillier et al., Solar Physics 214, 2003, at the centres of the bands.
    for one, known in zip(raster.calibrations, (1990, 1830, 1540, 1010), strict=True):
        assert one.esun == pytest.approx(known, rel=0.125)
    assert raster.saturation == 4095
    assert calibration(0.5, -1.0, scene.acquired.start) is None


def test_a_delivery_is_the_same_when_it_is_made_again(delivery, tmp_path):
    folder, area, _ = delivery
    acquire(SATELLITES[2], area, month(NOON), folder=tmp_path, attempt="a-1", order="a")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_a_raw_scene_has_no_map_coordinates_and_twelve_bits(delivery):
    folder, _, acquisition = delivery
    with rasterio.open(folder / "pan.tif") as pan, rasterio.open(folder / "ms.tif") as ms:
        assert pan.crs is None
        assert pan.shape == (acquisition.camera.rows, acquisition.camera.columns)
        assert (ms.height * 4, ms.width * 4) == pan.shape
        for values in (pan.read(), ms.read()):
            assert 0 < values.min()
            assert 200 < values.mean()
            assert values.max() < 4096
        # The panchromatic band sees the sum of what the others see.
        gathered = pan.read(1).reshape(ms.height, 4, ms.width, 4).mean(axis=(1, 3))
        weighted = np.tensordot([0.10, 0.30, 0.36, 0.24], ms.read().astype(float), 1)
        assert np.abs(gathered - weighted).max() < 2.5


def test_the_picture_shows_the_area_and_a_margin(delivery):
    _, area, acquisition = delivery
    lons, lats = np.array([p.bounds for p in area.polygons.geoms])[:, [0, 2, 1, 3]].reshape(-1, 2, 2).transpose(1, 0, 2)
    for lon in np.unique(lons):
        for lat in np.unique(lats):
            row, col = acquisition.camera.image(lon, lat, earth.terrain_height(lon, lat))
            assert 60 < row < acquisition.camera.rows - 60
            assert 60 < col < acquisition.camera.columns - 60


def test_the_dem_goes_on_over_the_antimeridian_and_tells_the_terrain(delivery):
    folder, _, acquisition = delivery
    with rasterio.open(folder / "dem.tif") as file:
        assert file.bounds.left < 180 < file.bounds.right or file.bounds.left < -180 < file.bounds.right
    dem = Dem.open(folder / "dem.tif", vertical_datum="ellipsoid")
    row, col = np.meshgrid(np.linspace(0, acquisition.camera.rows, 30), np.linspace(0, acquisition.camera.columns, 30))
    lon, lat, height = acquisition.camera.ground(row, col)
    assert np.abs(dem.heights(lon, lat) - height).max() < 0.2


def test_a_cloudy_pass_has_a_mask_that_agrees_with_the_sky(tmp_path):
    lon, lat, window = -91.15, -0.55, month(NOON)
    area = square(lon, lat, 700)
    for satellite in SATELLITES:
        for day in range(0, 60, 2):
            start = NOON + timedelta(days=day)
            try:
                planned = Acquisition.plan(satellite, area, TimeWindow(start=start, end=start + timedelta(days=2)))
            except ProviderError:
                continue
            if 0.5 < clouds.cloud(lon, lat, planned.middle):
                window = TimeWindow(start=start, end=start + timedelta(days=2))
                break
        else:
            continue
        break
    acquisition = acquire(satellite, area, window, folder=tmp_path)
    with rasterio.open(tmp_path / "clouds.tif") as mask, rasterio.open(tmp_path / "ms.tif") as ms:
        cloudy, blue = mask.read(1), ms.read(1)
    assert set(np.unique(cloudy)) <= {0, 1}
    assert cloudy.mean() > 0.1
    coarse = acquisition.camera.coarser(4)
    row, col = np.meshgrid(np.arange(0, coarse.rows, 5), np.arange(0, coarse.columns, 5), indexing="ij")
    # Where each ray pierces the layer, by another road than the camera's.
    expected = clouds.cloud(*coarse.at_height(row, col, clouds.CLOUD_HEIGHT_M), acquisition.middle)
    assert np.mean((expected > clouds.CLOUDY) == cloudy[row, col]) > 0.98
    thick = expected > 0.95
    assert not thick.any() or blue[row, col][thick].mean() > 2000


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (TimeWindow(start=NOON, end=None), "open at an end"),
        (TimeWindow(start=NOON, end=NOON + timedelta(days=400)), "100 days"),
        (TimeWindow(start=NOON, end=NOON + timedelta(hours=1)), "by daylight|off nadir"),
    ],
)
def test_a_window_without_a_pass_is_refused(window, message):
    with pytest.raises(ProviderError, match=message):
        Acquisition.plan(SATELLITES[0], square(20.0, 30.0, 500), window)


# ── the provider ────────────────────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Moves when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def attempt(**changes) -> Attempt:
    fields = {
        "id": "0192-order.1",
        "order_id": "0192-order",
        "product_id": "sandbox-multispectral",
        "satellite_id": "sandbox-1",
        "area": square(10.0, 45.0, 400),
        "window": month(NOON),
        "off_nadir_deg": None,
        "status": AttemptStatus.PLANNED,
    }
    return Attempt(**fields | changes)


def provider(folder, clock, rate=3600.0) -> SandboxProvider:
    return SandboxProvider(folder, rate=rate, satellites=SATELLITES, clock=clock)


def test_a_picture_is_delivered_when_the_faster_clock_reaches_it(tmp_path):
    clock = Clock()
    wanted = attempt()
    provider(tmp_path, clock).task(wanted)
    answer = provider(tmp_path, clock).poll(wanted)  # another process, or the same after a restart
    assert isinstance(answer, Pending)
    acquired = Acquisition.plan(SATELLITES[0], wanted.area, wanted.window).times[1]
    assert answer.check_again - NOON == pytest.approx((acquired + LATENCY - NOON) / 3600, abs=timedelta(seconds=0.001))
    clock.now = answer.check_again - timedelta(seconds=0.01)
    assert isinstance(provider(tmp_path, clock).poll(wanted), Pending)
    clock.now = answer.check_again
    delivered = provider(tmp_path, clock).poll(wanted)
    assert isinstance(delivered, Delivered)
    assert read_delivery(delivered.folder).attempt == wanted.id
    assert provider(tmp_path, clock).poll(wanted) == delivered
    assert list((tmp_path / "building").iterdir()) == []


def test_tasking_twice_changes_nothing(tmp_path):
    clock = Clock()
    provider(tmp_path, clock).task(attempt())
    (request,) = (tmp_path / "requests").iterdir()
    before = request.read_bytes()
    clock.now += timedelta(hours=1)
    provider(tmp_path, clock).task(attempt())
    assert request.read_bytes() == before
    assert json.loads(before)["order"] == "0192-order"


def test_a_cancelled_attempt_is_not_acquired_unless_it_was(tmp_path):
    clock = Clock()
    wanted = attempt()
    sandbox = provider(tmp_path, clock, rate=1e9)
    sandbox.cancel(wanted)  # nothing tasked: nothing to call off
    sandbox.task(wanted)
    sandbox.cancel(wanted)
    clock.now += timedelta(days=1)
    assert sandbox.poll(wanted) == Failed(reason_code="cancelled", reason_text="The acquisition was called off.")
    late = attempt(id="0192-order.2")
    sandbox.task(late)
    clock.now += timedelta(days=1)
    sandbox.cancel(late)
    assert isinstance(sandbox.poll(late), Delivered)


def test_what_was_never_tasked_fails(tmp_path):
    answer = provider(tmp_path, Clock()).poll(attempt())
    assert isinstance(answer, Failed)
    assert answer.reason_code == "acquisition_failed"


def test_an_unknown_satellite_and_an_unseen_place_are_refused(tmp_path):
    sandbox = provider(tmp_path, Clock())
    with pytest.raises(ProviderError, match=r"no satellite 'hubble'; there are sandbox-1"):
        sandbox.task(attempt(satellite_id="hubble"))
    with pytest.raises(ProviderError, match=r"off nadir|by daylight"):
        sandbox.task(attempt(area=square(0.0, 89.0, 400)))


def test_attempts_of_odd_names_stay_inside_the_folder(tmp_path):
    wanted = attempt(id="../../etc/passwd")
    sandbox = provider(tmp_path / "sandbox", Clock())
    sandbox.task(wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["sandbox"]
