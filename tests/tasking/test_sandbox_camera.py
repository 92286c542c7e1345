"""The camera that the sandbox delivers: as its own sees, and as good on the ground as the truth can tell."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from processing.delivery import read_delivery
from processing.dem import Dem
from processing.displacement import measure_displacement
from processing.graph import RawRaster, orthorectify
from processing.ground import choose_grid
from processing.rpc import Rpc, fit_to
from processing.vendors import camera_json, find
from tasking.provider.sandbox.acquire import acquire, fit_rpc
from tasking.provider.sandbox.constellation import SATELLITES
from tasking.provider.sandbox.truth import truth
from tests.tasking.test_sandbox import NOON, camera, month, square

RNG = np.random.default_rng(31)


@pytest.mark.parametrize("roll_deg", [-29.0, 0.0, 30.0])
def test_the_model_sees_what_the_camera_sees(roll_deg):
    taken = camera(roll_deg, rows=6000, columns=10_000)
    model = taken.model(0.0, 2500.0)
    row, col, height = RNG.uniform(-100, 6100, 500), RNG.uniform(-100, 10_100, 500), RNG.uniform(-400, 5000, 500)
    seen = model.project(*taken.at_height(row, col, height), height)
    assert np.hypot(seen[0] - row, seen[1] - col).max() < 1e-5
    lon, lat = model.locate(row, col, height)
    assert np.allclose(taken.image(lon, lat, height), (row, col), rtol=0, atol=1e-5)


def test_the_model_of_coarser_pixels_looks_where_they_look():
    taken = camera(12.0, rows=800, columns=1200)
    fine, coarse = taken.model(0.0, 1000.0), taken.coarser(4).model(0.0, 1000.0)
    assert np.allclose(coarse.locate(10.0, 20.0, 300.0), fine.locate(41.5, 81.5, 300.0), rtol=0, atol=1e-10)


def test_the_rpc_is_the_one_fitted_to_the_model():
    taken = camera(25.0, rows=6000, columns=10_000)
    model, delivered = taken.model(0.0, 2500.0), fit_rpc(taken, 0.0, 2500.0)
    fitted = fit_to(model.locate, (model.rows, model.columns), model.heights_m)
    assert fitted.max_px == pytest.approx(delivered.max_px, abs=1e-5)
    row, col, height = RNG.uniform(0, 5999, 500), RNG.uniform(0, 9999, 500), RNG.uniform(0, 2500, 500)
    seen = delivered.rpc.project(*model.locate(row, col, height), height)
    assert np.hypot(seen[0] - row, seen[1] - col).max() < 2 * delivered.max_px + 1e-5


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rigorous")
    taken = acquire(SATELLITES[0], square(10.495, 44.85, 600), month(NOON), folder=folder, clouds=False, rigorous=True)
    return folder, taken


def test_a_delivery_says_which_model_is_to_be_used(delivery, tmp_path):
    folder, taken = delivery
    scene = read_delivery(folder)
    for raster, stem in zip(scene.rasters, ("ms", "pan", "ms"), strict=True):
        assert raster.rpc.kind == "rigorous pushbroom model"
        assert raster.rpc == camera_json.read(folder / f"{stem}_CAMERA.json")
    assert scene.raster("panchromatic").rpc.rows == taken.camera.rows
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((folder / "delivery.json").read_text())
    for raster in manifest["rasters"]:
        del raster["model"]
    (tmp_path / "delivery.json").write_text(json.dumps(manifest))
    assert {type(raster.rpc) for raster in read_delivery(tmp_path).rasters} == {Rpc}


@pytest.mark.slow
def test_the_rigorous_model_meets_the_truth_as_well_as_the_rpc(delivery, tmp_path):
    folder, taken = delivery
    dem = Dem.open(folder / "dem.tif", vertical_datum="ellipsoid")
    scene = read_delivery(folder).raster("panchromatic")
    raster = RawRaster(path=scene.path, rpc=scene.rpc, nodata=0.0)
    grid = choose_grid(scene.rpc, (scene.height, scene.width), dem)
    made, images = {}, {}
    for model in (scene.rpc, find(scene.path)):
        out = tmp_path / f"{len(made)}.tif"
        orthorectify(raster=replace(raster, rpc=model), dem=dem, grid=grid, destination=out, threads=2)
        with rasterio.open(out) as written:
            images[model.kind] = image = written.read(1)
        reference = truth(grid, posix=taken.middle, role="panchromatic")[0]
        made[model.kind] = measure_displacement(
            image, reference, resolution_m=grid.transform[0], valid=image > 0, search_px=8, step_px=48
        )
    rigorous, rpc = made["rigorous pushbroom model"], made["rational polynomial model"]
    assert rigorous.ce90_m / grid.transform[0] < 0.1
    assert rigorous.ce90_m <= rpc.ce90_m + 1e-3 * grid.transform[0]
    apart = np.abs(images[scene.rpc.kind].astype(int) - images["rational polynomial model"])
    assert (apart > 1).mean() < 1e-3
