"""One tile of a Cloud-Optimized GeoTIFF: pixels to bytes and back, and four pixels to one of the overview above.

Bytes are what TIFF 6.0 asks for: bands interleaved by pixel, little-endian, differences along the rows (predictor 2;
for floats predictor 3, Adobe Photoshop TIFF technical note 3), compressed. LERC, JPEG and WebP have ways of their own
(`processing.picture_tile`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import imagecodecs
import numba
import numpy as np
from numpy.typing import NDArray

from processing.picture_tile import decode_jpeg, decode_lerc, decode_webp, encode_jpeg, encode_lerc, encode_webp

TILE: Final = 512
"""Rows and columns of a tile."""

Compression = Literal["zstd", "deflate", "none", "lerc", "jpeg", "webp"]
Data = bytes | memoryview
"""Encoded bytes."""

Overviews = Literal["average", "nearest", "flags"]

NOTHING: Final = 1
"""The flag of a pixel that shows nothing (`processing.masks`)."""

Pixels = NDArray[Any]
"""Shape (bands, rows, columns); integers of up to 32 bits, float32 or float64.

All goes fastest where the bands of a pixel lie together in memory, as they do in the file.
"""


def predictor(data_type: str, compress: Compression) -> int:
    """TIFF's number of the predictor that tiles are written with."""
    if compress not in ("zstd", "deflate"):
        return 1
    return 3 if np.dtype(data_type).kind == "f" else 2


def encode_tile(
    pixels: Pixels, *, compress: Compression, level: int, fill: float, quality: int = 75, max_error: float = 0.0
) -> Data:
    """Encode up to 512 × 512 pixels as a whole tile; `fill` stands where there are none.

    `quality` is that of JPEG and WebP, 1 to 100; `max_error` is the most by which a value of LERC may be off.
    """
    bands, height, width = pixels.shape
    tile = np.empty((TILE, TILE, bands), dtype=pixels.dtype.newbyteorder("<"))
    kind = predictor(tile.dtype.name, compress)
    if kind == 2 and (height, width) == (TILE, TILE):
        _differences(pixels.transpose(1, 2, 0), tile)
    else:
        tile[:height, :width] = pixels.transpose(1, 2, 0)
        tile[height:] = tile[:, width:] = fill
        if kind == 2:
            _differences(tile.copy(), tile)
        elif kind == 3:
            tile = imagecodecs.floatpred_encode(tile, axis=-2)
    data: Any = tile.data  # its own bytes, not a copy
    if compress == "zstd":
        return bytes(imagecodecs.zstd_encode(data, level=level))
    if compress == "deflate":
        return bytes(imagecodecs.deflate_encode(data, level=level))
    if compress == "lerc":
        return encode_lerc(tile, level=level, max_error=max_error)
    if compress == "jpeg":
        return encode_jpeg(tile, quality=quality)
    if compress == "webp":
        return encode_webp(tile, quality=quality)
    return tile.reshape(-1).view(np.uint8).data


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _differences(pixels: Pixels, out: Pixels) -> None:
    """Each pixel of a row less the one before it, band by band; (rows, columns, bands)."""
    height, width, bands = pixels.shape
    for row in range(height):
        for band in range(bands):
            out[row, 0, band] = pixels[row, 0, band]
        for col in range(1, width):
            for band in range(bands):
                out[row, col, band] = pixels[row, col, band] - pixels[row, col - 1, band]


def decode_tile(data: bytes, *, bands: int, data_type: str, compress: Compression) -> Pixels:
    """Decode a tile; shape (bands, 512, 512)."""
    if compress in _OTHERS:
        tile = _OTHERS[compress](data).reshape(TILE, TILE, bands)
        return np.ascontiguousarray(tile.transpose(2, 0, 1))
    if compress == "zstd":
        data = bytes(imagecodecs.zstd_decode(data))
    elif compress == "deflate":
        data = bytes(imagecodecs.deflate_decode(data))
    tile = np.frombuffer(data, dtype=np.dtype(data_type).newbyteorder("<")).reshape(TILE, TILE, bands)
    kind = predictor(data_type, compress)
    if kind == 2:
        tile = imagecodecs.delta_decode(tile, axis=1)
    elif kind == 3:
        tile = imagecodecs.floatpred_decode(tile, axis=-2)
    return np.ascontiguousarray(tile.transpose(2, 0, 1))


_OTHERS: Final[Mapping[str, Callable[[bytes], Pixels]]] = {
    "lerc": decode_lerc,
    "jpeg": decode_jpeg,
    "webp": decode_webp,
}


def halve(pixels: Pixels, *, nodata: float | None, overviews: Overviews) -> Pixels:
    """The overview of half the size; at an odd edge the last pixel stands for two, or four.

    ``average`` is the mean of those of the four pixels that have data (integers: rounded, half up). A mean that happens
    to equal nodata moves by one, so that data stays data. ``nearest`` is the upper left pixel of the four. ``flags`` is
    for bytes of `processing.masks`: all faults of the four pixels that show something, so that none disappears.
    """
    interleaved = pixels.transpose(1, 2, 0)
    if overviews == "nearest":
        return np.ascontiguousarray(interleaved[::2, ::2]).transpose(2, 0, 1)
    height, width, bands = interleaved.shape
    if overviews == "flags":
        return _faults_of_four(interleaved).transpose(2, 0, 1)
    out = np.empty(((height + 1) // 2, (width + 1) // 2, bands), dtype=pixels.dtype)
    if pixels.dtype.kind == "f":
        _mean_of_floats(interleaved, out, np.nan if nodata is None else nodata)
    else:
        limits = np.iinfo(pixels.dtype)
        # A number that no pixel can have stands for "no nodata value".
        _mean_of_integers(interleaved, out, limits.min - 1 if nodata is None else int(nodata), int(limits.max))
    return out.transpose(2, 0, 1)


def _faults_of_four(bits: Pixels) -> Pixels:
    """Bitwise or of those that show something; `NOTHING` where none does."""
    height, width, _ = bits.shape
    padded = np.pad(bits, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    four = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, -1)
    faults = np.bitwise_or.reduce(four, axis=(1, 3)) & np.uint8(~np.uint8(NOTHING))
    return np.where((four == NOTHING).all(axis=(1, 3)), np.uint8(NOTHING), faults)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _mean_of_integers(pixels: Pixels, out: Pixels, nodata: int, largest: int) -> None:
    height, width, bands = pixels.shape
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            i, j = 2 * row, 2 * col
            whole = i + 1 < height and j + 1 < width
            for band in range(bands):
                if whole:  # and none of the four is missing, as nearly everywhere
                    a, b = np.int64(pixels[i, j, band]), np.int64(pixels[i, j + 1, band])
                    c, d = np.int64(pixels[i + 1, j, band]), np.int64(pixels[i + 1, j + 1, band])
                    mean = (a + b + c + d + 2) >> 2
                    if a != nodata and b != nodata and c != nodata and d != nodata and mean != nodata:  # noqa: PLR1714
                        out[row, col, band] = mean
                        continue
                total, count = np.int64(0), np.int64(0)
                for p in range(i, min(i + 2, height)):
                    for q in range(j, min(j + 2, width)):
                        value = np.int64(pixels[p, q, band])
                        if value != nodata:
                            total += value
                            count += 1
                if count == 0:
                    out[row, col, band] = nodata
                    continue
                mean = (2 * total + count) // (2 * count)
                if mean == nodata:
                    mean += 1 if mean < largest else -1
                out[row, col, band] = mean


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _mean_of_floats(pixels: Pixels, out: Pixels, nodata: float) -> None:
    height, width, bands = pixels.shape
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            for band in range(bands):
                total, count = 0.0, 0
                for i in range(2 * row, min(2 * row + 2, height)):
                    for j in range(2 * col, min(2 * col + 2, width)):
                        value = pixels[i, j, band]
                        if value != nodata and not np.isnan(value):
                            total += value
                            count += 1
                out[row, col, band] = total / count if count else nodata
                if count and out[row, col, band] == nodata:
                    out[row, col, band] = np.nextafter(out[row, col, band], pixels.dtype.type(np.inf))
