"""Frame cameras against PROJ, scipy and brute force along the rays."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from api.cli import cli
from processing.dem import Dem
from processing.errors import SensorModelError
from processing.frame import FrameCamera, rotation
from processing.grid import OutputGrid
from processing.ground import choose_grid, reach
from processing.lattice import PATCH, make_lattices
from processing.occlusion import ceiling, occluded_block
from processing.ortho import Block, Image, orthorectify_block, positions
from processing.raster import open_raster
from processing.rpc import fit_to
from processing.vendors import camera_json, read_model
from tests.processing.cameras import LENS, drone, pixel_rays, seen_by_proj, walk_down
from tests.processing.pushbroom import TO_ECEF, TO_GEODETIC, write_heights, write_raw

RNG = np.random.default_rng(29)
ANGLES = st.tuples(st.floats(-35, 35), st.floats(-35, 35), st.floats(-180, 180))


def dome(lon, lat):
    """Level ground at 480 m with a hill of 90 m and some 100 m across."""
    east, north = (lon - 5.3) * 80_000, (lat - 44.1) * 111_000
    return 480 + 90 * np.exp(-((east - 20) ** 2 + (north + 10) ** 2) / (2 * 45.0**2))


def texture(lon, lat):
    east, north = (lon - 5.3) * 80_000, (lat - 44.1) * 111_000
    return 2000 + 800 * np.sin(east / 9) * np.cos(north / 11) + 300 * np.sin((east + north) / 23)


# ── geometry ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(place=st.tuples(st.floats(-180, 180), st.floats(-89, 89), st.floats(700, 9000)), angles=ANGLES)
@settings(max_examples=40, deadline=None)
def test_ground_is_seen_where_proj_and_scipy_see_it(place, angles):
    camera = FrameCamera.from_angles(
        lon=place[0], lat=place[1], height_m=place[2], **dict(zip(NAMES, angles, strict=True)), **INTERIOR
    )
    rng = np.random.default_rng(5)
    row, col, height = rng.uniform(0, 240, 50), rng.uniform(0, 320, 50), rng.uniform(0, 500, 50)
    lon, lat = camera.locate(row, col, height)
    seen = seen_by_proj(place, angles, INTERIOR, (lon, lat, height))
    assert np.abs(seen[0] - col).max() < 1e-6
    assert np.abs(seen[1] - row).max() < 1e-6
    assert np.allclose(camera.project(lon, lat, height), (row, col), rtol=0, atol=1e-6)


NAMES = ("omega_deg", "phi_deg", "kappa_deg")
INTERIOR = {
    "rows": 240, "columns": 320, "focal_px": 300.0, "principal": (117.0, 164.0), **LENS, "heights_m": (0.0, 500.0),
}  # fmt: skip


def test_without_angles_the_picture_is_a_map_with_north_up_and_kappa_turns_it_counter_clockwise():
    given = {"omega_deg": 0.0, "phi_deg": 0.0, "kappa_deg": 0.0, "radial": (0.0, 0.0, 0.0), "tangential": (0.0, 0.0)}
    level = drone(**given, principal=(119.5, 159.5), heights_m=(0.0, 100.0), height_m=1000.0)
    assert np.allclose(level.project(5.3, 44.1, 0.0), (119.5, 159.5), rtol=0, atol=1e-6)
    north, east = level.project(5.3, 44.101, 0.0), level.project(5.301, 44.1, 0.0)
    assert north[0] == pytest.approx(119.5 - 300 * 111.1 / 1000, abs=0.05)
    assert north[1] == pytest.approx(159.5, abs=1e-3)
    assert east[1] == pytest.approx(159.5 + 300 * 80.07 / 1000, abs=0.05)
    turned = drone(**given | {"kappa_deg": 90.0}, principal=(119.5, 159.5), heights_m=(0.0, 100.0), height_m=1000.0)
    # The picture's right hand now looks north.
    assert turned.project(5.3, 44.101, 0.0)[1] == pytest.approx(159.5 + 300 * 111.1 / 1000, abs=0.05)
    # Omega lifts the top … phi the left: both look away from the nadir.
    tilted = drone(**given | {"omega_deg": 20.0}, heights_m=(0.0, 100.0), height_m=1000.0)
    assert tilted.locate(119.5, 159.5, 0.0)[1] > 44.1 + 300 / 111_000
    tilted = drone(**given | {"phi_deg": 20.0}, heights_m=(0.0, 100.0), height_m=1000.0)
    assert tilted.locate(119.5, 159.5, 0.0)[0] < 5.3 - 300 / 81_000


@given(row=st.floats(-0.5, 239.5), col=st.floats(-0.5, 319.5), height=st.floats(450, 650), angles=ANGLES)
@settings(max_examples=60, deadline=None)
def test_locate_and_project_are_inverse(row, col, height, angles):
    camera = drone(**dict(zip(NAMES, angles, strict=True)))
    lon, lat = camera.locate(row, col, height)
    assert np.allclose(camera.project(lon, lat, height), (row, col), rtol=0, atol=1e-6)


def test_what_is_behind_the_camera_is_not_seen():
    camera = drone()
    lon, lat = camera.locate(100.0, 100.0, 600.0)
    assert np.isfinite(camera.project(lon, lat, 600.0)).all()
    assert np.isnan(camera.project([5.3, 5.3], [44.1, 44.2], [1500.0, 3000.0])).all()


def test_a_ray_over_the_horizon_has_no_ground():
    with pytest.raises(SensorModelError, match=r"frame camera: row -0.5.* sees no ground at 450.0 m"):
        drone(omega_deg=75.0)
    with pytest.raises(SensorModelError, match=r"sees no ground at 950\.0 m"):
        drone().locate(100.0, 100.0, 950.0)


def test_a_lens_shows_nothing_beyond_where_it_would_fold_back():
    """With k1 = -0.3 alone, r (1 + k1 r²) grows up to r = √(1 / 0.9) = 1.054 and then comes back."""
    camera = drone(radial=(-0.3, 0.0, 0.0), tangential=(0.0, 0.0), omega_deg=0.0, phi_deg=0.0, kappa_deg=0.0)
    assert camera.farthest == pytest.approx(np.sqrt(1 / 0.9))
    east = np.array([1.0, 1.05, 1.06, 1.5, 1.8]) * 400.0
    lon, lat, height = 5.3 + east / 80_100, 44.1, 500.0
    seen = camera.project(lon, lat, height)[1]
    assert np.isfinite(seen[:2]).all()
    assert np.isnan(seen[2:]).all()
    with pytest.raises(SensorModelError, match="past the lens"):
        drone(radial=(-0.9, 0.0, 0.0))


# ── values and files ────────────────────────────────────────────────────────────────────────────────────────────────


def test_models_are_values(tmp_path):
    camera = drone()
    copy = pickle.loads(pickle.dumps(camera))
    assert copy == camera
    assert hash(copy) == hash(camera)
    assert tokenize(copy) == tokenize(camera)
    assert copy != replace(camera, focal_px=301.0)
    with pytest.raises(ValueError, match="read-only"):
        camera.axes[0, 0] = 1.0
    camera_json.write(camera, tmp_path / "camera.json")
    assert read_model(tmp_path / "camera.json") == camera


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 0}, "0 columns"),
        ({"focal_px": 0.0}, "focal length 0"),
        ({"principal": (np.nan, 0.0)}, "finite numbers"),
        ({"axes": np.diag([1.0, 1.0, -1.0])}, "the rotation is none"),
        ({"axes": np.eye(3) * 1.1}, "the rotation is none"),
        ({"heights_m": (0.0, 901.0)}, "at 900.0 m, not above its highest ground"),
        ({"heights_m": (10.0, 0.0)}, "ground from 10.0 to 0.0 m"),
    ],
)
def test_a_model_is_valid_once_it_exists(change, message):
    with pytest.raises(SensorModelError, match=message):
        replace(drone(), **change)


def test_a_rotation_of_few_digits_is_evened_out():
    camera = drone()
    rounded = replace(camera, axes=np.round(camera.axes, 7))
    assert np.abs(rounded.axes @ rounded.axes.T - np.eye(3)).max() < 1e-14
    assert np.abs(rounded.axes - camera.axes).max() < 1e-7


DOCUMENT = {
    "overflight_sensor_model": "1.0", "type": "frame", "image": {"rows": 240, "columns": 320}, "heights_m": [450, 650],
    "focal_px": 300, "principal": {"row": 117, "column": 164},
    "distortion": {"k1": -0.06, "k2": 0.02, "k3": -0.001, "p1": 2e-4, "p2": -3e-4},
    "position": {"lon": 5.3, "lat": 44.1, "height_m": 900},
    "orientation": {"omega_deg": 8, "phi_deg": -6, "kappa_deg": 35},
}  # fmt: skip


def test_position_and_orientation_may_be_given_either_way(tmp_path):
    camera, ecef = drone(), TO_ECEF.transform(5.3, 44.1, 900.0)
    for position in (DOCUMENT["position"], {"ecef_m": ecef}):
        for orientation in (DOCUMENT["orientation"], {"ecef_axes": camera.axes.tolist()}):
            path = tmp_path / "camera.json"
            path.write_text(json.dumps(DOCUMENT | {"position": position, "orientation": orientation}))
            found = read_model(path)
            assert np.allclose(found.axes, camera.axes, rtol=0, atol=1e-14)
            assert np.allclose(found.position_m, camera.position_m, rtol=0, atol=1e-8)
            assert (found.radial, found.tangential, found.principal) == (*LENS.values(), (117.0, 164.0))


def test_the_principal_point_is_the_middle_and_the_lens_perfect_where_nothing_is_said(tmp_path):
    bare = {name: value for name, value in DOCUMENT.items() if name not in ("principal", "distortion")}
    (tmp_path / "camera.json").write_text(json.dumps(bare))
    found = read_model(tmp_path / "camera.json")
    assert (found.radial, found.tangential, found.principal) == ((0, 0, 0), (0, 0), (119.5, 159.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": {"lon": 5.3, "lat": 44.1}}, "position"),
        ({"position": {"lon": 5.3, "lat": 94.1, "height_m": 900}}, "lat 94.1"),
        ({"orientation": {"omega_deg": 1, "phi_deg": 2, "kappa": 3}}, "orientation"),
        ({"position": {"ecef_m": [0, 0, 0]}}, "finite numbers"),
        ({"position": {"ecef_m": [0, 0, 0]}, "orientation": {"ecef_axes": np.eye(3).tolist()}}, "sees no ground"),
        ({"focal_mm": 8}, "focal_mm"),
        ({"distortion": {"k4": 8}}, "k4"),
        ({"focal_px": -3}, "focal_px"),
        ({"heights_m": [450]}, "heights_m"),
    ],
)
def test_a_file_that_is_no_camera_is_refused_by_name(tmp_path, change, message):
    (tmp_path / "camera.json").write_text(json.dumps(DOCUMENT | change))
    with pytest.raises(SensorModelError, match=rf"camera\.json: .*{message}"):
        read_model(tmp_path / "camera.json")


# ── orthoimages ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A raw picture of the dome, made ray by ray in steps of a metre, its DEM and its camera."""
    made = tmp_path_factory.mktemp("drone")
    camera = drone()
    rays = pixel_rays(camera)
    origin = np.array(camera.position_m)
    lon, lat, _ = walk_down(origin, rays, dome, start_m=250.0, end_m=620.0, step_m=2.0)
    values = np.rint(texture(lon, lat)).reshape(240, 320)
    write_raw(made / "photo.tif", values[None].astype(np.uint16))
    camera_json.write(camera, made / "photo.json")
    step = 2e-5
    west, north = 5.3 - 250 * step, 44.1 + 250 * step
    x, y = west + step * np.arange(501), north - step * np.arange(501)
    write_heights(made / "dem.tif", dome(*np.meshgrid(x, y)), west=west, north=north, step=step)
    return made


@pytest.fixture(scope="module")
def dem(folder):
    return Dem.open(folder / "dem.tif", vertical_datum="ellipsoid")


@pytest.fixture(scope="module")
def grid(dem) -> OutputGrid:
    return choose_grid(drone(), (240, 320), dem, resolution=1.0)


IMAGE = Image(rpc=drone(), height=240, width=320, bands=1, data_type="uint16", nodata=None)


def test_every_pixel_is_where_the_model_says(dem, grid):
    whole = Block(row=0, col=0, height=grid.height, width=grid.width)
    row, col = positions(whole, grid=grid, image=IMAGE, terrain=dem, reach=reach(IMAGE, grid, dem))
    lon, lat = grid.lon_lat(*np.indices(row.shape).reshape(2, -1).astype(float))
    exact = IMAGE.rpc.project(lon, lat, dem.heights(lon, lat))
    inside = (exact[0] >= 0) & (exact[0] < 240) & (exact[1] >= 0) & (exact[1] < 320)
    assert inside.mean() > 0.3
    assert np.abs(row.ravel() - exact[0])[inside].max() < 2e-5
    assert np.abs(col.ravel() - exact[1])[inside].max() < 2e-5


def test_the_command_puts_the_picture_where_its_ground_is(folder, tmp_path):
    out = tmp_path / "ortho.tif"
    arguments = [folder / "photo.tif", "--model", folder / "photo.json", "--dem", folder / "dem.tif"]
    done = CliRunner().invoke(
        cli,
        [
            "ortho", *map(str, arguments), "--dem-datum", "ellipsoid", "--resolution", "1", "--resampling", "cubic",
            "-o", str(out),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with open_raster(out) as made:
        found, transform, crs = made.read(1).astype(float), made.transform, made.crs.to_string()
    grid = OutputGrid(crs=crs, transform=tuple(transform)[:6], height=found.shape[0], width=found.shape[1])
    lon, lat = (
        part.reshape(found.shape) for part in grid.lon_lat(*np.indices(found.shape).reshape(2, -1).astype(float))
    )
    valid = found > 0
    assert valid.mean() > 0.3
    miss = np.abs(found - texture(lon, lat))[valid]
    # One pixel is some 1.4 m; a tenth of one off would be 13 counts on the slopes of the texture.
    assert np.percentile(miss, 99) < 4
    assert np.sqrt(np.mean(miss**2)) < 2


def test_an_rpc_of_a_frame_camera_is_its_residual_beside_it():
    camera = drone()
    fitted = fit_to(camera.locate, (240, 320), camera.heights_m)
    row, col, height = RNG.uniform(0, 239, 300), RNG.uniform(0, 319, 300), RNG.uniform(450, 650, 300)
    seen = fitted.rpc.project(*camera.locate(row, col, height), height)
    assert np.hypot(seen[0] - row, seen[1] - col).max() < 3 * fitted.max_px


@pytest.fixture(scope="module")
def make(folder, dem, grid):
    with open_raster(folder / "photo.tif") as raw:
        pixels = raw.read()
    inside = reach(IMAGE, grid, dem)

    def block(**place):
        return orthorectify_block(
            Block(**{"row": 0, "col": 0, "height": grid.height, "width": grid.width} | place), grid=grid, image=IMAGE,
            terrain=dem, reach=inside, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=0.0, resampling="lanczos",
        )  # fmt: skip

    return block


@pytest.fixture(scope="module")
def whole(make):
    return make()


@given(row=st.integers(0, 300), col=st.integers(0, 300), height=st.integers(1, 60), width=st.integers(1, 60))
@settings(max_examples=6, deadline=None)
def test_pixels_do_not_depend_on_the_block(make, whole, *, row, col, height, width):
    expected = whole[:, row : row + height, col : col + width]
    found = make(row=row, col=col, height=expected.shape[1], width=expected.shape[2])
    assert np.array_equal(found, expected)


def test_terrain_near_the_camera_hides_what_lies_behind_it_in_its_own_perspective(tmp_path):
    """A ridge that reaches half way up to the camera; by brute force along straight lines to the camera."""

    def ridge(lon, lat):
        east = (lon - 5.3) * 80_000
        return 480 + 180 * np.exp(-((east - 150) ** 2) / (2 * 18.0**2)) + 0.0 * lat

    step = 2e-5
    west, north = 5.3 - 300 * step, 44.1 + 300 * step
    x, y = west + step * np.arange(601), north - step * np.arange(601)
    path = write_heights(tmp_path / "dem.tif", ridge(*np.meshgrid(x, y)), west=west, north=north, step=step)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    camera = drone(omega_deg=0.0, phi_deg=-5.0, kappa_deg=0.0, focal_px=200.0, heights_m=(450.0, 700.0))
    image = replace(IMAGE, rpc=camera)
    grid = choose_grid(camera, (240, 320), dem, resolution=2.0)
    inside = reach(image, grid, dem)
    top = ceiling(camera, (240, 320), dem, (inside.low_m, inside.high_m))
    corners = [(row, col) for row in range(0, grid.height, PATCH) for col in range(0, grid.width, PATCH)]
    lattices, _ = make_lattices(grid, camera, dem, corners)
    parts = [
        (one, (0, min(PATCH, grid.height - row), 0, min(PATCH, grid.width - col)))
        for one, (row, col) in zip(lattices, corners, strict=True)
    ]
    hidden = occluded_block(
        (grid.height, grid.width), (0, 0), parts, grid=grid, rpc=camera, terrain=dem, relief=(inside.low_m, top)
    )
    row, col = np.indices(hidden.shape).reshape(2, -1)[:, RNG.permutation(hidden.size)[:1500]]
    lon, lat = grid.lon_lat(row.astype(float), col.astype(float))
    ground = np.stack(TO_ECEF.transform(lon, lat, dem.heights(lon, lat)), axis=-1)
    least = np.full(len(ground), np.inf)
    for share in np.linspace(0.002, 0.98, 800):
        on_way = TO_GEODETIC.transform(*(ground + share * (np.array(camera.position_m) - ground)).T)
        least = np.minimum(least, on_way[2] - dem.heights(on_way[0], on_way[1]))
    found = hidden[row, col]
    clear = np.abs(least) > 0.5
    assert clear.mean() > 0.6
    assert 0.05 < found[clear].mean() < 0.6
    assert np.mean(found[clear] != (least < 0)[clear]) < 0.002


def test_rotations_are_scipys():
    angles = RNG.uniform(-180, 180, (20, 3))
    for one in angles:
        assert np.allclose(
            rotation(*one), Rotation.from_euler("XYZ", one, degrees=True).as_matrix(), rtol=0, atol=1e-15
        )
