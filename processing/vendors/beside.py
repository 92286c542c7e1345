"""Which of the files beside a raster hold its sensor model, and where the raster begins in the image they describe.

A file belongs to a raster by its name, or because a product file (DIMAP's ``DIM_….XML``, DigitalGlobe's ``.TIL``) names
both. Files with the raster's own name describe the raster; those of a product describe the whole image.
"""

from pathlib import Path
from typing import Final

from processing.errors import SensorModelError
from processing.vendors import dimap1, geom, isd, til
from processing.vendors.dimap_product import DimapProduct, tile_of
from processing.vendors.folder import Folder
from processing.vendors.sidecar import read_head, read_xml

SIDECARS: Final = ("{}_RPC.TXT", "{}.RPB", "{}_RPC.XML", "{}.RPC")
"""Names beside a raster, or beside a TIL file, of that stem, which hold nothing but an RPC."""

_MOST_PRODUCTS = 50
"""More product files in one folder are only looked into where their names begin like the raster's."""


def sidecars(raster: Path) -> list[Path]:
    """The files that hold the sensor model of a raster, the likeliest first; none, one or several.

    Raises
    ------
    SensorModelError
        A product file cannot be read, or names an RPC that is not there; a link leads out of the folder.
    """
    folder = Folder.of(raster)
    found = _of_stem(folder, raster.stem)
    tiles = _til(folder, raster)
    if tiles is not None:
        found += _of_stem(folder, tiles[0].stem)
    found += _dimap(folder, raster, needed=not found)
    found += [path for path in folder.matching(r"PHRDIMAP.*\.XML") if _names(path, raster)]
    return list(dict.fromkeys(found))


def descriptions(raster: Path) -> list[Path]:
    """The files that tell of a raster's acquisition and calibration, the likeliest first.

    Raises
    ------
    SensorModelError
        A product file cannot be read; a link leads out of the folder.
    """
    folder = Folder.of(raster)
    tiles = _til(folder, raster)
    stems = [raster.stem] + ([tiles[0].stem] if tiles is not None else [])
    found = [path for stem in stems for path in (*folder.named(f"{stem}.IMD"), *_isd(folder, stem))]
    product = _product(folder, raster)
    return found + ([folder.path / product.file] if product is not None else [])


def first_pixel(raster: Path, sidecar: Path, *, whole: bool) -> tuple[int, int]:
    """Row and column, from 0, of a raster's first pixel in the image that a sidecar describes.

    Parameters
    ----------
    raster, sidecar
        The files.
    whole
        Whether the sidecar is of a format that describes whole products (DIMAP).

    Raises
    ------
    SensorModelError
        The raster is a tile, and nothing says where it begins.
    """
    folder = Folder.of(raster)
    if whole:
        product = _product(folder, raster)
        if product is not None:
            return product.first_pixel(raster.name)
        if tile_of(raster.stem)[1] != (1, 1):
            raise SensorModelError(
                f"{raster.name}: a tile, and {sidecar.name} is of the whole image; put its product's DIM_….XML there"
            )
    elif sidecar.stem.lower() != raster.stem.lower():
        tiles = _til(folder, raster)
        if tiles is not None and sidecar.name.lower() in (
            path.name.lower() for path in _of_stem(folder, tiles[0].stem)
        ):
            return tiles[1]
    return 0, 0


def _of_stem(folder: Folder, stem: str) -> list[Path]:
    named = folder.named(*(name.format(stem) for name in SIDECARS))
    return named + _isd(folder, stem) + [path for path in folder.named(f"{stem}.geom") if geom.holds_rpc(path)]


def _isd(folder: Folder, stem: str) -> list[Path]:
    """``STEM.XML``, if it is DigitalGlobe's: other vendors give that name to other documents."""
    return [path for path in folder.named(f"{stem}.XML") if f"<{isd.ROOT}".encode() in read_head(path, count=1000)]


def _til(folder: Folder, raster: Path) -> tuple[Path, tuple[int, int]] | None:
    """The TIL file that names a raster, and where the raster begins in the whole."""
    found = [(path, place) for path in folder.matching(r".*\.TIL") if (place := til.first_pixel(path, raster.name))]
    if len(found) > 1:
        raise SensorModelError(
            f"{raster.name}: both {found[0][0].name} and {found[1][0].name} name it; keep the one of its product"
        )
    return found[0] if found else None


def _dimap(folder: Folder, raster: Path, *, needed: bool) -> list[Path]:
    """The RPC file that the product file names, or else the one named as the raster is."""
    product = _product(folder, raster)
    if product is not None:
        found = folder.named(product.rpc) if product.rpc else []
        if product.rpc and needed and not found:
            raise SensorModelError(
                f"{product.file}: names {product.rpc}, which is not there; put it beside {raster.name}"
            )
        return found
    if not raster.stem.upper().startswith("IMG_"):
        return []
    whole, _ = tile_of(raster.stem)
    return folder.named(*dict.fromkeys(f"RPC_{stem[4:]}.XML" for stem in (whole, raster.stem)))


def _product(folder: Folder, raster: Path) -> DimapProduct | None:
    """The DIMAP product file that names a raster."""
    if not raster.stem.upper().startswith("IMG_"):
        return None
    paths = folder.matching(r"DIM_.*\.XML")
    if len(paths) > _MOST_PRODUCTS:
        paths = [path for path in paths if raster.stem[4:].lower().startswith(path.stem[4:].lower())]
    found = [product for product in map(DimapProduct.read, paths) if raster.name.lower() in product.tiles]
    if len(found) > 1:
        raise SensorModelError(
            f"{raster.name}: both {found[0].file} and {found[1].file} name it; keep the one of its product"
        )
    return found[0] if found else None


def _names(path: Path, raster: Path) -> bool:
    root = read_xml(path)
    return root.tag in dimap1.ROOTS and raster.name.lower() in (name.lower() for name in dimap1.images(root))
