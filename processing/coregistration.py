"""How well two orthoimages of the same ground agree, whatever the grid and CRS of each.

    windows on a lattice over what both show ─► both on the grid of the coarser one ─► phase correlation for whole
    pixels, least squares matching for the rest (`processing.displacement`) ─► windows whose shift contradicts all of
    their neighbours' are left out ─► metres on the ground

Only windows are read, row by row of the lattice. An image that is finer is smoothed before it is sampled, by as much as
it is finer; what lies on another grid is sampled by a cubic B-spline. Both are symmetric and move nothing.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy import ndimage

from processing.accuracy import Coregistration, Vector
from processing.blocks import Progress, run
from processing.displacement import MIN_PATCHES, Matcher
from processing.error_statistics import PlanarErrors
from processing.errors import DeliveryError
from processing.grid import OutputGrid
from processing.projection import Floats, near
from processing.quality import has_data
from processing.raster import open_raster
from processing.refine import metres_per_degree

WINDOW_PX: Final = 48
SEARCH_PX: Final = 16
LATTICE: Final = 32
"""Most windows each way."""

STRAY: Final = 5.0
"""A shift that differs from its neighbours' median by so many of their median differences is a mistake."""

LEAST_SPREAD_PX: Final = 0.15
"""Neighbours never agree better than they can be matched."""

NEIGHBOURHOOD: Final = 2
"""Steps of the lattice. The test's authors look one step around; of so few, the spread is too uncertain to trim by."""

MIN_NEIGHBOURS: Final = 6
"""Fewer do not judge."""

_MARGIN_PX: Final = 4
_NODES: Final = 5
"""Each way, at which the way from grid to grid is computed over a window; bilinear between them."""

_ABOUT_ONE: Final = 1.05
"""Pixels so little finer are not smoothed."""

_SETTLED_PX: Final = 4
"""Pixels beyond which a spline no longer feels what was filled in where nothing is shown."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ortho:
    """An orthoimage, looked at as one band."""

    path: Path
    grid: OutputGrid
    band: int | None
    """From 1; None: the mean of all."""

    @classmethod
    def open(cls, path: Path, band: int | None) -> Self:
        grid = ortho_grid(path)
        with open_raster(path) as dataset:
            if band is not None and not 1 <= band <= dataset.count:
                raise DeliveryError(f"{path.name}: no band {band}; it has {dataset.count}")
        return cls(path=path, grid=grid, band=band)

    def read(self, dataset: DatasetReader, top: int, left: int, height: int, width: int) -> tuple[Floats, _Mask] | None:
        """Values and which of them show something; None where some would lie outside."""
        if top < 0 or left < 0 or top + height > self.grid.height or left + width > self.grid.width:
            return None
        bands = list(dataset.indexes) if self.band is None else [self.band]
        try:
            pixels = dataset.read(bands, window=Window(left, top, width, height))
        except RasterioError as error:
            raise DeliveryError(f"{self.path.name}: rows {top} to {top + height} cannot be read ({error})") from None
        valid: _Mask = np.logical_and.reduce(has_data(pixels, dataset.nodata), axis=0)
        return np.where(valid, pixels, 0).mean(axis=0, dtype=np.float64), valid

    def on(self, dataset: DatasetReader, frame: OutputGrid, row: int, col: int, reach: int) -> Floats | None:
        """The square within `reach` of a pixel of another grid; None where not all of it is shown."""
        if frame == self.grid:
            found = self.read(dataset, row - reach, col - reach, 2 * reach, 2 * reach)
            return found[0] if found and found[1].all() else None
        node = np.linspace(-reach, reach - 1, _NODES)
        there = self.grid.pixel(*frame.lon_lat(*np.meshgrid(row + node, col + node, indexing="ij")))
        if not np.isfinite(there).all():
            return None
        sigma = [0.5 * math.sqrt(side**2 - 1) if side > _ABOUT_ONE else 0.0 for side in _sides(there, node)]
        pad = _SETTLED_PX + math.ceil(4 * max(sigma))
        top, left = (math.floor(part.min()) - pad for part in there)
        height, width = (math.ceil(part.max()) + pad + 1 - low for part, low in zip(there, (top, left), strict=True))
        found = self.read(dataset, top, left, height, width)
        if found is None or not found[1].all():
            return None
        fine = np.linspace(0, _NODES - 1, 2 * reach)
        nodes = np.meshgrid(fine, fine, indexing="ij")
        place = [
            ndimage.map_coordinates(part, nodes, order=1) - low for part, low in zip(there, (top, left), strict=True)
        ]
        smooth = ndimage.gaussian_filter(found[0], sigma, mode="nearest") if max(sigma) else found[0]
        values: Floats = ndimage.map_coordinates(smooth, place, order=3, mode="nearest")
        return values


def _sides(there: tuple[Floats, Floats], node: Floats) -> tuple[float, float]:
    """Rows and columns of one grid to a pixel of the other, about."""
    step = node[1] - node[0]
    row, col = (np.hypot(*(np.diff(part, axis=axis).mean() / step for axis in (0, 1))) for part in there)
    return float(row), float(col)


def coregister(
    product: Path,
    other: Path,
    *,
    band: int | None = None,
    other_band: int | None = None,
    window_px: int = WINDOW_PX,
    search_px: int = SEARCH_PX,
    lattice: int = LATTICE,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Coregistration:
    """Measure how far an orthoimage shows the ground from where another one does.

    Parameters
    ----------
    product, other
        In any CRS; pixels are those of the coarser of the two.
    band, other_band
        From 1; None: the mean of all bands.
    window_px
        Rows and columns of a window: larger ones are surer, smaller ones show more of the terrain.
    search_px
        Largest shift that is looked for.
    lattice
        Most windows each way, over what both show.

    Returns
    -------
    Without `errors` where fewer than `MIN_PATCHES` windows matched; without windows where they share no ground.

    Raises
    ------
    DeliveryError
        One is no orthoimage, or cannot be read.
    """
    ours, theirs = _Ortho.open(product, band), _Ortho.open(other, other_band)
    sides = side_m(ours.grid), side_m(theirs.grid)
    frame = theirs.grid if sides[1] > sides[0] else ours.grid
    job = _Job(ours=ours, theirs=theirs, frame=frame, half=max(window_px // 2, 4), search_px=search_px)
    rows, cols = _lattice(job, lattice)
    found = run(f"match {other.name}", [(_row, job, row, cols) for row in rows], threads=threads, progress=progress)
    tried = sum(one[0] for one in found)
    matches = [(i, j, *match) for i, (_, row) in enumerate(found) for j, match in row]
    table = np.array(matches, np.float64).reshape(-1, 6)
    good = ~strays(table[:, :2], table[:, 4:])
    east, north, lon, lat = _on_ground(frame, table[good, 2:])
    return Coregistration(
        against=other.name,
        resolution_m=max(sides),
        window_px=2 * job.half,
        windows=tried,
        outliers=int((~good).sum()),
        vectors=tuple(
            Vector(lon=x, lat=y, east_m=e, north_m=n)
            for x, y, e, n in zip(*(part.tolist() for part in (lon, lat, east, north)), strict=True)
        ),
        errors=PlanarErrors.of(east, north) if east.size >= MIN_PATCHES else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What a row of the lattice needs."""

    ours: _Ortho
    theirs: _Ortho
    frame: OutputGrid
    half: int
    search_px: int

    @property
    def reach(self) -> int:
        return self.half + self.search_px + _MARGIN_PX


_Match = tuple[int, tuple[float, float, float, float]]
"""Number of the lattice's column; row and column in the frame, rows down and columns right of the shift."""


def _row(job: _Job, row: int, cols: list[int]) -> tuple[int, list[_Match]]:
    """The windows of a row of the lattice: how many both show whole, and the matches."""
    tried, found = 0, []
    with open_raster(job.ours.path) as ours, open_raster(job.theirs.path) as theirs:
        for number, col in enumerate(cols):
            reference = job.theirs.on(theirs, job.frame, row, col, job.reach)
            image = None if reference is None else job.ours.on(ours, job.frame, row, col, job.reach)
            if reference is None or image is None:
                continue
            tried += 1
            shift = Matcher(image, reference, job.half, job.search_px).shift(job.reach, job.reach)
            if shift is not None:
                found.append((number, (row - 0.5, col - 0.5, *shift)))
    return tried, found


def _lattice(job: _Job, most: int) -> tuple[list[int], list[int]]:
    """Rows and columns of the windows' middles in the frame, half a window apart or more."""
    ends = []
    for grid in (job.ours.grid, job.theirs.grid):
        edge = np.linspace(0, 1, 33)
        row, col = np.meshgrid(edge * (grid.height - 1), edge * (grid.width - 1), indexing="ij")
        there = (row, col) if grid == job.frame else job.frame.pixel(*grid.lon_lat(row, col))
        known = np.isfinite(there[0]) & np.isfinite(there[1])
        ends.append([(part[known].min(initial=np.inf), part[known].max(initial=-np.inf)) for part in there])
    axes = []
    for (low, high), (other_low, other_high) in zip(*ends, strict=True):
        first, last = max(low, other_low) + job.reach, min(high, other_high) + 1 - job.reach
        if not last >= first:
            return [], []
        count = max(1, min(most, int((last - first) / job.half) + 1))
        axes.append(np.rint(np.linspace(first, last, count) if count > 1 else [(first + last) / 2]).astype(int))
    return axes[0].tolist(), axes[1].tolist()


def strays(place: Floats, shift: Floats) -> _Mask:
    """Shifts that contradict all of their neighbours: the normalised median test.

    Source: Westerweel and Scarano, Experiments in Fluids 39, 2005. Ground that is moved by mistakes of the DEM moves
    together with its neighbours, or lies among such as differ as much; it is no stray.

    Parameters
    ----------
    place
        Row and column in the lattice, whole numbers, shape (n, 2).
    shift
        Pixels, shape (n, 2).
    """
    wrong = np.zeros(len(place), dtype=np.bool_)
    for k, (here, own) in enumerate(zip(place, shift, strict=True)):
        apart = np.abs(place - here).max(axis=1)
        around = (apart > 0) & (apart <= NEIGHBOURHOOD)
        if around.sum() < MIN_NEIGHBOURS:
            continue
        middle = np.median(shift[around], axis=0)
        spread = np.median(np.abs(shift[around] - middle), axis=0)
        wrong[k] = bool((np.abs(own - middle) > STRAY * (spread + LEAST_SPREAD_PX)).any())
    return wrong


def _on_ground(frame: OutputGrid, match: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Metres east and north of shifts (row, col, down, right) of shape (n, 4), and where: longitude and latitude."""
    row, col, down, right = match.T
    lon, lat = frame.lon_lat(row, col)
    to_lon, to_lat = frame.lon_lat(row + down, col + right)
    east, north = metres_per_degree(lat, np.zeros_like(lat))
    return near(to_lon - lon, 0.0) * east, (to_lat - lat) * north, lon, lat


def ortho_grid(path: Path) -> OutputGrid:
    """The pixels of an orthoimage on the map.

    Raises
    ------
    DeliveryError
        It is none.
    """
    with open_raster(path) as dataset:
        if dataset.crs is None or dataset.transform.is_identity:
            raise DeliveryError(f"{path.name}: no CRS or no place in it; give an orthoimage")
        return OutputGrid(
            crs=dataset.crs.to_string(),
            transform=tuple(dataset.transform)[:6],
            height=dataset.height,
            width=dataset.width,
        )


def side_m(grid: OutputGrid) -> float:
    """Side of a pixel in the middle of a grid, on the ground."""
    row, col = grid.height / 2, grid.width / 2
    steps = np.array([[row, col, 1.0, 0.0], [row, col, 0.0, 1.0]])
    east, north, _, _ = _on_ground(grid, steps)
    return float(np.sqrt(np.prod(np.hypot(east, north))))
