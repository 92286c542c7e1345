"""A frame camera: a picture taken at one moment, by aircraft, drone or staring satellite.

The collinearity equations: a point of the ground, seen from the camera along its axes right, down and ahead,

    (X, Y, Z) = axes · (ground - position),    x = X / Z,    y = Y / Z,    seen only where Z > 0,

goes through the lens (Brown, Photogrammetric Engineering 32(3), 1966; terms and signs as OpenCV and OpenSfM have them),

    x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2 x²)
    y' = y (1 + k1 r² + k2 r⁴ + k3 r⁶) + p1 (r² + 2 y²) + 2 p2 x y        r² = x² + y²

and appears at row = principal row + focal · y', column = principal column + focal · x'.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from processing import camera_kernel as kernel
from processing.errors import SensorModelError
from processing.sensor import Domain, Floats, broadcast, check_extent, domain_of, refuse_lost

_ORTHOGONAL = 1e-6
"""Largest difference of a rotation's rows from unit vectors at right angles; what few digits leave is evened out."""

_EXACT = 1e-14
"""What float64 leaves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameCamera:
    """One picture of a frame camera: interior and exterior orientation."""

    rows: int
    """Height of the picture, px, as is all of the interior orientation."""

    columns: int
    focal_px: float
    """Principal distance; pixels are square."""

    principal: tuple[float, float]
    """Row and column of the principal point; in the middle it is ((rows - 1) / 2, (columns - 1) / 2)."""

    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """k1, k2, k3."""

    tangential: tuple[float, float] = (0.0, 0.0)
    """p1, p2."""

    position_m: tuple[float, float, float]
    """Projection centre, Earth-fixed (ECEF, WGS 84)."""

    axes: Floats
    """Unit vectors to the right, downwards in the picture, and ahead, Earth-fixed: the rows of a rotation (3, 3)."""

    heights_m: tuple[float, float]
    """Lowest and highest ground for which it is used, m above the ellipsoid; the terrain found there counts."""

    domain: Domain = field(init=False)
    """The ground that it shows between those heights."""

    farthest: float = field(init=False)
    """Radius in focal lengths beyond which the lens would fold back what it shows; infinite for most."""

    def __post_init__(self) -> None:
        check_extent((self.rows, self.columns), self.heights_m)
        numbers = [self.focal_px, *self.principal, *self.radial, *self.tangential, *self.position_m]
        if not (np.isfinite(numbers).all() and self.focal_px > 0):
            raise SensorModelError(
                f"frame camera: focal length {self.focal_px}; give finite numbers, the focal above 0"
            )
        axes = np.array(self.axes, dtype=np.float64)
        good = axes.shape == (3, 3) and np.isfinite(axes).all()
        if not (good and np.abs(axes @ axes.T - np.eye(3)).max() < _ORTHOGONAL and np.linalg.det(axes) > 0):
            raise SensorModelError("frame camera: the rotation is none; give three unit vectors right, down and ahead")
        if np.abs(axes @ axes.T - np.eye(3)).max() > _EXACT:
            left, _, right = np.linalg.svd(axes)
            axes = np.ascontiguousarray(left @ right)
        axes.flags.writeable = False
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "farthest", _farthest(self.radial))
        height = kernel.geodetic(*self.position_m)[2]
        if height <= self.heights_m[1]:
            raise SensorModelError(
                f"frame camera: at {height:.1f} m, not above its highest ground at {self.heights_m[1]:.1f} m; "
                "both are heights above the ellipsoid"
            )
        object.__setattr__(self, "domain", domain_of(self, (self.rows, self.columns), self.heights_m))

    @classmethod
    def from_angles(
        cls,
        *,
        lon: float,
        lat: float,
        height_m: float,
        omega_deg: float,
        phi_deg: float,
        kappa_deg: float,
        **interior: Any,  # noqa: ANN401 - further fields of the class
    ) -> Self:
        """A camera whose attitude is given by angles in the local frame at its own place.

        R = Rx(ω) · Ry(φ) · Rz(κ) turns the camera's axes (x right, y up in the picture, z backwards: PATB, Pix4D,
        orthority) into east, north and up at the camera. All are 0 for a picture straight down, its top to true north.

        Parameters
        ----------
        lon, lat, height_m
            Of the projection centre: degrees on WGS 84, m above the ellipsoid.
        interior
            The other fields.

        Raises
        ------
        SensorModelError
            As the class itself.
        """
        numbers = [lon, lat, height_m, omega_deg, phi_deg, kappa_deg]
        if not np.isfinite(numbers).all() or abs(lat) > 90:
            raise SensorModelError(f"frame camera: lon {lon}, lat {lat}, height {height_m}; give finite numbers")
        lam, beta = np.radians([lon, lat])
        east = np.array([-np.sin(lam), np.cos(lam), 0.0])
        up = np.array([np.cos(beta) * np.cos(lam), np.cos(beta) * np.sin(lam), np.sin(beta)])
        local = np.stack([east, np.cross(up, east), up])  # rows; their transpose turns local into Earth-fixed
        turn = rotation(omega_deg, phi_deg, kappa_deg)
        axes = np.diag([1.0, -1.0, -1.0]) @ turn.T @ local
        return cls(position_m=kernel.earth_fixed(lon, lat, height_m), axes=axes, **interior)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameCamera) and self._numbers() == other._numbers()

    def __hash__(self) -> int:
        return hash(self._numbers())

    @property
    def kind(self) -> str:
        """As an item's lineage calls it."""
        return "frame camera"

    def project(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Row and column at which ground points appear, broadcast together.

        NaN for points behind the camera, and beyond the radius up to which the lens spreads what it shows.
        """
        lons, lats, heights = broadcast(lon, lat, height)
        row, col = kernel.project_frame(*self._packed(), lons.ravel(), lats.ravel(), heights.ravel())
        return row.reshape(lons.shape), col.reshape(lons.shape)

    def locate(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude where the rays of image points come down to heights; the inverse of `project`.

        Raises
        ------
        SensorModelError
            A ray does not come down to its height: it looks over the horizon, or begins below.
        """
        rows, cols, heights = broadcast(row, col, height)
        lon, lat = kernel.locate_frame(*self._packed(), rows.ravel(), cols.ravel(), heights.ravel())
        refuse_lost(lon, rows, cols, heights, what="frame camera")
        return lon.reshape(rows.shape), lat.reshape(rows.shape)

    def _packed(self) -> tuple[Floats, Floats, float]:
        """As the kernels take it."""
        camera = np.array([self.focal_px, *self.principal, *self.position_m, *self.axes.ravel()])
        return camera, np.array([*self.radial, *self.tangential]), self.farthest

    def _numbers(self) -> tuple[float, ...]:
        camera, lens, _ = self._packed()
        return (self.rows, self.columns, *camera.tolist(), *lens.tolist(), *self.heights_m)


def rotation(omega_deg: float, phi_deg: float, kappa_deg: float) -> Floats:
    """Rx(ω) · Ry(φ) · Rz(κ), each counter-clockwise seen against its axis; shape (3, 3)."""
    (so, sp, sk), (co, cp, ck) = (
        (trigonometric(np.radians([omega_deg, phi_deg, kappa_deg]))) for trigonometric in (np.sin, np.cos)
    )
    x = np.array([[1.0, 0.0, 0.0], [0.0, co, -so], [0.0, so, co]])
    y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    z = np.array([[ck, -sk, 0.0], [sk, ck, 0.0], [0.0, 0.0, 1.0]])
    turn: Floats = x @ y @ z
    return turn


def _farthest(radial: tuple[float, float, float]) -> float:
    """The radius at which r (1 + k1 r² + k2 r⁴ + k3 r⁶) first stops to grow; infinite where it never does."""
    k1, k2, k3 = radial
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    real = [root.real for root in roots if abs(root.imag) < 1e-9 * abs(root) and root.real > 0]
    return float(np.sqrt(min(real))) if real else float("inf")
