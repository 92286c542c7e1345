"""The graph of an orthoimage: one task makes one superblock of the output (`processing.blocks`).

A task reads the heights and the piece of the image that its superblock shows, computes and encodes. The client puts the
tiles together at the end.

    image, DEM ──► superblock 0,0 ──► spool/0-0.tiles ─┐
               ──► superblock 0,1 ──► spool/0-1.tiles ─┼─► assemble ──► destination.tif
               ──► …                                  ─┘
"""

import math
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
from processing.masks import Bits
from processing.opacity import hide, layers
from processing.ortho import METHODS, Block, Faults, Image, Part, Pixels, Reach, judge_block, orthorectify_block
from processing.projection import is_geographic
from processing.raster import open_raster
from processing.sensor import SensorModel
from processing.tile import Compression
from processing.vendors import find, read_model

if TYPE_CHECKING:  # a thread pool does not need it, and it takes half a second to import
    from distributed import Client

    from processing.bucket import BucketFile


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
            bands, masked = layers(dataset)
            nodata = self.nodata
            if nodata is None and masked:
                nodata = _no_data(dataset.dtypes[0])
            return Image(
                rpc=self.rpc,
                height=dataset.height,
                width=dataset.width,
                bands=len(bands),
                data_type=dataset.dtypes[0],
                nodata=nodata,
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

    chose_nodata: bool
    """Whether nothing says what stands for no data in the image."""

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks.

        Raises
        ------
        HeightsError, DeliveryError
            Ground without a height; an image that cannot be read there.
        """
        return orthorectify_block(self._superblock(row, col), **self._how)

    def read(self, part: Part) -> Pixels:
        """The pixels of some rows and columns of the output, as if it had been written.

        Raises
        ------
        HeightsError, DeliveryError
            As for `block`.
        """
        block = Block(row=part[0], col=part[2], height=part[1] - part[0], width=part[3] - part[2])
        return orthorectify_block(block, **self._how)

    def judged(self, row: int, col: int, faults: Faults) -> tuple[Pixels, Bits]:
        """The pixels of a superblock and what is wrong with each, in one pass.

        Raises
        ------
        HeightsError, DeliveryError
            As for `block`.
        """
        return judge_block(self._superblock(row, col), **self._how, faults=faults)

    def profile(self, **more: Any) -> CogProfile:  # noqa: ANN401 - further fields of CogProfile
        """Of the file that takes the pixels."""
        return CogProfile(
            crs=self.grid.crs,
            transform=self.grid.transform,
            height=self.grid.height,
            width=self.grid.width,
            bands=self.image.bands,
            data_type=self.image.data_type,
            nodata=self.nodata,
            **more,
        )

    def _superblock(self, row: int, col: int) -> Block:
        return Block(
            row=row * SUPERBLOCK,
            col=col * SUPERBLOCK,
            height=min(SUPERBLOCK, self.grid.height - row * SUPERBLOCK),
            width=min(SUPERBLOCK, self.grid.width - col * SUPERBLOCK),
        )

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "grid": self.grid,
            "image": self.image,
            "terrain": self.dem,
            "reach": self.reach,
            "read": self._read,
            "nodata": self.nodata,
            "resampling": self.resampling,
        }

    def _read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        # The bands of a pixel together, as kernels use them and most files hold them.
        pixels = np.empty((bottom - top, right - left, self.image.bands), dtype=self.image.data_type).transpose(2, 0, 1)
        if pixels.size == 0:
            return pixels
        with open_raster(self.path) as dataset:
            try:
                window = Window(left, top, right - left, bottom - top)
                bands, masked = layers(dataset)
                dataset.read(bands, out=pixels, window=window)
                if masked:
                    hidden = dataset.dataset_mask(window=window) == 0
                    assert self.image.nodata is not None  # as `RawRaster.image` has chosen it
                    hide(pixels, hidden, self.image.nodata, spare=self.chose_nodata)
            except RasterioError as error:
                raise DeliveryError(
                    f"{self.path.name}: rows {top} to {bottom} cannot be read ({error}); deliver it again"
                ) from None
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthoResult:
    """What was written."""

    destination: "Path | BucketFile"
    profile: CogProfile
    """CRS, transform, size, bands, data type and nodata of the file."""

    grid: OutputGrid

    @property
    def path(self) -> Path:
        """Of the file, where it is one."""
        assert isinstance(self.destination, Path)
        return self.destination


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
        nodata = _no_data(image.data_type)
    return OrthoJob(
        path=raster.path.resolve(),
        image=image,
        dem=dem,
        grid=grid,
        reach=reach(image, grid, dem),
        nodata=float(nodata),
        resampling=resampling,
        chose_nodata=raster.nodata is None,
    )


def _no_data(data_type: str) -> float:
    """What stands for no data where nothing says so."""
    return 0.0 if np.dtype(data_type).kind in "iu" else math.nan


def orthorectify(
    *,
    raster: RawRaster,
    dem: Dem,
    grid: OutputGrid | None,
    destination: "Path | BucketFile",
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
    destination
        A file, or an object of a bucket: then the workers of a cluster need no file system in common.
    client
        Cluster to work on; None for `threads` threads of this process (as many as it has cores where None).
    profile
        Further fields of `CogProfile`: descriptions, colours, level, quality, overviews.

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
    output = job.profile(compress=compress, **profile)
    how: dict[str, Any] = {"client": client, "threads": threads, "progress": progress}
    if isinstance(destination, Path):
        with spooled(destination) as spool:
            blocks = run("orthorectify", superblocks(job, output, spool), **how)
            assemble(blocks, output, spool=spool, destination=destination)
    else:
        from processing.upload import upload  # a file needs no HTTP

        upload("orthorectify", job, output, destination, **how)
    return OrthoResult(destination=destination, profile=output, grid=grid)
