"""The rational polynomial model (RPC00B): ground to image, image to ground, and fitted to known points.

Each image coordinate is a ratio of two cubics in longitude, latitude and height, all three moved and scaled to about
[-1, 1] (STDI-0002 vol. 1, appendix E, "RPC00B"). **Row 0, column 0 is the centre of the first pixel**; readers of
formats that count otherwise shift the offsets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from processing import kernel
from processing.errors import SensorModelError
from processing.sensor import Domain, Floats, broadcast

_OFFSETS = ("line_off", "samp_off", "lat_off", "lon_off", "height_off")
_SCALES = ("line_scale", "samp_scale", "lat_scale", "lon_scale", "height_scale")
_POLYNOMIALS = ("line_num", "line_den", "samp_num", "samp_den")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rpc:
    """Where the sensor sees a point of the ground, as 10 numbers and four polynomials of 20 coefficients."""

    line_off: float
    """Row in the middle of the domain, px."""

    samp_off: float
    """Column in the middle of the domain, px."""

    lat_off: float
    """Geodetic latitude in the middle of the domain, degrees on WGS 84."""

    lon_off: float
    """Longitude in the middle of the domain, degrees."""

    height_off: float
    """Height above the ellipsoid in the middle of the domain, m."""

    line_scale: float
    """Half of the domain's rows, px."""

    samp_scale: float
    """Half of the domain's columns, px."""

    lat_scale: float
    """Half of the domain's latitudes, degrees."""

    lon_scale: float
    """Half of the domain's longitudes, degrees."""

    height_scale: float
    """Half of the domain's heights, m."""

    line_num: Floats
    """Numerator of the row: 20 coefficients in RPC00B order (1, λ, φ, h, λφ, λh, φh, λ², φ², h², λφh, λ³, …)."""

    line_den: Floats
    """Denominator of the row, likewise."""

    samp_num: Floats
    """Numerator of the column, likewise."""

    samp_den: Floats
    """Denominator of the column, likewise."""

    def __post_init__(self) -> None:
        for name in _OFFSETS + _SCALES:
            value = float(getattr(self, name))
            if not np.isfinite(value) or (name in _SCALES and value <= 0):
                raise SensorModelError(f"RPC: {name} is {value}; offsets are finite and scales above zero")
            object.__setattr__(self, name, value)
        for name in _POLYNOMIALS:
            polynomial = np.array(getattr(self, name), dtype=np.float64)
            if polynomial.shape != (20,) or not np.isfinite(polynomial).all():
                raise SensorModelError(f"RPC: {name} holds {polynomial.size} values; give 20 finite coefficients")
            if name in ("line_den", "samp_den") and not polynomial.any():
                raise SensorModelError(f"RPC: {name} is all zeros; a denominator has a constant term, usually 1")
            polynomial.flags.writeable = False
            object.__setattr__(self, name, polynomial)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rpc) and np.array_equal(self.packed(), other.packed())

    def __hash__(self) -> int:
        return hash(self.packed().tobytes())

    @property
    def kind(self) -> str:
        """As an item's lineage calls it."""
        return "rational polynomial model"

    @property
    def domain(self) -> Domain:
        """The ground for which it was fitted."""
        return Domain(
            lon=self.lon_off,
            lat=self.lat_off,
            height_m=self.height_off,
            lon_half=self.lon_scale,
            lat_half=self.lat_scale,
            height_half_m=self.height_scale,
        )

    def packed(self) -> Floats:
        """The model as the kernels take it: offsets, scales (line, sample, lat, lon, height), 4 × 20 coefficients."""
        numbers = [getattr(self, name) for name in _OFFSETS + _SCALES]
        return np.concatenate([np.array(numbers), *(getattr(self, name) for name in _POLYNOMIALS)])

    def shifted(self, *, rows: float, cols: float) -> Self:
        """The model of the same sensor in an image whose first pixel is at (rows, cols) of this one."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return type(self)(**{**values, "line_off": self.line_off - rows, "samp_off": self.samp_off - cols})

    def project(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Row and column at which ground points appear, exact to float64.

        Parameters
        ----------
        lon, lat
            Degrees on WGS 84; any turn of longitude will do.
        height
            Metres above the ellipsoid; the three are broadcast together.

        Returns
        -------
        row, col
            Of the broadcast shape; NaN where a denominator is zero. Far outside the domain they mean nothing.
        """
        lons, lats, heights = broadcast(lon, lat, height)
        rows, cols = kernel.project(self.packed(), lons.ravel(), lats.ravel(), heights.ravel())
        return rows.reshape(lons.shape), cols.reshape(lons.shape)

    def locate(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude of the ground seen at image points, at given heights; the inverse of `project`.

        Parameters
        ----------
        row, col
            Pixels, (0, 0) the centre of the first one.
        height
            Metres above the ellipsoid; the three are broadcast together.

        Returns
        -------
        lon, lat
            Of the broadcast shape, longitude in [-180, 180).

        Raises
        ------
        SensorModelError
            Newton's method did not converge to 1e-8 px: the point lies far outside the model's domain.
        """
        rows, cols, heights = broadcast(row, col, height)
        lons, lats = kernel.locate(self.packed(), rows.ravel(), cols.ravel(), heights.ravel())
        lost = np.flatnonzero(~np.isfinite(lons))
        if lost.size:
            first = lost[0]
            raise SensorModelError(
                f"RPC: no ground found for row {rows.flat[first]:.1f}, column {cols.flat[first]:.1f} at "
                f"{heights.flat[first]:.1f} m; the model holds for rows {self.line_off:.0f} ± {self.line_scale:.0f}, "
                f"columns {self.samp_off:.0f} ± {self.samp_scale:.0f}, "
                f"heights {self.height_off:.0f} ± {self.height_scale:.0f} m"
            )
        return lons.reshape(rows.shape), lats.reshape(rows.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRpc:
    """A model and how well it meets the points that it was fitted to."""

    rpc: Rpc
    """The model."""

    rms_px: float
    """Root mean square of the distances between points and model in the image, px."""

    max_px: float
    """The largest of these distances, px."""


def fit(*, row: ArrayLike, col: ArrayLike, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> FittedRpc:
    """Fit a model to points of known ground and image position.

    The equation ``row · den(ground) = num(ground)`` is linear in the coefficients; weighting by the last denominator
    turns its residual into pixels (Tao and Hu, PE&RS 67(12), 2001). The 39 unknowns of a smooth sensor are nearly
    dependent: a ridge holds the denominators near 1, raised by steps until none comes near zero anywhere in the domain.

    Parameters
    ----------
    row, col, lon, lat, height
        Arrays of one shape, 40 points or more, at more than one height; points in a grid of several heights determine
        the model best. Longitudes may cross ±180°.

    Raises
    ------
    SensorModelError
        Too few points, points that do not differ in every coordinate, or no stable model meets them.
    """
    rows, cols, lons, lats, heights = (part.ravel() for part in broadcast(row, col, lon, lat, height))
    if rows.size < 40:
        raise SensorModelError(f"RPC fit: {rows.size} points; 39 unknowns a coordinate need 40 or more")
    lons = lons[0] + _wrapped(lons - lons[0])
    domain = {
        name: _middle_and_half(name, values)
        for name, values in {"line": rows, "samp": cols, "lat": lats, "lon": lons, "height": heights}.items()
    }
    unit = {
        name: (values - domain[name][0]) / domain[name][1]
        for name, values in {"line": rows, "samp": cols, "lat": lats, "lon": lons, "height": heights}.items()
    }
    terms = _terms(unit["lon"], unit["lat"], unit["height"])
    line_num, line_den = _fit_ratio(terms, unit["line"])
    samp_num, samp_den = _fit_ratio(terms, unit["samp"])
    offsets = {f"{name}_off": middle for name, (middle, _) in domain.items()}
    scales = {f"{name}_scale": half for name, (_, half) in domain.items()}
    rpc = Rpc(**offsets, **scales, line_num=line_num, line_den=line_den, samp_num=samp_num, samp_den=samp_den)
    seen = rpc.project(lons, lats, heights)
    miss = np.hypot(seen[0] - rows, seen[1] - cols)
    return FittedRpc(rpc=rpc, rms_px=float(np.sqrt(np.mean(miss**2))), max_px=float(miss.max()))


def fit_to(
    locate: Callable[[Floats, Floats, Floats], tuple[Floats, Floats]],
    shape: tuple[int, int],
    heights: tuple[float, float],
    *,
    count: tuple[int, int, int] = (15, 15, 7),
) -> FittedRpc:
    """Fit a model to the rays of another one, a rigorous camera mostly; the residuals are those at the grid's points.

    Parameters
    ----------
    locate
        As `SensorModel.locate`.
    shape
        Rows and columns of the image, over which, edges included, the grid of points is laid.
    heights
        Lowest and highest of the points, m above the ellipsoid.
    count
        Points along rows, columns and heights.

    Raises
    ------
    SensorModelError
        As `fit` and `locate`.
    """
    axes = [np.linspace(-0.5, size - 0.5, n) for size, n in zip(shape, count[:2], strict=True)]
    grid = np.meshgrid(*axes, np.linspace(*heights, count[2]), indexing="ij")
    row, col, height = (part.ravel() for part in grid)
    lon, lat = locate(row, col, height)
    return fit(row=row, col=col, lon=lon, lat=lat, height=height)


_RIDGES = (1e-11, 1e-9, 1e-7, 1e-5, 1e-3, 1e-1)
"""On the denominator, tried in this order; relative to the root of the number of points."""

_LEAST_RIDGE = 1e-11
"""On the numerator: enough that it is determined."""

_STABLE_DENOMINATOR = 0.2
"""Denominators are 1 in the middle and change by some per cent for a real sensor; one near zero is a pole close by."""


def _fit_ratio(terms: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Numerator and denominator of one image coordinate, the denominator's constant being 1."""
    axis = np.linspace(-1.05, 1.05, 9)
    domain = _terms(*(part.ravel() for part in np.meshgrid(axis, axis, axis)))
    for ridge in _RIDGES:
        denominator = np.eye(20)[0]
        numerator = denominator
        for _ in range(4):
            numerator, denominator = _solve_ratio(terms, target, 1 / (terms @ denominator), ridge)
            if min((domain @ denominator).min(), (terms @ denominator).min()) < _STABLE_DENOMINATOR:
                break
        else:
            return numerator, denominator
    raise SensorModelError("RPC fit: no stable model meets the points; are rows and columns smooth in the ground?")


def _solve_ratio(terms: Floats, target: Floats, weight: Floats, ridge: float) -> tuple[Floats, Floats]:
    design = np.hstack([terms, -target[:, None] * terms[:, 1:]]) * weight[:, None]
    hold = np.diag([_LEAST_RIDGE] * 20 + [ridge] * 19) * np.sqrt(len(target))
    solution = np.linalg.lstsq(np.vstack([design, hold]), np.concatenate([target * weight, np.zeros(39)]), rcond=None)[
        0
    ]
    return solution[:20], np.concatenate([[1.0], solution[20:]])


def _middle_and_half(name: str, values: Floats) -> tuple[float, float]:
    if not np.isfinite(values).all():
        raise SensorModelError(f"RPC fit: a {name} is no number")
    low, high = float(values.min()), float(values.max())
    if high <= low:
        raise SensorModelError(f"RPC fit: every {name} is {low:g}; points must differ in each coordinate")
    return (low + high) / 2, (high - low) / 2


def _terms(x: Floats, y: Floats, z: Floats) -> Floats:
    """The 20 products of RPC00B for normalised longitude x, latitude y, height z: shape (n, 20)."""
    quadratic = [np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x, y * y, z * z]
    third = [x * y * z, x**3, x * y * y, x * z * z, x * x * y, y**3, y * z * z, x * x * z, y * y * z, z**3]
    return np.stack(quadratic + third, axis=1)


def _wrapped(degrees: Floats) -> Floats:
    """Differences of longitude, the short way round."""
    return degrees - 360.0 * np.rint(degrees / 360.0)
