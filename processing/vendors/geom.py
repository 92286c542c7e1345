"""``.geom``: the keyword list of OSSIM, which the Orfeo ToolBox up to version 7 wrote beside an image.

Coefficients are counted from 00; ``polynomial_format`` says RPC00A or RPC00B. Pixel (0, 0) is the centre of the first
pixel: OSSIM takes 1 off DIMAP's offsets when it writes (a Pléiades scene with LINE_OFF 11470.5 has line_off 11469.5).
Adjustments, which a refinement leaves, are added as `ossimRpcModel::worldToLineSample` does.
"""

import re
from pathlib import Path

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b
from processing.vendors.sidecar import number, read_head, read_text

MAX_BYTES = 1_000_000
"""A geom file has some 8 kB, with a rigorous model some 100 kB."""

_KEYS = {name: name for name in rpc00b.NUMBERS} | {"lon_off": "long_off", "lon_scale": "long_scale"}
"""Name in `Rpc` → key in the file."""

_ADJUSTED = {
    "intrack_offset": "line_off",
    "crtrack_offset": "samp_off",
    "intrack_scale": "line_scale",
    "crtrack_scale": "samp_scale",
}
"""What an adjustment is called → what it is added to."""

_PARAMETER = re.compile(r"adjustment_(\d{1,3})\.adj_param_(\d{1,3})\.description", flags=re.ASCII)


def read(path: Path) -> Rpc:
    """Read a geom file with an RPC.

    Raises
    ------
    SensorModelError
        It is no text, holds no RPC, was refined by a rotation, or a value is missing, given twice or no number.
    """
    fields = _fields(path)
    kind = fields.get("polynomial_format")
    if kind is None:
        raise SensorModelError(f"{path.name}: no polynomial_format: this geom holds no RPC; give one of an RPC model")

    def value(key: str) -> float:
        return number(fields.get(key), what=f"{path.name}: {key}")

    values = {name: value(key) for name, key in _KEYS.items()}
    polynomials = {name: [value(f"{name}_coeff_{k:02}") for k in range(20)] for name in rpc00b.POLYNOMIALS}
    for description, amount in _adjustments(path.name, fields).items():
        if description in _ADJUSTED:
            values[_ADJUSTED[description]] += amount
        elif amount:
            raise SensorModelError(
                f"{path.name}: refined by {description[:40]!r}, which no RPC expresses; give one refined by offsets"
            )
    return rpc00b.model(path.name, values, polynomials, order=f"RPC00{kind.upper()[:1]}")


def holds_rpc(path: Path) -> bool:
    """Whether a geom file is of an RPC model: those of radar and of SPOT 5 are not.

    Raises
    ------
    SensorModelError
        It cannot be read.
    """
    return re.search(rb"^polynomial_format\s*:", read_head(path, count=MAX_BYTES), flags=re.MULTILINE) is not None


def _fields(path: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in read_text(path, limit=MAX_BYTES, example="line_off:  16109.5").splitlines():
        key, colon, text = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if key in fields:
            raise SensorModelError(f"{path.name}: {key[:40]!r} comes twice; give it once")
        fields[key] = text
    return fields


def _adjustments(file: str, fields: dict[str, str]) -> dict[str, float]:
    """What the current adjustment adds, by description: centre + sigma × parameter."""
    current = fields.get("current_adjustment", "0")
    found: dict[str, float] = {}
    for key, description in fields.items():
        match = _PARAMETER.fullmatch(key)
        if match and match[1] == current:
            stem = key.removesuffix("description")
            centre, sigma, parameter = (
                number(fields.get(stem + part), what=f"{file}: {stem}{part}")
                for part in ("center", "sigma", "parameter")
            )
            found[description] = centre + sigma * parameter
    return found
