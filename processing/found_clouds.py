"""A cloud mask for an orthoimage that came without one.

orthoimage ─► overview ─► reflectance ─► detector ─► classes ─► the pixels of the orthoimage ─► mask.tif
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyproj import Geod
from rasterio.enums import Resampling

from catalog.item import View
from processing.blocks import Progress, run, spooled, superblocks
from processing.cloud import Angles, CloudDetector, VisibleNirDetector, expand
from processing.cloud_classes import UNKNOWN, Classes
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.graph import OrthoResult
from processing.grid import OutputGrid
from processing.masks import missing
from processing.raster import open_raster
from processing.reflectance import Factors

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client

_ELLIPSOID = Geod(ellps="WGS84")

FINEST_M: Final = 15.0
"""Side of the pixels that the detector looks at, at least: clouds are larger, and roofs are not."""

MOST_PIXELS: Final = 2**22
"""The detector holds some ten arrays of a scene; the overview has at most so many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ExpandJob:
    """Brings the classes to the pixels."""

    classes: Classes
    factor: int
    shape: tuple[int, int]

    def block(self, row: int, col: int) -> Classes:
        top, left = row * SUPERBLOCK, col * SUPERBLOCK
        size = min(SUPERBLOCK, self.shape[0] - top), min(SUPERBLOCK, self.shape[1] - left)
        return expand(self.classes, self.factor, row=top, col=left, shape=size)[None]


def find_clouds(
    ortho: OrthoResult,
    destination: Path,
    *,
    names: Sequence[str | None],
    factors: Factors,
    view: View,
    detector: CloudDetector | None = None,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> OrthoResult:
    """Write the classes of `processing.cloud_classes` on the pixels of an orthoimage.

    Parameters
    ----------
    names
        Common name of each band.
    factors
        From digital numbers to reflectance: `processing.reflectance.reflectance_factors`.
    view
        Where sun and sensor stood.
    detector
        None: `VisibleNirDetector`.

    Raises
    ------
    ProcessingError
        A band or an angle that the detector needs is missing.
    OutputError
        The disk is full.
    """
    grid = ortho.grid
    factor = overview_factor(grid, metres=grid_metres(grid))
    shape = -(-grid.height // factor), -(-grid.width // factor)
    with open_raster(ortho.path) as dataset:
        numbers = dataset.read(out_shape=(dataset.count, *shape), resampling=Resampling.nearest)
    nodata = missing(numbers, nodata=ortho.profile.nodata)
    slopes, intercepts = (np.array(part)[:, None, None] for part in zip(*factors, strict=True))
    a, b, c, d, e, f = grid.transform
    coarse = OutputGrid(
        crs=grid.crs,
        transform=(a * factor, b * factor, c, d * factor, e * factor, f),
        height=shape[0],
        width=shape[1],
    )
    classes = (detector or VisibleNirDetector()).detect(
        (slopes * numbers + intercepts).astype(np.float32),
        names=names,
        nodata=nodata,
        angles=Angles.of(view, coarse),
        gsd_m=grid_metres(coarse),
    )
    profile = CogProfile(
        crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width, bands=1, data_type="uint8",
        nodata=UNKNOWN, overviews="nearest", descriptions=("clouds",),
    )  # fmt: skip
    job = _ExpandJob(classes=classes, factor=factor, shape=(grid.height, grid.width))
    with spooled(destination) as spool:
        tasks: list[tuple[Any, ...]] = superblocks(job, profile, spool)
        blocks = run("clouds", tasks, client=client, threads=threads, progress=progress)
        assemble(blocks, profile, spool=spool, destination=destination)
    return OrthoResult(destination=destination, profile=profile, grid=grid)


def grid_metres(grid: OutputGrid) -> float:
    """Side of a pixel in the middle of a grid, in metres on the ground."""
    row, col = (grid.height - 1) / 2, (grid.width - 1) / 2
    lon, lat = grid.lon_lat(np.array([row, row + 1]), np.array([col, col]))
    return float(_ELLIPSOID.inv(lon[0], lat[0], lon[1], lat[1])[2])


def overview_factor(grid: OutputGrid, *, metres: float) -> int:
    """By how much the overview that the detector looks at is coarser: a power of two."""
    factor = 1
    while factor * metres < FINEST_M or grid.height * grid.width > MOST_PIXELS * factor**2:
        if factor >= min(grid.height, grid.width):
            break
        factor *= 2
    return factor
