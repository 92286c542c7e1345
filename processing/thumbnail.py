"""A small picture of a finished raster in EPSG:4326, so that any web map can lay it down by its four edges."""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalog.extent import Footprint
from catalog.item import Grid
from processing.errors import OutputError
from processing.projection import from_lon_lat
from processing.quality import has_data, overview
from processing.raster import open_raster

LONG_SIDE_PX: Final = 768
"""Most rows or columns."""

STRETCH_PCT: Final = (2.0, 98.0)
"""Share of the valid pixels below black, and below white."""


def write_thumbnail(raster: Path, *, bands: tuple[int, ...], footprint: Footprint, destination: Path) -> Grid:
    """Write a PNG with transparency of one band, or of three as red, green and blue; says where it lies.

    Parameters
    ----------
    bands
        Counted from 1, as GDAL does.
    footprint
        Where the raster has data. Where that crosses the antimeridian, longitudes go on beyond 180°.

    Raises
    ------
    OutputError
        The disk is full.
    """
    with open_raster(raster) as dataset:
        size, transform = overview(dataset)
        pixels = dataset.read(list(bands), out_shape=(len(bands), *size))
        valid: NDArray[np.bool_] = np.any(has_data(pixels, dataset.nodata), axis=0)
        crs = dataset.crs.to_wkt()
    grid = _grid(footprint, finest=max(size))
    rows, cols = _sources(grid, crs, tuple(~transform)[:6])
    inside = (rows >= 0) & (rows < size[0]) & (cols >= 0) & (cols < size[1])
    rows, cols = np.where(inside, rows, 0), np.where(inside, cols, 0)
    shown = np.moveaxis(_stretch(pixels, valid)[:, rows, cols], 0, -1)
    alpha = np.where(inside & valid[rows, cols], 255, 0).astype("uint8")
    rgb = np.broadcast_to(shown, (*alpha.shape, 3))
    try:
        Image.fromarray(np.dstack([rgb, alpha])).save(destination, format="PNG")
    except OSError as error:
        raise OutputError(f"{destination.name}: cannot be written ({error.strerror})") from error
    return grid


def _grid(footprint: Footprint, *, finest: int) -> Grid:
    """The picture's pixels: about square on the ground, no more of them than the overview has."""
    box = footprint.bbox
    width_deg = box.east - box.west + (360 if box.crosses_antimeridian else 0)
    height_deg = box.north - box.south
    on_ground = width_deg * max(math.cos(math.radians((box.south + box.north) / 2)), 1e-3)
    scale = min(LONG_SIDE_PX, finest) / max(on_ground, height_deg)
    width, height = max(1, round(on_ground * scale)), max(1, round(height_deg * scale))
    transform = (width_deg / width, 0.0, box.west, 0.0, -height_deg / height, box.north)
    return Grid(crs="EPSG:4326", transform=transform, height=height, width=width)


def _sources(grid: Grid, crs: str, to_pixel: tuple[float, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the overview's pixel under the centre of each pixel of the picture; -1 beyond the map."""
    a, _, west, _, e, north = grid.transform
    lons, lats = np.meshgrid(west + a * (np.arange(grid.width) + 0.5), north + e * (np.arange(grid.height) + 0.5))
    x, y = from_lon_lat(crs, lons, lats)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    col_x, col_y, col_0, row_x, row_y, row_0 = to_pixel
    rows, cols = (np.floor(row_x * x + row_y * y + row_0), np.floor(col_x * x + col_y * y + col_0))
    return np.where(known, rows, -1).astype(np.int64), np.where(known, cols, -1).astype(np.int64)


def _stretch(bands: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Values to 0 … 255 between two percentiles of all valid ones: bands keep their proportions, so colours stay true.

    Shape (bands, rows, columns).
    """
    if not valid.any():
        return np.zeros(bands.shape, dtype=np.uint8)
    low, high = np.nanpercentile(bands[:, valid], STRETCH_PCT)
    stretched = (bands.astype(np.float64) - low) / max(high - low, 1e-9)
    return np.asarray(np.clip(np.nan_to_num(stretched), 0, 1) * 255 + 0.5, dtype=np.uint8)
