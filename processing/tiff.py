"""The bytes before the pixels of a Cloud-Optimized GeoTIFF: header, GDAL's ghost area, and one directory a level.

    header │ ghost area │ IFD of full resolution, its values │ IFD of overview 1, its values │ … │ tiles

Sources: TIFF 6.0; BigTIFF (libtiff); OGC 21-026 COG 1.0; GDAL's COG driver, "Header ghost area".
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import Affine

ASCII, SHORT, LONG, RATIONAL, DOUBLE, LONG8 = 2, 3, 4, 5, 12, 16
"""Types of the values of a tag, as TIFF numbers them; a rational is two numbers here."""

_FORMATS: Final = {ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", DOUBLE: "d", LONG8: "Q"}
_GEO_TAGS: Final = (33550, 33922, 34264, 34735, 34736, 34737)
"""Pixel scale, tie point, transformation; key directory and its numbers and texts (OGC 19-008 GeoTIFF 1.1)."""

TILE_LEADER = 4
"""Bytes before a tile: its size, so that a reader needs no second request to know it."""

TILE_TRAILER = 4
"""Bytes after a tile: its last four again, so that a reader notices when another tool has changed the tile."""

Tag = tuple[int, Sequence[int] | Sequence[float]]
"""Type and values."""

Tags = Mapping[int, Tag]
"""Its number → the tag."""


def header(directories: Sequence[Tags], *, big: bool, masks: bool = False) -> bytes:
    """Everything before the first tile; its length depends on the number of values, not on the values."""
    ghost = _ghost_area(masks=masks)
    first = (16 if big else 8) + len(ghost)
    first += first % 2
    start = (struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if big else struct.pack("<2sHI", b"II", 42, first)) + ghost
    parts = [start.ljust(first, b"\0")]
    position = first
    for index, tags in enumerate(directories):
        directory = _directory(tags, at=position, big=big, last=index == len(directories) - 1)
        parts.append(directory)
        position += len(directory)
    return b"".join(parts)


def _ghost_area(*, masks: bool) -> bytes:
    """Promises that let GDAL read the file with fewer requests; a writer that breaks them has to say so in it."""
    promises = (
        b"LAYOUT=IFDS_BEFORE_DATA\n"
        b"BLOCK_ORDER=ROW_MAJOR\n"
        b"BLOCK_LEADER=SIZE_AS_UINT4\n"
        b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\n"
        b"KNOWN_INCOMPATIBLE_EDITION=NO\n "  # the blank leaves room for YES
    )
    if masks:
        promises += b"MASK_INTERLEAVED_WITH_IMAGERY=YES\n"
    return b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(promises) + promises


def _directory(tags: Tags, *, at: int, big: bool, last: bool) -> bytes:
    """One IFD that begins at byte `at`, and behind it the values that do not fit into its entries."""
    count, entry, pointer = ("<Q", "<HHQ", "<Q") if big else ("<H", "<HHI", "<I")
    room = 8 if big else 4
    length = struct.calcsize(count) + len(tags) * (struct.calcsize(entry) + room) + room
    entries, values = [], b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}{_FORMATS[kind]}", *numbers)
        if len(packed) <= room:
            here = packed.ljust(room, b"\0")
        else:
            values += b"\0" * (-(at + length + len(values)) % 8)
            here = struct.pack(pointer, at + length + len(values))
            values += packed
        values_of_kind = len(numbers) // 2 if kind == RATIONAL else len(numbers)
        entries.append(struct.pack(entry, tag, kind, values_of_kind) + here)
    values += b"\0" * (-(at + length + len(values)) % 8)
    following = 0 if last else at + length + len(values)
    return struct.pack(count, len(tags)) + b"".join(entries) + struct.pack(pointer, following) + values


def text(value: str) -> Tag:
    """An ASCII value; TIFF ends it with a zero byte."""
    return ASCII, value.encode() + b"\0"


def geo_tags(crs: str, transform: tuple[float, float, float, float, float, float]) -> Tags:
    """The tags that put a raster on the map, taken from a GeoTIFF of one pixel that GDAL writes in memory."""
    with MemoryFile() as memory:
        profile = {"driver": "GTiff", "height": 1, "width": 1, "count": 1, "dtype": "uint8"}
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), memory.open(**profile, crs=crs, transform=Affine(*transform)):
            pass
        return _read_tags(memory.read(), _GEO_TAGS)


def _read_tags(tiff: bytes, wanted: Sequence[int]) -> Tags:
    """Some tags of the first directory of a small classic little-endian TIFF."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    tags: dict[int, Tag] = {}
    for index in range(count):
        place = at + 2 + 12 * index
        tag, kind, length = struct.unpack_from("<HHI", tiff, place)
        if tag in wanted:
            layout = f"<{length}{_FORMATS[kind]}"
            inline = struct.calcsize(layout) <= 4
            start = place + 8 if inline else struct.unpack_from("<I", tiff, place + 8)[0]
            tags[tag] = (kind, struct.unpack_from(layout, tiff, start))
    return tags
