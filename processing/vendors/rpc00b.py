"""The ninety numbers of an RPC, under whatever names a vendor wrote them, as the project's `Rpc`.

Two things that files do and `Rpc` does not: the older order of terms RPC00A, and scales below zero (as SkySat's
LAT_SCALE). Both are only other ways of writing the same polynomials, so they are rewritten here.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from processing.errors import SensorModelError
from processing.rpc import Rpc

OFFSETS: Final = ("line_off", "samp_off", "lat_off", "lon_off", "height_off")
SCALES: Final = ("line_scale", "samp_scale", "lat_scale", "lon_scale", "height_scale")
POLYNOMIALS: Final = ("line_num", "line_den", "samp_num", "samp_den")

NUMBERS: Final = OFFSETS + SCALES
"""The ten single numbers, in the order of STDI-0002 (RPC00B); the four polynomials follow."""

_POWERS = np.array([
    (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0), (0, 2, 0), (0, 0, 2),
    (1, 1, 1), (3, 0, 0), (1, 2, 0), (1, 0, 2), (2, 1, 0), (0, 3, 0), (0, 1, 2), (2, 0, 1), (0, 2, 1), (0, 0, 3),
])  # fmt: skip
"""Powers of longitude, latitude and height in each term of RPC00B."""

_FROM_RPC00A = (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 7, 11, 14, 17, 12, 15, 18, 13, 16, 19)
"""Where RPC00A holds the terms of RPC00B: it puts λφh before the squares and the cubics in another order.

OSSIM evaluates both orders (`ossimRpcModel::polynomial`). GDAL up to 3.10 reads this table the wrong way round (trac
#2040 lists where each term goes, `NITFReadRPC00B` takes it for where each comes from), which swaps the terms 7 to 10.
"""


def model(
    file: str, values: Mapping[str, float], polynomials: Mapping[str, Sequence[float]], *, order: str = "RPC00B"
) -> Rpc:
    """The sensor model that these numbers are.

    Parameters
    ----------
    file
        Names the file in messages.
    values
        By the names in `NUMBERS`; pixel (0, 0) is the centre of the first pixel.
    polynomials
        By the names in `POLYNOMIALS`, 20 coefficients each.
    order
        ``RPC00B`` or ``RPC00A``: the order of the terms.

    Raises
    ------
    SensorModelError
        The order is another, a scale is zero, a number is not finite, or the middle of the domain is not on the globe.
    """
    if order not in ("RPC00A", "RPC00B"):
        raise SensorModelError(f"{file}: polynomials of the kind {order!r}; give RPC00B or RPC00A")
    if abs(values["lat_off"]) > 90 or abs(values["lon_off"]) > 360:
        raise SensorModelError(
            f"{file}: the middle of the domain at latitude {values['lat_off']:g}°, longitude {values['lon_off']:g}° is "
            "not on the globe; give the numbers in their order, in degrees"
        )
    terms = {name: np.array(polynomials[name], dtype=np.float64) for name in POLYNOMIALS}
    if order == "RPC00A":
        terms = {name: polynomial[list(_FROM_RPC00A)] for name, polynomial in terms.items()}
    signs = [-1.0 if values[name] < 0 else 1.0 for name in ("lon_scale", "lat_scale", "height_scale")]
    flips = np.prod(np.power(signs, _POWERS), axis=1)
    terms = {name: polynomial * flips for name, polynomial in terms.items()}
    for axis in ("line", "samp"):
        if values[f"{axis}_scale"] < 0:
            terms[f"{axis}_num"] = -terms[f"{axis}_num"]
    positive = {name: abs(values[name]) if name in SCALES else values[name] for name in NUMBERS}
    try:
        return Rpc(**positive, **terms)  # type: ignore[arg-type]
    except SensorModelError as error:
        raise SensorModelError(f"{file}: {error}") from None
