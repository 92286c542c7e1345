"""Raw images sharpened on their way onto the map, held against orthoimages of both that were sharpened afterwards."""

import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from processing.dem import Dem
from processing.errors import DeliveryError, HeightsError, OutputError
from processing.graph import RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.pair import AROUND, coarser
from processing.pansharpen import pansharpen, pansharpen_raw
from processing.rpc import fit
from processing.sharpen import METHODS, Recipe
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw

LON, LAT, STEP = 5.3, 44.1, 1 / 1200


def write_image(folder, name, *, rows, cols, gsd_m, bands, seed):
    camera = Pushbroom(lon=LON, lat=LAT, rows=rows, cols=cols, gsd_m=gsd_m)
    noise = np.random.default_rng(seed).uniform(300, 4000, (bands, rows, cols))
    pixels = ndimage.uniform_filter(noise, (0, 3, 3)).astype(np.uint16)
    pixels[:, rows // 2 : rows // 2 + 20, :30] = 0
    path = write_raw(folder / f"{name}.tif", pixels, nodata=0, tiled=True)
    rpc_text.write(fit(**camera.points()).rpc, folder / f"{name}_RPC.TXT")
    return RawRaster.open(path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A pan whose orthoimage is taller than a superblock, and bands that show a little less ground."""
    folder = tmp_path_factory.mktemp("raw")
    lon, lat = np.meshgrid(LON - STEP * 30 + STEP * np.arange(60), LAT + STEP * 40 - STEP * np.arange(80))
    heights = (500 + 300 * np.sin(lon * 300) * np.cos(lat * 420)).astype(np.float32)
    write_heights(folder / "dem.tif", heights, west=lon[0, 0], north=lat[0, 0], step=STEP)
    dem = Dem.open(folder / "dem.tif", vertical_datum="ellipsoid")
    pan = write_image(folder, "pan", rows=2100, cols=420, gsd_m=1.0, bands=1, seed=1)
    bands = write_image(folder, "bands", rows=520, cols=100, gsd_m=4.0, bands=3, seed=2)
    return pan, bands, dem


@pytest.mark.parametrize("method", list(METHODS))
def test_nothing_is_lost_by_writing_nothing_in_between(scene, tmp_path, method):
    pan, bands, dem = scene
    image = pan.image()
    grid = choose_grid(pan.rpc, (image.height, image.width), dem)
    assert grid.height > 2048
    assert coarser(grid, 4).transform[0] == 4 * grid.transform[0]
    recipe = Recipe(method="brovey", weights=(0.2, 0.5, 0.3)) if method == "brovey" else Recipe(method=method)
    for raster, name, onto in ((pan, "sharp", grid), (bands, "coarse", coarser(grid, 4))):
        orthorectify(raster=raster, dem=dem, grid=onto, destination=tmp_path / f"{name}.tif", resampling="cubic")
    through = pansharpen(tmp_path / "sharp.tif", tmp_path / "coarse.tif", tmp_path / "through.tif", recipe=recipe)
    at_once = pansharpen_raw(pan, bands, dem, tmp_path / "at-once.tif", recipe=recipe, resampling="cubic", threads=2)
    assert at_once.recipe == through.recipe
    with rasterio.open(through.path) as expected, rasterio.open(at_once.path) as found:
        assert found.profile["transform"] == expected.profile["transform"]
        pixels = found.read()
        np.testing.assert_array_equal(pixels, expected.read())
    assert pixels.dtype == np.uint16
    assert 0.3 < (pixels > 0).all(axis=0).mean() < 0.9
    assert {path.name for path in tmp_path.iterdir()} == {"sharp.tif", "coarse.tif", "through.tif", "at-once.tif"}


def test_a_part_shows_what_the_whole_does(scene, tmp_path):
    """The bands beyond the edges of the part are asked, too."""
    pan, bands, dem = scene
    recipe = Recipe(method="brovey", weights=(0.2, 0.5, 0.3))
    whole = pansharpen_raw(pan, bands, dem, tmp_path / "whole.tif", recipe=recipe)
    a, _, c, _, e, f = whole.profile.transform
    top, left = (whole.profile.height // 2 - 200) // 4 * 4, (whole.profile.width // 2 - 100) // 4 * 4
    place = (a, 0.0, c + left * a, 0.0, e, f + top * e)
    part = OutputGrid(crs=whole.profile.crs, transform=place, height=404, width=202)
    cut = pansharpen_raw(pan, bands, dem, tmp_path / "part.tif", grid=part, recipe=recipe)
    with rasterio.open(whole.path) as expected, rasterio.open(cut.path) as found:
        pixels = found.read()
        off = pixels.astype(int) - expected.read(window=((top, top + 404), (left, left + 202)))
    assert (pixels > 0).mean() > 0.9
    # The sensor model is looked at from elsewhere, to a hundred-thousandth of a pixel: what is rounded on the way may
    # differ by one, and the pan multiplies it.
    assert np.abs(off).max() <= 4
    assert (off != 0).mean() < 5e-3


def test_the_coarser_grid_holds_the_finer_one_and_what_lies_around():
    grid = OutputGrid(crs="EPSG:32631", transform=(0.5, 0.0, 500.0, 0.0, -0.5, 900.0), height=101, width=40)
    below = coarser(grid, 4)
    assert below.transform == (2.0, 0.0, 500.0 - 2 * AROUND, 0.0, -2.0, 900.0 + 2 * AROUND)
    assert (below.height, below.width) == (26 + 2 * AROUND, 10 + 2 * AROUND)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"swapped": True}, DeliveryError, "bands.tif: 3 bands; a panchromatic raster has one"),
        ({"same": True}, OutputError, "are not sharper than the bands' own; give a finer --resolution"),
        ({"recipe": Recipe(method="brovey", weights=(1.0,))}, OutputError, "1 weights for 3 bands; give one a band"),
        ({"rotated": True}, OutputError, "a rotated output grid; give one with north up"),
        ({"away": 1.0}, HeightsError, "dem.tif"),
    ],
)
def test_what_cannot_be_sharpened(scene, tmp_path, change, error, message):
    pan, bands, dem = scene
    given = [bands, bands] if change.get("swapped") else [pan, pan] if change.get("same") else [pan, bands]
    grid = None
    if change.get("rotated"):
        grid = OutputGrid(crs="EPSG:32631", transform=(1, 0.1, 684_000, -0.1, -1, 4_886_000), height=90, width=90)
    if change.get("away"):
        given = [replace(raster, rpc=replace(raster.rpc, lat_off=raster.rpc.lat_off + 1)) for raster in given]
    with pytest.raises(error, match=re.escape(message)):
        pansharpen_raw(*given, dem, tmp_path / "out.tif", grid=grid, recipe=change.get("recipe"))
    assert not list(tmp_path.iterdir())
