"""Pixels in any order → a valid Cloud-Optimized GeoTIFF, in bounded memory and always with the same bytes.

One output superblock at a time is cut into tiles, and so are the two overview levels that lie wholly inside it; the
encoded tiles go to a spool file, and only their places are handed on. Assembling makes the remaining levels, each tile
from four tiles of the level below, and copies all tiles behind the directories: smallest overview first, full
resolution last (OGC 21-026, GDAL's COG driver).

    superblock 2048²         level 0: 4×4 tiles     level 1: 2×2     level 2: 1      level 3: of 2×2 superblocks …
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np

from processing import tiff
from processing.cog_header import COMPRESSION_TAG, LevelSizes, header
from processing.errors import OutputError
from processing.picture_tile import LOSSLESS_QUALITY, decode_mask, encode_mask
from processing.spool import Encoded, Spool, SpooledTile, finish, place_tiles, spool_tiles, writing
from processing.tile import TILE, Compression, Data, Overviews, Pixels, decode_tile, encode_tile, halve

SUPERBLOCK: Final = 2048
"""Rows and columns of the unit of work; the last ones of a raster may be smaller."""

INNER_LEVELS: Final = 2
"""Overview levels whose tiles lie inside one superblock."""

_EFFORT: Final[Mapping[str, int]] = {"zstd": 1, "deflate": 6, "none": 0, "lerc": 1, "jpeg": 0, "webp": 0}
_PICTURE_BANDS: Final[Mapping[str, tuple[int, ...]]] = {"jpeg": (1, 3), "webp": (3,)}
_DATA_TYPES: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")

_Places = dict[tuple[int, int, int], "SpooledTile"]


class Tiles(Protocol):
    """Reads encoded tiles from where they wait."""

    def read(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile."""
        ...

    def read_mask(self, tile: SpooledTile) -> bytes:
        """The bytes of a tile's mask."""
        ...


Keep = Callable[[str, Iterable[Encoded]], tuple[SpooledTile, ...]]
"""Lets tiles wait under a name; says where each is."""


@dataclass(frozen=True, kw_only=True)
class CogProfile:
    """What the file will be, but for its pixels."""

    crs: str
    """As PROJ reads it: ``EPSG:32631``."""

    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f from col, row of a pixel's outer corner to x, y."""

    height: int
    width: int
    bands: int
    data_type: str
    """As numpy calls it: ``uint8``, ``uint16``, ``int16``, ``uint32``, ``int32``, ``float32``, ``float64``."""

    nodata: float | None = None
    compress: Compression = "zstd"
    level: int | None = None
    """Effort of the compression; None: zstd 1, deflate 6, that of ZSTD inside LERC 1."""

    quality: int = 75
    """Of JPEG and WebP, 1 to 100; WebP loses nothing at 100."""

    max_error: float = 0.0
    """Most by which a value may be off, LERC only; nothing is lost at 0."""

    overviews: Overviews = "average"
    """How a pixel of an overview is made of four: mean without nodata, the first (classes), or all faults (flags)."""

    descriptions: tuple[str, ...] = ()
    """Name of each band; empty for none."""

    colours: tuple[str, ...] = ()
    """GDAL's colour interpretation of each band: Red, Green, Blue, Gray, Undefined, …; empty for none."""

    scales: tuple[float, ...] = ()
    """Of each band, as are `offsets`: value = scale · stored + offset; both empty for values as they are stored."""

    offsets: tuple[float, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values that GDAL shows as the file's metadata."""

    big: bool = False
    """Whether to write a BigTIFF even where a classic one will do; beyond 4 GiB it always is one."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.bands < 1:
            raise OutputError(f"output: {self.bands} bands of {self.height} × {self.width} pixels; give at least one")
        if self.compress not in COMPRESSION_TAG:
            raise OutputError(f"output: compression {self.compress!r} is unknown; give {', '.join(COMPRESSION_TAG)}")
        if self.data_type not in _DATA_TYPES:
            raise OutputError(f"output: {self.data_type} pixels; give one of {', '.join(_DATA_TYPES)}")
        self._check_codec()
        for name in ("descriptions", "colours", "scales", "offsets"):
            values = getattr(self, name)
            if values and len(values) != self.bands:
                raise OutputError(f"output: {len(values)} {name} for {self.bands} bands; give one a band")

    def _check_codec(self) -> None:
        if not 1 <= self.quality <= 100:
            raise OutputError(f"output: quality {self.quality}; give 1 to 100")
        if not 0 <= self.max_error < float("inf") or (self.max_error and self.compress != "lerc"):
            raise OutputError(
                f"output: {self.compress} with a maximum error of {self.max_error}; give LERC one from 0 on"
            )
        possible = _PICTURE_BANDS.get(self.compress)
        if possible and (self.data_type != "uint8" or self.bands not in possible):
            raise OutputError(
                f"output: {self.compress} takes {' or '.join(map(str, possible))} bands of uint8, and these are "
                f"{self.bands} of {self.data_type}; give zstd, deflate or lerc"
            )

    @property
    def lossy(self) -> bool:
        """Whether pixels may come back changed."""
        picture = self.compress == "jpeg" or (self.compress == "webp" and self.quality < LOSSLESS_QUALITY)
        return picture or self.max_error > 0

    @property
    def masked(self) -> bool:
        """Whether a mask says where there are data: a nodata value might come back as another, but NaN cannot."""
        return self.lossy and self.nodata is not None and not np.isnan(self.nodata)

    @property
    def fill(self) -> float:
        """What stands where there are no pixels."""
        return 0 if self.nodata is None else self.nodata

    @cached_property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Height and width of full resolution and of every overview, down to one tile."""
        sizes = [(self.height, self.width)]
        while max(sizes[-1]) > TILE:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        return tuple(sizes)

    def tiles(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles of a level."""
        height, width = self.levels[level]
        return -(-height // TILE), -(-width // TILE)

    @cached_property
    def starts(self) -> tuple[int, ...] | None:
        """Where the tiles of each level begin in the file; None where that is known when all are encoded only."""
        if self.compress != "none":
            return None
        size = TILE * TILE * self.bands * np.dtype(self.data_type).itemsize
        counts = [rows * cols for rows, cols in map(self.tiles, range(len(self.levels)))]
        _, offsets = header(self, [LevelSizes(tiles=[size] * count, masks=[]) for count in counts])
        return tuple(level[0] for level in offsets)

    def place(self, level: int, row: int, col: int) -> int:
        """Where a tile of a file begins whose tiles are all of one size."""
        assert self.starts is not None
        size = TILE * TILE * self.bands * np.dtype(self.data_type).itemsize + tiff.TILE_LEADER + tiff.TILE_TRAILER
        return self.starts[level] + (row * self.tiles(level)[1] + col) * size

    @property
    def superblocks(self) -> tuple[int, int]:
        """Rows and columns of superblocks."""
        return -(-self.height // SUPERBLOCK), -(-self.width // SUPERBLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSuperblock:
    """What is left of a superblock once its tiles are in the spool: a few hundred bytes."""

    row: int
    """Counted in superblocks, as is `col`."""

    col: int
    tiles: tuple[SpooledTile, ...]


def encode_superblock(pixels: Pixels, profile: CogProfile, *, row: int, col: int, spool: Path) -> EncodedSuperblock:
    """Encode one superblock and the overviews inside it into a file of the spool folder.

    Parameters
    ----------
    pixels
        Shape (bands, rows, columns): `SUPERBLOCK` rows and columns, fewer at the lower and right edge of the raster.
    row, col
        Which superblock, counted in superblocks from 0.

    Raises
    ------
    OutputError
        The shape or type does not fit the profile, or the spool's disk is full.
    """
    encoded = encoded_tiles(pixels, profile, row=row, col=col)
    return EncodedSuperblock(row=row, col=col, tiles=_spooled(f"{row}-{col}.tiles", encoded, profile, spool))


def encoded_tiles(pixels: Pixels, profile: CogProfile, *, row: int, col: int) -> Iterator[Encoded]:
    """The tiles of a superblock and of the overviews inside it, one after the other: whoever takes them keeps few.

    Raises
    ------
    OutputError
        The shape or type does not fit the profile.
    """
    _check_superblock(pixels, profile, row, col)
    for level in range(min(INNER_LEVELS, len(profile.levels) - 1) + 1):
        if level:
            pixels = halve(pixels, nodata=profile.nodata, overviews=profile.overviews)
        a_side = SUPERBLOCK // TILE >> level
        for down, right in product(range(0, pixels.shape[1], TILE), range(0, pixels.shape[2], TILE)):
            tile = _encode(pixels[:, down : down + TILE, right : right + TILE], profile)
            yield (level, row * a_side + down // TILE, col * a_side + right // TILE, *tile)


_WHOLE: Final = "whole.tif"
"""In the spool: the file itself, where every tile can go to its place at once."""


def _spooled(name: str, encoded: Iterable[Encoded], profile: CogProfile, spool: Path) -> tuple[SpooledTile, ...]:
    if profile.starts is None:
        return spool_tiles(spool / name, encoded)
    return place_tiles(spool / _WHOLE, encoded, profile.place)


def _check_superblock(pixels: Pixels, profile: CogProfile, row: int, col: int) -> None:
    height = min(SUPERBLOCK, profile.height - row * SUPERBLOCK)
    width = min(SUPERBLOCK, profile.width - col * SUPERBLOCK)
    if pixels.shape != (profile.bands, height, width) or pixels.dtype.name != profile.data_type:
        raise OutputError(
            f"superblock {row}, {col}: {pixels.dtype} {pixels.shape}; "
            f"it should be {profile.data_type} {(profile.bands, height, width)}"
        )


def _encode(pixels: Pixels, profile: CogProfile) -> tuple[Data, bytes]:
    """A tile and its mask."""
    effort = _EFFORT[profile.compress] if profile.level is None else profile.level
    data = encode_tile(
        pixels,
        compress=profile.compress,
        level=effort,
        fill=profile.fill,
        quality=profile.quality,
        max_error=profile.max_error,
    )
    if not profile.masked:
        return data, b""
    valid = np.zeros((TILE, TILE), dtype=np.bool_)
    valid[: pixels.shape[1], : pixels.shape[2]] = (pixels != profile.nodata).any(axis=0)
    return data, encode_mask(valid)


def _decode(tile: SpooledTile, profile: CogProfile, tiles: Tiles) -> Pixels:
    """The pixels of a tile; nodata is where it was, and nowhere else, even where the codec has lost digits."""
    pixels = decode_tile(tiles.read(tile), bands=profile.bands, data_type=profile.data_type, compress=profile.compress)
    if profile.masked:
        nodata = pixels.dtype.type(profile.nodata)
        pixels[pixels == nodata] = _beside(nodata)
        pixels[:, ~decode_mask(tiles.read_mask(tile), TILE)] = nodata
    return pixels


def _beside(value: Any) -> Any:  # noqa: ANN401 - a number of any of numpy's types
    """The next number above it; below the largest."""
    if value.dtype.kind == "f":
        return np.nextafter(value, value.dtype.type(np.inf))
    return value + value.dtype.type(1) if value < np.iinfo(value.dtype).max else value - value.dtype.type(1)


def lay_out(
    blocks: Iterable[EncodedSuperblock], profile: CogProfile, tiles: Tiles, keep: Keep
) -> tuple[bytes, list[list[SpooledTile]]]:
    """Make the overviews that no superblock holds; what stands before the tiles, and those of each level in order.

    Raises
    ------
    OutputError
        A superblock is missing.
    """
    places: _Places = {(tile.level, tile.row, tile.col): tile for block in blocks for tile in block.tiles}
    for level in range(INNER_LEVELS + 1, len(profile.levels)):
        new = keep(f"level-{level}.tiles", _outer_level(level, profile, places, tiles))
        places |= {(tile.level, tile.row, tile.col): tile for tile in new}
    ordered = [_row_major(level, profile, places) for level in range(len(profile.levels))]
    return header(profile, list(map(_sizes, ordered)))[0], ordered


def assemble(blocks: Iterable[EncodedSuperblock], profile: CogProfile, *, spool: Path, destination: Path) -> None:
    """Write the file from all its superblocks, in any order; the spool folder may go afterwards.

    Raises
    ------
    OutputError
        A superblock is missing, or the disk is full; nothing is at the destination then that was not before.
    """
    with Spool(spool) as tiles:
        head, ordered = lay_out(blocks, profile, tiles, lambda name, encoded: _spooled(name, encoded, profile, spool))
        if profile.starts is not None:
            finish(spool / _WHOLE, head, destination)
            return
        with writing(destination) as file:
            _write(file, head, ordered, tiles)


def _outer_level(level: int, profile: CogProfile, places: _Places, tiles: Tiles) -> Iterator[Encoded]:
    """The tiles of a level, each from up to four tiles of the level below."""
    height, width = profile.levels[level - 1]
    rows, cols = profile.tiles(level)
    for row, col in product(range(rows), range(cols)):
        below = np.empty((profile.bands, 2 * TILE, 2 * TILE), dtype=profile.data_type)
        for i, j in product(range(2), range(2)):
            if (2 * row + i) * TILE < height and (2 * col + j) * TILE < width:
                tile = _place(places, level - 1, 2 * row + i, 2 * col + j)
                below[:, i * TILE : (i + 1) * TILE, j * TILE : (j + 1) * TILE] = _decode(tile, profile, tiles)
        below = below[:, : height - 2 * TILE * row, : width - 2 * TILE * col]
        yield level, row, col, *_encode(halve(below, nodata=profile.nodata, overviews=profile.overviews), profile)


def _row_major(level: int, profile: CogProfile, places: _Places) -> list[SpooledTile]:
    rows, cols = profile.tiles(level)
    return [_place(places, level, row, col) for row, col in product(range(rows), range(cols))]


def _place(places: _Places, level: int, row: int, col: int) -> SpooledTile:
    try:
        return places[level, row, col]
    except KeyError:
        raise OutputError(
            f"output: tile {row}, {col} of level {level} is missing; hand over every superblock"
        ) from None


def _write(file: BinaryIO, head: bytes, levels: list[list[SpooledTile]], spool: Spool) -> None:
    file.write(head)
    for tiles in reversed(levels):
        spool.copy(tiles, file)


def _sizes(tiles: list[SpooledTile]) -> LevelSizes:
    return LevelSizes(tiles=[tile.size for tile in tiles], masks=[tile.mask for tile in tiles if tile.mask])
