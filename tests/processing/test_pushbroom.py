"""Rigorous pushbroom cameras against one that was written without them, and against PROJ and scipy."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

from processing import camera_kernel
from processing.corrected import Corrected
from processing.dem import Dem
from processing.errors import SensorModelError
from processing.ground import choose_grid, reach
from processing.ortho import Block, Image, orthorectify_block, positions
from processing.pushbroom import PushbroomCamera
from processing.refine import ControlPoint, refine
from processing.rpc import Rpc, fit_to
from processing.vendors import camera_json, read_model
from tests.processing.cameras import rigorous
from tests.processing.pushbroom import TO_ECEF, Pushbroom, write_heights, write_raw

RNG = np.random.default_rng(23)
PLACES = [(5.3, 44.1), (179.9995, -17.0), (20.0, 82.0), (-60.0, -82.0), (0.0, 0.0)]


def mountains(lon, lat):
    return 600 + 350 * np.sin(lon * 900) * np.cos(lat * 1300) + 80 * np.sin(lon * 5000 + lat * 4000)


@pytest.fixture(scope="module")
def oracle() -> Pushbroom:
    return Pushbroom(lon=5.3, lat=44.1)


@pytest.fixture(scope="module")
def camera(oracle) -> PushbroomCamera:
    return rigorous(oracle)


# ── geometry ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("lon", "lat"), PLACES)
@pytest.mark.parametrize("roll_deg", [-30.0, 0.0, 18.0])
def test_ground_is_seen_where_the_independent_camera_sees_it(lon, lat, roll_deg):
    oracle = Pushbroom(lon=lon, lat=lat, rows=3000, cols=4000, gsd_m=0.5, roll_deg=roll_deg)
    model = rigorous(oracle)
    row, col, height = RNG.uniform(-100, 3100, 500), RNG.uniform(-100, 4100, 500), RNG.uniform(-400, 8800, 500)
    ground = oracle.ground(row, col, height)
    seen = model.project(*ground, height)
    # PROJ's own way down to the ellipsoid is good for a micrometre: two millionths of these pixels.
    assert np.abs(seen[0] - row).max() < 3e-6
    assert np.abs(seen[1] - col).max() < 3e-6
    found = model.locate(row, col, height)
    metres = np.array(TO_ECEF.transform(*found, height)) - np.array(TO_ECEF.transform(*ground, height))
    assert np.abs(metres).max() < 2e-6


@given(row=st.floats(-200, 600), col=st.floats(-200, 500), height=st.floats(-400, 8800), backwards=st.booleans())
@settings(max_examples=60, deadline=None)
def test_locate_and_project_are_inverse(oracle, row, col, height, backwards):
    model = rigorous(oracle, backwards=backwards)
    lon, lat = model.locate(row, col, height)
    assert np.allclose(model.project(lon, lat, height), (row, col), rtol=0, atol=1e-6)
    assert -180 <= lon < 180


def test_lines_may_be_taken_against_the_flight(oracle, camera):
    turned = rigorous(oracle, backwards=True)
    row, col = RNG.uniform(0, 400, 50), RNG.uniform(0, 300, 50)
    assert np.allclose(turned.locate(400 - row, col, 500.0), camera.locate(row, col, 500.0), rtol=0, atol=1e-10)


def test_times_between_and_beyond_lines_are_linear(camera):
    rows = np.array([0.0, 100.0, 400.0])
    uneven = replace(camera, line_rows=rows, line_s=np.array([0.0, 0.05, 0.1]))
    even = [camera.locate(row, 10.0, 0.0) for row in (75.0, 225.0, -60.0, 420.0)]  # at 0.025, 0.075, -0.02, 0.14 / 3 …
    found = [uneven.locate(row, 10.0, 0.0) for row in (50.0, 250.0, -40.0, 640.0)]
    assert np.allclose(found, even, rtol=0, atol=1e-10)
    assert np.allclose(uneven.project(*even[1], 0.0), (250.0, 10.0), rtol=0, atol=1e-6)


def test_positions_and_attitudes_are_scipys_between_samples():
    times = np.array([0.0, 1.0, 2.5, 3.0])
    states = RNG.normal(size=(4, 6))
    turns = Rotation.random(4, random_state=3)
    quaternions = np.roll(turns.as_quat(), 1, axis=1)
    for k in range(1, 4):
        quaternions[k] *= np.sign(quaternions[k] @ quaternions[k - 1])
    spline, slerp = CubicHermiteSpline(times, states[:, :3], states[:, 3:]), Slerp(times, turns)
    for at in np.linspace(0.0, 3.0, 31):
        assert np.allclose(camera_kernel._position(times, states, at), spline(at), rtol=0, atol=1e-12)
        q = np.roll(camera_kernel._attitude(times, quaternions, at), -1)
        assert (Rotation.from_quat(q).inv() * slerp(at)).magnitude() < 1e-7
    assert np.allclose(camera_kernel._position(times, states, 5.0), states[3, :3] + 2 * states[3, 3:])
    assert np.allclose(camera_kernel._attitude(times, quaternions, -5.0), quaternions[0])


def test_places_are_projs_to_a_nanometre():
    lon, lat, height = RNG.uniform(-180, 180, 300), RNG.uniform(-90, 90, 300), RNG.uniform(-500, 9000, 300)
    theirs = np.stack(TO_ECEF.transform(lon, lat, height), axis=-1)
    ours = np.array([camera_kernel.earth_fixed(*place) for place in zip(lon, lat, height, strict=True)])
    assert np.abs(ours - theirs).max() < 5e-9
    back = np.array([camera_kernel.geodetic(*place) for place in theirs]).T
    assert np.abs(back - (lon, lat, height)).max(axis=1) == pytest.approx(0, abs=5e-9)
    again = np.array([camera_kernel.earth_fixed(*place) for place in back.T])
    assert np.abs(again - theirs).max() < 5e-9
    assert camera_kernel.geodetic(0.0, 0.0, 6_356_852.314245179)[1:] == pytest.approx((90.0, 100.0), abs=1e-9)


def test_a_ray_that_misses_the_earth_has_no_ground(camera):
    with pytest.raises(SensorModelError, match=r"pushbroom camera: row 0.0, column 2000000.0 sees no ground at 5.0 m"):
        camera.locate(0.0, [300.0, 2e6], 5.0)
    lon, lat = camera.locate(200.0, 150.0, 0.0)
    assert np.isnan(camera.project(lon, lat, 2e6)).all()  # above the satellite


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_models_are_values(camera, oracle, tmp_path):
    copy = pickle.loads(pickle.dumps(camera))
    assert copy == camera == rigorous(oracle)
    assert hash(copy) == hash(camera)
    assert tokenize(copy) == tokenize(camera)
    assert copy != replace(camera, look_middle=3.0)
    with pytest.raises(ValueError, match="read-only"):
        camera.line_s[0] = 1.0
    camera_json.write(camera, tmp_path / "camera.json", epoch="2026-04-01T10:00:00Z")
    assert read_model(tmp_path / "camera.json") == camera


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "0 rows"),
        ({"heights_m": (5.0, 5.0)}, "ground from 5.0 to 5.0"),
        ({"line_s": np.array([0.0, np.nan])}, "line_s is no finite"),
        ({"line_s": np.array([0.0, 0.0])}, "line_s does not rise, or fall"),
        ({"line_rows": np.array([4.0, 0.0])}, "line_rows does not rise"),
        ({"attitude_s": np.array([0.0])}, "attitude_s does not rise"),
        ({"quaternions": np.zeros((3, 4))}, "belongs to attitude_s has the shape"),
        ({"position_m": np.zeros((3, 3))}, "belongs to ephemeris_s has the shape"),
        ({"look_half": 0.0}, "look_half is 0"),
        ({"across": np.array([1.0])}, "two or more across"),
        ({"across": np.array([0.0, 1e-4, 1e-4])}, "turn back"),
        ({"across": np.array([0.0, 1e4])}, "sees no ground"),
    ],
)
def test_a_model_is_valid_once_it_exists(camera, change, message):
    with pytest.raises(SensorModelError, match=message):
        replace(camera, **change)


def test_quaternions_are_of_length_one(camera):
    with pytest.raises(SensorModelError, match="not of length 1"):
        replace(camera, quaternions=1.01 * camera.quaternions)


# ── to RPCs and orthoimages ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site(tmp_path_factory, camera):
    folder = tmp_path_factory.mktemp("pushbroom")
    step = 1 / 1200
    west, north = 5.3 - 60 * step, 44.1 + 40 * step
    x, y = west + step * np.arange(121), north - step * np.arange(81)
    path = write_heights(folder / "dem.tif", mountains(*np.meshgrid(x, y)), west=west, north=north, step=step)
    return Dem.open(path, vertical_datum="ellipsoid")


def image_of(model) -> Image:
    return Image(rpc=model, height=400, width=300, bands=1, data_type="uint16", nodata=None)


def test_every_pixel_is_where_the_model_says_and_the_rpc_only_its_residual_beside_it(camera, site):
    fitted = fit_to(camera.locate, (400, 300), camera.heights_m)
    assert fitted.rms_px <= fitted.max_px < 1e-5
    grid = choose_grid(camera, (400, 300), site, resolution=2.0)
    assert grid == choose_grid(fitted.rpc, (400, 300), site, resolution=2.0)
    whole = Block(row=0, col=0, height=grid.height, width=grid.width)
    found = {}
    for model in (camera, fitted.rpc):
        image = image_of(model)
        found[model.kind] = positions(whole, grid=grid, image=image, terrain=site, reach=reach(image, grid, site))
    mine, theirs = found["rigorous pushbroom model"], found["rational polynomial model"]
    row, col = np.indices(mine[0].shape).astype(float)
    lon, lat = grid.lon_lat(row.ravel(), col.ravel())
    exact = camera.project(lon, lat, site.heights(lon, lat))
    inside = (exact[0] >= 0) & (exact[0] < 400) & (exact[1] >= 0) & (exact[1] < 300)
    assert inside.mean() > 0.3
    for one, other, wanted in zip(mine, theirs, exact, strict=True):
        assert np.abs(one.ravel() - wanted)[inside].max() < 2e-5
        assert np.abs(one - other).ravel()[inside].max() < 2e-5 + 2 * fitted.max_px


@pytest.fixture(scope="module")
def make(camera, site):
    """Pixels of a block, on one grid."""
    grid = choose_grid(camera, (400, 300), site, resolution=3.0)
    pixels = np.random.default_rng(2).integers(0, 3000, (1, 400, 300)).astype(np.uint16)
    image = image_of(camera)
    inside = reach(image, grid, site)

    def block(**place):
        return orthorectify_block(
            Block(**{"row": 0, "col": 0, "height": grid.height, "width": grid.width} | place), grid=grid, image=image,
            terrain=site, reach=inside, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=0.0, resampling="cubic",
        )  # fmt: skip

    return block


@pytest.fixture(scope="module")
def whole(make):
    return make()


@given(row=st.integers(0, 250), col=st.integers(0, 200), height=st.integers(1, 300), width=st.integers(1, 250))
@settings(max_examples=6, deadline=None)
def test_pixels_do_not_depend_on_the_block(make, whole, *, row, col, height, width):
    expected = whole[:, row : row + height, col : col + width]
    found = make(row=row, col=col, height=expected.shape[1], width=expected.shape[2])
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["shift", "affine"])
def test_control_points_correct_a_rigorous_model(camera, kind):
    row, col, height = RNG.uniform(0, 400, 12), RNG.uniform(0, 300, 12), RNG.uniform(0, 1200, 12)
    lon, lat = camera.locate(row, col, height)
    scale = 1e-3 if kind == "affine" else 0.0
    truth = Corrected(model=camera, row=(3.0, 1 + scale, -scale), col=(-2.0, scale / 2, 1 - scale))
    shown = truth.project(lon, lat, height)
    points = [
        ControlPoint(id=str(k), lon=lon[k], lat=lat[k], height=height[k], row=shown[0][k], col=shown[1][k])
        for k in range(12)
    ]
    refined = refine(camera, points, model=kind)
    assert isinstance(refined.rpc, Corrected)
    assert not isinstance(refined.rpc, Rpc)
    assert refined.rmse_px < 1e-6 < refined.rmse_before_px
    assert np.allclose(refined.rpc.project(lon, lat, height), shown, rtol=0, atol=1e-6)
    back = refined.rpc.locate(*shown, height)
    assert np.allclose(back, (lon, lat), rtol=0, atol=1e-11)
    assert pickle.loads(pickle.dumps(refined.rpc)) == refined.rpc
    assert (refined.rpc.kind, refined.rpc.domain) == (camera.kind, camera.domain)


def test_a_correction_that_turns_the_image_over_is_refused(camera):
    with pytest.raises(SensorModelError, match="turns the image over"):
        Corrected(model=camera, row=(0.0, -1.0, 0.0), col=(0.0, 0.0, 1.0))


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"type": "pushbroom"', '"type": "whiskbroom"', "type: 'whiskbroom' is not one of"),
        ('"half"', '"halves"', "look"),
        ('"rows": 400', '"rows": 1e999', "rows"),
        ('"rows": 400', '"rows": 4000000000000', "rows"),
        ('"middle": 149.5', '"middle": ' + "9" * 400, "too large"),
        ('"middle": 149.5', '"middle": NaN', "NaN is no JSON number"),
        ('"1.0"', '"2.0"', "1.0"),
        ("{", "{{", "no valid JSON"),
    ],
)
def test_a_file_that_is_no_camera_is_refused_by_name(camera, tmp_path, old, new, message):
    path = tmp_path / "camera.json"
    camera_json.write(camera, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SensorModelError, match=rf"camera\.json: .*{message}"):
        read_model(path)


def test_a_camera_of_another_image_is_refused(camera, tmp_path):
    camera_json.write(camera, tmp_path / "camera.json")
    write_raw(tmp_path / "small.tif", np.zeros((1, 200, 300), np.uint8))
    with pytest.raises(
        SensorModelError, match=r"camera.json: for an image of 400 × 300 pixels; small.tif has 200 × 300"
    ):
        read_model(tmp_path / "camera.json", tmp_path / "small.tif")
