"""Ground stations: where a satellite can be heard, over a horizon of their own."""

import math
from dataclasses import dataclass

import numpy as np

from tasking.errors import InvalidSatelliteError
from tasking.orbit import Floats, ecef_state, enu_axes, geodetic_to_ecef
from tasking.passes import Places, find_passes
from tasking.satellite import ElementSet

_LOOK_S = 1.0
"""A mask is looked at this often; a gap between two hills that a satellite crosses in less is no contact."""

_BELOW_S = 120.0
"""From a height, and under a mask that dips, a satellite is heard a little before and after it is over the horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """An antenna and its mask.

    Raises
    ------
    InvalidSatelliteError
        A place off the Earth, or a mask with an angle out of bounds or no order.
    """

    id: str
    title: str

    lon: float
    """Degrees east, WGS 84."""

    lat: float
    height_m: float = 0.0
    """Above the ellipsoid."""

    mask: tuple[tuple[float, float], ...] = ((0.0, 5.0),)
    """Azimuth (ascending, 0 to 360) and least elevation there, degrees; straight between, and on from last to first."""

    def __post_init__(self) -> None:
        where = f"station {self.id!r:.60}"
        if not (-180 <= self.lon <= 180 and -90 <= self.lat <= 90):
            raise InvalidSatelliteError(f"{where}: {self.lon}, {self.lat} is no longitude, latitude in degrees")
        azimuths = [azimuth for azimuth, _ in self.mask]
        if not azimuths or azimuths != sorted(set(azimuths)) or not (azimuths[0] >= 0 and azimuths[-1] < 360):
            raise InvalidSatelliteError(f"{where}: the mask's azimuths must ascend from 0 to less than 360 degrees")
        if not all(-5 <= elevation < 90 for _, elevation in self.mask):
            raise InvalidSatelliteError(f"{where}: the mask's elevations must lie from -5 to less than 90 degrees")

    def least_elevation_deg(self, azimuth_deg: Floats) -> Floats:
        """Elevation of the mask at azimuths."""
        azimuths, elevations = np.array(self.mask).T
        return np.asarray(np.interp(azimuth_deg, azimuths, elevations, period=360))

    def clearance_deg(self, satellite_m: Floats) -> Floats:
        """Degrees by which Earth-fixed positions (n, 3) stand over the mask; negative below it."""
        east, north, up = (
            enu_axes(self.lon, self.lat) @ (satellite_m - geodetic_to_ecef(self.lon, self.lat, self.height_m)).T
        )
        azimuth = np.degrees(np.arctan2(east, north)) % 360
        clearance: Floats = np.degrees(np.arctan2(up, np.hypot(east, north))) - self.least_elevation_deg(azimuth)
        return clearance


def contacts(station: Station, elements: ElementSet, *, start: float, end: float) -> list[tuple[float, float]]:
    """Spans of time, POSIX seconds, in which a satellite stands over a station's mask; edges to a millisecond.

    Raises
    ------
    ElementSetError
        The element set cannot be propagated over the time.
    """
    found = find_passes([elements], Places.points(station.lon, station.lat), 90.0, start=start, end=end)
    spans: list[tuple[float, float]] = []
    for first, last in zip(found.first.tolist(), found.last.tolist(), strict=True):
        low, high = max(start, first - _BELOW_S), min(end, last + _BELOW_S)
        low = max(low, spans[-1][1] if spans else low)
        times = np.linspace(low, high, math.ceil((high - low) / _LOOK_S) + 2)
        heard = station.clearance_deg(ecef_state(elements, times)[0]) >= 0
        changes = np.flatnonzero(heard[1:] != heard[:-1])
        edges = [_edge(station, elements, float(times[i]), float(times[i + 1])) for i in changes]
        marks = [*([low] if heard[0] else []), *edges, *([high] if heard[-1] else [])]
        spans += list(zip(marks[::2], marks[1::2], strict=True))
    return spans


def _edge(station: Station, elements: ElementSet, low: float, high: float) -> float:
    """Bisect to where a satellite comes over the mask, or falls below it."""
    before = station.clearance_deg(ecef_state(elements, low)[0])[0] >= 0
    for _ in range(10):
        middle = (low + high) / 2
        same = (station.clearance_deg(ecef_state(elements, middle)[0])[0] >= 0) == before
        low, high = (middle, high) if same else (low, middle)
    return float(low + high) / 2
