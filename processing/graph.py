"""The dask graph of an orthoimage: one task makes one superblock of the output.

A task reads the heights and the piece of the image that its superblock shows, computes, encodes the tiles into a spool
folder beside the destination and returns their places, never pixels: a few hundred bytes to the scheduler whatever the
size of the scene. Tasks share nothing and write files of their own, so a task that is run twice does no harm. The
client puts the tiles together at the end. On a cluster, every worker must see the image, the DEM and the destination's
folder under the same paths.

    image, DEM ──► superblock 0,0 ──► spool/0-0.tiles ─┐
               ──► superblock 0,1 ──► spool/0-1.tiles ─┼─► assemble ──► destination.tif
               ──► …                                  ─┘
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from dask import threaded
from dask.base import tokenize
from dask.callbacks import Callback
from rasterio.errors import RasterioError
from rasterio.windows import Window

from processing.cog import SUPERBLOCK, CogProfile, EncodedSuperblock, assemble, encode_superblock
from processing.dem import Dem
from processing.errors import DeliveryError, OutputError
from processing.grid import OutputGrid
from processing.ground import METRES_PER_DEGREE, choose_grid, reach
from processing.ortho import METHODS, Block, Image, Pixels, Reach, orthorectify_block
from processing.projection import is_geographic
from processing.raster import open_raster
from processing.rpc import Rpc
from processing.tile import Compression
from processing.vendors import find

if TYPE_CHECKING:  # a thread pool does not need it, and it takes half a second to import
    from distributed import Client

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRaster:
    """A raw image on disk, without map coordinates."""

    path: Path
    rpc: Rpc
    """Its sensor model."""

    nodata: float | None
    """Value of pixels that show nothing."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """The raster with the sensor model beside it or inside it, and the nodata value that it names.

        Raises
        ------
        DeliveryError
            It is no raster.
        SensorModelError
            It has no sensor model.
        """
        with open_raster(path) as dataset:
            return cls(path=path, rpc=find(path), nodata=dataset.nodata)

    def image(self) -> Image:
        """What the file's header says."""
        with open_raster(self.path) as dataset:
            return Image(
                rpc=self.rpc,
                height=dataset.height,
                width=dataset.width,
                bands=dataset.count,
                data_type=dataset.dtypes[0],
                nodata=self.nodata,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthoJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    path: Path
    image: Image
    dem: Dem
    grid: OutputGrid
    reach: Reach
    nodata: float
    """Of the output."""

    resampling: str

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks.

        Raises
        ------
        HeightsError, DeliveryError
            Ground without a height; an image that cannot be read there.
        """
        block = Block(
            row=row * SUPERBLOCK,
            col=col * SUPERBLOCK,
            height=min(SUPERBLOCK, self.grid.height - row * SUPERBLOCK),
            width=min(SUPERBLOCK, self.grid.width - col * SUPERBLOCK),
        )
        return orthorectify_block(
            block,
            grid=self.grid,
            image=self.image,
            terrain=self.dem,
            reach=self.reach,
            read=self._read,
            nodata=self.nodata,
            resampling=self.resampling,
        )

    def _read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        # The bands of a pixel together, as kernels use them and most files hold them.
        pixels = np.empty((bottom - top, right - left, self.image.bands), dtype=self.image.data_type).transpose(2, 0, 1)
        if pixels.size == 0:
            return pixels
        with open_raster(self.path) as dataset:
            try:
                dataset.read(out=pixels, window=Window(left, top, right - left, bottom - top))
            except RasterioError as error:
                raise DeliveryError(
                    f"{self.path.name}: rows {top} to {bottom} cannot be read ({error}); deliver it again"
                ) from None
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthoResult:
    """What was written."""

    path: Path
    profile: CogProfile
    """CRS, transform, size, bands, data type and nodata of the file."""

    grid: OutputGrid


def plan(
    *, raster: RawRaster, dem: Dem, grid: OutputGrid, resampling: str = "bilinear", nodata: float | None = None
) -> OrthoJob:
    """What has to be done, checked as far as it can be before pixels are read.

    Parameters
    ----------
    nodata
        Of the output; where None is given the raster's, else 0 for whole numbers and NaN for others.

    Raises
    ------
    OutputError, HeightsError, SensorModelError
        The grid lies elsewhere, the resampling is unknown; no height at all under the image; a bad sensor model.
    """
    if resampling not in METHODS:
        raise OutputError(f"resampling: {resampling!r} is unknown; give {', '.join(METHODS)}")
    image = raster.image()
    if nodata is None:
        nodata = image.nodata
    if nodata is None:
        nodata = 0.0 if np.dtype(image.data_type).kind in "iu" else np.nan
    return OrthoJob(
        path=raster.path.resolve(),
        image=image,
        dem=dem,
        grid=grid,
        reach=reach(image, grid, dem),
        nodata=float(nodata),
        resampling=resampling,
    )


def orthorectify(
    *,
    raster: RawRaster,
    dem: Dem,
    grid: OutputGrid | None,
    destination: Path,
    resampling: str = "bilinear",
    compress: Compression = "zstd",
    crs: str | None = None,
    resolution_m: float | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> OrthoResult:
    """Write a raw image as a Cloud-Optimized GeoTIFF on the map; the same bytes however the work is divided.

    Parameters
    ----------
    grid
        Output pixels; where None is given, `choose_grid` makes them from `crs`, `resolution_m` and `bounds`.
    resolution_m
        Side of an output pixel in metres; in a CRS of degrees, as many degrees as those are along the equator.
    client
        Cluster to work on; None for `threads` threads of this process (as many as it has cores where None).
    profile
        Further fields of `CogProfile`: descriptions, colours, level, overviews.

    Raises
    ------
    HeightsError, SensorModelError, DeliveryError, OutputError
        Nothing is at the destination then that was not there before.
    """
    if grid is None:
        image = raster.image()
        side = resolution_m
        if side is not None and crs is not None and is_geographic(crs):
            side /= METRES_PER_DEGREE
        grid = choose_grid(raster.rpc, (image.height, image.width), dem, crs=crs, resolution=side, bounds=bounds)
    job = plan(raster=raster, dem=dem, grid=grid, resampling=resampling)
    output = CogProfile(
        crs=grid.crs,
        transform=grid.transform,
        height=grid.height,
        width=grid.width,
        bands=job.image.bands,
        data_type=job.image.data_type,
        nodata=job.nodata,
        compress=compress,
        **profile,
    )
    with _spool(destination) as spool:
        tasks = _graph(job, output, spool)
        run = _run_on_cluster(client, tasks, progress) if client else _run_on_threads(threads, tasks, progress)
        assemble(run, output, spool=spool, destination=destination)
    return OrthoResult(path=destination, profile=output, grid=grid)


Tasks = dict[str, tuple[Any, ...]]


def _graph(job: OrthoJob, profile: CogProfile, spool: Path) -> Tasks:
    # The spool is new each time and part of the key: descriptors that a cluster still holds from an earlier run would
    # point at files that are gone.
    token = tokenize(job, profile, str(spool))
    rows, cols = profile.superblocks
    return {
        f"orthorectify-{token}-{row}-{col}": (_make_superblock, job, profile, str(spool), row, col)
        for row, col in product(range(rows), range(cols))
    }


def _make_superblock(job: OrthoJob, profile: CogProfile, spool: str, row: int, col: int) -> EncodedSuperblock:
    return encode_superblock(job.block(row, col), profile, row=row, col=col, spool=Path(spool))


def _run_on_threads(threads: int | None, tasks: Tasks, progress: Progress | None) -> list[EncodedSuperblock]:
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if progress:
            progress("orthorectify", done, len(tasks))

    with Callback(posttask=count):  # type: ignore[no-untyped-call]
        return list(threaded.get(tasks, list(tasks), num_workers=threads or os.cpu_count() or 1))


def _run_on_cluster(client: "Client", tasks: Tasks, progress: Progress | None) -> list[EncodedSuperblock]:
    from distributed import as_completed

    futures = [client.submit(*task, key=key) for key, task in tasks.items()]
    try:
        blocks = []
        for _, block in as_completed(futures, loop=client.loop, with_results=True):  # type: ignore[no-untyped-call]
            blocks.append(block)
            if progress:
                progress("orthorectify", len(blocks), len(tasks))
        return blocks
    finally:
        client.cancel(futures)  # type: ignore[no-untyped-call]


@contextmanager
def _spool(destination: Path) -> Iterator[Path]:
    """A folder for encoded tiles beside the destination, gone at the end."""
    try:
        folder = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}.", suffix=".spool"))
    except OSError as error:
        raise OutputError(f"{destination.name}: its folder cannot be written ({error.strerror})") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
