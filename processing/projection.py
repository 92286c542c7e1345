"""Between WGS 84 degrees and any CRS: PROJ's transformers, made once a process."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

Floats = NDArray[np.float64]

LON_LAT = "OGC:CRS84"
"""WGS 84 in degrees, longitude first: what sensor models stand on."""


def to_lon_lat(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Degrees on WGS 84 of points in a CRS (easting or longitude first); inf where it has none."""
    if is_lon_lat(crs):
        return x, y
    lon, lat = _transformer(crs, LON_LAT).transform(x, y)
    return lon, lat


def from_lon_lat(crs: str, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Points in a CRS (easting or longitude first) of degrees on WGS 84; inf where it has none."""
    if is_lon_lat(crs):
        return lon, lat
    x, y = _transformer(LON_LAT, crs).transform(lon, lat)
    return x, y


def near(lon: Floats, middle: float) -> Floats:
    """The same longitudes, by full turns at most 180° away from the middle: no jump where ±180° is crossed."""
    return lon - 360.0 * np.rint((lon - middle) / 360.0)


@lru_cache(maxsize=64)
def is_geographic(crs: str) -> bool:
    """Whether the coordinates of a CRS are longitudes and latitudes."""
    return bool(CRS.from_user_input(crs).is_geographic)


@lru_cache(maxsize=64)
def is_lon_lat(crs: str) -> bool:
    """Whether a CRS is WGS 84 in degrees itself."""
    parsed = CRS.from_user_input(crs)
    return bool(parsed.equals(CRS(LON_LAT), ignore_axis_order=True) or parsed.to_epsg() == 4326)


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
