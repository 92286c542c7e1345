"""Encoded tiles on disk, between the workers that make them and the file that they become; and files that appear whole.

A spool is a folder that every worker and the assembling process share; whoever made it removes it.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from processing.errors import OutputError

MAX_OPEN_FILES: Final = 128
"""Spool files open at a time; a row of more superblocks than this is wider than 260,000 pixels."""


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


ReadTile = Callable[[SpooledTile], bytes]
"""Fetches the bytes of a spooled tile."""


def spool_tiles(path: Path, encoded: Iterable[tuple[int, int, int, bytes]]) -> tuple[SpooledTile, ...]:
    """Write encoded tiles one behind the other; says where each is."""
    tiles = []
    with writing(path, durable=False) as file:
        for level, row, col, data in encoded:
            place = SpooledTile(level=level, row=row, col=col, file=path.name, offset=file.tell(), size=len(data))
            tiles.append(place)
            file.write(data)
    return tuple(tiles)


@contextmanager
def reading(spool: Path) -> Iterator[ReadTile]:
    """Reads tiles from the spool; keeps the files open that the row of superblocks at hand needs."""
    opened: dict[str, BinaryIO] = {}
    with ExitStack() as stack:

        def read(tile: SpooledTile) -> bytes:
            if tile.file not in opened:
                if len(opened) >= MAX_OPEN_FILES:
                    opened.pop(next(iter(opened))).close()
                opened[tile.file] = stack.enter_context((spool / tile.file).open("rb"))
            data = os.pread(opened[tile.file].fileno(), tile.size, tile.offset)
            if len(data) != tile.size:
                raise OutputError(f"spool: {tile.file} is cut off; the disk was full or something else wrote to it")
            return data

        yield read


@contextmanager
def writing(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole, or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb", buffering=1 << 20) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if durable:
            _fsync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path.name}: cannot be written ({error.strerror}); nothing of it remains") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _fsync_folder(folder: Path) -> None:
    """A new name lasts through a power cut once its folder was written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
