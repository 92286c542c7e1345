"""Compiled code of the rigorous cameras: Earth-fixed geometry, frame cameras, pushbroom cameras.

In one file for the reason of `processing.kernel`: numba's cache looks only at the file of the function that was called.
Each point is computed from its own inputs alone; what divides by zero is no number, and so no ground. Earth-fixed
(ECEF) coordinates are metres on WGS 84.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from math import acos, atan2, cos, degrees, hypot, isfinite, radians, sin, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vector = tuple[float, float, float]

_A = 6_378_137.0
_F = 1 / 298.257223563
_B = _A * (1 - _F)
_E2 = _F * (2 - _F)

MAX_STEPS = 30
"""Newton and secants need three to eight; more is a point that has no solution."""

TOLERANCE_M = 1e-6
"""Last step of Newton's method along a ray; the error behind it is its square over the Earth's radius, so nothing."""

TOLERANCE_ROWS = 1e-4
"""Last step of the secants along the rows of a pushbroom camera; the error behind it is smaller by another factor of
some 1e-4, as each secant's is: rows are even to a few per cent over a whole scene."""

TOLERANCE_LOOK = 1e-9
"""Last step of Newton's method for look angles, in focal lengths or half lines; the error behind it is its square."""

_ALIKE = 1 - 1e-12
"""Cosine between two quaternions that are interpolated linearly."""


@njit(cache=True, nogil=True, error_model="numpy")
def earth_fixed(lon: float, lat: float, height: float) -> Vector:
    """ECEF metres of a geodetic place."""
    lam, phi = radians(lon), radians(lat)
    normal = _A / sqrt(1 - _E2 * sin(phi) ** 2)
    ring = (normal + height) * cos(phi)
    return ring * cos(lam), ring * sin(lam), (normal * (1 - _E2) + height) * sin(phi)


@njit(cache=True, nogil=True, error_model="numpy")
def geodetic(x: float, y: float, z: float) -> Vector:
    """Longitude and latitude in degrees and height in metres of an ECEF point.

    Bowring's iteration on the parametric latitude (Survey Review 28, 1985); two rounds leave less than 1e-9 m.
    """
    ring = hypot(x, y)
    up, out = z * _A, ring * _B
    for _ in range(2):
        length = hypot(up, out)
        top = z + _E2 / (1 - _E2) * _B * (up / length) ** 3
        beside = ring - _E2 * _A * (out / length) ** 3
        up, out = (1 - _F) * top, beside
    length = hypot(top, beside)
    sine, cosine = top / length, beside / length
    height = ring * cosine + z * sine - _A * sqrt(1 - _E2 * sine * sine)
    return degrees(atan2(y, x)), degrees(atan2(sine, cosine)), height


@njit(cache=True, nogil=True, error_model="numpy")
def meet(origin: Vector, ahead: Vector, height: float) -> tuple[float, float]:
    """Longitude and latitude where a ray comes down to a height; NaN where it does not, or begins below it.

    It begins with the ellipsoid whose half axes are so much longer, and ends by Newton's method on the height itself.
    """
    a, b = _A + height, _B + height
    stretch = a / b
    ox, oy, oz = origin
    dx, dy, dz = ahead
    length = sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    # In space stretched along the axis the ellipsoid is a sphere of radius a.
    sz, tz = oz * stretch, dz * stretch
    square = dx * dx + dy * dy + tz * tz
    half = ox * dx + oy * dy + sz * tz
    inside = half * half - square * (ox * ox + oy * oy + sz * sz - a * a)
    if not (inside > 0.0 and half < 0.0):
        return np.nan, np.nan
    reach = (-half - sqrt(inside)) / square
    if not reach > 0.0:
        return np.nan, np.nan
    for _ in range(MAX_STEPS):
        lon, lat, found = geodetic(ox + reach * dx, oy + reach * dy, oz + reach * dz)
        lam, phi = radians(lon), radians(lat)
        climb = cos(phi) * (cos(lam) * dx + sin(lam) * dy) + sin(phi) * dz
        step = (found - height) / climb
        reach -= step
        if abs(step) < TOLERANCE_M:
            break
    else:
        return np.nan, np.nan
    lon, lat, _ = geodetic(ox + reach * dx, oy + reach * dy, oz + reach * dz)
    return (lon if lon < 180.0 else lon - 360.0), lat


@njit(cache=True, nogil=True, error_model="numpy")
def meet_all(origin: Floats, ahead: Floats, height: Floats) -> tuple[Floats, Floats]:
    """`meet` for many rays: shapes (n, 3), (n, 3), (n,)."""
    lon, lat = np.empty(height.size), np.empty(height.size)
    for k in range(height.size):
        lon[k], lat[k] = meet(
            (origin[k, 0], origin[k, 1], origin[k, 2]), (ahead[k, 0], ahead[k, 1], ahead[k, 2]), height[k]
        )
    return lon, lat


# ── frame cameras ───────────────────────────────────────────────────────────────────────────────────────────────────


@njit(cache=True, nogil=True, error_model="numpy")
def _lens(k: Floats, x: float, y: float) -> tuple[float, float]:
    """Where a lens shows what a pinhole would show at (x, y), in focal lengths; k1, k2, k3, p1, p2."""
    square = x * x + y * y
    radial = 1.0 + square * (k[0] + square * (k[1] + square * k[2]))
    return (
        x * radial + 2 * k[3] * x * y + k[4] * (square + 2 * x * x),
        y * radial + k[3] * (square + 2 * y * y) + 2 * k[4] * x * y,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _through_lens(k: Floats, farthest: float, x: float, y: float) -> tuple[float, float]:
    """The inverse of `_lens` by Newton's method; NaN where nothing within the farthest radius is shown there."""
    u, v = x, y
    for _ in range(MAX_STEPS):
        found_x, found_y = _lens(k, u, v)
        square = u * u + v * v
        radial = 1.0 + square * (k[0] + square * (k[1] + square * k[2]))
        slope = k[0] + square * (2 * k[1] + square * 3 * k[2])
        xx = radial + 2 * u * u * slope + 2 * k[3] * v + 6 * k[4] * u
        xy = 2 * u * v * slope + 2 * k[3] * u + 2 * k[4] * v
        yy = radial + 2 * v * v * slope + 6 * k[3] * v + 2 * k[4] * u
        det = xx * yy - xy * xy
        if det == 0.0 or not isfinite(det):
            break
        off_x, off_y = x - found_x, y - found_y
        step_u, step_v = (yy * off_x - xy * off_y) / det, (xx * off_y - xy * off_x) / det
        u, v = u + step_u, v + step_v
        if max(abs(step_u), abs(step_v)) <= TOLERANCE_LOOK * (1.0 + abs(u) + abs(v)):
            return (u, v) if hypot(u, v) <= farthest else (np.nan, np.nan)
    return np.nan, np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def project_frame(
    camera: Floats, lens: Floats, farthest: float, lon: Floats, lat: Floats, height: Floats
) -> tuple[Floats, Floats]:
    """Row and column of ground points; NaN behind the camera and where the lens shows nothing.

    Parameters
    ----------
    camera
        Focal length, row and column of the principal point, px; ECEF position, m; axes right, down, ahead, ECEF.
    lens
        k1, k2, k3, p1, p2.
    farthest
        Radius in focal lengths up to which the lens spreads what it shows; beyond, it would fold back.
    """
    row, col = np.full(lon.size, np.nan), np.full(lon.size, np.nan)
    for k in range(lon.size):
        x, y, z = earth_fixed(lon[k], lat[k], height[k])
        x, y, z = x - camera[3], y - camera[4], z - camera[5]
        ahead = camera[12] * x + camera[13] * y + camera[14] * z
        if not ahead > 0.0:
            continue
        right = (camera[6] * x + camera[7] * y + camera[8] * z) / ahead
        down = (camera[9] * x + camera[10] * y + camera[11] * z) / ahead
        if hypot(right, down) <= farthest:
            shown_right, shown_down = _lens(lens, right, down)
            row[k], col[k] = camera[1] + camera[0] * shown_down, camera[2] + camera[0] * shown_right
    return row, col


@njit(cache=True, nogil=True, error_model="numpy")
def locate_frame(
    camera: Floats, lens: Floats, farthest: float, row: Floats, col: Floats, height: Floats
) -> tuple[Floats, Floats]:
    """Longitude and latitude seen at image points; NaN where there is none. Arguments as `project_frame`."""
    lon, lat = np.empty(row.size), np.empty(row.size)
    origin = (camera[3], camera[4], camera[5])
    for k in range(row.size):
        x, y = _through_lens(lens, farthest, (col[k] - camera[2]) / camera[0], (row[k] - camera[1]) / camera[0])
        ahead = (
            x * camera[6] + y * camera[9] + camera[12],
            x * camera[7] + y * camera[10] + camera[13],
            x * camera[8] + y * camera[11] + camera[14],
        )
        lon[k], lat[k] = meet(origin, ahead, height[k])
    return lon, lat


# ── pushbroom cameras ───────────────────────────────────────────────────────────────────────────────────────────────


@njit(cache=True, nogil=True, error_model="numpy")
def _interval(knots: Floats, at: float) -> int:
    """The interval between knots that holds a value; the first or last one beyond the ends."""
    low, high = 0, knots.size - 2
    while low < high:
        middle = (low + high + 1) // 2
        if knots[middle] <= at:
            low = middle
        else:
            high = middle - 1
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _between(knots: Floats, values: Floats, at: float) -> float:
    """Linear between knots, and straight on beyond the ends."""
    k = _interval(knots, at)
    return float(values[k] + (values[k + 1] - values[k]) * (at - knots[k]) / (knots[k + 1] - knots[k]))


@njit(cache=True, nogil=True, error_model="numpy")
def _position(times: Floats, states: Floats, at: float) -> Vector:
    """Cubic Hermite interpolation of positions and velocities, shape (n, 6); straight on beyond the ends."""
    k = _interval(times, at)
    last = times.size - 1
    if at < times[0] or at > times[last]:
        end = 0 if at < times[0] else last
        away = at - times[end]
        return (
            states[end, 0] + away * states[end, 3],
            states[end, 1] + away * states[end, 4],
            states[end, 2] + away * states[end, 5],
        )
    span = times[k + 1] - times[k]
    t = (at - times[k]) / span
    s = 1.0 - t
    # Weights of the two ends add up to one: the second is written as the rest.
    rest = t * t * (3.0 - 2.0 * t)
    leave, arrive = span * t * s * s, -span * t * t * s
    return (
        states[k, 0] + rest * (states[k + 1, 0] - states[k, 0]) + leave * states[k, 3] + arrive * states[k + 1, 3],
        states[k, 1] + rest * (states[k + 1, 1] - states[k, 1]) + leave * states[k, 4] + arrive * states[k + 1, 4],
        states[k, 2] + rest * (states[k + 1, 2] - states[k, 2]) + leave * states[k, 5] + arrive * states[k + 1, 5],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _attitude(times: Floats, quaternions: Floats, at: float) -> tuple[float, float, float, float]:
    """The shortest turn between neighbours, at an even rate (Shoemake's slerp, 1985); at rest beyond the ends.

    Neighbours (n, 4) lie in one half of the sphere, as `PushbroomCamera` puts them.
    """
    k = _interval(times, at)
    t = min(max((at - times[k]) / (times[k + 1] - times[k]), 0.0), 1.0)
    one, other = quaternions[k], quaternions[k + 1]
    alike = one[0] * other[0] + one[1] * other[1] + one[2] * other[2] + one[3] * other[3]
    first, second = 1.0 - t, t
    if alike < _ALIKE:
        angle = acos(alike)
        first, second = sin((1.0 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)
    w, x = first * one[0] + second * other[0], first * one[1] + second * other[1]
    y, z = first * one[2] + second * other[2], first * one[3] + second * other[3]
    length = sqrt(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length


@njit(cache=True, nogil=True, error_model="numpy")
def _turned(q: tuple[float, float, float, float], v: Vector) -> Vector:
    """A vector turned by a unit quaternion (w, x, y, z)."""
    w, x, y, z = q
    tx, ty, tz = 2 * (y * v[2] - z * v[1]), 2 * (z * v[0] - x * v[2]), 2 * (x * v[1] - y * v[0])
    return (
        v[0] + w * tx + y * tz - z * ty,
        v[1] + w * ty + z * tx - x * tz,
        v[2] + w * tz + x * ty - y * tx,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _polynomial(c: Floats, u: float) -> float:
    value = 0.0
    for k in range(c.size - 1, -1, -1):
        value = value * u + c[k]
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _slope(c: Floats, u: float) -> float:
    value = 0.0
    for k in range(c.size - 1, 0, -1):
        value = value * u + k * c[k]
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _detector(across: Floats, tangent: float) -> float:
    """Where along the detectors the tangent across the flight is met; NaN where Newton's method does not end."""
    u = 0.0
    for _ in range(MAX_STEPS):
        slope = _slope(across, u)
        if slope == 0.0:
            break
        step = (tangent - _polynomial(across, u)) / slope
        u += step
        if abs(step) <= TOLERANCE_LOOK * (1.0 + abs(u)):
            return u
    return np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _off_plane(
    now: float,
    point: Vector,
    times: Floats,
    states: Floats,
    attitude_times: Floats,
    quaternions: Floats,
    along: Floats,
    across: Floats,
) -> tuple[float, float]:
    """How far a point lies before the plane of the detectors, as a tangent, and its place along them; or NaN."""
    px, py, pz = _position(times, states, now)
    w, qx, qy, qz = _attitude(attitude_times, quaternions, now)
    ahead, aside, down = _turned((w, -qx, -qy, -qz), (point[0] - px, point[1] - py, point[2] - pz))
    if not down > 0.0:
        return np.nan, np.nan
    u = _detector(across, aside / down)
    return ahead / down - _polynomial(along, u), u


@njit(cache=True, nogil=True, error_model="numpy")
def project_pushbroom(
    lines: Floats,
    times: Floats,
    states: Floats,
    attitude_times: Floats,
    quaternions: Floats,
    detectors: tuple[float, float],
    along: Floats,
    across: Floats,
    lon: Floats,
    lat: Floats,
    height: Floats,
) -> tuple[Floats, Floats]:
    """Row and column of ground points: the moment at which each lies in the plane of the detectors, by secants.

    NaN for points behind the camera, and where the search does not end.

    Parameters
    ----------
    lines
        Rows and their times, s: shape (2, n).
    times, states
        Of the ephemeris: (n,), and positions and velocities (n, 6).
    attitude_times, quaternions
        Of the attitude: (n,), (n, 4).
    detectors
        Column in the middle, and half of the columns.
    along, across
        Tangents of the look angles as polynomials in (column - middle) / half.
    """
    row, col = np.full(lon.size, np.nan), np.full(lon.size, np.nan)
    last = lines.shape[1] - 1
    line_s = (lines[1, last] - lines[1, 0]) / (lines[0, last] - lines[0, 0])
    start = (lines[1, 0] + lines[1, last]) / 2
    # How fast a point in the middle passes: a first guess for all.
    sight = _turned(
        _attitude(attitude_times, quaternions, start), (_polynomial(along, 0.0), _polynomial(across, 0.0), 1.0)
    )
    middle_lon, middle_lat = meet(_position(times, states, start), sight, 0.0)
    middle = earth_fixed(middle_lon, middle_lat, 0.0)
    nudge = 16.0 * line_s
    here, _ = _off_plane(start, middle, times, states, attitude_times, quaternions, along, across)
    there, _ = _off_plane(start + nudge, middle, times, states, attitude_times, quaternions, along, across)
    pace = (there - here) / nudge
    for k in range(lon.size):
        point = earth_fixed(lon[k], lat[k], height[k])
        now, before, miss_before, slope = start, start, 0.0, pace
        for step_number in range(MAX_STEPS):
            miss, u = _off_plane(now, point, times, states, attitude_times, quaternions, along, across)
            if step_number > 0 and abs(now - before) > TOLERANCE_ROWS * abs(line_s):
                slope = (miss - miss_before) / (now - before)
            if slope == 0.0:
                break
            step = -miss / slope
            if not isfinite(step):
                break
            before, miss_before = now, miss
            now += step
            if abs(step) < TOLERANCE_ROWS * abs(line_s):
                row[k] = _between(lines[1], lines[0], now)
                col[k] = detectors[0] + detectors[1] * u
                break
    return row, col


@njit(cache=True, nogil=True, error_model="numpy")
def locate_pushbroom(
    lines: Floats,
    times: Floats,
    states: Floats,
    attitude_times: Floats,
    quaternions: Floats,
    detectors: tuple[float, float],
    along: Floats,
    across: Floats,
    row: Floats,
    col: Floats,
    height: Floats,
) -> tuple[Floats, Floats]:
    """Longitude and latitude seen at image points; NaN where there is none. Arguments as `project_pushbroom`."""
    lon, lat = np.empty(row.size), np.empty(row.size)
    for k in range(row.size):
        now = _between(lines[0], lines[1], row[k])
        u = (col[k] - detectors[0]) / detectors[1]
        sight = _turned(
            _attitude(attitude_times, quaternions, now), (_polynomial(along, u), _polynomial(across, u), 1.0)
        )
        lon[k], lat[k] = meet(_position(times, states, now), sight, height[k])
    return lon, lat
