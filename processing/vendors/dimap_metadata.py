"""Acquisition and calibration in the ``DIM_….XML`` of Airbus (Pléiades Imagery User Guide, "DIMAP" and "radiometry").

A measure X of a band leads to another as ``X / GAIN + BIAS``: in BASIC products counts to radiance; in REFLECTANCE ones
counts to reflectance (``Band_Reflectance``), and that to radiance. Of DISPLAY, LINEAR_STRETCH and SEAMLESS nothing is
known.
"""

import math
from datetime import datetime
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.vendors.dimap import only
from processing.vendors.dimap_product import DimapProduct
from processing.vendors.metadata import BandMetadata, VendorMetadata, moment
from processing.vendors.sidecar import number, shortened

_MEASURES = "Radiometric_Data/Radiometric_Calibration"
_PROCESSING = "Processing_Information/Product_Settings/Radiometric_Settings/RADIOMETRIC_PROCESSING"

_LEAST_GAIN = 1e-12
"""Real ones lie between a thousandth and ten thousand."""


def from_product(product: DimapProduct, raster: str | None = None) -> VendorMetadata:
    """What a product file says.

    Parameters
    ----------
    product
        The file.
    raster
        Name of one of its images: then only the bands of that image, in its order, where the file tells it.

    Raises
    ------
    SensorModelError
        A value is none, or comes twice.
    """
    file, root = product.file, product.root
    processing = (only(file, root, _PROCESSING) or "").strip().upper() or None
    middle = _middle(root)
    angles = {} if middle is None else _angles(file, middle)
    clouds = only(file, root, "Dataset_Content/CLOUD_COVERAGE")
    return VendorMetadata(
        file=file,
        platform=_platform(root),
        acquired=_acquired(file, root, middle),
        cloud_cover_percent=None if clouds is None else number(clouds, what=f"{file}: CLOUD_COVERAGE"),
        processing=processing,
        bands=_bands(file, root, processing, _order(file, root, raster)),
        **angles,
    )


def _middle(root: Element) -> Element | None:
    """The values located at the centre; of three that do not say where, the second."""
    located = root.findall("Geometric_Data/Use_Area/Located_Geometric_Values")
    named = [found for found in located if (found.findtext("LOCATION_TYPE") or "").strip().lower() == "center"]
    return next(iter(named), located[len(located) // 2] if located else None)


def _angles(file: str, middle: Element) -> dict[str, float | None]:
    def value(path: str) -> float | None:
        text = only(file, middle, path)
        return None if text is None else number(text, what=f"{file}: {path}")

    azimuth, along, across = (
        value(f"Acquisition_Angles/{tag}")
        for tag in ("AZIMUTH_ANGLE", "INCIDENCE_ANGLE_ALONG_TRACK", "INCIDENCE_ANGLE_ACROSS_TRACK")
    )
    spacing = [value(f"Ground_Sample_Distance/GSD_{axis}_TRACK") for axis in ("ALONG", "ACROSS")]
    sides = [side for side in spacing if side is not None]
    sun = value("Solar_Incidences/SUN_AZIMUTH")
    return {
        "sun_elevation_deg": value("Solar_Incidences/SUN_ELEVATION"),
        "sun_azimuth_deg": None if sun is None else sun % 360.0,
        "off_nadir_deg": value("Acquisition_Angles/VIEWING_ANGLE"),
        "incidence_deg": value("Acquisition_Angles/INCIDENCE_ANGLE"),
        "azimuth_deg": _satellite_azimuth(azimuth, along, across),
        "gsd_m": sum(sides) / len(sides) if sides else None,
    }


def _satellite_azimuth(scan: float | None, along: float | None, across: float | None) -> float | None:
    """From the azimuth of the scan and the incidence along and across it, as OTB does (PleiadesImageMetadataInterface).

    Checked against the direction in which the RPC of a Pléiades scene moves the ground with its height.
    """
    if scan is None or along is None or across is None:
        return None
    aside = math.degrees(math.atan2(math.tan(math.radians(across)), math.tan(math.radians(along))))
    return (scan - aside) % 360.0


def _platform(root: Element) -> str | None:
    strip = root.find("Dataset_Sources/Source_Identification/Strip_Source")
    if strip is None:
        return None
    parts = [(strip.findtext(tag) or "").strip() for tag in ("MISSION", "MISSION_INDEX")]
    return " ".join(filter(None, parts)) or None


def _acquired(file: str, root: Element, middle: Element | None) -> datetime | None:
    time = None if middle is None else middle.findtext("TIME")
    if time is not None:
        return moment(time, what=f"{file}: Located_Geometric_Values/TIME")
    strip = root.find("Dataset_Sources/Source_Identification/Strip_Source")
    date, time = (None, None) if strip is None else (strip.findtext("IMAGING_DATE"), strip.findtext("IMAGING_TIME"))
    if date is None or time is None:
        return None
    return moment(f"{date.strip()}T{time.strip()}", what=f"{file}: IMAGING_DATE and IMAGING_TIME")


def _order(file: str, root: Element, raster: str | None) -> list[str] | None:
    """The bands of an image in its order; None where the file does not list them."""
    groups = root.findall("Raster_Data/Data_Access/Data_Files")
    paths = [[path.get("href", "").lower() for path in group.iter("DATA_FILE_PATH")] for group in groups]
    own = [group for group, names in zip(groups, paths, strict=True) if raster is not None and raster.lower() in names]
    displays = [group.find("Raster_Display") for group in own] + [root.find("Raster_Data/Raster_Display")]
    for display in displays:
        bands = [] if display is None else display.findall("Raster_Index_List/Raster_Index")
        if bands:
            names = [band.findtext("BAND_ID", "").strip() for band in bands]
            places = [number(band.findtext("BAND_INDEX"), what=f"{file}: BAND_INDEX") for band in bands]
            told = sorted(places) == list(range(1, len(bands) + 1))
            return [name for _, name in sorted(zip(places, names, strict=True))] if told else names
    return None


def _bands(file: str, root: Element, processing: str | None, order: list[str] | None) -> tuple[BandMetadata, ...]:
    radiance, reflectance = _measures(file, root, "Band_Radiance"), _measures(file, root, "Band_Reflectance")
    irradiance = _measures(file, root, "Band_Solar_Irradiance")
    names = list(dict.fromkeys([*radiance, *irradiance])) if order is None else order
    bands = []
    for name in names:
        line = _line(file, name, radiance.get(name)) if processing in ("BASIC", "REFLECTANCE") else None
        if processing == "REFLECTANCE" and line is not None:
            line = _after(_line(file, name, reflectance.get(name)), line)
        bands.append(
            BandMetadata(
                name=name,
                gain=None if line is None else line[0],
                offset=None if line is None else line[1],
                solar_irradiance=_irradiance(file, name, irradiance.get(name)),
            )
        )
    return tuple(bands)


def _irradiance(file: str, name: str, measure: Element | None) -> float | None:
    text = None if measure is None else only(file, measure, "VALUE")
    if text is None:
        return None
    value = number(text, what=f"{file}: Band_Solar_Irradiance of {name}")
    if value <= 0:
        raise SensorModelError(
            f"{file}: Band_Solar_Irradiance of {name} is {value:g}; give it in W/(m² µm), above zero"
        )
    return value


def _measures(file: str, root: Element, kind: str) -> dict[str, Element]:
    """The measures of a kind by band; DIMAP 3 leaves out the two lists around them."""
    found: dict[str, Element] = {}
    calibration = root.find(_MEASURES)
    for measure in () if calibration is None else calibration.iter(kind):
        name = measure.findtext("BAND_ID", "").strip()
        if name in found or not name:
            raise SensorModelError(
                f"{file}: {kind} of the band {shortened(name)} comes twice or has no name; give each once"
            )
        found[name] = measure
    return found


def _line(file: str, name: str, measure: Element | None) -> tuple[float, float] | None:
    """Slope and intercept of ``X / GAIN + BIAS``."""
    if measure is None:
        return None
    texts = only(file, measure, "GAIN"), only(file, measure, "BIAS")
    if None in texts:
        return None
    gain, bias = (number(text, what=f"{file}: {measure.tag} of {name}") for text in texts)
    if gain < _LEAST_GAIN:
        raise SensorModelError(f"{file}: {measure.tag} of {name} has the GAIN {gain:g}; it is a divisor, above zero")
    return 1.0 / gain, bias


def _after(first: tuple[float, float] | None, then: tuple[float, float]) -> tuple[float, float] | None:
    """One line after another; None where the first is unknown."""
    return None if first is None else (first[0] * then[0], first[1] * then[0] + then[1])
