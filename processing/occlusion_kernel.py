"""Compiled code of `processing.occlusion`: rays over a DEM, facet by facet.

A facet is the bilinear surface between four neighbouring cells (i, j), (i, j+1), (i+1, j), (i+1, j+1). Along a straight
line over a facet the surface is a parabola, so that the lowest clearance of a ray is found exactly, without a step.

It stands apart from `processing.kernel`, and calls nothing of it, for the reason given there: numba's cache.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CLEARANCE_M = 1e-6
"""A ray that dips no deeper below the surface touches it: what rounding makes of a ray that starts on it."""

NO_GROUND_M = -20_000.0
"""Stands for cells without height: deeper than any ground, so that they hide none."""

_ALMOST = 1.0 - 1e-9
"""Rises of the terrain for each metre of a ray's that count as steep; a little less than 1, against rounding."""


@njit(cache=True, nogil=True)
def find_steep(values: Floats, sight: tuple[float, float, float, float], steep: Mask) -> float:
    """Mark the facets on which the terrain may rise faster than a ray; gives their highest cell, -inf for none.

    Parameters
    ----------
    sight
        Lowest and highest number of rows, likewise columns, that a ray goes while it rises a metre.
    """
    least_row, most_row, least_col, most_col = sight
    crest = -np.inf
    for i in range(steep.shape[0]):
        for j in range(steep.shape[1]):
            a, b, c, d = values[i, j], values[i, j + 1], values[i + 1, j], values[i + 1, j + 1]
            left, right, top, bottom = c - a, d - b, b - a, d - c
            down = max(left * least_row, left * most_row, right * least_row, right * most_row)
            across = max(top * least_col, top * most_col, bottom * least_col, bottom * most_col)
            steep[i, j] = down + across >= _ALMOST
            if steep[i, j]:
                crest = max(crest, a, b, c, d)
    return crest


@njit(cache=True, nogil=True)
def cast_shade(
    values: Floats, steep: Mask, sight: tuple[float, float, float, float], crest: float, low: float, shade: Floats
) -> None:
    """Say up to which height over each facet a ray can still meet a steep one; -inf where that is below the ground.

    One sweep over the facets, away from the sensor, along the axis in which rays go faster. What was met so far is kept
    in strips that run as the rays do: `side` cells aside for each one along. By a cell along, a ray comes down by
    `drop`.

        steep ▲──────────── a strip, and how high the shade in it is
              │    ░░░░▒▒▒▒      ╲
              └────────────       ╲  drop a cell

    Parameters
    ----------
    sight, crest
        As `find_steep` takes and gives them.
    low
        No ground lies lower.
    shade
        Shape of `steep`; -inf at first.
    """
    by_rows = max(abs(sight[0]), abs(sight[1])) >= max(abs(sight[2]), abs(sight[3]))
    least, most, left, right = sight if by_rows else (sight[2], sight[3], sight[0], sight[1])
    if least <= 0.0 <= most:  # seen from right above, to all sides
        shade[:] = crest
        return
    ratios = left / least, left / most, right / least, right / most
    side, fastest = (min(ratios) + max(ratios)) / 2, max(abs(least), abs(most))
    drop, margin = 1.0 / fastest, 1e-6 + (max(ratios) - min(ratios)) / 2 * fastest * (crest - low)
    along, across = steep.shape if by_rows else (steep.shape[1], steep.shape[0])
    base = int(np.floor(min(0.0, -side * along) - margin))
    strips = np.full(int(np.ceil(across + abs(side) * along + 2 * margin)) + 4, -np.inf)
    for place in range(along):
        k = along - 1 - place if most > 0.0 else place
        # Strips of the facet in column 0 of this row, if rows it is: from the first to the last that it touches
        first, last = -max(side * k, side * (k + 1)) - base, 1.0 - min(side * k, side * (k + 1)) - base
        for j in range(across):
            m, n = (k, j) if by_rows else (j, k)
            if steep[m, n]:
                top = max(values[m, n], values[m, n + 1], values[m + 1, n], values[m + 1, n + 1])
                for strip in range(int(np.floor(first + j - margin)), int(np.floor(last + j + margin)) + 1):
                    strips[strip] = max(strips[strip], top + (place + 1) * drop)
        for j in range(across):
            highest = -np.inf
            for strip in range(int(np.floor(first + j)), int(np.floor(last + j)) + 1):
                highest = max(highest, strips[strip])
            m, n = (k, j) if by_rows else (j, k)
            ground = min(values[m, n], values[m, n + 1], values[m + 1, n], values[m + 1, n + 1])
            if highest - place * drop >= ground:
                shade[m, n] = highest - place * drop


@njit(cache=True, nogil=True)
def hide_points(
    values: Floats,
    first: tuple[int, int],
    steep: Mask,
    shade: Floats,
    row: Floats,
    col: Floats,
    sight_row: Floats,
    sight_col: Floats,
    hidden: Mask,
) -> None:
    """Mark the hidden ones among points at rows and columns of the DEM; all arrays of one dimension."""
    for k in range(row.size):
        i, j, y, x = _facet(row[k], col[k], first, steep.shape)
        hidden[k] = i >= 0 and _is_hidden(values, steep, shade, i, j, y, x, sight_row[k], sight_col[k])


@njit(cache=True, nogil=True)
def hide_patch(
    values: Floats,
    first: tuple[int, int],
    steep: Mask,
    shade: Floats,
    places: Floats,
    step: int,
    rays: Floats,
    spacing: int,
    part: tuple[int, int, int, int],
    offset: tuple[int, int],
    hidden: Mask,
) -> None:
    """Mark the hidden pixels of a patch.

    Parameters
    ----------
    values, first
        Heights of the DEM, and row and column of the first of them.
    steep, shade
        From `find_steep` and `cast_shade`.
    places, step
        Row and column in the DEM at every `step`-th pixel: shape (2, n, n).
    rays, spacing
        Rows and columns of the DEM that the ray goes while it rises a metre, at every so many-th pixel; likewise.
    part, offset
        As in `processing.kernel.image_positions`, whose places these are.
    """
    place, ray = np.empty((2, places.shape[2])), np.empty((2, rays.shape[2]))
    for i in range(part[0], part[1]):
        _between_rows(places, step, i, place)
        _between_rows(rays, spacing, i, ray)
        for q in range(part[2] // step, (part[3] - 1) // step + 1):
            beside = q if step == 1 else q + 1
            row_step, col_step = (place[0, beside] - place[0, q]) / step, (place[1, beside] - place[1, q]) / step
            for j in range(max(part[2], q * step), min(part[3], (q + 1) * step)):
                row, col = place[0, q] + (j - q * step) * row_step, place[1, q] + (j - q * step) * col_step
                m, n, y, x = _facet(row, col, first, steep.shape)
                if m >= 0 and shade[m, n] > -np.inf:
                    sight_row, sight_col = _between_cols(ray, spacing, j)
                    hidden[i + offset[0], j + offset[1]] = _is_hidden(
                        values, steep, shade, m, n, y, x, sight_row, sight_col
                    )


@njit(cache=True, nogil=True)
def _between_rows(nodes: Floats, step: int, i: int, line: Floats) -> None:
    """Both channels of the nodes at row i, linear between rows; a node without weight is not asked, it may be NaN."""
    p = i // step
    down = (i - p * step) / step
    for k in range(2):
        for q in range(nodes.shape[2]):
            line[k, q] = nodes[k, p, q]
            if down > 0.0:
                line[k, q] += down * (nodes[k, p + 1, q] - nodes[k, p, q])


@njit(cache=True, nogil=True)
def _between_cols(line: Floats, step: int, j: int) -> tuple[float, float]:
    """Both channels at column j."""
    q = j // step
    right = (j - q * step) / step
    if right == 0.0:
        return line[0, q], line[1, q]
    return line[0, q] + right * (line[0, q + 1] - line[0, q]), line[1, q] + right * (line[1, q + 1] - line[1, q])


@njit(cache=True, nogil=True)
def _facet(row: float, col: float, first: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, float, float]:
    """The facet of a place in the DEM, and where in it, 0 to 1; (-1, -1) where there is none.

    Fractions are those of the whole raster's rows and columns, not of the window's: these round from block to block.
    """
    if not (np.isfinite(row) and np.isfinite(col)):
        return -1, -1, 0.0, 0.0
    top, left = np.floor(row), np.floor(col)
    i, j, y, x = int(top) - first[0], int(left) - first[1], row - top, col - left
    if i == shape[0] and y == 0.0:
        i, y = i - 1, 1.0
    if j == shape[1] and x == 0.0:
        j, x = j - 1, 1.0
    if 0 <= i < shape[0] and 0 <= j < shape[1]:
        return i, j, y, x
    return -1, -1, 0.0, 0.0


@njit(cache=True, nogil=True)
def _is_hidden(
    values: Floats,
    steep: Mask,
    shade: Floats,
    i: int,
    j: int,
    y: float,
    x: float,
    sight_row: float,
    sight_col: float,
) -> bool:
    """Whether the ground at a place of a facet is hidden; it is not where its height is unknown."""
    a, b, c, d = values[i, j], values[i, j + 1], values[i + 1, j], values[i + 1, j + 1]
    if min(a, b, c, d) == NO_GROUND_M:
        return False
    height = a + (b - a) * x + (c - a) * y + (d - c - b + a) * x * y
    return _meets_terrain(values, steep, shade, i, j, y, x, height, sight_row, sight_col)


@njit(cache=True, nogil=True)
def _meets_terrain(
    values: Floats,
    steep: Mask,
    shade: Floats,
    i: int,
    j: int,
    y: float,
    x: float,
    height: float,
    sight_row: float,
    sight_col: float,
) -> bool:
    """Follow a ray from the point (y, x) of facet (i, j) out of the shade (Amanatides & Woo, Eurographics 1987).

    Where it first goes below the surface, the surface rises faster than the ray: only steep facets are looked at.
    """
    down, right = (1 if sight_row > 0.0 else -1), (1 if sight_col > 0.0 else -1)
    every_row = 1.0 / abs(sight_row) if sight_row != 0.0 else np.inf
    every_col = 1.0 / abs(sight_col) if sight_col != 0.0 else np.inf
    # Metres that the ray has risen where it crosses into the next row, and column, of facets
    next_row = ((1.0 - y) if down > 0 else y) * every_row if sight_row != 0.0 else np.inf
    next_col = ((1.0 - x) if right > 0 else x) * every_col if sight_col != 0.0 else np.inf
    start = 0.0
    while height + start <= shade[i, j]:
        end = min(next_row, next_col, shade[i, j] - height)
        if steep[i, j] and _dips(values, i, j, y, x, height, sight_row, sight_col, start, end):
            return True
        if next_row < next_col:
            i, y, start, next_row = i + down, y - down, next_row, next_row + every_row
        else:
            j, x, start, next_col = j + right, x - right, next_col, next_col + every_col
        if not (0 <= i < steep.shape[0] and 0 <= j < steep.shape[1]):
            return False
    return False


@njit(cache=True, nogil=True)
def _dips(
    values: Floats,
    i: int,
    j: int,
    y: float,
    x: float,
    height: float,
    sight_row: float,
    sight_col: float,
    start: float,
    end: float,
) -> bool:
    """Whether a ray is below the surface of a facet anywhere between two rises.

    `y` and `x` say where it left the ground, counted from this facet's first cell; clearance(rise) is a parabola.
    """
    origin = values[i, j]
    by_y, by_x = values[i + 1, j] - origin, values[i, j + 1] - origin
    by_both = values[i + 1, j + 1] - values[i + 1, j] - by_x
    constant = height - (origin + by_y * y + by_x * x + by_both * y * x)
    slope = 1.0 - by_y * sight_row - by_x * sight_col - by_both * (y * sight_col + x * sight_row)
    bend = -by_both * sight_row * sight_col
    least = min(constant + start * (slope + start * bend), constant + end * (slope + end * bend))
    if bend > 0.0:
        lowest = -slope / (2.0 * bend)
        if start < lowest < end:
            least = constant + lowest * (slope + lowest * bend)
    return bool(least < -CLEARANCE_M)
