"""``NAME_RPC.TXT``: one ``KEY: value unit`` a line, as Space Imaging began it and GDAL reads and writes it.

IKONOS, GeoEye, SkySat, Jilin-1 (``_rpc.txt``), KOMPSAT and EROS (``.rpc``) come with it. Pixel (0, 0) is the centre of
the first pixel (GDAL RFC 22), as everywhere in this project.
"""

import re
from pathlib import Path

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b
from processing.vendors.sidecar import number, read_text

_NUMBERS = {
    "LINE_OFF": ("line_off", "pixels"),
    "SAMP_OFF": ("samp_off", "pixels"),
    "LAT_OFF": ("lat_off", "degrees"),
    "LONG_OFF": ("lon_off", "degrees"),
    "HEIGHT_OFF": ("height_off", "meters"),
    "LINE_SCALE": ("line_scale", "pixels"),
    "SAMP_SCALE": ("samp_scale", "pixels"),
    "LAT_SCALE": ("lat_scale", "degrees"),
    "LONG_SCALE": ("lon_scale", "degrees"),
    "HEIGHT_SCALE": ("height_scale", "meters"),
}
"""Key in the file → name in `Rpc` and unit."""

_POLYNOMIALS = {
    "LINE_NUM_COEFF": "line_num",
    "LINE_DEN_COEFF": "line_den",
    "SAMP_NUM_COEFF": "samp_num",
    "SAMP_DEN_COEFF": "samp_den",
}

_LINE = re.compile(r"\s*(\w{1,40})\s*:\s*(\S*).*", flags=re.ASCII)

MAX_BYTES = 100_000
"""A sidecar has some 3 kB."""


def read(path: Path) -> Rpc:
    """Read a sidecar.

    Raises
    ------
    SensorModelError
        It is no text, or a number is missing, given twice or none.
    """
    values = _values(path.name, read_text(path, limit=MAX_BYTES, example="LINE_OFF: 16109.5 pixels"))
    missing = [key for key in _keys() if key not in values]
    if missing:
        raise SensorModelError(
            f"{path.name}: no {missing[0]} ({len(missing)} of 90 numbers are missing); "
            "give every line of an RPC00B sidecar"
        )
    numbers = {name: values[key] for key, (name, _) in _NUMBERS.items()}
    polynomials = {name: [values[f"{key}_{k}"] for k in range(1, 21)] for key, name in _POLYNOMIALS.items()}
    return rpc00b.model(path.name, numbers, polynomials)


def write(rpc: Rpc, path: Path) -> None:
    """Write a sidecar that reads back to the same bits."""
    lines = [f"{key}: {getattr(rpc, name)!r} {unit}" for key, (name, unit) in _NUMBERS.items()]
    for key, name in _POLYNOMIALS.items():
        lines += [f"{key}_{k}: {float(value)!r}" for k, value in enumerate(getattr(rpc, name), start=1)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _keys() -> list[str]:
    return [*_NUMBERS, *(f"{key}_{k}" for key in _POLYNOMIALS for k in range(1, 21))]


def _values(file: str, text: str) -> dict[str, float]:
    """The numbers of the model; lines with other keys tell of other things."""
    needed = frozenset(_keys())
    values: dict[str, float] = {}
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        key = match[1].upper()
        if key not in needed:
            continue
        if key in values:
            raise SensorModelError(f"{file}: {key} comes twice; give it once")
        values[key] = number(match[2], what=f"{file}: {key}")
    return values
