"""Points followed from one image into another, through the ground that both show.

The search reaches as far as the sensor models may be wrong, and along the epipolar line as far as the terrain may lie
off the DEM. Through the ground, turn, scale and slope of the terrain do not matter.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.correlation import find_patch
from processing.dem import Dem
from processing.heights import HeightGrid
from processing.ortho import Part
from processing.projection import Floats, near
from processing.raw_image import RawImage, read_window
from processing.sensor import SensorModel

HALF: Final = 12
"""A patch is 25 × 25 pixels of the left image."""

_NODES: Final = 5
"""Each way, at which the way through the ground is computed around a point; bilinear between them."""

_MET_M: Final = 1e-3
"""A ray meets the terrain this closely."""

_MAX_FALLS: Final = 40
"""From terrain to ray and back; each brings them closer unless the ray grazes a slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """The heights under a cell and around it."""

    dem: Dem
    grid: HeightGrid
    middle: float
    """Longitude near which there is no jump."""

    start_m: float
    """Where rays begin to look for the terrain."""

    @classmethod
    def under(cls, image: RawImage, cell: Part, dem: Dem, levels: tuple[float, float], margin_px: float) -> "Terrain":
        """Under a cell and so many pixels around it."""
        rows, cols = (cell[0] - margin_px, cell[1] + margin_px), (cell[2] - margin_px, cell[3] + margin_px)
        row, col, height = np.meshgrid(rows, cols, [levels[0] - 20, levels[1] + 20])
        lon, lat = image.rpc.locate(row, col, height)
        middle = image.rpc.domain.lon
        grid = dem.cells(*dem.position(near(lon, middle), lat, middle=middle))
        return cls(dem=dem, grid=grid, middle=middle, start_m=(levels[0] + levels[1]) / 2)

    def heights(self, lon: Floats, lat: Floats) -> Floats:
        """Metres above the ellipsoid; NaN where unknown."""
        return self.grid.at(*self.dem.position(near(lon, self.middle), lat, middle=self.middle))

    def meet(self, rpc: SensorModel, row: Floats, col: Floats) -> tuple[Floats, Floats, Floats]:
        """Longitude, latitude and height where rays meet the terrain; NaN where none is known or the ray grazes it."""
        height = np.full(row.shape, self.start_m)
        for _ in range(_MAX_FALLS):
            lon, lat = rpc.locate(row, col, height)
            found = self.heights(lon, lat)
            off = np.abs(found - height)
            height = np.where(np.isfinite(found), found, height)
            if not (off > _MET_M).any():
                break
        lost = ~(off <= _MET_M)
        return np.where(lost, np.nan, lon), np.where(lost, np.nan, lat), np.where(lost, np.nan, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far from the predicted place a point can be."""

    level_m: float
    """Height of the terrain, about."""

    bias_px: float
    height_error_m: float

    def line(self, source: RawImage, target: RawImage, row: float, col: float) -> tuple[Floats, Floats]:
        """How far terrain that lies `height_error_m` off moves a point, in the source's pixels and in the target's."""
        height = self.level_m
        ends = [_transfer(source.rpc, target.rpc, (row, col), at) for at in (height, height + self.height_error_m)]
        back = [_transfer(target.rpc, source.rpc, (end[0], end[1]), height) for end in ends]
        return back[1] - back[0], ends[1] - ends[0]

    def allowed(self, line: Floats) -> NDArray[np.bool_]:
        """Offsets within `bias_px` of the epipolar line, which ends there; odd shape, the prediction in its middle."""
        reach = np.ceil(np.abs(line) + self.bias_px).astype(int)
        offset = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
        share = np.clip(offset @ line / max(float(line @ line), 1e-12), -1, 1)
        near_line: NDArray[np.bool_] = np.linalg.norm(offset - share[..., None] * line, axis=-1) <= self.bias_px
        return near_line


def _transfer(source: SensorModel, target: SensorModel, place: tuple[float, float], height: float) -> Floats:
    """Where the target shows what the source does, at a height."""
    return np.array(target.project(*source.locate(*place, height), height))


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Points followed from one image into another; NaN where they could not be."""

    ground: Floats
    """Longitude, latitude and height where the ray meets the terrain, shape (n, 3)."""

    predicted: Floats
    """Row and column through the ground, shape (n, 2)."""

    offset: Floats
    """By how much the match lies off it, in pixels of the first image."""

    place: Floats
    """Row and column of the match."""

    correlation: Floats

    def only(self, chosen: NDArray[np.bool_]) -> "Way":
        """Those of the points."""
        parts = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__}
        return Way(**parts)


def follow(
    source: RawImage, target: RawImage, terrain: Terrain, place: NDArray[Any], allowed: NDArray[np.bool_]
) -> Way:
    """Find in the target image what the source shows around whole pixels, (row, col) of shape (n, 2)."""
    row, col = place.T
    radius = radius_of(allowed)
    step = np.linspace(-radius, radius, _NODES)
    around = np.meshgrid(step, step, indexing="ij")
    ground = terrain.meet(source.rpc, *(at[:, None, None] + more for at, more in zip((row, col), around, strict=True)))
    nodes, middle = np.stack(target.rpc.project(*ground), axis=1), _NODES // 2
    known = np.isfinite(nodes).all(axis=(1, 2, 3)) & target.shows(*nodes[:, :, middle, middle].T)
    found = np.full((len(row), 5), np.nan)
    if known.any():
        (top, first), (bottom, last) = (pick(nodes[known], axis=(0, 2, 3)) for pick in (np.min, np.max))
        there = read_window(target, (int(top), math.ceil(bottom) + 1, int(first), math.ceil(last) + 1), 3)
        here = read_window(source, (int(row.min()), int(row.max()) + 1, int(col.min()), int(col.max()) + 1), HALF)
        spline = there.spline()
        for k in np.flatnonzero(known):
            shifted = nodes[k] - np.array([there.row, there.col])[:, None, None]
            found[k] = find_patch(here.patch(row[k], col[k], HALF), spline, shifted, radius, allowed)
            found[k, 2:4] += there.row, there.col
    return Way(
        ground=np.stack(ground, axis=1)[:, :, middle, middle],
        predicted=nodes[:, :, middle, middle],
        offset=found[:, :2],
        place=found[:, 2:4],
        correlation=found[:, 4],
    )


def radius_of(allowed: NDArray[np.bool_]) -> float:
    """Pixels around a point that a search looks at."""
    return float(max(allowed.shape) // 2 + HALF + 2)
