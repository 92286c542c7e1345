"""Whole command against whole command: orthority, on its own grid, over the real geometry of Mont Ventoux.

Both read the same heights above the ellipsoid and write a tiled GeoTIFF with overviews, each with its own effort of
compression. orthority resamples the DEM to the pixels of the output and remaps with OpenCV, whose weights are 1/32 of a
pixel; ours are exact. So the two are compared in the interior, where both have data, and by how many pixels they are
apart.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from processing.dem import Dem
from tests.bench.errors import LeftOutError
from tests.bench.ortho_large import BANDS, GEOID, SCENE, make_scene
from tests.bench.servers import environment
from tests.bench.workload import ROOT
from tests.processing.gdalwarp import ellipsoidal

PEER = ROOT / ".venv-bench" / "bin" / "oty"
REPEATS = 3
SIDE = 4352
"""Rows and columns of the scene: 19 Mpx."""

GOAL = 15
CRS = "EPSG:32631"


def run() -> None:
    """Print the seconds of both, the ratio, and how their pictures differ."""
    if not SCENE.is_dir():
        raise LeftOutError("needs the real scene beside the project")
    if not PEER.exists():
        raise LeftOutError("needs the peer in .venv-bench: make bench installs it")
    dem = Dem.open(SCENE / "N44E005.hgt", vertical_datum="EGM96", geoid=GEOID)
    with tempfile.TemporaryDirectory(prefix="overflight-bench-") as name:
        folder = Path(name)
        heights = ellipsoidal(dem, folder, west=5.1, south=44.05, east=5.4, north=44.3)
        make_scene(folder / "scene.tif", SIDE)
        print(f"{SIDE}² × {BANDS} uint16, 0.5 m, bilinear, overviews; median of {REPEATS} whole commands; seconds\n")
        for compress in ("deflate", "zstd"):
            _measure(compress, folder, heights)


def _measure(compress: str, folder: Path, heights: Path) -> None:
    theirs, ours = folder / "scene_ORTHO.tif", folder / "ours.tif"
    peer, us = [], []
    for _ in range(REPEATS):
        peer.append(_timed(_orthority(compress, folder, heights)))
        us.append(_timed(_overflight(compress, folder, heights, theirs)))
    with rasterio.open(theirs) as one, rasterio.open(ours) as other:
        assert one.shape == other.shape
        size, expected, found = other.width * other.height / 1e6, one.read(1).astype(float), other.read(1).astype(float)
    ratio = statistics.median(peer) / statistics.median(us)
    print(f"{compress:8} {size:3.0f} Mpx   orthority {statistics.median(peer):6.2f}", end="")
    print(f"   overflight {statistics.median(us):6.2f}   {ratio:5.1f} ×  (goal: {GOAL} ×)")
    _compare(expected, found)


def _compare(expected: np.ndarray, found: np.ndarray) -> None:
    both = ndimage.binary_erosion((expected > 0) & (found > 0), iterations=16)
    off = np.abs(found - expected)[both]
    rows, cols = np.argwhere(both).mean(axis=0).astype(int)
    piece = np.s_[rows - 256 : rows + 256, cols - 256 : cols + 256]
    shift, _, _ = phase_cross_correlation(expected[piece], found[piece], upsample_factor=100)
    contrast = found[both].std()
    print(f"         interior, {both.mean():.0%} of the picture: median {np.median(off):.0f} DN, 99 % within", end="")
    print(f" {np.quantile(off, 0.99):.0f} DN, mean {off.mean():.1f} (its contrast: {contrast:.0f} DN)", end="")
    print(f"; apart by {np.hypot(*shift):.2f} px")
    assert off.mean() < 0.05 * contrast


def _orthority(compress: str, folder: Path, heights: Path) -> list[str]:
    command = [str(PEER), "rpc", "--dem", str(heights), "--crs", CRS, "--res", "0.5", "--interp", "bilinear"]
    command += ["--dem-interp", "bilinear", "--compress", compress, "--out-dir", str(folder), "--overwrite"]
    return [*command, str(folder / "scene.tif")]


def _overflight(compress: str, folder: Path, heights: Path, theirs: Path) -> list[str]:
    with rasterio.open(theirs) as grid:
        bounds = grid.bounds
    command = [sys.executable, "-m", "api.cli", "ortho", str(folder / "scene.tif"), "--dem", str(heights)]
    command += ["--dem-datum", "ellipsoid", "--crs", CRS, "--resolution", "0.5", "--bounds", *map(repr, bounds)]
    return [*command, "--compress", compress, "-o", str(folder / "ours.tif")]


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - began
