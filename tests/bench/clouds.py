"""Clouds and shadows found in sandbox scenes all over the globe, against the masks that they were made with.

Drawn on the map as the sandbox's cameras would see them: same ground, sun, look direction, clouds and thresholds. The
places were taken by chance, apart from those on which the detector was written.
"""

from datetime import UTC, datetime, timedelta
from math import radians, sin, cos
from typing import NamedTuple

import numpy as np
from shapely.geometry import box

from catalog.extent import Footprint, TimeWindow
from processing.cloud import CLOUD, NAMES, SHADOW, Angles, VisibleNirDetector, on_grid
from processing.grid import OutputGrid
from processing.ground import utm
from tasking.orbit import enu_axes, sun_direction
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
    half = side_m / 2 / 111_200
    wide = half / cos(radians(place.lat))
    area = Footprint.of(box(place.lon - wide, place.lat - half, place.lon + wide, place.lat + half))
    day = datetime.fromisoformat(place.day).replace(tzinfo=UTC)
    satellite = SATELLITES[place.satellite]
    taken = Acquisition.plan(satellite, area, TimeWindow(start=day, end=day + timedelta(days=1)))
    count = int(side_m / gsd_m)
    grid = _around(place, count, gsd_m)
    view = taken.view
    sensor = (view["azimuth_deg"] + 180) % 360
    seen = _seen(grid, rays, taken.middle, _toward(place, sensor, view["incidence_deg"]))
    angles = Angles(
        sun_azimuth_deg=on_grid(view["sun_azimuth_deg"], grid),
        sun_elevation_deg=view["sun_elevation_deg"],
        sensor_azimuth_deg=on_grid(sensor, grid),
        incidence_deg=view["incidence_deg"],
    )
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


def _around(place: Place, count: int, gsd_m: float) -> OutputGrid:
    crs = utm(place.lon, place.lat)
    unit = OutputGrid(crs=crs, transform=(1, 0, 0, 0, -1, 0), height=1, width=1)
    row, col = unit.pixel(np.array(place.lon), np.array(place.lat))
    corner = float(col) - count * gsd_m / 2, -float(row) + count * gsd_m / 2
    return OutputGrid(crs=crs, transform=(gsd_m, 0, corner[0], 0, -gsd_m, corner[1]), height=count, width=count)


def _toward(place: Place, azimuth_deg: float, incidence_deg: float) -> np.ndarray:
    """Earth-fixed direction from the ground to the satellite; over these kilometres the same everywhere."""
    east, north, up = enu_axes(np.array(place.lon), np.array(place.lat))
    azimuth, incidence = radians(azimuth_deg), radians(incidence_deg)
    return sin(incidence) * (sin(azimuth) * east + cos(azimuth) * north) + cos(incidence) * up


def _seen(grid: OutputGrid, rays: int, posix: float, toward: np.ndarray) -> np.ndarray:
    """Light in four bands, cloud in front, cloud before the sun, height: (rows, columns, 7)."""
    sun, blocks = sun_direction(posix), []
    for first in range(0, grid.height, 16):
        rows = (np.arange(first * rays, min(first + 16, grid.height) * rays) + 0.5) / rays - 0.5
        col, row = np.meshgrid((np.arange(grid.width * rays) + 0.5) / rays - 0.5, rows)
        hits = surface(*grid.lon_lat(row, col))
        veil, shade = (opacity(hits, direction, posix, every=rays)[..., None] for direction in (toward, sun))
        light = paint(hits, sun=sun, sunlight=1 - 0.9 * shade[..., 0])
        light += veil * (BRIGHTNESS - light)
        blocks.append(gathered(np.concatenate([light[..., :4], veil, shade, hits[..., HEIGHT, None]], axis=-1), rays))
    return np.concatenate(blocks)


def _cloud_is_inside(height: np.ndarray, angles: Angles, gsd_m: float) -> np.ndarray:
    row, col = np.indices(height.shape)
    down, right = angles.shadow_offset()
    above = (CLOUD_HEIGHT_M - height) / gsd_m
    row, col = row - down * above, col - right * above
    return (row >= 0) & (row < height.shape[0]) & (col >= 0) & (col < height.shape[1])


class Score(NamedTuple):
    precision: float
    recall: float
    f1: float
    iou: float

    def __str__(self) -> str:
        return " ".join("    –" if np.isnan(value) else f"{value:5.2f}" for value in self)


def score(found: np.ndarray, truth: np.ndarray) -> Score:
    """NaN where there is nothing to divide by."""
    both, either = int((found & truth).sum()), int((found | truth).sum())

    def share(of: float) -> float:
        return both / of if of else np.nan

    return Score(share(found.sum()), share(truth.sum()), share((found.sum() + truth.sum()) / 2), share(either))


def run() -> None:
    """Draw every place, look for clouds and shadows, and print what was found of them."""
    detector = VisibleNirDetector()
    print("                              in truth %       clouds                  shadows                  of clouds inside")
    print("place                        sun   view cloud shadow  prec. recall  F1   IoU   prec. recall  F1   IoU   recall  s")
    everything = []
    for place in PLACES:
        picture = draw(place)
        nodata = np.zeros(picture.clouds.shape, dtype=bool)
        found = detector.detect(
            picture.bands, names=NAMES, nodata=nodata, angles=picture.angles, gsd_m=picture.gsd_m
        )
        everything.append((found, picture))
        print(_line(place.name, [(found, picture)]))
    print(_line("all pixels together", everything))


def _line(name: str, scenes: list[tuple[np.ndarray, Picture]]) -> str:
    found = np.concatenate([one.ravel() for one, _ in scenes])
    clouds, shadows, inside = (
        np.concatenate([getattr(one, part).ravel() for _, one in scenes]) for part in ("clouds", "shadows", "inside")
    )
    angles = scenes[0][1].angles
    view = f"{angles.sun_elevation_deg:4.0f}° {angles.incidence_deg:4.0f}°" if len(scenes) == 1 else " " * 11
    return (
        f"{name:26s} {view} {100 * clouds.mean():6.1f} {100 * shadows.mean():6.1f} "
        f"{score(found == CLOUD, clouds)}  {score(found == SHADOW, shadows)}  {score(found == SHADOW, inside).recall:6.2f}"
    )
