"""The ground that an image shows: where its edge meets the terrain, and the output grid that holds it."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import shapely
from shapely import Polygon

from processing.dem import Dem
from processing.errors import HeightsError, OutputError
from processing.grid import OutputGrid
from processing.ortho import Image, Reach
from processing.projection import Floats, from_lon_lat, is_geographic, near
from processing.sensor import Domain, SensorModel

MAX_PIXELS: Final = 4_000_000
"""Rows or columns of an output grid; a larger one is a resolution in the wrong unit."""

METRES_PER_DEGREE: Final = 111_319.490_793
"""Of longitude at the equator of WGS 84: a·π/180."""

_PER_EDGE: Final = 1024
"""Most points along an edge of an image."""

_SEGMENT: Final = 128
"""Points of the edge whose part of the DEM is read at once, where all of it would be more than `_AT_ONCE`."""

_AT_ONCE: Final = 2**21
"""Cells of a DEM."""

_LEVEL_M: Final = 15.0
"""Steps in height down a ray; terrain that is thinner is met between two steps or by the next ray."""


def relief(model: SensorModel, shape: tuple[int, int], dem: Dem) -> tuple[float, float]:
    """Lowest and highest terrain that the image can show, m above the ellipsoid.

    The ground under the model's own heights is searched first, then the ground under the heights found there.

    Raises
    ------
    HeightsError
        The DEM knows no height there at all.
    """
    return _relief(_Rays.of(model, shape), dem)


def outline(model: SensorModel, shape: tuple[int, int], dem: Dem) -> tuple[Floats, Floats]:
    """Longitude and latitude, without a jump at ±180°, of the terrain that the image's edge shows, once around.

    Each ray goes down in steps from above the highest terrain; where its height above the terrain first changes its
    sign, it meets it.

    Raises
    ------
    HeightsError
        A ray meets none: the DEM does not cover the scene.
    """
    rays = _Rays.of(model, shape)
    return _outline(rays, _relief(rays, dem), dem)


@dataclass(frozen=True, slots=True)
class _Rays:
    """The rays of the points along an image's edge: longitude and latitude as polynomials in the height.

    A ray is nearly straight: a polynomial through five places on it lies less than a thousandth of a pixel beside it.
    """

    model: SensorModel
    domain: Domain
    row: Floats
    col: Floats
    lon: Floats
    """Coefficients, shape (5, points), of powers of (height - middle) / half; longitude near the model's middle."""

    lat: Floats

    @classmethod
    def of(cls, model: SensorModel, shape: tuple[int, int]) -> Self:
        row, col = _edge(shape)
        domain = model.domain
        z = np.cos((2 * np.arange(5) + 1) * np.pi / 10)
        lon, lat = model.locate(row, col, (domain.height_m + domain.height_half_m * z)[:, None])
        powers = np.linalg.inv(np.vander(z, increasing=True))
        return cls(model, domain, row, col, powers @ near(lon, domain.lon), powers @ lat)

    def at(self, heights: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude at each of the heights, for every ray: shape (points, heights)."""
        powers = np.vander((heights - self.domain.height_m) / self.domain.height_half_m, 5, increasing=True).T
        return self.lon.T @ powers, self.lat.T @ powers


def _relief(rays: _Rays, dem: Dem) -> tuple[float, float]:
    middle, half = rays.domain.height_m, rays.domain.height_half_m
    low, high = middle - half, middle + half
    for _ in range(2):
        lon, lat = rays.at(np.array([low, high]))
        low, high = dem.height_range(*dem.position(lon, lat, middle=rays.domain.lon))
    return low, high


def _outline(rays: _Rays, relief: tuple[float, float], dem: Dem) -> tuple[Floats, Floats]:
    low, high = relief
    levels = np.linspace(high + 1, low - 1, max(3, math.ceil((high - low + 2) / _LEVEL_M)))
    every_lon, every_lat = rays.at(levels)
    cells = np.stack(dem.position(every_lon, every_lat, middle=rays.domain.lon))
    # A small scene's ground is read at once, that of a large one piece by piece along its edge.
    area = np.prod(np.ptp(cells.reshape(2, -1), axis=1) + 3)
    segment = rays.row.size if area <= _AT_ONCE else _SEGMENT
    met: list[Floats] = []
    for start in range(0, rays.row.size, segment):
        part = np.s_[start : start + segment]
        lon, lat, cell = every_lon[part], every_lat[part], cells[:, part]
        above = levels - dem.cells(*cell).at(*cell)
        crossing = (above[:, :-1] >= 0) & (above[:, 1:] < 0)
        for ray in np.flatnonzero(~crossing.any(axis=1)):
            raise dem.unknown(float(lon[ray, levels.size // 2]), float(lat[ray, levels.size // 2]))
        number, step = np.arange(len(lon)), crossing.argmax(axis=1)
        before, after = above[number, step], above[number, step + 1]
        height = levels[step] + (levels[step + 1] - levels[step]) * before / (before - after)
        met.append(np.stack(rays.model.locate(rays.row[part], rays.col[part], height)))
    lon, lat = np.concatenate(met, axis=1)
    return near(lon, rays.domain.lon), lat


def choose_grid(
    rpc: SensorModel,
    shape: tuple[int, int],
    dem: Dem,
    *,
    crs: str | None = None,
    resolution: float | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    aligned: bool = False,
) -> OutputGrid:
    """The output grid for an image of that many rows and columns.

    Parameters
    ----------
    crs
        UTM of the image's centre where None is given, UPS beyond 84° north and 80° south.
    resolution
        Side of a pixel in units of the CRS; the image's own ground distance, to two digits, where None is given.
    bounds
        Lowest x, lowest y, highest x, highest y. Kept as they are but for the last pixel, which is whole; heights are
        then needed inside them only. Without them the grid holds all ground that the image shows, its edges at
        multiples of the resolution, counted from the origin of the CRS: neighbouring scenes share their pixels' edges.
    aligned
        Whether bounds too grow to such multiples.

    Raises
    ------
    HeightsError
        The DEM does not cover the scene.
    OutputError
        The CRS is unknown or does not reach the scene; the grid would have no pixels or too many.
    """
    lon, lat = rpc.locate(*_edge(shape), rpc.domain.height_m) if bounds else outline(rpc, shape, dem)
    lon = near(lon, rpc.domain.lon)
    crs = crs or utm((lon.min() + lon.max()) / 2, (lat.min() + lat.max()) / 2)
    OutputGrid(crs=crs, transform=(1, 0, 0, 0, -1, 0), height=1, width=1)  # says so where the CRS is unknown
    side = _own_resolution(rpc, shape, crs) if resolution is None else resolution
    if not (math.isfinite(side) and side > 0):
        raise OutputError(f"output grid: resolution {side}; give a number above zero in units of {crs}")
    west, south, east, north = bounds or _bounds(crs, lon, lat, side)
    if not all(math.isfinite(edge) for edge in (west, south, east, north)):
        raise OutputError(f"output grid: bounds {bounds}; give four numbers, xmin ymin xmax ymax in units of {crs}")
    if aligned:  # a millionth of a pixel is none
        west, south = (math.floor(low / side + 1e-6) * side for low in (west, south))
        east, north = (math.ceil(high / side - 1e-6) * side for high in (east, north))
    height, width = round((north - south) / side), round((east - west) / side)
    if not (0 < height <= MAX_PIXELS and 0 < width <= MAX_PIXELS):
        raise OutputError(
            f"output grid: {height} × {width} pixels of {side:g} in {crs}; give bounds as xmin ymin xmax ymax and a "
            "resolution, both in units of the CRS"
        )
    return OutputGrid(crs=crs, transform=(side, 0.0, west, 0.0, -side, north), height=height, width=width)


def reach(image: Image, grid: OutputGrid, dem: Dem) -> Reach:
    """The part of the grid in which the image can show terrain.

    Beyond it the ratios of a sensor model may come back into the image, and no height is needed.

    Raises
    ------
    OutputError
        The grid and the image share nothing.
    """
    rays = _Rays.of(image.rpc, (image.height, image.width))
    low, high = _relief(rays, dem)
    lon, lat = rays.at(np.linspace(low - 1, high + 1, 9))
    row, col = grid.pixel(lon, lat)
    if not (np.isfinite(row).all() and np.isfinite(col).all()):
        raise OutputError(f"output grid: {grid.crs} has no place for lon {lon[0, 0]:.4f}, lat {lat[0, 0]:.4f}")
    pad_rows, pad_cols = 4 + 0.01 * np.ptp(row), 4 + 0.01 * np.ptp(col)
    top, bottom = max(math.floor(row.min() - pad_rows), 0), min(math.ceil(row.max() + pad_rows) + 1, grid.height)
    left, right = max(math.floor(col.min() - pad_cols), 0), min(math.ceil(col.max() + pad_cols) + 1, grid.width)
    if top >= bottom or left >= right:
        raise OutputError(
            f"output grid: bounds {grid.bounds} in {grid.crs} lie outside the image, which shows about lon "
            f"{lon.min():.4f} to {lon.max():.4f}, lat {lat.min():.4f} to {lat.max():.4f}"
        )
    return Reach(
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        low_m=low,
        high_m=high,
        outline=_shown(rays, (low, high), dem),
        scale=_scale(image, grid, (top + bottom) / 2, (left + right) / 2, (low + high) / 2),
    )


def _scale(image: Image, grid: OutputGrid, row: float, col: float, height: float) -> tuple[float, float]:
    """Rows and columns of the image that a pixel of the grid covers in the middle of it; 1 where about one or less."""
    rows, cols = row + np.array([0.0, 1.0, 0.0]), col + np.array([0.0, 0.0, 1.0])
    lon, lat = grid.lon_lat(rows, cols)
    if not np.isfinite(lon + lat).all():
        return 1.0, 1.0
    seen = image.rpc.project(near(lon, image.rpc.domain.lon), lat, height)
    spans = (np.hypot(*(part[1:] - part[0])) for part in seen)
    across, along = (1.0 if span < ABOUT_ONE else round(float(span), 3) for span in spans)
    return across, along


ABOUT_ONE: Final = 1.25
"""Up to so many pixels of the image a pixel of the output is as fine as it: nothing that is seen lies between."""


def _bounds(crs: str, lon: Floats, lat: Floats, side: float) -> tuple[float, float, float, float]:
    """Lowest x, lowest y, highest x, highest y of an outline, at multiples of a pixel's side."""
    x, y = from_lon_lat(crs, lon, lat)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise OutputError(f"output grid: {crs} has no place for lon {lon[0]:.4f}, lat {lat[0]:.4f}; give another CRS")
    # Between two rays the edge may stand out a little: one pixel and a thousandth of the whole.
    x_pad, y_pad = side + 1e-3 * np.ptp(x), side + 1e-3 * np.ptp(y)
    west, south = (math.floor(low / side) * side for low in (x.min() - x_pad, y.min() - y_pad))
    east, north = (math.ceil(high / side) * side for high in (x.max() + x_pad, y.max() + y_pad))
    return west, south, east, north


def _shown(rays: _Rays, relief: tuple[float, float], dem: Dem) -> Polygon | None:
    """The outline and a little around it; None where the DEM does not cover all of it."""
    try:
        lon, lat = _outline(rays, relief, dem)
    except HeightsError:
        return None
    return shapely.make_valid(Polygon(np.stack([lon, lat], axis=1))).buffer(2e-3 * np.ptp(lat))


def utm(lon: float, lat: float) -> str:
    """The UTM zone of a place on WGS 84, or UPS (easting first) where UTM ends."""
    if lat > 84:
        return "EPSG:5041"
    if lat < -80:
        return "EPSG:5042"
    zone = math.floor((lon + 180) / 6) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def _own_resolution(model: SensorModel, shape: tuple[int, int], crs: str) -> float:
    """Ground distance of neighbouring pixels at the centre, the mean of rows and columns, to two digits."""
    row, col = shape[0] / 2, shape[1] / 2
    lon, lat = model.locate([row, row + 1, row], [col, col, col + 1], model.domain.height_m)
    east = near(lon - lon[0], 0.0) * METRES_PER_DEGREE * np.cos(np.radians(lat[0]))
    north = (lat - lat[0]) * METRES_PER_DEGREE
    distance = math.sqrt(math.hypot(east[1], north[1]) * math.hypot(east[2], north[2]))
    side = distance / METRES_PER_DEGREE if is_geographic(crs) else distance
    return float(f"{side:.1e}")


def _edge(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Points along the outer edge of an image, row and column, once around."""
    top, left, bottom, right = -0.5, -0.5, shape[0] - 0.5, shape[1] - 0.5
    down = np.linspace(top, bottom, min(_PER_EDGE, max(16, shape[0] // 16)))
    across = np.linspace(left, right, min(_PER_EDGE, max(16, shape[1] // 16)))
    row = np.concatenate([np.full_like(across, top), down, np.full_like(across, bottom), down[::-1]])
    col = np.concatenate([across, np.full_like(down, right), across[::-1], np.full_like(down, left)])
    return row, col
