"""Weighted Brovey against `gdal_pansharpen.py`: a pan of 8192² and four bands at a quarter of it; the results compared.

Both weigh the bands alike and bring them to the pan's pixels with the same kernels. GDAL rounds the bands to whole
numbers once they are there, we round the result alone: at most two digital numbers between them. It cuts kernels off
at the edges of the picture, where we use fewer neighbours, so that a rim is left out of the comparison. Its GeoTIFF has
no overviews, ours always has.

orthority, where it is installed, sharpens by Gram and Schmidt's method: its seconds are told, its pixels are others.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window
from scipy import ndimage

from processing.pansharpen import pansharpen
from processing.sharpen import Recipe
from tests.bench.agreement import DifferError
from tests.bench.errors import LeftOutError
from tests.bench.servers import environment
from tests.bench.workload import CACHE, ROOT

PEER = "gdal_pansharpen.py"
ORTHORITY = ROOT / ".venv-bench" / "bin" / "oty"

SIDE, RATIO, BANDS = 8192, 4, 4
WEIGHTS = (0.15, 0.3, 0.3, 0.25)
GOAL = 3.0
REPEATS = 3

RIM = 4 * RATIO
"""Pixels at the edges that are not compared."""

MOST_DN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table."""

    name: str
    resampling: str
    theirs: tuple[str, ...]
    """Options of the peer for the output."""

    ours: str
    """How our output is compressed."""

    whole: bool = False
    """Whether our whole command is measured, not the call of a warm process."""


TILED = ("-co", "TILED=YES", "-co", "BLOCKXSIZE=512", "-co", "BLOCKYSIZE=512")
COG = ("-of", "COG", "-co", "COMPRESS=NONE", "-co", "NUM_THREADS=2")
DEFLATED = ("-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=2", "-co", "NUM_THREADS=2")

CASES = (
    Case(name="bilinear, library call", resampling="bilinear", theirs=TILED, ours="none"),
    Case(name="cubic, library call", resampling="cubic", theirs=TILED, ours="none"),
    Case(name="cubic, whole command", resampling="cubic", theirs=TILED, ours="none", whole=True),
    Case(name="to COG, whole command", resampling="cubic", theirs=COG, ours="none", whole=True),
    Case(name="to COG, DEFLATE 6", resampling="cubic", theirs=DEFLATED, ours="deflate"),
    Case(name="to COG, ours ZSTD", resampling="cubic", theirs=DEFLATED, ours="zstd"),
)


def run(side: int = SIDE) -> None:
    """Print the seconds of both and the ratio."""
    if not shutil.which(PEER):
        raise LeftOutError(f"needs {PEER}; on Debian and Ubuntu: apt-get install gdal-bin python3-gdal")
    CACHE.mkdir(parents=True, exist_ok=True)
    pan, bands = CACHE / f"pan-{side}.tif", CACHE / f"bands-{side}.tif"
    if not (pan.exists() and bands.exists()):
        make_pair(pan, bands, side)
    print(f"pan {side}² uint16, {BANDS} bands of {side // RATIO}², weighted Brovey; best of {REPEATS}; seconds\n")
    print(f"{'':24} {PEER:>18} {'ours':>7} {'ratio':>8}  goal     largest difference, share of samples")
    with tempfile.TemporaryDirectory(prefix="overflight-bench-", dir=CACHE) as name:
        for case in CASES:
            _measure(case, pan, bands, Path(name))
        _orthority(pan, bands, Path(name))


def make_pair(pan: Path, bands: Path, side: int) -> None:
    """Write ground with detail that all bands share and colours that vary slowly, and what both sensors see of it."""
    random = np.random.default_rng(7)
    detail = ndimage.gaussian_filter(random.normal(size=(1024, 1024)), 1.2, mode="wrap")
    colours = ndimage.gaussian_filter(random.normal(size=(BANDS, 1024, 1024)), (0, 25, 25), mode="wrap")
    fine = 1000 * (1 + 0.6 * detail / np.abs(detail).max()) * (1 + 0.5 * colours / np.abs(colours).max())
    coarse = fine.reshape(BANDS, 1024 // RATIO, RATIO, 1024 // RATIO, RATIO).mean(axis=(2, 4))
    sharp = np.tensordot(WEIGHTS, fine, 1)[None]
    for path, pixels, metres in ((pan, sharp, 0.5), (bands, coarse, 0.5 * RATIO)):
        size = side * 0.5 / metres
        tiled = np.tile(pixels, (1, *(-(-int(size) // length) for length in pixels.shape[1:])))
        whole = tiled[:, : int(size), : int(size)] + random.normal(0, 2, (len(pixels), int(size), int(size)))
        _write(path, np.clip(np.rint(whole), 1, 65535).astype(np.uint16), metres)


def _write(path: Path, pixels: np.ndarray, side_m: float) -> None:
    """Tiled, the bands of a pixel together, uncompressed."""
    shape = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2], "dtype": "uint16"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel", "photometric": "MINISBLACK"}
    where = {"crs": "EPSG:32631", "transform": Affine(side_m, 0, 500_000, 0, -side_m, 4_900_000)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **tiles, **where) as file:
        file.write(pixels)


def _measure(case: Case, pan: Path, bands: Path, folder: Path) -> None:
    theirs, ours = folder / "theirs.tif", folder / "ours.tif"
    peer, us = [], []
    for _ in range(REPEATS):
        theirs.unlink(missing_ok=True)
        ours.unlink(missing_ok=True)
        began = time.perf_counter()
        _gdal(case, pan, bands, theirs)
        between = time.perf_counter()
        if case.whole:
            _command(case, pan, bands, ours)
        else:
            recipe = Recipe(method="brovey", resampling=case.resampling, weights=WEIGHTS, offsets=(0.0,))
            pansharpen(pan, bands, ours, recipe=recipe, compress=case.ours)
        peer.append(between - began)
        us.append(time.perf_counter() - between)
    largest, share = _difference(theirs, ours)
    ratio = min(peer) / min(us)
    said = "met" if ratio >= GOAL else "NOT"
    print(f"{case.name:24} {min(peer):18.2f} {min(us):7.2f} {ratio:6.1f} ×  {GOAL:3} × {said}", end="")
    print(f"  {largest} DN, {share:.2%}", flush=True)


def _gdal(case: Case, pan: Path, bands: Path, target: Path) -> None:
    command = [PEER, "-q", "-threads", "2", "-r", case.resampling, *case.theirs]
    for weight in WEIGHTS:
        command += ["-w", repr(weight)]
    subprocess.run([*command, str(pan), str(bands), str(target)], check=True, capture_output=True, env=environment())


def _command(case: Case, pan: Path, bands: Path, target: Path) -> None:
    command = [sys.executable, "-m", "api.cli", "pansharpen", str(pan), str(bands), "--method", "brovey"]
    command += ["--weights", ",".join(map(repr, WEIGHTS)), "--resampling", case.resampling, "--compress", case.ours]
    subprocess.run([*command, "-o", str(target)], check=True, capture_output=True, cwd=ROOT, env=environment())


def _difference(theirs: Path, ours: Path) -> tuple[int, float]:
    """The largest, and the share of samples that differ at all, off the rim."""
    largest = differing = 0
    with rasterio.open(theirs) as one, rasterio.open(ours) as other:
        if (one.shape, one.count) != (other.shape, other.count):
            raise DifferError(f"{one.count} × {one.shape} pixels, but ours {other.count} × {other.shape}")
        width = one.width - 2 * RIM
        for row in range(RIM, one.height - RIM, 1024):
            window = Window(RIM, row, width, min(1024, one.height - RIM - row))
            off = np.abs(one.read(window=window).astype(np.int32) - other.read(window=window))
            largest, differing = max(largest, int(off.max())), differing + int(np.count_nonzero(off))
        share = differing / (one.count * width * (one.height - 2 * RIM))
    if largest > MOST_DN:
        raise DifferError(f"pan-sharpening: {largest} DN apart, more than {MOST_DN}")
    return largest, share


def _orthority(pan: Path, bands: Path, folder: Path) -> None:
    if not ORTHORITY.exists():
        print("orthority: left out; .venv-bench/bin/python -m pip install orthority brings it")
        return
    target = folder / "orthority.tif"
    began = time.perf_counter()
    command = [str(ORTHORITY), "sharpen", "--pan", str(pan), "--multispectral", str(bands), "--out-file", str(target)]
    subprocess.run(command, check=True, capture_output=True, env=environment())
    print(f"orthority, whole command {time.perf_counter() - began:17.2f}")


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else SIDE)
