"""``.RPB`` of WorldView, GeoEye and QuickBird, and the ``.rpb`` of Gaofen, Ziyuan and Jilin-1 in the same layout.

Pixel (0, 0) is the centre of the first pixel: GDAL calls that the "Digital globe convention" (reader_pleiades.cpp) and
shifts nothing (`GDALLoadRPBFile`).
"""

from collections.abc import Mapping
from pathlib import Path

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import pvl, rpc00b
from processing.vendors.sidecar import number, numbers

_NUMBERS = {
    "lineOffset": "line_off",
    "sampOffset": "samp_off",
    "latOffset": "lat_off",
    "longOffset": "lon_off",
    "heightOffset": "height_off",
    "lineScale": "line_scale",
    "sampScale": "samp_scale",
    "latScale": "lat_scale",
    "longScale": "lon_scale",
    "heightScale": "height_scale",
}
_POLYNOMIALS = {
    "lineNumCoef": "line_num",
    "lineDenCoef": "line_den",
    "sampNumCoef": "samp_num",
    "sampDenCoef": "samp_den",
}


def read(path: Path) -> Rpc:
    """Read an RPB file.

    Raises
    ------
    SensorModelError
        It is no such file, or a value is missing, given twice or no number.
    """
    return from_fields(path.name, pvl.read(path))


def from_fields(file: str, fields: Mapping[str, str]) -> Rpc:
    """The model in the fields of an RPB file, keys in lower case; ``file`` names it in messages.

    Raises
    ------
    SensorModelError
        A field is missing or no number.
    """
    missing = [key for key in (*_NUMBERS, *_POLYNOMIALS) if f"image.{key.lower()}" not in fields]
    if missing:
        raise SensorModelError(f"{file}: no {missing[0]} in the group IMAGE; give all 14 values of an RPB file")
    values = {name: number(fields[f"image.{key.lower()}"], what=f"{file}: {key}") for key, name in _NUMBERS.items()}
    polynomials = {
        name: numbers(fields[f"image.{key.lower()}"], count=20, what=f"{file}: {key}")
        for key, name in _POLYNOMIALS.items()
    }
    return rpc00b.model(file, values, polynomials, order=fields.get("specid", "RPC00B").upper())
