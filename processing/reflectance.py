"""Digital numbers of a scene → radiance, or reflectance, at the top of the atmosphere.

    L = gain · DN + offset              radiance, W m⁻² sr⁻¹ µm⁻¹
    ρ = π L d² / (ESUN · cos θ)         d in astronomical units, θ the sun's zenith angle

Source: Chander, Markham & Helder, Remote Sensing of Environment 113(5), 2009, equations 2 and 4. One sun angle stands
for a scene: over ten kilometres the sun's height changes by a tenth of a degree.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.blocks import Progress, run, spooled, superblocks
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.errors import DeliveryError, OutputError, ProcessingError
from processing.orthoimage import described, read_part
from processing.raster import open_raster
from processing.tile import Compression
from processing.value_range import as_stored, value_range

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client

Pixels = NDArray[Any]
"""Shape (bands, rows, columns)."""

J2000: Final = datetime(2000, 1, 1, 12, tzinfo=UTC)
"""Epoch of the Earth's elements; the minute between their time scale and UTC moves it by 2e-7 AU at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What makes radiance, and reflectance, of the numbers of one band."""

    gain: float
    """W m⁻² sr⁻¹ µm⁻¹ per digital number; the inverse where a vendor gives numbers per radiance."""

    offset: float
    """W m⁻² sr⁻¹ µm⁻¹ at number 0."""

    esun: float
    """Sunlight in the band outside the atmosphere at 1 AU, W m⁻² µm⁻¹."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0 and math.isfinite(self.offset)):
            raise ProcessingError(
                f"calibration: gain {self.gain}, offset {self.offset}; give W m⁻² sr⁻¹ µm⁻¹, the gain above 0"
            )
        if not (math.isfinite(self.esun) and self.esun > 0):
            raise ProcessingError(f"calibration: ESUN {self.esun}; give W m⁻² µm⁻¹ above 0, such as 1550 for red")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """Where the sun was when a scene was taken."""

    elevation_deg: float
    """Above the horizon, at the scene's centre."""

    acquired: datetime
    """UTC-aware."""

    def __post_init__(self) -> None:
        if not 0 < self.elevation_deg <= 90:
            raise ProcessingError(
                f"sun: elevation {self.elevation_deg}°, so that no sunlight falls on the scene; reflectance needs a "
                "scene taken by day, with an elevation above 0° and up to 90°"
            )
        if self.acquired.tzinfo is None:
            raise ProcessingError(f"sun: {self.acquired.isoformat()} has no time zone; give it in UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How values are stored: value = scale · stored + offset."""

    data_type: str = "uint16"
    """As numpy calls it: ``uint16`` or ``float32``."""

    scale: float = 1e-4
    offset: float = 0.0
    nodata: float = 0.0

    def __post_init__(self) -> None:
        if self.data_type not in ("uint16", "float32"):
            raise OutputError(f"reflectance: {self.data_type} pixels; give uint16 or float32")
        if not (math.isfinite(self.scale) and self.scale > 0 and math.isfinite(self.offset)):
            raise OutputError(f"reflectance: scale {self.scale}, offset {self.offset}; give numbers, the scale above 0")
        if self.data_type == "uint16" and not (0 <= self.nodata <= 65_535 and self.nodata == int(self.nodata)):
            raise OutputError(f"reflectance: nodata {self.nodata} of uint16 pixels; give a whole number, 0 to 65535")

    @property
    def stac(self) -> dict[str, float]:
        """What STAC says of each band (raster extension 2.0.0)."""
        return {"raster:scale": self.scale, "raster:offset": self.offset}


FLOAT: Final = Encoding(data_type="float32", scale=1.0, offset=0.0, nodata=math.nan)
"""Values as they are; nodata is NaN."""

Factors = tuple[tuple[float, float], ...]
"""Slope and intercept of each band: value = slope · DN + intercept."""


def earth_sun_distance_au(when: datetime) -> float:
    """How far the sun is, in astronomical units, to 1e-4 over the centuries around 2000.

    The two-body orbit with its mean elements; the Moon and the planets move the Earth by up to 8e-5 AU from it.
    Source: Meeus, Astronomical Algorithms, 2nd edition 1998, chapter 25, equations 25.3 to 25.5.

    Raises
    ------
    ProcessingError
        The time has no zone.
    """
    if when.tzinfo is None:
        raise ProcessingError(f"Earth-Sun distance: {when.isoformat()} has no time zone; give it in UTC")
    t = (when - J2000).total_seconds() / (86_400 * 36_525)
    anomaly = math.radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    centre = (
        (1.914602 - t * (0.004817 + 0.000014 * t)) * math.sin(anomaly)
        + (0.019993 - 0.000101 * t) * math.sin(2 * anomaly)
        + 0.000289 * math.sin(3 * anomaly)
    )
    true_anomaly = anomaly + math.radians(centre)
    return 1.000001018 * (1 - eccentricity**2) / (1 + eccentricity * math.cos(true_anomaly))


def radiance_factors(calibrations: Sequence[Calibration | None], bands: int) -> Factors:
    """From digital numbers to radiance.

    Raises
    ------
    ProcessingError
        A band has no calibration.
    """
    if len(calibrations) != bands:
        raise ProcessingError(
            f"calibration: {len(calibrations)} gains for {bands} bands; give gain, offset and ESUN of each, in order"
        )
    missing = [str(band) for band, one in enumerate(calibrations, start=1) if one is None]
    if missing:
        raise ProcessingError(
            f"calibration: band {', '.join(missing)} has none; the metadata should give gain, offset and ESUN of each"
        )
    return tuple((one.gain, one.offset) for one in calibrations if one is not None)


def reflectance_factors(calibrations: Sequence[Calibration | None], sun: Sun, bands: int) -> Factors:
    """From digital numbers to reflectance, which is 1 for a white matt surface that lies flat.

    Raises
    ------
    ProcessingError
        A band has no calibration.
    """
    radiance = radiance_factors(calibrations, bands)
    squared = earth_sun_distance_au(sun.acquired) ** 2
    light = math.sin(math.radians(sun.elevation_deg))  # the cosine of the zenith angle
    per_radiance = [math.pi * squared / (one.esun * light) for one in calibrations if one is not None]
    return tuple((gain * k, offset * k) for (gain, offset), k in zip(radiance, per_radiance, strict=True))


def convert_block(pixels: Pixels, factors: Factors, encoding: Encoding, *, nodata: float | None) -> Pixels:
    """The values of a block of digital numbers, stored as the encoding says.

    Whole numbers are rounded half up and limited to what they can hold; a valid pixel that would come out as nodata
    becomes its neighbour.

    Parameters
    ----------
    pixels
        Shape (bands, rows, columns).
    nodata
        Value of digital numbers that show nothing, as NaN never does; each band by itself.
    """
    kind = np.dtype(encoding.data_type)
    result = np.full(pixels.shape, encoding.nodata, dtype=kind)
    _convert(
        pixels,
        as_stored(nodata, pixels.dtype),
        np.array([slope / encoding.scale for slope, _ in factors]),
        np.array([(intercept - encoding.offset) / encoding.scale for _, intercept in factors]),
        value_range(kind, encoding.nodata),
        result,
    )
    return result


@njit(cache=True, nogil=True)
def _convert(
    pixels: Pixels,
    nodata: float,
    slopes: NDArray[np.float64],
    intercepts: NDArray[np.float64],
    limits: tuple[float, float, float, float],
    result: Pixels,
) -> None:
    """Fill in the valid pixels; the others stay as they are."""
    low, high, fill, instead = limits
    for band in range(pixels.shape[0]):
        for row in range(pixels.shape[1]):
            for col in range(pixels.shape[2]):
                number = float(pixels[band, row, col])
                if number == nodata or np.isnan(number):
                    continue
                value = slopes[band] * number + intercepts[band]
                if not np.isnan(low):
                    value = min(max(np.floor(value + 0.5), low), high)
                result[band, row, col] = value
                if float(result[band, row, col]) == fill:  # compared as stored: float32 rounds
                    result[band, row, col] = instead


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    path: Path
    shape: tuple[int, int]
    factors: Factors
    encoding: Encoding
    nodata: float | None
    """Of the digital numbers."""

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks."""
        top, left = row * SUPERBLOCK, col * SUPERBLOCK
        height, width = min(SUPERBLOCK, self.shape[0] - top), min(SUPERBLOCK, self.shape[1] - left)
        pixels = read_part(self.path, (top, top + height, left, left + width))
        return convert_block(pixels, self.factors, self.encoding, nodata=self.nodata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectanceResult:
    """What was written."""

    path: Path
    profile: CogProfile
    encoding: Encoding
    factors: Factors
    """From digital numbers to reflectance; to radiance where no sun was given."""


def to_reflectance(
    source: Path,
    destination: Path,
    *,
    calibrations: Sequence[Calibration | None],
    sun: Sun | None,
    encoding: Encoding | None = None,
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> ReflectanceResult:
    """Write a raster of digital numbers as reflectance on the same pixels; the same bytes however the work is divided.

    Parameters
    ----------
    source
        On the map, as `processing.graph.orthorectify` writes it.
    calibrations
        Of each band, in order; None where the metadata has nothing.
    sun
        None: radiance, in W m⁻² sr⁻¹ µm⁻¹, is written instead.
    encoding
        None: whole numbers of 0.0001 for reflectance, `FLOAT` for radiance.
    client, threads, profile
        As for `processing.graph.orthorectify`. Names and colours are those of the source.

    Raises
    ------
    ProcessingError, DeliveryError, OutputError
        A band without calibration; a file that cannot be read; nothing is at the destination then that was not there.
    """
    encoding = encoding or (FLOAT if sun is None else Encoding())
    with open_raster(source) as dataset:
        if dataset.crs is None:
            raise DeliveryError(f"{source.name}: it has no CRS; orthorectify it first")
        bands = dataset.count
        factors = (
            radiance_factors(calibrations, bands) if sun is None else reflectance_factors(calibrations, sun, bands)
        )
        output = CogProfile(
            crs=dataset.crs.to_string(),
            transform=tuple(dataset.transform)[:6],
            height=dataset.height,
            width=dataset.width,
            bands=bands,
            data_type=encoding.data_type,
            nodata=encoding.nodata,
            compress=compress,
            scales=(encoding.scale,) * bands,
            offsets=(encoding.offset,) * bands,
            **(described(dataset) | profile),
        )
        job = ConversionJob(
            path=source.resolve(), shape=dataset.shape, factors=factors, encoding=encoding, nodata=dataset.nodata
        )

    with spooled(destination) as spool:
        tasks = superblocks(job, output, spool)
        blocks = run("reflectance", tasks, client=client, threads=threads, progress=progress)
        assemble(blocks, output, spool=spool, destination=destination)
    return ReflectanceResult(path=destination, profile=output, encoding=encoding, factors=factors)
