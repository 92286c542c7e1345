"""Encoded tiles on disk, between the workers that make them and the file that they become; and files that appear whole.

A spool is a folder that every worker and the assembling process share; whoever made it removes it. Tiles lie in it as
they will in a Cloud-Optimized GeoTIFF: before each its size, behind it its last four bytes once more (GDAL's COG
driver, "leader" and "trailer"), so that neighbours are copied together, by the kernel alone where it can.
"""

import os
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from processing.errors import OutputError
from processing.tiff import TILE_LEADER, TILE_TRAILER
from processing.tile import Data

MAX_OPEN_FILES: Final = 128
"""Spool files open at a time; a row of more superblocks than this is wider than 260,000 pixels."""


COPIED: Final = 1 << 23
"""Bytes that are copied at once where the kernel does not do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledTile:
    """Where an encoded tile lies."""

    level: int
    row: int
    """Counted in tiles of its level, as is `col`."""

    col: int
    file: str
    """Name inside the spool folder."""

    offset: int
    size: int
    mask: int = 0
    """Size of its mask, which lies behind it; 0 for none."""

    @property
    def mask_offset(self) -> int:
        """Where its mask lies."""
        return self.offset + self.size + TILE_TRAILER + TILE_LEADER

    @property
    def end(self) -> int:
        """Behind it and its mask and all that frames them."""
        return (self.mask_offset + self.mask if self.mask else self.offset + self.size) + TILE_TRAILER


Encoded = tuple[int, int, int, Data, bytes]
"""Level, row, column, bytes of a tile, and of its mask; none for no mask."""


class Spool:
    """Reads tiles; keeps the files open that the row of superblocks at hand needs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._opened.values():
            file.close()

    def read(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile.

        Raises
        ------
        OutputError
            They are not all there.
        """
        return self._read(tile, tile.size, tile.offset)

    def read_mask(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile's mask.

        Raises
        ------
        OutputError
            They are not all there.
        """
        return self._read(tile, tile.mask, tile.mask_offset)

    def _read(self, tile: SpooledTile, size: int, offset: int) -> bytes:
        data = os.pread(self._file(tile.file), size, offset)
        if len(data) != size:
            raise self._cut_off(tile)
        return data

    def copy(self, tiles: Iterable[SpooledTile], into: BinaryIO) -> None:
        """Append tiles with what frames them to a file.

        Raises
        ------
        OutputError
            They are not all there.
        """
        into.flush()
        for run in runs(tiles):
            first, last = run[0], run[-1]
            start, end = first.offset - TILE_LEADER, last.end
            while start < end:
                copied = _copy(self._file(first.file), into.fileno(), end - start, start)
                if copied == 0:
                    raise self._cut_off(first)
                start += copied
        into.seek(0, os.SEEK_END)

    def _file(self, name: str) -> int:
        if name not in self._opened:
            if len(self._opened) >= MAX_OPEN_FILES:
                self._opened.pop(next(iter(self._opened))).close()
            self._opened[name] = (self._folder / name).open("rb")
        return self._opened[name].fileno()

    @staticmethod
    def _cut_off(tile: SpooledTile) -> OutputError:
        return OutputError(f"spool: {tile.file} is cut off; the disk was full or something else wrote to it")


def runs(tiles: Iterable[SpooledTile]) -> Iterator[list[SpooledTile]]:
    """Tiles that lie one behind the other in one file."""
    run: list[SpooledTile] = []
    for tile in tiles:
        if run and (tile.file, tile.offset - TILE_LEADER) != (run[-1].file, run[-1].end):
            yield run
            run = []
        run.append(tile)
    if run:
        yield run


def _copy(source: int, target: int, count: int, offset: int) -> int:
    """Copy up to so many bytes from an offset to where the target stands; says how many."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # two file systems, or one that cannot
            return os.copy_file_range(source, target, count, offset_src=offset)
    return os.write(target, os.pread(source, min(count, COPIED), offset))


def spool_tiles(path: Path, encoded: Iterable[Encoded]) -> tuple[SpooledTile, ...]:
    """Write encoded tiles one behind the other; says where each is."""
    tiles = []
    with writing(path) as file:
        for tile, parts in framed(path.name, encoded):
            file.writelines(parts)
            tiles.append(tile)
    return tuple(tiles)


def framed(name: str, encoded: Iterable[Encoded]) -> Iterator[tuple[SpooledTile, list[Data]]]:
    """Each tile with its place in a file of that name, and the bytes that are to be written there."""
    end = 0
    for level, row, col, data, mask in encoded:
        tile = SpooledTile(
            level=level, row=row, col=col, file=name, offset=end + TILE_LEADER, size=len(data), mask=len(mask)
        )
        end = tile.end
        yield tile, [*_framed(data), *(_framed(mask) if mask else [])]


def _framed(data: Data) -> list[Data]:
    return [struct.pack("<I", len(data)), data, data[-TILE_TRAILER:]]


def place_tiles(
    path: Path, encoded: Iterable[Encoded], place: Callable[[int, int, int], int]
) -> tuple[SpooledTile, ...]:
    """Write encoded tiles to their places in a file that others write to as well; ``place`` says where data begin."""
    tiles = []
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            for level, row, col, data, mask in encoded:
                assert not mask, "a mask's size is not known in advance"
                offset = place(level, row, col)
                _write_all(handle, _framed(data), offset - TILE_LEADER)
                tiles.append(SpooledTile(level=level, row=row, col=col, file=path.name, offset=offset, size=len(data)))
        finally:
            os.close(handle)
    except OSError as error:
        raise OutputError(f"{path.name}: cannot be written ({error.strerror}); nothing of it remains") from error
    return tuple(tiles)


def _write_all(handle: int, parts: Sequence[Data], offset: int) -> None:
    for part in parts:
        rest = memoryview(part)
        while rest:
            written = os.pwrite(handle, rest, offset)
            rest, offset = rest[written:], offset + written


def finish(path: Path, head: bytes, destination: Path) -> None:
    """Write what stands before the tiles of a file, and let it appear under its name."""
    try:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            _write_all(handle, [head], 0)
        finally:
            os.close(handle)
        path.replace(destination)
    except OSError as error:
        raise OutputError(f"{destination.name}: cannot be written ({error.strerror}); nothing of it remains") from error


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole, or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb", buffering=1 << 20) as file:
            yield file
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path.name}: cannot be written ({error.strerror}); nothing of it remains") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
