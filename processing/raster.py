"""The one way in which rasters are opened: known formats only, nothing but the file itself, and never too much of it.

A file named ``.tif`` that is a GDAL VRT can read any other file of the machine and call out over HTTP. So the drivers
are named one by one, the address must be a regular file, and GDAL looks at no neighbour of it: it would open an
``.ovr`` or ``.msk`` with any driver, and believe a world file. What the file's own header says of its sizes is checked
before GDAL makes room for them.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from processing.codestream import check_codestreams
from processing.errors import DeliveryError
from processing.limits import check_sizes
from processing.tiff_layout import check_layout, is_tiff

DRIVERS: Final = ("GTiff", "JP2OpenJPEG", "NITF", "SRTMHGT", "GTX")
"""GDAL's names of the formats that are read; never VRT, WMS or any other that leads on to further files."""

_ALONE: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
}
"""Settings of GDAL under which a file stands for itself, without neighbours and without a network."""

_READ_BYTES: Final = 2**27
"""Unpacked bytes read at once where a whole raster is read, as far as its blocks allow."""

_CACHE_BYTES: Final = 2**26
"""GDAL's cache while a whole raster is read once: what it keeps will not be asked for again."""


def open_raster(path: Path) -> DatasetReader:
    """Open a raster file for reading.

    Raises
    ------
    DeliveryError
        It is no regular file, none of the formats in `DRIVERS`, damaged, or larger than `processing.limits` allow.
    """
    if not path.is_file():
        raise DeliveryError(f"{path.name}: there is no such file")
    file = path.resolve()
    if file.parts[1:2] and file.parts[1].startswith("vsi"):
        raise DeliveryError(f"{path.name}: in a folder whose name GDAL takes for an address; move it elsewhere")
    state = file.stat()
    _check_header(file, state.st_ino, state.st_size, state.st_mtime_ns)
    _expect_raw_scenes()
    try:
        with rasterio.Env(**_ALONE, GTIFF_DIRECT_IO="YES"):  # uncompressed pixels need no cache: thrice as fast
            # rasterio.open takes one driver only.
            dataset = DatasetReader(str(_alone(file)), driver=list(DRIVERS))
    except (RasterioError, ValueError) as error:
        raise DeliveryError(f"{path.name}: no readable raster ({_said(error, path)}); give {_FORMATS}") from None
    except OSError as error:
        raise DeliveryError(f"{path.name}: it cannot be opened ({error.strerror})") from None
    try:
        _check_sizes(dataset, path.name, state.st_size)
    except DeliveryError:
        dataset.close()
        raise
    return dataset


_FORMATS = "a GeoTIFF, JPEG 2000 or NITF, for heights also HGT or GTX"


def check_whole(path: Path) -> None:
    """Read every pixel once.

    Raises
    ------
    DeliveryError
        A block is missing, cut off or damaged.
    """
    with open_raster(path) as dataset, rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        for rows, cols in _pieces(dataset):
            try:
                dataset.read(window=(rows, cols))
            except RasterioError as error:
                raise DeliveryError(
                    f"{path.name}: damaged or cut off near rows {rows[0]} to {rows[1]} ({_said(error, path)}); "
                    "deliver it again"
                ) from None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=65_536)
def _check_header(path: Path, *_: int) -> None:
    """Once for each state of a file."""
    try:
        check_layout(path)
        check_codestreams(path)
    except OSError as error:
        raise DeliveryError(f"{path.name}: it cannot be read ({error.strerror})") from None


def _alone(file: Path) -> Path:
    """A name of the file under which GDAL finds no neighbour.

    GTiff and JP2OpenJPEG believe that there is none. Other drivers look for overviews and masks whenever they are asked
    for them: those get a link in a folder of its own, which stays, since JPEG 2000 in NITF is opened again by name.
    """
    with file.open("rb") as opened:
        start = opened.read(4)
    if is_tiff(start) or start in (b"\0\0\0\x0c", b"\xffO\xffQ"):
        return file
    link = _link(file)
    if not link.is_symlink():  # something tidied the folder up
        _link.cache_clear()
        link = _link(file)
    return link


@lru_cache(maxsize=65_536)
def _link(file: Path) -> Path:
    link = Path(tempfile.mkdtemp(dir=_links().name), file.name)
    link.symlink_to(file)
    return link


@lru_cache(maxsize=1)
def _links() -> tempfile.TemporaryDirectory[str]:
    """For as long as this process lives."""
    return tempfile.TemporaryDirectory(prefix="overflight-")


def _check_sizes(dataset: DatasetReader, name: str, file_bytes: int) -> None:
    height, width = dataset.block_shapes[0] if dataset.count else (0, 0)
    together = dataset.count if dataset.profile.get("interleave") == "pixel" else 1
    check_sizes(
        name,
        shape=(dataset.count, dataset.height, dataset.width),
        item_bytes=max((np.dtype(kind).itemsize for kind in dataset.dtypes), default=1),
        block=(height, width * together),
        file_bytes=file_bytes,
        is_jp2=dataset.driver == "JP2OpenJPEG",
    )


def _pieces(dataset: DatasetReader) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows and columns of a whole raster in pieces of whole blocks."""
    height, width = dataset.block_shapes[0]
    pixel = sum(np.dtype(kind).itemsize for kind in dataset.dtypes)
    across = min(max(_READ_BYTES // (pixel * height * width), 1), ceil(dataset.width / width))
    down = max(_READ_BYTES // (pixel * height * width * across), 1)
    for row in range(0, dataset.height, down * height):
        for col in range(0, dataset.width, across * width):
            yield (
                (row, min(row + down * height, dataset.height)),
                (col, min(col + across * width, dataset.width)),
            )


def _expect_raw_scenes() -> None:
    """Raw scenes have no map coordinates, which is nothing to warn of.

    Added once and never taken back: `warnings.catch_warnings` is not safe where several threads open rasters.
    """
    if ("ignore", None, NotGeoreferencedWarning, None, 0) not in warnings.filters:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)


def _said(error: Exception, path: Path) -> str:
    """What GDAL said, without the folders of this machine."""
    file = path.resolve()
    text = str(error.__cause__ or error)
    for folder in (file.parent, _alone(file).parent):
        text = text.replace(f"{folder}/", "")
    return text.splitlines()[0][:200] if text else type(error).__name__
