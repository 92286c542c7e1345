"""Tie points between two overlapping raw images, found by themselves.

    corner of the left image ─► ground at the DEM's height ─► where the right image should show it
       └─► the right image around there, brought into the left one's geometry through the ground
             └─► normalised cross-correlation ─► sub-pixel peak ─► and back, right to left

Through the ground, turn, scale and slope of the terrain do not matter. The search reaches as far as the sensor models
may be wrong, and along the epipolar line as far as the terrain may lie off the DEM. Only windows of the images are
read. The same pair gives the same points, always.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window
from scipy import ndimage
from skimage.feature import corner_shi_tomasi, peak_local_max

from processing.adjust import BlockScene, Sighting, TiePoint
from processing.dem import Dem
from processing.errors import DeliveryError, ProcessingError, SensorModelError
from processing.ground import relief
from processing.heights import HeightGrid
from processing.projection import Floats, near
from processing.raster import open_raster
from processing.refine import fit_field
from processing.scene import CLEAR
from processing.sensor import SensorModel

MIN_CORRELATION: Final = 0.75
"""Less alike, and they show something else."""

MIN_LEAD: Final = 0.05
"""By which the best place must beat any other peak: a row of trees or of houses looks alike at every step."""

MAX_RETURN_PX: Final = 0.5
"""How far from where it began a point may come back."""

MIN_FIELD: Final = 8
"""Matches from which outliers can be told; of fewer, none is believed."""

_HALF: Final = 12
"""A patch is 25 × 25 pixels of the left image."""

_NODES: Final = 5
"""Each way, at which the way through the ground is computed around a point; bilinear between them."""

_MET_M: Final = 1e-3
"""A ray meets the terrain this closely."""

_MAX_FALLS: Final = 40
"""From terrain to ray and back; each brings them closer unless the ray grazes a slope."""

_LEAST_PARALLAX_PX: Final = 1e-3
"""Two images taken from one place have no epipolar line; then their rows are taken for it."""

_WINDOW_PX: Final = 256
"""Most rows and columns of a cell that are searched for corners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawImage:
    """A raw image without map coordinates, and where it is to be believed."""

    name: str
    path: Path
    rpc: SensorModel
    height: int
    width: int
    nodata: float | None = None
    band: int = 1
    """The one that is looked at, from 1."""

    clouds: "RawImage | None" = None
    """Its cloud mask, of the values of `processing.scene`: of its own size, with its own sensor model."""

    def in_block(self) -> BlockScene:
        """What an adjustment needs of it."""
        return BlockScene(name=self.name, rpc=self.rpc, height=self.height, width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Tie points of a pair, and what became of the others."""

    points: tuple[TiePoint, ...]
    """Those that are believed, `left` first in each."""

    correlation: Floats
    """Of each point's two patches."""

    off_px: Floats
    """Found − predicted in the right image, along the epipolar line and across it; shape (points, 2)."""

    tried: int
    """Corners whose patch both images show whole."""

    unlike: int
    """Of these: no single place was alike enough."""

    astray: int
    """The way back led elsewhere."""

    outliers: int
    """Beyond 3·NMAD from the affine field of all others."""


def match(
    left: RawImage,
    right: RawImage,
    dem: Dem,
    *,
    cells: int = 12,
    per_cell: int = 3,
    bias_px: float = 12.0,
    height_error_m: float = 15.0,
) -> Ties:
    """Find tie points all over the ground that two images share.

    Parameters
    ----------
    left, right
        The coarser one first, where they differ much.
    cells
        Each way, into which the shared part of the left image is divided.
    per_cell
        Most corners tried in each of them.
    bias_px
        How far, in pixels of the left image, the two sensor models may lie apart.
    height_error_m
        How far the DEM may lie off what the images show.

    Returns
    -------
    No points at all where the images share no ground, or where fewer than `MIN_FIELD` matches are found.

    Raises
    ------
    DeliveryError
        An image that cannot be read.
    HeightsError
        The DEM knows nothing of the left image's ground.
    ProcessingError
        The two are called the same.
    """
    if left.name == right.name:
        raise ProcessingError(f"tie points: both images are called {left.name}; give each a name of its own")
    levels = relief(left.rpc, (left.height, left.width), dem)
    reach = _Reach(level_m=sum(levels) / 2, bias_px=bias_px, height_error_m=height_error_m)
    found = [
        _match_cell(left, right, dem, cell, count=per_cell, levels=levels, reach=reach)
        for cell in _cells(left, right, levels, cells)
    ]
    matches = np.concatenate([one.matches for one in found]) if found else np.empty((0, _COLUMNS))
    believed = _believed(matches)
    return Ties(
        points=tuple(_point(left, right, row) for row in matches[believed]),
        correlation=matches[believed, 4],
        off_px=matches[believed, 8:],
        tried=sum(one.tried for one in found),
        unlike=sum(one.unlike for one in found),
        astray=sum(one.astray for one in found),
        outliers=int((~believed).sum()),
    )


_COLUMNS: Final = 10
"""Of a match: row and column left and right, correlation, longitude, latitude, height, off along and across."""

_Cell = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""

_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terrain:
    """The heights under a cell and around it."""

    dem: Dem
    grid: HeightGrid
    middle: float
    """Longitude near which there is no jump."""

    start_m: float
    """Where rays begin to look for the terrain."""

    @classmethod
    def under(cls, image: RawImage, cell: _Cell, dem: Dem, levels: tuple[float, float], margin_px: float) -> "_Terrain":
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
class _Window:
    """Pixels of an image; NaN for those that show nothing, or clouds."""

    values: _Values
    row: int
    """Of the first one, as is `col`."""

    col: int

    def patch(self, row: int, col: int) -> _Values:
        """The pixels around one; unknown ones where some would lie outside."""
        top, left, side = row - self.row - _HALF, col - self.col - _HALF, 2 * _HALF + 1
        if top < 0 or left < 0 or top + side > self.values.shape[0] or left + side > self.values.shape[1]:
            return np.full((side, side), np.nan)
        return np.ascontiguousarray(self.values[top : top + side, left : left + side])

    def spline(self) -> _Values:
        """Coefficients of the cubic B-spline through the pixels; NaN for unknown ones."""
        known = np.isfinite(self.values)
        if not known.any():
            return self.values
        filled = np.where(known, self.values, self.values[known].mean())
        coefficients: _Values = ndimage.spline_filter(filled, order=3)
        return np.where(known, coefficients, np.nan)


def _cells(left: RawImage, right: RawImage, levels: tuple[float, float], count: int) -> Iterator[_Cell]:
    """Rectangles of the left image spread over what the right one shows too."""
    row, col, height = np.meshgrid(
        np.linspace(0, left.height - 1, 33), np.linspace(0, left.width - 1, 33), [levels[0], sum(levels) / 2, levels[1]]
    )
    there = right.rpc.project(*left.rpc.locate(row, col, height), height)
    shared = _inside(right, *there).any(axis=2)
    if not shared.any():
        return
    # One step of the lattice more on each side: the edge of what is shared lies between two nodes.
    pad_row, pad_col = left.height / 32, left.width / 32
    rows, cols = row[..., 0][shared], col[..., 0][shared]
    top, bottom = max(rows.min() - pad_row, 0), min(rows.max() + pad_row, left.height)
    first, last = max(cols.min() - pad_col, 0), min(cols.max() + pad_col, left.width)
    for low, high in _stretches(top, bottom, count):
        for one, other in _stretches(first, last, count):
            yield low, high, one, other


def _stretches(low: float, high: float, count: int) -> Iterator[tuple[int, int]]:
    """A line cut into parts of a patch's size at least, of the larger ones the middle."""
    count = max(1, min(count, int((high - low) / (2 * _HALF + 1))))
    edges = np.linspace(low, high, count + 1)
    for start, end in pairwise(edges):
        spare = max(0.0, end - start - _WINDOW_PX) / 2
        yield round(start + spare), round(end - spare)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
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
class _Found:
    """What a cell gave."""

    matches: Floats
    """Shape (n, _COLUMNS)."""

    tried: int = 0
    unlike: int = 0
    astray: int = 0


def _match_cell(
    left: RawImage, right: RawImage, dem: Dem, cell: _Cell, *, count: int, levels: tuple[float, float], reach: _Reach
) -> _Found:
    row, col = _corners(_read(left, cell, _HALF), cell, count)
    if not row.size:
        return _Found(matches=np.empty((0, _COLUMNS)))
    line, line_there = reach.line(left, right, (cell[0] + cell[1]) / 2, (cell[2] + cell[3]) / 2)
    allowed = reach.allowed(line)
    terrain = _Terrain.under(left, cell, dem, levels, 2 * _radius(allowed))
    there = _follow(left, right, terrain, np.stack([row, col], axis=1), allowed)
    shown = _inside(right, *there.predicted.T)
    good = shown & _inside(right, *there.place.T)
    tried, unlike = int(shown.sum()), int((shown & ~good).sum())
    if not good.any():
        return _Found(matches=np.empty((0, _COLUMNS)), tried=tried, unlike=unlike)
    row, col, there = row[good], col[good], there.only(good)
    nearest = np.rint(there.place).astype(int)
    line_back, _ = reach.line(right, left, *nearest.mean(axis=0).tolist())
    back = _follow(right, left, terrain, nearest, reach.allowed(line_back))
    # The way back began at a whole pixel; what lies between is the same in both directions.
    kept = np.hypot(*(back.place - back.predicted + there.offset).T) <= MAX_RETURN_PX
    row, col, there = row[kept], col[kept], there.only(kept)
    off = there.place - there.predicted
    length = float(np.hypot(*line_there))
    down, right_of = line_there / length if length > _LEAST_PARALLAX_PX else (0.0, 1.0)
    along, across = off @ (down, right_of), off @ (-right_of, down)
    columns = [row, col, *there.place.T, there.correlation, *there.ground.T, along, across]
    matches = np.stack(columns, axis=1).astype(np.float64)
    return _Found(matches=matches, tried=tried, unlike=unlike, astray=int((~kept).sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
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

    def only(self, chosen: NDArray[np.bool_]) -> "_Way":
        parts = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__}
        return _Way(**parts)


def _follow(
    source: RawImage, target: RawImage, terrain: _Terrain, place: NDArray[Any], allowed: NDArray[np.bool_]
) -> _Way:
    """Find in the target image what the source shows around whole pixels, (row, col) of shape (n, 2)."""
    row, col = place.T
    radius = _radius(allowed)
    step = np.linspace(-radius, radius, _NODES)
    around = np.meshgrid(step, step, indexing="ij")
    ground = terrain.meet(source.rpc, *(at[:, None, None] + more for at, more in zip((row, col), around, strict=True)))
    nodes, middle = np.stack(target.rpc.project(*ground), axis=1), _NODES // 2
    known = np.isfinite(nodes).all(axis=(1, 2, 3)) & _inside(target, *nodes[:, :, middle, middle].T)
    found = np.full((len(row), 5), np.nan)
    if known.any():
        (top, first), (bottom, last) = (pick(nodes[known], axis=(0, 2, 3)) for pick in (np.min, np.max))
        there = _read(target, (int(top), math.ceil(bottom) + 1, int(first), math.ceil(last) + 1), 3)
        here = _read(source, (int(row.min()), int(row.max()) + 1, int(col.min()), int(col.max()) + 1), _HALF)
        spline = there.spline()
        for k in np.flatnonzero(known):
            shifted = nodes[k] - np.array([there.row, there.col])[:, None, None]
            found[k] = _find(here.patch(row[k], col[k]), spline, shifted, radius, allowed)
            found[k, 2:4] += there.row, there.col
    return _Way(
        ground=np.stack(ground, axis=1)[:, :, middle, middle],
        predicted=nodes[:, :, middle, middle],
        offset=found[:, :2],
        place=found[:, 2:4],
        correlation=found[:, 4],
    )


def _radius(allowed: NDArray[np.bool_]) -> float:
    """Pixels around a point that a search looks at."""
    return float(max(allowed.shape) // 2 + _HALF + 2)


def _believed(matches: Floats) -> NDArray[np.bool_]:
    """Which matches lie within 3·NMAD of an affine field of all, along the epipolar line and across it."""
    if len(matches) < MIN_FIELD:
        return np.zeros(len(matches), dtype=bool)
    place, off, sigma = matches[:, :2], matches[:, 8:], np.ones(len(matches))
    try:
        return fit_field(place, off, model="affine", sigma=sigma).accepted
    except SensorModelError:  # all on one line
        return fit_field(place, off, model="shift", sigma=sigma).accepted


def _point(left: RawImage, right: RawImage, match: Floats) -> TiePoint:
    row, col, there_row, there_col, _, lon, lat, height, *_ = match.tolist()
    return TiePoint(
        id=f"{left.name} {row:.0f},{col:.0f} {right.name}",
        seen=(
            Sighting(scene=left.name, row=row, col=col),
            Sighting(scene=right.name, row=there_row, col=there_col),
        ),
        lon=lon,
        lat=lat,
        height=height,
    )


def _corners(window: _Window, cell: _Cell, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Row and column of the most distinct points of a cell whose whole patch is known (Shi and Tomasi, CVPR 1994)."""
    known = np.isfinite(window.values)
    none = np.empty(0, dtype=int)
    if not known.any():
        return none, none
    response = corner_shi_tomasi(  # type: ignore[no-untyped-call]
        np.where(known, window.values, window.values[known].mean()), sigma=1.5
    )
    whole = ndimage.minimum_filter(known, size=2 * _HALF + 1, mode="constant", cval=0)
    rows, cols = (first + np.arange(size) for first, size in zip((window.row, window.col), known.shape, strict=True))
    in_cell = ((rows >= cell[0]) & (rows < cell[1]))[:, None] & (cols >= cell[2]) & (cols < cell[3])
    response = np.where(whole & in_cell, response, 0.0)
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        response, min_distance=_HALF // 2, num_peaks=count, threshold_abs=1e-12, exclude_border=False
    )
    return window.row + peaks[:, 0], window.col + peaks[:, 1]


def _inside(image: RawImage, row: Floats, col: Floats) -> NDArray[np.bool_]:
    return (row >= 0) & (row <= image.height - 1) & (col >= 0) & (col <= image.width - 1)


def _read(image: RawImage, cell: _Cell, margin: int) -> _Window:
    """The pixels of a cell and around it, cut to the image; one that is unknown where nothing is left."""
    top, bottom = max(cell[0] - margin, 0), min(cell[1] + margin, image.height)
    left, right = max(cell[2] - margin, 0), min(cell[3] + margin, image.width)
    if top >= bottom or left >= right:
        return _Window(values=np.full((1, 1), np.nan), row=0, col=0)
    values = _pixels(image, top, bottom, left, right).astype(np.float64)
    if image.nodata is not None:
        values[values == image.nodata] = np.nan
    if image.clouds is not None:
        values[~_clear(image, image.clouds, top, bottom, left, right)] = np.nan
    return _Window(values=values, row=top, col=left)


def _clear(image: RawImage, clouds: RawImage, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
    """Which pixels of a window the cloud mask calls clear; through the ground, for the mask has its own pixels."""
    nodes = np.meshgrid(np.linspace(top, bottom - 1, 5), np.linspace(left, right - 1, 5), indexing="ij")
    ground = image.rpc.locate(*nodes, image.rpc.domain.height_m)
    there = clouds.rpc.project(*ground, image.rpc.domain.height_m)
    fine = np.meshgrid(np.linspace(0, 4, bottom - top), np.linspace(0, 4, right - left), indexing="ij")
    row, col = (np.rint(ndimage.map_coordinates(part, fine, order=1)).astype(int) for part in there)
    inside = _inside(clouds, row, col)
    if not inside.any():
        return inside
    first, start = row[inside].min(), col[inside].min()
    mask = _pixels(clouds, first, row[inside].max() + 1, start, col[inside].max() + 1)
    clear = np.zeros(row.shape, dtype=bool)
    clear[inside] = mask[row[inside] - first, col[inside] - start] == CLEAR
    return clear


def _pixels(image: RawImage, top: int, bottom: int, left: int, right: int) -> NDArray[Any]:
    with open_raster(image.path) as dataset:
        try:
            pixels: NDArray[Any] = dataset.read(image.band, window=Window(left, top, right - left, bottom - top))
        except (RasterioError, IndexError) as error:
            raise DeliveryError(
                f"{image.path.name}: band {image.band}, rows {top} to {bottom} cannot be read ({error}); "
                "deliver it again, or name a band that it has"
            ) from None
    return pixels


# Compiled, and all of it here: numba's cache looks only at the file of the function that was called.


@njit(cache=True, nogil=True)
def _find(
    patch: _Values, target: _Values, nodes: _Values, radius: float, allowed: NDArray[np.bool_]
) -> tuple[float, float, float, float, float]:
    """Offset, place and correlation of the best match; NaN where none stands out.

    Parameters
    ----------
    patch
        Pixels of the first image, odd shape.
    target
        Coefficients of the cubic B-spline through the pixels of the second, NaN for unknown ones.
    nodes
        Rows and columns of `target` at regular nodes of the square within `radius` of the patch's middle: (2, n, n).
    allowed
        Offsets that are tried, the prediction in the middle.
    """
    nothing = (np.nan, np.nan, np.nan, np.nan, np.nan)
    template = patch - patch.mean()
    norm = np.sqrt((template * template).sum())
    if not norm > 0.0:
        return nothing
    tall, wide = allowed.shape
    warped = np.empty((tall + patch.shape[0] - 1, wide + patch.shape[1] - 1))
    _warp(target, nodes, radius, 0.0, 0.0, warped)
    alike = np.full(allowed.shape, -2.0)
    best, i, j = -2.0, 0, 0
    for p in range(tall):
        for q in range(wide):
            if allowed[p, q]:
                alike[p, q] = _correlation(template, norm, warped, p, q)
                if alike[p, q] > best:
                    best, i, j = alike[p, q], p, q
    if best < MIN_CORRELATION - 0.1 or not (0 < i < tall - 1 and 0 < j < wide - 1):
        return nothing
    if alike[i - 1 : i + 2, j - 1 : j + 2].min() == -2.0 or best - _runner_up(alike, i, j) < MIN_LEAD:
        return nothing
    down, right = i - tall // 2, j - wide // 2
    return _refine(template, norm, target, nodes, radius, float(down), float(right))


@njit(cache=True, nogil=True)
def _runner_up(alike: _Values, i: int, j: int) -> float:
    """The highest peak that is not that of (i, j)."""
    second = -2.0
    for p in range(1, alike.shape[0] - 1):
        for q in range(1, alike.shape[1] - 1):
            if max(abs(p - i), abs(q - j)) <= 2 or alike[p, q] <= second:
                continue
            if alike[p, q] == alike[p - 1 : p + 2, q - 1 : q + 2].max():
                second = alike[p, q]
    return second


@njit(cache=True, nogil=True)
def _refine(
    template: _Values, norm: float, target: _Values, nodes: _Values, radius: float, down: float, right: float
) -> tuple[float, float, float, float, float]:
    """The peak of a quadratic through 3 × 3 correlations, a pixel apart and then a quarter, until it is in the middle.

    A peak read off once between whole pixels is drawn to the nearest, and to the side on which the texture goes on.
    """
    nothing = (np.nan, np.nan, np.nan, np.nan, np.nan)
    warped = np.empty(template.shape)
    z = np.empty((3, 3))
    apart = 1.0
    for _ in range(10):
        for p in range(3):
            for q in range(3):
                _warp(target, nodes, radius, down + (p - 1) * apart, right + (q - 1) * apart, warped)
                z[p, q] = _correlation(template, norm, warped, 0, 0)
        gy, gx = (z[2, 1] - z[0, 1]) / 2, (z[1, 2] - z[1, 0]) / 2
        yy, xx = z[2, 1] - 2 * z[1, 1] + z[0, 1], z[1, 2] - 2 * z[1, 1] + z[1, 0]
        xy = (z[2, 2] - z[2, 0] - z[0, 2] + z[0, 0]) / 4
        det = yy * xx - xy * xy
        if z.min() == -2.0 or not (det > 0.0 and yy < 0.0):
            return nothing
        step_down, step_right = apart * (xy * gx - xx * gy) / det, apart * (xy * gy - yy * gx) / det
        step = max(abs(step_down), abs(step_right))
        if step > 1.5:
            return nothing
        down, right = down + step_down, right + step_right
        if apart < 1.0 and step < 0.005:
            row, col = _through(nodes, radius, down, right)
            return (down, right, row, col, z[1, 1]) if z[1, 1] >= MIN_CORRELATION else nothing
        if step < 0.3:
            apart = 0.25
    return nothing


@njit(cache=True, nogil=True)
def _correlation(template: _Values, norm: float, warped: _Values, top: int, left: int) -> float:
    """Normalised cross-correlation with the part of `warped` from there on; -2 where pixels are unknown."""
    total, squares, product = 0.0, 0.0, 0.0
    for p in range(template.shape[0]):
        for q in range(template.shape[1]):
            value = warped[top + p, left + q]
            total += value
            squares += value * value
            product += value * template[p, q]
    spread = squares - total * total / template.size
    if not spread > 1e-9 * squares:
        return -2.0
    return float(product / (norm * np.sqrt(spread)))


@njit(cache=True, nogil=True)
def _warp(target: _Values, nodes: _Values, radius: float, down: float, right: float, warped: _Values) -> None:
    """Fill in the target's pixels as the first image would have them, around its point moved by (down, right)."""
    for p in range(warped.shape[0]):
        for q in range(warped.shape[1]):
            y, x = p - (warped.shape[0] - 1) / 2 + down, q - (warped.shape[1] - 1) / 2 + right
            row, col = _through(nodes, radius, y, x)
            warped[p, q] = _spline_at(target, row, col)


@njit(cache=True, nogil=True)
def _through(nodes: _Values, radius: float, y: float, x: float) -> tuple[float, float]:
    """Bilinear between nodes, beyond them straight on."""
    last = nodes.shape[1] - 1
    down, right = (y + radius) / (2 * radius) * last, (x + radius) / (2 * radius) * last
    i, j = min(max(int(down), 0), last - 1), min(max(int(right), 0), last - 1)
    down, right = down - i, right - j
    a, b, c, d = (1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right
    row = a * nodes[0, i, j] + b * nodes[0, i, j + 1] + c * nodes[0, i + 1, j] + d * nodes[0, i + 1, j + 1]
    col = a * nodes[1, i, j] + b * nodes[1, i, j + 1] + c * nodes[1, i + 1, j] + d * nodes[1, i + 1, j + 1]
    return row, col


@njit(cache=True, nogil=True)
def _spline_at(coefficients: _Values, row: float, col: float) -> float:
    """The cubic B-spline between pixels (Unser, IEEE SPM 16(6), 1999); NaN where one of the sixteen is unknown.

    Cubic convolution would move sharp detail by some hundredths of a pixel, which is what is asked here.
    """
    i, j = int(np.floor(row)) - 1, int(np.floor(col)) - 1
    if i < 0 or j < 0 or i + 3 >= coefficients.shape[0] or j + 3 >= coefficients.shape[1]:
        return np.nan
    down, right = row - i - 1, col - j - 1
    a, b, c, d = _b_spline(right)
    e, f, g, h = _b_spline(down)
    total = 0.0
    for p in range(4):
        line = coefficients[i + p]
        weight = e if p == 0 else f if p == 1 else g if p == 2 else h
        total += weight * (a * line[j] + b * line[j + 1] + c * line[j + 2] + d * line[j + 3])
    return total


@njit(cache=True, nogil=True, inline="always")
def _b_spline(t: float) -> tuple[float, float, float, float]:
    """Weights of the coefficients at -1, 0, 1 and 2 for a place at t, 0 to 1."""
    u = 1.0 - t
    return u * u * u / 6, 2 / 3 - t * t * (2.0 - t) / 2, 2 / 3 - u * u * (2.0 - u) / 2, t * t * t / 6
