"""DIMAP 2 and 3 RPC files of Airbus: Pléiades, SPOT 6/7, PeruSat-1 and Pléiades Neo (``RPC_….XML``).

The model leads from the ground to the image: ``Inverse_Model``, which Pléiades Neo calls ``GroundtoImage_Values``; both
files also hold the opposite one, whose tags are the same in DIMAP 2 (Pléiades Imagery User Guide, appendix on the RFM).

What the centre of the first pixel is called follows from the profile: (1, 1) in DIMAP 2, (0, 0) for Pléiades Neo
(``PNEO_…``; GDAL #5716, #7653). FIRST_ROW and FIRST_COL say where the model holds, not where the image begins: they are
negative in real scenes; GDAL 3.5 to 3.7.0 subtracted FIRST_COL.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b
from processing.vendors.sidecar import number, read_xml

ROOT = "Dimap_Document"

_GROUND_TO_IMAGE = ("Inverse_Model", "GroundtoImage_Values")
"""What DIMAP 2 and Pléiades Neo call it."""

_TAGS = {"line": "LINE", "samp": "SAMP", "lat": "LAT", "lon": "LONG", "height": "HEIGHT"}


def read(path: Path) -> Rpc:
    """Read the RPC of a whole scene; `processing.vendors.find` shifts it to the tile that a raster is.

    Raises
    ------
    SensorModelError
        It is no DIMAP RPC file, or a number is missing, given twice or none.
    """
    return from_root(path.name, read_xml(path))


def from_root(file: str, root: Element) -> Rpc:
    """The model below the root of a DIMAP RPC file.

    Raises
    ------
    SensorModelError
        As `read`.
    """
    models = root.findall("Rational_Function_Model/Global_RFM")
    if len(models) != 1:
        raise SensorModelError(f"{file}: {len(models)} elements Rational_Function_Model/Global_RFM; {_remedy(root)}")
    inverse = [found for name in _GROUND_TO_IMAGE for found in models[0].findall(name)]
    validity = models[0].findall("RFM_Validity")
    if len(inverse) != 1 or len(validity) != 1:
        raise SensorModelError(
            f"{file}: Global_RFM must have one {' or '.join(_GROUND_TO_IMAGE)} and one RFM_Validity; "
            "give the RPC_….XML of a DIMAP product"
        )

    def value(group: Element, tag: str) -> float:
        return number(only(file, group, tag), what=f"{file}: {group.tag}/{tag}")

    values = {
        f"{ours}_{kind.lower()}": value(validity[0], f"{tag}_{kind}")
        for kind in ("OFF", "SCALE")
        for ours, tag in _TAGS.items()
    }
    polynomials = {
        name: [value(inverse[0], f"{name.upper()}_COEFF_{k}") for k in range(1, 21)] for name in rpc00b.POLYNOMIALS
    }
    first = _first_pixel(file, root, inverse[0])
    return rpc00b.model(file, values, polynomials).shifted(rows=first, cols=first)


def only(file: str, group: Element, path: str) -> str | None:
    """The text of the one element at that path below a group; None where there is none.

    Raises
    ------
    SensorModelError
        There is more than one.
    """
    found = group.findall(path)
    if len(found) > 1:
        raise SensorModelError(f"{file}: {path} comes {len(found)} times in {group.tag[:40]}; give it once")
    return found[0].text if found else None


def _first_pixel(file: str, root: Element, model: Element) -> int:
    """What the file calls the centre of the first pixel, in both directions."""
    profile = only(file, root, "Metadata_Identification/METADATA_PROFILE")
    if profile is not None and profile.strip():
        return 0 if profile.strip().upper().startswith("PNEO") else 1
    return 0 if model.tag == _GROUND_TO_IMAGE[1] else 1


def _remedy(root: Element) -> str:
    path = "Geoposition/Geoposition_Models/Rational_Function_Model/Component/COMPONENT_PATH"
    component = root.find(path)
    if component is not None:
        return f"this describes the product; give the RPC file that it names, {component.get('href', 'RPC_….XML')[:80]}"
    if root.find("Data_Strip") is not None:
        return "DIMAP 1 of SPOT 5 has a rigorous model only; give an RPC fitted to it, as a NAME_RPC.TXT"
    return "give the RPC_….XML of a DIMAP product"
