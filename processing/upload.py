"""Superblocks → a Cloud-Optimized GeoTIFF in a bucket, by one upload whose parts the workers put.

A COG has its directories first and its smallest overview next, and the sizes in them are known when the last tile is
encoded. So the encoded tiles wait in a spool; then the file is cut into parts of equal size, and a task for each part
fetches its tiles and puts it. Nobody holds more of the file than one part, and no pixel is computed twice:

    superblock ──► spool ─┐                    ┌─► part 1 ─┐
    superblock ──► spool ─┼─► all sizes known ─┼─► part 2 ─┼─► complete: the object appears, whole
    …                     ┘   (the directories)└─► …      ─┘

The spool is a folder for threads of this process, and objects beside the destination for the workers of a cluster, who
need to share nothing. S3 itself could not put the file together out of those (UploadPartCopy): it takes pieces of at
least 5 MiB, and neighbours in a COG come from different superblocks after every four tiles.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from processing.blocks import Job, Progress, Task, run, superblocks
from processing.bucket import BucketFile, get, put
from processing.cog import CogProfile, EncodedSuperblock, encoded_tiles, lay_out
from processing.errors import OutputError
from processing.spool import Encoded, Spool, SpooledTile, framed, runs, spool_tiles
from processing.tiff import TILE_LEADER

if TYPE_CHECKING:  # as in `processing.blocks`
    from distributed import Client

PART_BYTES: Final = 16 * 2**20
"""Of a part, the last one may be smaller; S3 asks for at least 5 MiB, and R2 for all of one size."""

MAX_PARTS: Final = 1000
"""S3 takes 10,000, some others no more than this: beyond 16 GiB parts become larger."""

_BATCH_BYTES: Final = 32 * 2**20
"""Tiles of the outer overviews that are put together as one object."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a part: from a file, from an object by its signed address, or given."""

    source: Path | str | bytes
    start: int
    length: int

    def read(self) -> bytes:
        """The bytes.

        Raises
        ------
        OutputError
            They are not all there.
        """
        if isinstance(self.source, bytes):
            return self.source[self.start : self.start + self.length]
        if isinstance(self.source, str):
            return get(self.source, self.start, self.length)
        with self.source.open("rb") as file:
            data = os.pread(file.fileno(), self.length, self.start)
        if len(data) != self.length:
            raise OutputError(f"spool: {self.source.name} is cut off; the disk was full or something else wrote to it")
        return data


def upload(
    what: str,
    job: Job,
    profile: CogProfile,
    destination: BucketFile,
    *,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Make all superblocks and write them as an object of a bucket: the bytes that `assemble` writes to a file.

    Raises
    ------
    OutputError
        The bucket refuses, or cannot be reached; then it holds what it held before. Further errors are those of `job`.
    """
    if client is None:
        with tempfile.TemporaryDirectory(prefix=f"{destination.name}.") as folder:
            spool = Path(folder)
            blocks = run(what, superblocks(job, profile, spool), threads=threads, progress=progress)
            with Spool(spool) as tiles:
                head, levels = lay_out(blocks, profile, tiles, lambda name, encoded: spool_tiles(spool / name, encoded))
            pieces = _pieces(head, levels, lambda name: spool / name)
            _put_parts(pieces, destination, threads=threads, progress=progress)
        return
    with _spool_objects(destination) as objects:
        rows, cols = profile.superblocks
        tasks: list[Task] = [
            (_make, job, profile, row, col, objects.new(f"{row}-{col}").address("PUT"))
            for row, col in product(range(rows), range(cols))
        ]
        blocks = run(what, tasks, client=client, progress=progress)
        head, levels = lay_out(blocks, profile, objects, objects.keep)
        _put_parts(_pieces(head, levels, objects.address), destination, client=client, progress=progress)


def _make(job: Job, profile: CogProfile, row: int, col: int, address: str) -> EncodedSuperblock:
    """On a worker: a superblock, to the object of the spool that the address is signed for."""
    data, tiles = _packed(f"{row}-{col}", encoded_tiles(job.block(row, col), profile, row=row, col=col))
    put(address, data)
    return EncodedSuperblock(row=row, col=col, tiles=tiles)


def _packed(name: str, encoded: Iterable[Encoded]) -> tuple[bytes, tuple[SpooledTile, ...]]:
    made = list(framed(name, encoded))
    return b"".join(part for _, parts in made for part in parts), tuple(tile for tile, _ in made)


class _SpoolObjects:
    """Encoded tiles as objects beside the destination; reads them, as `Spool` does files."""

    def __init__(self, destination: BucketFile) -> None:
        self._beside = destination.beside(f".{uuid.uuid4().hex}.spool/")
        self._addresses: dict[str, str] = {}

    def new(self, name: str) -> BucketFile:
        """An object to be written."""
        made = self._beside.beside(name)
        self._addresses[name] = made.address("GET")
        return made

    def address(self, name: str) -> str:
        """Where an object can be read."""
        return self._addresses[name]

    def read(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile."""
        return get(self._addresses[tile.file], tile.offset, tile.size)

    def read_mask(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile's mask."""
        return get(self._addresses[tile.file], tile.mask_offset, tile.mask)

    def keep(self, name: str, encoded: Iterable[Encoded]) -> tuple[SpooledTile, ...]:
        """Put tiles, some at a time; says where each is."""
        kept: list[SpooledTile] = []
        for number, batch in enumerate(_batches(encoded)):
            data, tiles = _packed(f"{name}-{number}", batch)
            put(self.new(f"{name}-{number}").address("PUT"), data)
            kept += tiles
        return tuple(kept)

    def remove(self) -> None:
        """Delete all that may have been written."""
        for name in self._addresses:
            with suppress(OutputError):
                self._beside.beside(name).delete()


@contextmanager
def _spool_objects(destination: BucketFile) -> Iterator[_SpoolObjects]:
    objects = _SpoolObjects(destination)
    try:
        yield objects
    finally:
        objects.remove()


def _batches(encoded: Iterable[Encoded]) -> Iterator[list[Encoded]]:
    batch: list[Encoded] = []
    size = 0
    for tile in encoded:
        batch.append(tile)
        size += len(tile[3])
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pieces(
    head: bytes, levels: Sequence[Sequence[SpooledTile]], source: Callable[[str], Path | str]
) -> Iterator[Piece]:
    """The whole file: directories, smallest overview, …, full resolution."""
    yield Piece(head, 0, len(head))
    for level in reversed(levels):
        for run_of_tiles in runs(level):
            start = run_of_tiles[0].offset - TILE_LEADER
            yield Piece(source(run_of_tiles[0].file), start, run_of_tiles[-1].end - start)


def _parts(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces of each part, cut where parts end."""
    total = sum(piece.length for piece in pieces)
    size = max(PART_BYTES, -(-total // MAX_PARTS))
    part: list[Piece] = []
    room = size
    for whole in pieces:
        rest = whole
        while rest.length >= room:
            yield [*part, _cut(rest, 0, room)]
            rest, part, room = _cut(rest, room, rest.length), [], size
        if rest.length:
            part.append(rest)
            room -= rest.length
    if part:
        yield part


def _cut(piece: Piece, start: int, end: int) -> Piece:
    if isinstance(piece.source, bytes):  # a task is sent no more of it than it needs
        return Piece(piece.source[piece.start + start : piece.start + end], 0, end - start)
    return replace(piece, start=piece.start + start, length=end - start)


def _put_part(pieces: Sequence[Piece], address: str) -> str:
    """On a worker: one part of the upload; its tag."""
    return put(address, b"".join(piece.read() for piece in pieces))


def _put_parts(
    pieces: Iterable[Piece],
    destination: BucketFile,
    *,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    begun = destination.start()
    try:
        tasks: list[Task] = [
            (_put_part, part, destination.part(begun, number))
            for number, part in enumerate(_parts(list(pieces)), start=1)
        ]
        tags = run("upload", tasks, client=client, threads=threads, progress=progress)
        destination.complete(begun, tags)
    except BaseException:
        with suppress(OutputError):  # the first error is the one to tell
            destination.abort(begun)
        raise
