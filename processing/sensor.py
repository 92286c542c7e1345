"""What orthorectification asks of a sensor model, whatever is inside: an RPC, a frame camera, a pushbroom camera.

**Row 0, column 0 is the centre of the first pixel** in all of them; places are degrees on WGS 84, heights metres above
its ellipsoid. Models are values: equal ones compare and hash alike, and all of them can be pickled.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.errors import SensorModelError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The ground for which a model is made, as its middle and half of its extent each way."""

    lon: float
    """Longitude in the middle, degrees; other longitudes are taken the short way round from it."""

    lat: float
    """Geodetic latitude in the middle, degrees."""

    height_m: float
    """Height in the middle, m above the ellipsoid."""

    lon_half: float
    """Half of the longitudes, degrees, above 0 as are the two below."""

    lat_half: float
    """Half of the latitudes, degrees."""

    height_half_m: float
    """Half of the heights, m."""


class SensorModel(Protocol):
    """Where an image shows the ground; `processing.rpc.Rpc` is one."""

    @property
    def kind(self) -> str:
        """What it is, in a few words: ``rational polynomial model``."""
        ...

    @property
    def domain(self) -> Domain:
        """The ground for which it holds."""
        ...

    def project(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Row and column at which ground points appear, broadcast together; NaN where they cannot be seen."""
        ...

    def locate(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude in [-180, 180) and latitude of the ground seen at image points, at given heights.

        Raises
        ------
        SensorModelError
            A point sees no ground at its height.
        """
        ...


def are_seen(
    model: SensorModel, lon: Floats, lat: Floats, relief: tuple[float, float], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Whether an image shows places at some height: between the lowest and the highest each moves about straight.

    Parameters
    ----------
    relief
        Lowest and highest terrain, m above the ellipsoid.
    shape
        Rows and columns of the image.
    """
    ends = [model.project(lon, lat, height) for height in relief]
    seen = np.ones(lon.shape, dtype=np.bool_)
    for size, low, high in zip(shape, *ends, strict=True):
        # Where one end cannot be seen, behind a camera, the other decides.
        seen &= (np.fmax(low, high) >= -0.5) & (np.fmin(low, high) < size - 0.5)
    return seen


def domain_of(model: SensorModel, shape: tuple[int, int], heights: tuple[float, float]) -> Domain:
    """The domain of a model whose `locate` works already: what an image of so many rows and columns shows.

    Raises
    ------
    SensorModelError
        Part of the image sees no ground at the lowest or the highest height.
    """
    rows, cols = (np.linspace(-0.5, size - 0.5, 5) for size in shape)
    lon, lat = model.locate(rows[:, None, None], cols[:, None], np.array(heights))
    lon = lon.flat[0] + (lon - lon.flat[0] + 180.0) % 360.0 - 180.0
    middle = float(lon.min() + lon.max()) / 2
    return Domain(
        lon=(middle + 180.0) % 360.0 - 180.0,
        lat=float(lat.min() + lat.max()) / 2,
        height_m=(heights[0] + heights[1]) / 2,
        lon_half=float(np.ptp(lon)) / 2,
        lat_half=float(np.ptp(lat)) / 2,
        height_half_m=(heights[1] - heights[0]) / 2,
    )


def check_extent(shape: tuple[int, int], heights: tuple[float, float]) -> None:
    """Refuse an image without pixels, and ground whose lowest height is not below its highest.

    Raises
    ------
    SensorModelError
        It is one.
    """
    if min(shape) < 1:
        raise SensorModelError(f"camera: {shape[0]} rows, {shape[1]} columns; give the size of the image in pixels")
    if not (np.isfinite(heights).all() and heights[0] < heights[1]):
        raise SensorModelError(
            f"camera: ground from {heights[0]} to {heights[1]} m; give its lowest and highest height over the ellipsoid"
        )


def refuse_lost(lon: Floats, row: Floats, col: Floats, height: Floats, *, what: str) -> None:
    """Raise an error where no ground was found.

    Raises
    ------
    SensorModelError
        Some longitude is NaN.
    """
    lost = np.flatnonzero(np.isnan(lon))
    if lost.size:
        first = lost[0]
        raise SensorModelError(
            f"{what}: row {row.flat[first]:.1f}, column {col.flat[first]:.1f} sees no ground at "
            f"{height.flat[first]:.1f} m; it looks over the horizon, from below, or past the lens"
        )


def broadcast(*values: ArrayLike) -> list[Floats]:
    """Arrays of one shape, in memory of their own."""
    parts = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    return [np.array(part, dtype=np.float64, order="C") for part in parts]
