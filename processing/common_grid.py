"""One grid of cells for layers of tiles that have grids of their own.

1″    ·   ·   ·   ·   ·   ·   ·    a step of 0.5″ holds the cells of both,
1.5″  ·     ·     ·     ·     ·    and either is linear between its own
both  · · · · · · · · · · · · ·
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Self

import numpy as np

from processing.dem_tiles import ON_GRID, CellGrid, TileLayer
from processing.heights import Floats
from processing.projection import is_geographic, near

MAX_FINER: Final = 6
"""The common grid has at most so many cells for each one of the finest layer, along either axis."""

_PER_EDGE: Final = 33

_WHOLE: Final = 1e-6
"""Positions that differ less from a whole cell, by rounding, are that cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonGrid:
    """The grid of all layers, and the box of cells that they fill."""

    grid: CellGrid
    """Its cell (0, 0) is at the upper left of the box."""

    layers: tuple[TileLayer, ...]
    """Those first that win."""

    height: int
    """Rows of the box."""

    width: int
    """Columns of the box."""

    @classmethod
    def of(cls, layers: Sequence[TileLayer]) -> Self:
        """Put layers on one grid: the coarsest that holds the cells of all whose spacings stand in simple ratios.

        Parameters
        ----------
        layers
            The finest first; it wins where several know a cell. Those without such a ratio, or of another CRS, keep
            their grid, and are interpolated at the cells of the common one.
        """
        one = layers[0]
        if len(layers) == 1:
            return cls(grid=one.grid, layers=(one,), height=one.height, width=one.width)
        down = across = 1
        for layer in layers:
            rows, cols = _times_finer(one.grid, layer, axis=0), _times_finer(one.grid, layer, axis=1)
            if rows is not None and cols is not None:
                needed = math.lcm(down, rows), math.lcm(across, cols)
                if max(needed) <= MAX_FINER:
                    down, across = needed
        grid = _refined(one.grid, down, across)
        return cls._boxed(grid, [_moved_onto(grid, layer, (down, across)) for layer in layers])

    @classmethod
    def _boxed(cls, grid: CellGrid, layers: Sequence[TileLayer]) -> Self:
        boxes = np.array([_box(grid, layer) for layer in layers])
        (top, left), (bottom, right) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
        a, b, c, d, e, f = grid.to_cell
        grid = replace(grid, to_cell=(a, b, c - left, d, e, f - top))
        x, _ = grid.place(np.zeros(2), np.array([0.0, right - left]))
        grid = replace(grid, middle=float(x.mean()))
        return cls(grid=grid, layers=tuple(layers), height=bottom - top + 1, width=right - left + 1)

    def read(self, top: int, left: int, shape: tuple[int, int]) -> Floats:
        """Heights at the cells of a window; NaN where no layer knows one.

        Raises
        ------
        HeightsError
            A file cannot be read.
        """
        if len(self.layers) == 1:
            values = np.full(shape, np.nan)
            self.layers[0].fill(values, top, left)
            return values
        place = np.indices(shape) + np.array([top, left], dtype=np.float64)[:, None, None]
        values = np.full(shape, np.nan)
        for layer in self.layers:
            unknown = np.isnan(values)
            if not unknown.any():
                break
            values[unknown] = layer.at(*_between(self.grid, layer.grid, *place[:, unknown]))
        return values


def _between(grid: CellGrid, other: CellGrid, row: Floats, col: Floats) -> tuple[Floats, Floats]:
    """Positions in the cells of one grid as those in another's; places near each other stay so."""
    if grid.crs == other.crs:
        x, y = grid.place(row, col)
        if is_geographic(grid.crs):
            x = near(x, float(near(x.flat[:1], other.middle)[0]))
        row, col = other.cell(x, y)
    else:
        lon, lat = map(np.asarray, grid.lon_lat(row, col))
        row, col = other.position(lon, lat, middle=float(next(iter(lon[np.isfinite(lon)]), 0.0)))
    return _whole(row), _whole(col)


def _whole(position: Floats) -> Floats:
    nearest = np.rint(position)
    return np.where(np.abs(position - nearest) < _WHOLE, nearest, position)


def _times_finer(one: CellGrid, other: TileLayer, *, axis: int, within: float = ON_GRID) -> int | None:
    """How many cells a cell must be divided into, along the rows (0) or columns (1), to hold those of a layer.

    None where the two have no simple ratio.
    """
    a, b, _, d, e, _ = one.to_cell
    oa, ob, _, od, oe, _ = other.grid.to_cell
    if one.crs != other.grid.crs or (b, d, ob, od) != (0, 0, 0, 0):
        return None
    zero = np.zeros(1)
    found = float(one.cell(*other.grid.place(zero, zero))[axis][0]), a / oa if axis else e / oe
    first, step = (Fraction(value).limit_denominator(MAX_FINER) for value in found)
    cells = other.width if axis else other.height
    if step <= 0 or abs(found[0] - first) + cells * abs(found[1] - step) > within:
        return None
    return math.lcm(first.denominator, step.denominator)


def _refined(grid: CellGrid, down: int, across: int) -> CellGrid:
    """The grid with so many rows and columns in place of each one; cell (0, 0) keeps its centre."""
    a, b, c, d, e, f = grid.to_cell
    to_cell = (a * across, b * across, c * across, d * down, e * down, f * down)
    return replace(grid, to_cell=to_cell, turn=grid.turn and grid.turn * across)


def _moved_onto(grid: CellGrid, layer: TileLayer, finer: tuple[int, int]) -> TileLayer:
    """The layer with its cells on those of a grid, where they are as good as there; else as it is."""
    if any(_times_finer(grid, layer, axis=axis, within=ON_GRID * finer[axis]) != 1 for axis in (0, 1)):
        return layer
    a, b, c, d, e, f = grid.to_cell
    oa, _, _, _, oe, _ = layer.grid.to_cell
    zero = np.zeros(1)
    row, col = (round(float(part[0])) for part in grid.cell(*layer.grid.place(zero, zero)))
    down, across = round(e / oe), round(a / oa)
    to_cell = (a / across, b / across, (c - col) / across, d / down, e / down, (f - row) / down)
    return replace(layer, grid=replace(layer.grid, to_cell=to_cell))


def _box(grid: CellGrid, layer: TileLayer) -> tuple[int, int, int, int]:
    """First row and column, last row and column that the layer reaches of a grid."""
    down, across = np.linspace(0, layer.height - 1, _PER_EDGE), np.linspace(0, layer.width - 1, _PER_EDGE)
    row, col = _between(layer.grid, grid, *np.meshgrid(down, across, indexing="ij"))
    known = np.isfinite(row) & np.isfinite(col)
    row, col = row[known], col[known]
    if not row.size:
        return 0, 0, 0, 0
    return math.floor(row.min()), math.floor(col.min()), math.ceil(row.max()), math.ceil(col.max())
