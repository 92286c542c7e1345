"""Output grids on the tiles of a TileMatrixSet (OGC 17-083r4), for maps that show tiles.

A pixel is that of the zoom level. A tile of the file is 512 pixels wide, those of nearly every set are 256: a tile of
the file holds 2 × 2 tiles of its zoom level, and is at the same time one tile of the level above in double density
("@2x"). An overview is the next lower zoom level where the set halves its resolution from level to level.
"""

import math
from functools import lru_cache
from typing import Final

import morecantile
import numpy as np
from morecantile.errors import InvalidIdentifier
from pyproj import CRS

from processing.dem import Dem
from processing.errors import OutputError
from processing.grid import OutputGrid
from processing.ground import MAX_PIXELS, choose_grid
from processing.projection import from_lon_lat, is_geographic, near
from processing.sensor import SensorModel
from processing.tile import TILE

WEB_MERCATOR: Final = "WebMercatorQuad"
"""The set that most web maps show."""


def tile_grid(tms: str, *, zoom: int, bounds: tuple[float, float, float, float], aligned_levels: int = 1) -> OutputGrid:
    """The pixels of a zoom level, of all tiles of 512 pixels that share ground with the bounds.

    Parameters
    ----------
    tms
        Identifier that morecantile knows: ``WebMercatorQuad``, ``WGS1984Quad``, ``EuropeanETRS89_LAEAQuad``, …
    bounds
        Lowest x, lowest y, highest x, highest y in the CRS of the set, easting or longitude first.
    aligned_levels
        On how many levels of the file, full resolution and its overviews, tiles coincide with the set's: for each
        beyond the first the grid may grow by as much as doubles a tile. As GDAL's COG driver has it.

    Raises
    ------
    OutputError
        The set or the zoom level is unknown or has no square pixels in tiles of a power of two; too many pixels.
    """
    side, west, north, tile = _matrix(tms, zoom)
    step = max(TILE, tile) << (aligned_levels - 1)
    left, right = _whole((bounds[0] - west) / side / step, (bounds[2] - west) / side / step)
    top, bottom = _whole((north - bounds[3]) / side / step, (north - bounds[1]) / side / step)
    height, width = (bottom - top) * step, (right - left) * step
    if not (0 < height <= MAX_PIXELS and 0 < width <= MAX_PIXELS):
        raise OutputError(f"output grid: {height} × {width} pixels of zoom level {zoom}; give another --zoom or bounds")
    transform = (side, 0.0, west + left * step * side, 0.0, -side, north - top * step * side)
    return OutputGrid(crs=crs_of(tms), transform=transform, height=height, width=width)


def scene_tile_grid(
    rpc: SensorModel,
    shape: tuple[int, int],
    dem: Dem,
    *,
    tms: str,
    zoom: int | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    aligned_levels: int = 1,
) -> tuple[OutputGrid, int]:
    """The grid for an image of that many rows and columns, and its zoom level.

    Parameters
    ----------
    zoom
        That whose pixels are nearest in size to the image's own where None is given.
    bounds, aligned_levels
        As for `tile_grid`; the whole image where None is given.

    Raises
    ------
    HeightsError
        The DEM does not cover the scene.
    OutputError
        As for `tile_grid`; the set's CRS does not reach the scene.
    """
    if zoom is None:
        zoom = nearest_zoom(tms, own_resolution(rpc, shape, crs_of(tms)))
    side, *_ = _matrix(tms, zoom)
    around = choose_grid(rpc, shape, dem, crs=crs_of(tms), resolution=side, bounds=bounds)
    return tile_grid(tms, zoom=zoom, bounds=bounds or around.bounds, aligned_levels=aligned_levels), zoom


def nearest_zoom(tms: str, resolution: float) -> int:
    """The zoom level whose pixels are nearest in size, as a ratio, to a resolution in units of the CRS."""
    levels = [int(matrix.id) for matrix in _set(tms).tileMatrices]
    return min(levels, key=lambda zoom: abs(math.log(_matrix(tms, zoom)[0] / resolution)))


def own_resolution(rpc: SensorModel, shape: tuple[int, int], crs: str) -> float:
    """Distance of neighbouring pixels at an image's centre in units of a CRS: the mean of rows and columns."""
    row, col = shape[0] / 2, shape[1] / 2
    lon, lat = rpc.locate([row, row + 1, row], [col, col, col + 1], rpc.domain.height_m)
    x, y = from_lon_lat(crs, near(lon, rpc.domain.lon), lat)
    if is_geographic(crs):
        x = near(x, float(x[0]))
    distances = np.hypot(x[1:] - x[0], y[1:] - y[0])
    if not np.isfinite(distances).all():
        raise OutputError(f"output grid: {crs} has no place for lon {lon[0]:.4f}, lat {lat[0]:.4f}; give another set")
    return float(math.sqrt(distances[0] * distances[1]))


@lru_cache(maxsize=32)
def crs_of(tms: str) -> str:
    """The CRS of a set, as PROJ reads it."""
    return CRS.from_user_input(_set(tms).crs.srs).to_string()


@lru_cache(maxsize=32)
def _set(name: str) -> morecantile.TileMatrixSet:
    try:
        return morecantile.tms.get(name)
    except InvalidIdentifier:
        known = ", ".join(sorted(morecantile.tms.list()))
        raise OutputError(f"tiles: the set {name[:80]!r} is unknown; give {known}") from None


@lru_cache(maxsize=512)
def _matrix(name: str, zoom: int) -> tuple[float, float, float, int]:
    """Side of a pixel, x and y of the upper left corner, and pixels along a tile, of a zoom level."""
    tms = _set(name)
    levels = {int(matrix.id): matrix for matrix in tms.tileMatrices}
    if zoom not in levels:
        raise OutputError(f"tiles: {name} has no zoom level {zoom}; give {min(levels)} to {max(levels)}")
    matrix = levels[zoom]
    tile = matrix.tileWidth
    square = tile == matrix.tileHeight and (TILE % tile == 0 or tile % TILE == 0)
    if not square or matrix.variableMatrixWidths:
        raise OutputError(f"tiles: those of {name} are no squares of {TILE} pixels or a part of them; give another set")
    first = tms.xy_bounds(morecantile.Tile(0, 0, zoom))
    last = tms.xy_bounds(morecantile.Tile(matrix.matrixWidth - 1, 0, zoom))  # over the whole width no digit is lost
    return (last.right - first.left) / (matrix.matrixWidth * tile), first.left, first.top, tile


def _whole(low: float, high: float) -> tuple[int, int]:
    """From the first to behind the last of the steps that share something; a millionth of one is nothing."""
    return math.floor(low + 1e-6), math.ceil(high - 1e-6)
