"""Bare numbers: the fields of RPC00B in their order, apart by blanks, commas or lines, without names.

No vendor's specification describes it; photogrammetric programs write it, and some resellers of Jilin-1 and others hand
it out. The order is that of STDI-0002: offsets (line, sample, latitude, longitude, height), scales likewise, then 20
coefficients each of line numerator, line denominator, sample numerator, sample denominator: 90 numbers; with the two
errors before them 92, with the flag SUCCESS before those 93. Pixel (0, 0) is the centre of the first pixel.
"""

from pathlib import Path

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b
from processing.vendors.sidecar import number, read_text

MAX_BYTES = 100_000
"""93 numbers have some 2 kB."""

_BEFORE = {90: 0, 92: 2, 93: 3}
"""How many numbers come before the offsets."""


def read(path: Path) -> Rpc:
    """Read a file of bare numbers.

    Raises
    ------
    SensorModelError
        It holds another count of numbers, or something else, or plainly in another order.
    """
    parts = read_text(path, limit=MAX_BYTES, example="16109.5 14207.5 44.13 5.28 1075").replace(",", " ").split()
    if len(parts) not in _BEFORE:
        raise SensorModelError(
            f"{path.name}: {len(parts)} numbers; give the 90 of RPC00B, with its two errors 92, with its flag 93"
        )
    values = [number(part, what=f"{path.name}: number {place}") for place, part in enumerate(parts, start=1)]
    fields = values[_BEFORE[len(parts)] :]
    polynomials = {name: fields[10 + 20 * k : 30 + 20 * k] for k, name in enumerate(rpc00b.POLYNOMIALS)}
    for name in ("line_den", "samp_den"):
        if abs(polynomials[name][0]) <= max(map(abs, polynomials[name][1:])):
            raise SensorModelError(
                f"{path.name}: {name} does not begin with its largest number, as a denominator does; "
                "give the numbers in the order of RPC00B"
            )
    return rpc00b.model(path.name, dict(zip(rpc00b.NUMBERS, fields[:10], strict=True)), polynomials)
