"""The smooth part of the way from an output pixel to the image, taken apart from the rough one, the terrain.

Map projection and sensor cost more than all the rest, and bend little over a few pixels. So they are computed at the
nodes of a lattice: where the node lies in the DEM, and row and column in the image as polynomials in the height of the
ground there. Between nodes all of it is interpolated bilinearly; the nodes are as dense, and the polynomials of such a
degree, as the error demands that is measured, in pixels of the image, at midpoints and between heights. A lattice
belongs to a patch of the output grid, never to the block that asks for it.

    patch  ×───×───×   nodes at every 32nd pixel,
           │   │   │   or 16th, 8th … down to each one
           ×───×───×   where the projection bends
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from processing.errors import HeightsError
from processing.grid import OutputGrid
from processing.heights import HeightGrid
from processing.projection import Floats, near
from processing.sensor import SensorModel

PATCH: Final = 256
"""Rows and columns of output pixels that share a lattice."""

COARSEST: Final = 32
"""Widest spacing of a lattice, in pixels; halved as needed, down to 1, which interpolates nothing."""

TOLERANCE_PX: Final = 9e-6
"""Largest error of a lattice at its midpoints, and of its polynomials between heights, in pixels of the image."""

DEGREES: Final = (2, 3, 5, 8)
"""Of the polynomials in height, tried in turn; over the relief of one patch a parabola nearly always does."""

LEAST_HALF_M: Final = 1.0
"""Half of the heights for which polynomials are made, at least: no ground is so flat that a division fails."""


class Terrain(Protocol):
    """Heights above the ellipsoid; `processing.dem.Dem` is one."""

    def position(self, lon: Floats, lat: Floats, *, middle: float) -> tuple[Floats, Floats]:
        """Row and column in cells of places in WGS 84 degrees, without a jump near the longitude `middle`."""
        ...

    def cells(self, row: Floats, col: Floats) -> HeightGrid:
        """The cells around such positions."""
        ...

    def unknown(self, lon: float, lat: float) -> HeightsError:
        """The error for ground without a height."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Where the nodes of a patch lie in the DEM, and in the image by their height."""

    row: int
    """Of the patch's first pixel in the output grid."""

    col: int
    step: int
    """Pixels from node to node, a power of two."""

    middle_m: float
    """Middle of the heights for which the polynomials are made, m above the ellipsoid."""

    half_m: float
    """Half of their range."""

    nodes: Floats
    """Row and column in the DEM; coefficients of the row in the image, by powers of (height - middle) / half, constant
    first; likewise of the column. Shape (2 + 2 · (degree + 1), PATCH / step + 1, PATCH / step + 1)."""

    def window(self, part: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
        """Lowest and highest row, likewise column, in the image that pixels of a part of the patch can have.

        The part is first and last + 1 row, likewise column; infinite the wrong way round where it has no place.
        """
        top, bottom, left, right = (edge // self.step for edge in (part[0], part[1] - 1, part[2], part[3] - 1))
        spans = []
        for terms in np.split(self.nodes[2:, top : bottom + 2, left : right + 2], 2):
            reach = np.abs(terms[1:]).sum(axis=0)  # heights lie between -1 and 1
            spans += [np.nanmin(terms[0] - reach, initial=np.inf), np.nanmax(terms[0] + reach, initial=-np.inf)]
        return float(spans[0]), float(spans[1]), float(spans[2]), float(spans[3])


@dataclass(frozen=True, slots=True)
class _Places:
    """Nodes of some patches on Earth: shape (patches, n, n)."""

    lon: Floats
    lat: Floats
    row: Floats
    """In the DEM."""

    col: Floats

    def __getitem__(self, key: Any) -> "_Places":  # noqa: ANN401 - as numpy's
        return _Places(self.lon[key], self.lat[key], self.row[key], self.col[key])


@dataclass(frozen=True, slots=True)
class _Site:
    """What all lattices of one image have in common."""

    grid: OutputGrid
    model: SensorModel
    terrain: Terrain

    def places(self, corners: Sequence[tuple[int, int]], spacing: int) -> _Places:
        """Nodes at every so many pixels of patches, both ends included; NaN where the CRS has no place."""
        along = np.arange(0, PATCH + 1, spacing, dtype=np.float64)
        first = np.array(corners, dtype=np.float64)
        row, col = np.broadcast_arrays(
            first[:, 0, None, None] + along[None, :, None], first[:, 1, None, None] + along[None, None, :]
        )
        lon, lat = self.grid.lon_lat(row.ravel(), col.ravel())
        lost = ~(np.isfinite(lon) & np.isfinite(lat))
        lon, lat = np.where(lost, np.nan, lon), np.where(lost, np.nan, lat)
        lon = near(lon, self.model.domain.lon)
        cells = self.terrain.position(lon, lat, middle=self.model.domain.lon)
        return _Places(*(part.reshape(row.shape) for part in (lon, lat, *cells)))

    def polynomials(self, places: _Places, relief: Floats, degree: int) -> tuple[Floats, Floats]:
        """Coefficients of row and column in the image, each of shape (patches, degree + 1, n, n).

        Relief is (patches, 2): middle and half of the heights, m.
        """
        z, powers = _heights_and_powers(degree)
        heights = relief[:, 0, None] + relief[:, 1, None] * z
        seen = self.model.project(places.lon[:, None], places.lat[:, None], heights[:, :, None, None])
        row, col = (_sums(powers, part) for part in seen)
        return row, col

    def height_errors(self, places: _Places, relief: Floats, degree: int) -> Floats:
        """Largest error of each patch's polynomials at its lowest and highest ground, where it is as large as anywhere.

        In pixels of the image, at the corners of the patches.
        """
        n = places.lon.shape[-1] - 1
        some = places[:, ::n, ::n]
        about = self.polynomials(some, relief, degree)
        worst = np.zeros(len(relief))
        for z in (-1.0, 1.0):
            heights = (relief[:, 0] + relief[:, 1] * z)[:, None, None]
            for exact, terms in zip(self.model.project(some.lon, some.lat, heights), about, strict=True):
                off = np.abs(_sums(np.power(z, np.arange(degree + 1.0))[None], terms)[:, 0] - exact)
                worst = np.maximum(worst, np.where(np.isnan(off), 0.0, off).max(axis=(1, 2)))
        return worst

    def nodes(self, places: _Places, relief: Floats, degree: int) -> Floats:
        """All that is interpolated: (patches, 2 + 2 · (degree + 1), n, n)."""
        row, col = self.polynomials(places, relief, degree)
        nodes = np.concatenate([places.row[:, None], places.col[:, None], row, col], axis=1)
        return np.where(np.isfinite(nodes).all(axis=1, keepdims=True), nodes, np.nan)


def make_lattices(
    grid: OutputGrid, model: SensorModel, terrain: Terrain, corners: Sequence[tuple[int, int]]
) -> tuple[list[Lattice], HeightGrid]:
    """The lattices of the patches whose first pixels these are, each as coarse as its measured error allows.

    Returns
    -------
    lattices, heights
        In the order of the corners; and the cells of the DEM that hold all of them.
    """
    site = _Site(grid, model, terrain)
    places = site.places(corners, COARSEST // 2)
    heights = terrain.cells(places.row.ravel(), places.col.ravel())
    relief = np.array([_relief(heights, places[k], model) for k in range(len(corners))])
    degrees = _degrees(site, places, relief)
    lattices: dict[int, Lattice] = {}
    for degree in sorted(set(degrees.tolist())):
        (which,) = np.nonzero(degrees == degree)
        exact = site.nodes(places[which], relief[which], degree)
        errors = _lattice_errors(exact)
        for k, nodes, error in zip(which.tolist(), exact, errors.tolist(), strict=True):
            coarse = COARSEST, nodes[:, ::2, ::2]
            step, used = coarse if error <= TOLERANCE_PX else _finer(site, corners[k], relief[k], degree, error)
            lattices[k] = Lattice(
                row=corners[k][0], col=corners[k][1], step=step, middle_m=float(relief[k, 0]),
                half_m=float(relief[k, 1]), nodes=np.ascontiguousarray(used),
            )  # fmt: skip
    return [lattices[k] for k in range(len(corners))], heights


def _sums(weights: Floats, values: Floats) -> Floats:
    """Weighted sums (k, z) over the second axis of (patches, z, n, n), one after the other.

    numpy's own products add in an order that depends on how many patches there are.
    """
    sums = np.zeros((len(values), len(weights), *values.shape[2:]))
    for k, weight in enumerate(weights):
        for z, share in enumerate(weight):
            sums[:, k] += share * values[:, z]
    return sums


def _degrees(site: _Site, places: _Places, relief: Floats) -> NDArray[np.int64]:
    """The least degree for each patch that is exact enough."""
    degrees = np.full(len(relief), DEGREES[-1])
    left = np.arange(len(relief))
    for degree in DEGREES[:-1]:
        good = site.height_errors(places[left], relief[left], degree) <= TOLERANCE_PX
        degrees[left[good]] = degree
        left = left[~good]
        if not left.size:
            break
    return degrees


def _finer(site: _Site, corner: tuple[int, int], relief: Floats, degree: int, error: float) -> tuple[int, Floats]:
    """Step and nodes of a patch for which the coarsest lattice, of such an error, will not do."""
    step = COARSEST
    while True:
        # The error falls with the square of the spacing; where it is not smooth, go on by halves.
        aim = step * np.sqrt(TOLERANCE_PX / error) if np.isfinite(error) else 0.0
        step = min(step // 2, 2 ** int(np.log2(aim))) if aim >= 1 else step // 2
        exact = site.nodes(site.places([corner], max(step // 2, 1)), relief[None], degree)
        if step == 1:
            return step, exact[0]
        (error,) = _lattice_errors(exact)
        if error <= TOLERANCE_PX:
            return step, exact[0][:, ::2, ::2]


def _relief(heights: HeightGrid, places: _Places, model: SensorModel) -> tuple[float, float]:
    """Middle and half of the heights under a patch; the sensor model's own where none is known."""
    known = heights.values
    if known.size and np.isfinite(places.row).any():
        top, left = (int(np.floor(np.nanmin(part))) - 1 for part in (places.row, places.col))
        bottom, right = (int(np.ceil(np.nanmax(part))) + 2 for part in (places.row, places.col))
        top, bottom, left, right = (
            max(edge - first, 0) for edge, first in ((top, heights.row), (bottom, heights.row),
                                                     (left, heights.col), (right, heights.col))
        )  # fmt: skip
        known = known[top:bottom, left:right]
        low, high = np.nanmin(known, initial=np.inf), np.nanmax(known, initial=-np.inf)
        if low <= high:
            return float((low + high) / 2), max(float((high - low) / 2), LEAST_HALF_M)
    return model.domain.height_m, model.domain.height_half_m


@cache
def _heights_and_powers(degree: int) -> tuple[Floats, Floats]:
    """Chebyshev's heights between -1 and 1, and the matrix that makes coefficients of the values there."""
    z = np.cos((2 * np.arange(degree + 1) + 1) * np.pi / (2 * degree + 2))
    return z, np.linalg.inv(np.vander(z, increasing=True))


def _lattice_errors(exact: Floats) -> Floats:
    """Largest error at the midpoints of edges and cells, in pixels of the image; NaN where a node has no place.

    Every second node is left out and interpolated. The place in the DEM counts as far as it lies off on the ground.
    """
    off = np.abs(_between(exact[:, :, ::2, ::2]) - exact)
    row, col = np.split(off[:, 2:], 2, axis=1)
    corners = np.s_[:, :, [0, -1, 0], [0, 0, -1]]
    seen = exact[:, [2, 2 + row.shape[1]]]
    cells_per_px = np.ptp(exact[:, :2][corners], axis=2).max(axis=1) / np.ptp(seen[corners], axis=2).max(axis=1)
    off_image = np.maximum(row.sum(axis=1).max(axis=(1, 2)), col.sum(axis=1).max(axis=(1, 2)))
    errors: Floats = np.maximum(off_image, off[:, :2].max(axis=(1, 2, 3)) / cells_per_px)
    return errors


def _between(nodes: Floats) -> Floats:
    """The nodes and, by the mean of their neighbours, the midpoints between them; along the last two axes."""
    count = nodes.shape[-1]
    finer = np.empty((*nodes.shape[:-2], 2 * count - 1, 2 * count - 1))
    finer[..., ::2, ::2] = nodes
    finer[..., 1::2, ::2] = (nodes[..., 1:, :] + nodes[..., :-1, :]) / 2
    finer[..., :, 1::2] = (finer[..., :, 2::2] + finer[..., :, :-1:2]) / 2
    return finer
