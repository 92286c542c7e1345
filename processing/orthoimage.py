"""An orthoimage out of which another one is made: its pixels part by part, and what is said of its bands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from processing.errors import DeliveryError
from processing.ortho import Part, Pixels
from processing.raster import open_raster


class Source(Protocol):
    """Pixels on the map, part by part; can be pickled. Those on disk, or a `processing.graph.OrthoJob`."""

    def read(self, part: Part) -> Pixels:
        """Those of some rows and columns; shape (bands, rows, columns)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthoFile:
    """An orthoimage on disk."""

    path: Path

    def read(self, part: Part) -> Pixels:
        """As `read_part`."""
        return read_part(self.path, part)


def read_part(path: Path, part: Part) -> Pixels:
    """The pixels of some rows and columns, which lie inside; shape (bands, rows, columns).

    In memory the bands of a pixel lie together, as in most files.

    Raises
    ------
    DeliveryError
        They cannot be read.
    """
    with open_raster(path) as dataset:
        shape = part[1] - part[0], part[3] - part[2], dataset.count
        pixels: Pixels = np.empty(shape, dtype=dataset.dtypes[0]).transpose(2, 0, 1)
        if not pixels.size:
            return pixels
        try:
            dataset.read(out=pixels, window=Window(part[2], part[0], part[3] - part[2], part[1] - part[0]))
        except RasterioError as error:
            raise DeliveryError(
                f"{path.name}: rows {part[0]} to {part[1]} cannot be read ({error}); deliver it again"
            ) from None
    return pixels


def described(dataset: DatasetReader) -> dict[str, Any]:
    """Names and colours of the bands, as `processing.cog.CogProfile` takes them."""
    names = {"descriptions": dataset.descriptions} if all(dataset.descriptions) else {}
    colours = tuple("Undefined" if c == ColorInterp.undefined else c.name.capitalize() for c in dataset.colorinterp)
    return names | {"colours": colours}


def nodata_of(dataset: DatasetReader) -> float:
    """The nodata that it names, else 0 for whole numbers and NaN for others."""
    nodata: float | None = dataset.nodata
    if nodata is None:
        return 0.0 if np.dtype(dataset.dtypes[0]).kind in "iu" else np.nan
    return nodata
