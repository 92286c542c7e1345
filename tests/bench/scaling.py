"""A scene many times as large: time a pixel against that of 4096², and the memory that two threads take above import.

It runs in a process of its own; the scene is mirrored and repeated (`tests.bench.ortho_large`), written before and
removed afterwards: 8 bytes a pixel, and as much again for the output.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.errors import LeftOutError
from tests.bench.memory import Watch
from tests.bench.ortho_large import BANDS, GEOID, SCENE, SIDE, make_scene, middle_grid
from tests.bench.servers import environment
from tests.bench.workload import CACHE, ROOT

BASE = 4096
"""Rows and columns of the output that others are measured against."""

REPEATS = 3
THREADS = 2
GOAL_RATIO, GOAL_MB = 1.1, 300


def run(side: int) -> None:
    """Print seconds a Mpx of both, their ratio, and the memory."""
    if not SCENE.is_dir():
        raise LeftOutError("needs the real scene beside the project")
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < 2.2 * side**2 * 2 * BANDS:
        raise LeftOutError(f"needs {2.2 * side**2 * 2 * BANDS / 1e9:.0f} GB of disk")
    with tempfile.TemporaryDirectory(prefix="overflight-bench-", dir=CACHE) as name:
        scene = CACHE / f"ventoux-{SIDE}.tif" if side == SIDE else Path(name, "scene.tif")
        if not scene.exists():
            make_scene(scene, side)
        seconds, above_mb = _measured(scene, side, Path(name))
    base, large = (min(seconds[str(one)]) / (one**2 / 1e6) for one in (BASE, side))
    print(f"{BANDS} bands uint16, bilinear, uncompressed, {THREADS} threads; best of {REPEATS}, the large one once\n")
    print(f"{BASE:>7}²  {min(seconds[str(BASE)]):8.2f} s   {1000 * base:7.2f} ms a Mpx")
    print(f"{side:>7}²  {min(seconds[str(side)]):8.2f} s   {1000 * large:7.2f} ms a Mpx", end="")
    print(f"   {large / base:5.2f} ×  (goal: at most {GOAL_RATIO} ×)")
    print(f"memory above import, kernels and all: {above_mb:.0f} MB  (goal: at most {GOAL_MB} MB)")


def _measured(scene: Path, side: int, folder: Path) -> tuple[dict[str, list[float]], float]:
    command = [sys.executable, "-m", "tests.bench.scaling", str(scene), str(folder / "out.tif"), str(side)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "imported\n"
        with Watch(worker.pid) as watch:
            said = worker.communicate("go\n")[0]
        assert worker.returncode == 0
    return json.loads(said), watch.above_idle_mb


def main() -> None:
    """What is measured: import, wait, work."""
    scene, target, side = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    from processing.dem import Dem
    from processing.graph import RawRaster, orthorectify

    print("imported", flush=True)
    sys.stdin.readline()
    dem = Dem.open(SCENE / "N44E005.hgt", vertical_datum="EGM96", geoid=GEOID)
    raster = RawRaster.open(scene)
    seconds: dict[str, list[float]] = {}
    for size in (256, *[BASE] * REPEATS, side):
        began = time.perf_counter()
        orthorectify(
            raster=raster, dem=dem, grid=middle_grid(size), destination=target, compress="none", threads=THREADS
        )
        seconds.setdefault(str(size), []).append(time.perf_counter() - began)
        target.unlink()
    print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
