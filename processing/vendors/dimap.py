"""DIMAP v2 RPC files of Pléiades and SPOT 6/7 (Airbus, Pléiades Imagery User Guide, appendix on the RFM model).

``Inverse_Model`` leads from the ground to the image. DIMAP calls the first pixel (1, 1): 1 is taken off both offsets.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from processing.errors import SensorModelError
from processing.rpc import Rpc

_MAX_BYTES = 5_000_000
"""An RPC file has some 13 kB."""


def read(path: Path) -> Rpc:
    """Read the RPC of a whole scene; a part of it, such as tile R2C1, needs `Rpc.shifted` by its first pixel.

    Raises
    ------
    SensorModelError
        It is no DIMAP v2 RPC file, or a number is missing or none.
    """
    model = _parse(path).find("Rational_Function_Model/Global_RFM")
    if model is None or model.find("Inverse_Model") is None or model.find("RFM_Validity") is None:
        raise SensorModelError(
            f"{path.name}: no Rational_Function_Model/Global_RFM with Inverse_Model and RFM_Validity; "
            "give the RPC_….XML of a DIMAP v2 product"
        )

    def number(tag: str) -> float:
        text = model.findtext(tag)
        try:
            return float(text or "")
        except ValueError:
            raise SensorModelError(f"{path.name}: {tag} is {text!r}; give a number") from None

    def polynomial(name: str) -> list[float]:
        return [number(f"Inverse_Model/{name}_COEFF_{k}") for k in range(1, 21)]

    def domain(kind: str) -> dict[str, float]:
        names = {"line": "LINE", "samp": "SAMP", "lat": "LAT", "lon": "LONG", "height": "HEIGHT"}
        return {f"{ours}_{kind.lower()}": number(f"RFM_Validity/{tag}_{kind}") for ours, tag in names.items()}

    try:
        one_based = Rpc(
            **domain("OFF"),
            **domain("SCALE"),
            line_num=polynomial("LINE_NUM"),  # type: ignore[arg-type]
            line_den=polynomial("LINE_DEN"),  # type: ignore[arg-type]
            samp_num=polynomial("SAMP_NUM"),  # type: ignore[arg-type]
            samp_den=polynomial("SAMP_DEN"),  # type: ignore[arg-type]
        )
    except SensorModelError as error:
        if str(error).startswith(path.name):
            raise
        raise SensorModelError(f"{path.name}: {error}") from None
    return one_based.shifted(rows=1, cols=1)


def _parse(path: Path) -> Element:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SensorModelError(f"{path.name}: more than {_MAX_BYTES} bytes; a DIMAP RPC file has some 13 kB")
        root: Element = defusedxml.ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise SensorModelError(f"{path.name}: cannot be read ({error.strerror})") from None
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise SensorModelError(f"{path.name}: no readable XML ({type(error).__name__}: {error})") from None
    return root
