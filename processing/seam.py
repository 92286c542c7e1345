"""Where the scenes of a mosaic meet: how their tones are brought together, and along which line one gives way.

Both are decided on cells of many pixels, of which each scene has the mean. Scenes come in order of preference. Each
further one is laid beside those before it; where both show the same ground, the line between them is the cut that
crosses the least difference (Kwatra, Schödl, Essa, Turk & Bobick, SIGGRAPH 2003):

    first only │ open: first or second │ second only
               │      ┌────────┐       │
     source ───┼──────┘ cut    └───────┼─── sink

A cut is found from coarse to fine, each time only in a band around the one before (Lombaert, Sun, Grady & Xu, ICCV
2005). Of all smallest cuts the one nearest to the source is taken, which does not depend on the solver.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kinds = NDArray[np.uint8]
"""What each cell is: one of the four below."""

NEITHER, FIRST, SECOND, OPEN = 0, 1, 2, 3
"""Shown by none; given to the first; to the second; shown by both and open."""

MIN_CELLS: Final = 16
"""Two scenes that share fewer cells say nothing of each other's tones."""

_OPEN_AT_ONCE: Final = 4096
"""More open cells than this are first looked at in cells of twice the size."""

_STEPS: Final = 1000
"""Cost of crossing a mean difference; crossing none costs 1, so that of equal lines the shortest is taken."""

_STEEPEST: Final = 10_000
"""Largest cost of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What a scene shows of the cells of a mosaic."""

    row: int
    """Of the first cell, in the mosaic, as is `col`."""

    col: int
    means: NDArray[np.float32]
    """Shape (bands, rows, columns); NaN where the scene shows less than half of a cell."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns in the mosaic."""
        return slice(self.row, self.row + self.means.shape[1]), slice(self.col, self.col + self.means.shape[2])


LoadCells = Callable[[int], Cells]
"""The cells of a scene, counted in order of preference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """What brings a scene's values to those of the others: gain · value + offset."""

    gains: tuple[float, ...]
    """One a band, as are `offsets`."""

    offsets: tuple[float, ...]


def preferences(count: int, load: LoadCells, shape: tuple[int, int], *, margin: int = 0) -> NDArray[np.int16]:
    """Which scene is to be shown in each cell of a mosaic; -1 for none.

    Parameters
    ----------
    count
        Of the scenes, in order of preference: the first one keeps what others have no further ground to offer for.
    shape
        Rows and columns of cells.
    margin
        Cells by which a line keeps away from where one of its scenes ends, as far as there is room.
    """
    owner = np.full(shape, -1, dtype=np.int16)
    shown: NDArray[np.float32] | None = None
    for number in range(count):
        cells = load(number)
        shown = np.full((len(cells.means), *shape), np.nan, dtype=np.float32) if shown is None else shown
        mine = np.zeros(shape, dtype=bool)
        mine[cells.place] = np.isfinite(cells.means).all(axis=0)
        take = mine & (owner < 0)
        # A rim around, so that what lies beside the scene is seen.
        rim = margin + 1
        here = tuple(slice(max(part.start - rim, 0), part.stop + rim) for part in cells.place)
        means = np.full((len(cells.means), *owner[here].shape), np.nan, dtype=np.float32)
        top, left = (part.start - around.start for part, around in zip(cells.place, here, strict=True))
        means[:, top : top + cells.means.shape[1], left : left + cells.means.shape[2]] = cells.means
        kinds = np.where(owner[here] >= 0, FIRST, NEITHER) + np.where(mine[here], SECOND, NEITHER)
        if (kinds == OPEN).any():
            difference = np.abs(shown[:, *here].astype(np.float64) - means).mean(axis=0)
            take[here] |= mine[here] & (cut(difference, kinds.astype(np.uint8), margin=margin) == SECOND)
        owner[take] = number
        shown[:, *here][:, take[here]] = means[:, take[here]]
    return owner


def cut(difference: Floats, kinds: Kinds, *, margin: int = 0) -> Kinds:
    """The same cells with none of them open.

    Parameters
    ----------
    difference
        Between both scenes, where cells are open; any unit.
    kinds
        Shape (rows, columns). Open ground that does not touch what is shown by the first alone and also what is shown
        by the second alone is the first's, so that a scene which another one covers altogether is still shown.
    margin
        Open cells so near to what only one scene shows are its own.
    """
    kinds = _with_margin(_where_both_go_on(kinds), margin)
    is_open = kinds == OPEN
    if not is_open.any():
        return kinds
    unit = difference[is_open].mean() or 1.0
    cost = np.zeros(kinds.shape, dtype=np.int64)
    cost[is_open] = 1 + np.minimum(np.round(_STEPS * (difference[is_open] / unit)), _STEEPEST).astype(np.int64)
    return _settled(cost, kinds)


def _where_both_go_on(kinds: Kinds) -> Kinds:
    """Leaves open only what touches ground of the first alone and ground of the second alone."""
    parts, _ = ndimage.label(kinds == OPEN)
    first, second = (parts[ndimage.binary_dilation(kinds == kind) & (parts > 0)] for kind in (FIRST, SECOND))
    both = np.isin(parts, np.intersect1d(first, second))
    return np.where((kinds == OPEN) & ~both, FIRST, kinds).astype(np.uint8)


def _with_margin(kinds: Kinds, margin: int) -> Kinds:
    if not margin or not all((kinds == kind).any() for kind in (FIRST, SECOND)):
        return kinds
    first, second = (ndimage.distance_transform_cdt(kinds != kind) for kind in (FIRST, SECOND))
    is_open = kinds == OPEN
    kinds = np.where(is_open & (second <= margin) & (second < first), SECOND, kinds)
    return np.where(is_open & (first <= margin) & (first <= second), FIRST, kinds).astype(np.uint8)


def _settled(cost: NDArray[np.int64], kinds: Kinds) -> Kinds:
    """From coarse to fine."""
    if np.count_nonzero(kinds == OPEN) > _OPEN_AT_ONCE:
        coarse = np.repeat(np.repeat(_settled(*_halved(cost, kinds)), 2, axis=0), 2, axis=1)
        coarse = coarse[: kinds.shape[0], : kinds.shape[1]]
        near = [ndimage.binary_dilation(coarse == kind, np.ones((5, 5))) for kind in (FIRST, SECOND)]
        clear = (kinds == OPEN) & (near[0] != near[1])
        kinds = np.where(clear, np.where(near[0], FIRST, SECOND), kinds).astype(np.uint8)
    return _smallest_cut(cost, kinds)


def _halved(cost: NDArray[np.int64], kinds: Kinds) -> tuple[NDArray[np.int64], Kinds]:
    """Cells of twice the size; ground of one scene alone is never lost, though it be small."""
    room = tuple((0, size % 2) for size in kinds.shape)
    fours = [
        np.pad(part, room).reshape((kinds.shape[0] + 1) // 2, 2, -1, 2).swapaxes(1, 2).reshape(-1, 4)
        for part in (cost, kinds)
    ]
    is_open = fours[1] == OPEN
    count = is_open.sum(axis=1)
    mean = (fours[0] * is_open).sum(axis=1) // np.maximum(count, 1)
    coarse = np.select(
        [(fours[1] == FIRST).any(axis=1), (fours[1] == SECOND).any(axis=1), count > 0], [FIRST, SECOND, OPEN]
    )
    shape = (kinds.shape[0] + 1) // 2, (kinds.shape[1] + 1) // 2
    return mean.reshape(shape), coarse.astype(np.uint8).reshape(shape)


def _smallest_cut(cost: NDArray[np.int64], kinds: Kinds) -> Kinds:
    """Open cells that can be reached from the first's own are the first's; crossing between two costs what both do."""
    is_open = kinds == OPEN
    nodes = np.full(kinds.shape, -1, dtype=np.int64)
    nodes[is_open] = np.arange(np.count_nonzero(is_open))
    source, sink = np.count_nonzero(is_open), np.count_nonzero(is_open) + 1
    nodes[kinds == FIRST], nodes[kinds == SECOND] = source, sink
    start, end, between = [], [], []
    for axis in (0, 1):
        a, b = (np.delete(nodes, drop, axis=axis).ravel() for drop in (-1, 0))
        of_a, of_b = (np.delete(cost, drop, axis=axis).ravel() for drop in (-1, 0))
        # Ground that only one shows has no difference of its own: that of its neighbour stands for it.
        both = np.where(of_a > 0, of_a, of_b) + np.where(of_b > 0, of_b, of_a)
        used = (a >= 0) & (b >= 0) & ((a < source) | (b < source))
        start += [a[used], b[used]]
        end += [b[used], a[used]]
        between += [both[used]] * 2
    rows, cols, data = np.concatenate(start), np.concatenate(end), np.concatenate(between)
    forward = (rows != sink) & (cols != source)
    graph = coo_matrix(
        (data[forward].astype(np.int32), (rows[forward], cols[forward])), shape=(source + 2, source + 2)
    ).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(source + 2, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    result = kinds.copy()
    result[is_open] = np.where(reached[:source], FIRST, SECOND)
    return result


def balance(count: int, load: LoadCells) -> tuple[Tone, ...]:
    """Gain and offset of each scene and band that bring the scenes together where they overlap, by least squares.

    Of each pair of scenes both means and both standard deviations over the cells that they share should be equal, which
    counts as much as there are cells. The first scene of each group that hangs together stays as it is. Where overlaps
    say nothing of the contrast, scenes are moved as little as possible.

    Parameters
    ----------
    count
        Of the scenes, in order of preference.
    """
    pairs = list(_pairs(count, load))
    linked = np.zeros((count, count), dtype=bool)
    for i, j, _ in pairs:
        linked[i, j] = True
    groups = connected_components(linked, directed=False)[1]
    fixed = np.unique(groups, return_index=True)[1]
    bands = len(load(0).means)
    gains, offsets = np.ones((count, bands)), np.zeros((count, bands))
    for band in range(bands if pairs else 0):
        gains[:, band], offsets[:, band] = _least_squares(count, [(i, j, of[:, band]) for i, j, of in pairs], fixed)
    return tuple(
        Tone(gains=tuple(gains[number].tolist()), offsets=tuple(offsets[number].tolist())) for number in range(count)
    )


def _pairs(count: int, load: LoadCells) -> Iterator[tuple[int, int, Floats]]:
    """Two scenes that overlap, and of their shared cells: number, means and standard deviations; shape (5, bands)."""
    for i in range(count):
        one = load(i)
        for j in range(i + 1, count):
            other = load(j)
            a, b = _shared(one, other), _shared(other, one)
            both = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
            if np.count_nonzero(both) >= MIN_CELLS:
                x, y = a[:, both].astype(np.float64), b[:, both].astype(np.float64)
                number = np.full(len(x), float(x.shape[1]))
                yield i, j, np.stack([number, x.mean(axis=1), y.mean(axis=1), x.std(axis=1), y.std(axis=1)])


def _shared(one: Cells, other: Cells) -> NDArray[np.float32]:
    """The cells of one scene that lie within the other's rectangle."""
    rows, cols = (
        slice(max(a.start, b.start) - a.start, max(min(a.stop, b.stop), a.start) - a.start)
        for a, b in zip(one.place, other.place, strict=True)
    )
    return one.means[:, rows, cols]


def _least_squares(count: int, pairs: list[tuple[int, int, Floats]], fixed: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Gains and offsets of one band: the shortest of the steps away from 1 and 0 that solve it best."""
    unit = max(max(of[1], of[2], of[3], of[4]) for _, _, of in pairs) or 1.0
    rows, wanted = [], []
    for i, j, (number, mean_i, mean_j, std_i, std_j) in pairs:
        weight = np.sqrt(number) / unit
        for at_i, at_j, offset in ((mean_i, mean_j, unit), (std_i, std_j, 0.0)):
            row = np.zeros((2, count))
            row[:, i], row[:, j] = (at_i, offset), (-at_j, -offset)
            row[:, fixed] = 0
            rows.append(weight * row.ravel())
            wanted.append(weight * (at_j - at_i))
    step = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=1e-9)[0]
    step[fixed], step[count + fixed] = 0, 0
    # Without the last digits, in which the linear algebra of two machines may differ.
    return np.round(1 + step[:count], 9), np.round(unit * step[count:], 9 - math.ceil(math.log10(unit)))
