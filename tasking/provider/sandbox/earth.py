"""The shape of the made-up Earth: terrain as a pure function of place, and where a ray meets it.

Land everywhere, 0 to some 2,300 m above the ellipsoid. Rivers run along the zero lines of a noise; the ground rises
from them to plains or mountains, as another, slower noise decides:

    height = base + amplitude · valley(river noise) · ridges(five octaves)

A place enters only as its ellipsoid normal scaled to a sphere, so that nothing breaks at ±180° or at the poles. No
feature is narrower than some 150 m, and no slope is steeper than the rays: a ray meets the ground once.
"""

from math import sqrt

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from tasking.provider.sandbox.noise import noise_gradient

Floats = NDArray[np.float64]

SPHERE_M = 6_371_000.0
"""Radius of the sphere on which the noise is evaluated: one metre of it is about one metre on the ground."""

MAX_HEIGHT_M = 3200.0
"""No ground lies higher above the ellipsoid."""

_A = 6_378_137.0
_E2 = 0.0066943799901413165
_B = _A * sqrt(1 - _E2)
_EP2 = _E2 / (1 - _E2)
_TOLERANCE_M = 1e-5
_VALLEY2 = 0.23**2
"""Half width of a valley, in units of the river noise, squared."""

NX, NY, NZ, HEIGHT, SLOPE_X, SLOPE_Y, SLOPE_Z, RIVER = range(8)
"""Columns of a hit: unit normal of the ellipsoid, metres above it, the terrain's gradient (m/m, tangent), distance from
the nearest river's middle line in metres (about)."""

_LENGTHS_M = (170_000.0, 55_000.0, 11_000.0, 3_700.0, 1_100.0, 5_300.0, 2_500.0, 1_170.0, 550.0, 260.0)
"""Lattices of the octaves: two that place the mountains, three of the rivers, five of the ridges."""

_SHARES = (1.0, 0.6, 1.0, 0.30, 0.06, 0.60, 0.21, 0.075, 0.026, 0.009)


@njit(nogil=True, error_model="numpy")
def terrain(nx: float, ny: float, nz: float) -> tuple[float, float, float, float, float]:
    """Height in metres above the ellipsoid at a unit normal, its tangent gradient, metres to the nearest river.

    Mountains and rivers are plain sums of octaves. Ridges are sums of 1 - |noise|, with the crests rounded so that a
    DEM can follow them, and each octave rougher where the ground is already high (Musgrave 1998, chapter 16).
    """
    m, mx, my, mz, base, hx, hy, hz = 0.14, 0.0, 0.0, 0.0, 160.0, 0.0, 0.0, 0.0
    r, rx, ry, rz = 0.0, 0.0, 0.0, 0.0
    c, cx, cy, cz, sharp2 = 0.0, 0.0, 0.0, 0.0, 0.0016
    for octave in range(10):
        scale, share = SPHERE_M / _LENGTHS_M[octave], _SHARES[octave]
        n, ax, ay, az = noise_gradient(nx * scale, ny * scale, nz * scale, 11 + octave)
        steep = share / _LENGTHS_M[octave]
        if octave < 2:
            m, mx, my, mz = m + share * n, mx + steep * ax, my + steep * ay, mz + steep * az
            if octave == 1:
                base, hx, hy, hz = base + 300 * share * n, 300 * steep * ax, 300 * steep * ay, 300 * steep * az
        elif octave < 5:
            r, rx, ry, rz = r + share * n, rx + steep * ax, ry + steep * ay, rz + steep * az
        else:
            root = sqrt(n * n + sharp2)
            ridge, turn = share * (1 - 1.8 * root), -1.8 * steep * n / root
            rough, grow = (1.0, 0.0) if octave == 5 else (0.25 + c, ridge)
            cx, cy, cz = (
                cx + grow * cx + rough * turn * ax,
                cy + grow * cy + rough * turn * ay,
                cz + grow * cz + rough * turn * az,
            )
            c += rough * ridge
            sharp2 *= 1.5
    t = min(max(m / 0.5, 0.0), 1.0)
    m, d_m = t * t * (3 - 2 * t), 12 * t * (1 - t)
    amplitude, d_amplitude = 130 + m * (800 + 1300 * m), d_m * (800 + 2600 * m)
    valley = r * r / (r * r + _VALLEY2)
    d_valley = 2 * r * _VALLEY2 / (r * r + _VALLEY2) ** 2
    # height = base + 480 m + amplitude · valley · ridges, and its derivatives by the three noises
    by_m, by_r, by_c = 480 * d_m + d_amplitude * valley * c, amplitude * d_valley * c, amplitude * valley
    gx, gy, gz = (
        hx + by_m * mx + by_r * rx + by_c * cx,
        hy + by_m * my + by_r * ry + by_c * cy,
        hz + by_m * mz + by_r * rz + by_c * cz,
    )
    up, along = gx * nx + gy * ny + gz * nz, rx * nx + ry * ny + rz * nz
    fall = sqrt((rx - along * nx) ** 2 + (ry - along * ny) ** 2 + (rz - along * nz) ** 2) + 1e-7
    return base + 480 * m + amplitude * valley * c, gx - up * nx, gy - up * ny, gz - up * nz, abs(r) / fall


@njit(nogil=True, error_model="numpy")
def geodetic(x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Ellipsoid normal and height of an ECEF point (Bowring 1976; one step is exact to 1e-9 m at these heights)."""
    p = sqrt(x * x + y * y) + 1e-12
    tan_beta = _A * z / (_B * p)
    cos_beta = 1 / sqrt(1 + tan_beta * tan_beta)
    sin_beta = tan_beta * cos_beta
    tan_phi = (z + _EP2 * _B * sin_beta**3) / (p - _E2 * _A * cos_beta**3)
    cos_phi = 1 / sqrt(1 + tan_phi * tan_phi)
    sin_phi = tan_phi * cos_phi
    height = p * cos_phi + z * sin_phi - _A * sqrt(1 - _E2 * sin_phi * sin_phi)
    return cos_phi * x / p, cos_phi * y / p, sin_phi, height


@njit(cache=True, nogil=True, error_model="numpy")
def _surface(normals: Floats, hits: Floats) -> None:
    for i in range(len(normals)):
        nx, ny, nz = normals[i]
        height, gx, gy, gz, river = terrain(nx, ny, nz)
        hits[i] = nx, ny, nz, height, gx, gy, gz, river


@njit(cache=True, nogil=True, error_model="numpy")
def _meet(origins: Floats, ahead: Floats, across: Floats, tangents: Floats, hits: Floats) -> int:
    """Follow each ray ``origin + k (ahead + tangent · across)`` to the ground, by Newton's method in k.

    Neighbours meet neighbouring ground, so each ray starts where the two before it point to, and mostly needs one step.
    """
    lost = 0
    for row in range(len(origins)):
        ox, oy, oz = origins[row]
        k = -1.0
        before = 0.0
        for col in range(len(tangents)):
            dx = ahead[row, 0] + tangents[col] * across[row, 0]
            dy = ahead[row, 1] + tangents[col] * across[row, 1]
            dz = ahead[row, 2] + tangents[col] * across[row, 2]
            if k < 0:
                nx, ny, nz, height = geodetic(ox, oy, oz)
                k = height / -(dx * nx + dy * ny + dz * nz)
                step = 0.0
            else:
                step = k - before if before > 0 else 0.0
                before = k
            k += step
            miss = 1e9
            for _ in range(40):
                nx, ny, nz, height = geodetic(ox + k * dx, oy + k * dy, oz + k * dz)
                ground, gx, gy, gz, river = terrain(nx, ny, nz)
                miss = height - ground
                rate = dx * nx + dy * ny + dz * nz - (gx * dx + gy * dy + gz * dz)
                if abs(miss) < _TOLERANCE_M:
                    break
                k -= miss / min(rate, -0.3)  # a ray comes down faster than the ground falls, see above
                # Newton's error is the square of the step times the terrain's curvature, at most 0.02 a metre.
                if miss * miss * 0.02 < _TOLERANCE_M:
                    miss = 0.0
                    break
            if abs(miss) > _TOLERANCE_M:
                lost += 1
            nx, ny, nz, height = geodetic(ox + k * dx, oy + k * dy, oz + k * dz)
            hits[row, col] = nx, ny, nz, height, gx, gy, gz, river
    return lost


def normals(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Unit normals of the ellipsoid, shape (..., 3), at geodetic degrees."""
    lam, phi = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
    lam, phi = np.broadcast_arrays(lam, phi)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def lonlat(normal: Floats) -> tuple[Floats, Floats]:
    """Geodetic degrees of unit normals, shape (..., 3)."""
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def surface(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """What a ray that came straight down would hit: shape (..., 8), see `HEIGHT` and its neighbours."""
    up = normals(lon, lat)
    hits = np.empty((*up.shape[:-1], 8))
    _surface(up.reshape(-1, 3), hits.reshape(-1, 8))
    return hits


def terrain_height(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Heights in metres above the WGS 84 ellipsoid at geodetic degrees."""
    height: Floats = surface(lon, lat)[..., HEIGHT]
    return height


def meet(*, origins: Floats, ahead: Floats, across: Floats, tangents: Floats) -> Floats:
    """Where the rays of a pushbroom camera meet the ground.

    Parameters
    ----------
    origins, ahead, across
        For each line (n, 3), ECEF: where the camera is in metres, its boresight, the direction of its detectors.
    tangents
        For each column (m): tangent of its angle from the boresight.

    Returns
    -------
    Hits (n, m, 8), see `HEIGHT` and its neighbours; on the ground to within 0.1 mm.

    Raises
    ------
    ValueError
        A ray that does not come down to the Earth.
    """
    hits = np.empty((len(origins), len(tangents), 8))
    lost = _meet(origins, ahead, across, tangents, hits)
    if lost:
        raise ValueError(
            f"{lost} of {hits.shape[0] * hits.shape[1]} rays do not meet the ground; point the camera at the Earth"
        )
    return hits
