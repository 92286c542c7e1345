"""Whole command against whole command on the real Pléiades scene: gdalwarp, exact, on the same grid."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

from processing.dem import Dem
from processing.graph import RawRaster
from processing.ground import choose_grid
from tests.processing.gdalwarp import NAMES, ellipsoidal, gdalwarp

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
REPEATS = 5


def run() -> None:
    scene, geoid = DATA / "pleiades-ventoux", DATA / "geoid" / "egm96_15.gtx"
    if not scene.is_dir() or not shutil.which("gdalwarp"):
        print("left out: needs the real scene beside the project and GDAL's command line")
        return
    raster = RawRaster.open(scene / "left.tif")
    dem = Dem.open(scene / "N44E005.hgt", vertical_datum="EGM96", geoid=geoid)
    image = raster.image()
    grid = choose_grid(raster.rpc, (image.height, image.width), dem, resolution=0.5)
    print(f"{grid.height} × {grid.width} pixels of 0.5 m, {image.data_type}; median of {REPEATS} whole commands\n")
    print("resampling   gdalwarp -et 0   overflight ortho   ratio   largest difference   differing pixels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heights = ellipsoidal(dem, folder, west=5.1, south=44.1, east=5.3, north=44.3)
        for resampling in NAMES:
            theirs, ours, times = _both(
                folder=folder,
                scene=scene,
                geoid=geoid,
                raster=raster,
                heights=heights,
                grid=grid,
                resampling=resampling,
            )
            assert np.array_equal(ours > 0, theirs > 0)
            off = np.abs(ours.astype(int) - theirs)
            assert off.max() <= 1 or resampling == "nearest"
            peer, us = (statistics.median(values) for values in zip(*times, strict=True))
            share = (off > 0).mean()
            print(f"{resampling:10s} {peer:14.2f} s {us:16.2f} s {peer / us:7.2f} {off.max():17d} DN {share:17.5%}")


def _both(*, folder, scene, geoid, raster, heights, grid, resampling):
    command = [sys.executable, "-m", "api.cli", "ortho", str(scene / "left.tif")]
    command += ["--dem", str(scene / "N44E005.hgt"), "--dem-datum", "EGM96", "--geoid", str(geoid)]
    command += ["--crs", grid.crs, "--resolution", "0.5", "--bounds", *map(repr, grid.bounds)]
    command += ["--resampling", resampling, "-o", str(folder / "ours.tif")]
    times = []
    for _ in range(REPEATS):
        (folder / "theirs.tif").unlink(missing_ok=True)
        began = time.perf_counter()
        theirs = gdalwarp(raster.path, heights, grid, folder / "theirs.tif", resampling=resampling, nodata=0)
        between = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        times.append((between - began, time.perf_counter() - between))
    with rasterio.open(folder / "ours.tif") as dataset:
        return theirs, dataset.read(), times
