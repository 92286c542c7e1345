"""The graph of an orthoimage: one task makes one superblock of the output (`processing.blocks`).

A task reads the heights and the piece of the image that its superblock shows, computes and encodes. The client puts the
tiles together at the end.

    image, DEM ──► superblock 0,0 ──► spool/0-0.tiles ─┐
               ──► superblock 0,1 ──► spool/0-1.tiles ─┼─► assemble ──► destination.tif
               ──► …                                  ─┘
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from processing.blocks import Progress, run, spooled, superblocks
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.dem import Dem
from processing.errors import DeliveryError, OutputError
from processing.grid import OutputGrid
from processing.ground import METRES_PER_DEGREE, choose_grid, reach
from processing.ortho import METHODS, Block, Image, Pixels, Reach, orthorectify_block
from processing.projection import is_geographic
from processing.raster import open_raster
from processing.sensor import SensorModel
from processing.tile import Compression
from processing.vendors import find, read_model

if TYPE_CHECKING:  # a thread pool does not need it, and it takes half a second to import
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRaster:
    """A raw image on disk, without map coordinates."""

    path: Path
    rpc: SensorModel
    """Its sensor model."""

    nodata: float | None
    """Value of pixels that show nothing."""

    @classmethod
    def open(cls, path: Path, *, rpc: Path | None = None) -> Self:
        """The raster with the sensor model beside it or inside it, or in the given file, and the nodata that it names.

        Raises
        ------
        DeliveryError
            It is no raster.
        SensorModelError
            It has no sensor model.
        """
        with open_raster(path) as dataset:
            model = find(path) if rpc is None else read_model(rpc, path)
            return cls(path=path, rpc=model, nodata=dataset.nodata)

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
    with spooled(destination) as spool:
        blocks = run("orthorectify", superblocks(job, output, spool), client=client, threads=threads, progress=progress)
        assemble(blocks, output, spool=spool, destination=destination)
    return OrthoResult(path=destination, profile=output, grid=grid)
