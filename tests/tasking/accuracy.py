"""How far finished scenes lie from the ground, all over the globe, through the whole chain.

Nothing is shared between the two sides: the picture comes through camera, fitted RPC, DEM and orthorectification, the
truth from the ground alone.
"""

from datetime import UTC, datetime, timedelta
from math import cos, radians
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from shapely.geometry import box

from catalog.assets import AssetFolder
from catalog.extent import Footprint, TimeWindow
from processing.delivery import read_delivery
from processing.displacement import measure_displacement
from processing.grid import OutputGrid
from processing.produce import produce
from tasking.opportunity import find_opportunities
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.clouds import cloud
from tasking.provider.sandbox.constellation import SATELLITES
from tasking.provider.sandbox.truth import truth

JUNE, NOVEMBER = datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)


class Place(NamedTuple):
    name: str
    lon: float
    lat: float
    start: datetime
    steep: bool
    """Look from as far to the side as a clear pass allows, else from as near to nadir."""


PLACES = [
    Place("mountains, 83° north", -59.55, 83.0, JUNE, True),
    Place("mountains, 83° south", 57.98, -83.4, NOVEMBER, True),
    Place("antimeridian, tropics", 180.0, -17.2, NOVEMBER, True),
    Place("antimeridian, Arctic", 180.0, 65.95, JUNE, False),
    Place("mountains, south", 151.24, -33.5, NOVEMBER, True),
    Place("plain, south", -72.31, -49.5, NOVEMBER, False),
    Place("hills, north", 85.89, 28.4, JUNE, True),
    Place("equator", -91.15, -0.55, NOVEMBER, True),
    Place("high mountains, north", 10.495, 44.85, JUNE, True),
    Place("tropics, north", 29.39, 9.4, NOVEMBER, False),
]

SIDE_M = 1000.0


def area_around(place: Place) -> Footprint:
    half = SIDE_M / 2 / 111_200
    wide = half / cos(radians(place.lat))
    return Footprint.of(box(place.lon - wide, place.lat - half, place.lon + wide, place.lat + half))


def clear_pass(place: Place, area: Footprint):
    window = TimeWindow(start=place.start, end=place.start + timedelta(days=6))
    found = find_opportunities(area, window, SATELLITES, max_off_nadir_deg=29.5, min_sun_elevation_deg=10.0)
    clear = [one for one in found if cloud(place.lon, place.lat, one.best.timestamp()) == 0]
    return sorted(clear, key=lambda one: one.off_nadir_deg)[-1 if place.steep else 0]


def ce90_px(path: Path, *, posix: float, role: str) -> tuple[float, float]:
    """In pixels of the raster's own GSD, and in metres."""
    with rasterio.open(path) as dataset:
        image, transform, crs = dataset.read(), dataset.transform, dataset.crs.to_string()
    grid = OutputGrid(crs=crs, transform=tuple(transform)[:6], height=image.shape[1], width=image.shape[2])
    band = 0 if role == "panchromatic" else 2
    reference = truth(grid, posix=posix, role=role)[band]
    measured = measure_displacement(
        image[band],
        reference,
        resolution_m=transform.a,
        valid=image[band] != 0,
        patch_px=48 if role == "panchromatic" else 32,
        search_px=8,
        step_px=48 if role == "panchromatic" else 16,
    )
    return measured.ce90_m / transform.a, measured.ce90_m


def measure(place: Place, folder: Path, assets: AssetFolder) -> tuple[str, float]:
    """One scene through the whole chain: a line of the table, and the worse CE90 in pixels."""
    area = area_around(place)
    chosen = clear_pass(place, area)
    satellite = next(one for one in SATELLITES if one.id == chosen.satellite_id)
    folder.mkdir()
    acquisition = acquire(satellite, area, chosen.window, folder=folder)
    scene = read_delivery(folder)
    produced = produce(scene, collection="sandbox-scenes", dem=None, assets=assets, area=area, derived=(), threads=2)
    assert abs(scene.view.off_nadir_deg - chosen.off_nadir_deg) < 0.2
    assert area.minus(produced.footprint) is None
    figures, worst = [], 0.0
    for role in ("panchromatic", "multispectral"):
        path = assets.path(f"sandbox-scenes/{produced.item.id}/{role}.tif")
        pixels, metres = ce90_px(path, posix=acquisition.middle, role=role)
        figures.append(f"{metres:6.3f} m {pixels:6.3f} px")
        worst = max(worst, pixels)
    with rasterio.open(folder / "dem.tif") as dem:
        relief = np.ptp(dem.read(1))
    line = (
        f"{place.name:24s} {place.lon:8.2f} {place.lat:7.2f} {scene.view.off_nadir_deg:5.1f}° {relief:6.0f} m  "
        + "  ".join(figures)
    )
    return line, worst


def measure_all(folder: Path) -> tuple[str, float]:
    """Every place: the table, and the worst CE90 in pixels of the raster's own GSD."""
    assets = AssetFolder(folder / "assets")
    measured = [measure(place, folder / str(number), assets) for number, place in enumerate(PLACES)]
    head = "place                         lon     lat   off-nadir relief   CE90 panchromatic  CE90 multispectral"
    return "\n".join([head, *(line for line, _ in measured)]), max(worst for _, worst in measured)
