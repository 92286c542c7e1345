"""Satellites and what they carry."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One spectral band of a sensor."""

    name: str
    common_name: Literal["blue", "green", "red", "nir", "pan"]
    """STAC eo common name."""

    centre_um: float
    """Centre wavelength in micrometres."""

    width_um: float
    """Full width at half maximum in micrometres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A pushbroom camera: one line of detectors across the track for each band."""

    name: str

    swath_m: float
    """Width on the ground when looking straight down."""

    gsd_m: float
    """Ground sampling distance of the panchromatic band at nadir."""

    multispectral_ratio: int
    """GSD of the multispectral bands over that of the panchromatic one."""

    bands: tuple[Band, ...]
    """The multispectral bands, in the order of the delivered raster."""

    pan: Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Agility:
    """How a satellite points."""

    max_off_nadir_deg: float
    """Largest angle at the satellite between the line of sight and the direction to the geodetic nadir."""

    slew_deg_s: float
    """Rate of rotation between two acquisitions."""

    settle_s: float
    """Time to come to rest after any rotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementSet:
    """A two-line element set: mean elements for SGP4 (Hoots & Roehrich 1980; Vallado et al. 2006)."""

    line1: str
    line2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """One satellite: where it flies, what it carries, how it turns."""

    id: str
    """Short name: ``sandbox-1``."""

    title: str
    elements: ElementSet
    sensor: Sensor
    agility: Agility
