"""Check points: how far a sensor model, and an orthoimage made with it, lie from places that are known.

    row, col in the image ─► its ray ─┬─► at the point's own height     − the point = error of the sensor model
                                      └─► where it first meets the DEM  − the point = error of the orthoimage

The second is what a user of the orthoimage meets: where the DEM is wrong by some metres, the ray comes down beside.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from processing.accuracy import CheckPointError, CheckPoints
from processing.dem import Dem
from processing.error_statistics import PlanarErrors, nmad, rmse
from processing.errors import SensorModelError
from processing.projection import Floats, near
from processing.refine import ControlPoint, metres_per_degree
from processing.sensor import SensorModel

SAME_M: Final = 0.05
"""A check point so near to a control point is the same point of the ground."""

_STEP_M: Final = 1.0
"""Down a ray; terrain that is thinner is no terrain of a DEM."""

_ABOVE_M: Final = 100.0
"""Beyond the heights around the points at which rays begin, and end."""


def measure_checks(
    rpc: SensorModel, points: Sequence[ControlPoint], *, source: str, dem: Dem | None = None
) -> CheckPoints:
    """Measure a sensor model, and the orthoimages that it makes on a DEM, by points that it has not seen.

    None is rejected: a check point that is wrong must be found by a person.

    Parameters
    ----------
    source
        Where the points are from, for the report.
    dem
        What the orthoimage was made on; None: the sensor model alone is judged.

    Raises
    ------
    SensorModelError
        No point, or one that the model does not see.
    HeightsError
        The DEM knows nothing of the ground of any point.
    """
    if not points:
        raise SensorModelError(f"check points: none in {source}; give one or more")
    row, col, lon, lat, height = (
        np.array([getattr(point, name) for point in points], np.float64)
        for name in ("row", "col", "lon", "lat", "height")
    )
    seen = np.stack(rpc.project(lon, lat, height))
    own = rpc.locate(row, col, height)
    unseen = np.flatnonzero(~np.isfinite(np.stack([*seen, *own])).all(axis=0))
    if unseen.size:
        raise SensorModelError(
            f"check point {points[unseen[0]].id}: the sensor model does not see it; is it this scene's?"
        )
    off = np.stack([row, col]) - seen
    model = _metres(own, lon, lat, height)
    product, dem_m = np.full((2, len(points)), np.nan), np.full(len(points), np.nan)
    if dem is not None:
        product = _metres(_meet(rpc, dem, row, col, height), lon, lat, height)
        dem_m = _heights(dem, lon, lat, rpc.domain.lon) - height
    met, over = np.isfinite(product).all(axis=0), np.isfinite(dem_m)
    return CheckPoints(
        source=source,
        points=tuple(
            CheckPointError(
                id=point.id,
                lon=point.lon,
                lat=point.lat,
                row_px=float(off[0, k]),
                col_px=float(off[1, k]),
                model_east_m=float(model[0, k]),
                model_north_m=float(model[1, k]),
                product_east_m=float(product[0, k]) if met[k] else None,
                product_north_m=float(product[1, k]) if met[k] else None,
                dem_m=float(dem_m[k]) if over[k] else None,
            )
            for k, point in enumerate(points)
        ),
        rmse_px=rmse(np.hypot(*off)),
        model=PlanarErrors.of(*model),
        product=PlanarErrors.of(*product[:, met]) if met.any() else None,
        dem_median_m=float(np.median(dem_m[over])) if over.any() else None,
        dem_nmad_m=nmad(dem_m[over]) if over.any() else None,
        dem_rmse_m=rmse(dem_m[over]) if over.any() else None,
    )


def check_independent(checks: Sequence[ControlPoint], control: Sequence[ControlPoint]) -> None:
    """Refuse check points that the sensor model was fitted to: they would praise it.

    Raises
    ------
    SensorModelError
        A check point has the id of a control point, or lies within `SAME_M` of one.
    """
    for point in checks:
        for fitted in control:
            east, north = metres_per_degree(np.array(point.lat), np.array(point.height))
            apart = np.hypot(near(np.array(point.lon - fitted.lon), 0.0) * east, (point.lat - fitted.lat) * north)
            if point.id == fitted.id or float(apart) < SAME_M:
                raise SensorModelError(
                    f"check point {point.id}: the model is fitted to it (control point {fitted.id}); "
                    "check by points that it has not seen"
                )


def _metres(place: tuple[Floats, Floats], lon: Floats, lat: Floats, height: Floats) -> Floats:
    """Metres east and north of places from the points; shape (2, n)."""
    east, north = metres_per_degree(lat, height)
    return np.stack([near(place[0] - lon, 0.0) * east, (place[1] - lat) * north])


def _heights(dem: Dem, lon: ArrayLike, lat: ArrayLike, middle: float) -> Floats:
    """Metres above the ellipsoid; NaN where the DEM knows none."""
    row, col = dem.position(near(np.asarray(lon), middle), np.asarray(lat), middle=middle)
    return dem.cells(row, col).at(row, col)


def _meet(rpc: SensorModel, dem: Dem, row: Floats, col: Floats, height: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude where rays first meet the terrain, from above; NaN where they meet none."""
    lon, lat = rpc.locate(row, col, height)
    low, high = dem.height_range(*dem.position(near(lon, rpc.domain.lon), lat, middle=rpc.domain.lon))
    low, high = min(low, float(height.min())) - _ABOVE_M, max(high, float(height.max())) + _ABOVE_M
    levels = np.linspace(high, low, int((high - low) / _STEP_M) + 2)
    met = np.full((2, row.size), np.nan)
    for k, (r, c) in enumerate(zip(row, col, strict=True)):
        above = levels - _heights(dem, *rpc.locate(r, c, levels), rpc.domain.lon)
        crossing = np.flatnonzero((above[:-1] >= 0) & (above[1:] < 0))
        if crossing.size:
            first = crossing[0]
            share = above[first] / (above[first] - above[first + 1])
            met[:, k] = rpc.locate(r, c, levels[first] + share * (levels[first + 1] - levels[first]))
    return met[0], met[1]
