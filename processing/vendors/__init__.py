"""The sensor models that vendors deliver: one small reader per format, and what lies beside a raster.

    raster ──► sidecars, by name ──► read, by content ──► moved to where the raster begins ──► all agree, or an error

docs/sensor-models.md lists the formats, where they lie, and what each calls the first pixel.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from processing.errors import SensorModelError
from processing.raster import open_raster
from processing.rpc import Rpc
from processing.sensor import SensorModel
from processing.vendors import (
    camera_json,
    dimap,
    dimap1,
    dimap_metadata,
    geom,
    geotiff,
    imd,
    isd,
    nitf,
    rpb,
    rpc_numbers,
    rpc_text,
)
from processing.vendors.beside import descriptions, first_pixel, sidecars
from processing.vendors.dimap_product import DimapProduct
from processing.vendors.metadata import VendorMetadata
from processing.vendors.sidecar import read_head, read_xml, shortened

AGREEMENT_PX: Final = 0.01
"""Two sensor models of one raster that differ by less are the same, written with other digits."""

_XML_READERS: Final[dict[str, Callable[[str, Element], Rpc]]] = {
    dimap.ROOT: dimap.from_root,
    isd.ROOT: isd.from_root,
    **dict.fromkeys(dimap1.ROOTS, dimap1.from_root),
}
"""Root of the document → its reader."""

_WHOLE: Final = (dimap.ROOT, *dimap1.ROOTS)
"""Documents that describe a whole product, whatever tiles it was cut into."""

_TEXT_READERS: Final[tuple[tuple[bytes, Callable[[Path], Rpc]], ...]] = (
    (rb"BEGIN_GROUP\s*=", rpb.read),
    (rb"polynomial_format\s*:", geom.read),
    (rb"\A[\s\d.,+\-eE]+\Z", rpc_numbers.read),
    (rb"", rpc_text.read),
)
"""What the beginning of a text file holds → its reader; the first that fits."""

_PEEK_BYTES = 100_000
"""By then a file has shown what it is: a geom names the kind of its polynomials after some 4 kB."""


def find(raster: Path) -> Rpc:
    """The sensor model that belongs to a raster: that of the sidecars beside it, else the one inside the file.

    Raises
    ------
    SensorModelError
        There is none, one cannot be read, or two sidecars differ.
    DeliveryError
        The raster is none.
    """
    beside = [(path, read(path, raster)) for path in sidecars(raster)]
    for path, rpc in beside[1:]:
        apart = _apart_px(beside[0][1], rpc)
        if not apart <= AGREEMENT_PX:
            raise SensorModelError(
                f"{raster.name}: {beside[0][0].name} and {path.name} see the same ground up to {apart:.3g} px apart; "
                "remove one, or name the right one in the manifest (rasters.rpc)"
            )
    if beside:
        return beside[0][1]
    with open_raster(raster) as dataset:
        inside = nitf.read(dataset) if dataset.driver == "NITF" else geotiff.read(dataset)
    if inside is None:
        raise SensorModelError(
            f"{raster.name}: no RPC; put {raster.stem}_RPC.TXT beside it, name the file of its sensor model, "
            "or deliver a file with an RPC tag inside"
        )
    return inside


def read_model(path: Path, raster: Path | None = None) -> SensorModel:
    """The sensor model in a file: a rigorous camera in JSON, or an RPC in any of the formats.

    Raises
    ------
    SensorModelError
        As `read` and `camera_json.read`; or the camera's image is of another size than the raster.
    """
    if not read_head(path, count=_PEEK_BYTES).lstrip(b" \t\r\n").startswith(b"{"):
        return read(path, raster)
    camera = camera_json.read(path)
    if raster is not None:
        with open_raster(raster) as dataset:
            size = dataset.height, dataset.width
        if size != (camera.rows, camera.columns):
            raise SensorModelError(
                f"{path.name}: for an image of {camera.rows} × {camera.columns} pixels; {raster.name} has "
                f"{size[0]} × {size[1]}: give the camera of this very image"
            )
    return camera


def read(path: Path, raster: Path | None = None) -> Rpc:
    """The RPC in a file of any of the formats, told apart by what it holds.

    Parameters
    ----------
    path
        The file.
    raster
        The raster that it is for: where that is a tile, the model is moved to where the tile begins.

    Raises
    ------
    SensorModelError
        It is none of the formats, or cannot be read.
    """
    head = read_head(path, count=_PEEK_BYTES)
    whole = False
    if _is_xml(head):
        root = read_xml(path)
        if root.tag not in _XML_READERS:
            raise SensorModelError(
                f"{path.name}: XML with the root {shortened(root.tag)}; give one of {', '.join(_XML_READERS)}"
            )
        rpc = _XML_READERS[root.tag](path.name, root)
        whole = root.tag in _WHOLE
    else:
        rpc = next(reader for sign, reader in _TEXT_READERS if re.search(sign, head))(path)
    if raster is None:
        return rpc
    rows, cols = first_pixel(raster, path, whole=whole)
    return rpc.shifted(rows=rows, cols=cols)


def find_metadata(raster: Path) -> VendorMetadata | None:
    """What the files beside a raster say of its acquisition and calibration; None where there are none.

    Raises
    ------
    SensorModelError
        The likeliest of them cannot be read.
    """
    files = descriptions(raster)
    return read_metadata(files[0], raster) if files else None


def read_metadata(path: Path, raster: Path | None = None) -> VendorMetadata:
    """What a DIMAP product file, an IMD file or an ISD file says; of one raster's bands only, where that is named.

    Raises
    ------
    SensorModelError
        It is none of the three, or cannot be read.
    """
    if not _is_xml(read_head(path, count=_PEEK_BYTES)):
        return imd.read(path)
    root = read_xml(path)
    if root.tag == isd.ROOT:
        return imd.from_root(path.name, root)
    product = DimapProduct.from_root(path.name, root)
    return dimap_metadata.from_product(product, None if raster is None else raster.name)


def _is_xml(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _apart_px(one: Rpc, other: Rpc) -> float:
    """The largest distance between two models' pixels over the domain of the first; infinite where one has no pixel."""
    axis = np.linspace(-1.0, 1.0, 5)
    x, y, z = (part.ravel() for part in np.meshgrid(axis, axis, axis))
    ground = (one.lon_off + one.lon_scale * x, one.lat_off + one.lat_scale * y, one.height_off + one.height_scale * z)
    with np.errstate(all="ignore"):  # numbers beyond any image end as infinite
        distance = np.hypot(*np.subtract(one.project(*ground), other.project(*ground)))
    return float(distance.max()) if np.isfinite(distance).all() else float("inf")
