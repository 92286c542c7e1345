"""A raster of heights (a DEM, a geoid) that is looked up by longitude and latitude, in whatever CRS it has."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from processing.errors import DeliveryError, HeightsError
from processing.heights import Floats, HeightGrid
from processing.projection import from_lon_lat, is_geographic, near, to_lon_lat
from processing.raster import open_raster


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The header of a height raster; its cells are read where they are asked for."""

    path: Path
    """The file."""

    crs: str
    """Horizontal CRS as WKT 2, geographic or projected."""

    vertical_crs: str | None
    """Name of the vertical part, where the file's CRS has one."""

    to_cell: tuple[float, float, float, float, float, float]
    """(a, b, c, d, e, f) of col = a·x + b·y + c, row = d·x + e·y + f, whole numbers at the centres of cells."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    turn: int | None
    """Columns in 360°, where the raster goes round the Earth."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header.

        Raises
        ------
        HeightsError
            It is no raster of one band in metres with a CRS.
        """
        try:
            with open_raster(path) as dataset:
                return cls._of(path, dataset)
        except (DeliveryError, CRSError) as error:
            raise HeightsError(str(error)) from None

    @classmethod
    def _of(cls, path: Path, dataset: DatasetReader) -> Self:
        if dataset.crs is None or dataset.transform.is_identity:
            raise HeightsError(f"{path.name}: no CRS or no place in it; heights need a georeferenced raster")
        if dataset.count != 1:
            raise HeightsError(
                f"{path.name}: {dataset.count} bands; give a raster whose only band is heights in metres"
            )
        if (dataset.units[0] or "m").lower() not in ("m", "metre", "meter", "metres", "meters"):
            raise HeightsError(f"{path.name}: heights in {dataset.units[0]!r}; convert them to metres")
        horizontal, vertical = _parts(CRS.from_user_input(dataset.crs.to_wkt()))
        inverse = ~dataset.transform
        step_deg = abs(dataset.transform.a)
        full = horizontal.is_geographic and dataset.transform.b == 0 and dataset.width * step_deg >= 360 - step_deg / 2
        return cls(
            path=path,
            crs=horizontal.to_wkt(),
            vertical_crs=vertical,
            # Cell centres lie half a cell inside the corner from which the transform counts.
            to_cell=(inverse.a, inverse.b, inverse.c - 0.5, inverse.d, inverse.e, inverse.f - 0.5),
            height=dataset.height,
            width=dataset.width,
            turn=round(360 / step_deg) if full else None,
        )

    def position(self, lon: Floats, lat: Floats, *, middle: float) -> tuple[Floats, Floats]:
        """Row and column in cells of points in WGS 84 degrees, without a jump within 180° of the longitude `middle`."""
        x, y = from_lon_lat(self.crs, lon, lat)
        a, b, c, d, e, f = self.to_cell
        if is_geographic(self.crs):
            x = near(x, float(near(np.array(middle), float(self._corners()[0].mean()))))
        return d * x + e * y + f, a * x + b * y + c

    def lon_lat(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """WGS 84 degrees of positions in cells; the inverse of `position`."""
        return to_lon_lat(self.crs, *self._map(row, col))

    def cells(self, row: Floats, col: Floats) -> HeightGrid:
        """The window of cells that holds the finite ones of these positions, cut to the raster.

        Raises
        ------
        HeightsError
            The file cannot be read there.
        """
        inside = np.isfinite(row) & np.isfinite(col)
        if not inside.any():
            return _nothing()
        top, bottom = _span(row[inside], self.height)
        left, right = _span(col[inside], None if self.turn else self.width)
        if top >= bottom or left >= right:
            return _nothing()
        if self.turn:
            right = min(right, left + self.turn + 3)
        try:
            with open_raster(self.path) as dataset:
                values = self._read(dataset, top, bottom, left, right)
        except (DeliveryError, RasterioError) as error:
            raise HeightsError(f"{self.path.name}: rows {top} to {bottom} cannot be read ({error})") from None
        return HeightGrid(values=values, row=top, col=left)

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the outermost cell centres, about: of the corners in WGS 84 degrees."""
        lon, lat = to_lon_lat(self.crs, *self._corners())
        return float(np.min(lon)), float(np.min(lat)), float(np.max(lon)), float(np.max(lat))

    def _corners(self) -> tuple[Floats, Floats]:
        row = np.array([0.0, 0.0, self.height - 1.0, self.height - 1.0])
        return self._map(row, np.array([0.0, self.width - 1.0, 0.0, self.width - 1.0]))

    def _map(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        a, b, c, d, e, f = self.to_cell
        det = a * e - b * d
        return (e * (col - c) - b * (row - f)) / det, (a * (row - f) - d * (col - c)) / det

    def _read(self, dataset: DatasetReader, top: int, bottom: int, left: int, right: int) -> Floats:
        pieces = []
        while left < right:
            start = left % self.turn if self.turn else left
            width = min(right - left, (self.turn or self.width) - start)
            band = dataset.read(1, window=Window(start, top, width, bottom - top), masked=True)
            heights = band.astype(np.float64).filled(np.nan) * dataset.scales[0] + dataset.offsets[0]
            pieces.append(heights)
            left += width
        return np.ascontiguousarray(np.hstack(pieces))


def _parts(crs: CRS) -> tuple[CRS, str | None]:
    """The horizontal CRS, and the name of the vertical one."""
    if crs.is_compound:
        horizontal, vertical = crs.sub_crs_list[:2]
        return horizontal.to_2d(), vertical.name
    return crs.to_2d(), None


def _span(values: Floats, size: int | None) -> tuple[int, int]:
    """First cell and one past the last that hold the values and one cell around them, cut to the raster.

    The cell around them keeps values that rounding moves away from edges of the window that are none of the raster.
    """
    first, end = math.floor(values.min()) - 1, math.ceil(values.max()) + 2
    return (first, end) if size is None else (max(first, 0), min(end, size))


def _nothing() -> HeightGrid:
    return HeightGrid(values=np.full((1, 1), np.nan), row=0, col=0)
