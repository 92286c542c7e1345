"""A piece of a height raster in memory, and the height between its cells."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeightGrid:
    """Heights of some cells of a raster; (0, 0) of the raster is the centre of its first cell."""

    values: Floats
    """Metres, rows × columns, at least 1 × 1; NaN where the raster knows none."""

    row: int
    """Row of ``values[0, 0]`` in the raster."""

    col: int
    """Column of ``values[0, 0]`` in the raster."""

    def at(self, row: Floats, col: Floats) -> Floats:
        """Bilinear heights at rows and columns of the raster; NaN outside, and beside a cell without height."""
        heights: Floats = _bilinear(self.values, row.ravel() - self.row, col.ravel() - self.col)
        return heights.reshape(row.shape)


@njit(cache=True, nogil=True)
def bilinear(values: Floats, row: float, col: float) -> float:
    """The value between four cell centres; NaN outside them. A cell without weight is not asked."""
    if not (0.0 <= row <= values.shape[0] - 1.0 and 0.0 <= col <= values.shape[1] - 1.0):
        return np.nan
    i, j = int(row), int(col)
    down, right = row - i, col - j
    below, beside = min(i + 1, values.shape[0] - 1), min(j + 1, values.shape[1] - 1)
    top = values[i, j] if right == 0.0 else values[i, j] * (1.0 - right) + values[i, beside] * right
    if down == 0.0:
        return float(top)
    bottom = values[below, j] if right == 0.0 else values[below, j] * (1.0 - right) + values[below, beside] * right
    return float(top * (1.0 - down) + bottom * down)


@njit(cache=True, nogil=True)
def _bilinear(values: Floats, row: Floats, col: Floats) -> Floats:
    heights = np.empty(row.size)
    for k in range(row.size):
        heights[k] = bilinear(values, row[k], col[k])
    return heights
