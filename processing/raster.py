"""The one way in which rasters are opened: known formats only, and nothing but the file itself.

A file named ``.tif`` that is a GDAL VRT can read any other file of the machine and call out over HTTP. So the drivers
are named one by one, the address must be a regular file, and GDAL looks at no neighbour of it: it would open an
``.ovr`` with any driver.
"""

import hashlib
import warnings
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from processing.errors import DeliveryError

DRIVERS = ("GTiff", "JP2OpenJPEG", "NITF", "SRTMHGT", "GTX")
"""GDAL's names of the formats that are read; never VRT, WMS or any other that leads on to further files."""


def open_raster(path: Path) -> DatasetReader:
    """Open a raster file for reading.

    Raises
    ------
    DeliveryError
        It is no regular file, or none of the formats in `DRIVERS`.
    """
    if not path.is_file():
        raise DeliveryError(f"{path.name}: there is no such file")
    _expect_raw_scenes()
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
            # rasterio.open takes one driver only.
            return DatasetReader(str(path.resolve()), driver=list(DRIVERS))
    except RasterioError as error:
        raise DeliveryError(f"{path.name}: no readable raster ({_said(error, path)}); give {_FORMATS}") from None


_FORMATS = "a GeoTIFF, JPEG 2000 or NITF, for heights also HGT or GTX"


def check_whole(path: Path) -> None:
    """Read every pixel once.

    Raises
    ------
    DeliveryError
        A block is missing, cut off or damaged.
    """
    with open_raster(path) as dataset:
        rows_per_read = max(dataset.block_shapes[0][0], 256)
        for row in range(0, dataset.height, rows_per_read):
            rows = (row, min(row + rows_per_read, dataset.height))
            try:
                dataset.read(window=(rows, (0, dataset.width)))
            except RasterioError as error:
                raise DeliveryError(
                    f"{path.name}: damaged or cut off near rows {rows[0]} to {rows[1]} ({_said(error, path)}); "
                    "deliver it again"
                ) from None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _expect_raw_scenes() -> None:
    """Raw scenes have no map coordinates, which is nothing to warn of.

    Added once and never taken back: `warnings.catch_warnings` is not safe where several threads open rasters.
    """
    if ("ignore", None, NotGeoreferencedWarning, None, 0) not in warnings.filters:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)


def _said(error: Exception, path: Path) -> str:
    """What GDAL said, without the folders of this machine."""
    text = str(error.__cause__ or error).replace(f"{path.resolve().parent}/", "")
    return text.splitlines()[0][:200] if text else type(error).__name__
