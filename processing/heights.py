"""A piece of a height raster in memory, and the height between its cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processing import kernel

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
        heights: Floats = kernel.interpolate(self.values, row.ravel() - self.row, col.ravel() - self.col)
        return heights.reshape(row.shape)
