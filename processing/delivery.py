"""A delivery → a scene: the manifest of its folder, checked against the files before anything is made of them.

A delivery is accepted whole or refused whole: every file lies inside the folder, has the checksum it was given, opens
as what it should be, can be read to its end, and each raster has a sensor model.
"""

import math
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from rasterio.io import DatasetReader

from catalog.errors import CatalogError
from catalog.extent import TimeWindow, parse_time
from catalog.item import ITEM_ID, Band, Orbit, View
from processing import vendors
from processing.cloud_classes import CLEAR, CLOUD, UNKNOWN
from processing.dem import Dem
from processing.errors import DeliveryError, HeightsError, ProcessingError, SensorModelError
from processing.manifest import MANIFEST, read_manifest
from processing.masks import saturation_limits
from processing.names import ROLES
from processing.opacity import layers
from processing.raster import check_whole, open_raster, sha256
from processing.reflectance import Calibration
from processing.scene import DATA_TYPES, Scene, SceneDem, SceneRaster
from processing.sensor import SensorModel
from processing.vendors.metadata import VendorMetadata

MAX_ACQUISITION = timedelta(days=1)
"""No satellite images for longer in one go: beyond it, one of the two times is wrong."""


def read_delivery(folder: Path) -> Scene:
    """Check a whole delivery and say what it is.

    Raises
    ------
    DeliveryError
        The first thing that is wrong with it, and what would be right.
    """
    _check_files(folder)
    manifest = read_manifest(folder / MANIFEST)
    _check_checksums(folder, manifest.get("checksums") or {})
    try:
        return _read_scene(folder, manifest)
    except CatalogError as error:
        raise DeliveryError(f"{MANIFEST}: {error}") from None


def _read_scene(folder: Path, manifest: Mapping[str, Any]) -> Scene:
    if not ITEM_ID.fullmatch(manifest["id"]) or not manifest["id"].strip("."):
        raise DeliveryError(f"{MANIFEST}: id: {manifest['id']!r} cannot be a file's name; give letters or digits too")
    acquired = _acquired(manifest["acquired"])
    dem = _read_dem(folder, manifest.get("dem"))
    rasters, told = _read_rasters(folder, manifest["rasters"])
    return Scene(
        id=manifest["id"],
        folder=folder,
        attempt=manifest.get("attempt"),
        order=manifest.get("order"),
        acquired=acquired,
        platform=manifest["platform"],
        instrument=manifest.get("instrument"),
        constellation=manifest.get("constellation"),
        gsd_m=float(manifest["gsd_m"]),
        view=_view(manifest.get("view") or {}, told),
        orbit=Orbit(**(manifest.get("sat") or {})),
        rasters=rasters,
        dem=dem,
        license=manifest.get("license"),
        attribution=manifest.get("attribution"),
    )


def _view(said: Mapping[str, Any], told: VendorMetadata | None) -> View:
    """As the manifest says; where it does not, as the vendor's metadata do."""
    names = ("off_nadir_deg", "incidence_deg", "azimuth_deg", "sun_azimuth_deg", "sun_elevation_deg")
    return View(**{name: getattr(told, name, None) if said.get(name) is None else said[name] for name in names})


def _check_files(folder: Path) -> None:
    """A delivery holds plain files and folders only: a link could lead to any file of this machine."""
    if not folder.is_dir():
        raise DeliveryError(f"{folder.name}: there is no such folder")
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise DeliveryError(
                    f"{path.relative_to(folder)}: a link or a special file; deliver plain files inside the folder"
                )


def _inside(folder: Path, name: str, what: str) -> Path:
    """The file of that relative name, which lies inside the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise DeliveryError(f"{MANIFEST}: {what}: {name!r} leads out of the folder; give a path inside it")
    path = folder.joinpath(*parts)
    if not path.is_file():
        raise DeliveryError(f"{MANIFEST}: {what}: {name!r} is not in the folder")
    return path


def _check_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    for name, said in checksums.items():
        found = f"sha256:{sha256(_inside(folder, name, 'checksums'))}"
        if found != said.lower():
            raise DeliveryError(f"{name}: its checksum is {found}, the manifest says {said}; deliver it again")


def _acquired(times: Mapping[str, str]) -> TimeWindow:
    start, end = parse_time(times["start"]), parse_time(times["end"])
    if start <= end and end - start > MAX_ACQUISITION:
        raise DeliveryError(f"{MANIFEST}: acquired: {start} to {end} is longer than a day; one of the two is wrong")
    return TimeWindow(start=start, end=end)


def _read_dem(folder: Path, entry: Mapping[str, Any] | None) -> SceneDem | None:
    if entry is None:
        return None
    path = _inside(folder, entry["path"], "dem.path")
    geoid = _inside(folder, entry["geoid"], "dem.geoid") if entry.get("geoid") else None
    for file in (path, geoid):
        if file is not None:
            check_whole(file)
    try:
        Dem.open(path, vertical_datum=entry["vertical_datum"], geoid=geoid)
    except HeightsError as error:
        raise DeliveryError(f"{MANIFEST}: dem: {error}") from None
    return SceneDem(path=path, vertical_datum=entry["vertical_datum"], geoid=geoid)


def _read_rasters(
    folder: Path, entries: list[Mapping[str, Any]]
) -> tuple[tuple[SceneRaster, ...], VendorMetadata | None]:
    """The rasters, and what the vendor's metadata beside the first of them tell."""
    roles = sorted((entry["role"] for entry in entries), key=ROLES.index)
    if len(set(roles)) < len(roles):
        raise DeliveryError(f"{MANIFEST}: rasters: a role comes twice ({', '.join(roles)}); each comes at most once")
    if roles == ["cloud-mask"]:
        raise DeliveryError(f"{MANIFEST}: rasters: only a cloud mask; give multispectral or panchromatic beside it")
    read = [_read_raster(folder, entry) for entry in sorted(entries, key=lambda one: ROLES.index(one["role"]))]
    return tuple(raster for raster, _ in read), read[0][1]


def _read_raster(folder: Path, entry: Mapping[str, Any]) -> tuple[SceneRaster, VendorMetadata | None]:
    path = _inside(folder, entry["path"], "rasters.path")
    with open_raster(path) as dataset:
        height, width, data_type = dataset.height, dataset.width, _data_type(path, dataset)
        bands = _bands(path, len(layers(dataset)[0]), entry)
        nodata = _nodata(path, entry.get("nodata", dataset.nodata), data_type)
    check_whole(path)
    if entry["role"] == "cloud-mask":
        _check_cloud_mask(path, data_type, len(bands))
        nodata = float(UNKNOWN)
    told = _metadata(path)
    raster = SceneRaster(
        role=entry["role"],
        path=path,
        rpc=_sensor_model(folder, path, entry),
        rpc_rms_px=entry.get("rpc_rms_px"),
        rpc_max_px=entry.get("rpc_max_px"),
        bands=bands,
        data_type=data_type,
        nodata=nodata,
        height=height,
        width=width,
        calibrations=_calibrations(entry.get("bands", ()), told, len(bands)),
        saturation=_saturation(path, entry.get("saturation"), data_type),
    )
    return raster, told


def _metadata(path: Path) -> VendorMetadata | None:
    """What the vendor's files beside a raster tell of it."""
    try:
        return vendors.find_metadata(path)
    except SensorModelError as error:
        raise DeliveryError(str(error)) from None


def _calibrations(
    said: Sequence[Mapping[str, Any]], told: VendorMetadata | None, count: int
) -> tuple[Calibration | None, ...]:
    """Of each band, from the manifest; where it has none at all, from the vendor's metadata of just these bands."""
    stated = [band.get("calibration") for band in said]
    if any(stated):
        return tuple(
            Calibration(gain=one["gain"], offset=one["offset"], esun=one["solar_irradiance"]) if one else None
            for one in stated
        )
    if told is None or len(told.bands) != count:
        return (None,) * count
    return tuple(
        Calibration(gain=band.gain, offset=band.offset, esun=band.solar_irradiance)
        if band.gain is not None and band.offset is not None and band.solar_irradiance is not None
        else None
        for band in told.bands
    )


def _saturation(path: Path, value: float | None, data_type: str) -> float | None:
    try:
        saturation_limits(data_type, 1, value)
    except ProcessingError as error:
        raise DeliveryError(f"{path.name}: {error}") from None
    return value


def _data_type(path: Path, dataset: DatasetReader) -> str:
    found = sorted(set(dataset.dtypes))
    if len(found) > 1 or found[0] not in DATA_TYPES:
        raise DeliveryError(f"{path.name}: its pixels are {', '.join(found)}; give one of {', '.join(DATA_TYPES)}")
    return str(found[0])


def _bands(path: Path, count: int, entry: Mapping[str, Any]) -> tuple[Band, ...]:
    said = tuple(
        Band(**{name: value for name, value in band.items() if name != "calibration"})
        for band in entry.get("bands", ())
    )
    if not said:
        return tuple(Band(name=f"B{number}") for number in range(1, count + 1))
    if len(said) != count:
        raise DeliveryError(
            f"{path.name}: it has {count} bands, the manifest describes {len(said)}; describe each or none"
        )
    return said


def _nodata(path: Path, value: float | None, data_type: str) -> float | None:
    if value is None:
        return None
    if not np.issubdtype(data_type, np.integer):
        return float(value)
    limits = np.iinfo(data_type)
    if not (math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max):
        raise DeliveryError(
            f"{path.name}: no {data_type} pixel can have the nodata value {value}; give one it can hold"
        )
    return float(value)


def _check_cloud_mask(path: Path, data_type: str, bands: int) -> None:
    if data_type != "uint8" or bands != 1:
        raise DeliveryError(f"{path.name}: a cloud mask of {bands} bands {data_type}; give one band uint8")
    with open_raster(path) as dataset:
        for row in range(0, dataset.height, 1024):
            values = np.unique(dataset.read(1, window=((row, min(row + 1024, dataset.height)), (0, dataset.width))))
            strange = set(values.tolist()) - {CLEAR, CLOUD, UNKNOWN}
            if strange:
                raise DeliveryError(
                    f"{path.name}: a cloud mask with the value {min(strange)}; "
                    f"{CLEAR} is clear, {CLOUD} cloud, {UNKNOWN} no data"
                )


def _sensor_model(folder: Path, raster: Path, entry: Mapping[str, Any]) -> SensorModel:
    """The model in the file that is named as `model`, else as `rpc`, else in the raster's sidecars or tag."""
    try:
        for name in ("model", "rpc"):
            if entry.get(name) is not None:
                return vendors.read_model(_inside(folder, entry[name], f"rasters.{name}"), raster)
        return vendors.find(raster)
    except SensorModelError as error:
        raise DeliveryError(str(error)) from None
