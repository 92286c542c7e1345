"""The made-up satellites, and what can be ordered from them.

Four satellites share one sun-synchronous plane, a quarter of a revolution apart. At 600 km their tracks of one day lie
some 670 km apart at the equator, and each sees 330 km to either side, so every place below some 85° is passed nearly
every day.
"""

from functools import cache
from math import pi, radians, sqrt

from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_tle

from tasking.product import Product
from tasking.satellite import Agility, Band, ElementSet, Satellite, Sensor

CONSTELLATION = "sandbox"
LICENSE = "CC0-1.0"

_EPOCH_DAYS_1949 = 27760.0
"""2026-01-01T00:00Z in days since 1949-12-31T00:00Z, as SGP4 counts."""

_EPOCH_CENTURY = (_EPOCH_DAYS_1949 + 2433281.5 - 2451545.0) / 36525
"""The same in Julian centuries since J2000."""

_DESCENDING_NODE_H = 10.5
"""Mean local time at the descending node, as most land-imaging satellites have it."""

_MOTION_RAD_MIN = 60 * sqrt(398600.8 / 6978.135**3)
"""Mean motion at 600 km, with the constants of WGS 72, with which SGP4 runs."""

_SUN_RATE_RAD_MIN = 2 * pi / (365.2421897 * 1440)
"""How fast the mean Sun moves along the equator."""

SENSOR = Sensor(
    name="pushbroom",
    swath_m=20_000.0,
    gsd_m=2.0,
    multispectral_ratio=4,
    bands=(
        Band(name="B1", common_name="blue", centre_um=0.485, width_um=0.07),
        Band(name="B2", common_name="green", centre_um=0.56, width_um=0.08),
        Band(name="B3", common_name="red", centre_um=0.655, width_um=0.07),
        Band(name="B4", common_name="nir", centre_um=0.84, width_um=0.12),
    ),
    pan=Band(name="P", common_name="pan", centre_um=0.65, width_um=0.36),
)

AGILITY = Agility(max_off_nadir_deg=30.0, slew_deg_s=2.0, settle_s=6.0)


def _orbit(number: int, inclination: float, anomaly_deg: float) -> Satrec:
    """A nearly circular orbit without drag, so that its elements serve for years."""
    sun_deg = 280.46646 + 36000.76983 * _EPOCH_CENTURY
    node_deg = (sun_deg + 15 * (_DESCENDING_NODE_H - 12) + 180) % 360
    satellite = Satrec()
    satellite.sgp4init(
        WGS72,
        "i",
        number,
        _EPOCH_DAYS_1949,
        0.0,  # drag
        0.0,
        0.0,
        0.0002,  # eccentricity
        radians(90.0),  # argument of perigee
        inclination,
        radians(anomaly_deg),
        _MOTION_RAD_MIN,
        radians(node_deg),
    )
    return satellite


@cache
def _inclination() -> float:
    """Radians at which SGP4 turns the orbit's plane with the mean Sun, by bisection."""
    low, high = radians(90.0), radians(105.0)
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _orbit(0, middle, 0.0).nodedot < _SUN_RATE_RAD_MIN else (low, middle)
    return low


def _elements(number: int, anomaly_deg: float) -> ElementSet:
    """Two lines as a catalogue would publish them."""
    satellite = _orbit(number, _inclination(), anomaly_deg)
    satellite.classification, satellite.intldesg = "U", ""
    line1, line2 = export_tle(satellite)
    return ElementSet(line1=line1, line2=line2)


SATELLITES = tuple(
    Satellite(
        id=f"sandbox-{i + 1}",
        title=f"Sandbox {i + 1}",
        elements=_elements(99001 + i, 90.0 * i),
        sensor=SENSOR,
        agility=AGILITY,
    )
    for i in range(4)
)

PRODUCTS = (
    Product(
        id="sandbox-multispectral",
        title="Sandbox multispectral and panchromatic",
        description=(
            "Four bands at 8 m and a panchromatic one at 2 m of a made-up Earth, by four made-up satellites at 600 km. "
            "Everything but the ground is real: orbits, rays, sensor model, clouds in the way."
        ),
        provider="sandbox",
        collection="sandbox-scenes",
        satellites=SATELLITES,
        max_area_km2=2_500.0,
        max_days=60.0,
        max_off_nadir_deg=30.0,
        min_sun_elevation_deg=10.0,
        gsd_m=2.0,
        license=LICENSE,
    ),
)
