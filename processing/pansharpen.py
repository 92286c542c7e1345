"""Orthoimages of one ground, a sharp panchromatic one and coarser bands → bands as sharp as the pan.

    pan, bands ─► moments of pieces ─► recipe ─┐
       └──────────────────► superblocks ◄──────┘ ─► sharpened bands

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
from processing.errors import DeliveryError, OutputError
from processing.moments import PIECE, Moments, fitted, measure, measured
from processing.ortho import Block, Pixels
from processing.orthoimage import described, nodata_of, read_part
from processing.raster import open_raster
from processing.sharpen import Axis, Pair, Recipe, sharpen_block, windows
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PansharpenJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    pan: Path
    bands: Path
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
            read_part(self.pan, pan)[0],
            read_part(self.bands, bands),
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
        found = measure(
            read_part(self.pan, seen)[0], read_part(self.bands, part), part, pair=self.pair, recipe=self.recipe
        )
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
        if recipe.weights and len(recipe.weights) != pair.bands:
            raise OutputError(f"pan-sharpening: {len(recipe.weights)} weights for {pair.bands} bands; give one a band")
        nodata = nodata_of(coarse)
        output = CogProfile(
            crs=sharp.crs.to_string(),
            transform=tuple(sharp.transform)[:6],
            height=sharp.height,
            width=sharp.width,
            bands=pair.bands,
            data_type=pair.data_type,
            nodata=nodata,
            compress=compress,
            **(described(coarse) | profile),
        )
    return PansharpenJob(pan=pan.resolve(), bands=bands.resolve(), pair=pair, recipe=recipe, nodata=nodata), output


def _pair(sharp: DatasetReader, coarse: DatasetReader, pan: str, bands: str) -> Pair:
    """How two files lie on each other; `pan` and `bands` are their names."""
    if sharp.count != 1:
        raise DeliveryError(f"{pan}: {sharp.count} bands; a panchromatic raster has one")
    if sharp.crs is None or sharp.crs != coarse.crs:
        raise DeliveryError(f"{bands}: its CRS is {coarse.crs}, that of {pan} {sharp.crs}; orthorectify both into one")
    fine, wide = sharp.transform, coarse.transform
    if fine.b or fine.d or wide.b or wide.d:
        raise DeliveryError(f"{bands}, {pan}: a grid is rotated; orthorectify both with north up")
    rows = Axis(
        pan_size=sharp.height,
        size=coarse.height,
        scale=fine.e / wide.e,
        origin=(fine.f + fine.e / 2 - wide.f) / wide.e - 0.5,
    )
    cols = Axis(
        pan_size=sharp.width,
        size=coarse.width,
        scale=fine.a / wide.a,
        origin=(fine.c + fine.a / 2 - wide.c) / wide.a - 0.5,
    )
    for axis in (rows, cols):
        if axis.origin + axis.scale * axis.pan_size < 0 or axis.origin > axis.size:
            raise DeliveryError(f"{bands}: {tuple(coarse.bounds)} shows none of {pan}, {tuple(sharp.bounds)}")
    return Pair(
        rows=rows,
        cols=cols,
        bands=coarse.count,
        data_type=coarse.dtypes[0],
        pan_nodata=sharp.nodata,
        nodata=coarse.nodata,
    )
