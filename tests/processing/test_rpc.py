import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

from processing.errors import SensorModelError
from processing.rpc import Rpc, fit
from processing.vendors import dimap, find, rpc_text
from tests.processing.pushbroom import Pushbroom, write_raw

RNG = np.random.default_rng(20130805)


@pytest.fixture(scope="module")
def camera() -> Pushbroom:
    return Pushbroom(lon=5.3, lat=44.1)


@pytest.fixture(scope="module")
def rpc(camera: Pushbroom) -> Rpc:
    return fit(**camera.points()).rpc


def numbers(**changes):
    one = np.eye(20)[0]
    return {
        "line_off": 10.0,
        "samp_off": 20.0,
        "lat_off": 40.0,
        "lon_off": 179.9,
        "height_off": 100.0,
        "line_scale": 500.0,
        "samp_scale": 400.0,
        "lat_scale": 0.05,
        "lon_scale": 0.1,
        "height_scale": 300.0,
        "line_num": -np.eye(20)[2],
        "line_den": one,
        "samp_num": np.eye(20)[1],
        "samp_den": one,
    } | changes


# The order of STDI-0002, appendix E, written as powers of (λ, φ, h).
RPC00B = [
    (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0), (0, 2, 0), (0, 0, 2),
    (1, 1, 1), (3, 0, 0), (1, 2, 0), (1, 0, 2), (2, 1, 0), (0, 3, 0), (0, 1, 2), (2, 0, 1), (0, 2, 1), (0, 0, 3),
]  # fmt: skip


@pytest.mark.parametrize("term", range(20))
def test_each_term_stands_where_the_standard_puts_it(term):
    coefficients = np.zeros(20)
    coefficients[term] = 0.5
    denominator = np.eye(20)[0] * 2.0
    denominator[term] += 0.1
    model = Rpc(**numbers(line_num=coefficients, samp_num=-coefficients, line_den=denominator, samp_den=denominator))
    x, y, z = 0.3, -0.7, 0.9
    row, col = model.project(179.9 + 0.1 * x, 40 + 0.05 * y, 100 + 300 * z)
    powers = x ** RPC00B[term][0] * y ** RPC00B[term][1] * z ** RPC00B[term][2]
    expected = 0.5 * powers / (2.0 + 0.1 * powers)
    assert row == pytest.approx(10 + 500 * expected, abs=1e-9)
    assert col == pytest.approx(20 - 400 * expected, abs=1e-9)


@given(
    row=st.floats(-20, 420), col=st.floats(-20, 320), height=st.floats(-100, 1500), turn=st.sampled_from([-360, 0, 360])
)
def test_locate_is_the_inverse_of_project(rpc, row, col, height, turn):
    lon, lat = rpc.locate(row, col, height)
    back = rpc.project(lon + turn, lat, height)
    assert np.allclose(back, (row, col), rtol=0, atol=1e-7)
    assert -180 <= lon < 180


def test_arrays_are_broadcast(rpc):
    lon, lat = rpc.locate(np.arange(4.0)[:, None], np.arange(3.0), 250.0)
    assert lon.shape == lat.shape == (4, 3)
    row, col = rpc.project(lon, lat, 250.0)
    assert np.allclose(row, np.arange(4.0)[:, None], atol=1e-7)
    assert np.allclose(col, np.arange(3.0), atol=1e-7)
    assert rpc.project(5.3, 44.1, 0.0)[0].shape == ()
    assert rpc.project([], [], [])[0].shape == (0,)


def test_longitude_runs_on_over_the_antimeridian():
    model = Rpc(**numbers())
    col = model.project([179.95, -179.95, 180.05, -180.05], 40, 100)[1]
    assert np.allclose(col, [20 + 400 * 0.5, 20 + 400 * 1.5, 20 + 400 * 1.5, 20 + 400 * 0.5])
    assert model.locate(10, 20 + 400 * 1.5, 100)[0] == pytest.approx(-179.95)


def test_a_point_that_no_ground_answers_to_is_an_error():
    # Rows of y² + y/10: there is none far below the middle.
    model = Rpc(**numbers(line_num=np.eye(20)[8] + np.eye(20)[2] / 10))
    with pytest.raises(
        SensorModelError, match=r"row -490.0, column 20.0 at 100.0 m; the model holds for rows 10 ± 500"
    ):
        model.locate([10.0 + 250, -490.0], 20.0, 100.0)
    with pytest.raises(SensorModelError, match="no ground"):
        model.locate(np.nan, 20.0, 100.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat_scale": 0.0}, "lat_scale is 0"),
        ({"line_off": np.nan}, "line_off is nan"),
        ({"line_num": np.ones(19)}, "line_num holds 19 values"),
        ({"samp_num": np.full(20, np.inf)}, "samp_num"),
        ({"samp_den": np.zeros(20)}, "samp_den is all zeros"),
    ],
)
def test_a_model_is_valid_once_it_exists(change, message):
    with pytest.raises(SensorModelError, match=message):
        Rpc(**numbers(**change))


def test_models_are_values(rpc):
    copy = pickle.loads(pickle.dumps(rpc))
    assert copy == rpc
    assert hash(copy) == hash(rpc)
    assert tokenize(copy) == tokenize(rpc)
    assert copy != rpc.shifted(rows=1, cols=0)
    with pytest.raises(ValueError, match="read-only"):
        rpc.line_num[0] = 1.0


@pytest.mark.parametrize(("lon", "lat"), [(5.3, 44.1), (179.9995, -17.0), (20.0, 82.0), (-60.0, -82.0), (0.0, 0.0)])
@pytest.mark.parametrize(("rows", "cols"), [(400, 300), (20_000, 10_000)])
def test_a_fit_meets_a_rigorous_camera_between_its_points(lon, lat, rows, cols):
    camera = Pushbroom(lon=lon, lat=lat, rows=rows, cols=cols)
    fitted = fit(**camera.points())
    row, col, height = RNG.uniform(0, rows, 500), RNG.uniform(0, cols, 500), RNG.uniform(-100, 1500, 500)
    seen = fitted.rpc.project(*camera.ground(row, col, height), height)
    assert np.hypot(seen[0] - row, seen[1] - col).max() < 1e-6
    assert fitted.rms_px <= fitted.max_px < 1e-6


@pytest.mark.parametrize("noise_px", [0.001, 0.03, 0.3])
def test_noise_of_the_points_does_not_make_the_model_wild(camera, noise_px):
    points = camera.points()
    rng = np.random.default_rng(7)
    for axis in ("row", "col"):
        points[axis] = points[axis] + rng.normal(0, noise_px, points[axis].shape)
    fitted = fit(**points)
    row, col, height = rng.uniform(0, 400, 500), rng.uniform(0, 300, 500), rng.uniform(-100, 1500, 500)
    seen = fitted.rpc.project(*camera.ground(row, col, height), height)
    assert np.hypot(seen[0] - row, seen[1] - col).max() < noise_px
    assert fitted.rms_px == pytest.approx(noise_px * np.sqrt(2), rel=0.1)


def test_points_that_determine_no_model_are_refused(camera):
    points = camera.points()
    with pytest.raises(SensorModelError, match="every height is 0"):
        fit(**points | {"height": np.zeros_like(points["height"])})
    with pytest.raises(SensorModelError, match="39 points"):
        fit(**{name: values.ravel()[:39] for name, values in points.items()})
    with pytest.raises(SensorModelError, match="a lon is no number"):
        fit(**points | {"lon": np.full_like(points["lon"], np.nan)})


def test_golden_values_of_gdal_3_6(rpc):
    # Seen with `gdaltransform -rpc -i` (GDAL 3.6.2) on the model below, less 0.5: GDAL counts from the corner.
    model = Rpc(
        **numbers(
            line_num=[0.01, 0.02, -1.03, 0.012, 3e-4, -3e-6, -3e-5, -9e-4, 6e-5, -1e-6, 5e-7, -4e-7, -3e-5, -1e-6, 3e-5,
                      2e-4, 5e-5, -4e-7, -4e-6, -6e-7],
            line_den=[1.0, 3e-4, 1e-4, -3e-5, -2e-5, 4e-7, -5e-6, -3e-5, 1e-4, -5e-5] + [1e-7] * 10,
            samp_num=[-0.004, 1.02, 0.017, -0.0035, -9e-4, 7e-4, -4e-4, 2.5e-3, 9e-5, 3e-6] + [-1e-6] * 10,
            samp_den=[1.0, 2e-3, 1e-3, -7e-4, -4e-5, -2e-7, -6e-8, 7e-6, 4e-6, -5e-6] + [-2e-7] * 10,
            lon_off=5.2,
            lat_off=44.1,
        )
    )  # fmt: skip
    row, col = model.project([5.25, 5.11, 5.2], [44.12, 44.06, 44.1], [350.0, -40.0, 100.0])
    assert np.allclose(row, GOLDEN[:, 1], rtol=0, atol=1e-8)
    assert np.allclose(col, GOLDEN[:, 0], rtol=0, atol=1e-8)


GOLDEN = np.array([[224.035757486216, -181.045164834395], [-353.810756136138, 415.031690450914], [18.4, 15.0]])
"""Column and row."""


@pytest.mark.skipif(not shutil.which("gdaltransform"), reason="needs GDAL's command line")
def test_positions_are_those_of_gdal(rpc, tmp_path):
    raster = tmp_path / "scene.tif"
    write_raw(raster, np.zeros((1, 400, 300), dtype=np.uint8))
    rpc_text.write(rpc, tmp_path / "scene_RPC.TXT")
    lon, lat, height = RNG.uniform(5.295, 5.305, 200), RNG.uniform(44.096, 44.104, 200), RNG.uniform(-100, 1500, 200)
    theirs = gdaltransform(raster, lon, lat, height)
    row, col = rpc.project(lon, lat, height)
    assert np.allclose(theirs[:, 1], row, rtol=0, atol=1e-8)
    assert np.allclose(theirs[:, 0], col, rtol=0, atol=1e-8)


def gdaltransform(raster: Path, lon, lat, height):
    """Columns and rows by GDAL, which calls the centre of the first pixel (0.5, 0.5)."""
    points = "\n".join(f"{x!r} {y!r} {z!r}" for x, y, z in np.stack([lon, lat, height], axis=1).tolist())
    command = ["gdaltransform", "-rpc", "-i", str(raster)]
    out = subprocess.run(command, input=points, capture_output=True, text=True, check=True).stdout
    return np.array([[float(value) for value in line.split()] for line in out.splitlines()])[:, :2] - 0.5


def test_the_real_scene_agrees_with_the_model_of_the_full_scene(shared):
    folder = shared / "data" / "pleiades-ventoux"
    left = find(folder / "left.tif")
    full = dimap.read(folder / "dimap_RPC_full_scene.XML")
    row, col, height = RNG.uniform(0, 500, 1000), RNG.uniform(0, 500, 1000), RNG.uniform(190, 1960, 1000)
    lon, lat = left.locate(row, col, height)
    seen = full.project(lon, lat, height)
    assert np.abs(seen[0] - row - 5000).max() < 1e-6
    assert np.abs(seen[1] - col - 5000).max() < 1e-6
