"""A rigorous pushbroom camera: a line of detectors that takes one row at a time while the satellite flies on.

    row ─► time ─► position (Hermite)                    column ─► look angles
               └─► attitude (slerp)  ─────────────────────────────► ray = attitude · (along, across, 1)

The sensor's axes: x about along the flight, y across it, z towards the ground. The attitude turns them into Earth-fixed
(ECEF) ones; along and across are tangents of the look angles, polynomials in the column. Nothing is approximated:
`locate` follows the ray down to the height over the ellipsoid, `project` finds the moment at which the point lies in
the plane of the detectors. Light-time and aberration are not modelled: attitudes or look angles hold them, as those
that vendors deliver do, or not at all.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from processing import camera_kernel as kernel
from processing.errors import SensorModelError
from processing.sensor import Domain, Floats, broadcast, check_extent, domain_of, refuse_lost

_ARRAYS = (
    "line_rows", "line_s", "ephemeris_s", "position_m", "velocity_m_s", "attitude_s", "quaternions", "along", "across",
)  # fmt: skip

_UNIT = 1e-6
"""By so much quaternions may miss the length 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PushbroomCamera:
    """One acquisition of a pushbroom camera. Times are seconds from any one moment."""

    rows: int
    """Lines of the image, px."""

    columns: int
    """Detectors, px."""

    line_rows: Floats
    """Rows whose time is known, rising, shape (n,), two or more; between and beyond them time runs evenly."""

    line_s: Floats
    """Their times, s, all rising or all falling."""

    ephemeris_s: Floats
    """Times of the ephemeris, rising, shape (m,), two or more; cubic between them, straight on beyond."""

    position_m: Floats
    """Positions at these times, ECEF, m, shape (m, 3)."""

    velocity_m_s: Floats
    """Earth-fixed velocities (of the turning frame, not inertial ones), m/s, shape (m, 3)."""

    attitude_s: Floats
    """Times of the attitudes, rising, shape (k,), two or more; at rest beyond the ends."""

    quaternions: Floats
    """Unit quaternions (w, x, y, z) that turn the sensor's axes into Earth-fixed ones, shape (k, 4)."""

    look_middle: float
    """Column at which the look polynomials' variable is 0."""

    look_half: float
    """Columns from there to where it is 1."""

    along: Floats
    """Tangent of the look angle along the flight: coefficients by powers of (column - middle) / half, from 0 on."""

    across: Floats
    """The same across the flight, two or more; the angle grows or falls all along the line of detectors."""

    heights_m: tuple[float, float]
    """Lowest and highest ground for which it is used, m above the ellipsoid; the terrain found there counts."""

    domain: Domain = field(init=False)
    """The ground that it shows between those heights."""

    def __post_init__(self) -> None:
        check_extent((self.rows, self.columns), self.heights_m)
        for name in _ARRAYS:
            values = np.array(getattr(self, name), dtype=np.float64, order="C")
            if not np.isfinite(values).all():
                raise SensorModelError(f"pushbroom camera: a value of {name} is no finite number")
            object.__setattr__(self, name, values)
        self._check_series("line_rows", self.line_s.shape, (self.line_rows.size,))
        self._check_series("ephemeris_s", self.position_m.shape, (self.ephemeris_s.size, 3))
        self._check_series("ephemeris_s", self.velocity_m_s.shape, (self.ephemeris_s.size, 3))
        self._check_series("attitude_s", self.quaternions.shape, (self.attitude_s.size, 4))
        steps = np.diff(self.line_s)
        if not ((steps > 0).all() or (steps < 0).all()):
            raise SensorModelError("pushbroom camera: line_s does not rise, or fall, throughout; one row has one time")
        if np.abs(np.linalg.norm(self.quaternions, axis=1) - 1).max() > _UNIT:
            raise SensorModelError("pushbroom camera: a quaternion is not of length 1; give (w, x, y, z) of a rotation")
        object.__setattr__(self, "quaternions", _one_side(self.quaternions))
        self._check_look()
        for name in _ARRAYS:
            getattr(self, name).flags.writeable = False
        object.__setattr__(self, "domain", domain_of(self, (self.rows, self.columns), self.heights_m))

    def _check_series(self, name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        knots = getattr(self, name)
        if knots.ndim != 1 or knots.size < 2 or not (np.diff(knots) > 0).all():
            raise SensorModelError(
                f"pushbroom camera: {name} does not rise throughout; give two values or more, sorted"
            )
        if found != wanted:
            raise SensorModelError(
                f"pushbroom camera: what belongs to {name} has the shape {found}; give {wanted}, one a value of {name}"
            )

    def _check_look(self) -> None:
        if not (np.isfinite([self.look_middle, self.look_half]).all() and self.look_half > 0):
            raise SensorModelError(f"pushbroom camera: look_half is {self.look_half}; give columns, above 0")
        if self.along.ndim != 1 or self.across.ndim != 1 or self.along.size < 1 or self.across.size < 2:
            raise SensorModelError(
                "pushbroom camera: give one coefficient or more along, two or more across the flight"
            )
        column = np.linspace(-0.5, self.columns - 0.5, 65)
        slope = np.polynomial.Polynomial(self.across).deriv()((column - self.look_middle) / self.look_half)
        if not ((slope > 0).all() or (slope < 0).all()):
            raise SensorModelError("pushbroom camera: the look angles across turn back; two columns look the same way")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PushbroomCamera) and self._bytes() == other._bytes()

    def __hash__(self) -> int:
        return hash(self._bytes())

    @property
    def kind(self) -> str:
        """As an item's lineage calls it."""
        return "rigorous pushbroom model"

    def project(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Row and column at which ground points appear, broadcast together; NaN for points behind the camera."""
        lons, lats, heights = broadcast(lon, lat, height)
        row, col = kernel.project_pushbroom(*self._packed(), lons.ravel(), lats.ravel(), heights.ravel())
        return row.reshape(lons.shape), col.reshape(lons.shape)

    def locate(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude where the rays of image points come down to heights; the inverse of `project`.

        Raises
        ------
        SensorModelError
            A ray does not come down to its height.
        """
        rows, cols, heights = broadcast(row, col, height)
        lon, lat = kernel.locate_pushbroom(*self._packed(), rows.ravel(), cols.ravel(), heights.ravel())
        refuse_lost(lon, rows, cols, heights, what="pushbroom camera")
        return lon.reshape(rows.shape), lat.reshape(rows.shape)

    def _packed(self) -> tuple[Floats, Floats, Floats, Floats, Floats, tuple[float, float], Floats, Floats]:
        """As the kernels take it."""
        lines = np.stack([self.line_rows, self.line_s])
        states = np.hstack([self.position_m, self.velocity_m_s])
        look = (float(self.look_middle), float(self.look_half))
        return lines, self.ephemeris_s, states, self.attitude_s, self.quaternions, look, self.along, self.across

    def _bytes(self) -> bytes:
        arrays = [getattr(self, name) for name in _ARRAYS]
        shape = [self.rows, self.columns, self.look_middle, self.look_half, *self.heights_m]
        return np.concatenate([[*map(len, arrays), *shape], *(part.ravel() for part in arrays)]).tobytes()


def _one_side(quaternions: Floats) -> Floats:
    """The same attitudes, each quaternion on its neighbour's side: q and -q are one turn, but not on the way."""
    turns = np.sign(np.sum(quaternions[1:] * quaternions[:-1], axis=1))
    signs = np.cumprod(np.concatenate([[1.0], np.where(turns == 0, 1.0, turns)]))
    same: Floats = quaternions * signs[:, None]
    return same
