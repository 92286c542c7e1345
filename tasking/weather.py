"""How likely the sky is clear: what a forecast must answer, and a climatology where there is none."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tasking.orbit import Floats, sun_declination_deg

_LATITUDES_DEG = np.array([-90, -75, -60, -50, -40, -30, -20, -10, -5, 0, 5, 10, 20, 30, 40, 50, 60, 75, 90], float)
_CLOUD_SHARE = np.array(
    [0.45, 0.58, 0.88, 0.86, 0.78, 0.62, 0.55, 0.62, 0.68, 0.72, 0.75, 0.68, 0.52, 0.52, 0.62, 0.70, 0.74, 0.72, 0.66]
)

_BELT_FOLLOWS = 0.35
"""Degrees of latitude that the cloud belts move for each degree that the Sun does."""

_SWING_DEG = 50.0
"""Poleward of it the belts stay: the storm tracks shift by strength more than by place."""


class Forecast(Protocol):
    """Somebody who knows how likely it is that a place is seen without clouds."""

    def clear_sky(self, lon: npt.ArrayLike, lat: npt.ArrayLike, posix: npt.ArrayLike) -> Floats:
        """Chances, 0 to 1, at places in degrees and times in POSIX seconds; all broadcast."""
        ...


class Climatology:
    """A simple model of the mean year: cloud share by latitude, whose belts follow the Sun with the season.

    The shares are rounded by hand to the shape that satellite records show (King et al. 2013, "Spatial and temporal
    distribution of clouds observed by MODIS", IEEE TGRS 51): two thirds over the globe; least, about a half, in the
    subtropics; most, near 0.9, over the Southern Ocean. The chance of a clear sky is what is left. Land and sea,
    deserts and mountains are all alike to it: it ranks seasons and latitudes, and is no forecast.
    """

    def clear_sky(self, lon: npt.ArrayLike, lat: npt.ArrayLike, posix: npt.ArrayLike) -> Floats:
        """See `Forecast`; the same at every longitude."""
        _, latitude, times = np.broadcast_arrays(lon, np.asarray(lat, np.float64), np.asarray(posix, np.float64))
        follows = _BELT_FOLLOWS * np.clip(1 - np.abs(latitude) / _SWING_DEG, 0, 1)
        shifted = latitude - follows * sun_declination_deg(times)
        return np.asarray(1 - np.interp(shifted, _LATITUDES_DEG, _CLOUD_SHARE))
