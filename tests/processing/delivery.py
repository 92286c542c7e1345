"""A small delivery as a vendor would make it: two bands and a cloud mask over a hill of constant height."""

import json
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from processing.delivery import read_delivery
from processing.errors import DeliveryError
from processing.manifest import MANIFEST
from processing.raster import sha256

RPC_TEXT = {
    "LINE_OFF": 31.5, "SAMP_OFF": 31.5, "LAT_OFF": 44.2, "LONG_OFF": 5.2, "HEIGHT_OFF": 500,
    "LINE_SCALE": 32, "SAMP_SCALE": 32, "LAT_SCALE": 0.01, "LONG_SCALE": 0.01, "HEIGHT_SCALE": 500,
}  # fmt: skip


def write_rpc(path):
    """A model that maps straight: line goes south, sample goes east."""
    numerators = {"LINE_NUM": {3: -1.0}, "LINE_DEN": {1: 1.0}, "SAMP_NUM": {2: 1.0}, "SAMP_DEN": {1: 1.0}}
    lines = [f"{key}: {value}" for key, value in RPC_TEXT.items()]
    for name, terms in numerators.items():
        lines += [f"{name}_COEFF_{k}: {terms.get(k, 0.0)}" for k in range(1, 21)]
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def not_on_the_map():
    """That is what a raw scene is, and rasterio warns of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def write_tif(path, pixels, **more):
    bands, height, width = pixels.shape
    path.unlink(missing_ok=True)  # over a file that is there, GDAL would delete its sidecars too
    size = {"count": bands, "height": height, "width": width}
    with not_on_the_map(), rasterio.open(path, "w", driver="GTiff", dtype=pixels.dtype, **size, **more) as dataset:
        dataset.write(pixels)


MANIFEST_OF_ALL = {
    "overflight_delivery": "1.0",
    "id": "SBX1_20260101T101112",
    "attempt": "7f0c-1",
    "order": "7f0c",
    "acquired": {"start": "2026-01-01T10:11:12Z", "end": "2026-01-01T11:11:15.5+01:00"},
    "platform": "sandbox-1",
    "instrument": "pushbroom",
    "constellation": "sandbox",
    "gsd_m": 2.0,
    "view": {
        "off_nadir_deg": 12.5, "incidence_deg": 14, "azimuth_deg": 98, "sun_azimuth_deg": 151, "sun_elevation_deg": 42
    },
    "sat": {"orbit_state": "descending", "absolute_orbit": 4711},
    "rasters": [
        {
            "role": "cloud-mask",
            "path": "clouds.tif",
            "rpc": "ms_RPC.TXT",
            "nodata": 255,
            "bands": [{"name": "cloud", "common_name": None}],
        },
        {
            "role": "multispectral",
            "path": "ms.tif",
            "rpc": None,
            "nodata": 0,
            "rpc_rms_px": 0.01,
            "rpc_max_px": 0.05,
            "bands": [
                {"name": "B1", "common_name": "blue", "center_um": 0.49, "width_um": 0.06},
                {"name": "B2", "common_name": "nir", "center_um": None, "width_um": None},
            ],
        },
    ],
    "dem": {"path": "heights/dem.tif", "vertical_datum": "ellipsoid", "geoid": None},
    "license": "CC-BY-4.0",
    "attribution": "Somebody",
}  # fmt: skip


class Delivery:
    """A right one, to be made wrong."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "heights").mkdir(parents=True)
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(1, 4000, (2, 64, 64)).astype("uint16")
        write_tif(folder / "ms.tif", self.pixels, compress="deflate")
        write_tif(folder / "clouds.tif", rng.choice(np.array([0, 1, 255], "uint8"), (1, 64, 64)))
        write_rpc(folder / "ms_RPC.TXT")
        self.write_dem()
        self.manifest = json.loads(json.dumps(MANIFEST_OF_ALL))
        self.manifest["checksums"] = {name: f"sha256:{sha256(folder / name)}" for name in ("ms.tif", "clouds.tif")}

    def write_dem(self, west=5.175):
        """Half a kilometre high everywhere, 0.05° wide."""
        path = self.folder / "heights" / "dem.tif"
        transform = rasterio.Affine(0.001, 0, west, 0, -0.001, 44.225)
        write_tif(path, np.full((1, 50, 50), 500, "float32"), crs="EPSG:4326", transform=transform)

    def write(self):
        (self.folder / MANIFEST).write_text(json.dumps(self.manifest))
        return self.folder

    def refused(self, match):
        """Written like this, it is refused for that reason."""
        self.write()
        with pytest.raises(DeliveryError, match=match) as refusal:
            read_delivery(self.folder)
        assert str(self.folder) not in str(refusal.value), "the reason is shown to others"
