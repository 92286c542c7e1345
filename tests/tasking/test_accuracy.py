"""Finished scenes lie within a pixel of the ground, all over the globe."""

import numpy as np
import pytest
import rasterio

from catalog.assets import AssetFolder
from processing.coregistration import coregister, ortho_grid
from processing.delivery import read_delivery
from processing.displacement import measure_displacement
from processing.produce import produce
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.constellation import SATELLITES
from tasking.provider.sandbox.truth import truth
from tests.tasking.accuracy import PLACES, area_around, clear_pass, measure_all


@pytest.mark.slow
def test_ten_scenes_lie_within_a_pixel_of_the_truth(tmp_path, capsys):
    table, worst_px = measure_all(tmp_path)
    with capsys.disabled():
        print(f"\n{table}")
    assert worst_px < 1.0


@pytest.mark.slow
def test_the_accuracy_report_says_of_a_scene_what_the_truth_says(tmp_path):
    """The ground itself as the other orthoimage: two ways of measuring, and both find less than a pixel."""
    place = PLACES[5]
    area = area_around(place)
    chosen = clear_pass(place, area)
    satellite = next(one for one in SATELLITES if one.id == chosen.satellite_id)
    (tmp_path / "delivery").mkdir()
    taken = acquire(satellite, area, chosen.window, folder=tmp_path / "delivery")
    assets = AssetFolder(tmp_path / "assets")
    item = produce(read_delivery(tmp_path / "delivery"), collection="c", dem=None, assets=assets, threads=2).item
    product = assets.path(f"c/{item.id}/multispectral.tif")
    grid = ortho_grid(product)
    ground = truth(grid, posix=taken.middle, role="multispectral")
    with rasterio.open(product) as dataset:
        image, profile = dataset.read(), dataset.profile
        ground[:, (image == 0).all(axis=0)] = 0
        with rasterio.open(tmp_path / "truth.tif", "w", **(profile | {"driver": "GTiff"})) as file:
            file.write(ground)
    found = coregister(product, tmp_path / "truth.tif", window_px=32, search_px=8)
    assert found.errors.ce90_m < found.resolution_m
    assert found.nmad_px < 0.5
    other = measure_displacement(
        image.mean(axis=0), ground.mean(axis=0), resolution_m=grid.transform[0], valid=(image != 0).all(axis=0),
        patch_px=32, search_px=8, step_px=16,
    )  # fmt: skip
    assert found.errors.median_east_m == pytest.approx(np.median(other.east_m), abs=0.05 * found.resolution_m)
    assert found.errors.median_north_m == pytest.approx(np.median(other.north_m), abs=0.05 * found.resolution_m)
