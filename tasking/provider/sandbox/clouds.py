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


@njit(cache=True, nogil=True, error_model="numpy")
def _opacity(hits: Floats, toward: Floats, wind: Floats, out: Floats) -> None:
    """Follow the line from each hit to the layer; over these few kilometres the ground is taken as flat."""
    for i in range(len(hits)):
        nx, ny, nz, height = hits[i, 0], hits[i, 1], hits[i, 2], hits[i, 3]
        dx, dy, dz = toward[i]
        up = dx * nx + dy * ny + dz * nz
        k = (CLOUD_HEIGHT_M - height) / up
        qx = nx * SPHERE_M + k * (dx - up * nx) + wind[0]
        qy = ny * SPHERE_M + k * (dy - up * ny) + wind[1]
        qz = nz * SPHERE_M + k * (dz - up * nz) + wind[2]
        density = -_FAIR
        for octave in range(7):
            if octave == 2 and density < -1.0:
                break
            scale = 1 / _LENGTHS_M[octave]
            density += _SHARES[octave] * noise(qx * scale, qy * scale, qz * scale, 81 + octave)
        t = min(max(density / 0.22, 0.0), 1.0)
        out[i] = t * t * (3 - 2 * t)


def opacity(hits: Floats, toward: Floats, posix: float) -> Floats:
    """How much cloud lies on the lines that leave the ground in these directions, 0 (none) to 1.

    Parameters
    ----------
    hits
        (..., 8), from `tasking.provider.sandbox.earth`.
    toward
        (..., 3) or broadcast to it, Earth-fixed, of any length: to the satellite, or to the Sun.
    posix
        When, in POSIX seconds.
    """
    along = np.ascontiguousarray(np.broadcast_to(toward, (*hits.shape[:-1], 3)))
    out = np.empty(hits.shape[:-1])
    _opacity(hits.reshape(-1, 8), along.reshape(-1, 3), _WIND_M_S * (posix - _EPOCH_POSIX), out.reshape(-1))
    return out


def cloud(lon: ArrayLike, lat: ArrayLike, posix: float) -> Floats:
    """How much cloud stands over geodetic degrees, seen straight from above, 0 to 1."""
    up = normals(lon, lat)
    hits = np.zeros((*up.shape[:-1], 8))
    hits[..., :HEIGHT] = up
    return opacity(hits, up, posix)
