"""How large a raster may be before a single pixel of it is read.

A file of some bytes can promise pixels without end. What it promises is held against these limits and against its own
size, so that the time and memory that it costs stay in proportion to what was delivered.
"""

from typing import Final

from processing.errors import DeliveryError

MAX_SIDE: Final = 4_000_000
"""Rows or columns."""

MAX_BANDS: Final = 1024

MAX_BLOCK_BYTES: Final = 2**28
"""A tile or strip, unpacked: it is in memory as a whole."""

MAX_BYTES: Final = 2**40
"""A raster, unpacked."""

FREE_BYTES: Final = 2**31
"""What any file may unpack to: a mask that is the same everywhere takes next to nothing."""

FREE_BYTES_JP2: Final = 2**28
"""The same for JPEG 2000, whose empty pixels take as long as full ones."""

MAX_RATIO: Final = 200
"""Beyond that, unpacked bytes for each byte of the file; pictures come to ten, heights with much sea to a hundred."""


def check_sizes(
    name: str, *, shape: tuple[int, int, int], item_bytes: int, block: tuple[int, int], file_bytes: int, is_jp2: bool
) -> None:
    """Refuse a raster that is too large, or larger than its file can tell of.

    Parameters
    ----------
    name
        Of the file.
    shape
        Bands, rows, columns.
    item_bytes
        Bytes of a value.
    block
        Rows and columns of a tile or strip; with the bands that it holds together counted as columns.
    file_bytes
        Size of the file.

    Raises
    ------
    DeliveryError
        Says which limit it breaks.
    """
    bands, height, width = shape
    check_side(name, height, width)
    check_bands(name, bands)
    if block[0] * block[1] * item_bytes > MAX_BLOCK_BYTES:
        raise DeliveryError(
            f"{name}: its tiles or strips take {_size(block[0] * block[1] * item_bytes)} each, {block[0]} × {block[1]} "
            f"values; give some of at most {_size(MAX_BLOCK_BYTES)}"
        )
    unpacked = bands * height * width * item_bytes
    allowed = min(MAX_BYTES, max(FREE_BYTES_JP2 if is_jp2 else FREE_BYTES, MAX_RATIO * file_bytes))
    if unpacked > allowed:
        raise DeliveryError(
            f"{name}: {_size(file_bytes)} that say they hold {bands} × {height} × {width} values, {_size(unpacked)}; "
            f"at most {_size(allowed)} are unpacked of such a file; give it in parts, or less compressed"
        )


def check_side(name: str, height: int, width: int) -> None:
    """Refuse a raster without pixels, or with too many rows or columns."""
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise DeliveryError(f"{name}: {height} × {width} pixels; give 1 to {MAX_SIDE} a side")


def check_bands(name: str, bands: int) -> None:
    """Refuse a raster without bands, or with too many."""
    if not 0 < bands <= MAX_BANDS:
        raise DeliveryError(f"{name}: {bands} bands; give 1 to {MAX_BANDS}")


def damaged(name: str, what: str) -> DeliveryError:
    """The error for a file that cannot be what it says."""
    return DeliveryError(f"{name}: damaged or cut off, {what}; deliver it again")


def _size(count: int) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count} {unit}"
        count //= 1000
    return f"{count} TB"
