"""A scene of 12288² × 4, on the real geometry of Mont Ventoux, against gdalwarp at its best; the results compared.

The picture is a mirrored and repeated piece of the real one with noise, so that its bands differ and nothing compresses
better than a real one would (ANCHORS: Ortho).
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
from rasterio.windows import Window

from processing.dem import Dem
from processing.graph import RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.vendors import dimap, rpc_text
from tests.bench.errors import LeftOutError
from tests.bench.servers import environment
from tests.bench.workload import CACHE, ROOT
from tests.processing.gdalwarp import ellipsoidal

DATA = ROOT.parent / "shared" / "data"
SCENE, GEOID = DATA / "pleiades-ventoux", DATA / "geoid" / "egm96_15.gtx"

SIDE, BANDS = 12_288, 4
FIRST_ROW, FIRST_COL = 10_000, 13_000
"""Where the piece begins in the whole scene."""

MIDDLE = (682_156.0, 4_892_729.0)
"""Of the output, in EPSG:32631."""

REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table."""

    name: str
    goal: float
    side: int
    """Rows and columns of the output."""

    resampling: str
    theirs: tuple[str, ...]
    """gdalwarp's options for the output."""

    ours: str
    """How our output is compressed."""

    whole: bool = False
    """Whether our whole command is measured, not the call of a warm process."""


TILED = ("-co", "TILED=YES", "-co", "BLOCKXSIZE=512", "-co", "BLOCKYSIZE=512")
COG = ("-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=2", "-co", "NUM_THREADS=2")

CASES = (
    Case(name="bilinear, library call", goal=8, side=4096, resampling="bilinear", theirs=TILED, ours="none"),
    Case(name="cubic, library call", goal=5, side=4096, resampling="cubic", theirs=TILED, ours="none"),
    Case(name="to COG, DEFLATE 6", goal=5, side=4096, resampling="bilinear", theirs=COG, ours="deflate"),
    Case(name="to COG, ours ZSTD", goal=11, side=4096, resampling="bilinear", theirs=COG, ours="zstd"),
    Case(name="whole command", goal=4.5, side=SIDE, resampling="bilinear", theirs=TILED, ours="none", whole=True),
)


def run() -> None:
    """Print the seconds of both and the ratio."""
    if not SCENE.is_dir() or not shutil.which("gdalwarp"):
        raise LeftOutError("needs the real scene beside the project and GDAL's command line")
    scene = CACHE / f"ventoux-{SIDE}.tif"
    if not scene.exists():
        make_scene(scene)
    dem = Dem.open(SCENE / "N44E005.hgt", vertical_datum="EGM96", geoid=GEOID)
    raster = RawRaster.open(scene)
    print(f"scene {SIDE}² × {BANDS} uint16, output 0.5 m; best of {REPEATS} (whole command: once); seconds\n")
    print(f"{'':24} {'output':>8} {'gdalwarp':>9} {'ours':>7} {'ratio':>8}  goal     largest difference")
    with tempfile.TemporaryDirectory(prefix="overflight-bench-", dir=CACHE) as name:
        folder = Path(name)
        heights = ellipsoidal(dem, folder, west=5.1, south=44.05, east=5.4, north=44.3)
        for case in CASES:
            _measure(case, raster, dem, heights, folder)


def make_scene(path: Path, side: int = SIDE) -> None:
    """Write the picture, tiled, its bands together, uncompressed, with the sensor model beside it.

    Other sides have the same middle.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(SCENE / "left.tif") as file:
        piece = file.read(1)
    mirrored = np.block([[piece, piece[:, ::-1]], [piece[::-1], piece[::-1, ::-1]]]).astype(np.int32)
    across = np.arange(side) % mirrored.shape[1]
    random = np.random.default_rng(1)
    profile = {
        "driver": "GTiff",
        "height": side,
        "width": side,
        "count": BANDS,
        "dtype": "uint16",
        "bigtiff": "if_safer",
    }
    part = path.with_name(f".{path.name}")
    with rasterio.open(part, "w", **profile, tiled=True, blockxsize=512, blockysize=512, interleave="pixel") as file:
        for row in range(0, side, 2048):
            down = np.arange(row, min(row + 2048, side)) % mirrored.shape[0]
            noise = random.integers(-3, 4, size=(BANDS, down.size, side))
            pixels = mirrored[np.ix_(down, across)] + noise + 5 * np.arange(BANDS)[:, None, None]
            file.write(np.clip(pixels, 1, 65535).astype(np.uint16), window=Window(0, row, side, down.size))
    before = (SIDE - side) // 2
    whole = dimap.read(SCENE / "dimap_RPC_full_scene.XML")
    rpc = whole.shifted(rows=FIRST_ROW + before, cols=FIRST_COL + before)
    rpc_text.write(rpc, path.with_name(f"{path.stem}_RPC.TXT"))
    part.replace(path)


def middle_grid(side: int) -> OutputGrid:
    """So many rows and columns of 0.5 m around the middle."""
    half = side / 4
    transform = (0.5, 0.0, MIDDLE[0] - half, 0.0, -0.5, MIDDLE[1] + half)
    return OutputGrid(crs="EPSG:32631", transform=transform, height=side, width=side)


def _measure(case: Case, raster: RawRaster, dem: Dem, heights: Path, folder: Path) -> None:
    grid = middle_grid(case.side)
    theirs, ours = folder / "theirs.tif", folder / "ours.tif"
    peer, us = [], []
    for _ in range(1 if case.whole else REPEATS):
        theirs.unlink(missing_ok=True)
        ours.unlink(missing_ok=True)
        began = time.perf_counter()
        _gdalwarp(case, raster, heights, grid, theirs)
        between = time.perf_counter()
        if case.whole:
            _command(case, raster, grid, ours)
        else:
            orthorectify(
                raster=raster, dem=dem, grid=grid, destination=ours, resampling=case.resampling, compress=case.ours
            )
        peer.append(between - began)
        us.append(time.perf_counter() - between)
    largest = _difference(theirs, ours)
    ratio = min(peer) / min(us)
    said = "met" if ratio >= case.goal else "NOT"
    print(
        f"{case.name:24} {case.side:>7}² {min(peer):9.2f} {min(us):7.2f} {ratio:6.1f} ×  {case.goal:4} × {said}", end=""
    )
    print(f"  {largest} DN", flush=True)


def _gdalwarp(case: Case, raster: RawRaster, heights: Path, grid: OutputGrid, target: Path) -> None:
    command = ["gdalwarp", "-q", "-rpc", "-to", f"RPC_DEM={heights}", "-to", "RPC_DEMINTERPOLATION=bilinear"]
    command += ["-et", "0", "-wm", "500", "-wo", "XSCALE=1", "-wo", "YSCALE=1", "-multi", "-wo", "NUM_THREADS=2"]
    command += ["-r", case.resampling, "-t_srs", grid.crs, "-te", *map(repr, grid.bounds), "-dstnodata", "0"]
    command += ["-ts", str(grid.width), str(grid.height), *case.theirs, str(raster.path), str(target)]
    subprocess.run(command, check=True, capture_output=True, env=environment())


def _command(case: Case, raster: RawRaster, grid: OutputGrid, target: Path) -> None:
    command = [sys.executable, "-m", "api.cli", "ortho", str(raster.path), "--dem", str(SCENE / "N44E005.hgt")]
    command += ["--dem-datum", "EGM96", "--geoid", str(GEOID), "--crs", grid.crs, "--resolution", "0.5"]
    command += ["--bounds", *map(repr, grid.bounds), "--resampling", case.resampling, "--compress", case.ours]
    subprocess.run([*command, "-o", str(target)], check=True, capture_output=True, cwd=ROOT, env=environment())


def _difference(theirs: Path, ours: Path) -> int:
    """The largest, over all pixels that both have; both have the same ones."""
    largest = 0
    with rasterio.open(theirs) as one, rasterio.open(ours) as other:
        assert one.shape == other.shape
        for row in range(0, one.height, 2048):
            window = Window(0, row, one.width, min(2048, one.height - row))
            expected, found = one.read(window=window).astype(np.int32), other.read(window=window).astype(np.int32)
            assert np.array_equal(expected > 0, found > 0)
            largest = max(largest, int(np.abs(found - expected).max()))
    assert largest <= 1
    return largest
