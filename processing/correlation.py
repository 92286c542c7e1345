"""Where a patch of one image is found again in another, to a hundredth of a pixel.

    patch of the first image ─► normalised cross-correlation at whole pixels ─► peak ─► sub-pixel peak
    the second image around there, brought into the first one's geometry ─┘

The second image is a cubic B-spline, looked at through nodes between which the way from one image to the other is
bilinear. Compiled, and all of it in this file: numba's cache looks only at the file of the function that was called.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

MIN_CORRELATION: Final = 0.75
"""Less alike, and they show something else."""

MIN_LEAD: Final = 0.05
"""By which the best place must beat any other peak: a row of trees or of houses looks alike at every step."""


Values = NDArray[np.float64]


@njit(cache=True, nogil=True)
def find_patch(
    patch: Values, target: Values, nodes: Values, radius: float, allowed: NDArray[np.bool_]
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
def _runner_up(alike: Values, i: int, j: int) -> float:
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
    template: Values, norm: float, target: Values, nodes: Values, radius: float, down: float, right: float
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
def _correlation(template: Values, norm: float, warped: Values, top: int, left: int) -> float:
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
def _warp(target: Values, nodes: Values, radius: float, down: float, right: float, warped: Values) -> None:
    """Fill in the target's pixels as the first image would have them, around its point moved by (down, right)."""
    for p in range(warped.shape[0]):
        for q in range(warped.shape[1]):
            y, x = p - (warped.shape[0] - 1) / 2 + down, q - (warped.shape[1] - 1) / 2 + right
            row, col = _through(nodes, radius, y, x)
            warped[p, q] = _spline_at(target, row, col)


@njit(cache=True, nogil=True)
def _through(nodes: Values, radius: float, y: float, x: float) -> tuple[float, float]:
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
def _spline_at(coefficients: Values, row: float, col: float) -> float:
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
