"""A rigorous pushbroom camera: for each line the satellite's position and attitude, for each pixel its ray.

The satellite's axes at a moment: z to the geodetic nadir, x along the Earth-fixed velocity made level, y to the left of
the flight, so that a picture with lines in the order of time and columns to the left is not mirrored. Yaw and pitch are
nil; a constant roll about x turns the boresight to the target:

    ray(line, column) = boresight + tan(ψ) · left,      tan(ψ) even in columns (a straight line of detectors)

Row 0, column 0 is the centre of the first pixel.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import cos, degrees, radians, sin
from typing import Self

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from processing import camera_kernel
from processing.pushbroom import PushbroomCamera
from processing.sensor import broadcast
from tasking.orbit import ecef_state, ecef_to_geodetic, enu_axes, geodetic_to_ecef
from tasking.provider.sandbox.earth import HEIGHT, Floats, lonlat, meet
from tasking.satellite import ElementSet

TICK_S = 2.0**-22
"""POSIX seconds of our time in float64 are multiples of this; line times are too, so that no rounding shakes them."""

_BESIDE_S = 1.0
"""A model's samples begin so long before the first line, and end so long after the last."""

_EPHEMERIS_S = 1.0
"""Time between positions of a model; cubics between them are good to a ten-millionth of a metre."""

_ATTITUDE_S = 1 / 32
"""Time between attitudes of a model; turns between them are even to some 1e-11 radians."""

_FLIGHT_S = 64.0
"""The path is known this long before and after its middle."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """A short piece of an orbit as polynomials: SGP4 at every eighth of a second would only cost time.

    Degree 12 over 128 s repeats SGP4 to some 0.1 mm, which is what its own arithmetic is good for.
    """

    elements: ElementSet
    middle: float
    """POSIX seconds, a multiple of `TICK_S`."""

    @classmethod
    def around(cls, elements: ElementSet, posix: float) -> Self:
        """The piece of the orbit around a moment."""
        return cls(elements=elements, middle=round(posix / TICK_S) * TICK_S)

    @cached_property
    def _curves(self) -> tuple[Chebyshev, ...]:
        seconds = np.arange(-_FLIGHT_S, _FLIGHT_S + 1, 2.0)
        states = np.hstack(ecef_state(self.elements, self.middle + seconds))
        return tuple(Chebyshev.fit(seconds, column, 12, domain=[-_FLIGHT_S, _FLIGHT_S]) for column in states.T)

    def state(self, seconds: Floats) -> tuple[Floats, Floats]:
        """Earth-fixed position and velocity (..., 3) so many seconds after the middle."""
        values = np.stack([curve(seconds) for curve in self._curves], axis=-1)
        return values[..., :3], values[..., 3:]

    def advance(self, seconds: Floats) -> Floats:
        """The derivative of the positions, (..., 3) m/s; SGP4's own velocity is some mm/s beside it."""
        return np.stack([curve.deriv()(seconds) for curve in self._curves[:3]], axis=-1)

    def axes(self, seconds: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Position, and the unit vectors forward, left and down of the unrolled satellite, each (..., 3)."""
        position, velocity = self.state(seconds)
        lon, lat, _ = ecef_to_geodetic(position)
        up = enu_axes(lon, lat)[..., 2, :]
        level = velocity - np.sum(velocity * up, axis=-1, keepdims=True) * up
        forward = level / np.linalg.norm(level, axis=-1, keepdims=True)
        return position, forward, np.cross(up, forward), -up

    def abeam(self, point: Floats) -> Floats:
        """Seconds after the middle at which ECEF points (..., 3) lie in the plane across the flight, by secants."""

        def ahead(seconds: Floats) -> Floats:
            position, forward, _, _ = self.axes(seconds)
            distance: Floats = np.sum((point - position) * forward, axis=-1)
            return distance

        before = np.zeros(point.shape[:-1])
        miss_before = ahead(before)
        now = before + miss_before / 7_000.0
        for _ in range(8):
            miss = ahead(now)
            slope = (miss - miss_before) / np.where(now == before, 1.0, now - before)
            step = np.where(np.abs(slope) > 1_000.0, miss / np.where(slope == 0, 1.0, slope), 0.0)
            before, miss_before = now, miss
            now = np.clip(now - step, -_FLIGHT_S, _FLIGHT_S)
        return now


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One acquisition: a path, a roll, and where lines and columns lie on them."""

    path: Path

    roll_deg: float
    """Angle of the boresight from the geodetic nadir, positive to the left of the flight."""

    first_s: float
    """Time of row 0, seconds after the path's middle."""

    line_s: float
    """Time from one row to the next."""

    first_tan: float
    """Tangent of the angle of column 0 from the boresight, positive to the left."""

    pixel_tan: float
    """The same from one column to the next."""

    rows: int
    columns: int

    def coarser(self, ratio: int) -> Self:
        """The camera whose every pixel covers ratio × ratio of this one's."""
        return replace(
            self,
            first_s=self.first_s + (ratio - 1) / 2 * self.line_s,
            line_s=self.line_s * ratio,
            first_tan=self.first_tan + (ratio - 1) / 2 * self.pixel_tan,
            pixel_tan=self.pixel_tan * ratio,
            rows=self.rows // ratio,
            columns=self.columns // ratio,
        )

    def posix(self, row: float) -> float:
        """When a row is taken."""
        return self.path.middle + self.first_s + row * self.line_s

    def lines(self, row: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Position in metres, boresight, and direction of the columns, each (..., 3), Earth-fixed."""
        position, _, left, down = self.path.axes(self.first_s + np.asarray(row, float) * self.line_s)
        roll = radians(self.roll_deg)
        return position, cos(roll) * down + sin(roll) * left, cos(roll) * left - sin(roll) * down

    def tangents(self, col: ArrayLike) -> Floats:
        """Tangents of the columns' angles from the boresight."""
        return np.asarray(self.first_tan + np.asarray(col, float) * self.pixel_tan)

    def rays(self, row: ArrayLike, col: ArrayLike) -> tuple[Floats, Floats]:
        """Origins in metres and directions (..., 3) of pixels, Earth-fixed; directions are not of unit length."""
        rows, cols = np.broadcast_arrays(np.asarray(row, float), np.asarray(col, float))
        origin, boresight, left = self.lines(rows)
        return origin, boresight + self.tangents(cols)[..., None] * left

    def ground(self, row: ArrayLike, col: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Longitude, latitude in degrees and ellipsoidal height in metres of the ground that pixels see."""
        origin, direction = self.rays(row, col)
        flat = origin.reshape(-1, 3)
        hits = meet(origins=flat, ahead=direction.reshape(-1, 3), across=np.zeros_like(flat), tangents=np.zeros(1))
        lon, lat = lonlat(hits[:, 0, :HEIGHT])
        shape = origin.shape[:-1]
        return lon.reshape(shape), lat.reshape(shape), hits[:, 0, HEIGHT].reshape(shape)

    def at_height(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude in degrees where the rays of pixels cross an ellipsoidal height."""
        rows, cols, heights = broadcast(row, col, height)
        origin, direction = (np.ascontiguousarray(part.reshape(-1, 3)) for part in self.rays(rows, cols))
        lon, lat = camera_kernel.meet_all(origin, direction, heights.ravel())
        return lon.reshape(rows.shape), lat.reshape(rows.shape)

    def model(self, low: float, high: float) -> PushbroomCamera:
        """The camera as vendors hand it over: sampled, and good for ground between two heights in metres.

        Between the samples its rays differ from this camera's by less than 0.1 mm on the ground.
        """
        last_s = self.first_s + self.rows * self.line_s
        flight = np.arange(self.first_s - _BESIDE_S, last_s + _BESIDE_S + _EPHEMERIS_S, _EPHEMERIS_S)
        turns = np.arange(self.first_s - _BESIDE_S, last_s + _BESIDE_S + _ATTITUDE_S, _ATTITUDE_S)
        _, boresight, left = self.lines((turns - self.first_s) / self.line_s)
        forward = np.cross(left, -boresight)
        axes = np.stack([forward, -left, boresight], axis=-1)
        tangents = self.tangents([(self.columns - 1) / 2, self.columns - 0.5])
        return PushbroomCamera(
            rows=self.rows,
            columns=self.columns,
            line_rows=np.array([0.0, self.rows]),
            line_s=np.array([self.first_s, last_s]),
            ephemeris_s=flight,
            position_m=self.path.state(flight)[0],
            velocity_m_s=self.path.advance(flight),
            attitude_s=turns,
            quaternions=np.roll(Rotation.from_matrix(axes).as_quat(), 1, axis=1),
            look_middle=(self.columns - 1) / 2,
            look_half=self.columns / 2,
            along=np.zeros(1),
            across=np.array([-tangents[0], tangents[0] - tangents[1]]),
            heights_m=(low, high),
        )

    def image(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Row and column at which a point is seen; outside the picture too."""
        point = geodetic_to_ecef(lon, lat, height)
        seconds = self.path.abeam(point)
        row = (seconds - self.first_s) / self.line_s
        origin, boresight, left = self.lines(row)
        away = point - origin
        tangent = np.sum(away * left, axis=-1) / np.sum(away * boresight, axis=-1)
        return row, (tangent - self.first_tan) / self.pixel_tan


def aim(path: Path, lon: float, lat: float, height: float) -> tuple[float, float]:
    """Seconds after the path's middle, and the roll in degrees, that bring a place into the middle of a line."""
    point = geodetic_to_ecef(lon, lat, height)
    seconds = path.abeam(point)
    position, _, left, down = path.axes(seconds)
    away = point - position
    return float(seconds), degrees(float(np.arctan2(np.sum(away * left), np.sum(away * down))))
