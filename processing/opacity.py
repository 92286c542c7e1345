"""What the layers of a raster are: bands of the picture, and masks that say which of its pixels show something."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from processing.errors import DeliveryError


def layers(dataset: DatasetReader) -> tuple[list[int], bool]:
    """The bands of the picture, counted from 1, and whether an alpha band or a mask says which pixels show something.

    Raises
    ------
    DeliveryError
        There is an alpha band, and nothing else.
    """
    bands = [band for band, kind in zip(dataset.indexes, dataset.colorinterp, strict=True) if kind != ColorInterp.alpha]
    if not bands:
        raise DeliveryError(f"{Path(dataset.name).name}: an alpha band alone; give the bands of a picture")
    return bands, MaskFlags.per_dataset in dataset.mask_flag_enums[0]


def hide(pixels: NDArray[Any], hidden: NDArray[np.bool_], nodata: float, *, spare: bool) -> None:
    """Write nodata where pixels are hidden.

    Parameters
    ----------
    pixels
        Shape (bands, rows, columns).
    hidden
        Shape (rows, columns).
    spare
        Whether nodata was chosen here, so that a number that happens to be it shows something: it becomes its
        neighbour.
    """
    kind = pixels.dtype
    missing = kind.type(nodata)
    if spare and not math.isnan(nodata):
        pixels[(pixels == missing) & ~hidden] = missing + kind.type(1)
    pixels[:, hidden] = missing
