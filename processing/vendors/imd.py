"""DigitalGlobe's ``.IMD`` file, and the same in its XML: acquisition and absolute calibration of WorldView and others.

Radiance is ``absCalFactor × DN / effectiveBandwidth`` (Radiometric Use of WorldView-2 Imagery, 2010, equation 1;
absCalFactor in W/(m² sr count), effectiveBandwidth in µm). The gains and offsets of 2016v0, which adjust it by some per
cent a satellite and band, and the solar irradiance are in no file of a delivery.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.vendors import isd, pvl
from processing.vendors.metadata import BandMetadata, VendorMetadata, moment
from processing.vendors.sidecar import number

_BAND = re.compile(r"band_(\w{1,10})\.abscalfactor", flags=re.ASCII)

_UNKNOWN_CLOUD = -999.0


def read(path: Path) -> VendorMetadata:
    """Read an IMD file.

    Raises
    ------
    SensorModelError
        It is no such file, or a value is none.
    """
    return _from_fields(path.name, pvl.read(path))


def from_root(file: str, root: Element) -> VendorMetadata:
    """What the ``IMD`` below the root of an ISD file says.

    Raises
    ------
    SensorModelError
        There is none, or a value is none.
    """
    found = root.findall("IMD")
    if len(found) != 1:
        raise SensorModelError(f"{file}: {len(found)} elements IMD below {root.tag[:40]}; give an ISD file with one")
    return _from_fields(file, isd.fields(file, found[0]))


def _from_fields(file: str, fields: Mapping[str, str]) -> VendorMetadata:
    image = next((key.partition(".")[0] for key in fields if re.match(r"image(_1)?\.", key)), None)
    if image is None:
        raise SensorModelError(f"{file}: no group IMAGE_1; give the IMD file as the vendor delivered it")

    def value(*keys: str) -> float | None:
        """The first of these keys of the image: the mean, in older files the only one."""
        for key in keys:
            if f"{image}.{key.lower()}" in fields:
                return number(fields[f"{image}.{key.lower()}"], what=f"{file}: {key}")
        return None

    time = next((fields[f"{image}.{key}"] for key in ("firstlinetime", "tlctime") if f"{image}.{key}" in fields), None)
    elevation, clouds = value("meanSatEl", "satEl"), value("cloudCover")
    return VendorMetadata(
        file=file,
        platform=fields.get(f"{image}.satid"),
        acquired=None if time is None else moment(time, what=f"{file}: firstLineTime"),
        sun_elevation_deg=value("meanSunEl", "sunEl"),
        sun_azimuth_deg=value("meanSunAz", "sunAz"),
        off_nadir_deg=value("meanOffNadirViewAngle", "offNadirViewAngle"),
        incidence_deg=None if elevation is None else 90.0 - elevation,
        azimuth_deg=value("meanSatAz", "satAz"),
        cloud_cover_percent=None if clouds is None or clouds == _UNKNOWN_CLOUD else clouds * 100.0,
        gsd_m=value("meanProductGSD", "meanCollectedGSD", "productGSD", "collectedGSD"),
        processing=fields.get("radiometriclevel"),
        bands=_bands(file, fields),
    )


def _bands(file: str, fields: Mapping[str, str]) -> tuple[BandMetadata, ...]:
    """One for each group BAND_…, which stand in the order of the raster."""
    calibrated = (
        fields.get("radiometriclevel", "corrected").lower() == "corrected"
        and fields.get("radiometricenhancement", "off").lower() in ("off", "none")
    )  # fmt: skip
    bands = []
    for key in fields:
        match = _BAND.fullmatch(key)
        if match:
            group = key.rpartition(".")[0]
            factor = number(fields[key], what=f"{file}: {group.upper()} absCalFactor")
            width = number(
                fields.get(f"{group}.effectivebandwidth"), what=f"{file}: {group.upper()} effectiveBandwidth"
            )
            if min(factor, width) <= 0:
                raise SensorModelError(
                    f"{file}: {group.upper()} is calibrated by {factor:g} and {width:g}; give both above zero"
                )
            bands.append(
                BandMetadata(
                    name=match[1].upper(),
                    gain=factor / width if calibrated else None,
                    offset=0.0 if calibrated else None,
                    effective_bandwidth_um=width,
                )
            )
    return tuple(bands)
