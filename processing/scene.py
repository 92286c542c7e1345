"""A raw scene that was delivered and checked (`processing.delivery`): its files, bands, times and sensor models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog.extent import TimeWindow
from catalog.item import Band, Orbit, View
from processing.reflectance import Calibration
from processing.sensor import SensorModel

DATA_TYPES: Final = ("uint8", "uint16", "int16", "uint32", "int32", "float32")
"""What a pixel of a scene can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRaster:
    """One raw raster of a delivery, without map coordinates."""

    role: str
    """One of `ROLES`."""

    path: Path
    rpc: SensorModel
    """Its sensor model: the rigorous one that the manifest names, else the RPC."""

    rpc_rms_px: float | None
    """How well the RPC repeats the rigorous model it was fitted to, where the vendor says so."""

    rpc_max_px: float | None
    """The same, at the worst point."""

    bands: tuple[Band, ...]
    data_type: str
    """One of `DATA_TYPES`."""

    nodata: float | None
    height: int
    width: int
    calibrations: tuple[Calibration | None, ...]
    """Of each band; None where neither the manifest nor the vendor's metadata has one."""

    saturation: float | None
    """From which number on a pixel is saturated; None: the largest of the data type."""

    @property
    def is_calibrated(self) -> bool:
        """Whether reflectance can be made of every band."""
        return all(one is not None for one in self.calibrations)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDem:
    """The DEM that came with a scene."""

    path: Path
    vertical_datum: str
    """``ellipsoid``, or the geoid that its heights stand on."""

    geoid: Path | None
    """Grid of undulations that came with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A delivery that was checked."""

    id: str
    folder: Path
    attempt: str | None
    """The attempt that it answers; None where it came unasked."""

    order: str | None
    acquired: TimeWindow
    """First and last line."""

    platform: str
    instrument: str | None
    constellation: str | None
    gsd_m: float
    view: View
    orbit: Orbit
    rasters: tuple[SceneRaster, ...]
    """At most one of each role, in the order of `ROLES`; at least one of them is a picture."""

    dem: SceneDem | None
    license: str | None
    attribution: str | None

    def raster(self, role: str) -> SceneRaster | None:
        """The raster of that role, if there is one."""
        return next((raster for raster in self.rasters if raster.role == role), None)
