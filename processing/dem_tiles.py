"""Tiles of heights that share one grid of cells: together they are one raster with gaps, and its cells are theirs.

┌───────┬───────┐
│  N45  │  N45  │    No value is computed here. A window takes each cell from a tile that knows it; where tiles
│ E005  │ E006  │    overlap, as those of SRTM do by one row and one column, from the one whose name comes first.
├───────┼───────┘    So the edge of a tile is no edge: what lies between its last column and its neighbour's
│  N44  │            first is interpolated between the two.
│ E005  │   gap: NaN
└───────┘
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from processing import kernel
from processing.dem_bucket import fetch
from processing.errors import DeliveryError, HeightsError
from processing.height_files import HeightHeader, Transform
from processing.projection import Floats, from_lon_lat, is_geographic, near, to_lon_lat
from processing.raster import open_raster

ON_GRID = 0.01
"""Largest distance, in cells, of a tile's cells from those of the grid that it belongs to: 0.3 m for 30 m."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGrid:
    """Cells without end in every direction; whole numbers are their centres."""

    crs: str
    """Horizontal CRS as WKT 2, geographic or projected."""

    to_cell: Transform
    """(a, b, c, d, e, f) of col = a·x + b·y + c, row = d·x + e·y + f."""

    middle: float
    """x in the middle of what is known; longitudes are taken near it."""

    turn: int | None
    """Columns in 360°, where the grid closes around the Earth."""

    @classmethod
    def of(cls, transform: Transform, *, crs: str, height: int, width: int, turn: int | None) -> Self:
        """The grid of a raster of that many rows and columns; its first cell is (0, 0)."""
        inverse = ~Affine(*transform)
        # Cell centres lie half a cell inside the corner from which the transform counts.
        to_cell = (inverse.a, inverse.b, inverse.c - 0.5, inverse.d, inverse.e, inverse.f - 0.5)
        grid = cls(crs=crs, to_cell=to_cell, middle=0.0, turn=turn)
        x, _ = grid.place(*corners(height, width))
        return cls(crs=crs, to_cell=to_cell, middle=float(x.mean()), turn=turn)

    def position(self, lon: Floats, lat: Floats, *, middle: float) -> tuple[Floats, Floats]:
        """Row and column in cells of points in WGS 84 degrees, without a jump within 180° of the longitude `middle`."""
        x, y = map(np.asarray, from_lon_lat(self.crs, lon, lat))  # PROJ makes numbers of arrays without an axis
        if is_geographic(self.crs):
            x = near(x, float(near(np.array(middle), self.middle)))
        return self.cell(x, y)

    def lon_lat(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """WGS 84 degrees of positions in cells; the inverse of `position`."""
        return to_lon_lat(self.crs, *self.place(row, col))

    def cell(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Row and column of points in the CRS."""
        a, b, c, d, e, f = self.to_cell
        return d * x + e * y + f, a * x + b * y + c

    def place(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """Points in the CRS of positions in cells; the inverse of `cell`."""
        a, b, c, d, e, f = self.to_cell
        det = a * e - b * d
        return (e * (col - c) - b * (row - f)) / det, (a * (row - f) - d * (col - c)) / det


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLayer:
    """Tiles on one grid, by their headers; their cells are read where they are asked for."""

    folder: Path
    """In which the names are to be found."""

    names: tuple[str, ...]
    """Of the files, those first that win where tiles overlap."""

    places: bytes
    """Row and column of each one's first cell, its rows and its columns: int32 in the machine's order, 4 for each name.
    (A table of 26,000 tiles is a value that is compared, hashed and sent in no time.)
    """

    band: int
    """The one that holds the heights, from 1."""

    grid: CellGrid
    """Its cell (0, 0) is at the upper left of the box that holds all tiles."""

    height: int
    """Rows of that box."""

    width: int
    """Columns of that box."""

    @classmethod
    def of(cls, headers: Sequence[HeightHeader], folder: Path, *, turn: int | None) -> Self:
        """The layer of tiles that share a grid, or of a single raster on any grid.

        Parameters
        ----------
        headers
            Those first that win.
        folder
            In which all of them lie.
        turn
            Columns in 360°, where the grid closes around the Earth: `columns_around`, `closed`.
        """
        transform = headers[0].transform
        rows = np.array([round((one.transform[5] - transform[5]) / transform[4]) for one in headers])
        cols = np.array([round((one.transform[2] - transform[2]) / transform[0]) for one in headers])
        heights, widths = np.array([one.height for one in headers]), np.array([one.width for one in headers])
        if turn:
            cols = (cols - _first_column(cols, widths, turn)) % turn
        rows, cols = rows - rows.min(), cols - cols.min()
        height, width = int((rows + heights).max()), int((cols + widths).max())
        west, north = headers[int(cols.argmin())].transform, headers[int(rows.argmin())].transform
        within = str(folder).rstrip(os.sep) + os.sep
        corner = (*transform[:2], west[2], *transform[3:5], north[5])
        return cls(
            folder=folder,
            names=tuple(str(one.path).removeprefix(within) for one in headers),
            places=np.stack([rows, cols, heights, widths], axis=1).astype(np.int32).tobytes(),
            band=headers[0].band,
            grid=CellGrid.of(corner, crs=headers[0].crs, height=height, width=width, turn=turn),
            height=height,
            width=width,
        )

    def fill(self, values: Floats, top: int, left: int) -> None:
        """Put the cells from (top, left) on into those of an array that are NaN.

        Raises
        ------
        HeightsError
            A file is not what it was, or cannot be read.
        """
        table = np.frombuffer(self.places, np.int32).reshape(-1, 4).astype(np.int64)
        height, width = values.shape
        for shift in self._turns(left, width):
            first_row, first_col = table[:, 0] - top, table[:, 1] + shift - left
            within = (first_row < height) & (first_row + table[:, 2] > 0)
            within &= (first_col < width) & (first_col + table[:, 3] > 0)
            for index in np.flatnonzero(within).tolist():
                _, _, rows, cols = table[index].tolist()
                down, right = int(first_row[index]), int(first_col[index])
                part = values[max(down, 0) : down + rows, max(right, 0) : right + cols]
                unknown = np.isnan(part)
                if unknown.any():
                    cells = self._read(index, (rows, cols), (max(-down, 0), max(-right, 0)), part.shape)
                    np.copyto(part, cells, where=unknown)

    def at(self, row: Floats, col: Floats) -> Floats:
        """Bilinear heights at positions in its cells, near each other; NaN where it knows none.

        Raises
        ------
        HeightsError
            A file is not what it was, or cannot be read.
        """
        known = np.isfinite(row) & np.isfinite(col) & (row > -1) & (row < self.height)
        if not self.grid.turn:
            known &= (col > -1) & (col < self.width)
        heights = np.full(row.shape, np.nan)
        if known.any():
            row, col = row[known], col[known]
            top, left = math.floor(row.min()), math.floor(col.min())
            cells = np.full((math.ceil(row.max()) - top + 1, math.ceil(col.max()) - left + 1), np.nan)
            self.fill(cells, top, left)
            heights[known] = kernel.interpolate(cells, row - top, col - left)
        return heights

    def _turns(self, left: int, width: int) -> Iterator[int]:
        """By how many columns the tiles appear again in a window, around the Earth."""
        if not self.grid.turn:
            yield 0
            return
        for turns in range((left - self.width) // self.grid.turn, (left + width) // self.grid.turn + 1):
            yield turns * self.grid.turn

    def _read(self, index: int, shape: tuple[int, int], first: tuple[int, int], size: tuple[int, ...]) -> Floats:
        """Cells of one file; NaN where it has none."""
        path = self.folder / self.names[index]
        fetch(path)
        window = Window(first[1], first[0], size[1], size[0])
        try:
            with open_raster(path) as dataset:
                if (dataset.height, dataset.width) != shape:
                    raise HeightsError(f"{path.name}: it has changed since its header was read; start again")
                cells = dataset.read(self.band, window=window, masked=True).astype(np.float64).filled(np.nan)
                scale, offset = dataset.scales[self.band - 1], dataset.offsets[self.band - 1]
        except (DeliveryError, RasterioError) as error:
            rows = f"rows {first[0]} to {first[0] + size[0]}"
            raise HeightsError(f"{path.name}: {rows} cannot be read ({error})") from None
        heights: NDArray[np.float64] = cells * scale + offset
        return heights


def share_grid(one: HeightHeader, other: HeightHeader) -> bool:
    """Whether the cells of two tiles are those of one grid."""
    if one.crs != other.crs or one.band != other.band:
        return False
    (a, b, c, d, e, f), (oa, ob, oc, od, oe, of) = one.transform, other.transform
    if (b, d, ob, od) != (0, 0, 0, 0):
        return False
    across, down = (oc - c) / a, (of - f) / e
    off = max(abs(across - round(across)), abs(down - round(down)))
    drift = max(abs(oa / a - 1) * other.width, abs(oe / e - 1) * other.height)
    return off + drift <= ON_GRID


def columns_around(header: HeightHeader) -> int | None:
    """Columns in 360°, where they are whole ones: tiles on both sides of ±180° are neighbours then."""
    step, slant, *_ = header.transform
    if not is_geographic(header.crs) or slant != 0 or step <= 0:
        return None
    columns = 360 / step
    return round(columns) if abs(columns - round(columns)) <= ON_GRID else None


def closed(header: HeightHeader) -> int | None:
    """Columns in 360° of a single raster that goes round the Earth; None for any other."""
    step, slant, *_ = header.transform
    around = is_geographic(header.crs) and slant == 0 and header.width * abs(step) >= 360 - abs(step) / 2
    return round(360 / abs(step)) if around else None


def _first_column(cols: NDArray[np.int64], widths: NDArray[np.int64], turn: int) -> int:
    """Where the widest gap around the Earth ends, so that a DEM over ±180° stays in one piece."""
    order = np.argsort(cols % turn, kind="stable")
    starts, ends = (cols % turn)[order], np.maximum.accumulate((cols % turn + widths)[order])
    gaps = np.append(starts[1:], starts[0] + turn) - ends
    return int(starts[(int(gaps.argmax()) + 1) % len(starts)])


def corners(height: int, width: int) -> tuple[Floats, Floats]:
    """Row and column of the centres of the four outermost cells."""
    last_row, last_col = height - 1.0, width - 1.0
    return np.array([0.0, 0.0, last_row, last_row]), np.array([0.0, last_col, 0.0, last_col])
