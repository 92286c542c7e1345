"""The smooth part of the way from an output pixel to the image: its place on Earth and in the DEM.

A map projection costs more than all the rest and bends little over a few pixels. So it is computed at the nodes of a
lattice and interpolated bilinearly between them, the nodes as dense as the error demands that is measured, in pixels of
the image, at all midpoints. A lattice belongs to a patch of the output grid, never to the block that asks for it.

    patch  ×───×───×   nodes at every 32nd pixel,
           │   │   │   or 16th, 8th … down to each one
           ×───×───×   where the projection bends
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from processing.errors import HeightsError
from processing.grid import OutputGrid
from processing.heights import HeightGrid
from processing.projection import Floats, near
from processing.rpc import Rpc

PATCH: Final = 256
"""Rows and columns of output pixels that share a lattice."""

COARSEST: Final = 32
"""Widest spacing of a lattice, in pixels; halved as needed, down to 1, which interpolates nothing."""

TOLERANCE_PX: Final = 1e-5
"""Largest error of a lattice at its midpoints, in pixels of the image."""


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
    """Longitude, latitude, and row and column in the DEM, at regular nodes of a patch."""

    row: int
    """Of the patch's first pixel in the output grid."""

    col: int
    step: int
    """Pixels from node to node, a power of two."""

    nodes: Floats
    """Shape (4, PATCH / step + 1, PATCH / step + 1)."""


def make_lattice(grid: OutputGrid, rpc: Rpc, terrain: Terrain, row: int, col: int) -> Lattice:
    """The lattice of the patch whose first pixel is (row, col), as coarse as its measured error allows."""
    step = COARSEST
    while step > 1:
        error = _lattice_error(grid, rpc, terrain, (row, col), step)
        if error <= TOLERANCE_PX:
            break
        # The error falls with the square of the spacing; where it is not smooth, go on by halves.
        aim = step * np.sqrt(TOLERANCE_PX / error) if np.isfinite(error) else 0.0
        step = min(step // 2, 2 ** int(np.log2(aim))) if aim >= 1 else step // 2
    return Lattice(row=row, col=col, step=step, nodes=_nodes(grid, rpc, terrain, (row, col), step))


def _nodes(grid: OutputGrid, rpc: Rpc, terrain: Terrain, first: tuple[int, int], step: int) -> Floats:
    """Computed exactly at every `step`-th pixel of a patch, both ends included; NaN where the CRS has no place."""
    along = np.arange(0, PATCH + 1, step, dtype=np.float64)
    lon, lat = grid.lon_lat(*np.meshgrid(first[0] + along, first[1] + along, indexing="ij"))
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    lon, lat = np.where(lost, np.nan, lon), np.where(lost, np.nan, lat)
    lon = near(lon, rpc.lon_off)
    nodes = np.stack([lon, lat, *terrain.position(lon, lat, middle=rpc.lon_off)])
    return np.where(np.isfinite(nodes).all(axis=0), nodes, np.nan)


def _lattice_error(grid: OutputGrid, rpc: Rpc, terrain: Terrain, first: tuple[int, int], step: int) -> float:
    """Largest error at the midpoints of edges and cells, in pixels of the image; NaN where a node has no place.

    The place in the DEM counts as far as it lies off on the ground.
    """
    exact = _nodes(grid, rpc, terrain, first, step // 2)
    about = _between(exact[:, ::2, ::2])
    seen = [np.stack(rpc.project(lon, lat, rpc.height_off)) for lon, lat in (exact[:2], about[:2])]
    corners = np.s_[:, [0, -1, 0], [0, 0, -1]]
    cells_per_px = np.ptp(exact[2:][corners], axis=1).max() / np.ptp(seen[0][corners], axis=1).max()
    off_image, off_terrain = np.abs(seen[1] - seen[0]).max(), np.abs(about[2:] - exact[2:]).max()
    return float(np.maximum(off_image, off_terrain / cells_per_px))


def _between(nodes: Floats) -> Floats:
    """The nodes and, by the mean of their neighbours, the midpoints between them."""
    count = nodes.shape[1]
    finer = np.empty((nodes.shape[0], 2 * count - 1, 2 * count - 1))
    finer[:, ::2, ::2] = nodes
    finer[:, 1::2, ::2] = (nodes[:, 1:] + nodes[:, :-1]) / 2
    finer[:, :, 1::2] = (finer[:, :, 2::2] + finer[:, :, :-1:2]) / 2
    return finer
