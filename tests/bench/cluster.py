"""A cluster of processes against threads of one process, on the same work and as many cores; and what the graph costs.

    one scene, superblock by superblock     in threads, on a worker process a core, on two a core
    500 scenes                              on a worker process a core, and in a plain pool of as many processes

The pool makes the same files by the same function and knows no scheduler: what the cluster takes longer is the graph's.
"""

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, LocalCluster

from processing.batch import SMALL, BatchOptions, BatchScene, _begin, orthorectify_many
from processing.dem import Dem
from processing.graph import RawRaster, orthorectify
from tests.bench.errors import LeftOutError
from tests.bench.ortho_large import GEOID, SCENE, SIDE, make_scene, middle_grid
from tests.bench.workload import CACHE

OUTPUT = 8192
"""Rows and columns of the one scene's output: 16 superblocks."""

SMALL_SIDE = 1536
"""Rows and columns of each of the many scenes."""

GOAL_EFFICIENCY, GOAL_OVERHEAD = 0.9, 0.05


def run(scenes: int) -> None:
    """Print seconds, efficiency a core and the overhead; the files are compared."""
    if not SCENE.is_dir():
        raise LeftOutError("needs the real scene beside the project")
    cores = len(os.sched_getaffinity(0))
    dem = Dem.open(SCENE / "N44E005.hgt", vertical_datum="EGM96", geoid=GEOID)
    with tempfile.TemporaryDirectory(prefix="overflight-bench-", dir=_cache()) as name:
        folder = Path(name)
        threads = _one_scene(dem, folder / "threads.tif", None, cores)
        print(f"one scene, {OUTPUT}² of 4 bands; {cores} cores\n\n{cores} threads          {threads:7.2f} s")
        for workers in (cores, 2 * cores):
            with _cluster(workers) as client:
                took = _one_scene(dem, folder / "cluster.tif", client, cores)
            assert _same(folder / "threads.tif", folder / "cluster.tif")
            print(f"{workers} worker processes {took:7.2f} s   {threads / took:6.1%} a core", end="")
            print(f"   (goal: {GOAL_EFFICIENCY:.0%})", flush=True)
        _many(scenes, cores, dem, folder)


def _one_scene(dem: Dem, target: Path, client: Client | None, cores: int) -> float:
    scene = CACHE / f"ventoux-{SIDE}.tif"
    if not scene.exists():
        make_scene(scene)
    raster = RawRaster.open(scene)
    took = []
    for size in (256, OUTPUT, OUTPUT):  # the first one loads the kernels
        began = time.perf_counter()
        orthorectify(raster=raster, dem=dem, grid=middle_grid(size), destination=target, client=client, threads=cores)
        took.append(time.perf_counter() - began)
    return min(took[1:])


def _many(count: int, cores: int, dem: Dem, folder: Path) -> None:
    make_scene(folder / "small.tif", SMALL_SIDE)
    options = BatchOptions(dem=dem, crs="EPSG:32631", resolution=0.5)
    scenes = [BatchScene(path=folder / "small.tif", name=f"{number}.tif") for number in range(count)]
    warm = [BatchScene(path=folder / "small.tif", name=f"warm{number}.tif") for number in range(4 * cores)]

    def on_cluster(client: Client, some: list[BatchScene]) -> None:
        for made in orthorectify_many(some, options, folder=folder / "many", client=client):
            assert made.error is None, made.error
            if made.scene.name != "0.tif":
                (folder / "many" / made.scene.name).unlink()

    def in_pool(pool: ProcessPoolExecutor, some: list[BatchScene]) -> None:
        for one, _ in zip(some, pool.map(_make, some, [options] * len(some), [folder] * len(some)), strict=True):
            if one.name != "0.tif":
                (folder / one.name).unlink()

    with _cluster(cores) as client:
        on_cluster(client, warm)
        cluster = _timed(lambda: on_cluster(client, scenes))
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        in_pool(pool, warm)
        plain = _timed(lambda: in_pool(pool, scenes))
    assert _same(folder / "many" / "0.tif", folder / "0.tif")
    print(f"\n{count} scenes of {SMALL_SIDE}² × 4\n\na pool of {cores} processes   {plain:7.2f} s", end="")
    print(f"   {1000 * plain / count:6.1f} ms a scene")
    print(f"{cores} worker processes      {cluster:7.2f} s   {1000 * cluster / count:6.1f} ms a scene", end="")
    print(f"   overhead {cluster / plain - 1:+.1%}  (goal: under {GOAL_OVERHEAD:.0%})")


def _make(scene: BatchScene, options: BatchOptions, folder: Path) -> None:
    _begin(scene, options, folder, folder, SMALL)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


@contextmanager
def _cluster(workers: int) -> Iterator[Client]:
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _cache() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < 5e9:
        raise LeftOutError("needs 5 GB of disk")
    return CACHE
