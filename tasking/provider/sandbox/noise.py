"""Gradient noise in three dimensions, the same on every machine.

Perlin's noise (Perlin, "Improving noise", SIGGRAPH 2002: quintic fade) with gradients from an integer hash instead of a
table, so that it never repeats, and with its analytic gradient. Without fastmath: a picture made twice is the same to
the last bit.

Every place that calls a noise costs a fifth of a second of compilation: loop over octaves. And numba's cache watches
only the file of the kernel it belongs to: who changes a function here removes ``__pycache__``.
"""

from math import floor

import numpy as np
from numba import njit

Whole = int | np.int64
"""To a type checker; numba knows one."""

_X, _Y, _Z, _SEED = 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179, 0x3C6EF372FE94F82B, 0x510E527FADE682D1
_SCALE = 2.0 / 0x100000


@njit(nogil=True, error_model="numpy")
def _mixed(h: Whole) -> int:
    """Spread the bits of an integer over 63 (after Steele & Vigna 2021, "Computationally easy multipliers")."""
    h = (h ^ ((h >> 31) & 0x1FFFFFFFF)) * 0x2545F4914F6CDD1D
    return int((h ^ ((h >> 32) & 0xFFFFFFFF)) & 0x7FFFFFFFFFFFFFFF)


@njit(nogil=True, error_model="numpy")
def hashed(x: Whole, y: Whole, z: Whole, seed: Whole) -> int:
    """63 pseudo-random bits of a lattice point."""
    return _mixed(x * _X + y * _Y + z * _Z + seed * _SEED)


@njit(nogil=True, error_model="numpy")
def fraction(bits: int, which: int) -> float:
    """One of three independent numbers in [0, 1) from a hash: `which` is 0, 1 or 2."""
    return ((bits >> (20 * which)) & 0xFFFFF) * (1.0 / 0x100000)


@njit(nogil=True, error_model="numpy")
def _corner(place: int, dx: float, dy: float, dz: float) -> tuple[float, float, float, float]:
    """Share of a lattice point in the value at an offset from it, and its gradient."""
    bits = _mixed(place)
    gx = (bits & 0xFFFFF) * _SCALE - 1.0
    gy = ((bits >> 20) & 0xFFFFF) * _SCALE - 1.0
    gz = ((bits >> 40) & 0xFFFFF) * _SCALE - 1.0
    return gx * dx + gy * dy + gz * dz, gx, gy, gz


@njit(nogil=True, error_model="numpy")
def _edge(  # noqa: PLR0917 - numba
    place: int, x: float, y: float, z: float, u: float, du: float
) -> tuple[float, float, float, float]:
    """Value and gradient between two lattice points that are neighbours in x."""
    a, ax, ay, az = _corner(place, x, y, z)
    b, bx, by, bz = _corner(place + _X, x - 1, y, z)
    return a + u * (b - a), ax + u * (bx - ax) + du * (b - a), ay + u * (by - ay), az + u * (bz - az)


@njit(nogil=True, error_model="numpy")
def noise_gradient(x: float, y: float, z: float, seed: int) -> tuple[float, float, float, float]:
    """Noise at a point of a unit lattice, about -0.7 to 0.7 with mean 0 and deviation 0.19, and its gradient."""
    i, j, k = floor(x), floor(y), floor(z)
    place = int(i) * _X + int(j) * _Y + int(k) * _Z + seed * _SEED
    x, y, z = x - i, y - j, z - k
    u, du = x * x * x * (x * (x * 6 - 15) + 10), 30 * x * x * (x * (x - 2) + 1)
    v, dv = y * y * y * (y * (y * 6 - 15) + 10), 30 * y * y * (y * (y - 2) + 1)
    w, dw = z * z * z * (z * (z * 6 - 15) + 10), 30 * z * z * (z * (z - 2) + 1)
    a, ax, ay, az = _edge(place, x, y, z, u, du)
    b, bx, by, bz = _edge(place + _Y, x, y - 1, z, u, du)
    c, cx, cy, cz = _edge(place + _Z, x, y, z - 1, u, du)
    d, dx, dy, dz = _edge(place + _Y + _Z, x, y - 1, z - 1, u, du)
    n, nx, ny, nz = a + v * (b - a), ax + v * (bx - ax), ay + v * (by - ay) + dv * (b - a), az + v * (bz - az)
    f, fx, fy, fz = c + v * (d - c), cx + v * (dx - cx), cy + v * (dy - cy) + dv * (d - c), cz + v * (dz - cz)
    return n + w * (f - n), nx + w * (fx - nx), ny + w * (fy - ny), nz + w * (fz - nz) + dw * (f - n)


@njit(nogil=True, error_model="numpy")
def noise(x: float, y: float, z: float, seed: int) -> float:
    """Value of `noise_gradient` alone; the compiler drops the rest."""
    return noise_gradient(x, y, z, seed)[0]
