"""Tiles of codecs that know a picture's rows and columns: LERC, JPEG and WebP; and the mask of those that lose digits.

What loses digits may turn a pixel without data into one with data and the other way round. So the mask is kept beside
it, one bit a pixel, as GDAL's COG driver does (TIFF 6.0, transparency mask; DEFLATE).

Sources: LERC 2 (Esri), in TIFF by libtiff's tif_lerc.c; ISO/IEC 10918-1 JPEG, in TIFF by Adobe Photoshop TIFF technical
note 2; RFC 9649 WebP, in TIFF by libtiff's tif_webp.c.
"""

from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

LERC_VERSION: Final = 4
"""Of the encoded bytes: the newest that GDAL writes into TIFF."""

LERC_ZSTD: Final = 2
"""What TIFF's LercParameters (tag 50674) call LERC inside ZSTD."""

LOSSLESS_QUALITY: Final = 100
"""At which WebP loses nothing, as in GDAL's COG driver."""

Tile = NDArray[Any]
"""Shape (rows, columns, bands), little-endian."""


def encode_lerc(tile: Tile, *, level: int, max_error: float) -> bytes:
    """LERC, then ZSTD of that level; NaN comes back as NaN."""
    missing = np.isnan(tile)
    # What is NaN is kept in a mask: one for all bands where they agree, else one for each.
    one_by_one = bool((missing.any(axis=2) != missing.all(axis=2)).any())
    if one_by_one:
        tile = np.ascontiguousarray(tile.transpose(2, 0, 1))
    return bytes(
        imagecodecs.lerc_encode(
            tile,
            level=max_error,
            version=LERC_VERSION,
            planar=one_by_one,
            compression="zstd",
            compressionargs={"level": level},
        )
    )


def decode_lerc(data: bytes) -> Tile:
    """The opposite of `encode_lerc`."""
    tile, known = imagecodecs.lerc_decode(data, masks=True)
    if known is not None and tile.dtype.kind == "f":
        one_by_one = known.ndim == 3
        tile = np.where(known if one_by_one or tile.ndim == 2 else known[..., None], tile, tile.dtype.type(np.nan))
        if one_by_one:
            tile = tile.transpose(1, 2, 0)
    return np.asarray(tile)


def encode_jpeg(tile: Tile, *, quality: int) -> bytes:
    """One band, or red, green and blue as YCbCr with colours at half the rows and columns."""
    if tile.shape[2] == 1:
        return bytes(imagecodecs.jpeg8_encode(tile[..., 0], level=quality))
    return bytes(
        imagecodecs.jpeg8_encode(tile, level=quality, colorspace="RGB", outcolorspace="YCbCr", subsampling="420")
    )


def decode_jpeg(data: bytes) -> Tile:
    """The opposite of `encode_jpeg`."""
    return np.asarray(imagecodecs.jpeg8_decode(data))


def encode_webp(tile: Tile, *, quality: int) -> bytes:
    """Red, green and blue; nothing is lost at `LOSSLESS_QUALITY`."""
    # Unless told otherwise, imagecodecs loses nothing at any level.
    return bytes(imagecodecs.webp_encode(tile, level=quality, lossless=quality == LOSSLESS_QUALITY))


def decode_webp(data: bytes) -> Tile:
    """The opposite of `encode_webp`."""
    return np.asarray(imagecodecs.webp_decode(data, hasalpha=False))


def encode_mask(valid: NDArray[np.bool_]) -> bytes:
    """Square of pixels that have data, one bit each."""
    return bytes(imagecodecs.deflate_encode(np.packbits(valid, axis=1).tobytes(), level=6))


def decode_mask(data: bytes, side: int) -> NDArray[np.bool_]:
    """The opposite of `encode_mask`."""
    bits = np.frombuffer(imagecodecs.deflate_decode(data), dtype=np.uint8).reshape(side, side // 8)
    return np.unpackbits(bits, axis=1).astype(np.bool_)
