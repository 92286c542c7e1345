"""``DIM_….XML`` of Airbus: which image files a product has, where each tile lies, and which file holds its RPC."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.vendors.dimap import ROOT
from processing.vendors.sidecar import read_xml, shortened

_TILE = re.compile(r"_R(\d{1,4})C(\d{1,4})$", flags=re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DimapProduct:
    """What a product file says about its files."""

    file: str
    """Its own name, for messages."""

    rpc: str | None
    """Name of the RPC file; None for a product on a map grid."""

    tiles: Mapping[str, tuple[int, int]]
    """Lower-case name of each image file → row and column of its tile, from 1."""

    tile_size: tuple[int, int] | None
    """Rows and columns of a tile; None where the file does not say."""

    overlap: bool
    """Whether tiles overlap, by an amount that the format leaves open."""

    root: Element
    """The document."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a product file.

        Raises
        ------
        SensorModelError
            It is no readable DIMAP document.
        """
        return cls.from_root(path.name, read_xml(path))

    @classmethod
    def from_root(cls, file: str, root: Element) -> Self:
        """The product below the root of a file.

        Raises
        ------
        SensorModelError
            As `read`.
        """
        if root.tag != ROOT:
            raise SensorModelError(f"{file}: its root is {shortened(root.tag)}; give a DIMAP file ({ROOT})")
        tiling = root.find("Raster_Data/Raster_Dimensions/Tile_Set/Regular_Tiling")
        return cls(
            file=file,
            rpc=_rpc(file, root),
            tiles=_tiles(file, root),
            tile_size=_tile_size(file, tiling),
            overlap=any(_overlaps(tiling, tag) for tag in ("OVERLAP_ROW", "OVERLAP_COL")),
            root=root,
        )

    def first_pixel(self, raster: str) -> tuple[int, int]:
        """Row and column, from 0, of a tile's first pixel in the whole image.

        Raises
        ------
        SensorModelError
            The product has no such file; or its tiles overlap, or have no size.
        """
        tile = self.tiles.get(raster.lower())
        if tile is None:
            raise SensorModelError(f"{self.file}: does not name {raster}; give the product file that does")
        if tile == (1, 1):
            return 0, 0
        if self.overlap or self.tile_size is None:
            raise SensorModelError(
                f"{self.file}: {'tiles overlap' if self.overlap else 'no Regular_Tiling/NTILES_SIZE'}, so where "
                f"{raster} begins is unknown; give an RPC of this tile, as {Path(raster).stem}_RPC.TXT"
            )
        return (tile[0] - 1) * self.tile_size[0], (tile[1] - 1) * self.tile_size[1]


def tile_of(stem: str) -> tuple[str, tuple[int, int]]:
    """A raster's name without its tile, and the tile: ``IMG_X_R2C1`` → ``IMG_X``, (2, 1); without one it is (1, 1)."""
    match = _TILE.search(stem)
    return (stem[: match.start()], (int(match[1]), int(match[2]))) if match else (stem, (1, 1))


def _rpc(file: str, root: Element) -> str | None:
    found = {
        component.get("href", "")
        for component in root.findall("Geoposition/Geoposition_Models/Rational_Function_Model/Component/COMPONENT_PATH")
    }
    if len(found) > 1:
        raise SensorModelError(f"{file}: names {len(found)} RPC files; give the one of this raster by hand")
    return _plain(file, found.pop()) if found else None


def _tiles(file: str, root: Element) -> dict[str, tuple[int, int]]:
    tiles = {}
    for data_file in root.iter("Data_File"):
        path = data_file.find("DATA_FILE_PATH")
        if path is not None:
            place = [data_file.get(name, "1") for name in ("tile_R", "tile_C")]
            if not all(re.fullmatch(r"0{0,3}[1-9]\d{0,3}", part, flags=re.ASCII) for part in place):
                raise SensorModelError(f"{file}: tile {shortened(' '.join(place))}; tiles are counted from 1")
            tiles[_plain(file, path.get("href", "")).lower()] = (int(place[0]), int(place[1]))
    return tiles


def _tile_size(file: str, tiling: Element | None) -> tuple[int, int] | None:
    size = None if tiling is None else tiling.find("NTILES_SIZE")
    if size is None:
        return None
    sides = [size.get(name, "") for name in ("nrows", "ncols")]
    if not all(re.fullmatch(r"[1-9]\d{0,6}", side, flags=re.ASCII) for side in sides):
        raise SensorModelError(f"{file}: NTILES_SIZE {shortened(' × '.join(sides))}; give rows and columns in pixels")
    return int(sides[0]), int(sides[1])


def _overlaps(tiling: Element | None, tag: str) -> bool:
    text = None if tiling is None else tiling.findtext(tag)
    return (text or "").strip() not in ("", "0")


def _plain(file: str, name: str) -> str:
    """A name without folders: no other folder is looked into."""
    if name != Path(name).name or "\\" in name:
        raise SensorModelError(f"{file}: names {shortened(name)}, not a file beside it; put all files into one folder")
    return name
