"""The files of a DEM, and what their headers say, read from one file or from thousands of tiles at once.

Tiles of one DEM differ in their place and little else. So GDAL opens one of each kind, and of the others only the few
bytes are read in which they differ: the name of an HGT, the tie point of a GeoTIFF. The rule that gives a tile its
place is held against GDAL on that one; where the two differ by a bit, GDAL opens them all.
"""

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.io import DatasetReader

from processing.errors import DeliveryError, HeightsError
from processing.raster import open_raster
from processing.tiff_layout import HEIGHT, WIDTH, TiffLayout, read_layout

Source = Path | str | Iterable[Path | str]
"""A file, a folder, a pattern with ``*``, ``?`` or ``**``, or several of these."""

SUFFIXES: Final = (".hgt", ".tif", ".tiff", ".gtx", ".jp2", ".ntf")
"""What is taken for a tile in a folder."""

_BESIDE: Final = re.compile(
    r".*[_.-](edm|flm|hem|wbm|acm|src|msk|stk|num|swb|swbd|mask|qa|preview|browse)\.\w+", re.IGNORECASE
)
"""Layers that come beside the heights and are none: editing, filling, error and water masks of Copernicus and TanDEM-X,
masks and stack counts of AW3D30, counts of ASTER and NASADEM, and the like.
"""

_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]+:/|/vsi\w+/)", re.IGNORECASE)

Transform = tuple[float, float, float, float, float, float]
"""Affine a, b, c, d, e, f: x = a·col + b·row + c, y = d·col + e·row + f at a cell's upper left corner."""

ELLIPSOIDAL: Final = "height above the ellipsoid"
"""Stands for the vertical part of a three-dimensional geographic or projected CRS."""

_METRES: Final = ("m", "metre", "meter", "metres", "meters")
_UNDULATION: Final = "geoid_undulation"
"""What PROJ's grids call the band that counts where there are several (PROJ, "Geodetic TIFF grids")."""

_HGT: Final = re.compile(r"([NS])(\d\d)([EW])(\d{3}).*\.hgt", re.IGNORECASE)

_SCALE, _TIE, _GEO_KEYS, _GEO_NUMBERS, _GEO_TEXTS, _GDAL_METADATA, _GDAL_NODATA = (
    33550, 33922, 34735, 34736, 34737, 42112, 42113,
)  # fmt: skip
_BITS, _BANDS, _SAMPLE_FORMAT = 258, 277, 339
_ALIKE: Final = (
    WIDTH, HEIGHT, _BITS, _BANDS, _SAMPLE_FORMAT, _SCALE, _GEO_KEYS, _GEO_NUMBERS, _GEO_TEXTS, _GDAL_METADATA,
    _GDAL_NODATA,
)  # fmt: skip
"""Tags that decide how the cells of a tile are understood."""

_METADATA: Final = re.compile(rb'<Item[^>]*role="(?:scale|offset|unittype|description)"[^>]*>[^<]*')

_POINT: Final = (1025, 0, 1, 2)
"""The GeoTIFF key that puts a tie point on the centre of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightHeader:
    """Where the cells of a file lie, and in which system."""

    path: Path
    transform: Transform
    height: int
    """Rows."""

    width: int
    """Columns."""

    crs: str
    """Horizontal CRS as WKT 2, geographic or projected."""

    vertical_crs: str | None
    """Name of the vertical part, where the file's CRS has one; `ELLIPSOIDAL` for that of a three-dimensional one."""

    band: int
    """The one that holds the heights, from 1."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the header of one file.

        Raises
        ------
        HeightsError
            It is no raster of one band in metres with a CRS.
        """
        try:
            with open_raster(path) as dataset:
                return cls._of(path, dataset)
        except (DeliveryError, CRSError) as error:
            raise HeightsError(str(error)) from None

    @classmethod
    def _of(cls, path: Path, dataset: DatasetReader) -> Self:
        if dataset.crs is None or dataset.transform.is_identity:
            raise HeightsError(f"{path.name}: no CRS or no place in it; heights need a georeferenced raster")
        band = _band(path, dataset)
        unit = dataset.units[band - 1] or "m"
        if unit.lower() not in _METRES:
            raise HeightsError(f"{path.name}: heights in {unit!r}; convert them to metres")
        if dataset.subdatasets:
            raise HeightsError(f"{path.name}: {len(dataset.subdatasets)} rasters in it; give a file with one")
        horizontal, vertical = _parts(CRS.from_user_input(dataset.crs.to_wkt()))
        return cls(
            path=path,
            transform=tuple(dataset.transform)[:6],
            height=dataset.height,
            width=dataset.width,
            crs=horizontal,
            vertical_crs=vertical,
            band=band,
        )


def is_tile(name: str) -> bool:
    """Whether a file of that name is taken for a tile."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".") and not _BESIDE.fullmatch(name)


def find_files(source: Source) -> tuple[Path, list[Path]]:
    """What the DEM is called, and its files, ordered by their names.

    Raises
    ------
    HeightsError
        There is none, or the source is an address.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        return path, sorted(_files(source), key=_by_name)
    paths = list(source)
    found = {file for path in paths for file in _files(path)}
    if not found:
        raise HeightsError("DEM: an empty list; give its files or folders")
    parent = Path(os.path.commonpath([file.parent for file in found]))
    return parent if len(found) > 1 else next(iter(found)), sorted(found, key=_by_name)


def _files(source: Path | str) -> list[Path]:
    if _ADDRESS.match(str(source)):
        raise HeightsError(f"{source}: heights are read from files of this machine; copy them, or mount their store")
    path = Path(source).absolute()  # a worker may run in another folder
    if path.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names if is_tile(name)]
        if not files:
            raise HeightsError(f"{path.name}: no tile in this folder; tiles end in {', '.join(SUFFIXES)}")
        return files
    if path.exists() or not any(letter in str(source) for letter in "*?["):
        return [path]  # opening it says what is wrong with it
    try:
        files = [file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file()]
    except (ValueError, NotImplementedError) as error:
        raise HeightsError(f"{source}: no pattern ({error})") from None
    if not files:
        raise HeightsError(f"{source}: no file is called so")
    return files


def _by_name(file: Path) -> tuple[str, str]:
    return file.name, str(file)


def read_headers(paths: Sequence[Path]) -> list[HeightHeader]:
    """Read the headers of many tiles; they come in the order of their paths.

    Raises
    ------
    HeightsError
        One of them is no height raster.
    """
    kinds: dict[object, list[int]] = {}
    transforms: list[Transform | None] = []
    for index, path in enumerate(paths):
        kind, transform = _kind(path)
        kinds.setdefault(kind, []).append(index)
        transforms.append(transform)
    found: dict[int, HeightHeader] = {}
    for members in kinds.values():
        first = HeightHeader.read(paths[members[0]])
        ruled = transforms[members[0]] == first.transform
        for index in members:
            transform = transforms[index]
            found[index] = (
                replace(first, path=paths[index], transform=transform)
                if ruled and transform is not None
                else HeightHeader.read(paths[index])
            )
    return [found[index] for index in range(len(paths))]


def _kind(path: Path) -> tuple[object, Transform | None]:
    """What tiles must share to differ in their place alone, and the place that follows by rule, if there is one."""
    try:
        if match := _HGT.fullmatch(path.name):
            size = path.stat().st_size
            side = math.isqrt(size // 2)
            return ("hgt", size), _hgt_transform(match, side) if 2 * side * side == size and side > 1 else None
        layout = read_layout(path)
        if layout is None or not {_SCALE, _TIE, _GEO_KEYS} <= set(layout.directories[0]):
            return path, None
        return _tiff_kind(layout)
    except DeliveryError as error:
        raise HeightsError(str(error)) from None
    except OSError as error:
        raise HeightsError(f"{path.name}: it cannot be read ({error.strerror})") from None


def _hgt_transform(match: re.Match[str], side: int) -> Transform:
    """The name is the place of the south-western cell; cells lie on whole degrees at all four edges (SRTM)."""
    south = int(match[2]) * (1 if match[1] in "Nn" else -1)
    west = int(match[4]) * (1 if match[3] in "Ee" else -1)
    step = 1.0 / (side - 1)
    half = 0.5 / (side - 1)
    return step, 0.0, west - half, 0.0, -step, south + 1 + half


def _tiff_kind(layout: TiffLayout) -> tuple[object, Transform | None]:
    """All that GDAL takes from a GeoTIFF but its tie point, and the transform that the tie point gives (OGC 19-008)."""
    directory = layout.directories[0]
    read = {tag: layout.values(directory[tag]) for tag in (*_ALIKE, _TIE) if tag in directory}
    kind = tuple((tag, _alike(tag, read[tag].tobytes())) for tag in _ALIKE if tag in read)
    scale, tie, keys = read[_SCALE], read[_TIE], read[_GEO_KEYS]
    if len(scale) < 2 or len(tie) != 6 or scale[1] <= 0:
        return kind, None
    across, down = float(scale[0]), -float(scale[1])
    west, north = float(tie[3]) - float(tie[0]) * across, float(tie[4]) - float(tie[1]) * down
    if any(tuple(keys[at : at + 4]) == _POINT for at in range(4, len(keys), 4)):  # places of centres, not of corners
        west, north = west - across * 0.5, north - down * 0.5
    return kind, (across, 0.0, west, 0.0, down, north)


def _alike(tag: int, content: bytes) -> object:
    """What counts of a tag: of GDAL's metadata neither statistics nor history."""
    return tuple(_METADATA.findall(content)) if tag == _GDAL_METADATA else content


def _band(path: Path, dataset: DatasetReader) -> int:
    """The only band, or the one that PROJ's grids name."""
    if dataset.count == 1:
        return 1
    named = [number for number, name in enumerate(dataset.descriptions, 1) if name == _UNDULATION]
    if len(named) != 1:
        raise HeightsError(f"{path.name}: {dataset.count} bands; give a raster whose only band is heights in metres")
    return named[0]


def _parts(crs: CRS) -> tuple[str, str | None]:
    """The horizontal CRS, and the name of the vertical one."""
    if crs.is_compound:
        horizontal, vertical = crs.sub_crs_list[:2]
        return _flat(horizontal.to_wkt()), vertical.name
    return _flat(crs.to_wkt()), ELLIPSOIDAL if len(crs.axis_info) == 3 else None


@lru_cache(maxsize=64)
def _flat(wkt: str) -> str:
    return CRS.from_wkt(wkt).to_2d().to_wkt()
