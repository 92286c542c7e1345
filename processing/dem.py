"""Heights above the ellipsoid from a DEM whose vertical datum is declared.

Most DEMs give heights above a geoid, up to 100 m away from the ellipsoid on which every sensor model stands. So the
datum is always said by name, the geoid's grid is added to each cell of the DEM, and between the cells the sum is
bilinear. Ground without a height is an error, never zero.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from processing.errors import HeightsError
from processing.heights import Floats, HeightGrid
from processing.surface import Surface

ELLIPSOID = "ellipsoid"
"""The vertical datum of heights above the WGS 84 ellipsoid."""

HIGHEST_M = 15_000.0
"""Beyond that, up or down, is no ground of the Earth, its deepest trenches included."""

_STRIP_CELLS = 4_000_000
"""Cells read at a time where only the lowest and highest are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalDatum:
    """What the heights of a DEM stand on."""

    name: str
    """``ellipsoid``, or the name of a geoid: ``EGM96``, ``EGM2008``, …"""

    geoid: Surface | None
    """The geoid's height above the ellipsoid; None for heights that stand on the ellipsoid itself."""

    @classmethod
    def of(cls, name: str | None, geoid: Path | None) -> Self:
        """The datum of that name.

        Raises
        ------
        HeightsError
            No name; a geoid's name without its grid; a grid where none is needed, or one that cannot be read.
        """
        if name is None or not name.strip():
            raise HeightsError(
                "DEM: its vertical datum is not declared; say ellipsoid, or EGM96, EGM2008 … with the geoid's grid "
                "(--dem-datum, --geoid)"
            )
        name = name.strip()
        if name.lower() == ELLIPSOID:
            if geoid is not None:
                raise HeightsError(
                    f"DEM: heights above the ellipsoid need no geoid, yet {geoid.name} is given; "
                    "leave out --geoid, or name its datum with --dem-datum"
                )
            return cls(name=ELLIPSOID, geoid=None)
        if geoid is None:
            raise HeightsError(f"DEM: heights above {name} need the grid of that geoid; give it with --geoid GRID")
        return cls(name=name, geoid=Surface.open(geoid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dem:
    """A DEM and its vertical datum; holds no open file, so that it can be sent to a worker."""

    surface: Surface
    """Heights above the datum."""

    datum: VerticalDatum
    """What they stand on."""

    @classmethod
    def open(cls, path: Path, *, vertical_datum: str | None, geoid: Path | None = None) -> Self:
        """Read the header of a DEM; its heights are read where they are asked for.

        Parameters
        ----------
        path
            GeoTIFF, HGT, … with one band of metres in any geographic or projected CRS.
        vertical_datum
            ``ellipsoid``, or the name of the geoid.
        geoid
            Grid of the geoid's heights above the ellipsoid (GTX or GeoTIFF); needed for every datum but ``ellipsoid``.

        Raises
        ------
        HeightsError
            The datum is not declared, lacks its geoid, contradicts the file, or a file is no height raster.
        """
        datum = VerticalDatum.of(vertical_datum, geoid)
        surface = Surface.open(path)
        if surface.vertical_crs and datum.geoid is None:
            raise HeightsError(
                f"{path.name}: declared as heights above the ellipsoid, but its CRS says {surface.vertical_crs!r}; "
                "name that datum and give its geoid"
            )
        return cls(surface=surface, datum=datum)

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
        """The cells around rows and columns of the DEM, raised to the ellipsoid; NaN where there is no height."""
        grid = self.surface.cells(row, col)
        if self.datum.geoid is None:
            return grid
        return HeightGrid(values=grid.values + self._undulation(grid), row=grid.row, col=grid.col)

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
        cols = col[placed] if self.surface.turn else np.clip(col[placed], -3.0, self.surface.width + 2.0)
        return (float(rows.min()), float(rows.max())), (float(cols.min()), float(cols.max()))

    def unknown(self, lon: float, lat: float) -> HeightsError:
        """The error for ground without a height."""
        west, south, east, north = self.surface.bounds()
        return HeightsError(
            f"{self.surface.path.name}: no height at lon {lon:.6f}, lat {lat:.6f}; it covers about lon {west:.4f} to "
            f"{east:.4f}, lat {south:.4f} to {north:.4f}; give a DEM without gaps that covers the scene and its margin"
        )

    def _undulation(self, grid: HeightGrid) -> Floats:
        """Height of the geoid above the ellipsoid at the cells of a window."""
        assert self.datum.geoid is not None
        rows = grid.row + np.arange(grid.values.shape[0], dtype=np.float64)
        cols = grid.col + np.arange(grid.values.shape[1], dtype=np.float64)
        lon, lat = self.surface.lon_lat(*np.meshgrid(rows, cols, indexing="ij"))
        row, col = self.datum.geoid.position(lon, lat, middle=float(lon.flat[0]))
        return self.datum.geoid.cells(row, col).at(row, col)
