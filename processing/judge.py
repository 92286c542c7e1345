"""An orthoimage and its mask of faults, made in one pass; and what clouds add to the mask.

    image, DEM ──► superblock ──► pixels ──► destination.tif
                              └─► faults ──► mask.tif ─┐
    cloud mask ────────────────────────────────────────┴─► with_clouds ──► mask.tif

A cloud detector looks at the whole orthoimage, so that its clouds come in a second, light pass over the mask alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.blocks import Progress, run, spooled, superblocks
from processing.cog import SUPERBLOCK, CogProfile, EncodedSuperblock, assemble, encode_superblock
from processing.dem import Dem
from processing.graph import OrthoJob, OrthoResult, RawRaster, plan
from processing.grid import OutputGrid
from processing.masks import NODATA, OCCLUDED, combine, saturation_limits
from processing.occlusion import ceiling
from processing.ortho import Faults, Pixels
from processing.orthoimage import read_part
from processing.raster import open_raster
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOrtho:
    """What was written."""

    ortho: OrthoResult
    mask: OrthoResult
    """On the same pixels: bytes of `processing.masks`."""

    occluded_share: float | None
    """Of the pixels that show something; None where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What is left of a superblock."""

    ortho: EncodedSuperblock
    mask: EncodedSuperblock
    shown: int
    """How many pixels show something."""

    occluded: int


def orthorectify_and_judge(
    *,
    raster: RawRaster,
    dem: Dem,
    grid: OutputGrid,
    destination: Path,
    mask: Path,
    resampling: str = "bilinear",
    saturation: Sequence[float] | float | None = None,
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> JudgedOrtho:
    """Write a raw image on the map like `processing.graph.orthorectify`, and beside it what is wrong with each pixel.

    Parameters
    ----------
    mask
        Where the faults go: nodata, saturated, occluded.
    saturation
        From which number on bands are saturated, as `processing.masks.saturation_limits` takes it.
    profile
        Further fields of `CogProfile`, of the picture.

    Raises
    ------
    HeightsError, SensorModelError, DeliveryError, OutputError, ProcessingError
        Nothing is at the destinations then that was not there before, but for a mask whose picture cannot be written.
    """
    job = plan(raster=raster, dem=dem, grid=grid, resampling=resampling)
    image, relief = job.image, (job.reach.low_m, job.reach.high_m)
    faults = Faults(
        saturation=saturation_limits(image.data_type, image.bands, saturation),
        relief_m=(relief[0], ceiling(image.rpc, (image.height, image.width), dem, relief)),
    )
    output = job.profile(compress=compress, **profile)
    flags = mask_profile(grid)
    rows, cols = output.superblocks
    with spooled(destination) as spool, spooled(mask) as flag_spool:
        tasks = [
            (_make, job, faults, (output, spool), (flags, flag_spool), (row, col))
            for row in range(rows)
            for col in range(cols)
        ]
        made: list[_Made] = run("orthorectify", tasks, client=client, threads=threads, progress=progress)
        assemble([one.mask for one in made], flags, spool=flag_spool, destination=mask)
        assemble([one.ortho for one in made], output, spool=spool, destination=destination)
    shown = sum(one.shown for one in made)
    return JudgedOrtho(
        ortho=OrthoResult(destination=destination, profile=output, grid=grid),
        mask=OrthoResult(destination=mask, profile=flags, grid=grid),
        occluded_share=sum(one.occluded for one in made) / shown if shown else None,
    )


def mask_profile(grid: OutputGrid) -> CogProfile:
    """Of a file of faults."""
    return CogProfile(
        crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width, bands=1, data_type="uint8",
        nodata=NODATA.bit, overviews="flags", descriptions=("faults",),
    )  # fmt: skip


_Output = tuple[CogProfile, Path]
"""A file, and the spool of its tiles."""


def _make(job: OrthoJob, faults: Faults, ortho: _Output, mask: _Output, at: tuple[int, int]) -> _Made:
    row, col = at
    pixels, bits = job.judged(row, col, faults)
    shown = bits != NODATA.bit
    return _Made(
        ortho=encode_superblock(pixels, ortho[0], row=row, col=col, spool=ortho[1]),
        mask=encode_superblock(bits[None], mask[0], row=row, col=col, spool=mask[1]),
        shown=int(shown.sum()),
        occluded=int((bits & OCCLUDED.bit > 0).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _CloudsJob:
    """Adds clouds to a mask of faults."""

    mask: Path
    clouds: Path
    shape: tuple[int, int]

    def block(self, row: int, col: int) -> Pixels:
        top, left = row * SUPERBLOCK, col * SUPERBLOCK
        part = top, min(top + SUPERBLOCK, self.shape[0]), left, min(left + SUPERBLOCK, self.shape[1])
        bits, classes = read_part(self.mask, part)[0], read_part(self.clouds, part)[0]
        nothing = bits == NODATA.bit
        found = combine(nothing, clouds=classes)
        found[~nothing] |= bits[~nothing]
        return found[None]


def with_clouds(
    mask: Path,
    clouds: Path,
    destination: Path,
    *,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a mask of faults again, with the classes of a cloud mask on the same pixels (`processing.cloud_classes`).

    Raises
    ------
    DeliveryError, OutputError
        One of them cannot be read; the disk is full.
    """
    with open_raster(mask) as dataset:
        shape = dataset.shape
        grid = OutputGrid(
            crs=dataset.crs.to_string(), transform=tuple(dataset.transform)[:6], height=shape[0], width=shape[1]
        )
    profile = mask_profile(grid)
    job = _CloudsJob(mask=mask.resolve(), clouds=clouds.resolve(), shape=shape)
    with spooled(destination) as spool:
        blocks = run("clouds", superblocks(job, profile, spool), client=client, threads=threads, progress=progress)
        assemble(blocks, profile, spool=spool, destination=destination)
