"""Clouds and their shadows in a picture of visible and near infrared bands: a boundary, and a simple default.

The default is Fmask for sensors that have neither short-wave nor thermal infrared:

    blue, green, red, nir ─► potential clouds: white, and bluer than ground is for its red (HOT)
                          ─► how cloudy each pixel is, against the clear ground of this scene ─► clouds
    clouds ─► moved along the sun's and the sensor's directions, for each height ─┐
    nir    ─► pixels darker than all around them ─────────────────────────────────┴─► best height ─► shadows

Sources: Zhu & Woodcock, Remote Sensing of Environment 118, 2012 (whiteness, HOT, potential clouds and shadows, matching
by height); Qiu, Zhu & He, RSE 231, 2019 (Fmask 4: HOT against the scene's clear ground where there is no thermal band,
removal of small bright objects); Zhang, Guindon & Cihlar, RSE 82, 2002 (HOT).

Measured on twelve sandbox scenes (`tests/bench/clouds.py`, all pixels together): clouds F1 0.94, precision 0.89, recall
1.00; shadows F1 0.65, precision 0.77, recall 0.56, or 0.72 of those whose cloud is in the picture. The sandbox's clouds
are one layer, evenly white: real ones are harder, and nothing was measured on them. Without short-wave infrared, snow
is told from cloud only by a near infrared that is a little darker; thin cirrus goes unseen; bare ground that is white
and wide passes for cloud.

It looks at a scene as a whole, with pixels of some 15 to 60 m, at an overview of most. `expand` brings its classes to
the pixels of any block.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pyproj import Geod
from scipy import ndimage
from skimage.morphology import disk, reconstruction

from catalog.item import View
from processing.cloud_classes import CLEAR, CLOUD, SHADOW, UNKNOWN, Classes
from processing.errors import ProcessingError
from processing.grid import OutputGrid

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_ELLIPSOID = Geod(ellps="WGS84")

NAMES: Final = ("blue", "green", "red", "nir")
"""Common names of the bands that the default needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Angles:
    """Where sun and sensor stand over a scene; azimuths clockwise from the raster's upward direction."""

    sun_azimuth_deg: float
    """Direction to the sun; see `on_grid`."""

    sun_elevation_deg: float
    """Above the horizon."""

    sensor_azimuth_deg: float = 0.0
    """Direction from the ground to the sensor: opposite to STAC's ``view:azimuth``, which starts below the sensor."""

    incidence_deg: float = 0.0
    """From the vertical, at the ground."""

    @classmethod
    def of(cls, view: View, grid: OutputGrid) -> Self:
        """The angles of a scene over its raster; straight from above where it is not known how the sensor looked.

        Raises
        ------
        ProcessingError
            Where the sun stood is not known.
        """
        if view.sun_azimuth_deg is None or view.sun_elevation_deg is None:
            raise ProcessingError(
                "clouds: the scene's view does not say where the sun stood; give its azimuth and elevation"
            )
        looks = view.azimuth_deg is not None and view.incidence_deg is not None
        return cls(
            sun_azimuth_deg=on_grid(view.sun_azimuth_deg, grid),
            sun_elevation_deg=view.sun_elevation_deg,
            sensor_azimuth_deg=on_grid((view.azimuth_deg or 0.0) + 180, grid) if looks else 0.0,
            incidence_deg=(view.incidence_deg or 0.0) if looks else 0.0,
        )

    def __post_init__(self) -> None:
        if not 0 < self.sun_elevation_deg <= 90:
            raise ProcessingError(
                f"clouds: a sun elevation of {self.sun_elevation_deg}°; give a scene taken by day, with 0° to 90°"
            )
        if not 0 <= self.incidence_deg < 90:
            raise ProcessingError(f"clouds: an incidence of {self.incidence_deg}°; give 0° up to less than 90°")
        if not (math.isfinite(self.sun_azimuth_deg) and math.isfinite(self.sensor_azimuth_deg)):
            raise ProcessingError("clouds: an azimuth is no number; give degrees clockwise from the raster's up")

    def shadow_offset(self) -> tuple[float, float]:
        """Rows down and columns right, in metres, from a cloud as the map shows it to its shadow, a metre of height.

        The sensor sees the cloud before ground that lies behind it, the sun casts its shadow on ground that lies
        behind it as well; both go with its height.
        """
        sun, sensor = math.radians(self.sun_azimuth_deg), math.radians(self.sensor_azimuth_deg)
        far = 1 / math.tan(math.radians(self.sun_elevation_deg))
        aside = math.tan(math.radians(self.incidence_deg))
        north = aside * math.cos(sensor) - far * math.cos(sun)
        east = aside * math.sin(sensor) - far * math.sin(sun)
        return -north, east


class CloudDetector(Protocol):
    """Tells clouds and their shadows from clear ground."""

    def detect(
        self, bands: Floats, *, names: Sequence[str | None], nodata: Mask, angles: Angles, gsd_m: float
    ) -> Classes:
        """The class of each pixel of a whole scene.

        Parameters
        ----------
        bands
            Reflectance at the top of the atmosphere, 0 to about 1: shape (bands, rows, columns), on the map.
        names
            Common name of each band (STAC eo extension), None where it has none.
        nodata
            Pixels that show nothing: shape (rows, columns).
        gsd_m
            Side of a pixel.

        Returns
        -------
        `CLEAR`, `CLOUD` or `SHADOW`, `UNKNOWN` where nothing is shown: shape (rows, columns). Same input, same output.

        Raises
        ------
        ProcessingError
            A band that it needs is missing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleNirDetector:
    """The default: needs blue, green, red and near infrared."""

    least_radius_m: float = 60.0
    """What is nowhere so wide is a roof or a quarry rather than a cloud."""

    margin_m: float = 0.0
    """By how much clouds and shadows are widened at the end."""

    def detect(
        self, bands: Floats, *, names: Sequence[str | None], nodata: Mask, angles: Angles, gsd_m: float
    ) -> Classes:
        """See `CloudDetector`."""
        missing = [name for name in NAMES if name not in names]
        if missing:
            raise ProcessingError(
                f"clouds: no band is {' or '.join(missing)}; give blue, green, red and nir, or another detector"
            )
        wanted = bands[[list(names).index(name) for name in NAMES]].astype(np.float64)
        known = ~nodata & np.isfinite(wanted).all(axis=0)
        blue, green, red, nir = np.where(known, wanted, 0.0)
        clouds = wide(cloudy(blue, green, red, nir, known), self.least_radius_m / gsd_m)
        shadows = shaded(clouds, nir, known, angles, gsd_m)
        clouds, shadows = (widened(mask, self.margin_m / gsd_m) for mask in (clouds, shadows))
        classes = np.full(nodata.shape, CLEAR, dtype=np.uint8)
        classes[shadows] = SHADOW
        classes[clouds] = CLOUD
        classes[~known] = UNKNOWN
        return classes


def on_grid(azimuth_deg: float, grid: OutputGrid) -> float:
    """An azimuth clockwise from true north, as one clockwise from the raster's upward direction, at its middle."""
    lon, lat = grid.lon_lat(np.array((grid.height - 1) / 2), np.array((grid.width - 1) / 2))
    ahead_lon, ahead_lat, _ = _ELLIPSOID.fwd(lon, lat, azimuth_deg, 100.0)
    row, col = grid.pixel(np.array([lon, ahead_lon]), np.array([lat, ahead_lat]))
    return math.degrees(math.atan2(float(col[1] - col[0]), float(row[0] - row[1]))) % 360


def expand(classes: Classes, factor: int, *, row: int, col: int, shape: tuple[int, int]) -> Classes:
    """The classes of a block of pixels, each of which covers 1 / factor of the rows and columns of a class.

    Parameters
    ----------
    factor
        An overview's: 4, 8 … The last row or column of `classes` may reach beyond the pixels.
    row, col, shape
        First row and column of the block, rows and columns of it.
    """
    rows, cols = (np.arange(first, first + size) // factor for first, size in ((row, shape[0]), (col, shape[1])))
    return classes[np.ix_(rows, cols)]


# ── clouds ──────────────────────────────────────────────────────────────────────────────────────────────────────────

WHITENESS: Final = 0.7
"""Largest sum of the visible bands' deviations from their mean, over that mean (Zhu & Woodcock 2012, equation 2)."""

HAZE: Final = 0.08
"""HOT = blue - 0.5 red - this, above 0 in clouds and haze (equation 3)."""

VEGETATION: Final = 0.8
"""Highest NDVI (equation 1)."""

SNOW: Final = 0.06
"""(green - nir) / (green + nir) above which white is snow: its grains absorb in the near infrared, a cloud's drops are
too small to (Warren, Reviews of Geophysics 20(1), 1982). As high as it can be: fine fresh snow passes for cloud, but no
cloud for snow, were the bands' calibrations wrong by 8 % against each other."""

LOW_PCT, HIGH_PCT, SPREAD = 17.5, 82.5, 0.04
"""Percentiles of HOT over clear ground, and what is added on both sides: 0 and 1 of brightness (Qiu et al. 2019)."""

MORE_THAN_CLEAR: Final = 0.2
"""By how much a cloud's probability exceeds the clear ground's high percentile (Zhu & Woodcock 2012, equation 17)."""

LEAST_CLEAR: Final = 0.001
"""Share of clear pixels below which all potential clouds are clouds (ibid.)."""

_DARKEST = 1e-6
"""Reflectance that divides where there is none."""


def cloudy(blue: Floats, green: Floats, red: Floats, nir: Floats, known: Mask) -> Mask:
    """Pixels that are clouds by their colour, in this scene."""
    mean = (blue + green + red) / 3
    whiteness = (abs(blue - mean) + abs(green - mean) + abs(red - mean)) / np.maximum(mean, _DARKEST)
    vegetation, ice = ((a - b) / np.maximum(a + b, _DARKEST) for a, b in ((nir, red), (green, nir)))
    hot = blue - 0.5 * red - HAZE
    white = known & (whiteness < WHITENESS) & (hot > 0) & (vegetation < VEGETATION)
    potential = white & ~(ice > SNOW)
    clear = known & ~white
    if clear.sum() <= LEAST_CLEAR * known.sum():
        return potential
    low, high = np.percentile(hot[clear], [LOW_PCT, HIGH_PCT])
    brightness = np.clip((hot - low + SPREAD) / (high - low + 2 * SPREAD), 0, 1)
    likely = brightness * (1 - np.clip(np.maximum(abs(vegetation), whiteness), 0, 1))
    clouds: Mask = potential & (likely > np.percentile(likely[clear], HIGH_PCT) + MORE_THAN_CLEAR)
    return clouds


def wide(mask: Mask, radius_px: float) -> Mask:
    """The connected parts of a mask that hold a disk somewhere; as they are."""
    if radius_px < 0.5:
        return mask
    shape = disk(round(radius_px))  # type: ignore[no-untyped-call]
    held: Mask = ndimage.binary_propagation(ndimage.binary_erosion(mask, shape, border_value=1), mask=mask)
    return held


def widened(mask: Mask, radius_px: float) -> Mask:
    """The mask and all within so many pixels of it."""
    if radius_px <= 0 or not mask.any():
        return mask
    near: Mask = ndimage.distance_transform_edt(~mask) <= radius_px
    return near


# ── shadows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LOWEST_M, HIGHEST_M = 200.0, 12_000.0
"""Heights of clouds above the ground that are tried (Zhu & Woodcock 2012)."""

DARKER: Final = 0.02
"""By how much reflectance in the near infrared a shadow is darker than the ground around it (equation 19)."""

LEAST_SIMILAR: Final = 0.3
"""Share of a shadow that must be dark (Zhu & Woodcock 2012, section 3.2.2)."""


def dark(nir: Floats, clear: Mask, known: Mask) -> Mask:
    """Clear pixels darker than all around them: what filling the holes of the picture would raise (equation 19)."""
    if not clear.any():
        return np.zeros(clear.shape, dtype=np.bool_)
    background = np.percentile(nir[clear], LOW_PCT)
    ground = np.pad(np.where(known, nir, background), 1, constant_values=background)
    seed = np.full(ground.shape, ground.max())
    seed[[0, -1]], seed[:, [0, -1]] = background, background
    filled = reconstruction(np.maximum(seed, ground), ground, method="erosion")  # type: ignore[no-untyped-call]
    darker: Mask = clear & ((filled - ground)[1:-1, 1:-1] > DARKER)
    return darker


def shaded(clouds: Mask, nir: Floats, known: Mask, angles: Angles, gsd_m: float) -> Mask:
    """Where the clouds' shadows fall: of each cloud, by the height at which it explains most of what is dark.

    That is where most dark pixels are met beyond those that would be met by chance. Clouds that explain too little have
    no shadow: they may lie over water, or theirs outside the picture.
    """
    found, clear = np.zeros(clouds.shape, dtype=np.bool_), known & ~clouds
    labels, count = ndimage.label(clouds, structure=np.ones((3, 3)))
    if not count or not clear.any():
        return found
    rows, cols = np.nonzero(clouds)
    cloud, darker = labels[rows, cols] - 1, dark(nir, clear, known)
    down, right = (part / gsd_m for part in angles.shadow_offset())
    # From one height to the next, shadows move by a pixel.
    heights = np.arange(LOWEST_M, HIGHEST_M, 1 / max(abs(down), abs(right), 1 / HIGHEST_M))
    seen, matched = _matches(rows, cols, cloud, heights * down, heights * right, clear, darker, count)
    best = (matched - darker[clear].mean() * seen).argmax(axis=0)
    matches, of = (each[best, np.arange(count)] for each in (matched, seen))
    height = np.where(matches >= LEAST_SIMILAR * np.maximum(of, 1), heights[best], np.nan)[cloud]
    row, col = (pixels + np.rint(height * by) for pixels, by in ((rows, down), (cols, right)))
    inside = (row >= 0) & (row < clouds.shape[0]) & (col >= 0) & (col < clouds.shape[1])
    found[row[inside].astype(np.int64), col[inside].astype(np.int64)] = True
    return found & clear


@njit(cache=True, nogil=True)
def _matches(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    cloud: NDArray[np.int64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
    clear: Mask,
    darker: Mask,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many pixels of each cloud come to lie on clear ground, and on dark one, when they are moved."""
    seen, matched = np.zeros((down.size, count), np.int64), np.zeros((down.size, count), np.int64)
    for k in range(down.size):
        by_row, by_col = int(np.rint(down[k])), int(np.rint(right[k]))
        for pixel in range(rows.size):
            row, col = rows[pixel] + by_row, cols[pixel] + by_col
            if 0 <= row < clear.shape[0] and 0 <= col < clear.shape[1] and clear[row, col]:
                seen[k, cloud[pixel]] += 1
                matched[k, cloud[pixel]] += darker[row, col]
    return seen, matched
