"""A raw image as it is looked at for what other images show too: windows of one band, clouds and nodata left out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow
from scipy import ndimage

from processing.bundle import BlockScene
from processing.cloud_classes import CLEAR
from processing.errors import DeliveryError
from processing.ortho import Part
from processing.projection import Floats
from processing.raster import open_raster
from processing.sensor import SensorModel


@dataclass(frozen=True, slots=True, kw_only=True)
class RawImage:
    """A raw image without map coordinates, and where it is to be believed."""

    name: str
    path: Path
    rpc: SensorModel
    height: int
    width: int
    nodata: float | None = None
    band: int = 1
    """The one that is looked at, from 1."""

    clouds: "RawImage | None" = None
    """Its cloud mask, of the values of `processing.cloud_classes`: of its own size, with its own sensor model."""

    def in_block(self) -> BlockScene:
        """What an adjustment needs of it."""
        return BlockScene(name=self.name, rpc=self.rpc, height=self.height, width=self.width)

    def shows(self, row: Floats, col: Floats) -> NDArray[np.bool_]:
        """Which places lie between the centres of its outermost pixels."""
        return (row >= 0) & (row <= self.height - 1) & (col >= 0) & (col <= self.width - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Pixels of an image; NaN for those that show nothing, or clouds."""

    values: Floats
    row: int
    """Of the first one, as is `col`."""

    col: int

    def patch(self, row: int, col: int, half: int) -> Floats:
        """So many pixels on each side of one; unknown ones where some would lie outside."""
        top, left, side = row - self.row - half, col - self.col - half, 2 * half + 1
        if top < 0 or left < 0 or top + side > self.values.shape[0] or left + side > self.values.shape[1]:
            return np.full((side, side), np.nan)
        return np.ascontiguousarray(self.values[top : top + side, left : left + side])

    def spline(self) -> Floats:
        """Coefficients of the cubic B-spline through the pixels; NaN for unknown ones."""
        known = np.isfinite(self.values)
        if not known.any():
            return self.values
        filled = np.where(known, self.values, self.values[known].mean())
        coefficients: Floats = ndimage.spline_filter(filled, order=3)
        return np.where(known, coefficients, np.nan)


def read_window(image: RawImage, cell: Part, margin: int) -> Window:
    """The pixels of a cell and around it, cut to the image; one that is unknown where nothing is left."""
    top, bottom = max(cell[0] - margin, 0), min(cell[1] + margin, image.height)
    left, right = max(cell[2] - margin, 0), min(cell[3] + margin, image.width)
    if top >= bottom or left >= right:
        return Window(values=np.full((1, 1), np.nan), row=0, col=0)
    part = top, bottom, left, right
    values = _pixels(image, part).astype(np.float64)
    if image.nodata is not None:
        values[values == image.nodata] = np.nan
    if image.clouds is not None:
        values[~_clear(image, image.clouds, part)] = np.nan
    return Window(values=values, row=top, col=left)


def _clear(image: RawImage, clouds: RawImage, part: Part) -> NDArray[np.bool_]:
    """Which pixels of a part the cloud mask calls clear; through the ground, for the mask has its own pixels."""
    top, bottom, left, right = part
    nodes = np.meshgrid(np.linspace(top, bottom - 1, 5), np.linspace(left, right - 1, 5), indexing="ij")
    ground = image.rpc.locate(*nodes, image.rpc.domain.height_m)
    there = clouds.rpc.project(*ground, image.rpc.domain.height_m)
    fine = np.meshgrid(np.linspace(0, 4, bottom - top), np.linspace(0, 4, right - left), indexing="ij")
    row, col = (np.rint(ndimage.map_coordinates(part, fine, order=1)).astype(int) for part in there)
    inside = clouds.shows(row, col)
    if not inside.any():
        return inside
    first, start = row[inside].min(), col[inside].min()
    mask = _pixels(clouds, (first, row[inside].max() + 1, start, col[inside].max() + 1))
    clear = np.zeros(row.shape, dtype=bool)
    clear[inside] = mask[row[inside] - first, col[inside] - start] == CLEAR
    return clear


def _pixels(image: RawImage, part: Part) -> NDArray[Any]:
    top, bottom, left, right = part
    with open_raster(image.path) as dataset:
        try:
            pixels: NDArray[Any] = dataset.read(image.band, window=RasterWindow(left, top, right - left, bottom - top))
        except (RasterioError, IndexError) as error:
            raise DeliveryError(
                f"{image.path.name}: band {image.band}, rows {top} to {bottom} cannot be read ({error}); "
                "deliver it again, or name a band that it has"
            ) from None
    return pixels
