"""Ground stations: where a satellite can be heard, over a horizon of their own."""

from dataclasses import dataclass

import numpy as np

from tasking.errors import InvalidSatelliteError
from tasking.orbit import Floats, enu_axes, geodetic_to_ecef


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
