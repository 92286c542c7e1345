"""What a perfect orthoimage of the made-up Earth shows: the ground itself, put on a map without any camera."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from processing.grid import OutputGrid
from tasking.orbit import sun_direction
from tasking.provider.sandbox.earth import surface
from tasking.provider.sandbox.exposure import digital_numbers, gathered
from tasking.provider.sandbox.landcover import paint

_RAY_SPACING_M = 2.0
_BLOCK_ROWS = 16


def truth(grid: OutputGrid, *, posix: float, role: Literal["panchromatic", "multispectral"]) -> NDArray[np.uint16]:
    """Digital numbers (bands, rows, columns) of the ground under a clear sky.

    A pixel is the mean of points some 2 m apart inside it, as a detector gathers light.

    Parameters
    ----------
    grid
        Of metres; with degrees the points of a pixel would not be even.
    posix
        When the picture was taken, for the Sun; the middle of the acquisition.
    """
    a, _, _, _, e, _ = grid.transform
    ratio = max(1, round(float(np.sqrt(abs(a * e))) / _RAY_SPACING_M))
    sun = sun_direction(posix)
    to_globe = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)

    def block(first: int) -> NDArray[np.uint16]:
        rows = np.arange(first * ratio, min(first + _BLOCK_ROWS, grid.height) * ratio)
        col, row = np.meshgrid((np.arange(grid.width * ratio) + 0.5) / ratio, (rows + 0.5) / ratio)
        a, b, c, d, e, f = grid.transform
        lon, lat = to_globe.transform(a * col + b * row + c, d * col + e * row + f)
        light = gathered(paint(surface(lon, lat), sun=sun), ratio)
        bands = light[..., 4:] if role == "panchromatic" else light[..., :4]
        return digital_numbers(np.moveaxis(bands, -1, 0))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(0, grid.height, _BLOCK_ROWS))), axis=1)
