"""One block of an orthoimage, exact to the sensor model.

For every output pixel: place on the map → longitude, latitude and place in the DEM → height → sensor model → place in
the image → resampled value. All but the first arrow (`processing.lattice`) is computed at each pixel, from its own
inputs alone: every pixel comes out the same whatever the blocks, their order and their number of threads.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from processing import kernel, masks
from processing.grid import OutputGrid
from processing.heights import HeightGrid
from processing.lattice import PATCH, Lattice, Terrain, make_lattices
from processing.masks import Bits
from processing.occlusion import occluded_block
from processing.projection import Floats, near
from processing.sensor import SensorModel, are_seen

Pixels = NDArray[Any]

MAX_SOURCE_VALUES: Final = 2**25
"""A block that sees more values of the image than this (coarse output) is resampled in halves."""

METHODS: Final = {
    "nearest": kernel.NEAREST,
    "bilinear": kernel.BILINEAR,
    "cubic": kernel.CUBIC,
    "lanczos": kernel.LANCZOS,
    "average": kernel.AVERAGE,
}
"""Ways of resampling, by name."""

Part = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""

ReadImage = Callable[[int, int, int, int], Pixels]
"""Pixels (bands, rows, columns) of the image: from row to row, from column to column, the ends not included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A raw image, but for its pixels."""

    rpc: SensorModel
    """Its sensor model."""

    height: int
    width: int
    bands: int
    data_type: str
    """As numpy calls it."""

    nodata: float | None
    """Value of pixels that show nothing; each band by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The part of an output grid and the heights in which an image can show anything at all."""

    top: int
    """First row."""

    bottom: int
    """Last row + 1."""

    left: int
    """First column."""

    right: int
    """Last column + 1."""

    low_m: float
    """Lowest terrain, m above the ellipsoid."""

    high_m: float
    """Highest terrain."""

    outline: Polygon | None
    """The ground that the image shows, longitude near the model's middle; None where the DEM does not cover it all."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Rows and columns of the image that kernels are stretched over, so that a coarse output leaves nothing out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What to look for in the pass that makes the pixels (`processing.masks`)."""

    saturation: tuple[float, ...]
    """From which number on each band of the image is saturated; infinite for never."""

    relief_m: tuple[float, float]
    """Lowest terrain, and the highest that can hide any, m above the ellipsoid: `processing.occlusion.ceiling`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A rectangle of output pixels."""

    row: int
    """Of its first pixel in the output grid."""

    col: int
    height: int
    width: int


def orthorectify_block(
    block: Block,
    *,
    grid: OutputGrid,
    image: Image,
    terrain: Terrain,
    reach: Reach,
    read: ReadImage,
    nodata: float,
    resampling: str = "bilinear",
) -> Pixels:
    """The pixels of a block, with the image read only where the block shows it.

    Parameters
    ----------
    nodata
        Value of output pixels that show nothing. A valid pixel that would come out as this becomes its neighbour.
    resampling
        One of `METHODS`.

    Returns
    -------
    Shape (bands, block.height, block.width), of the image's data type; in memory the bands of a pixel lie together.

    Raises
    ------
    HeightsError
        Ground that the image might show has no height.
    """
    pixels, _ = _block(
        block, grid=grid, image=image, terrain=terrain, reach=reach, read=read, nodata=nodata, resampling=resampling,
        faults=None,
    )  # fmt: skip
    return pixels


def judge_block(
    block: Block,
    *,
    grid: OutputGrid,
    image: Image,
    terrain: Terrain,
    reach: Reach,
    read: ReadImage,
    nodata: float,
    resampling: str = "bilinear",
    faults: Faults,
) -> tuple[Pixels, Bits]:
    """The pixels as `orthorectify_block` gives them, and in the same pass what is wrong with each.

    Returns
    -------
    The pixels, and their flags (`processing.masks`) of shape (block.height, block.width).

    Raises
    ------
    HeightsError
        Ground that the image might show has no height, or the DEM cannot be read where rays to the sensor go.
    """
    pixels, flags = _block(
        block, grid=grid, image=image, terrain=terrain, reach=reach, read=read, nodata=nodata, resampling=resampling,
        faults=faults,
    )  # fmt: skip
    assert flags is not None
    return pixels, flags


def _block(
    block: Block,
    *,
    grid: OutputGrid,
    image: Image,
    terrain: Terrain,
    reach: Reach,
    read: ReadImage,
    nodata: float,
    resampling: str,
    faults: Faults | None,
) -> tuple[Pixels, Bits | None]:
    kind = np.dtype(image.data_type)
    pixels = np.full((block.height, block.width, image.bands), nodata, dtype=kind)
    parts: Parts = []
    bright = np.zeros((block.height, block.width, 1) if faults else (0, 0, 1), dtype=np.uint8)
    patches = _patches(block, reach)
    if patches:
        lattices, heights = make_lattices(grid, image.rpc, terrain, [corner for corner, _ in patches])
        whole = _Whole(block, grid, image, terrain, reach, heights)
        shape = (image.height, image.width)
        limits = (float(np.iinfo(kind).min), float(np.iinfo(kind).max)) if kind.kind in "iu" else (np.nan, np.nan)
        parts = [(one, part) for one, (_, part) in zip(lattices, patches, strict=True)]
        missing = np.nan if image.nodata is None else float(kind.type(image.nodata))
        for some, window in _windows(parts, image, METHODS[resampling], reach.scale):
            # The bands of a pixel together, as they are used.
            source = np.ascontiguousarray(read(*window).transpose(1, 2, 0))
            for one, part in some:
                unknown = kernel.warp(
                    one.nodes, one.step, part, (one.row - block.row, one.col - block.col),
                    heights.values, (heights.row, heights.col), (one.middle_m, one.half_m),
                    source, (window[0], window[2]), missing, shape, METHODS[resampling], reach.scale,
                    (*limits, float(kind.type(nodata))), pixels,
                )  # fmt: skip
                if unknown:
                    whole.refuse_unknown(one, part)
            if faults is not None:
                whole.mark_saturated(source, faults.saturation, some, (window[0], window[2]), bright)
    shown = pixels.transpose(2, 0, 1)
    if faults is None:
        return shown, None
    hidden = occluded_block(
        (block.height, block.width), (block.row, block.col), parts, grid=grid, rpc=image.rpc, terrain=terrain,
        relief=faults.relief_m,
    )  # fmt: skip
    nothing = masks.missing(shown, nodata=nodata)
    return shown, masks.combine(nothing, saturated=bright[:, :, 0] > 0, occluded=hidden)


def positions(block: Block, *, grid: OutputGrid, image: Image, terrain: Terrain, reach: Reach) -> tuple[Floats, Floats]:
    """Row and column in the image of every pixel of a block; NaN where it shows nothing for certain.

    Raises
    ------
    HeightsError
        Ground that the image might show has no height.
    """
    row = np.full((block.height, block.width), np.nan)
    col = np.full((block.height, block.width), np.nan)
    patches = _patches(block, reach)
    if not patches:
        return row, col
    lattices, heights = make_lattices(grid, image.rpc, terrain, [corner for corner, _ in patches])
    whole = _Whole(block, grid, image, terrain, reach, heights)
    for one, (_, part) in zip(lattices, patches, strict=True):
        if _positions(one, part, (one.row - block.row, one.col - block.col), heights, (row, col)):
            whole.refuse_unknown(one, part)
    return row, col


def _positions(
    one: Lattice, part: Part, offset: tuple[int, int], heights: HeightGrid, into: tuple[Floats, Floats]
) -> int:
    """Fill in the positions of a patch; gives how many of them are not known."""
    unknown: int = kernel.image_positions(
        one.nodes, one.step, part, offset, heights.values, (heights.row, heights.col),
        (one.middle_m, one.half_m), *into,
    )  # fmt: skip
    return unknown


@dataclass(frozen=True, slots=True)
class _Whole:
    """What a patch belongs to."""

    block: Block
    grid: OutputGrid
    image: Image
    terrain: Terrain
    reach: Reach
    heights: HeightGrid

    def mark_saturated(
        self, source: Pixels, limits: tuple[float, ...], parts: "Parts", first: tuple[int, int], into: Pixels
    ) -> None:
        """Mark the pixels of patches that show a saturated pixel of a window of the image.

        The nearest counts, or any that is covered where the output is coarser.

        Parameters
        ----------
        source, first
            Pixels (rows, columns, bands) of the image; row and column of the first.
        into
            Shape (block.height, block.width, 1), of bytes: 0 stays where nothing is saturated.
        """
        if not source.size or source.max() < min(limits):
            return
        bright = masks.saturated(source.transpose(2, 0, 1), limits, nodata=self.image.nodata)
        if not bright.any():
            return
        stretched = max(self.reach.scale) > 1
        for one, part in parts:
            kernel.warp(
                one.nodes, one.step, part, (one.row - self.block.row, one.col - self.block.col),
                self.heights.values, (self.heights.row, self.heights.col), (one.middle_m, one.half_m),
                bright[:, :, None] * np.uint8(255), first, np.nan, (self.image.height, self.image.width),
                METHODS["average" if stretched else "nearest"], self.reach.scale, (0.0, 255.0, -1.0), into,
            )  # fmt: skip

    def refuse_unknown(self, one: Lattice, part: Part) -> None:
        """Raise an error where the image may show a pixel of the patch whose height is not known.

        Those that the model alone cannot rule out may still lie outside the outline: ground beside the scene, where the
        DEM may end.
        """
        row, col = np.full((PATCH, PATCH), 0.0), np.empty((PATCH, PATCH))
        _positions(one, part, (0, 0), self.heights, (row, col))
        unknown = np.argwhere(np.isnan(row)) + np.array([one.row, one.col])
        lon, lat = self.grid.lon_lat(*unknown.T.astype(np.float64))
        placed = np.isfinite(lon) & np.isfinite(lat)
        lon, lat = near(lon[placed], self.image.rpc.domain.lon), lat[placed]
        shape, relief = (self.image.height, self.image.width), (self.reach.low_m, self.reach.high_m)
        shown = are_seen(self.image.rpc, lon, lat, relief, shape)
        if self.reach.outline is not None:
            shown &= shapely.contains_xy(self.reach.outline, lon, lat)
        if shown.any():
            first = int(np.argmax(shown))
            raise self.terrain.unknown(float(lon[first]), float(lat[first]))


Parts = list[tuple[Lattice, Part]]


def _windows(parts: Parts, image: Image, method: int, scale: tuple[float, float]) -> Iterator[tuple[Parts, Part]]:
    """Patches that are resampled out of one window of the image, each window no larger than memory should hold.

    A window is empty where they see nothing of it.
    """
    bounds = np.array([one.window(part) for one, part in parts])
    reach = [kernel.REACH[method] * stretch + 1 for stretch in scale]
    top, left = (math.floor(min(max(bounds[:, k].min() - reach[k // 2], 0), 2**40)) for k in (0, 2))
    bottom, right = (
        math.ceil(max(min(bounds[:, k].max() + reach[k // 2] + 1, size), 0))
        for k, size in ((1, image.height), (3, image.width))
    )
    if top >= bottom or left >= right:
        yield parts, (0, 0, 0, 0)
        return
    if (bottom - top) * (right - left) * image.bands <= MAX_SOURCE_VALUES or len(parts) == 1:
        yield parts, (top, bottom, left, right)
        return
    spread = np.ptp([(one.row, one.col) for one, _ in parts], axis=0)
    axis = int(spread[1] > spread[0])
    ordered = sorted(parts, key=lambda part: (part[0].row, part[0].col)[axis])
    middle = len(ordered) // 2
    for half in (ordered[:middle], ordered[middle:]):
        yield from _windows(half, image, method, scale)


def _patches(block: Block, reach: Reach) -> list[tuple[tuple[int, int], Part]]:
    """First row and column of each patch of a block within reach, and the part of it that both share, in its pixels."""
    top, bottom = max(block.row, reach.top), min(block.row + block.height, reach.bottom)
    left, right = max(block.col, reach.left), min(block.col + block.width, reach.right)
    if top >= bottom or left >= right:
        return []
    patches = []
    for row in range(top // PATCH * PATCH, bottom, PATCH):
        for col in range(left // PATCH * PATCH, right, PATCH):
            rows = max(top - row, 0), min(bottom - row, PATCH)
            cols = max(left - col, 0), min(right - col, PATCH)
            patches.append(((row, col), (*rows, *cols)))
    return patches
