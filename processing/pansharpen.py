"""A sharp panchromatic image and coarser bands of the same ground → bands as sharp as the pan, on the map.

    pan, bands ─► moments of pieces ─► recipe ─┐
       └──────────────────► superblocks ◄──────┘ ─► sharpened bands

Both are orthoimages on disk; or raw, each with its own sensor model: then each superblock of both is orthorectified
where it is needed and nothing is written in between. Where weights have to be found first, that is done twice: half of
an orthoimage's time, for none of its disk.

`processing.sharpen` tells of the methods, `processing.moments` of what is taken from the whole scene.
"""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.io import DatasetReader

from processing.blocks import Progress, run, spooled, superblocks
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.dem import Dem
from processing.errors import DeliveryError, OutputError
from processing.graph import RawRaster
from processing.graph import plan as plan_ortho
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.moments import PIECE, Moments, fitted, measure, measured
from processing.ortho import Block, Pixels
from processing.orthoimage import OrthoFile, Source, described, nodata_of
from processing.pair import Pair, axes, coarser
from processing.raster import open_raster
from processing.sharpen import Recipe, sharpen_block, windows
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PansharpenJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    pan: Source
    bands: Source
    pair: Pair
    recipe: Recipe
    nodata: float | None

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks."""
        block = Block(
            row=row * SUPERBLOCK,
            col=col * SUPERBLOCK,
            height=min(SUPERBLOCK, self.pair.rows.pan_size - row * SUPERBLOCK),
            width=min(SUPERBLOCK, self.pair.cols.pan_size - col * SUPERBLOCK),
        )
        pan, bands = windows(block, self.pair, self.recipe)
        return sharpen_block(
            self.pan.read(pan)[0],
            self.bands.read(bands),
            block,
            pair=self.pair,
            recipe=self.recipe,
            nodata=self.nodata,
        )

    def moments(self, row: int, col: int) -> tuple[int, int, Moments]:
        """The moments of a piece of the bands, counted in pieces, with its place."""
        top, left = row * PIECE, col * PIECE
        part = (top, min(top + PIECE, self.pair.rows.size), left, min(left + PIECE, self.pair.cols.size))
        seen = measured(part, self.pair, self.recipe)
        if seen[0] >= seen[1] or seen[2] >= seen[3]:
            bands = self.pair.bands + 1
            return row, col, Moments(count=0, mean=np.zeros(bands), scatter=np.zeros((bands, bands)))
        found = measure(self.pan.read(seen)[0], self.bands.read(part), part, pair=self.pair, recipe=self.recipe)
        return row, col, found


@dataclass(frozen=True, slots=True, kw_only=True)
class PansharpenResult:
    """What was written."""

    path: Path
    profile: CogProfile
    recipe: Recipe
    """With the weights that were used."""


def pansharpen(
    pan: Path,
    bands: Path,
    destination: Path,
    *,
    recipe: Recipe | None = None,
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> PansharpenResult:
    """Write bands on the pixels of a pan as a Cloud-Optimized GeoTIFF; the same bytes however the work is divided.

    Parameters
    ----------
    pan, bands
        Rasters on the map, of one CRS and both with north up; each pixel is where its file says, to its fractions.
    recipe
        Where it has no weights, they are taken from the whole scene first.
    client, threads, profile
        As for `processing.graph.orthorectify`. Names, colours and nodata are those of the bands; where these have no
        nodata, 0 for whole numbers and NaN for others.

    Raises
    ------
    DeliveryError, OutputError
        The files do not belong together or cannot be read; nothing is at the destination then that was not there.
    """
    job, output = plan(pan, bands, recipe or Recipe(), compress=compress, **profile)
    return _write(job, output, destination, client=client, threads=threads, progress=progress)


def pansharpen_raw(
    pan: RawRaster,
    bands: RawRaster,
    dem: Dem,
    destination: Path,
    *,
    grid: OutputGrid | None = None,
    recipe: Recipe | None = None,
    resampling: str = "bilinear",
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> PansharpenResult:
    """Write raw bands, sharpened by a raw pan, as an orthoimage; the same pixels as from orthoimages of both on disk.

    Parameters
    ----------
    grid
        Pixels of the output; None: the pan's own, as `processing.ground.choose_grid` has them.
    resampling
        Of both images on their way onto the map.
    recipe, client, threads, profile
        As for `pansharpen`.

    Raises
    ------
    HeightsError, SensorModelError, DeliveryError, OutputError
        As for `processing.graph.orthorectify`; or a pan that is not sharper. Nothing is at the destination then that
        was not there.
    """
    image = pan.image()
    grid = grid or choose_grid(pan.rpc, (image.height, image.width), dem)
    job, output = plan_raw(
        pan, bands, dem, grid, recipe or Recipe(), resampling=resampling, compress=compress, **profile
    )
    return _write(job, output, destination, client=client, threads=threads, progress=progress)


def _write(
    job: PansharpenJob,
    output: CogProfile,
    destination: Path,
    *,
    client: "Client | None",
    threads: int | None,
    progress: Progress | None,
) -> PansharpenResult:
    if not job.recipe.weights:
        pieces = product(range(-(-job.pair.rows.size // PIECE)), range(-(-job.pair.cols.size // PIECE)))
        tasks = [(_measure, job, row, col) for row, col in pieces]
        moments = run("measure", tasks, client=client, threads=threads, progress=progress)
        job = replace(job, recipe=fitted(job.recipe, sum(moments[1:], start=moments[0])))
    with spooled(destination) as spool:
        tasks = superblocks(job, output, spool)
        blocks = run("pansharpen", tasks, client=client, threads=threads, progress=progress)
        assemble(blocks, output, spool=spool, destination=destination)
    return PansharpenResult(path=destination, profile=output, recipe=job.recipe)


def _measure(job: PansharpenJob, row: int, col: int) -> Moments:
    return job.moments(row, col)[2]


def plan(
    pan: Path,
    bands: Path,
    recipe: Recipe,
    *,
    compress: Compression = "zstd",
    **profile: Any,  # noqa: ANN401 - as above
) -> tuple[PansharpenJob, CogProfile]:
    """What has to be done and what file it makes, checked as far as it can be before pixels are read.

    Raises
    ------
    DeliveryError, OutputError
        Another CRS, another place, rotated grids, a pan that is not sharper, or a weight too many or too few.
    """
    with open_raster(pan) as sharp, open_raster(bands) as coarse:
        pair = _pair(sharp, coarse, pan.name, bands.name)
        _check_weights(recipe, pair)
        output = CogProfile(
            crs=sharp.crs.to_string(),
            transform=tuple(sharp.transform)[:6],
            height=sharp.height,
            width=sharp.width,
            bands=pair.bands,
            data_type=pair.data_type,
            nodata=nodata_of(coarse),
            compress=compress,
            **(described(coarse) | profile),
        )
    sources = OrthoFile(path=pan.resolve()), OrthoFile(path=bands.resolve())
    job = PansharpenJob(pan=sources[0], bands=sources[1], pair=pair, recipe=recipe, nodata=output.nodata)
    return job, output


def plan_raw(
    pan: RawRaster,
    bands: RawRaster,
    dem: Dem,
    grid: OutputGrid,
    recipe: Recipe,
    *,
    resampling: str = "bilinear",
    compress: Compression = "zstd",
    **profile: Any,  # noqa: ANN401 - as above
) -> tuple[PansharpenJob, CogProfile]:
    """The same for raw images; the bands get the pan's grid with pixels a whole number of times as large.

    Raises
    ------
    HeightsError, SensorModelError, DeliveryError, OutputError
        As for `pansharpen_raw`.
    """
    image = bands.image()
    if pan.image().bands != 1:
        raise DeliveryError(f"{pan.path.name}: {pan.image().bands} bands; a panchromatic raster has one")
    own = choose_grid(bands.rpc, (image.height, image.width), dem, crs=grid.crs, bounds=grid.bounds)
    below = coarser(grid, round(own.transform[0] / grid.transform[0]))
    sharp = plan_ortho(raster=pan, dem=dem, grid=grid, resampling=resampling)
    coarse = plan_ortho(raster=bands, dem=dem, grid=below, resampling=resampling)
    pair = Pair(
        **axes(grid, below),
        bands=image.bands,
        data_type=image.data_type,
        pan_nodata=sharp.nodata,
        nodata=coarse.nodata,
    )
    _check_weights(recipe, pair)
    output = CogProfile(
        crs=grid.crs,
        transform=grid.transform,
        height=grid.height,
        width=grid.width,
        bands=pair.bands,
        data_type=pair.data_type,
        nodata=coarse.nodata,
        compress=compress,
        **profile,
    )
    return PansharpenJob(pan=sharp, bands=coarse, pair=pair, recipe=recipe, nodata=coarse.nodata), output


def _check_weights(recipe: Recipe, pair: Pair) -> None:
    if recipe.weights and len(recipe.weights) != pair.bands:
        raise OutputError(f"pan-sharpening: {len(recipe.weights)} weights for {pair.bands} bands; give one a band")


def _pair(sharp: DatasetReader, coarse: DatasetReader, pan: str, bands: str) -> Pair:
    """How two files lie on each other; `pan` and `bands` are their names."""
    if sharp.count != 1:
        raise DeliveryError(f"{pan}: {sharp.count} bands; a panchromatic raster has one")
    if sharp.crs is None or sharp.crs != coarse.crs:
        raise DeliveryError(f"{bands}: its CRS is {coarse.crs}, that of {pan} {sharp.crs}; orthorectify both into one")
    if sharp.transform.b or sharp.transform.d or coarse.transform.b or coarse.transform.d:
        raise DeliveryError(f"{bands}, {pan}: a grid is rotated; orthorectify both with north up")
    lying = axes(_grid(sharp), _grid(coarse))
    for axis in lying.values():
        if axis.origin + axis.scale * axis.pan_size < 0 or axis.origin > axis.size:
            raise DeliveryError(f"{bands}: {tuple(coarse.bounds)} shows none of {pan}, {tuple(sharp.bounds)}")
    return Pair(
        **lying,
        bands=coarse.count,
        data_type=coarse.dtypes[0],
        pan_nodata=sharp.nodata,
        nodata=coarse.nodata,
    )


def _grid(dataset: DatasetReader) -> OutputGrid:
    transform = tuple(dataset.transform)[:6]
    return OutputGrid(crs=dataset.crs.to_string(), transform=transform, height=dataset.height, width=dataset.width)
