"""The sizes that a JPEG 2000 codestream promises, checked before OpenJPEG makes room for them.

    SOC SIZ COD … ─► SOT … SOD data ─► SOT … SOD data ─► … ─► EOC
    main header      a part of a tile

A tile of one pixel, or a block of sixteen, costs its decoder some hundred bytes or more: a header of a hundred bytes
can ask for the memory of a whole machine. NITF files may hold such codestreams too.

Sources: ISO/IEC 15444-1 (ITU-T T.800), annexes A and I; MIL-STD-2500C, table A-1, for where NITF keeps its images.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from processing.errors import DeliveryError
from processing.limits import check_bands, check_side, damaged

MAX_TILES: Final = 131_072
"""Tiles times components: OpenJPEG keeps a kilobyte of settings for each, from the start."""

MAX_CODE_BLOCKS: Final = 4_000_000
"""Code-blocks and precincts of one tile, all components together: some 350 bytes each while it is decoded."""

MAX_SEGMENTS: Final = 300_000
"""Boxes of a file, or segments of its headers, tile-parts among them: a picture has some thousand, one with as many
tiles as there can be some four for each."""

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Of an image and its tiles, from the segment SIZ."""

    components: int
    height: int
    """Rows of a whole tile."""

    width: int


def check_codestreams(path: Path) -> None:
    """Refuse a JPEG 2000 or NITF file whose codestreams are cut off or cannot be decoded in reasonable memory.

    Raises
    ------
    DeliveryError
        Says which, and what is wrong with it.
    """
    with path.open("rb") as file:
        start = file.read(12)
        size = os.fstat(file.fileno()).st_size
        if start[:4] == b"\xffO\xffQ":
            places = iter([(0, size)])
        elif start == _SIGNATURE:
            places = _in_boxes(file, path.name, size)
        elif start[:4] in (b"NITF", b"NSIF"):
            places = _in_nitf(file, path.name, size)
        else:
            return
        for first, end in places:
            _Codestream(file, path.name, first, end).check()


def _in_boxes(file: BinaryIO, name: str, size: int) -> Iterator[tuple[int, int]]:
    """Where the boxes ``jp2c`` of a JP2 file begin and end (T.800, I.4)."""
    at = 0
    for _ in range(MAX_SEGMENTS):
        if at + 8 > size:
            return
        length, kind = struct.unpack(">I4s", _read(file, name, at, 8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", _read(file, name, at + 8, 8))
            head = 16
        end = at + length if length else size
        if end < at + head or end > size:
            raise damaged(name, f"its box at byte {at} ends at byte {end} of {size}")
        if kind == b"jp2c":
            yield at + head, end
        at = end
    raise damaged(name, f"a JP2 file of more than {MAX_SEGMENTS} boxes")


def _in_nitf(file: BinaryIO, name: str, size: int) -> Iterator[tuple[int, int]]:
    """Where the codestreams among the images of a NITF file begin and end."""
    header = _read(file, name, 0, 363)
    try:
        at, count = int(header[354:360]), int(header[360:363])
        sizes = _read(file, name, 363, 16 * count)
        lengths = [(int(sizes[k : k + 6]), int(sizes[k + 6 : k + 16])) for k in range(0, 16 * count, 16)]
    except ValueError:
        return  # not version 2.1; GDAL reads those without JPEG 2000
    for subheader, length in lengths:
        first = at + subheader
        at = first + length
        if at > size:
            raise damaged(name, f"an image that ends at byte {at} of {size}")
        if length > 4 and _read(file, name, first, 4) == b"\xffO\xffQ":
            yield first, at


class _Codestream:
    """One codestream between two bytes of a file."""

    def __init__(self, file: BinaryIO, name: str, first: int, end: int) -> None:
        self.file, self.name, self.first, self.end = file, name, first, end
        self.segments = 0

    def check(self) -> None:
        """Walk over the main header and those of all tile-parts, never over their data."""
        if self._bytes(self.first, 2) != struct.pack(">H", _SOC):
            raise damaged(self.name, "no JPEG 2000 codestream where one should be")
        marker, content, at = self._segment(self.first + 2)
        if marker != _SIZ:
            raise damaged(self.name, "its JPEG 2000 codestream does not begin with sizes")
        sizes = self._sizes(content)
        at = self._header(at, sizes)
        while at + 2 <= self.end and self._bytes(at, 2) != struct.pack(">H", _EOC):
            marker, content, header = self._segment(at)
            if marker != _SOT or len(content) != 8:
                raise damaged(self.name, f"no part of a tile at byte {at}")
            (length,) = struct.unpack_from(">I", content, 2)
            self._header(header, sizes)
            after = at + length if length else self.end
            if not header < after <= self.end:
                raise damaged(self.name, f"the part of a tile at byte {at} ends at byte {after} of {self.end}")
            at = after

    def _header(self, at: int, sizes: _Sizes) -> int:
        """Go over the segments of a header; give the byte of the marker that ends it."""
        while True:
            marker, content, after = self._segment(at)
            if marker in (_SOT, _SOD, _EOC):
                return at
            if marker == _COD:
                self._check_blocks(sizes, content[5:], precincts=bool(content[0] & 1), components=sizes.components)
            elif marker == _COC:
                own = content[1 if sizes.components < 257 else 2 :]
                self._check_blocks(sizes, own[1:], precincts=bool(own[:1] and own[0] & 1), components=1)
            at = after

    def _sizes(self, content: bytes) -> _Sizes:
        """From the segment SIZ (T.800, A.5.1)."""
        if len(content) < 36:
            raise damaged(self.name, "the sizes of its JPEG 2000 codestream are cut off")
        x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = struct.unpack_from(">8IH", content, 2)
        check_side(self.name, y - y0, x - x0)
        check_bands(self.name, components)
        if not (tile_x and tile_y and tile_x0 <= x0 < tile_x0 + tile_x and tile_y0 <= y0 < tile_y0 + tile_y):
            raise damaged(self.name, "tiles that do not hold its first pixel")
        tiles = -(-(x - tile_x0) // tile_x) * -(-(y - tile_y0) // tile_y)
        if tiles * components > MAX_TILES or tiles > 65_535:
            raise DeliveryError(f"{self.name}: {tiles} tiles of {tile_y} × {tile_x} pixels; give larger ones")
        return _Sizes(components=components, height=min(tile_y, y - y0), width=min(tile_x, x - x0))

    def _check_blocks(self, sizes: _Sizes, content: bytes, *, precincts: bool, components: int) -> None:
        """Count code-blocks and precincts of a tile (T.800, A.6.1 and B.6 to B.7)."""
        if len(content) < 5:
            raise damaged(self.name, "the coding style of its JPEG 2000 codestream is cut off")
        levels, block_x, block_y = content[0], (content[1] & 15) + 2, (content[2] & 15) + 2
        if levels > 32 or (precincts and len(content) < 6 + levels):
            raise damaged(self.name, f"{levels} levels of resolution without their precincts")
        count = 0
        for level in range(levels + 1):
            height, width = -(-sizes.height >> (levels - level)), -(-sizes.width >> (levels - level))
            precinct = content[5 + level] if precincts else 0xFF
            across, down = precinct & 15, precinct >> 4
            halved = int(level > 0)  # its three bands are half as large, and so are their precincts
            blocks = _cells(width, min(block_x, max(across - halved, 0)) + halved) * _cells(
                height, min(block_y, max(down - halved, 0)) + halved
            )
            count += blocks * (3 if halved else 1) + _cells(width, across) * _cells(height, down)
        if count * components > MAX_CODE_BLOCKS:
            raise DeliveryError(
                f"{self.name}: {count * components} code-blocks in a tile of {sizes.height} × {sizes.width} pixels; "
                "give larger ones, or smaller tiles"
            )

    def _segment(self, at: int) -> tuple[int, bytes, int]:
        """A marker, what follows it in its segment, and the byte after it; only what counts here is read."""
        self.segments += 1
        if self.segments > MAX_SEGMENTS:
            raise damaged(self.name, f"a JPEG 2000 codestream of more than {MAX_SEGMENTS} segments")
        (marker,) = struct.unpack(">H", self._bytes(at, 2))
        if marker in (_SOD, _EOC):
            return marker, b"", at + 2
        (length,) = struct.unpack(">H", self._bytes(at + 2, 2))
        if length < 2 or at + 2 + length > self.end:
            raise damaged(self.name, f"a JPEG 2000 segment at byte {at} that ends beyond its codestream")
        known = marker in (_SIZ, _COD, _COC, _SOT)
        return marker, self._bytes(at + 4, length - 2) if known else b"", at + 2 + length

    def _bytes(self, at: int, length: int) -> bytes:
        if at + length > self.end:
            raise damaged(self.name, f"its JPEG 2000 codestream ends at byte {self.end}")
        return _read(self.file, self.name, at, length)


def _cells(length: int, exponent: int) -> int:
    """How many pieces of 2^exponent cover a length."""
    return -(-length >> exponent)


def _read(file: BinaryIO, name: str, at: int, length: int) -> bytes:
    file.seek(at)
    content = file.read(length)
    if len(content) < length:
        raise damaged(name, f"it ends before byte {at + length}")
    return content
