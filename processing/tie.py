"""Tie points between two overlapping raw images, found by themselves.

    corner of the left image ─► ground at the DEM's height ─► where the right image should show it
       └─► the right image around there, brought into the left one's geometry through the ground
             └─► normalised cross-correlation ─► sub-pixel peak ─► and back, right to left

Only windows of the images are read. The same pair gives the same points, always.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import corner_shi_tomasi, peak_local_max

from processing.dem import Dem
from processing.errors import ProcessingError, SensorModelError
from processing.field import fit_field
from processing.ground import relief
from processing.ortho import Part
from processing.projection import Floats
from processing.raw_image import RawImage, Window, read_window
from processing.tie_point import Sighting, TiePoint
from processing.transfer import HALF, Reach, Terrain, follow, radius_of

MAX_RETURN_PX: Final = 0.5
"""How far from where it began a point may come back."""

LEAST_OFF_PX: Final = 0.1
"""Standard deviation from the affine field that good matches may have: terrain bends it by so much."""

MIN_FIELD: Final = 8
"""Matches from which outliers can be told; of fewer, none is believed."""

_LEAST_PARALLAX_PX: Final = 1e-3
"""Two images taken from one place have no epipolar line; then their rows are taken for it."""

_WINDOW_PX: Final = 256
"""Most rows and columns of a cell that are searched for corners."""


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
    reach = Reach(level_m=sum(levels) / 2, bias_px=bias_px, height_error_m=height_error_m)
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


def _cells(left: RawImage, right: RawImage, levels: tuple[float, float], count: int) -> Iterator[Part]:
    """Rectangles of the left image spread over what the right one shows too."""
    row, col, height = np.meshgrid(
        np.linspace(0, left.height - 1, 33), np.linspace(0, left.width - 1, 33), [levels[0], sum(levels) / 2, levels[1]]
    )
    there = right.rpc.project(*left.rpc.locate(row, col, height), height)
    shared = right.shows(*there).any(axis=2)
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
    count = max(1, min(count, int((high - low) / (2 * HALF + 1))))
    edges = np.linspace(low, high, count + 1)
    for start, end in pairwise(edges):
        spare = max(0.0, end - start - _WINDOW_PX) / 2
        yield round(start + spare), round(end - spare)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a cell gave."""

    matches: Floats
    """Shape (n, _COLUMNS)."""

    tried: int = 0
    unlike: int = 0
    astray: int = 0


def _match_cell(
    left: RawImage, right: RawImage, dem: Dem, cell: Part, *, count: int, levels: tuple[float, float], reach: Reach
) -> _Found:
    row, col = _corners(read_window(left, cell, HALF), cell, count)
    if not row.size:
        return _Found(matches=np.empty((0, _COLUMNS)))
    line, line_there = reach.line(left, right, (cell[0] + cell[1]) / 2, (cell[2] + cell[3]) / 2)
    allowed = reach.allowed(line)
    terrain = Terrain.under(left, cell, dem, levels, 2 * radius_of(allowed))
    there = follow(left, right, terrain, np.stack([row, col], axis=1), allowed)
    shown = right.shows(*there.predicted.T)
    good = shown & right.shows(*there.place.T)
    tried, unlike = int(shown.sum()), int((shown & ~good).sum())
    if not good.any():
        return _Found(matches=np.empty((0, _COLUMNS)), tried=tried, unlike=unlike)
    row, col, there = row[good], col[good], there.only(good)
    nearest = np.rint(there.place).astype(int)
    line_back, _ = reach.line(right, left, *nearest.mean(axis=0).tolist())
    back = follow(right, left, terrain, nearest, reach.allowed(line_back))
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


def _believed(matches: Floats) -> NDArray[np.bool_]:
    """Which matches lie within 3·NMAD of an affine field of all, along the epipolar line and across it."""
    if len(matches) < MIN_FIELD:
        return np.zeros(len(matches), dtype=bool)
    place, off, sigma = matches[:, :2], matches[:, 8:], np.ones(len(matches))
    try:
        return fit_field(place, off, model="affine", sigma=sigma, least_px=LEAST_OFF_PX).accepted
    except SensorModelError:  # all on one line
        return fit_field(place, off, model="shift", sigma=sigma, least_px=LEAST_OFF_PX).accepted


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


def _corners(window: Window, cell: Part, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Row and column of the most distinct points of a cell whose whole patch is known (Shi and Tomasi, CVPR 1994)."""
    known = np.isfinite(window.values)
    none = np.empty(0, dtype=int)
    if not known.any():
        return none, none
    response = corner_shi_tomasi(  # type: ignore[no-untyped-call]
        np.where(known, window.values, window.values[known].mean()), sigma=1.5
    )
    whole = ndimage.minimum_filter(known, size=2 * HALF + 1, mode="constant", cval=0)
    rows, cols = (first + np.arange(size) for first, size in zip((window.row, window.col), known.shape, strict=True))
    in_cell = ((rows >= cell[0]) & (rows < cell[1]))[:, None] & (cols >= cell[2]) & (cols < cell[3])
    response = np.where(whole & in_cell, response, 0.0)
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        response, min_distance=HALF // 2, num_peaks=count, threshold_abs=1e-12, exclude_border=False
    )
    return window.row + peaks[:, 0], window.col + peaks[:, 1]
