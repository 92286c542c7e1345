"""Where a satellite and the Sun are, seen from the turning Earth.

Frames: SGP4 gives positions in TEME (true equator, mean equinox). Turned by Greenwich mean sidereal time (IAU 1982)
they are Earth-fixed (Vallado et al. 2006, "Revisiting Spacetrack Report #3", AIAA 2006-6753, appendix C). UT1 is taken
as UTC and polar motion as nil. That moves the Earth by at most 0.9 s × 465 m/s = 420 m (20 m in 2026) and 15 m, less
than the kilometre that an element set is worth after a day.

Constants: element sets are fitted with those of WGS 72, so SGP4 must run with them (the same paper, section II). The
ground is WGS 84.

Times are POSIX seconds UTC in float64, good to 0.24 µs; positions are metres, velocities metres a second, Earth-fixed.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sgp4.api import SGP4_ERRORS, WGS72, Satrec

from tasking.errors import ElementSetError
from tasking.satellite import ElementSet

Floats = npt.NDArray[np.float64]

EQUATOR_M = 6378137.0
"""Semi-major axis of WGS 84."""

FLATTENING = 1 / 298.257223563
"""Of WGS 84."""

_E2 = FLATTENING * (2 - FLATTENING)
_POLE_M = EQUATOR_M * (1 - FLATTENING)

DAY_S = 86400.0
_POSIX_JD = 2440587.5
_J2000_POSIX = 946728000.0
_TT_MINUS_UTC_S = 69.184
"""Since 2017: 37 leap seconds + 32.184 s; a second more or less moves the Sun by 1e-5 degrees."""


def ecef_state(elements: ElementSet, posix: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Position (n, 3) and velocity (n, 3) of a satellite in the turning frame.

    Raises
    ------
    ElementSetError
        SGP4 cannot propagate to one of the times: the orbit has decayed, or was none.
    """
    times = np.atleast_1d(np.asarray(posix, dtype=np.float64))
    days = np.floor(times / DAY_S)
    satellite = Satrec.twoline2rv(elements.line1, elements.line2, WGS72)
    errors, position_km, velocity_km_s = satellite.sgp4_array(_POSIX_JD + days, (times - days * DAY_S) / DAY_S)
    if errors.any():
        when = int(errors.argmax())
        reason = SGP4_ERRORS.get(int(errors[when]), f"SGP4 error {errors[when]}")
        moment = np.datetime64(round(times[when]), "s")
        raise ElementSetError(
            f"element set {elements.line1[2:7]}: cannot be propagated to {moment}Z ({reason}); get a newer one"
        )
    angle, rate = _sidereal_time(times)
    position = _turned(position_km * 1e3, angle)
    velocity = _turned(velocity_km_s * 1e3, angle)
    velocity[..., 0] += rate * position[..., 1]
    velocity[..., 1] -= rate * position[..., 0]
    return position, velocity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ephemeris:
    """States of a satellite at even steps.

    Cubic Hermite interpolation between them errs by h⁴/384 · |d⁴r/dt⁴|: at a step of 30 s, 2 to 30 cm.
    """

    start: float
    """First time, POSIX seconds."""

    step_s: float
    position_m: Floats
    """(times, 3), Earth-fixed."""

    velocity_m_s: Floats
    """(times, 3), relative to the turning Earth."""

    @classmethod
    def of(cls, elements: ElementSet, *, start: float, end: float, step_s: float = 30.0) -> Self:
        """Propagate over start to end; both ends are steps, so the step may come out a little shorter.

        Raises
        ------
        ElementSetError
            See `ecef_state`.
        """
        count = max(1, int(np.ceil((end - start) / step_s))) + 1
        position, velocity = ecef_state(elements, np.linspace(start, end, count))
        return cls(start=start, step_s=(end - start) / (count - 1), position_m=position, velocity_m_s=velocity)


def _sidereal_time(posix: Floats) -> tuple[Floats, float]:
    """Greenwich mean sidereal time in radians and its rate in rad/s (Aoki et al. 1982), for UT1 = UTC."""
    century = (posix - _J2000_POSIX) / (36525 * DAY_S)
    seconds = 67310.54841 + century * (3155760000 + 8640184.812866 + century * (0.093104 - century * 6.2e-6))
    rate = 1 + 8640184.812866 / (36525 * DAY_S)
    return np.remainder(seconds, DAY_S) * (2 * np.pi / DAY_S), rate * 2 * np.pi / DAY_S


def _turned(vectors: Floats, angle: Floats) -> Floats:
    """Vectors (..., n, 3) in a frame turned about z by the angles (n)."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def geodetic_to_ecef(lon: npt.ArrayLike, lat: npt.ArrayLike, height: npt.ArrayLike) -> Floats:
    """Earth-fixed metres (..., 3) of WGS 84 longitudes and latitudes in degrees and ellipsoidal heights in metres."""
    lam, phi = np.radians(lon), np.radians(lat)
    h = np.asarray(height, dtype=np.float64)
    normal = EQUATOR_M / np.sqrt(1 - _E2 * np.sin(phi) ** 2)
    ring = (normal + h) * np.cos(phi)
    x, y, z = np.broadcast_arrays(ring * np.cos(lam), ring * np.sin(lam), (normal * (1 - _E2) + h) * np.sin(phi))
    return np.stack([x, y, z], axis=-1)


def ecef_to_geodetic(position_m: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Longitude and latitude in degrees and height in metres on WGS 84 of Earth-fixed positions (..., 3)."""
    position = np.asarray(position_m, dtype=np.float64)
    x, y, z = np.moveaxis(position, -1, 0)
    sin, cos = _latitude(position)
    height = np.hypot(x, y) * cos + z * sin - EQUATOR_M * np.sqrt(1 - _E2 * sin**2)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(sin, cos)), height


def vertical(position_m: Floats) -> Floats:
    """Unit vectors (..., 3) away from the geodetic nadir of Earth-fixed positions (..., 3): the ellipsoid's normals."""
    sin, cos = _latitude(position_m)
    ring = np.hypot(position_m[..., 0], position_m[..., 1])
    across = np.divide(cos, ring, out=np.zeros_like(ring), where=ring > 0)
    return np.stack([position_m[..., 0] * across, position_m[..., 1] * across, sin], axis=-1)


def _latitude(position: Floats) -> tuple[Floats, Floats]:
    """Sine and cosine of the geodetic latitude.

    Bowring's iteration on the parametric latitude (1985, Survey Review 28): three rounds end below a micrometre from
    1,000 km under the ground to any height above it.
    """
    ring, z = np.hypot(position[..., 0], position[..., 1]), position[..., 2]
    sin, cos = z * EQUATOR_M, ring * _POLE_M
    for _ in range(3):
        length = np.hypot(sin, cos)
        up = z + _E2 / (1 - _E2) * _POLE_M * (sin / length) ** 3
        out = ring - _E2 * EQUATOR_M * (cos / length) ** 3
        sin, cos = (1 - FLATTENING) * up, out
    length = np.hypot(up, out)
    return up / length, out / length


def enu_axes(lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
    """Unit vectors east, north, up as the rows of (..., 3, 3); up is the normal of the ellipsoid.

    At a pole, north points along the meridian of the longitude given, over the pole and on.
    """
    lam, phi = np.broadcast_arrays(np.radians(lon), np.radians(lat))
    sin_l, cos_l, sin_p, cos_p = np.sin(lam), np.cos(lam), np.sin(phi), np.cos(phi)
    east = np.stack([-sin_l, cos_l, np.zeros_like(lam)], axis=-1)
    north = np.stack([-sin_p * cos_l, -sin_p * sin_l, cos_p], axis=-1)
    up = np.stack([cos_p * cos_l, cos_p * sin_l, sin_p], axis=-1)
    return np.stack([east, north, up], axis=-2)


def sun_direction(posix: npt.ArrayLike) -> Floats:
    """Earth-fixed unit vectors (..., 3) towards the apparent Sun, good to 0.01 degrees.

    Meeus, Astronomical Algorithms, 2nd edition, chapter 25 (low accuracy). Seen from the Earth's centre: 0.002 degrees.
    """
    times = np.asarray(posix, dtype=np.float64)
    century = (times + _TT_MINUS_UTC_S - _J2000_POSIX) / (36525 * DAY_S)
    mean = 280.46646 + century * (36000.76983 + century * 0.0003032)
    anomaly = np.radians(357.52911 + century * (35999.05029 - century * 0.0001537))
    centre = (
        (1.914602 - century * (0.004817 + century * 0.000014)) * np.sin(anomaly)
        + (0.019993 - century * 0.000101) * np.sin(2 * anomaly)
        + 0.000289 * np.sin(3 * anomaly)
    )
    node = np.radians(125.04 - 1934.136 * century)
    nutation = -0.00478 * np.sin(node)
    longitude = np.radians(mean + centre - 0.00569 + nutation)
    tilt = np.radians(23.43929111 - 0.013004167 * century + 0.00256 * np.cos(node))
    on_equator = np.stack(
        [np.cos(longitude), np.cos(tilt) * np.sin(longitude), np.sin(tilt) * np.sin(longitude)], axis=-1
    )
    apparent = _sidereal_time(times)[0] + np.radians(nutation * np.cos(tilt))
    return _turned(on_equator, apparent)


def sun_angles(lon: npt.ArrayLike, lat: npt.ArrayLike, posix: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Azimuth (clockwise from north, 0 to 360) and elevation of the Sun in degrees, without refraction."""
    east, north, up = np.moveaxis(np.einsum("...ij,...j->...i", enu_axes(lon, lat), sun_direction(posix)), -1, 0)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arctan2(up, np.hypot(east, north)))


def sun_declination_deg(posix: npt.ArrayLike) -> Floats:
    """How far north of the equator the Sun stands, degrees."""
    return np.degrees(np.arcsin(sun_direction(posix)[..., 2]))
