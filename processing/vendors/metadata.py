"""What a vendor tells of an acquisition beside its sensor model: time, sun, view, and what a count is worth.

Radiance at the sensor is ``gain × DN + offset``, in W/(m² sr µm), for every vendor alike; with the solar irradiance of
the band (W/(m² µm), at one astronomical unit) the reflectance at the top of the atmosphere is
``π · radiance · d² / (solar irradiance · sin(sun elevation))``, d the distance to the sun in astronomical units.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from processing.errors import SensorModelError
from processing.vendors.sidecar import shortened

_RANGES = {
    "sun_elevation_deg": (-90.0, 90.0),
    "sun_azimuth_deg": (0.0, 360.0),
    "off_nadir_deg": (0.0, 90.0),
    "incidence_deg": (0.0, 90.0),
    "azimuth_deg": (0.0, 360.0),
    "cloud_cover_percent": (0.0, 100.0),
    "gsd_m": (0.0, 1e5),
}

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?", flags=re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandMetadata:
    """One band of a scene."""

    name: str
    """As the vendor calls it: ``B0``, ``P``, ``RE``."""

    gain: float | None = None
    """Radiance of one count, W/(m² sr µm); None where counts are no radiance, or the file does not say."""

    offset: float | None = None
    """Radiance of count 0, W/(m² sr µm); given where `gain` is."""

    solar_irradiance: float | None = None
    """ESUN: of the sun outside the atmosphere at 1 AU, W/(m² µm); DIMAP says it, DigitalGlobe does not."""

    effective_bandwidth_um: float | None = None
    """Width of the band as the calibration takes it, µm; DigitalGlobe says it."""

    def __post_init__(self) -> None:
        if (self.gain is None) != (self.offset is None):
            raise SensorModelError(f"band {self.name}: gain {self.gain}, offset {self.offset}; give both or neither")
        for name in ("gain", "offset", "solar_irradiance", "effective_bandwidth_um"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and (value > 0 or name == "offset")):
                raise SensorModelError(f"band {self.name}: {name} is {value}; give a number above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMetadata:
    """What the vendor says of a scene; None where it does not. Angles in degrees, azimuths clockwise from north."""

    file: str
    """Where it was read."""

    platform: str | None = None
    """As the vendor writes it: ``WV03``, ``PHR 1B``, ``PNEO 3``."""

    acquired: datetime | None = None
    """UTC: of the first line (DigitalGlobe), of the middle of the scene or the strip's imaging time (DIMAP)."""

    sun_elevation_deg: float | None = None
    """Above the horizon, in the middle of the scene."""

    sun_azimuth_deg: float | None = None
    """Of the sun, seen from the ground."""

    off_nadir_deg: float | None = None
    """At the satellite, between nadir and the line of sight."""

    incidence_deg: float | None = None
    """At the ground, between the zenith and the line of sight."""

    azimuth_deg: float | None = None
    """Of the satellite, seen from the ground."""

    cloud_cover_percent: float | None = None
    gsd_m: float | None = None
    """Distance of neighbouring pixels on the ground, mean of both directions, m."""

    processing: str | None = None
    """Radiometric processing: ``BASIC``, ``REFLECTANCE``, … (DIMAP); ``Corrected``, … (DigitalGlobe)."""

    bands: tuple[BandMetadata, ...] = ()
    """In the order of the raster where the file tells it (see docs/sensor-models.md), else as listed."""

    def __post_init__(self) -> None:
        if self.acquired is not None and self.acquired.tzinfo is None:
            raise SensorModelError(f"{self.file}: acquired {self.acquired.isoformat()} has no UTC offset; write …Z")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SensorModelError(f"{self.file}: {name} is {value}; it lies between {low:g} and {high:g}")
        names = [band.name for band in self.bands]
        if len(set(names)) < len(names):
            raise SensorModelError(f"{self.file}: a band comes twice ({', '.join(names)[:80]}); give each once")

    def band(self, name: str) -> BandMetadata | None:
        """The band of that name, if there is one."""
        return next((band for band in self.bands if band.name == name), None)


def moment(text: str, *, what: str) -> datetime:
    """A time as the vendors write it, UTC unless it says otherwise.

    Raises
    ------
    SensorModelError
        It is none.
    """
    stripped = text.strip()
    try:
        read = datetime.fromisoformat(stripped if _TIME.fullmatch(stripped) else "")
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SensorModelError(f"{what} is {shortened(text)}; give a time such as 2013-08-05T10:42:19.4Z") from None
