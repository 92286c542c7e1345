"""Satellites: where they fly, what they carry, how they turn; and the reading of element sets."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sgp4.api import SGP4_ERRORS, WGS72, Satrec

from tasking.errors import ElementSetError, InvalidSatelliteError


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

    line_rate_hz: float | None = None
    """Most lines a second; None where the ground speed never asks for more than the camera can."""

    def __post_init__(self) -> None:
        _positive("sensor", swath_m=self.swath_m, gsd_m=self.gsd_m, multispectral_ratio=self.multispectral_ratio)
        if self.line_rate_hz is not None:
            _positive("sensor", line_rate_hz=self.line_rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agility:
    """How a satellite points."""

    max_off_nadir_deg: float
    """Largest angle at the satellite between the line of sight and the direction to the geodetic nadir."""

    slew_deg_s: float
    """Rate of rotation between two acquisitions."""

    settle_s: float
    """Time to come to rest after any rotation."""

    def __post_init__(self) -> None:
        _positive("agility", max_off_nadir_deg=self.max_off_nadir_deg, slew_deg_s=self.slew_deg_s)
        if not (self.max_off_nadir_deg <= 90 and self.settle_s >= 0):
            raise InvalidSatelliteError("agility: max_off_nadir_deg must be at most 90, settle_s at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What bounds a satellite beside its pointing; None where nothing does."""

    on_time_s: float | None = None
    """Most time that the camera is switched on in one revolution."""

    storage_gbit: float | None = None
    """What it can hold until it is over a station."""

    downlink_mbit_s: float | None = None
    """What a station receives."""

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in ("on_time_s", "storage_gbit", "downlink_mbit_s")}
        _positive("resources", **{name: value for name, value in values.items() if value is not None})


def _positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InvalidSatelliteError(f"{where}: {name} must be greater than 0; it is {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementSet:
    """A two-line element set: mean elements for SGP4 (Hoots & Roehrich 1980; Vallado et al. 2006).

    Raises
    ------
    ElementSetError
        A line of another length, with a wrong checksum, of another satellite, or with elements of no orbit.
    """

    line1: str
    """69 characters that begin with ``1``: number, epoch, drag."""

    line2: str
    """69 characters that begin with ``2``: number, inclination, node, eccentricity, perigee, anomaly, revolutions."""

    def __post_init__(self) -> None:
        for number, line in ((1, self.line1), (2, self.line2)):
            _check_line(number, line)
        if self.line1[2:7] != self.line2[2:7]:
            raise ElementSetError(
                f"element set: line 1 is of satellite {self.line1[2:7]}, line 2 of {self.line2[2:7]}; give a pair"
            )
        try:
            error = Satrec.twoline2rv(self.line1, self.line2, WGS72).error
        except ValueError as reason:
            raise ElementSetError(f"element set {self.line1[2:7]}: {reason}") from None
        if error:
            raise ElementSetError(f"element set {self.line1[2:7]}: no orbit ({SGP4_ERRORS.get(error, error)})")

    @property
    def number(self) -> str:
        """The satellite's catalog number, as in the lines: five characters, the first a letter beyond 99999."""
        return self.line1[2:7].strip()

    @property
    def epoch(self) -> datetime:
        """When the elements hold, UTC."""
        year = int(self.line1[18:20])
        begin = datetime(year + (1900 if year >= 57 else 2000), 1, 1, tzinfo=UTC)
        return begin + timedelta(days=float(self.line1[20:32]) - 1)

    @property
    def revolutions_day(self) -> float:
        """Mean motion in revolutions a day."""
        return float(self.line2[52:63])

    @property
    def drag_revolutions_day2(self) -> float:
        """First derivative of the mean motion over two, in revolutions a day²."""
        return float(self.line1[33:43])


def checksum(line: str) -> int:
    """Last digit of a line of an element set: the sum of the other digits, modulo ten; a minus counts one."""
    return sum(int(letter) if letter in "0123456789" else letter == "-" for letter in line[:68]) % 10


def read_element_sets(text: str) -> list[tuple[str, ElementSet]]:
    """Read two-line element sets, each with or without a line for the name before it (Celestrak's form).

    The name is the satellite's catalog number where no name is given.

    Raises
    ------
    ElementSetError
        A damaged, missing or stray line, named by its number in the text.
    """
    rows = iter([(number, row.rstrip()) for number, row in enumerate(text.splitlines(), start=1) if row.strip()])
    found: list[tuple[str, ElementSet]] = []
    name, number = "", 0
    for number, row in rows:
        if row.startswith("1 "):
            found.append((name or row[2:7].strip(), _read_pair(number, row, *next(rows, (number + 1, "")))))
            name = ""
        elif name or row.startswith("2 "):
            raise ElementSetError(f"line {number}: {row[:69]!r} stands where line 1 of an element set should")
        else:
            name = row.removeprefix("0 ").strip()
    if name:
        raise ElementSetError(f"line {number}: the name {name!r} has no element set after it")
    return found


def _read_pair(number1: int, line1: str, number2: int, line2: str) -> ElementSet:
    number = number1
    try:
        _check_line(1, line1)
        number = number2
        _check_line(2, line2)
        return ElementSet(line1=line1, line2=line2)
    except ElementSetError as error:
        raise ElementSetError(f"line {number}: {error}") from None


def _check_line(which: int, line: str) -> None:
    if len(line) != 69 or not line.isascii() or not line.startswith(f"{which} "):
        raise ElementSetError(
            f"element set: line {which} must be 69 characters that begin with '{which} '; it is {line[:80]!r}"
        )
    if line[68] != str(checksum(line)):
        raise ElementSetError(
            f"element set: line {which} is damaged: it ends with {line[68]!r}, its checksum is {checksum(line)}: {line}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """One satellite: where it flies, what it carries, how it turns."""

    id: str
    """Short name: ``sandbox-1``."""

    title: str
    elements: ElementSet
    sensor: Sensor
    agility: Agility
    resources: Resources = Resources()
