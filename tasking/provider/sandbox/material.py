"""What the ground is made of, how it reflects, and how one thing lies over another."""

import numpy as np
from numba import njit

from tasking.provider.sandbox.noise import Whole

Colour = tuple[float, float, float, float]
"""Reflectance in blue, green, red and near infrared."""

NOTHING: Colour = (0.0, 0.0, 0.0, 0.0)

_MATERIALS = np.array(
    [
        (0.045, 0.055, 0.040, 0.020),  # water
        (0.028, 0.048, 0.030, 0.270),  # forest
        (0.045, 0.095, 0.065, 0.400),  # meadow
        (0.040, 0.085, 0.045, 0.500),  # young crop
        (0.090, 0.150, 0.190, 0.330),  # ripe grain
        (0.085, 0.115, 0.150, 0.220),  # bare soil
        (0.055, 0.175, 0.165, 0.430),  # rape in flower
        (0.060, 0.105, 0.095, 0.330),  # stubble
        (0.035, 0.070, 0.042, 0.430),  # maize
        (0.130, 0.150, 0.165, 0.210),  # rock
        (0.800, 0.820, 0.815, 0.720),  # snow
        (0.085, 0.095, 0.100, 0.115),  # asphalt
        (0.150, 0.190, 0.230, 0.290),  # track, gravel
        (0.080, 0.110, 0.220, 0.280),  # tiles
        (0.130, 0.135, 0.140, 0.150),  # slate
        (0.300, 0.320, 0.330, 0.350),  # concrete, sheet metal
        (0.070, 0.095, 0.105, 0.200),  # tundra
    ]
)
"""Reflectance in blue, green, red and near infrared; plausible, rounded."""

(
    WATER, FOREST, MEADOW, CROP, GRAIN, SOIL, RAPE, STUBBLE, MAIZE, ROCK, SNOW, ASPHALT, TRACK, TILES,
    SLATE, CONCRETE, TUNDRA,
) = (np.int64(i) for i in range(17))  # fmt: skip
# Not plain integers: numba would compile a function again for each one that it is called with.


@njit(nogil=True, error_model="numpy")
def soft(edge_m: float, width_m: float) -> float:
    """0 to 1 as a signed distance goes from outside (negative) to inside an edge of this softness."""
    t = min(max(edge_m / width_m + 0.5, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@njit(nogil=True, error_model="numpy")
def over(colour: Colour, what: Whole, light: float, cover: float) -> Colour:
    """A material of this brightness laid over a colour."""
    b, g, r, n = colour
    m = _MATERIALS[what]
    light = max(light, 0.2)
    return (
        b + cover * (light * m[0] - b),
        g + cover * (light * m[1] - g),
        r + cover * (light * m[2] - r),
        n + cover * (light * m[3] - n),
    )


@njit(nogil=True, error_model="numpy")
def mixed(below: Colour, above: Colour, cover: float) -> Colour:
    """One colour laid over another."""
    return (
        below[0] + cover * (above[0] - below[0]),
        below[1] + cover * (above[1] - below[1]),
        below[2] + cover * (above[2] - below[2]),
        below[3] + cover * (above[3] - below[3]),
    )
