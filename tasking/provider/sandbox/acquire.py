"""Take a picture of the made-up Earth and write it as a vendor delivers it.

The delivery: ``pan.tif`` and ``ms.tif`` (raw, no map coordinates), an RPC file and the rigorous camera that it was
fitted to beside each, ``clouds.tif`` in the geometry of the multispectral one, ``dem.tif`` with heights above the
ellipsoid, and ``delivery.json``. Made twice from the same arguments, every file is the same.
"""

import hashlib
import json
import os
import warnings
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from rasterio.windows import Window

from catalog.extent import Footprint, TimeWindow, format_time
from processing.raster import sha256
from processing.rpc import FittedRpc, fit_to
from processing.vendors import camera_json, rpc_text
from tasking.provider.sandbox.acquisition import Acquisition
from tasking.provider.sandbox.calibration import calibration
from tasking.provider.sandbox.camera import Camera
from tasking.provider.sandbox.constellation import CONSTELLATION, LICENSE
from tasking.provider.sandbox.earth import terrain_height
from tasking.provider.sandbox.exposure import MAX_DN, expose
from tasking.satellite import Band, Satellite

DEM_POSTING_M = 10.0
"""Bilinear interpolation between such postings misses this terrain by 0.04 m in 99 of 100 places, at most by 0.2 m."""

DEM_MARGIN_M = 400.0
"""The DEM reaches so far beyond the ground that the rays cross between its lowest and its highest height."""

_DEM_BLOCK_ROWS = 512
_NO_CLOUD_KNOWN = 255
_CAMERA = "_CAMERA.json"
_TILED = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}


def acquire(
    satellite: Satellite,
    area: Footprint,
    window: TimeWindow,
    *,
    folder: Path,
    attempt: str | None = None,
    order: str | None = None,
    clouds: bool = True,
    rigorous: bool = False,
) -> Acquisition:
    """Image the area at the best pass of the window, and write the delivery into an empty folder, the manifest last.

    Parameters
    ----------
    attempt, order
        For whom it is; stated in the manifest.
    clouds
        False: as if the sky were clear.
    rigorous
        Whether the manifest names the rigorous cameras as the sensor models to use, rather than the RPCs.

    Raises
    ------
    ProviderError
        The satellite does not see the area in this window.
    """
    acquisition = Acquisition.plan(satellite, area, window)
    ratio = satellite.sensor.multispectral_ratio
    pan, coarse = acquisition.camera, acquisition.camera.coarser(ratio)
    low, high = _heights(pan)
    _write_rasters(acquisition, coarse, folder, clouds=clouds)
    fitted = {"pan.tif": fit_rpc(pan, low, high), "ms.tif": fit_rpc(coarse, low, high)}
    for name, model in fitted.items():
        rpc_text.write(model.rpc, folder / name.replace(".tif", "_RPC.TXT"))
    epoch = format_time(datetime.fromtimestamp(pan.path.middle, UTC))
    for name, camera in {"pan.tif": pan, "ms.tif": coarse}.items():
        camera_json.write(camera.model(low, high), folder / name.replace(".tif", _CAMERA), epoch=epoch)
    _write_dem(pan, low, high, folder / "dem.tif")
    sums = {path.name: f"sha256:{sha256(path)}" for path in sorted(folder.iterdir())}
    manifest = _manifest(acquisition, fitted, attempt, rigorous=rigorous) | {
        "attempt": attempt,
        "order": order,
        "checksums": sums,
    }
    with (folder / "delivery.json").open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    return acquisition


def fit_rpc(camera: Camera, low: float, high: float) -> FittedRpc:
    """Fit a model to the rays of a camera between two heights in metres."""
    return fit_to(camera.at_height, (camera.rows, camera.columns), (low, high))


def _heights(camera: Camera) -> tuple[float, float]:
    """Lowest and highest ground in the picture, with some room."""
    rows = np.linspace(0, camera.rows - 1, 60)
    columns = np.linspace(0, camera.columns - 1, 60)
    _, _, height = camera.ground(*np.meshgrid(rows, columns, indexing="ij"))
    return float(height.min()) - 150.0, float(height.max()) + 150.0


def _write_rasters(acquisition: Acquisition, coarse: Camera, folder: Path, *, clouds: bool) -> None:
    # Raw scenes have no map coordinates. Not within catch_warnings, which is not safe where other threads run.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    camera, ratio = acquisition.camera, acquisition.satellite.sensor.multispectral_ratio
    small = {"height": coarse.rows, "width": coarse.columns}
    with ExitStack() as files:

        def create(name: str, **profile: Any) -> Any:  # noqa: ANN401 - rasterio has no types
            return files.enter_context(rasterio.open(folder / name, "w", **_TILED, **profile))

        pan = create(
            "pan.tif", height=camera.rows, width=camera.columns, count=1, dtype="uint16", nodata=0, predictor=2
        )
        ms = create("ms.tif", **small, count=4, dtype="uint16", nodata=0, predictor=2)
        mask = create("clouds.tif", **small, count=1, dtype="uint8", nodata=_NO_CLOUD_KNOWN)
        for lines in expose(acquisition, clouds=clouds):
            top, some = lines.first_line // ratio, lines.cloudy.shape[0]
            pan.write(lines.pan, 1, window=Window(0, lines.first_line, camera.columns, len(lines.pan)))
            ms.write(lines.multispectral, window=Window(0, top, coarse.columns, some))
            mask.write(lines.cloudy, 1, window=Window(0, top, coarse.columns, some))


def _write_dem(camera: Camera, low: float, high: float, path: Path) -> None:
    """Heights on a grid in degrees; over the antimeridian the longitudes run on beyond 180."""
    rows, columns = np.linspace(0, camera.rows - 1, 5), np.linspace(0, camera.columns - 1, 5)
    row, col, height = np.meshgrid(rows, columns, [low, high], indexing="ij")
    lon, lat = camera.at_height(row, col, height)
    lon = lon.ravel()[0] + (lon - lon.ravel()[0] + 180) % 360 - 180
    lat_step = DEM_POSTING_M / 111_200.0
    lon_step = lat_step / np.cos(np.radians(np.abs(lat).max()))
    edge = DEM_MARGIN_M / DEM_POSTING_M
    west, north = lon.min() - edge * lon_step, lat.max() + edge * lat_step
    width = int(np.ceil((lon.max() - west) / lon_step + edge))
    height_px = int(np.ceil((north - lat.min()) / lat_step + edge))
    lons = west + lon_step * (np.arange(width) + 0.5)
    lats = north - lat_step * (np.arange(height_px) + 0.5)
    transform = Affine(lon_step, 0.0, west, 0.0, -lat_step, north)
    profile = {"height": height_px, "width": width, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **_TILED, **profile, transform=transform, predictor=3, nodata=-9999.0) as file:
        for top in range(0, height_px, _DEM_BLOCK_ROWS):
            some = lats[top : top + _DEM_BLOCK_ROWS, None]
            heights = terrain_height(lons[None, :], some).astype(np.float32)
            file.write(heights, 1, window=Window(0, top, width, len(some)))


def _delivery_id(acquisition: Acquisition, attempt: str | None) -> str:
    """Satellite, start, and a hash: the same picture taken for two attempts is two deliveries."""
    camera = acquisition.camera
    what = (camera.first_s, camera.first_tan, camera.rows, camera.columns, acquisition.centre, attempt)
    digest = hashlib.sha256(repr(what).encode()).hexdigest()[:8]
    satellite = acquisition.satellite.id.upper().replace("SANDBOX-", "SBX")
    return f"{satellite}_{acquisition.times[0]:%Y%m%dT%H%M%S}_{digest}"


def _manifest(
    acquisition: Acquisition, fitted: dict[str, FittedRpc], attempt: str | None, *, rigorous: bool
) -> dict[str, Any]:
    sensor = acquisition.satellite.sensor
    start, end = acquisition.times

    def raster(role: str, path: str, model: str, bands: tuple[Band, ...]) -> dict[str, Any]:
        residual = fitted[model]
        return {
            "role": role,
            "path": path,
            "rpc": model.replace(".tif", "_RPC.TXT"),
            "model": model.replace(".tif", _CAMERA) if rigorous else None,
            "nodata": 0 if bands else _NO_CLOUD_KNOWN,
            "saturation": MAX_DN if bands else None,
            "rpc_rms_px": float(f"{residual.rms_px:.2g}"),
            "rpc_max_px": float(f"{residual.max_px:.2g}"),
            "bands": [
                {
                    "name": b.name,
                    "common_name": b.common_name,
                    "center_um": b.centre_um,
                    "width_um": b.width_um,
                    "calibration": calibration(b.centre_um, acquisition.view["sun_elevation_deg"], start),
                }
                for b in bands
            ],
        }

    return {
        "overflight_delivery": "1.0",
        "id": _delivery_id(acquisition, attempt),
        "acquired": {"start": format_time(start), "end": format_time(end)},
        "platform": acquisition.satellite.id,
        "instrument": sensor.name,
        "constellation": CONSTELLATION,
        "gsd_m": round(acquisition.gsd_m, 3),
        "view": acquisition.view,
        "sat": {"orbit_state": acquisition.orbit_state},
        "rasters": [
            raster("multispectral", "ms.tif", "ms.tif", sensor.bands),
            raster("panchromatic", "pan.tif", "pan.tif", (sensor.pan,)),
            raster("cloud-mask", "clouds.tif", "ms.tif", ()),
        ],
        "dem": {"path": "dem.tif", "vertical_datum": "ellipsoid", "geoid": None},
        "license": LICENSE,
        "attribution": "Overflight sandbox: a made-up Earth",
    }
