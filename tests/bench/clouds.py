"""Clouds and shadows found in sandbox scenes all over the globe, against the masks that they were made with.

Drawn on the map as the sandbox's cameras would see them: same ground, sun, look direction, clouds and thresholds. The
places were taken by chance; none of them served to choose a number of the detector.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import cos, radians
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from shapely.geometry import box

from catalog.assets import AssetFolder
from catalog.extent import Footprint, TimeWindow
from catalog.item import View
from processing.cloud import CLEAR, CLOUD, NAMES, SHADOW, UNKNOWN, Angles, VisibleNirDetector
from processing.delivery import read_delivery
from processing.grid import OutputGrid
from processing.ground import utm
from processing.produce import produce
from tasking.orbit import geodetic_to_ecef, sun_direction
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.acquisition import Acquisition
from tasking.provider.sandbox.clouds import BRIGHTNESS, CLOUD_HEIGHT_M, CLOUDY, opacity
from tasking.provider.sandbox.constellation import SATELLITES
from tasking.provider.sandbox.earth import HEIGHT, surface
from tasking.provider.sandbox.exposure import DN_PER_REFLECTANCE, digital_numbers, gathered
from tasking.provider.sandbox.landcover import paint


class Place(NamedTuple):
    name: str
    lon: float
    lat: float
    day: str
    satellite: int


PLACES = [
    Place("clear, mid-latitudes", 23.85, -38.14, "2026-08-05", 0),
    Place("clear, snow", 71.96, -61.61, "2026-11-03", 3),
    Place("few, tropics, far aside", 149.83, -4.11, "2026-08-28", 3),
    Place("few, snow", 122.43, 69.23, "2026-08-10", 2),
    Place("some, tropics, far aside", 69.82, -20.9, "2026-03-31", 1),
    Place("some, far aside", 17.03, 41.78, "2026-10-07", 2),
    Place("some, hills", 5.56, 46.43, "2026-09-01", 2),
    Place("half, far aside", -156.65, -22.93, "2026-11-18", 3),
    Place("half, winter", 42.24, 53.75, "2026-12-01", 2),
    Place("half", -143.52, 37.96, "2026-04-10", 0),
    Place("many, winter", -74.74, 48.9, "2026-02-19", 0),
    Place("nearly all", -94.7, 39.6, "2026-02-08", 3),
]

COVERS = (("under 5 %", 0.0, 0.05), ("5 to 35 %", 0.05, 0.35), ("35 to 75 %", 0.35, 0.75), ("over 75 %", 0.75, 1.01))
"""Classes of cloud cover in truth: name, least, and less than."""

CHAIN = PLACES[4]
"""The one that is taken, delivered and orthorectified."""


class Picture(NamedTuple):
    bands: np.ndarray
    """Reflectance, (4, rows, columns)."""

    clouds: np.ndarray
    """Where there are clouds in truth, (rows, columns)."""

    shadows: np.ndarray
    """Where there are shadows of clouds on clear ground."""

    inside: np.ndarray
    """Of these, those whose cloud is in the picture."""

    angles: Angles
    gsd_m: float


def draw(place: Place, *, side_m: float = 16_000.0, gsd_m: float = 32.0, rays: int = 3) -> Picture:
    """The picture of a place, each pixel the mean of rays × rays points."""
    area, window = _order(place, side_m)
    taken = Acquisition.plan(SATELLITES[place.satellite], area, window)
    grid = _around(place, int(side_m / gsd_m), gsd_m)
    angles = Angles.of(View(**{name: value for name, value in taken.view.items() if name != "off_nadir_deg"}), grid)
    seen = _seen(grid, rays, taken.middle, _toward(place, taken))
    clouds = seen[..., 4] > CLOUDY
    shadows = (seen[..., 5] > CLOUDY) & ~clouds
    return Picture(
        bands=np.moveaxis(digital_numbers(seen[..., :4]) / DN_PER_REFLECTANCE, -1, 0),
        clouds=clouds,
        shadows=shadows,
        inside=shadows & _cloud_is_inside(seen[..., 6], angles, gsd_m),
        angles=angles,
        gsd_m=gsd_m,
    )


def _order(place: Place, side_m: float) -> tuple[Footprint, TimeWindow]:
    half = side_m / 2 / 111_200
    wide = half / cos(radians(place.lat))
    day = datetime.fromisoformat(place.day).replace(tzinfo=UTC)
    area = Footprint.of(box(place.lon - wide, place.lat - half, place.lon + wide, place.lat + half))
    return area, TimeWindow(start=day, end=day + timedelta(days=1))


def _around(place: Place, count: int, gsd_m: float) -> OutputGrid:
    crs = utm(place.lon, place.lat)
    unit = OutputGrid(crs=crs, transform=(1, 0, 0, 0, -1, 0), height=1, width=1)
    row, col = unit.pixel(np.array(place.lon), np.array(place.lat))
    corner = float(col) - count * gsd_m / 2, -float(row) + count * gsd_m / 2
    return OutputGrid(crs=crs, transform=(gsd_m, 0, corner[0], 0, -gsd_m, corner[1]), height=count, width=count)


def _toward(place: Place, taken: Acquisition) -> np.ndarray:
    """Earth-fixed direction from the ground to the satellite; over these kilometres the same everywhere."""
    camera = taken.camera
    position = camera.lines((camera.rows - 1) / 2)[0]
    return position - geodetic_to_ecef(place.lon, place.lat, 0.0)


def _seen(grid: OutputGrid, rays: int, posix: float, toward: np.ndarray) -> np.ndarray:
    """Light in four bands, cloud in front, cloud before the sun, height: (rows, columns, 7)."""
    sun = sun_direction(posix)

    def block(first: int) -> np.ndarray:
        rows = (np.arange(first * rays, min(first + 16, grid.height) * rays) + 0.5) / rays - 0.5
        col, row = np.meshgrid((np.arange(grid.width * rays) + 0.5) / rays - 0.5, rows)
        hits = surface(*grid.lon_lat(row, col))
        veil, shade = (opacity(hits, direction, posix, every=rays)[..., None] for direction in (toward, sun))
        light = paint(hits, sun=sun, sunlight=1 - 0.9 * shade[..., 0])
        light += veil * (BRIGHTNESS - light)
        return gathered(np.concatenate([light[..., :4], veil, shade, hits[..., HEIGHT, None]], axis=-1), rays)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(0, grid.height, 16))))


def _cloud_is_inside(height: np.ndarray, angles: Angles, gsd_m: float) -> np.ndarray:
    row, col = np.indices(height.shape)
    down, right = angles.shadow_offset()
    above = (CLOUD_HEIGHT_M - height) / gsd_m
    row, col = row - down * above, col - right * above
    return (row >= 0) & (row < height.shape[0]) & (col >= 0) & (col < height.shape[1])


class Score(NamedTuple):
    """NaN where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    iou: float

    def __str__(self) -> str:
        return " ".join("   – " if np.isnan(value) else f"{value:5.2f}" for value in self)


def score(found: np.ndarray, truth: np.ndarray) -> Score:
    both, of_found, of_truth = (int(part.sum()) for part in (found & truth, found, truth))
    pairs = (of_found, of_truth, (of_found + of_truth) / 2, of_found + of_truth - both)
    return Score(*(both / of if of else np.nan for of in pairs))


def detect(picture: Picture) -> np.ndarray:
    """The classes that the default finds."""
    nodata = np.zeros(picture.clouds.shape, dtype=bool)
    return VisibleNirDetector().detect(
        picture.bands, names=NAMES, nodata=nodata, angles=picture.angles, gsd_m=picture.gsd_m
    )


def through_the_chain(place: Place, folder: Path, *, side_m: float = 5_000.0) -> tuple[np.ndarray, np.ndarray, Score]:
    """Taken, delivered and orthorectified as any scene; looked at in an overview of a quarter.

    Gives what was found and the delivered mask, both where the mask knows, and the score of the shadows.
    """
    area, window = _order(place, side_m)
    taken = acquire(SATELLITES[place.satellite], area, window, folder=folder)
    scene = read_delivery(folder)
    assets = AssetFolder(folder / "assets")
    item = produce(scene, collection="sandbox-scenes", dem=None, assets=assets).item
    with rasterio.open(assets.path(f"sandbox-scenes/{item.id}/multispectral.tif")) as dataset:
        shape = tuple(-(-size // 4) for size in dataset.shape)
        pixels, transform, crs = dataset.read(out_shape=(4, *shape)), dataset.transform, dataset.crs.to_string()
    with rasterio.open(assets.path(f"sandbox-scenes/{item.id}/cloud-mask.tif")) as dataset:
        mask = dataset.read(1, out_shape=shape)
    a, b, c, d, e, f = transform[:6]
    grid = OutputGrid(crs=crs, transform=(4 * a, 4 * b, c, 4 * d, 4 * e, f), height=shape[0], width=shape[1])
    found = VisibleNirDetector().detect(
        pixels / DN_PER_REFLECTANCE, names=NAMES, nodata=(pixels == 0).all(axis=0),
        angles=Angles.of(scene.view, grid), gsd_m=grid.transform[0],
    )  # fmt: skip
    known = (mask != UNKNOWN) & (found != UNKNOWN)
    shade = opacity(surface(*grid.lon_lat(*np.indices(shape, dtype=float))), taken.sun, taken.middle) > CLOUDY
    return found[known], mask[known], score(found[known] == SHADOW, (shade & (mask == CLEAR))[known])


def run() -> None:
    print(f"{'':39s}clouds{'':35s}shadows{'':28s}their cloud")
    print(f"{'':39s}% of pixels{'':30s}% of pixels{'':24s}inside")
    scores = "truth found  prec. recall F1   IoU "
    print(f"place{'':22s}  sun  view  {scores}  {scores} recall")
    everything = []
    for place in PLACES:
        picture = draw(place)
        everything.append((detect(picture), picture))
        print(_line(place.name, everything[-1:]), flush=True)
    for name, low, high in COVERS:
        some = [one for one in everything if low <= one[1].clouds.mean() < high]
        if some:
            print(_line(f"cover {name}, {len(some)} scenes", some))
    print(_line("all pixels together", everything))
    with tempfile.TemporaryDirectory() as folder:
        found, mask, shadows = through_the_chain(CHAIN, Path(folder))
    print(f"\n{CHAIN.name}, through the whole chain: clouds {score(found == CLOUD, mask == CLOUD)}, shadows {shadows}")


def _line(name: str, scenes: list[tuple[np.ndarray, Picture]]) -> str:
    found = np.concatenate([one.ravel() for one, _ in scenes])
    clouds, shadows, inside = (
        np.concatenate([getattr(one, part).ravel() for _, one in scenes]) for part in ("clouds", "shadows", "inside")
    )
    angles = scenes[0][1].angles
    view = (
        f"{angles.sun_elevation_deg:4.0f}° {angles.incidence_deg:4.0f}°"
        if len(scenes) == 1 and not name.startswith("cover")
        else " " * 11
    )
    parts = [
        f"{100 * truth.mean():6.1f} {100 * seen.mean():5.1f}  {score(seen, truth)}"
        for truth, seen in ((clouds, found == CLOUD), (shadows, found == SHADOW))
    ]
    return f"{name:26s}{view} {parts[0]} {parts[1]}  {score(found == SHADOW, inside).recall:5.2f}"
