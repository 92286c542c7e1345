"""``NAME_RPC.TXT``: one ``KEY: value unit`` a line, as GeoEye began it and GDAL reads and writes it.

Pixel (0, 0) is the centre of the first pixel, as everywhere in this project.
"""

import re
from pathlib import Path

from processing.errors import SensorModelError
from processing.rpc import Rpc

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

_LINE = re.compile(r"\s*(\w+)\s*:\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\b.*", flags=re.ASCII)

_MAX_BYTES = 100_000
"""A sidecar has some 3 kB."""


def sidecar(raster: Path) -> Path | None:
    """The sidecar of a raster, if there is one."""
    names = (f"{raster.stem}_RPC.TXT", f"{raster.stem}_rpc.txt", f"{raster.stem}_RPC.txt")
    return next((path for path in map(raster.with_name, names) if path.is_file()), None)


def read(path: Path) -> Rpc:
    """Read a sidecar.

    Raises
    ------
    SensorModelError
        It is no text, or a number is missing, given twice or no number.
    """
    values = _values(path)
    missing = [key for key in _keys() if key not in values]
    if missing:
        raise SensorModelError(
            f"{path.name}: no {missing[0]} ({len(missing)} of 90 numbers are missing or unreadable); "
            "give every line of an RPC00B sidecar"
        )
    numbers = {name: values[key] for key, (name, _) in _NUMBERS.items()}
    polynomials = {name: [values[f"{key}_{k}"] for k in range(1, 21)] for key, name in _POLYNOMIALS.items()}
    try:
        return Rpc(**numbers, **polynomials)  # type: ignore[arg-type]
    except SensorModelError as error:
        raise SensorModelError(f"{path.name}: {error}") from None


def write(rpc: Rpc, path: Path) -> None:
    """Write a sidecar that reads back to the same bits."""
    lines = [f"{key}: {getattr(rpc, name)!r} {unit}" for key, (name, unit) in _NUMBERS.items()]
    for key, name in _POLYNOMIALS.items():
        lines += [f"{key}_{k}: {float(value)!r}" for k, value in enumerate(getattr(rpc, name), start=1)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _keys() -> list[str]:
    return [*_NUMBERS, *(f"{key}_{k}" for key in _POLYNOMIALS for k in range(1, 21))]


def _values(path: Path) -> dict[str, float]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SensorModelError(f"{path.name}: more than {_MAX_BYTES} bytes; an RPC sidecar has some 3 kB")
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise SensorModelError(f"{path.name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SensorModelError(f"{path.name}: no plain text; give lines such as 'LINE_OFF: 16109.5 pixels'") from None
    values: dict[str, float] = {}
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        key = match[1].upper()
        if key in values:
            raise SensorModelError(f"{path.name}: {key} comes twice; give it once")
        try:
            values[key] = float(match[2])
        except ValueError:
            raise SensorModelError(f"{path.name}: {key} is {match[2]!r}; give a number") from None
    return values
