"""A rigorous pushbroom camera and a mountain, for tests: written without looking at the code under test.

The satellite flies an arc of a circle around the Earth's centre; each row is one moment, each column one direction in
the plane across the track. The ground at a height is found by walking along the ray.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
TO_GEODETIC = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)


def unit(vector):
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Pushbroom:
    """Looks at (lon, lat) in the middle of its image."""

    lon: float
    lat: float
    rows: int = 400
    cols: int = 300
    gsd_m: float = 2.0
    roll_deg: float = 18.0
    heading_deg: float = 192.0
    altitude_m: float = 600_000.0

    def rays(self, row, col):
        """Where the camera is and where it looks, in ECEF."""
        row, col = np.broadcast_arrays(np.asarray(row, float), np.asarray(col, float))
        target = np.array(TO_ECEF.transform(self.lon, self.lat, 0.0))
        lam, phi = np.radians([self.lon, self.lat])
        up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
        east = np.array([-np.sin(lam), np.cos(lam), 0.0])
        north = np.cross(up, east)
        heading = np.radians(self.heading_deg)
        along = np.cos(heading) * north + np.sin(heading) * east
        across = np.cross(along, up)
        roll = np.radians(self.roll_deg)
        middle = target + self.altitude_m * (up - np.tan(roll) * across)
        normal = unit(np.cross(middle, along))
        ahead = unit(np.cross(normal, middle))
        angle = (row - (self.rows - 1) / 2) * self.gsd_m / 6_378_137.0
        radius = np.linalg.norm(middle)
        place = radius * (np.cos(angle)[..., None] * unit(middle) + np.sin(angle)[..., None] * ahead)
        forward = -np.sin(angle)[..., None] * unit(middle) + np.cos(angle)[..., None] * ahead
        distance = np.linalg.norm(target - middle)
        sight = unit(target - middle)
        # The optical axis turns with the orbit; columns fan out from it, a little curved like a real focal plane.
        down = np.dot(sight, unit(middle))
        side = np.dot(sight, normal)
        off = (col - (self.cols - 1) / 2) * self.gsd_m / distance
        axis = down * unit(place) + side * normal + np.dot(sight, ahead) * forward
        fan = unit(np.cross(axis, forward))
        return place, unit(axis + off[..., None] * fan + 0.02 * (off**2)[..., None] * forward)

    def ground(self, row, col, height):
        """Longitude and latitude at heights above the ellipsoid."""
        place, look = self.rays(row, col)
        height = np.broadcast_to(np.asarray(height, float), place.shape[:-1])
        way = np.full(place.shape[:-1], self.altitude_m)
        for _ in range(12):
            point = place + way[..., None] * look
            lon, lat, found = TO_GEODETIC.transform(point[..., 0], point[..., 1], point[..., 2])
            lam, phi = np.radians(lon), np.radians(lat)
            up = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
            way = way + (height - found) / np.sum(look * up, axis=-1)
        return lon, lat

    def points(self, *, low=-100.0, high=1500.0, count=(13, 13, 5), margin_px=20.0):
        """A grid of known points, for a fit."""
        row, col, height = np.meshgrid(
            np.linspace(-margin_px, self.rows + margin_px, count[0]),
            np.linspace(-margin_px, self.cols + margin_px, count[1]),
            np.linspace(low, high, count[2]),
            indexing="ij",
        )
        lon, lat = self.ground(row, col, height)
        return {"row": row, "col": col, "lon": lon, "lat": lat, "height": height}


def write_raw(path: Path, pixels, *, nodata=None, **options):
    """A raw image: a TIFF without map coordinates."""
    bands, height, width = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype=pixels.dtype,
            count=bands,
            height=height,
            width=width,
            nodata=nodata,
            **options,
        ) as file:
            file.write(pixels)
    return path


def write_heights(path: Path, heights, *, west, north, step, crs="EPSG:4326", nodata=None):
    """A DEM or geoid whose first cell's centre is at (west, north)."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=heights.dtype,
        count=1,
        height=heights.shape[0],
        width=heights.shape[1],
        nodata=nodata,
        crs=crs,
        transform=Affine(step, 0, west - step / 2, 0, -step, north + step / 2),
    ) as file:
        file.write(heights, 1)
    return path
