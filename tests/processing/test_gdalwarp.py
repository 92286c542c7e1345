"""Whole orthoimages against gdalwarp on the same grid: `-rpc` with a DEM raised to the ellipsoid, no approximation."""

import shutil
import subprocess

import numpy as np
import pytest
import rasterio

from processing.dem import Dem
from processing.graph import RawRaster, orthorectify, plan
from processing.ground import choose_grid
from processing.ortho import Block, positions
from processing.vendors import dimap, rpc_text
from tests.processing.gdalwarp import NAMES, ellipsoidal, gdalwarp
from tests.processing.pushbroom import write_raw
from tests.processing.test_graph import write_scene

pytestmark = pytest.mark.skipif(not shutil.which("gdalwarp"), reason="needs GDAL's command line")


@pytest.fixture(scope="module")
def ventoux(shared, tmp_path_factory):
    folder = shared / "data" / "pleiades-ventoux"
    geoid = shared / "data" / "geoid" / "egm96_15.gtx"
    dem = Dem.open(folder / "N44E005.hgt", vertical_datum="EGM96", geoid=geoid)
    place = tmp_path_factory.mktemp("ventoux")
    heights = ellipsoidal(dem, place, west=5.1, south=44.1, east=5.3, north=44.3)
    return RawRaster.open(folder / "left.tif"), dem, heights, place


@pytest.mark.parametrize("resampling", NAMES)
def test_the_real_scene_is_that_of_gdalwarp(ventoux, resampling):
    raster, dem, heights, place = ventoux
    result = orthorectify(
        raster=raster,
        dem=dem,
        grid=None,
        destination=place / f"{resampling}.tif",
        resampling=resampling,
        resolution_m=0.5,
    )
    with rasterio.open(result.path) as dataset:
        ours = dataset.read(1).astype(int)
    theirs = gdalwarp(
        raster.path, heights, result.grid, place / f"gdal-{resampling}.tif", resampling=resampling, nodata=0
    )[0].astype(int)
    assert np.array_equal(ours > 0, theirs > 0)  # the edges too
    assert (ours > 0).sum() > 200_000
    off = np.abs(ours - theirs)[ours > 0]
    if resampling == "nearest":  # a place within 1e-5 px of the middle between two pixels may fall either way
        assert (off > 0).mean() < 1e-4
    else:  # likewise a value within a thousandth of the middle between two numbers
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-3


def test_real_positions_are_those_of_gdal(ventoux):
    raster, dem, heights, _ = ventoux
    job = plan(raster=raster, dem=dem, grid=choose_grid(raster.rpc, (500, 500), dem, resolution=0.5))
    block = Block(row=0, col=0, height=job.grid.height, width=job.grid.width)
    seen = np.stack(positions(block, grid=job.grid, image=job.image, terrain=dem, reach=job.reach))
    row, col = np.random.default_rng(8).integers((0, 0), (job.grid.height, job.grid.width), (2000, 2)).T
    lon, lat = job.grid.lon_lat(row.astype(float), col.astype(float))
    command = ["gdaltransform", "-rpc", "-to", f"RPC_DEM={heights}", "-to", "RPC_DEMINTERPOLATION=bilinear", "-i"]
    points = "\n".join(f"{x!r} {y!r} 0" for x, y in np.stack([lon, lat], axis=1).tolist())
    out = subprocess.run([*command, str(raster.path)], input=points, capture_output=True, text=True, check=True).stdout
    theirs = np.array([line.split()[:2] for line in out.splitlines()], dtype=float) - 0.5  # GDAL counts from the corner
    assert np.abs(seen[0][row, col] - theirs[:, 1]).max() < 1e-4
    assert np.abs(seen[1][row, col] - theirs[:, 0]).max() < 1e-4


def test_the_real_scene_is_that_of_the_full_scene_model(ventoux, shared):
    raster, dem, _, place = ventoux
    full = dimap.read(shared / "data" / "pleiades-ventoux" / "dimap_RPC_full_scene.XML").shifted(rows=5000, cols=5000)
    ours = orthorectify(raster=raster, dem=dem, grid=None, destination=place / "rpc.tif")
    other = RawRaster(path=raster.path, rpc=full, nodata=None)
    theirs = orthorectify(raster=other, dem=dem, grid=ours.grid, destination=place / "dimap.tif")
    with rasterio.open(ours.path) as one, rasterio.open(theirs.path) as two:
        assert np.abs(one.read().astype(int) - two.read()).max() <= 1


@pytest.mark.parametrize("resampling", NAMES)
def test_four_bands_with_nodata_and_mountains(tmp_path, resampling):
    raster, dem = write_scene(tmp_path, shape=(500, 400), gsd_m=2.0, bands=4)
    with rasterio.open(raster.path) as dataset:
        pixels = dataset.read()
    pixels[:, 200:300, 100:150] = 0
    # Stripes of nodata, the same in all bands: where bands differ, gdalwarp lets valid pixels grow into nodata.
    pixels[:, 350:] *= np.indices(pixels.shape[1:]).sum(axis=0)[350:] % 11 > 0
    holed = write_raw(tmp_path / "holed.tif", pixels, nodata=0)
    rpc_text.write(raster.rpc, tmp_path / "holed_RPC.TXT")
    raster = RawRaster.open(holed)
    heights = ellipsoidal(dem, tmp_path, west=5.25, south=44.06, east=5.35, north=44.14)
    result = orthorectify(
        raster=raster, dem=dem, grid=None, destination=tmp_path / "ours.tif", resampling=resampling, resolution_m=2.0
    )
    with rasterio.open(result.path) as dataset:
        ours = dataset.read().astype(int)
    theirs = gdalwarp(
        raster.path, heights, result.grid, tmp_path / "theirs.tif", resampling=resampling, nodata=0
    ).astype(int)
    assert ((ours > 0) != (theirs > 0)).mean() < 1e-5
    both = (ours > 0) & (theirs > 0)
    off = np.abs(ours - theirs)[both]
    if resampling == "nearest":
        assert (off > 0).mean() < 1e-4
    else:
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-2
