"""A raster of heights (a DEM, a geoid) that is looked up by longitude and latitude: one file, or any number of tiles.

Tiles on one grid of cells are put together cell by cell (`processing.dem_tiles`). Tiles of other grids, as where
Copernicus widens its cells towards the poles, are brought to the grid of the whole (`processing.common_grid`):

* Grids whose spacings stand in whole ratios (1″, 1.5″, 2″ …) and that share points get the coarsest grid that holds the
  cells of all. Between its own cells each tile is linear there, so that bilinear interpolation gives what it gives in
  the tile alone.
* A tile of any other grid, or CRS, is interpolated bilinearly at the cells of the finest.

Where several tiles know a cell, the finest wins, then the one whose name comes first. Where none does, there is NaN.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import numpy as np

from processing.common_grid import CommonGrid
from processing.dem_tiles import CellGrid, TileLayer, closed, columns_around, corners, share_grid
from processing.errors import HeightsError
from processing.height_files import HeightHeader, Source, find_files, read_headers
from processing.heights import Floats, HeightGrid
from processing.projection import is_geographic

MAX_GRIDS: Final = 100
"""Grids that the tiles of one DEM may have."""

_METRES_PER_DEGREE: Final = 111_320.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The headers of a height raster's files; its cells are read where they are asked for."""

    path: Path
    """The file, folder or pattern."""

    vertical_crs: str | None
    """Name of the vertical CRS, where the files have one (`processing.height_files.ELLIPSOIDAL` among them)."""

    joined: CommonGrid
    """The tiles on their grid."""

    @classmethod
    def open(cls, source: Source) -> Self:
        """Read the headers. Those of many tiles are kept until the files change.

        Raises
        ------
        HeightsError
            There is no such file; one is no raster of one band in metres with a CRS; the tiles contradict each other.
        """
        path, files = find_files(source)
        if len(files) == 1:
            header = HeightHeader.read(files[0])
            layer = TileLayer.of([header], header.path.parent, turn=closed(header))
            return cls(path=path, vertical_crs=header.vertical_crs, joined=CommonGrid.of([layer]))
        joined, vertical = _index(tuple(_state(file) for file in files))
        return cls(path=path, vertical_crs=vertical, joined=joined)

    @property
    def grid(self) -> CellGrid:
        """The cells."""
        return self.joined.grid

    @property
    def height(self) -> int:
        """Rows of the box that holds all cells."""
        return self.joined.height

    @property
    def width(self) -> int:
        """Columns of that box."""
        return self.joined.width

    def position(self, lon: Floats, lat: Floats, *, middle: float) -> tuple[Floats, Floats]:
        """Row and column in cells of points in WGS 84 degrees, without a jump within 180° of the longitude `middle`."""
        return self.grid.position(lon, lat, middle=middle)

    def lon_lat(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """WGS 84 degrees of positions in cells; the inverse of `position`."""
        return self.grid.lon_lat(row, col)

    def cells(self, row: Floats, col: Floats) -> HeightGrid:
        """The window of cells that holds the finite ones of these positions, cut to the raster.

        Raises
        ------
        HeightsError
            A file cannot be read there.
        """
        inside = np.isfinite(row) & np.isfinite(col)
        if not inside.any():
            return _nothing()
        top, bottom = span(row[inside], self.height)
        left, right = span(col[inside], None if self.grid.turn else self.width)
        if top >= bottom or left >= right:
            return _nothing()
        if self.grid.turn:
            right = min(right, left + self.grid.turn + 3)
        return HeightGrid(values=self.joined.read(top, left, (bottom - top, right - left)), row=top, col=left)

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the outermost cell centres, about: of the corners in WGS 84 degrees."""
        lon, lat = self.lon_lat(*corners(self.height, self.width))
        return float(np.min(lon)), float(np.min(lat)), float(np.max(lon)), float(np.max(lat))


def span(values: Floats, size: int | None) -> tuple[int, int]:
    """First cell and one past the last that hold the values and one cell around them, cut to the raster's size.

    The cell around them keeps values that rounding moves away from edges of the window that are none of the raster.
    """
    first, end = math.floor(values.min()) - 1, math.ceil(values.max()) + 2
    return (first, end) if size is None else (max(first, 0), min(end, size))


_State = tuple[Path, int, int]
"""A file, its size and when it was last changed."""


def _state(file: Path) -> _State:
    try:
        state = file.stat()
    except OSError as error:
        raise HeightsError(f"{file.name}: it cannot be read ({error.strerror})") from None
    return file, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=8)
def _index(states: tuple[_State, ...]) -> tuple[CommonGrid, str | None]:
    """The tiles in that state on their common grid, and the vertical CRS that they name."""
    headers = read_headers([file for file, _, _ in states])
    named = {header.vertical_crs: header.path.name for header in headers if header.vertical_crs is not None}
    if len(named) > 1:
        (one, in_one), (other, in_other) = list(named.items())[:2]
        raise HeightsError(
            f"{in_one}: its CRS says {one!r}, that of {in_other} {other!r}; give tiles of one vertical datum"
        )
    groups: list[list[HeightHeader]] = []
    for header in headers:
        group = next((group for group in groups if share_grid(group[0], header)), None)
        if group is not None:
            group.append(header)
        elif len(groups) == MAX_GRIDS:
            raise HeightsError(f"{header.path.name}: tiles on more than {MAX_GRIDS} grids; bring them to one")
        else:
            groups.append([header])
    groups.sort(key=lambda group: _cell_area(group[0]))
    folder = _parent(headers)
    layers = [TileLayer.of(group, folder, turn=columns_around(group[0])) for group in groups]
    return CommonGrid.of(layers), next(iter(named), None)


def _parent(headers: Sequence[HeightHeader]) -> Path:
    """The deepest folder that holds all files."""
    return Path(os.path.commonpath({os.path.dirname(header.path) for header in headers}))  # noqa: PTH120 - thousands


def _cell_area(header: HeightHeader) -> float:
    """About, in m² at the equator."""
    a, b, _, d, e, _ = header.transform
    return abs(a * e - b * d) * (_METRES_PER_DEGREE**2 if is_geographic(header.crs) else 1.0)


def _nothing() -> HeightGrid:
    return HeightGrid(values=np.full((1, 1), np.nan), row=0, col=0)
