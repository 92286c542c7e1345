"""What a number of the sandbox's camera is worth, as a vendor states it.

The camera sets its gain by the sun's height for every scene, so that its numbers are reflectance at the top of the
atmosphere times `DN_PER_REFLECTANCE`. What is delivered is the gain that follows from that: radiance of one number.
"""

import math
from datetime import datetime

from processing.reflectance import earth_sun_distance_au
from tasking.provider.sandbox.exposure import DN_PER_REFLECTANCE

_SUN_K = 5772.0
"""Effective temperature of the Sun (IAU 2015 Resolution B3)."""

_SUN_RADIUS_AU = 695_700 / 149_597_870.7
_PLANCK_W_UM4_M2 = 3.741771852e8
"""First radiation constant 2πhc² (CODATA 2018)."""

_PLANCK_UM_K = 14_387.76877
"""Second radiation constant hc/k."""


def solar_irradiance(wavelength_um: float) -> float:
    """Sunlight outside the atmosphere at 1 AU, W/(m² µm), of a black body as hot and as large as the Sun."""
    emitted = _PLANCK_W_UM4_M2 / wavelength_um**5 / math.expm1(_PLANCK_UM_K / (wavelength_um * _SUN_K))
    return emitted * _SUN_RADIUS_AU**2


def calibration(wavelength_um: float, sun_elevation_deg: float, acquired: datetime) -> dict[str, float] | None:
    """Gain, offset and solar irradiance of a band as a delivery's manifest has them; None when the sun is down."""
    if sun_elevation_deg <= 0:
        return None
    esun = float(f"{solar_irradiance(wavelength_um):.6g}")
    light = esun * math.sin(math.radians(sun_elevation_deg)) / (math.pi * earth_sun_distance_au(acquired) ** 2)
    return {"gain": float(f"{light / DN_PER_REFLECTANCE:.9g}"), "offset": 0.0, "solar_irradiance": esun}
