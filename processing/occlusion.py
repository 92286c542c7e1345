"""Ground that the sensor does not see, because nearer terrain stands in front of it.

    to the sensor ↖            From each point of the ground a ray goes up to the sensor. Where it runs below the
                  ╲   ▲        terrain, the image shows that terrain and not the point: it is hidden (▒), and an
                   ╲ ╱ ╲       orthoimage would repeat the nearer slope there.
               ─────╳   ▒▒▒╲── Nothing is hidden where no slope is steeper than the rays.

Exactly: the surface is bilinear between the cells of the DEM, as the orthoimage takes it; the ray goes straight, in the
direction that the sensor model has for that place (how its ground moves with height at a fixed image point). Cells
without height hide nothing. Each pixel is decided from its own ray alone: the same in any block.

How: a ray can go below the terrain only on a facet that rises faster than it. Those are found first, and mostly there
are none. Behind each a shade is cast, an upper bound of the heights that it may hide; only ground in the shade is
followed along its ray, and only until that has left the shade.

From orbit the rays of a place are parallel at all heights of the terrain. From an aircraft they are not: there each
pixel's direction is taken at its own height.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from processing import occlusion_kernel as kernel
from processing.grid import OutputGrid
from processing.heights import Floats, HeightGrid
from processing.lattice import PATCH, Lattice, Terrain
from processing.projection import near
from processing.sensor import SensorModel

Mask = NDArray[np.bool_]

Part = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""

SPACING: Final = PATCH // 2
"""Pixels from one to the next of those whose rays are computed; between them directions change by a thousandth."""

HIGHEST_M: Final = 9_000.0
"""No mountain on Earth is higher above the ellipsoid."""

_RISE_M = 100.0
"""Over so much height a ray is taken to see how far it goes in the DEM."""

_NEAR = 0.05
"""Where rays at the lowest and the highest terrain differ by more than this share, the sensor is near."""

_NUDGE = 1e-4
"""Shares of a sensor model's scales over which it is differentiated."""


class Relief(Terrain, Protocol):
    """Terrain whose range is known; `processing.dem.Dem` is one."""

    def height_range(self, row: Floats, col: Floats) -> tuple[float, float]:
        """Lowest and highest known cell around rows and columns, m above the ellipsoid."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Horizon:
    """What may hide ground in a piece of a DEM, seen in about one direction."""

    values: Floats
    """Heights of its cells, m; `occlusion_kernel.NO_GROUND_M` where there is none."""

    first: tuple[int, int]
    """Row and column of the first of them."""

    steep: Mask
    """Facets on which the terrain may rise faster than a ray; one row and column fewer than `values`."""

    shade: Floats
    """Height up to which a ray over a facet may meet a steep one, m; empty where there is no steep facet at all."""

    @classmethod
    def of(cls, dem: HeightGrid, sight: Floats) -> Self:
        """The horizon of a piece of a DEM.

        Parameters
        ----------
        sight
            Rows, and columns, that rays go while they rise a metre: shape (2, …), NaN where there is none.
        """
        known = ~np.isnan(dem.values)
        values = dem.values if known.all() else np.where(known, dem.values, kernel.NO_GROUND_M)
        shape = max(values.shape[0] - 1, 0), max(values.shape[1] - 1, 0)
        steep, shade = np.zeros(shape, dtype=np.bool_), np.empty((0, 0))
        rays = sight.reshape(2, -1)[:, np.isfinite(sight).all(axis=0).ravel()]
        if rays.size and known.any():
            between = (*_ends(rays[0]), *_ends(rays[1]))
            crest = kernel.find_steep(values, between, steep)
            if crest > -np.inf:
                shade = np.full(shape, -np.inf)
                kernel.cast_shade(values, steep, between, crest, float(dem.values[known].min()), shade)
        return cls(values=values, first=(dem.row, dem.col), steep=steep, shade=shade)

    @property
    def is_open(self) -> bool:
        """Whether nothing is hidden here."""
        return not self.shade.size

    def packed(self) -> tuple[Floats, tuple[int, int], Mask, Floats]:
        """As the kernels take it."""
        return self.values, self.first, self.steep, self.shade


def occluded(row: Floats, col: Floats, sight: Floats, dem: HeightGrid) -> Mask:
    """Which points of the ground are hidden.

    Parameters
    ----------
    row, col
        Where they are in the DEM, cells; any shape.
    sight
        Rows, and columns, that each one's ray goes while it rises a metre: shape (2, …), theirs behind the 2.
    dem
        Heights around them and as far towards the sensor as any of it rises above the rays.
    """
    horizon = Horizon.of(dem, sight)
    hidden = np.zeros(row.size, dtype=np.bool_)
    if not horizon.is_open:
        kernel.hide_points(*horizon.packed(), row.ravel(), col.ravel(), sight[0].ravel(), sight[1].ravel(), hidden)
    return hidden.reshape(row.shape)


def occluded_block(
    shape: tuple[int, int],
    first: tuple[int, int],
    lattices: Sequence[tuple[Lattice, Part]],
    *,
    grid: OutputGrid,
    rpc: SensorModel,
    terrain: Terrain,
    relief: tuple[float, float],
) -> Mask:
    """Which pixels of a block show ground that is hidden from the sensor.

    Parameters
    ----------
    shape, first
        Rows and columns of the block; row and column of its first pixel in the output grid.
    lattices
        The patches of the block within reach of the image, and the part of each that belongs to it.
    relief
        Lowest terrain, and as `ceiling` gives it the highest that can hide any, m above the ellipsoid.

    Returns
    -------
    Shape (rows, columns); False outside the patches and where the ground has no height.

    Raises
    ------
    HeightsError
        The DEM cannot be read.
    """
    hidden = np.zeros(shape, dtype=np.bool_)
    if not lattices:
        return hidden
    rays, spacing = _rays(grid, rpc, terrain, [(one.row, one.col) for one, _ in lattices], relief)
    places = [one.nodes[:2] for one, _ in lattices]
    horizon = Horizon.of(_cells(places, rays, terrain, relief[1] - relief[0]), np.moveaxis(rays, 0, 1))
    if horizon.is_open:
        return hidden
    for (one, part), place, ray in zip(lattices, places, rays, strict=True):
        kernel.hide_patch(
            *horizon.packed(), place, one.step, ray, spacing, part, (one.row - first[0], one.col - first[1]), hidden
        )
    return hidden


def _rays(
    grid: OutputGrid,
    rpc: SensorModel,
    terrain: Terrain,
    corners: list[tuple[int, int]],
    relief: tuple[float, float],
) -> tuple[Floats, int]:
    """How rays go in the DEM at every so many-th pixel of patches: shape (patches, 2, n, n), and how many."""
    spacing = 1 if _is_near(rpc, terrain, relief) else SPACING
    lon, lat = _nodes(grid, corners, spacing)
    heights: Floats | float = (relief[0] + relief[1]) / 2
    if spacing == 1:
        row, col = terrain.position(near(lon, rpc.domain.lon), lat, middle=rpc.domain.lon)
        heights = terrain.cells(row, col).at(row, col)
    rays = sight(lon, lat, rpc, terrain, heights)
    side = PATCH // spacing + 1
    return np.ascontiguousarray(np.moveaxis(rays.reshape(2, -1, side, side), 0, 1)), spacing


def _is_near(rpc: SensorModel, terrain: Terrain, relief: tuple[float, float]) -> bool:
    """Whether the rays of a place differ between the lowest and the highest terrain; asked of the whole image."""
    domain = rpc.domain
    low = max(relief[0], domain.height_m - domain.height_half_m)
    high = min(relief[1], domain.height_m + domain.height_half_m)
    if low >= high:
        return False
    lon, lat = (part.ravel() for part in np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]))
    lon, lat = domain.lon + domain.lon_half * lon, domain.lat + domain.lat_half * lat
    below, above = (sight(lon, lat, rpc, terrain, height) for height in (low, high))
    return not np.nanmax(np.abs(above - below)) <= _NEAR * np.nanmax(np.abs(below))


def _nodes(grid: OutputGrid, corners: list[tuple[int, int]], spacing: int) -> tuple[Floats, Floats]:
    """Longitude and latitude of every so many-th pixel of patches, both ends included; NaN where there is no place."""
    along = np.arange(0, PATCH + 1, spacing, dtype=np.float64)
    first = np.array(corners, dtype=np.float64)[:, :, None, None]
    row, col = np.broadcast_arrays(first[:, 0] + along[:, None], first[:, 1] + along)
    lon, lat = grid.lon_lat(row.ravel(), col.ravel())
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    return np.where(lost, np.nan, lon), np.where(lost, np.nan, lat)


def _cells(places: list[Floats], rays: Floats, terrain: Terrain, rise_m: float) -> HeightGrid:
    """The cells under patches, and under all rays that leave them until they have risen so far."""
    ends = []
    for place, ray in zip(places, rays, strict=True):
        low, high = np.nanmin(place, axis=(1, 2)), np.nanmax(place, axis=(1, 2))
        ends += [low, high, low + rise_m * np.nanmin(ray, axis=(1, 2)), high + rise_m * np.nanmax(ray, axis=(1, 2))]
    row, col = np.array(ends).T
    return terrain.cells(row, col)


def sight(lon: Floats, lat: Floats, rpc: SensorModel, terrain: Terrain, height_m: Floats | float) -> Floats:
    """How far rays go in the DEM while they rise a metre towards the sensor.

    The derivative of `SensorModel.locate` by height at a fixed image point, which follows from the derivatives of
    `project` and needs no image point: with g the ground and p the image position, dg/dh = -(∂p/∂g)⁻¹ ∂p/∂h.

    Parameters
    ----------
    lon, lat
        Where the rays leave the ground, degrees on WGS 84; NaN for none.
    height_m
        At which the derivative is taken, one or each its own. A ray bends, seen from the ellipsoid, by less than a
        thousandth over the highest mountains.

    Returns
    -------
    Rows and columns of the DEM, shape (2, …); NaN where there is no place.
    """
    domain = rpc.domain
    east, north, up = _NUDGE * domain.lon_half, _NUDGE * domain.lat_half, _NUDGE * domain.height_half_m
    by_lon, by_lat, by_height = (
        (np.stack(rpc.project(lon + x, lat + y, height_m + z)) - np.stack(rpc.project(lon - x, lat - y, height_m - z)))
        / (2 * (x + y + z))
        for x, y, z in ((east, 0.0, 0.0), (0.0, north, 0.0), (0.0, 0.0, up))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        det = by_lon[0] * by_lat[1] - by_lon[1] * by_lat[0]
        lon_m = (by_height[1] * by_lat[0] - by_height[0] * by_lat[1]) / det
        lat_m = (by_height[0] * by_lon[1] - by_height[1] * by_lon[0]) / det
        ends = [
            np.stack(terrain.position(near(lon + way * lon_m, domain.lon), lat + way * lat_m, middle=domain.lon))
            for way in (-_RISE_M, _RISE_M)
        ]
        rays = (ends[1] - ends[0]) / (2 * _RISE_M)
    return np.where(np.isfinite(rays).all(axis=0), rays, np.nan)


def ceiling(rpc: SensorModel, shape: tuple[int, int], terrain: Relief, relief: tuple[float, float]) -> float:
    """The highest terrain that can hide any of an image's ground, m above the ellipsoid.

    It may stand beside the image, and be higher than all that the image shows. So the rays are first followed as high
    as any mountain is, then as high as the highest ground found below them.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    relief
        Lowest and highest terrain under the image.

    Raises
    ------
    HeightsError
        The DEM knows no height there at all.
    """
    low, middle = relief[0], (relief[0] + relief[1]) / 2
    row, col = np.meshgrid(np.linspace(-0.5, shape[0] - 0.5, 9), np.linspace(-0.5, shape[1] - 0.5, 9))
    lon, lat = rpc.locate(row.ravel(), col.ravel(), middle)
    lon = near(lon, rpc.domain.lon)
    place, ray = np.stack(terrain.position(lon, lat, middle=rpc.domain.lon)), sight(lon, lat, rpc, terrain, middle)
    top, found = np.inf, HIGHEST_M
    while found < top:
        top = found
        cells = np.concatenate([place + ray * (height - middle) for height in (low, top)], axis=1)
        found = min(terrain.height_range(*cells)[1], top)
    return top


def _ends(values: Floats) -> tuple[float, float]:
    """The lowest and the highest."""
    return float(values.min()), float(values.max())
