"""One block of an orthoimage, exact to the sensor model.

For every output pixel: place on the map → longitude, latitude and place in the DEM → height → RPC → place in the image
→ resampled value. All but the first arrow (`processing.lattice`) is computed at each pixel, from its own inputs alone:
every pixel comes out the same whatever the blocks, their order and their number of threads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from processing import kernel
from processing.grid import OutputGrid
from processing.lattice import PATCH, Lattice, Terrain, make_lattice
from processing.projection import Floats, near
from processing.rpc import Rpc

Pixels = NDArray[Any]

MAX_SOURCE_VALUES: Final = 2**27
"""A block that sees more values of the image than this (coarse output) is resampled in quarters."""

METHODS: Final = {"nearest": kernel.NEAREST, "bilinear": kernel.BILINEAR, "cubic": kernel.CUBIC}
"""Ways of resampling, by name."""

Part = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""

Place = tuple[float, float]
"""Longitude and latitude."""

ReadImage = Callable[[int, int, int, int], Pixels]
"""Pixels (bands, rows, columns) of the image: from row to row, from column to column, the ends not included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A raw image, but for its pixels."""

    rpc: Rpc
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
    Shape (bands, block.height, block.width), of the image's data type.

    Raises
    ------
    HeightsError
        Ground that the image might show has no height.
    """
    kind = np.dtype(image.data_type)
    pixels = np.full((image.bands, block.height, block.width), nodata, dtype=kind)
    row, col = positions(block, grid=grid, image=image, terrain=terrain, reach=reach)
    limits = (float(np.iinfo(kind).min), float(np.iinfo(kind).max)) if kind.kind in "iu" else (np.nan, np.nan)
    shape = (image.height, image.width)
    for part in _parts(row, col, image, (0, block.height, 0, block.width)):
        top, bottom, left, right = kernel.image_window(row, col, part, shape)
        top, bottom = max(top - 2, 0), min(bottom + 2, image.height)
        left, right = max(left - 2, 0), min(right + 2, image.width)
        source = np.ascontiguousarray(read(top, bottom, left, right))
        kernel.resample(
            source,
            (top, left),
            np.nan if image.nodata is None else float(kind.type(image.nodata)),
            row,
            col,
            part,
            shape,
            METHODS[resampling],
            (*limits, float(kind.type(nodata))),
            pixels,
        )
    return pixels


def positions(block: Block, *, grid: OutputGrid, image: Image, terrain: Terrain, reach: Reach) -> tuple[Floats, Floats]:
    """Row and column in the image of every pixel of a block; NaN where it shows nothing for certain.

    Raises
    ------
    HeightsError
        Ground that the image might show has no height.
    """
    row = np.full((block.height, block.width), np.nan)
    col = np.full((block.height, block.width), np.nan)
    lattices = [(make_lattice(grid, image.rpc, terrain, top, left), part) for top, left, part in _patches(block, reach)]
    if not lattices:
        return row, col
    cells = np.concatenate([one.nodes[2:].reshape(2, -1) for one, _ in lattices], axis=1)
    heights = terrain.cells(cells[0], cells[1])
    for one, part in lattices:
        blind, lon, lat = kernel.image_positions(
            image.rpc.packed(),
            one.nodes,
            one.step,
            part,
            (one.row - block.row, one.col - block.col),
            heights.values,
            (heights.row, heights.col),
            (reach.low_m, reach.high_m),
            (image.height, image.width),
            row,
            col,
        )
        if blind and (
            missing := _missing(one, part, row, block, grid=grid, image=image, reach=reach, first=(lon, lat))
        ):
            raise terrain.unknown(*missing)
    return row, col


def _missing(
    one: Lattice, part: Part, row: Floats, block: Block, *, grid: OutputGrid, image: Image, reach: Reach, first: Place
) -> Place | None:
    """A place without height that the image shows, if there is one among the pixels of a patch that have no position.

    Those that the model alone could not rule out may still lie outside the outline: ground beside the scene, where the
    DEM may end.
    """
    if reach.outline is None:
        return first
    top, left = one.row - block.row, one.col - block.col
    unknown = np.argwhere(np.isnan(row[top + part[0] : top + part[1], left + part[2] : left + part[3]]))
    lon, lat = grid.lon_lat(*(unknown.T + np.array([[one.row + part[0]], [one.col + part[2]]])).astype(np.float64))
    lon = near(lon, image.rpc.lon_off)
    shown = np.flatnonzero(shapely.contains_xy(reach.outline, lon, lat))
    return (float(lon[shown[0]]), float(lat[shown[0]])) if shown.size else None


def _patches(block: Block, reach: Reach) -> Iterator[tuple[int, int, Part]]:
    """First row and column of each patch of a block within reach, and the part of it that both share, in its pixels."""
    top, bottom = max(block.row, reach.top), min(block.row + block.height, reach.bottom)
    left, right = max(block.col, reach.left), min(block.col + block.width, reach.right)
    if top >= bottom or left >= right:
        return
    for row in range(top // PATCH * PATCH, bottom, PATCH):
        for col in range(left // PATCH * PATCH, right, PATCH):
            rows = max(top - row, 0), min(bottom - row, PATCH)
            cols = max(left - col, 0), min(right - col, PATCH)
            yield row, col, (*rows, *cols)


def _parts(row: Floats, col: Floats, image: Image, part: Part) -> Iterator[Part]:
    """The part, or its quarters where it sees too much of the image at once; none where it sees nothing."""
    top, bottom, left, right = kernel.image_window(row, col, part, (image.height, image.width))
    values = (bottom - top) * (right - left) * image.bands
    if values <= MAX_SOURCE_VALUES or max(part[1] - part[0], part[3] - part[2]) <= PATCH:
        if values:
            yield part
        return
    middle_row, middle_col = (part[0] + part[1] + 1) // 2, (part[2] + part[3] + 1) // 2
    for rows in ((part[0], middle_row), (middle_row, part[1])):
        for cols in ((part[2], middle_col), (middle_col, part[3])):
            yield from _parts(row, col, image, (*rows, *cols))
