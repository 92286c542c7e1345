"""What stands before the tiles of a Cloud-Optimized GeoTIFF: a directory for each level, and one for its mask.

    header │ full resolution │ its mask │ overview 1 │ its mask │ … │ the smallest overview's tiles │ …

A mask's tile follows the tile that it belongs to, so that both come with one request (GDAL's COG driver).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from processing import tiff
from processing.picture_tile import LERC_VERSION, LERC_ZSTD
from processing.tile import TILE, predictor

if TYPE_CHECKING:
    from processing.cog import CogProfile

COMPRESSION_TAG: Final[Mapping[str, int]] = {
    "zstd": 50000, "deflate": 8, "none": 1, "lerc": 34887, "jpeg": 7, "webp": 50001,
}  # fmt: skip
"""The codecs, as TIFF numbers them."""

_SAMPLE_FORMAT: Final[Mapping[str, int]] = {"u": 1, "i": 2, "f": 3}
_FRAME: Final = tiff.TILE_LEADER + tiff.TILE_TRAILER

MIN_IS_BLACK, RGB, TRANSPARENCY_MASK, YCBCR = 1, 2, 4, 6
"""Photometric interpretations, as TIFF numbers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSizes:
    """Bytes of the tiles of a level, row by row."""

    tiles: list[int]
    masks: list[int]
    """Of each tile's mask; empty where there is none."""


def header(profile: "CogProfile", levels: list[LevelSizes]) -> tuple[bytes, list[list[int]]]:
    """All directories, and where each tile of each level begins; full resolution first."""
    framed = [
        [tile + _FRAME + mask + _FRAME for tile, mask in zip(level.tiles, level.masks, strict=True)]
        if level.masks
        else [tile + _FRAME for tile in level.tiles]
        for level in levels
    ]
    total = sum(map(sum, framed))
    geo = tiff.geo_tags(profile.crs, profile.transform)

    def made(first_tile: int, *, big: bool) -> tuple[bytes, list[list[int]]]:
        offsets: list[list[int]] = []
        position = first_tile
        for level in reversed(framed):
            starts = np.cumsum([position, *level])
            offsets.insert(0, (starts[:-1] + tiff.TILE_LEADER).tolist())
            position = int(starts[-1])
        directories = []
        for number, (sizes, at) in enumerate(zip(levels, offsets, strict=True)):
            directories.append(_tags(profile, number, sizes.tiles, at, geo, big=big))
            if sizes.masks:
                masks_at = [start + size + _FRAME for start, size in zip(at, sizes.tiles, strict=True)]
                directories.append(_mask_tags(profile, number, sizes.masks, masks_at, big=big))
        return tiff.header(directories, big=big, masks=bool(levels[0].masks)), offsets

    big = profile.big or len(made(0, big=True)[0]) + total >= 2**32
    return made(len(made(0, big=big)[0]), big=big)


def _tags(
    profile: "CogProfile", level: int, sizes: list[int], offsets: list[int], geo: tiff.Tags, *, big: bool
) -> tiff.Tags:
    """The directory of a level; full resolution alone says where it is on the map and what its bands are."""
    kind = np.dtype(profile.data_type)
    photometric = _photometric(profile)
    tags: dict[int, tiff.Tag] = {
        **_shape(profile, level, sizes, offsets, big=big),
        254: (tiff.LONG, (1 if level else 0,)),  # NewSubfileType: reduced resolution
        258: (tiff.SHORT, (8 * kind.itemsize,) * profile.bands),  # BitsPerSample
        259: (tiff.SHORT, (COMPRESSION_TAG[profile.compress],)),
        262: (tiff.SHORT, (photometric,)),
        277: (tiff.SHORT, (profile.bands,)),  # SamplesPerPixel
        339: (tiff.SHORT, (_SAMPLE_FORMAT[kind.kind],) * profile.bands),
    }
    if profile.compress in ("zstd", "deflate", "none"):
        tags[317] = (tiff.SHORT, (predictor(profile.data_type, profile.compress),))
    others = profile.bands - (1 if photometric == MIN_IS_BLACK else 3)
    if others:
        tags[338] = (tiff.SHORT, (0,) * others)  # ExtraSamples: of no special meaning
    if photometric == YCBCR:
        tags[530] = (tiff.SHORT, (2, 2))  # YCbCrSubSampling
        tags[532] = (tiff.RATIONAL, (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1))  # ReferenceBlackWhite
    if profile.compress == "lerc":
        tags[50674] = (tiff.LONG, (LERC_VERSION, LERC_ZSTD))  # LercParameters
    if profile.nodata is not None and not profile.masked:
        tags[42113] = tiff.text(_number(profile.nodata))  # GDAL_NODATA
    if level == 0:
        tags |= geo
        if profile.descriptions or profile.colours or profile.scales or profile.offsets or profile.facts:
            tags[42112] = tiff.text(_gdal_metadata(profile))
    return tags


def _mask_tags(profile: "CogProfile", level: int, sizes: list[int], offsets: list[int], *, big: bool) -> tiff.Tags:
    return {
        **_shape(profile, level, sizes, offsets, big=big),
        254: (tiff.LONG, (5 if level else 4,)),  # NewSubfileType: a mask, of reduced resolution
        258: (tiff.SHORT, (1,)),
        259: (tiff.SHORT, (COMPRESSION_TAG["deflate"],)),
        262: (tiff.SHORT, (TRANSPARENCY_MASK,)),
        277: (tiff.SHORT, (1,)),
        339: (tiff.SHORT, (1,)),
    }


def _shape(profile: "CogProfile", level: int, sizes: list[int], offsets: list[int], *, big: bool) -> tiff.Tags:
    """What the directories of a level and of its mask share."""
    return {
        256: (tiff.LONG, (profile.levels[level][1],)),  # ImageWidth
        257: (tiff.LONG, (profile.levels[level][0],)),  # ImageLength
        284: (tiff.SHORT, (1,)),  # PlanarConfiguration: bands interleaved by pixel
        322: (tiff.SHORT, (TILE,)),  # TileWidth
        323: (tiff.SHORT, (TILE,)),  # TileLength
        324: (tiff.LONG8 if big else tiff.LONG, offsets),  # TileOffsets
        325: (tiff.LONG, sizes),  # TileByteCounts
    }


def _photometric(profile: "CogProfile") -> int:
    if profile.compress == "jpeg" and profile.bands == 3:
        return YCBCR
    if profile.compress == "webp" or profile.colours[:3] == ("Red", "Green", "Blue"):
        return RGB
    return MIN_IS_BLACK


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _gdal_metadata(profile: "CogProfile") -> str:
    """Facts of the file; names, colours, scales and offsets of the bands, as GDAL keeps them (tag 42112)."""
    roles = (
        ("DESCRIPTION", "description", profile.descriptions),
        ("COLORINTERP", "colorinterp", profile.colours),
        ("OFFSET", "offset", map(repr, profile.offsets)),
        ("SCALE", "scale", map(repr, profile.scales)),
    )
    items = [f"  <Item name={quoteattr(name)}>{escape(value)}</Item>\n" for name, value in profile.facts]
    items += [
        f'  <Item name="{name}" sample="{band}" role="{role}">{escape(value)}</Item>\n'
        for name, role, values in roles
        for band, value in enumerate(values)
    ]
    return f"<GDALMetadata>\n{''.join(items)}</GDALMetadata>\n"
