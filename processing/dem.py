"""Heights above the ellipsoid from a DEM whose vertical datum is declared.

Most DEMs give heights above a geoid, up to 100 m away from the ellipsoid on which every sensor model stands. So the
datum is always said by name, the geoid's grid is added to each cell of the DEM, and between the cells the sum is
bilinear. Ground without a height is an error, never zero, unless somebody says which height it is to have.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from processing.datum import VerticalDatum
from processing.errors import HeightsError
from processing.height_files import Source
from processing.heights import Floats, HeightGrid
from processing.surface import Surface, span

_PER_SIDE = 64
"""Places across some ground, and along it, that stand for it."""

HIGHEST_M = 15_000.0
"""Beyond that, up or down, is no ground of the Earth, its deepest trenches included."""

_STRIP_CELLS = 4_000_000
"""Cells read at a time where only the lowest and highest are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dem:
    """A DEM and its vertical datum; holds no open file, so that it can be sent to a worker."""

    surface: Surface
    """Heights above the datum."""

    datum: VerticalDatum
    """What they stand on."""

    fill_height: float | None = None
    """Metres above the datum of ground that the DEM does not know; None: it is an error. `uncovered` tells where."""

    @classmethod
    def open(
        cls, path: Source, *, vertical_datum: str | None, geoid: Path | None = None, fill_height: float | None = None
    ) -> Self:
        """Read the headers of a DEM; its heights are read where they are asked for.

        Parameters
        ----------
        path
            GeoTIFF, HGT, … with one band of metres in any geographic or projected CRS; or a folder, a pattern or a list
            of such tiles.
        vertical_datum
            ``ellipsoid``, or the geoid: ``EGM96``, ``EGM2008``, ``EPSG:5720``, ``EPSG:4326+5773`` …
        geoid
            Grid of the geoid's heights above the ellipsoid (GTX or GeoTIFF), a file or the name of one of PROJ's; None:
            the one that PROJ has for the datum on this machine.
        fill_height
            Metres above the datum for ground that the DEM does not cover: 0 for the sea in a DEM above a geoid. Between
            the last known cell and the first filled one the height is linear.

        Raises
        ------
        HeightsError
            The datum is not declared, lacks its geoid, contradicts the files, or a file is no height raster.
        """
        datum = VerticalDatum.of(vertical_datum, geoid)
        if fill_height is not None and not math.isfinite(fill_height):
            raise HeightsError(f"DEM: a fill height of {fill_height}; give metres above the datum")
        surface = Surface.open(path)
        datum.check(surface)
        return cls(surface=surface, datum=datum, fill_height=fill_height)

    @property
    def description(self) -> str:
        """The DEM and all that decides its heights, for people."""
        filled = "" if self.fill_height is None else f"; {self.filling}"
        return f"{self.surface.path.name} (vertical datum: {self.datum.name}{filled})"

    @property
    def filling(self) -> str:
        """What ground without a height gets, for people."""
        if self.fill_height is None:
            return "ground without a height is an error"
        above = "the ellipsoid" if self.datum.geoid is None else self.datum.name
        return f"ground without a height is taken at {self.fill_height:g} m above {above}"

    def heights(self, lon: ArrayLike, lat: ArrayLike) -> Floats:
        """Metres above the ellipsoid at points of the ground.

        Parameters
        ----------
        lon, lat
            Degrees on WGS 84, broadcast together; points near each other, since the window that holds them is read.

        Raises
        ------
        HeightsError
            A point is not covered, or lies beside a cell without height.
        """
        lons, lats = (np.array(part) for part in np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float)))
        if not lons.size:
            return np.empty(lons.shape)
        row, col = self.position(lons, lats, middle=float(lons.flat[0]))
        heights = self.cells(row, col).at(row, col)
        unknown = np.flatnonzero(~np.isfinite(heights))
        if unknown.size:
            raise self.unknown(float(lons.flat[unknown[0]]), float(lats.flat[unknown[0]]))
        return heights

    def window(self, west: float, south: float, east: float, north: float) -> HeightGrid:
        """The cells around a box of degrees, which may run over ±180° (west > east, or east > 180)."""
        width = (east - west) % 360.0 if east != west + 360.0 else 360.0
        lon, lat = np.meshgrid(np.linspace(west, west + width, 33), np.linspace(south, north, 33))
        return self.cells(*self.position(lon, lat, middle=west + width / 2))

    def position(self, lon: Floats, lat: Floats, *, middle: float) -> tuple[Floats, Floats]:
        """Row and column in cells of points in WGS 84 degrees, without a jump within 180° of the longitude `middle`."""
        return self.surface.position(lon, lat, middle=middle)

    def cells(self, row: Floats, col: Floats) -> HeightGrid:
        """The cells around rows and columns of the DEM, raised to the ellipsoid.

        NaN where there is no height, and none is to be put there.
        """
        grid = self.surface.cells(row, col)
        if self.fill_height is not None:
            grid = _filled(grid, row, col, self.fill_height)
        if self.datum.geoid is None:
            return grid
        rows = grid.row + np.arange(grid.values.shape[0], dtype=np.float64)
        cols = grid.col + np.arange(grid.values.shape[1], dtype=np.float64)
        lon, lat = self.surface.lon_lat(*np.meshgrid(rows, cols, indexing="ij"))
        return HeightGrid(values=grid.values + _undulation(self.datum.geoid, lon, lat), row=grid.row, col=grid.col)

    def uncovered(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Where the DEM knows no height, so that points have the fill height, wholly or in part, or none.

        Parameters
        ----------
        lon, lat
            Degrees on WGS 84, broadcast together; points near each other, since the window that holds them is read.
        """
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        if not lons.size:
            return np.zeros(lons.shape, dtype=bool)
        row, col = self.position(lons, lats, middle=float(lons.flat[0]))
        return np.isnan(self.surface.cells(row, col).at(row, col))

    def uncovered_pct(self, ground: BaseGeometry) -> float:
        """How much of some ground the DEM does not know, percent, by some thousand places of it.

        Parameters
        ----------
        ground
            Polygons in WGS 84 degrees, cut at ±180° or running over it.
        """
        shares, areas = [], []
        for part in shapely.get_parts(ground):
            west, south, east, north = part.bounds
            steps = (np.arange(_PER_SIDE) + 0.5) / _PER_SIDE
            lon, lat = np.meshgrid(west + (east - west) * steps, south + (north - south) * steps)
            inside = shapely.contains_xy(part, lon, lat)
            rows = [self.uncovered(*places) for places in _by_row(lon, lat, inside)]
            if rows:
                shares.append(np.concatenate(rows).mean())
                areas.append(part.area)
        return 100 * float(np.average(shares, weights=areas)) if shares else 0.0

    def height_range(self, row: Floats, col: Floats) -> tuple[float, float]:
        """Lowest and highest known cell around rows and columns of the DEM, m above the ellipsoid.

        Raises
        ------
        HeightsError
            There is none at all, or some that the Earth does not have.
        """
        (first, last), (left, right) = self._range(row, col)
        strip = max(1, int(_STRIP_CELLS / (right - left + 2)))
        low, high = np.inf, -np.inf
        for top in np.arange(first, last + strip, strip):
            known = self.cells(np.array([top, min(top + strip, last)]), np.array([left, right])).values
            low, high = np.nanmin(known, initial=low), np.nanmax(known, initial=high)
        if low > high:
            lon, lat = self.surface.lon_lat(*(np.median(part[np.isfinite(part)], keepdims=True) for part in (row, col)))
            raise self.unknown(float(lon[0]), float(lat[0]))
        if low < -HIGHEST_M or high > HIGHEST_M:
            raise HeightsError(
                f"{self.surface.path.name}: heights from {low:g} to {high:g} m, which the Earth does not have; give "
                "metres, and let the file say which value stands for no height (nodata)"
            )
        return float(low), float(high)

    def _range(self, row: Floats, col: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
        """First and last row and column, none far beyond the raster: a bad sensor model may see half of the Earth."""
        placed = np.isfinite(row) & np.isfinite(col)
        if not placed.any():
            raise HeightsError(f"{self.surface.path.name}: no place in it for the scene's ground; give a DEM of there")
        rows = np.clip(row[placed], -3.0, self.surface.height + 2.0)
        cols = col[placed] if self.surface.grid.turn else np.clip(col[placed], -3.0, self.surface.width + 2.0)
        return (float(rows.min()), float(rows.max())), (float(cols.min()), float(cols.max()))

    def unknown(self, lon: float, lat: float) -> HeightsError:
        """The error for ground without a height."""
        if self.datum.geoid is not None and np.isnan(
            _undulation(self.datum.geoid, np.array([lon]), np.array([lat]))[0]
        ):
            return HeightsError(
                f"{self.datum.geoid.path.name}: no geoid at lon {lon:.6f}, lat {lat:.6f}; it covers "
                f"{_extent(self.datum.geoid)}; give a grid of {self.datum.name} that covers the scene"
            )
        return HeightsError(
            f"{self.surface.path.name}: no height at lon {lon:.6f}, lat {lat:.6f}; it covers {_extent(self.surface)}; "
            "give a DEM without gaps that covers the scene and its margin, or a height for the ground beyond it "
            "(--fill-height)"
        )


def _by_row(lon: Floats, lat: Floats, inside: NDArray[np.bool_]) -> Iterator[tuple[Floats, Floats]]:
    """Places row by row, so that little of the DEM is read at once."""
    for x, y, within in zip(lon, lat, inside, strict=True):
        if within.any():
            yield x[within], y[within]


def _undulation(geoid: Surface, lon: Floats, lat: Floats) -> Floats:
    """Height of a geoid above the ellipsoid, bilinear between its cells as PROJ's vgridshift has it."""
    row, col = geoid.position(lon, lat, middle=float(lon.flat[0]))
    return geoid.cells(row, col).at(row, col)


def _filled(known: HeightGrid, row: Floats, col: Floats, height: float) -> HeightGrid:
    """All cells around the positions, those that are not known at that height."""
    inside = np.isfinite(row) & np.isfinite(col)
    if not inside.any():
        return known
    (top, bottom), (left, right) = span(row[inside], None), span(col[inside], None)
    values = np.full((bottom - top, right - left), height, dtype=np.float64)
    rows = slice(max(top, known.row), min(bottom, known.row + known.values.shape[0]))
    cols = slice(max(left, known.col), min(right, known.col + known.values.shape[1]))
    if rows.start < rows.stop and cols.start < cols.stop:
        part = known.values[_moved(rows, known.row), _moved(cols, known.col)]
        values[_moved(rows, top), _moved(cols, left)] = np.where(np.isnan(part), height, part)
    return HeightGrid(values=values, row=top, col=left)


def _moved(span_: slice, by: int) -> slice:
    return slice(span_.start - by, span_.stop - by)


def _extent(surface: Surface) -> str:
    west, south, east, north = surface.bounds()
    return f"about lon {west:.4f} to {east:.4f}, lat {south:.4f} to {north:.4f}"
