"""DIMAP 1 of Pléiades (``PHRDIMAP….XML``, the inventory and CNES's own products): model and description in one file.

``F_ROW`` and ``F_COL`` hold 20 coefficients of a numerator and 20 of its denominator, in the order of RPC00B; each
domain has a half A and a middle B. The first pixel's centre is (1, 1): the files say so (PIXEL_ORIGIN 1, RASTER_CS_TYPE
POINT), and shareloc reads them so (`rpc_reader_dimap_v1`). SPOT 5's DIMAP 1 (METADATA.DIM) has no RPC.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b
from processing.vendors.dimap import only
from processing.vendors.sidecar import number, numbers, read_xml

ROOTS = ("PHR_DIMAP_Document", "PHR_Dimap_Document")

_DOMAINS = {"line": "Row", "samp": "Col", "lat": "Lat", "lon": "Lon", "height": "Alt"}


def read(path: Path) -> Rpc:
    """Read the RPC of a whole scene.

    Raises
    ------
    SensorModelError
        It is no such file, or a number is missing, given twice or none.
    """
    return from_root(path.name, read_xml(path))


def from_root(file: str, root: Element) -> Rpc:
    """The model below the root of such a file.

    Raises
    ------
    SensorModelError
        As `read`.
    """
    models = root.findall("Geoposition/Rational_Sensor_Model/Global_RFM")
    if len(models) != 1:
        raise SensorModelError(
            f"{file}: {len(models)} elements Geoposition/Rational_Sensor_Model/Global_RFM; give a file with one"
        )
    model = models[0]
    values = {}
    for ours, tag in _DOMAINS.items():
        for kind, letter in (("off", "B"), ("scale", "A")):
            path = f"RFM_Validity/{tag}/{letter}"
            values[f"{ours}_{kind}"] = number(only(file, model, path), what=f"{file}: {path}")
    polynomials: dict[str, list[float]] = {}
    for axis, tag in (("line", "F_ROW"), ("samp", "F_COL")):
        path = f"Inverse_Model/{tag}"
        both = numbers(only(file, model, path), count=40, what=f"{file}: {path}")
        polynomials |= {f"{axis}_num": both[:20], f"{axis}_den": both[20:]}
    return rpc00b.model(file, values, polynomials).shifted(rows=1, cols=1)


def images(root: Element) -> list[str]:
    """The names of the image files that such a file describes."""
    return [(found.text or "").strip() for found in root.iter("DATA_FILE_PATH")]
