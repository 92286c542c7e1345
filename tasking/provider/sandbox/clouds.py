"""Clouds of the made-up Earth: a thin layer at one height, pushed about by the wind.

A broad noise says which weather reigns; most of the time it is fair. Where it is not, finer octaves break the layer up.
The wind moves the noise's volume through the globe, so that the next day's clouds have nothing in common with today's.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from tasking.provider.sandbox.earth import HEIGHT, SPHERE_M, Floats, normals
from tasking.provider.sandbox.noise import noise

CLOUD_HEIGHT_M = 4_000.0
"""Above the ellipsoid, and above every mountain."""

CLOUDY = 0.3
"""A pixel with so much cloud in front of it counts as cloudy."""

BRIGHTNESS = np.array([0.62, 0.62, 0.62, 0.60, 0.62])
"""Reflectance of a thick cloud in blue, green, red, near infrared and panchromatic."""

_EPOCH_POSIX = 1_767_225_600.0
_WIND_M_S = np.array([7.0, 5.0, 6.0])
_LENGTHS_M = (240_000.0, 90_000.0, 9_000.0, 4_100.0, 1_900.0, 880.0, 410.0)
_SHARES = (2.2, 1.1, 1.0, 0.5, 0.27, 0.14, 0.07)
_FAIR = 0.60


@njit(nogil=True, error_model="numpy")
def _over(hit: Floats, toward: Floats, wind: Floats) -> float:
    """Follow the line from a hit to the layer; over these few kilometres the ground is taken as flat."""
    up = toward[0] * hit[0] + toward[1] * hit[1] + toward[2] * hit[2]
    k = (CLOUD_HEIGHT_M - hit[3]) / up
    qx = hit[0] * SPHERE_M + k * (toward[0] - up * hit[0]) + wind[0]
    qy = hit[1] * SPHERE_M + k * (toward[1] - up * hit[1]) + wind[1]
    qz = hit[2] * SPHERE_M + k * (toward[2] - up * hit[2]) + wind[2]
    density = -_FAIR
    for octave in range(7):
        if octave == 2 and density < -1.0:
            break
        scale = 1 / _LENGTHS_M[octave]
        density += _SHARES[octave] * noise(qx * scale, qy * scale, qz * scale, 81 + octave)
    t = min(max(density / 0.22, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@njit(cache=True, nogil=True, error_model="numpy")
def _opacity(hits: Floats, toward: Floats, wind: Floats, every: int, out: Floats) -> None:
    rows, columns = out.shape
    for row in range(rows):
        left = _over(hits[row, 0], toward[row, 0], wind)
        out[row, 0] = left
        at = 0
        while at < columns - 1:
            end = min(at + every, columns - 1)
            right = _over(hits[row, end], toward[row, end], wind)
            for col in range(at + 1, end + 1):
                out[row, col] = left + (right - left) * (col - at) / (end - at)
            at, left = end, right


def opacity(hits: Floats, toward: Floats, posix: float, *, every: int = 1) -> Floats:
    """How much cloud lies on the lines that leave the ground in these directions, 0 (none) to 1.

    Parameters
    ----------
    hits
        (..., 8), from `tasking.provider.sandbox.earth`.
    toward
        (..., 3) or broadcast to it, Earth-fixed, of any length: to the satellite, or to the Sun.
    posix
        When, in POSIX seconds.
    every
        Look at every so many-th of the last axis, and go straight between: no cloud has edges as sharp as a few metres.
    """
    shape = hits.shape[:-1]
    table = (-1, shape[-1]) if shape else (1, 1)
    along = np.ascontiguousarray(np.broadcast_to(toward, (*shape, 3)))
    out = np.empty(shape)
    wind = _WIND_M_S * (posix - _EPOCH_POSIX)
    _opacity(hits.reshape(*table, 8), along.reshape(*table, 3), wind, every, out.reshape(table))
    return out


def cloud(lon: ArrayLike, lat: ArrayLike, posix: float) -> Floats:
    """How much cloud stands over geodetic degrees, seen straight from above, 0 to 1."""
    up = normals(lon, lat)
    hits = np.zeros((*up.shape[:-1], 8))
    hits[..., :HEIGHT] = up
    return opacity(hits, up, posix)
