"""Where a TIFF says that its parts lie, checked before GDAL follows it: nothing beyond the file, nothing twice.

    header ─► directory 0 ─► directory 1 ─► … ─► 0      each with its size, and an offset and a length a block

A header of a few bytes can promise any number of pixels, send its reader round in a circle, or give every block the
same bytes to unpack. What is read here is bounded by the file's own size.

Sources: TIFF 6.0; BigTIFF (libtiff).
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from processing.errors import DeliveryError
from processing.limits import check_bands, check_side, damaged

MAX_BLOCKS: Final = 4_000_000
"""Tiles or strips of a file, all directories together."""

MAX_DIRECTORIES: Final = 512
"""A picture, its masks and its overviews are some thirty; a geoid in many pieces some hundred."""

MAX_ENTRIES: Final = 4096
"""Tags of a directory."""

WIDTH, HEIGHT, BITS, COMPRESSION, BANDS, ROWS_PER_STRIP, PLANAR = 256, 257, 258, 259, 277, 278, 284
STRIP_OFFSETS, STRIP_LENGTHS, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 273, 279, 322, 323, 324, 325

_TYPES: Final = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u8", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i8", 11: "f4", 12: "f8",
    13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""Types of values as TIFF numbers them, as numpy names them; a fraction is one value of eight bytes here."""

_AHEAD: Final = 4096
"""Bytes read at once: most headers are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tag's values, where they lie in the file."""

    kind: str
    """As numpy names it, without the order of bytes."""

    count: int
    at: int
    """Byte of the first value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffLayout:
    """The directories of a file, in their order."""

    path: Path
    order: str
    """``<`` or ``>``, as `struct` has it."""

    size: int
    """Bytes of the file."""

    start: bytes
    """The first of them, in which most headers end."""

    directories: tuple[Mapping[int, Entry], ...]
    """The entries of each by their tag; those of unknown type are left out, as TIFF 6.0 asks for."""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    def values(self, entry: Entry) -> NDArray[Any]:
        """The values of a tag, read from the file where they lie behind its first bytes."""
        kind = np.dtype(self.order + entry.kind)
        end = entry.at + entry.count * kind.itemsize
        if end <= len(self.start):
            return np.frombuffer(self.start[entry.at : end], kind)
        with self.path.open("rb") as file:
            file.seek(entry.at)
            content = file.read(end - entry.at)
        if len(content) < end - entry.at:
            raise damaged(self.name, "it became shorter while it was read")
        return np.frombuffer(content, kind)


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes calls itself a TIFF."""
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_layout(path: Path) -> TiffLayout | None:
    """Follow the directories; None where the file is no TIFF.

    Raises
    ------
    DeliveryError
        They lead out of the file or round in a circle, or are too many.
    """
    with path.open("rb") as file:
        start = file.read(_AHEAD)
        if not is_tiff(start) or len(start) < 16:
            return None
        size = os.fstat(file.fileno()).st_size
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        if big and struct.unpack_from(f"{order}HH", start, 4) != (8, 0):
            raise damaged(path.name, "a BigTIFF whose offsets have no eight bytes")
        walk = _Walk(file=file, start=start, name=path.name, order=order, big=big, size=size)
        directories = tuple(walk.directories())
        return TiffLayout(path=path, order=order, size=size, start=start, directories=directories)


def check_layout(path: Path) -> None:
    """Refuse a TIFF whose parts cannot be what it says; leave every other file alone.

    Raises
    ------
    DeliveryError
        Directories in a circle; a part beyond the file's end; blocks that share bytes, that are too few for the
        picture, or too many.
    """
    layout = read_layout(path)
    if layout is None:
        return
    blocks = 0
    for index, directory in enumerate(layout.directories):
        blocks += _check_blocks(_Sizes(layout, directory, f"in directory {index} "), blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """From directory to directory."""

    file: BinaryIO
    start: bytes
    name: str
    order: str
    big: bool
    size: int

    def directories(self) -> Iterator[Mapping[int, Entry]]:
        at = self._number("Q" if self.big else "I", 8 if self.big else 4)
        seen: set[int] = set()
        while at:
            if at in seen:
                raise damaged(self.name, f"its directories lead back to the one at byte {at}")
            if len(seen) == MAX_DIRECTORIES:
                raise damaged(self.name, f"more than {MAX_DIRECTORIES} directories")
            seen.add(at)
            entries, at = self._directory(at)
            yield entries
        if not seen:
            raise damaged(self.name, "a TIFF without a directory")

    def _directory(self, at: int) -> tuple[Mapping[int, Entry], int]:
        """Its entries, and where the next one begins."""
        count_kind, entry, room = ("Q", 20, 8) if self.big else ("H", 12, 4)
        count = self._number(count_kind, at)
        first = at + struct.calcsize(count_kind)
        if not 0 < count <= MAX_ENTRIES:
            raise damaged(self.name, f"the directory at byte {at} has {count} tags")
        table = self._bytes(first, count * entry)
        entries = {}
        for place in range(0, len(table), entry):
            tag, kind, number = struct.unpack_from(f"{self.order}HH{'Q' if self.big else 'I'}", table, place)
            if kind not in _TYPES:
                continue
            length = number * int(_TYPES[kind][1])
            where = first + place + entry - room
            if length > room:
                (where,) = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", table, place + entry - room)
            if where + length > self.size:
                raise damaged(self.name, f"tag {tag} ends at byte {where + length} of {self.size}")
            entries[tag] = Entry(kind=_TYPES[kind], count=number, at=where)
        return entries, self._number("Q" if self.big else "I", first + count * entry)

    def _number(self, kind: str, at: int) -> int:
        (number,) = struct.unpack(f"{self.order}{kind}", self._bytes(at, struct.calcsize(kind)))
        return int(number)

    def _bytes(self, at: int, length: int) -> bytes:
        if at + length > self.size:
            raise damaged(self.name, f"a directory ends at byte {at + length} of {self.size}")
        if at + length <= len(self.start):
            return self.start[at : at + length]
        self.file.seek(at)
        return self.file.read(length)


class _Sizes:
    """The numbers of one directory that say how its picture is divided."""

    def __init__(self, layout: TiffLayout, directory: Mapping[int, Entry], where: str) -> None:
        self.layout, self.directory, self.where = layout, directory, where
        self.height, self.width = self.first(HEIGHT, 0), self.first(WIDTH, 0)
        self.bands = self.first(BANDS, 1)
        check_side(layout.name, self.height, self.width)
        check_bands(layout.name, self.bands)
        tiled = TILE_OFFSETS in directory or TILE_WIDTH in directory
        down = self.first(TILE_HEIGHT if tiled else ROWS_PER_STRIP, self.height)
        across = self.first(TILE_WIDTH, 0) if tiled else self.width
        if down < 1 or across < 1:
            raise damaged(layout.name, f"{where}tiles of {down} × {across} pixels")
        planes = self.bands if self.first(PLANAR, 1) == 2 else 1
        self.blocks = -(-self.height // down) * -(-self.width // across) * planes
        self.offsets, self.lengths = (
            (TILE_OFFSETS, TILE_LENGTHS) if TILE_OFFSETS in directory else (STRIP_OFFSETS, STRIP_LENGTHS)
        )

    def first(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        entry = self.directory.get(tag)
        if entry is None or not entry.count or entry.kind[0] == "f":
            return default
        return int(self.layout.values(Entry(kind=entry.kind, count=1, at=entry.at))[0])

    def column(self, tag: int) -> NDArray[np.uint64]:
        """One value a block."""
        entry = self.directory[tag]
        if entry.count < self.blocks or entry.kind[0] != "u":
            raise damaged(
                self.layout.name, f"{self.where}{entry.count} numbers in tag {tag} for {self.blocks} tiles or strips"
            )
        read = Entry(kind=entry.kind, count=self.blocks, at=entry.at)
        return self.layout.values(read).astype(np.uint64)


def _check_blocks(sizes: _Sizes, before: int) -> int:
    """Check where the tiles or strips of a directory lie; say how many they are."""
    if before + sizes.blocks > MAX_BLOCKS:
        raise DeliveryError(f"{sizes.layout.name}: {before + sizes.blocks} tiles or strips; give larger ones")
    if sizes.offsets not in sizes.directory or sizes.lengths not in sizes.directory:
        return sizes.blocks  # a directory of another kind, or an uncompressed picture that GDAL puts together
    offsets, lengths = sizes.column(sizes.offsets), sizes.column(sizes.lengths)
    used = np.flatnonzero((offsets > 0) & (lengths > 0))  # zeros are a block that was never written
    order = used[np.argsort(offsets[used], kind="stable")]
    starts, lengths = offsets[order], lengths[order]
    room = sizes.layout.size - np.minimum(starts, np.uint64(sizes.layout.size))
    if (lost := np.flatnonzero(lengths > room)).size:
        raise damaged(
            sizes.layout.name,
            f"{sizes.where}tile or strip {order[lost[0]]} ends beyond the file's {sizes.layout.size} bytes",
        )
    if (shared := np.flatnonzero(starts[1:] < starts[:-1] + lengths[:-1])).size:
        one, other = order[shared[0]], order[shared[0] + 1]
        raise damaged(sizes.layout.name, f"{sizes.where}tiles or strips {one} and {other} share bytes")
    return sizes.blocks
